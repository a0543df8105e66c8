"""Models of PECOS XR-Linear: its own predictions, a dense reference, and damaged folders.

The model and the predictions in tests/data/pecos were written by libpecos 1.2.8 (beam 5, 10 labels
a row); the feature and label matrices are synthetic.
"""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from scipy import special
from strategies import examples

import skxmr

DATA = Path(__file__).parent.parent / "data" / "pecos"
PREDICTED = ["l3-hinge", "log-l2-hinge", "noop", "sigmoid"]


# ---- what PECOS itself predicted ----

RANK_ALL = f"""
import sys
import numpy as np
import scipy.sparse as sp
import skxmr
from skxmr._core import ISA
assert ISA == sys.argv[3], ISA
clf = skxmr.pecos.load(sys.argv[1] + "/model").set_params(beam_width=5)
X = sp.load_npz(sys.argv[1] + "/X.npz")
out = {{}}
for name in {PREDICTED}:
    out[name + " labels"], out[name + " scores"] = clf.set_params(post_processor=name).rank(X, 10)
np.savez(sys.argv[2], **out)
"""


@pytest.mark.parametrize("isa", slow_except(["avx2"], ["baseline", "avx2", "avx512"]))
def test_predictions_are_those_of_pecos(isa, tmp_path):
    out = tmp_path / "rankings.npz"
    done = subprocess.run(
        [sys.executable, "-c", RANK_ALL, str(DATA), str(out), isa],
        env={**os.environ, "SKXMR_ISA": isa},
        cwd=tmp_path,  # not the repository, whose skxmr need not be the one installed
        capture_output=True,
        text=True,
        check=False,
    )
    if "is not an instruction set that this processor can run" in done.stderr:
        pytest.skip(f"this processor has no {isa}")
    assert done.returncode == 0, done.stderr
    found = np.load(out)
    for name in PREDICTED:
        expected = sp.load_npz(DATA / f"predictions.{name}.npz")
        shape = (expected.shape[0], 10)
        assert_array_equal(found[f"{name} labels"], expected.indices.reshape(shape), err_msg=name)
        assert_allclose(
            found[f"{name} scores"], expected.data.reshape(shape), rtol=0, atol=1e-6, err_msg=name
        )


def test_a_loaded_model_is_a_fitted_classifier(tmp_path):
    clf = skxmr.pecos.load(str(DATA / "model"))
    X = sp.load_npz(DATA / "X.npz")
    assert clf.post_processor == "l3-hinge"
    assert clf.beam_width == 20
    assert (clf.n_features_in_, clf.n_labels_, clf.n_levels_) == (X.shape[1], 600, 3)
    assert_array_equal(clf.classes_, np.arange(600))
    assert type(clf.predict(X)) is sp.csr_matrix
    assert clf.decision_function(X).shape == (X.shape[0], 600)
    clf.save(tmp_path / "model")
    for copied in (pickle.loads(pickle.dumps(clf)), skxmr.load(tmp_path / "model")):
        for found, expected in zip(copied.rank(X), clf.rank(X), strict=True):
            assert_array_equal(found, expected)


# ---- models made by hand ----


def transform(name, v):
    """What PECOS calls f."""
    hinge = np.maximum(0, 1 - v)
    if name == "noop":
        return v
    if name == "sigmoid":
        return special.expit(v)
    if name == "log-sigmoid":
        return -np.logaddexp(0, -v)
    power = int(name.removeprefix("log-")[1])
    return -(hinge**power) if name.startswith("log-") else np.exp(-(hinge**power))


def combine(name, value, parent):
    if name == "noop":
        return value
    return value + parent if name.startswith("log-") else value * parent


def dense_ranking(levels, bias, x, k, beam, name):
    """PECOS's prediction from its definition: [(label, score), ...] for one row."""
    kept = {0: None}
    for depth, (W, C) in enumerate(levels):
        margin = x @ W[: len(x)] + (bias * W[len(x)] if bias > 0 else 0)
        value = transform(name, margin)
        scores = {
            int(child): value[child] if parent is None else combine(name, value[child], parent)
            for node, parent in kept.items()
            for child in np.flatnonzero(C[:, node])
        }
        width = k if depth == len(levels) - 1 else beam
        kept = dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:width])
    return list(kept.items())


def random_levels(rng, n_features, parents, bias=1.0):
    """Weights and cluster matrices; parents[d] lists the parent of each child, -1 for none."""
    levels, n_nodes = [], 1
    for of_child in parents:
        of_child = np.asarray(of_child)
        C = np.zeros((len(of_child), n_nodes), dtype=np.float32)
        C[np.flatnonzero(of_child >= 0), of_child[of_child >= 0]] = 1
        # Small enough that no hinge underflows in float32.
        W = 0.3 * rng.standard_normal((n_features + (bias > 0), len(of_child))).astype(np.float32)
        W[rng.random(W.shape) < 0.4] = 0
        levels.append((W, C))
        n_nodes = len(of_child)
    return levels


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def save(folder, levels, bias=1.0, post_processor="l3-hinge", with_top_C=True, index_dtype=None):
    """Write levels as XLinearModel.save does."""
    n_features = levels[0][0].shape[0] - (bias > 0)
    write_json(folder / "param.json", {"__meta__": {"class_fullname": "###XLinearModel"}})
    sizes = [W.shape[1] for W, _ in levels]
    ranker = {"model": "HierarchicalMLModel", "depth": len(levels), "nr_features": n_features}
    codes = {"nr_codes": levels[-1][1].shape[1], "nr_labels": sizes[-1]}
    write_json(folder / "ranker" / "param.json", {**ranker, **codes})
    for d, (W, C) in enumerate(levels):
        inner = folder / "ranker" / f"{d}.model"
        sizes = {"nr_labels": W.shape[1], "nr_features": n_features, "nr_codes": C.shape[1]}
        options = {"only_topk": 20, "post_processor": post_processor}
        content = {"model": "MLModel", "bias": bias, **sizes, "pred_kwargs": options}
        write_json(inner / "param.json", content)
        for name, matrix in (("W", W), ("C", C)):
            if name == "W" or d > 0 or with_top_C:
                matrix = sp.csc_matrix(matrix)
                if index_dtype:
                    matrix.indices = matrix.indices.astype(index_dtype)
                    matrix.indptr = matrix.indptr.astype(index_dtype)
                sp.save_npz(inner / f"{name}.npz", matrix)
    return folder


def reachable(levels):
    """Labels that the tree leads to."""
    nodes = np.ones(1)
    for _, C in levels:
        nodes = C @ nodes
    return set(np.flatnonzero(nodes).tolist())


TREES = {
    "one level": [[0] * 6],
    "contiguous": [[0, 0, 0], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]],
    "children apart": [[0, 0, 0], [2, 0, 1, 2, 0, 1], [5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5]],
    "empty nodes": [[0, 0, 0], [0, 2, 0, 2], [0, 3, 0, 3, 1]],
    "labels nowhere": [[0, 0, 0], [1, -1, 0, 2, -1, 2, 1, 0]],
    "first and last label nowhere": [[0, 0], [-1, 1, 0, 0, 1, -1]],
    "pruned node": [[0, 0, 0], [0, -1, 1, 2], [0, 1, 1, 3, 2]],
    "wide": [[0] * 2, np.arange(500) % 2],
}


@pytest.mark.parametrize("tree", TREES)
def test_ranking_is_that_of_the_definition(tmp_path, tree):
    rng = np.random.default_rng(0)
    levels = random_levels(rng, 8, TREES[tree])
    X = rng.standard_normal((12, 8)).astype(np.float32)
    clf = skxmr.pecos.load(save(tmp_path, levels))
    assert clf.n_labels_ == len(TREES[tree][-1])
    for name in (*PREDICTED, "log-sigmoid", "l1-hinge", "log-l4-hinge"):
        for beam in (1, 2, 10):
            clf.set_params(beam_width=beam, post_processor=name)
            assert_ranks_as_defined(clf, levels, X, beam, name)


def assert_ranks_as_defined(clf, levels, X, beam, name):
    k = clf.n_labels_
    for x, labels, scores in zip(X, *clf.rank(X, k), strict=True):
        expected = dict(dense_ranking(levels, 1.0, x.astype(np.float64), k, beam, name))
        n = len(expected)
        assert set(labels[:n]) == set(expected)
        # Of the order, float32 leaves open what is closer than its rounding.
        assert (scores[1:] <= scores[:-1]).all()
        assert_allclose(scores[:n], [expected[label] for label in labels[:n]], rtol=1e-4, atol=1e-6)
        # What follows are labels that PECOS's tree does not lead to, if anything.
        assert not set(labels[n:]) & reachable(levels)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 0.5, 2.0])
def test_bias_is_a_row_of_weights_times_its_value(tmp_path, bias):
    rng = np.random.default_rng(1)
    levels = random_levels(rng, 5, TREES["contiguous"], bias)
    x = rng.standard_normal(5).astype(np.float32)
    clf = skxmr.pecos.load(save(tmp_path, levels, bias=bias)).set_params(beam_width=10)
    expected = dense_ranking(levels, bias, x.astype(np.float64), 12, 10, "l3-hinge")
    labels, scores = clf.rank(x[None], 12)
    assert labels[0].tolist() == [label for label, _ in expected]
    assert_allclose(scores[0], [score for _, score in expected], rtol=1e-4)


def test_half_precision_is_single_precision_of_rounded_weights(tmp_path):
    rng = np.random.default_rng(1)
    levels = random_levels(rng, 8, TREES["children apart"])
    rounded = [(W.astype(np.float16).astype(np.float32), C) for W, C in levels]
    for found, (W, _) in zip(rounded, levels, strict=True):
        found[0][-1] = W[-1]  # biases stay
    X = rng.standard_normal((12, 8)).astype(np.float32)
    half = skxmr.pecos.load(save(tmp_path / "half", levels), weight_dtype="float16")
    single = skxmr.pecos.load(save(tmp_path / "single", rounded))
    assert (half.weight_dtype, single.weight_dtype) == ("float16", "float32")
    assert {layer.weight_dtype for layer in half._fitted.rankers[0].layers} == {"float16"}
    for name in PREDICTED:
        half.set_params(post_processor=name)
        single.set_params(post_processor=name)
        for found, expected in zip(half.rank(X, 12), single.rank(X, 12), strict=True):
            assert_array_equal(found, expected)


def test_half_precision_ranks_nearly_as_pecos(tmp_path):
    clf = skxmr.pecos.load(DATA / "model", weight_dtype="float16").set_params(beam_width=5)
    X = sp.load_npz(DATA / "X.npz")
    expected = sp.load_npz(DATA / "predictions.l3-hinge.npz")
    labels, scores = clf.rank(X, 10)
    shape = (expected.shape[0], 10)
    assert (labels == expected.indices.reshape(shape)).mean() > 0.98
    assert_allclose(scores, expected.data.reshape(shape), rtol=0, atol=2e-3)
    clf.save(tmp_path / "model")
    for found, kept in zip(
        skxmr.load(tmp_path / "model").rank(X, 10), (labels, scores), strict=True
    ):
        assert_array_equal(found, kept)


@pytest.mark.parametrize("weight_dtype", ["float64", None, np.float16])
def test_wrong_weight_dtypes_are_named(weight_dtype):
    with pytest.raises(ValueError, match="weight_dtype must be"):
        skxmr.pecos.load(DATA / "model", weight_dtype=weight_dtype)


def test_weights_that_half_precision_does_not_hold(tmp_path):
    levels = random_levels(np.random.default_rng(1), 5, TREES["contiguous"])
    levels[1][0][2, 3] = -65536
    skxmr.pecos.load(save(tmp_path, levels))
    with pytest.raises(ValueError, match="weight_dtype='float16' holds weights up to 65504"):
        skxmr.pecos.load(tmp_path, weight_dtype="float16")


@pytest.mark.parametrize("options", [{"with_top_C": False}, {"index_dtype": np.int64}])
def test_variants_of_the_format_are_the_same_model(tmp_path, options):
    levels = random_levels(np.random.default_rng(2), 5, TREES["contiguous"])
    x = np.ones((1, 5), dtype=np.float32)
    usual = skxmr.pecos.load(save(tmp_path / "usual", levels)).rank(x)
    variant = skxmr.pecos.load(save(tmp_path / "variant", levels, **options)).rank(x)
    for found, expected in zip(variant, usual, strict=True):
        assert_array_equal(found, expected)


def test_settings_are_those_the_model_was_saved_with(tmp_path):
    levels = random_levels(np.random.default_rng(3), 5, TREES["contiguous"])
    clf = skxmr.pecos.load(save(tmp_path, levels, post_processor="log-l2-hinge"))
    assert clf.post_processor == "log-l2-hinge"
    assert clf.beam_width == 20


# ---- damaged folders ----


@pytest.fixture
def model(tmp_path):
    levels = random_levels(np.random.default_rng(4), 7, TREES["contiguous"])
    return save(tmp_path / "model", levels)


def inner(model, depth=1):
    return model / "ranker" / f"{depth}.model"


def edit_json(path, **changes):
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def npz(path):
    with np.load(path) as archive:
        return dict(archive)


@pytest.mark.parametrize(
    "name",
    ["", "ranker", "ranker/param.json", "ranker/1.model", "ranker/1.model/param.json"]
    + [f"ranker/{d}.model/W.npz" for d in range(3)],
)
def test_missing_files_are_not_found(model, name):
    path = model / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError):
        skxmr.pecos.load(model)


def test_a_missing_cluster_matrix_fits_only_the_top(model):
    (inner(model) / "C.npz").unlink()
    with pytest.raises(ValueError, match="C of"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize(
    "variant",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") + b"\r\n\r\n",
        lambda text: text + b"\n\n",
    ],
)
def test_json_as_editors_save_it(model, variant):
    before = skxmr.pecos.load(model)
    for path in model.rglob("param.json"):
        path.write_bytes(variant(path.read_bytes()))
    after = skxmr.pecos.load(model)
    X = np.eye(before.n_features_in_, dtype=np.float32)
    for a, b in zip(after.rank(X, 3), before.rank(X, 3), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '"x"', "\x00", "{'a': 1}"])
@pytest.mark.parametrize("name", ["ranker/param.json", "ranker/1.model/param.json"])
def test_json_that_is_none_is_refused(model, name, text):
    (model / name).write_text(text)
    with pytest.raises(ValueError, match=r"param\.json"):
        skxmr.pecos.load(model)


WRONG_INTEGERS = [0, -1, 1.5, "3", None, True, [3], 2**31, 2**80, float("nan"), ...]


@pytest.mark.parametrize("value", WRONG_INTEGERS)
@pytest.mark.parametrize("key", ["depth", "nr_features", "nr_labels"])
def test_wrong_sizes_are_refused(model, key, value):
    edit_json(model / "ranker" / "param.json", **{key: value})
    with pytest.raises(ValueError, match=key):
        skxmr.pecos.load(model)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("depth", 4, FileNotFoundError),
        ("depth", 2**31 - 1, FileNotFoundError),
        ("depth", 2, ValueError),
        ("nr_features", 8, ValueError),
        ("nr_features", 2**31 - 1, ValueError),
        ("nr_labels", 11, ValueError),
        ("model", "MLModel", ValueError),
        ("model", None, ValueError),
    ],
)
def test_sizes_that_do_not_fit_are_refused(model, key, value, error):
    edit_json(model / "ranker" / "param.json", **{key: value})
    with pytest.raises(error):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("value", ["1", None, True, float("nan"), float("inf"), [1.0]])
def test_a_bias_that_is_no_number_is_refused(model, value):
    edit_json(inner(model) / "param.json", bias=value)
    with pytest.raises(ValueError, match="bias"):
        skxmr.pecos.load(model)


def test_a_bias_that_the_weights_have_no_row_for_is_refused(model):
    edit_json(inner(model) / "param.json", bias=-1.0)
    with pytest.raises(ValueError, match="W of shape"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"post_processor": "softmax"}, "post_processor"),
        ({"post_processor": None}, "post_processor"),
        ({"post_processor": ["noop"]}, "post_processor"),
        ({"only_topk": 0}, "only_topk"),
        ({"only_topk": "20"}, "only_topk"),
        ({"only_topk": None}, "only_topk"),
    ],
)
def test_wrong_settings_are_refused(model, options, message):
    edit_json(inner(model) / "param.json", pred_kwargs=options)
    with pytest.raises(ValueError, match=message):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("name", ["W", "C"])
def test_truncated_matrices_are_refused(model, name):
    file = inner(model) / f"{name}.npz"
    whole = file.read_bytes()
    for length in [0, 1, 10, 100, *range(200, len(whole), 61), len(whole) - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{name}.npz"):
            skxmr.pecos.load(model)


@pytest.mark.parametrize("name", ["W", "C"])
def test_flipped_bytes_are_refused_or_harmless(model, name):
    file = inner(model) / f"{name}.npz"
    whole = file.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(len(whole), size=100):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        file.write_bytes(damaged)
        try:
            clf = skxmr.pecos.load(model)
        except ValueError:
            continue
        assert clf.rank(np.ones((1, 7), dtype=np.float32))[0].max() < clf.n_labels_


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
@pytest.mark.parametrize(
    "name",
    [
        "ranker/param.json",
        "ranker/0.model/param.json",
        "ranker/0.model/W.npz",
        "ranker/1.model/C.npz",
    ],
)
def test_only_regular_files_are_read(model, name, kind):
    (model / name).unlink()
    if kind == "pipe":
        os.mkfifo(model / name)
    else:
        (model / name).symlink_to(kind)
    with pytest.raises(ValueError, match="not a regular file"):
        skxmr.pecos.load(model)


def test_pickles_are_never_loaded(model):
    class Evil:
        def __reduce__(self):
            return (Path(model / "pwned").touch, ())

    file = inner(model) / "W.npz"
    np.savez(file, **{**npz(file), "data": np.array([Evil()], dtype=object)})
    with pytest.raises(ValueError, match=r"W\.npz"):
        skxmr.pecos.load(model)
    assert not (model / "pwned").exists()


def put(array, at, value):
    array = array.copy()
    array[at] = value
    return array


HOSTILE = {
    "index too large": lambda a: {"indices": put(a["indices"], 0, 10**6)},
    "index just too large": lambda a: {"indices": put(a["indices"], 0, a["shape"][0])},
    "negative index": lambda a: {"indices": put(a["indices"], 0, -1)},
    "wide index": lambda a: {"indices": put(a["indices"].astype(np.int64), 0, 2**32)},
    "unsigned index": lambda a: {"indices": put(a["indices"].astype(np.uint64), 0, 2**64 - 1)},
    "fewer indices": lambda a: {"indices": a["indices"][:-1]},
    "fewer values": lambda a: {"data": a["data"][:-1]},
    "pointers fall": lambda a: {"indptr": put(a["indptr"], 1, 10**6)},
    "negative pointer": lambda a: {"indptr": put(a["indptr"], 1, -1)},
    "pointers end beyond": lambda a: {"indptr": put(a["indptr"], -1, 10**6)},
    "pointers start late": lambda a: {"indptr": put(a["indptr"], 0, 1)},
    "fewer pointers": lambda a: {"indptr": a["indptr"][:-1]},
    "fractional indices": lambda a: {"indices": a["indices"] + 0.5},
    "matrix of values": lambda a: {"data": a["data"][None]},
    "words": lambda a: {"data": a["data"].astype(str)},
    "complex": lambda a: {"data": a["data"].astype(complex)},
    "NaN": lambda a: {"data": put(a["data"], 0, np.nan)},
    "infinite": lambda a: {"data": put(a["data"], 0, np.inf)},
    "beyond float32": lambda a: {"data": put(a["data"].astype(np.float64), 0, 1e39)},
    "other format": lambda a: {"format": np.array(b"coo")},
    "format is a list": lambda a: {"format": np.array([b"csc", b"csr"])},
    "negative shape": lambda a: {"shape": -a["shape"]},
    "huge shape": lambda a: {"shape": np.array([2**40, 2**40])},
    "three sizes": lambda a: {"shape": np.array([*a["shape"], 1])},
    "transposed shape": lambda a: {"shape": a["shape"][::-1]},
    "fractional shape": lambda a: {"shape": a["shape"] + 0.5},
    "no values": lambda a: {"data": None},
    "no shape": lambda a: {"shape": None},
}


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("name", ["W", "C"])
def test_hostile_matrices_are_refused(model, name, how):
    file = inner(model) / f"{name}.npz"
    arrays = {**npz(file), **HOSTILE[how](npz(file))}
    np.savez(file, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ValueError, match=rf"{name}\.npz|W of shape"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("name", ["W", "C"])
@pytest.mark.parametrize("change", [lambda m: m[:, :-1], lambda m: m[:-1], lambda m: m[:0]])
def test_matrices_of_other_shapes_are_refused(model, name, change):
    file = inner(model) / f"{name}.npz"
    sp.save_npz(file, sp.csc_matrix(change(sp.load_npz(file).toarray())))
    with pytest.raises(ValueError, match="W of shape"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_archives_are_refused(model, content):
    (inner(model) / "W.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"W\.npz"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("name", ["W", "C"])
def test_columns_that_nothing_backs_are_refused(model, name):
    """A file of a few bytes must not make arrays of gigabytes."""
    file = inner(model) / f"{name}.npz"
    arrays = npz(file)
    many = sp.csc_matrix(
        (arrays["data"], arrays["indices"], arrays["indptr"]), arrays["shape"]
    ).tocsr()
    shape = np.array([many.shape[0], 2**30])
    np.savez(
        file, format=b"csr", shape=shape, data=many.data, indices=many.indices, indptr=many.indptr
    )
    with pytest.raises(ValueError, match=rf"{name}\.npz claims 1073741824 columns"):
        skxmr.pecos.load(model)


@pytest.mark.parametrize("n", [900, 9000])
def test_headers_nested_too_deep_are_refused(model, n):
    header = b"-" * n + b"1"
    with zipfile.ZipFile(inner(model) / "W.npz", "w") as archive:
        for name in npz(inner(model) / "C.npz"):
            content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(ValueError, match=r"W\.npz"):
        skxmr.pecos.load(model)


FILES = [f"ranker/{d}.model/{name}" for d in range(3) for name in ("W.npz", "C.npz", "param.json")]
FILES += ["param.json", "ranker/param.json"]


def try_loading(folder):
    """Load a model that may be damaged, and rank; errors have to be of the right kind."""
    try:
        clf = skxmr.pecos.load(folder)
    except (ValueError, FileNotFoundError):
        return
    ones = np.ones(2, dtype=np.float32), ([0, 1], [0, 0])
    labels, _ = clf.rank(sp.csr_matrix(ones, shape=(2, clf.n_features_in_)), 3)
    assert labels.max() < clf.n_labels_


@given(st.data())
@examples(30)
def test_swapped_and_changed_files_are_refused_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("pecos") / "model"
    save(folder, random_levels(np.random.default_rng(4), 7, TREES["contiguous"]))
    names = [name for name in FILES if (folder / name).exists()]
    for _ in range(data.draw(st.integers(1, 3))):
        a, b = (folder / data.draw(st.sampled_from(names)) for _ in range(2))
        content = bytearray(a.read_bytes() or bytes(1))
        if a != b:
            b.write_bytes(content)
        else:
            at, new = data.draw(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)))
            content[at % len(content) : at % len(content) + len(new)] = new
            a.write_bytes(content[: data.draw(st.integers(0, 4 * len(content)))])
    try_loading(folder)


def put_any(array, at, value):
    """The array with one element changed to any number that its type holds."""
    out = array.copy().reshape(-1)
    if len(out):
        with np.errstate(all="ignore"):
            out[at % len(out)] = np.array(value).astype(out.dtype)
    return out.reshape(array.shape)


@given(st.data())
@examples(40)
def test_any_element_of_any_matrix_is_refused_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("pecos") / "model"
    save(folder, random_levels(np.random.default_rng(4), 7, TREES["contiguous"]))
    files = sorted(folder.rglob("*.npz"))
    for _ in range(data.draw(st.integers(1, 3))):
        file = data.draw(st.sampled_from(files))
        arrays = npz(file)
        name = data.draw(st.sampled_from(["data", "indices", "indptr", "shape"]))
        value = data.draw(st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 40))
        arrays[name] = put_any(arrays[name], data.draw(st.integers(0, 10**6)), value)
        np.savez(file, **arrays)
    try_loading(folder)


def test_a_row_major_matrix_is_taken(model):
    before = skxmr.pecos.load(model).rank(np.ones((1, 7), dtype=np.float32))
    for name in ("W", "C"):
        file = inner(model) / f"{name}.npz"
        sp.save_npz(file, sp.load_npz(file).tocsr())
    after = skxmr.pecos.load(model).rank(np.ones((1, 7), dtype=np.float32))
    for found, expected in zip(after, before, strict=True):
        assert_array_equal(found, expected)


def test_many_features_cost_nothing_where_there_are_no_weights(tmp_path):
    folder = save(tmp_path, random_levels(np.random.default_rng(0), 5, [[0] * 4]))
    many = 2**31 - 1
    sp.save_npz(folder / "ranker/0.model/W.npz", sp.csc_matrix((many, 4), dtype="f4"))
    edit_json(folder / "ranker/param.json", nr_features=many - 1)
    clf = skxmr.pecos.load(folder)
    assert clf.n_features_in_ == many - 1
    assert clf._fitted.rankers[0].nbytes < 1000


def test_inner_nodes_with_several_parents_are_refused(tmp_path):
    # Each level would multiply the tree by its number of parents.
    levels = [(np.ones((3, 50), "f4"), np.ones((50, k), "f4")) for k in (1, 50, 50, 50)]
    with pytest.raises(ValueError, match="several parents"):
        skxmr.pecos.load(save(tmp_path, levels))


def test_unreachable_labels_have_finite_scores(tmp_path):
    levels = random_levels(np.random.default_rng(0), 8, TREES["labels nowhere"])
    clf = skxmr.pecos.load(save(tmp_path, levels))
    for power in (1, 2, 3, 4):
        clf.set_params(post_processor=f"log-l{power}-hinge", beam_width=10)
        assert np.isfinite(clf.decision_function(np.ones((1, 8), dtype="f4")).data).all()


def test_levels_with_different_post_processors_are_refused(tmp_path):
    folder = save(tmp_path, random_levels(np.random.default_rng(0), 8, TREES["contiguous"]))
    options = {"only_topk": 20, "post_processor": "sigmoid"}
    edit_json(folder / "ranker/0.model/param.json", pred_kwargs=options)
    with pytest.raises(ValueError, match="post_processor"):
        skxmr.pecos.load(folder)
