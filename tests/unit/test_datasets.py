import bz2
import codecs
import gzip
import io
import json
import lzma
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from strategies import examples

from skxmr import datasets
from skxmr.datasets import load_catalogue_subjects, load_npz_pair, load_xc_text, save_xc_text

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
TMP = settings(parent=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_canonical(matrix, shape):
    assert matrix.format == "csr"
    assert matrix.shape == shape
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32
    matrix.check_format(full_check=True)
    again = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
    assert again.has_canonical_format


def assert_equal(actual, expected):
    expected = sp.csr_matrix(expected)
    assert_canonical(actual, expected.shape)
    assert (actual != expected).nnz == 0


@st.composite
def data_sets(draw):
    """Return (X, Y): small dense float32 features, 0/1 labels; any size may be zero."""
    n, d, n_labels = (draw(st.integers(0, 5)) for _ in range(3))
    values = st.one_of(st.just(0.0), FLOAT32)
    X = draw(st.lists(st.lists(values, min_size=d, max_size=d), min_size=n, max_size=n))
    row = st.lists(st.integers(0, 1), min_size=n_labels, max_size=n_labels)
    Y = draw(st.lists(row, min_size=n, max_size=n))
    return (
        np.array(X, dtype=np.float32).reshape(n, d),
        np.array(Y, dtype=np.int64).reshape(n, n_labels),
    )


# The bundled sample


@pytest.fixture(scope="module")
def sample():
    return load_catalogue_subjects()


@pytest.fixture(scope="module")
def sample_folder():
    return Path(datasets.__file__).parent / "data" / "catalogue_subjects"


def test_sample_has_the_stated_size(sample):
    n_train, n_test, n_labels = (
        int(number.replace(",", ""))
        for number in re.search(
            r"([\d,]+) train rows, ([\d,]+) test rows, ([\d,]+) labels", sample.DESCR
        ).groups()
    )
    assert_canonical(sample.Y_train, (n_train, n_labels))
    assert_canonical(sample.Y_test, (n_test, n_labels))
    assert len(sample.text_train) == n_train
    assert len(sample.text_test) == n_test
    assert len(sample.label_names) == len(sample.label_ids) == n_labels


def test_sample_is_large_enough_to_learn_from_and_small_enough_to_ship(sample, sample_folder):
    assert 4000 <= len(sample.label_ids) <= 6000
    assert len(sample.text_train) > 50_000
    assert 1000 <= len(sample.text_test) <= 5000
    size = sum(path.stat().st_size for path in sample_folder.iterdir())
    assert size <= 2_900_000


def test_sample_obeys_the_rules_of_its_description(sample):
    for texts, Y in ((sample.text_train, sample.Y_train), (sample.text_test, sample.Y_test)):
        assert max(map(len, texts)) <= 160
        per_row = np.diff(Y.indptr)
        assert per_row.min() == 2
        assert per_row.max() <= 10
        assert set(Y.data) == {1.0}
    per_label = np.bincount(sample.Y_train.indices, minlength=sample.Y_train.shape[1])
    assert per_label.min() >= 10
    description = " ".join(sample.DESCR.split())
    assert f"{per_label.min()} to {per_label.max()} train rows" in description
    assert f"median {np.median(per_label):.0f}" in description
    assert f"{sample.Y_train.nnz / len(sample.text_train):.2f} labels on average" in description


def test_sample_texts_are_not_on_both_sides_of_the_split(sample):
    def plain(text):
        return re.sub(r"[\W_]+", " ", text.casefold()).strip()

    train = set(sample.text_train)
    assert len(train) == len(sample.text_train)
    assert len(set(sample.text_test)) == len(sample.text_test)
    assert train.isdisjoint(sample.text_test)
    assert set(map(plain, train)).isdisjoint(map(plain, sample.text_test))


def test_sample_labels_have_names_and_sorted_ids(sample):
    assert sample.label_ids.dtype == sample.label_names.dtype == object
    assert sample.label_ids.tolist() == sorted(set(sample.label_ids))
    assert all(re.fullmatch(r"p\d+", label) for label in sample.label_ids)
    assert all(isinstance(name, str) and name.strip() for name in sample.label_names)


def test_sample_keeps_texts_with_their_labels(sample):
    row = sample.text_train.index("The art of origami")
    columns = sample.Y_train[row].indices
    assert sample.label_ids[columns].tolist() == ["p7117", "p7118"]
    assert sample.label_names[columns].tolist() == ["origamis", "papercrafts"]


def test_sample_can_be_learned(sample):
    """The nearest centroid of a label's texts is right far more often than chance allows."""
    vectorizer = TfidfVectorizer(min_df=3, sublinear_tf=True)
    centroids = normalize(sample.Y_train.T @ vectorizer.fit_transform(sample.text_train))
    rows = slice(0, None, 5)
    scores = vectorizer.transform(sample.text_test[rows]) @ centroids.T
    best = np.asarray(scores.argmax(axis=1)).ravel()
    hits = sample.Y_test[rows][np.arange(len(best)), best]
    assert hits.mean() > 0.35


def test_description_names_source_and_licenses(sample):
    for phrase in ("NatLibFi/Annif-corpora", "subjects/yso-finna-en", "CC0 1.0", "CC BY 4.0"):
        assert phrase in sample.DESCR
    assert "National Library of Finland" in sample.DESCR


# The same layout in any folder

NAMES = {"p2": "cats", "p10": "dogs", "p3": "fish"}
TRAIN = [
    {"text": "Cats & dogs — a história", "labels": ["p2", "p10", "p2"]},
    {"text": "", "labels": []},
]
TEST = [{"text": "A dog", "labels": ["p10"]}]


def json_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(json_lines(TRAIN))
    (tmp_path / "test.jsonl.xz").write_bytes(lzma.compress(json_lines(TEST)))
    (tmp_path / "labels.json").write_text(json.dumps(NAMES), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("convert", [str, Path])
def test_folder_is_loaded_with_a_column_for_every_name(folder, convert):
    data = load_catalogue_subjects(convert(folder))
    assert data.label_ids.tolist() == ["p10", "p2", "p3"]
    assert data.label_names.tolist() == ["dogs", "cats", "fish"]
    assert data.text_train == [row["text"] for row in TRAIN]
    assert data.text_test == ["A dog"]
    assert_equal(data.Y_train, [[1, 1, 0], [0, 0, 0]])
    assert_equal(data.Y_test, [[1, 0, 0]])
    assert "CC0" in data.DESCR
    assert "The sample" not in data.DESCR


def test_folder_without_rows_or_labels(folder):
    (folder / "train.jsonl").write_bytes(b"")
    (folder / "test.jsonl.xz").write_bytes(lzma.compress(b""))
    (folder / "labels.json").write_text("{}")
    data = load_catalogue_subjects(folder)
    assert data.Y_train.shape == (0, 0)
    assert data.text_test == []


def test_compressed_file_wins_over_plain_one(folder):
    (folder / "test.jsonl").write_bytes(json_lines(TRAIN))
    assert load_catalogue_subjects(folder).text_test == ["A dog"]


@pytest.mark.parametrize("name", ["train.jsonl", "test.jsonl.xz", "labels.json"])
def test_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_catalogue_subjects(folder)
    assert name in str(caught.value)
    assert str(folder) in str(caught.value)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_catalogue_subjects(tmp_path / "nowhere")


@pytest.mark.parametrize("path", [3, b"bytes", ["a"]])
def test_path_must_be_a_path(path):
    with pytest.raises(TypeError, match=r"path must be a str or an os.PathLike"):
        load_catalogue_subjects(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "expected JSON"),
        (b'{"text": "a", "labels": []} x', "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b'{"text": "\xff", "labels": []}', "expected UTF-8"),
        (b"[]", "expected a JSON object, got list"),
        (b'{"labels": ["p2"]}', '"text" must be a str, got NoneType'),
        (b'{"text": 1, "labels": ["p2"]}', '"text" must be a str, got int'),
        (b'{"text": "a"}', '"labels" must be a list of str'),
        (b'{"text": "a", "labels": "p2"}', '"labels" must be a list of str'),
        (b'{"text": "a", "labels": [2]}', '"labels" must be a list of str'),
        (b'{"text": "a", "labels": [["p2"]]}', '"labels" must be a list of str'),
        (b'{"text": "a", "labels": ["p9"]}', "label id 'p9' is not in labels.json"),
    ],
)
def test_malformed_line_is_located(folder, line, message):
    (folder / "train.jsonl").write_bytes(json_lines(TRAIN) + line + b"\n")
    with pytest.raises(ValueError, match=r"train\.jsonl, line 3: " + re.escape(message)):
        load_catalogue_subjects(folder)


#: What editors and other systems make of the same lines.
VARIANTS = [
    lambda text: codecs.BOM_UTF8 + text,
    lambda text: text + b"\n",
    lambda text: text + b"\n \t\r\n\n",
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text.removesuffix(b"\n"),
    lambda text: codecs.BOM_UTF8 + text.replace(b"\n", b"\r\n") + b"\r\n" * 3,
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_the_same_files(folder, variant):
    (folder / "train.jsonl").write_bytes(variant(json_lines(TRAIN)))
    (folder / "test.jsonl.xz").write_bytes(lzma.compress(variant(json_lines(TEST))))
    (folder / "labels.json").write_bytes(variant(json.dumps(NAMES).encode() + b"\n"))
    data = load_catalogue_subjects(folder)
    assert data.text_train == [row["text"] for row in TRAIN]
    assert_equal(data.Y_train, [[1, 1, 0], [0, 0, 0]])
    assert data.text_test == ["A dog"]
    assert data.label_names.tolist() == ["dogs", "cats", "fish"]


def test_a_file_of_nothing_but_a_mark_has_no_rows(folder):
    (folder / "train.jsonl").write_bytes(codecs.BOM_UTF8)
    assert load_catalogue_subjects(folder).text_train == []


@pytest.mark.parametrize("blank", [b"\n", b" \r\n", b"\n\n"])
def test_a_blank_line_among_others_is_located(folder, blank):
    (folder / "train.jsonl").write_bytes(json_lines(TRAIN[:1]) + blank + json_lines(TRAIN[1:]))
    with pytest.raises(ValueError, match=r"train\.jsonl, line 2: expected JSON"):
        load_catalogue_subjects(folder)
    (folder / "train.jsonl").write_bytes(json_lines(TRAIN) + codecs.BOM_UTF8 + json_lines(TRAIN))
    with pytest.raises(ValueError, match=r"train\.jsonl, line 3: expected JSON"):
        load_catalogue_subjects(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "expected JSON"),
        (b"\xff", "expected UTF-8"),
        (b"[]", "expected an object of label id to name, got list"),
        (b'{"p2": 3}', "the name of label 'p2' must be a str, got int"),
    ],
)
def test_malformed_names_are_reported(folder, content, message):
    (folder / "labels.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"labels\.json: " + re.escape(message)):
        load_catalogue_subjects(folder)


def test_truncated_and_damaged_xz_are_reported(folder):
    path = folder / "test.jsonl.xz"
    whole = lzma.compress(json_lines(TEST * 100))
    path.write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"test\.jsonl\.xz: the compressed file is truncated"):
        load_catalogue_subjects(folder)
    path.write_bytes(b"not xz at all")
    with pytest.raises(ValueError, match=r"test\.jsonl\.xz: the compressed file is damaged"):
        load_catalogue_subjects(folder)


# The text format of the Extreme Classification Repository

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def load_bytes(folder, content, **kwargs):
    path = folder / "data.txt"
    path.write_bytes(content)
    return load_xc_text(path, **kwargs)


@TMP
@given(data=data_sets(), suffix=st.sampled_from(sorted(PACK)), zero_based=st.booleans())
def test_xc_text_round_trip(tmp_path, data, suffix, zero_based):
    path = tmp_path / f"data.txt{suffix}"
    save_xc_text(path, *data, zero_based=zero_based)
    X, Y = load_xc_text(path, zero_based=zero_based)
    assert_equal(X, data[0])
    assert_equal(Y, data[1])


@TMP
@given(tokens=st.lists(st.tuples(FLOAT32, st.sampled_from(["r", "f", "e", "g"])), min_size=1))
def test_xc_text_values_are_those_of_float(tmp_path, tokens):
    """Short decimals, long ones and ones with an exponent all round as `float` rounds them."""
    shown = [repr(value) if form == "r" else f"{value:.12{form}}" for value, form in tokens]
    row = " ".join(f"{i}:{text}" for i, text in enumerate(shown))
    X, _ = load_bytes(tmp_path, f"1 {len(shown)} 1\n {row}\n".encode())
    with np.errstate(over="ignore"):
        expected = np.array([float(text) for text in shown]).astype(np.float32)
    np.testing.assert_array_equal(X.toarray()[0], expected)


def test_xc_text_reads_the_format(tmp_path):
    content = b"4 5 3\n2,0 4:-1e-2 1:.5\n 0:+3 2:7.\n1\n\n"
    X, Y = load_bytes(tmp_path, content)
    assert_equal(X, np.float32([[0, 0.5, 0, 0, -0.01], [3, 0, 7, 0, 0], [0] * 5, [0] * 5]))
    assert_equal(Y, [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_xc_text_tolerates_line_ends_and_spaces(tmp_path):
    X, Y = load_bytes(tmp_path, b"2 3 2 \r\n0  1:2\t2:3 \r\n1:4")
    assert_equal(X, [[0, 2, 3], [0, 4, 0]])
    assert_equal(Y, [[1, 0], [0, 0]])


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("variant", VARIANTS)
def test_xc_text_variants_of_the_same_file(tmp_path, variant, suffix):
    path = tmp_path / f"data.txt{suffix}"
    path.write_bytes(PACK[suffix](variant(b"3 3 2\n0 1:2 2:3\n 0:1\n1 1:4\n")))
    X, Y = load_xc_text(path)
    assert_equal(X, [[0, 2, 3], [1, 0, 0], [0, 4, 0]])
    assert_equal(Y, [[1, 0], [0, 0], [0, 1]])


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\r\n \n"])
def test_xc_text_end_of_a_file_of_many_blocks(tmp_path, end):
    row = b"0 " + b" ".join(b"%d:1.5" % i for i in range(100)) + b"\n"
    X, _ = load_bytes(tmp_path, b"1000 100 2\n" + row * 1000 + end)
    assert X.nnz == 100_000
    assert load_bytes(tmp_path, b"0 5 2\n" + end)[0].shape == (0, 5)
    with pytest.raises(ValueError, match=r"line 10\d\d: expected the end of the file.* 1000 rows"):
        load_bytes(tmp_path, b"1000 100 2\n" + row * 1000 + end + b"\n" + row)


def test_xc_text_counts_from_one_if_asked(tmp_path):
    X, Y = load_bytes(tmp_path, b"1 2 2\n2 1:5\n", zero_based=False)
    assert_equal(X, [[5, 0]])
    assert_equal(Y, [[0, 1]])
    with pytest.raises(ValueError, match=r"line 2: each feature index must be in 1\.\.2, got '0'"):
        load_bytes(tmp_path, b"1 2 2\n2 0:5\n", zero_based=False)


def test_xc_text_merges_what_is_given_twice(tmp_path):
    X, Y = load_bytes(tmp_path, b"1 3 3\n2,0,2 1:0.5 0:1 1:2\n")
    assert_equal(X, [[1, 2.5, 0]])
    assert_equal(Y, [[1, 0, 1]])
    with pytest.raises(ValueError, match="NaN or infinity"):
        load_bytes(tmp_path, b"1 1 1\n0 0:3e38 0:3e38\n")


def test_xc_text_spans_blocks(tmp_path):
    """Rows are numbered through when the file is longer than what is parsed at once."""
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(
        (rng.random(90_000, np.float32), rng.integers(0, 10**6, 90_000), np.arange(0, 90_001, 30)),
        shape=(3000, 10**6),
    )
    X.sum_duplicates()
    Y = sp.csr_matrix((np.ones(3000), rng.integers(0, 10**5, 3000), np.arange(3001)))
    path = tmp_path / "data.txt"
    save_xc_text(path, X, Y)
    assert path.stat().st_size > 1_000_000
    for actual, expected in zip(load_xc_text(path), (X, Y), strict=True):
        assert_equal(actual, expected)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2500] = b"0 1:x\n"
    with pytest.raises(ValueError, match=r"line 2501: .*'x'"):
        load_bytes(tmp_path, b"".join(lines))


@pytest.mark.parametrize(
    "header",
    [b"", b"\n", b"1 2\n", b"1 2 3 4\n", b"1 -2 3\n", b"1 2.0 3\n", b"1 a 3\n", b"0 1:2\n"],
)
def test_xc_text_wrong_header_is_reported(tmp_path, header):
    with pytest.raises(ValueError, match=r"data\.txt, line 1: expected the header"):
        load_bytes(tmp_path, header)


def test_xc_text_header_beyond_int32_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="line 1: n_features and n_labels must be at most 2147483647"
    ):
        load_bytes(tmp_path, b"0 3000000000 1\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"3 1:2", r"each label must be in 0\.\.2, got '3'"),
        (b"0 5:2", r"each feature index must be in 0\.\.4, got '5'"),
        (b"0 99999999999999999999:2", "each feature index must be in"),
        (b"-1 1:2", "labels and feature indices must be non-negative integers, got '-1'"),
        (b"0 -1:2", "labels and feature indices must be non-negative integers, got '-1'"),
        (b"0 1.0:2", r"non-negative integers, got '1\.0'"),
        (b"1e0 1:2", "non-negative integers, got '1e0'"),
        (b"x 1:2", "non-negative integers, got 'x'"),
        (b"\xff 1:2", "non-negative integers"),
        (b"0 1:x", "must be a number, finite as float32, got 'x'"),
        (b"0 1:1_0", "must be a number, finite as float32, got '1_0'"),
        (b"0 1:0x1", "must be a number"),
        (b"0 1:1-2", "must be a number"),
        (b"0 1:1.2.3", "must be a number"),
        (b"0 1:-", "must be a number"),
        (b"0 1:e5", "must be a number"),
        (b"0 1:5\x0c", "must be a number"),
        (b"0 1:nan", "must be a number, finite as float32, got 'nan'"),
        (b"0 1:-inf", "must be a number, finite as float32, got '-inf'"),
        (b"0 1:1e39", "must be a number, finite as float32, got '1e39'"),
        (b"0 1:1e999", "must be a number, finite as float32, got '1e999'"),
        (b"0 1:", "expected a number on both sides of each ':'"),
        (b"0 :1", "expected a number on both sides of each ':'"),
        (b"0 1: 2", "expected a number on both sides of each ':'"),
        (b"0 1::2", "expected a number on both sides of each ':'"),
        (b"0,,1 1:2", "expected a number on both sides of each ','"),
        (b",0 1:2", "expected a number on both sides of each ','"),
        (b"0, 1 1:2", "expected a number on both sides of each ','"),
        (b"0 1", "got '1' out of place"),
        (b" 0", "got '0' out of place"),
        (b"0 1:2:3", "got '2' out of place"),
        (b"0 1:2,3", "got '2' out of place"),
        (b"0,1:2", "got '1' out of place"),
        (b"0 1:2 1", "got '1' out of place"),
    ],
)
def test_xc_text_malformed_row_is_located(tmp_path, row, message):
    with pytest.raises(ValueError, match=r"data\.txt, line 3: .*" + message):
        load_bytes(tmp_path, b"3 5 3\n0,1 1:2\n" + row + b"\n2 4:0.5\n")


def test_xc_text_wrong_number_of_rows_is_reported(tmp_path):
    with pytest.raises(ValueError, match=r"line 3: expected the end of the file.* 1 rows"):
        load_bytes(tmp_path, b"1 2 2\n0 1:2\n0 1:2\n")
    with pytest.raises(ValueError, match="expected 3 rows as the header says, got 2"):
        load_bytes(tmp_path, b"3 2 2\n0 1:2\n0 1:2\n")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_xc_text_truncated_and_damaged_files_are_reported(tmp_path, suffix):
    path = tmp_path / f"data.txt{suffix}"
    content = b"1000 9 2\n" + b"0 1:2 3:4\n" * 1000
    path.write_bytes(PACK[suffix](content)[:-12])
    with pytest.raises(ValueError, match="compressed file is truncated"):
        load_xc_text(path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="compressed file is damaged"):
        load_xc_text(path)


def test_xc_text_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_xc_text(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([[np.inf]], [[1]], "X contains infinity"),
        ([[1e39]], [[1]], "X contains NaN or infinity"),
        ([[1.0]], [[2]], "Y must be a 0/1 indicator matrix, but holds 2"),
        ([[1.0]], [[0.5]], "Y must be a 0/1 indicator matrix, but holds 0.5"),
        ([[1.0]], [[1], [0]], "inconsistent numbers of samples"),
        (sp.csr_matrix(([1.0], [0], [0, 1]), shape=(1, 1)), [1], "Expected 2D array"),
    ],
)
def test_save_xc_text_checks_its_input(tmp_path, X, Y, message):
    with pytest.raises(ValueError, match=message):
        save_xc_text(tmp_path / "data.txt", X, Y)
    assert not (tmp_path / "data.txt").exists()


def test_save_xc_text_leaves_its_input_alone(tmp_path):
    X = sp.csr_matrix((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3])))
    save_xc_text(tmp_path / "data.txt", X, sp.csc_array([[1, 0]]))
    assert X.indices.tolist() == [2, 0, 2]
    assert (tmp_path / "data.txt").read_text() == "1 3 2\n0 0:2.0 2:4.0\n"


# Pairs of matrices saved by SciPy


def save_parts(path, **changes):
    """Write a (2, 3) CSR matrix as save_npz does, with some of its members replaced."""
    parts = {
        "format": b"csr",
        "shape": np.array([2, 3]),
        "data": np.array([1.0, 1.0, 1.0], dtype=np.float32),
        "indices": np.array([0, 2, 1], dtype=np.int32),
        "indptr": np.array([0, 2, 3], dtype=np.int32),
    }
    parts.update(changes)
    np.savez(path, **{name: part for name, part in parts.items() if part is not None})
    return path


@pytest.fixture
def good(tmp_path):
    return save_parts(tmp_path / "good.npz")


@TMP
@given(
    data=data_sets(),
    form=st.sampled_from(["csr", "csc"]),
    index=st.sampled_from([np.int32, np.int64]),
    compressed=st.booleans(),
)
def test_npz_round_trip(tmp_path, data, form, index, compressed):
    paths = tmp_path / "X.npz", tmp_path / "Y.npz"
    for path, matrix in zip(paths, data, strict=True):
        matrix = sp.csr_array(matrix).asformat(form)
        matrix.indices = matrix.indices.astype(index)
        matrix.indptr = matrix.indptr.astype(index)
        sp.save_npz(path, matrix, compressed=compressed)
    for actual, expected in zip(load_npz_pair(*map(str, paths)), data, strict=True):
        assert_equal(actual, expected)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i8", ">i4", "f2", "f4", ">f8", "g"])
def test_npz_values_of_any_real_dtype(tmp_path, good, dtype):
    path = save_parts(tmp_path / "any.npz", data=np.ones(3, dtype=dtype))
    for matrix in load_npz_pair(path, path):
        assert_equal(matrix, [[1, 0, 1], [0, 1, 0]])


def test_npz_entries_are_sorted_and_summed(tmp_path, good):
    path = save_parts(
        tmp_path / "X.npz",
        data=np.array([100, 2, 100], dtype=np.int8),
        indices=np.array([2, 0, 2]),
        indptr=np.array([0, 3, 3]),
    )
    X, _ = load_npz_pair(path, good)
    assert_equal(X, [[2, 0, 200], [0, 0, 0]])


def test_npz_spare_capacity_and_stored_zeros_are_dropped(tmp_path, good):
    path = save_parts(
        tmp_path / "Y.npz",
        data=np.array([1, 0, 1, 7.0]),
        indices=np.array([0, 2, 1, 99]),
    )
    _, Y = load_npz_pair(good, path)
    assert_equal(Y, [[1, 0, 0], [0, 1, 0]])
    assert Y.nnz == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": np.array([0, 3, 1])}, r"indices must be in 0\.\.2, got 0\.\.3"),
        ({"indices": np.array([0, -1, 1])}, r"indices must be in 0\.\.2, got -1\.\.1"),
        ({"indices": np.array([0, 2**40, 1])}, "indices must be in"),
        ({"indices": np.array([0, 2**63, 1], dtype=np.uint64)}, "indices must be in"),
        ({"indices": np.array([0.0, 2.0, 1.0])}, "indices must be a vector of integers"),
        ({"indices": np.array([[0, 2, 1]])}, "indices must be a vector of integers"),
        ({"indices": np.array([0, 2])}, "indices and data must have the same length"),
        ({"indptr": np.array([0, 4, 3])}, "indptr must not decrease"),
        ({"indptr": np.array([0, 4, 3], dtype=np.uint8)}, "indptr must not decrease"),
        ({"indptr": np.array([0, -1, 3])}, "indptr must not decrease"),
        ({"indptr": np.array([0, 2, 9])}, r"at least indptr\[-1\] = 9, got 3 and 3"),
        ({"indptr": np.array([0, 2, 2**62])}, "indices and data must have the same length"),
        ({"indptr": np.array([1, 2, 3])}, "indptr must start at 0"),
        ({"indptr": np.array([0, 3])}, "indptr must start at 0 and have 3 entries, got 2"),
        ({"indptr": np.array([], dtype=int)}, "indptr must start at 0 and have 3 entries, got 0"),
        ({"indptr": np.array(3)}, "indptr must be a vector of integers"),
        ({"data": np.array([1.0, 1.0])}, "indices and data must have the same length"),
        ({"data": np.array([1j, 1, 1])}, "data must be a vector of real numbers"),
        ({"data": np.array(["1", "1", "1"])}, "data must be a vector of real numbers"),
        ({"data": np.array([1, None, 1], dtype=object)}, "expected a file written by"),
        ({"data": np.array([1.0, np.nan, 1.0])}, "NaN or infinity"),
        ({"data": np.array([1.0, np.inf, 1.0])}, "NaN or infinity"),
        ({"data": np.array([1.0, 1e300, 1.0])}, "NaN or infinity"),
        ({"shape": np.array([2, -3])}, "both sizes of shape must be in"),
        ({"shape": np.array([2, 2**40])}, "both sizes of shape must be in"),
        ({"shape": np.array([2, 3, 1])}, "shape must hold two integers"),
        ({"shape": np.array([2.0, 3.0])}, "shape must hold two integers"),
        ({"shape": np.array([2, 2])}, r"indices must be in 0\.\.1"),
        ({"format": b"coo"}, "format must be 'csr' or 'csc', got 'coo'"),
        ({"format": 3}, "format must be 'csr' or 'csc', got 3"),
        ({"format": None}, "expected a file written by"),
        ({"indptr": None}, "expected a file written by"),
    ],
)
def test_npz_hostile_archive_is_refused(tmp_path, good, changes, message):
    path = save_parts(tmp_path / "bad.npz", **changes)
    with pytest.raises(ValueError, match=r"bad\.npz:? .*" + message):
        load_npz_pair(path, good)


@pytest.mark.parametrize("values", [[1, 2, 1], [1, 0.5, 1], [1, -1, 1], [1, 1, 3]])
def test_npz_labels_must_be_zero_or_one(tmp_path, good, values):
    path = save_parts(tmp_path / "bad.npz", data=np.array(values, dtype=float))
    with pytest.raises(ValueError, match=r"bad\.npz must be a 0/1 indicator matrix"):
        load_npz_pair(good, path)


def test_npz_pair_must_agree_in_rows(tmp_path, good):
    path = save_parts(tmp_path / "Y.npz", shape=np.array([1, 3]), indptr=np.array([0, 3]))
    with pytest.raises(ValueError, match=r"the same number of rows, got 2 in .* and 1 in"):
        load_npz_pair(good, path)


def test_npz_never_unpickles(tmp_path, good):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    pickled = tmp_path / "bad.npz"
    pickled.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"bad\.npz: expected a file written by"):
        load_npz_pair(pickled, good)
    save_parts(pickled, data=np.array([Bomb()] * 3, dtype=object))
    with pytest.raises(ValueError, match=r"bad\.npz: expected a file written by"):
        load_npz_pair(pickled, good)


def test_npz_other_files_are_refused(tmp_path, good):
    array = io.BytesIO()
    np.save(array, np.eye(2))
    whole = good.read_bytes()
    for content in (b"", b"text", array.getvalue(), whole[: len(whole) // 2]):
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"bad\.npz: expected a file written by"):
            load_npz_pair(path, good)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_npz_pair(good, tmp_path / "nowhere.npz")
    with pytest.raises(TypeError, match=r"y_path must be a str or an os.PathLike"):
        load_npz_pair(good, None)


@TMP
@given(st.data())
def test_npz_random_damage_never_gives_a_bad_matrix(tmp_path, data):
    """Whatever bytes change inside the arrays, the result is a valid matrix or a ValueError."""
    small = st.integers(-2, 5)
    n = data.draw(st.integers(0, 4))
    vector = st.lists(small, max_size=5)
    path = save_parts(
        tmp_path / "X.npz",
        format=data.draw(st.sampled_from([b"csr", b"csc"])),
        shape=np.array([data.draw(small), data.draw(small)]),
        indices=np.array(data.draw(vector), dtype=np.int64),
        indptr=np.array(data.draw(vector), dtype=np.int64),
        data=np.ones(n, dtype=data.draw(st.sampled_from(["f4", "f8", "?", "i8"]))),
    )
    try:
        X, Y = load_npz_pair(path, path)
    except ValueError:
        return
    for matrix in (X, Y):
        assert_canonical(matrix, X.shape)
