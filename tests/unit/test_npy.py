"""Headers and archives of the ``.npy`` format, read without Python's parser."""

import ast
import io

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import skxmr
from skxmr._utils.npy import map_array, read_archive, read_header
from skxmr.datasets import Shards

PREFIX = b"\x93NUMPY\x01\x00"
MEMBERS = st.lists(
    st.tuples(
        st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
        st.sampled_from(["<u4", "<f8", "|S3"]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda member: member[0],
)
DTYPES = (
    hnp.scalar_dtypes()
    | hnp.byte_string_dtypes()
    | hnp.unicode_string_dtypes()
    | MEMBERS.map(np.dtype)
)


def with_header(text, version=b"\x01\x00", size=None):
    data = text.encode()
    n = len(data) if size is None else size
    return io.BytesIO(
        b"\x93NUMPY" + version + n.to_bytes(2 if version[0] == 1 else 4, "little") + data
    )


@given(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0), st.booleans())
def test_what_numpy_writes(dtype, shape, is_fortran):
    array = np.empty(shape, dtype, order="F" if is_fortran else "C")
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    np.lib.format.read_magic(file)
    expected = np.lib.format.read_array_header_1_0(file)
    begin = file.tell()
    file.seek(0)
    header = read_header(file)
    assert header == expected
    assert header.n_bytes == array.nbytes
    assert file.tell() == begin


@pytest.mark.parametrize(
    "text",
    [
        '{"shape":(2,3),"fortran_order":False,"descr":"<f4"}',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }   \n",
        "{ 'fortran_order' :False, 'shape' :( 2 ,3 , ), 'descr' : '<f4' }",
    ],
)
@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
def test_what_other_programs_write(text, version):
    assert read_header(with_header(text, version)) == ((2, 3), False, np.dtype("<f4"))


@pytest.mark.parametrize(
    "file",
    [
        io.BytesIO(b""),
        io.BytesIO(b"\x93NUMPZ\x01\x00\x02\x00{}"),
        io.BytesIO(PREFIX + b"\x10"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", b"\x04\x00"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", size=80),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }" + " " * 1000),
        with_header("{'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': '<f4', 'shape': (3,), }"),
        with_header("{'descr': '<f4', 'fortran_order': False}"),
        with_header("{'descr': '<f4', 'fortran_order': 1, 'shape': (3,), }"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1e3,), }"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (%s,), }" % ("9" * 30)),
        with_header("{'descr': '<q9', 'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
        with_header(
            "{'descr': [('a', '<f4'), ('b', '|O')], 'fortran_order': False, 'shape': (3,), }"
        ),
        with_header("{'descr': [], 'fortran_order': False, 'shape': (3,), }"),
        with_header("{'descr': [" + 40 * ("('a', '<f4')" + 12 * " ")),
        with_header("{'descr': " + "[" * 500 + ", 'fortran_order': False, 'shape': (3,), }"),
    ],
)
def test_other_headers_are_refused(file):
    file.seek(0)
    with pytest.raises(ValueError, match=r"magic|header|version|cut short"):
        read_header(file)


def test_archives(tmp_path):
    arrays = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array("csr"),
        "d": np.empty((0, 3), np.int8),
    }
    np.savez_compressed(tmp_path / "archive.npz", **arrays)
    found = read_archive(tmp_path / "archive.npz", arrays)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    with pytest.raises(
        ValueError, match=r"archive\.npz: expected a file written by numpy\.savez: .*e\.npy"
    ):
        read_archive(tmp_path / "archive.npz", ["e"])


@pytest.mark.parametrize("n", [0, 3])
def test_mapped_arrays(n, tmp_path):
    array = np.arange(n, dtype=np.int32)
    np.save(tmp_path / "array.npy", array)
    np.testing.assert_array_equal(map_array(tmp_path / "array.npy"), array, strict=True)


def test_models_and_matrices_do_not_need_the_parser_of_python(tmp_path, monkeypatch):
    """Python before 3.11.8 raises this error if two threads use the parser."""
    X = sp.random(60, 20, 0.3, format="csr", random_state=0)
    Y = sp.csr_matrix(np.arange(60)[:, np.newaxis] % 10 == np.arange(10), dtype=float)
    classifier = skxmr.XRLinearClassifier(random_state=0).fit(X, Y)
    classifier.save(tmp_path / "model")
    for name, matrix in (("X", X), ("y", Y)):
        (tmp_path / name).mkdir()
        sp.save_npz(tmp_path / name / "part.npz", matrix)

    def fail(*args):
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr(ast, "literal_eval", fail)
    with pytest.raises(SystemError):
        np.load(tmp_path / "X" / "part.npz")["indptr"]
    expected = classifier.rank(X).labels
    for mmap in (False, True):
        loaded = skxmr.load(tmp_path / "model", mmap=mmap)
        np.testing.assert_array_equal(loaded.rank(X).labels, expected)
    fitted = skxmr.XRLinearClassifier(random_state=0, n_jobs=2).fit(
        Shards(tmp_path / "X"), Shards(tmp_path / "y"), folder=tmp_path / "fitted"
    )
    np.testing.assert_array_equal(fitted.rank(X).labels, expected)
