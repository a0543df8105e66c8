"""Fitting to X and y in shards: the model is that of the rows in memory."""

import os
import pickle
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datasets import embedded_rows, labels_as_features
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from scipy import sparse as sp
from shards import files_of, in_shards, save_shards
from strategies import examples, seeds

from skxmr import KMeansIndexer, TrieIndexer, XRLinearClassifier, load
from skxmr._core import Scratch
from skxmr._utils import parallel
from skxmr.datasets import Shards


@pytest.fixture(scope="module")
def topics():
    return labels_as_features(300, 30, label_density=0.06, noise=0.05)


@pytest.fixture
def shards(topics, tmp_path):
    return in_shards(tmp_path, *topics)


def assert_same_model(folder, other):
    files = files_of(folder)
    assert files.keys() == files_of(other).keys()
    assert [name for name in files if files[name] != files_of(other)[name]] == []


def indexer(**params):
    """An indexer that divides a few labels."""
    return KMeansIndexer(branching=3, max_leaf_size=4, **{"balanced": False, **params})


VARIANTS = {
    "defaults": {},
    "trees": {"n_trees": 2, "weight_dtype": "float16"},
    "matcher": {"negative_sampling": "tfn+man", "n_neighbors": None, "n_jobs": 2},
    "disentangled": {"max_clusters_per_label": 2, "threshold": "auto"},
    "balanced": {"indexer": indexer(balanced=True), "loss": "log_loss"},
    "tuned": {"n_neighbors": "auto", "bias": 0},
    "not spherical": {"indexer": indexer(spherical=False)},
    "embeddings": {"label_embedding": "pifa+pii"},
    "texts": {"indexer": TrieIndexer()},
}


@pytest.mark.parametrize("scratch", [False, True], ids=["memory", "scratch files"])
@pytest.mark.parametrize("what", slow_except(["defaults", "matcher", "balanced"], VARIANTS))
def test_the_model_is_that_of_fit(topics, shards, tmp_path, monkeypatch, what, scratch):
    X, Y = topics
    names = [f"topic {i}" for i in range(Y.shape[1])]
    options = {"indexer": indexer(), "random_state": 0, **VARIANTS[what]}
    XRLinearClassifier(**options).fit(X, Y, label_names=names, folder=tmp_path / "whole")
    if scratch:  # all copies of rows lie in mapped files
        for module in ("skxmr._training.chunks", "skxmr.indexers._clusters"):
            monkeypatch.setattr(f"{module}.scratch_of_task", lambda: Scratch(0, str(tmp_path)))
    clf = XRLinearClassifier(**options)
    clf.fit(*shards, label_names=names, folder=tmp_path / "model")
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    assert sorted(os.listdir(tmp_path)) == ["X", "Y", "model", "whole"]
    assert len(os.listdir(tmp_path / "model")) == 2
    assert clf.n_features_in_ == X.shape[1]
    np.testing.assert_array_equal(clf.rank(X).scores, load(tmp_path / "whole").rank(X).scores)


def test_other_input_of_fit(topics, shards, tmp_path):
    """Everything except label examples may be given, and y need not be in shards."""
    X, Y = topics
    rng = np.random.default_rng(0)
    relevance = Y.copy()
    relevance.data = rng.integers(1, 3, Y.nnz).astype(np.float32)
    given = {
        "sample_weight": rng.integers(0, 3, X.shape[0]),
        "relevance": relevance,
        "negatives": sp.random(*Y.shape, 0.05, "csr", random_state=0),
    }
    XRLinearClassifier(random_state=0).fit(X, Y, **given, folder=tmp_path / "whole")
    XRLinearClassifier(random_state=0).fit(shards[0], Y, **given, folder=tmp_path / "model")
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    classes = np.arange(X.shape[0]) % 7
    XRLinearClassifier(random_state=0).fit(X, classes, folder=tmp_path / "whole")
    clf = XRLinearClassifier(random_state=0).fit(shards[0], classes, folder=tmp_path / "model")
    assert_same_model(tmp_path / "model", tmp_path / "whole")
    assert clf.predict(X[:3]).shape == (3,)


@examples(20)
@given(st.data(), seeds)
def test_any_shards(data, seed):
    """Equal and empty rows, empty shards, any format and dtype, unsorted and repeated entries."""
    rng = np.random.default_rng(seed)
    n_rows, n_features, n_labels = (data.draw(st.integers(2, most)) for most in (12, 18, 6))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int32]))
    X = rng.integers(0, 3, (n_rows, n_features)).astype(dtype)
    Y = rng.integers(0, 2, (n_rows, n_labels)).astype(dtype)
    Y[0, 0] = 1
    edges = sorted(data.draw(st.lists(st.integers(0, n_rows), max_size=4)))
    edges = [0, *edges, n_rows]
    make = data.draw(st.sampled_from([sp.csr_matrix, sp.csc_matrix, doubled]))
    clf = XRLinearClassifier(KMeansIndexer(branching=2, max_leaf_size=1), random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, matrix, kind in (("X", X, make), ("Y", Y, sp.csr_matrix)):
            (folder / name).mkdir()
            for i, (begin, end) in enumerate(pairwise(edges)):
                sp.save_npz(folder / name / f"{i}.npz", kind(matrix[begin:end]))
        clf.fit(make(X), sp.csr_matrix(Y), folder=folder / "whole")
        clf.fit(Shards(folder / "X"), Shards(folder / "Y"), folder=folder / "model")
        assert_same_model(folder / "model", folder / "whole")


def doubled(matrix):
    """The same matrix with each entry in two parts, in decreasing order of columns."""
    matrix = sp.csr_matrix(matrix)
    half = matrix.data / 2
    arrays = (np.repeat(half, 2)[::-1], np.repeat(matrix.indices, 2)[::-1])
    backwards = sp.csr_matrix((*arrays, 2 * matrix.nnz - 2 * matrix.indptr[::-1]), matrix.shape)
    return backwards[::-1] if matrix.shape[0] else backwards


def test_tasks_have_no_rows(topics, shards, tmp_path, monkeypatch):
    """Tasks contain the names of files and results are names of files."""
    X, Y = topics
    sizes = []

    def measured(function, tasks, order, n_jobs, brief):
        for i in order:
            result = function(*tasks[i])
            shared = [arg for arg in tasks[i] if isinstance(arg, np.ndarray)]
            own = [arg for arg in tasks[i] if not isinstance(arg, np.ndarray)]
            assert sum(array.nbytes for array in shared) <= 8 * 4 * (X.shape[0] + Y.nnz)
            sizes.append((function.__name__, len(pickle.dumps(own)), len(pickle.dumps(result))))
            yield i, result

    monkeypatch.setattr(parallel, "_stream", measured)
    XRLinearClassifier(indexer(), random_state=0).fit(*shards, folder=tmp_path / "model")
    assert {name for name, _, _ in sizes} == {"_stored", "_kmeans_rows"}
    assert max(size for _, size, _ in sizes) < 4 * 3 * (X.shape[0] + Y.nnz)
    assert max(size for name, _, size in sizes if name == "_stored") < 300


def test_blocks(topics, shards):
    X, _ = topics
    blocks = list(shards[0].blocks())
    assert len(blocks) == 4
    np.testing.assert_array_equal(sp.vstack(blocks).toarray(), X.toarray())
    assert shards[0].shape == X.shape
    assert repr(shards[0]).startswith("Shards('")


def test_bad_folders(tmp_path):
    with pytest.raises(TypeError, match="folder must be a str or a path, got 3"):
        Shards(3)
    with pytest.raises(FileNotFoundError):
        Shards(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"folder must have files \*\.npz, got none"):
        Shards(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"a\.npz: expected a file written by scipy"):
        Shards(tmp_path)
    sp.save_npz(tmp_path / "a.npz", sp.csr_matrix((2, 3)))
    sp.save_npz(tmp_path / "b.npz", sp.csr_matrix((2, 4)))
    with pytest.raises(ValueError, match=r"columns, got 3 in .*a\.npz and 4 in .*b\.npz"):
        Shards(tmp_path)


def fails(error, match, X, y, folder, **given):
    """Assert that fit fails, and that nothing is left in the folder."""
    with pytest.raises(error, match=match):
        XRLinearClassifier(random_state=0).fit(X, y, folder=folder, **given)
    assert folder is None or not folder.exists()


def test_bad_combinations(topics, shards, tmp_path):
    X, Y = shards
    folder = tmp_path / "model"
    fails(ValueError, "folder must be the folder of the model if X is in shards", X, Y, None)
    fails(TypeError, "X must be Shards if y is, got a csr_matrix", topics[0], Y, folder)
    examples = topics[0][: Y.shape[1]]
    fails(ValueError, "label_examples must be None", X, Y, folder, label_examples=examples)
    fails(ValueError, "inconsistent numbers of samples", X, topics[1][:-1], folder)
    (Y.folder / "part-001.npz").rename(Y.folder / "part-004.npz")
    match = "shards of the same names, got 'part-001.npz' in only one"
    fails(ValueError, match, X, Shards(Y.folder), folder)
    other = save_shards(tmp_path / "other", topics[1], [0, 2, 2, 151, 300])
    match = "same numbers of rows, got 1 in .*X.part-000.npz and 2 in .*other.part-000.npz"
    fails(ValueError, match, X, other, folder)
    with pytest.raises(TypeError, match="in Shards is not read as a whole"):
        np.asarray(X)


def test_dense_columns(tmp_path):
    X, Y, _ = embedded_rows()
    X, Y = in_shards(tmp_path, X, Y)
    fails(ValueError, "X must have no dense columns if it is in shards", X, Y, tmp_path / "model")
    XRLinearClassifier(dense_columns=0).fit(X, Y, folder=tmp_path / "model")


def test_bad_content(topics, shards, tmp_path):
    X, Y = shards
    folder = tmp_path / "model"
    block = sp.csr_matrix(topics[0][2:3])
    block.data[-1] = np.nan
    part = X.folder / "part-000.npz"
    sp.save_npz(part, block)
    fails(ValueError, "part-000.npz contains NaN", Shards(X.folder), Y, folder)
    fails(ValueError, "part-000.npz must not change while it is used", X, Y, folder)
    part.unlink()
    fails(FileNotFoundError, "part-000.npz", X, Y, folder)
    X = Shards(X.folder)
    twos = 2 * topics[1]
    twos = save_shards(tmp_path / "twos", twos, [0, 1, 150, 300, 300])
    whole = save_shards(tmp_path / "whole", topics[0], [0, 1, 150, 300, 300])
    fails(ValueError, "must be a 0/1 indicator matrix, but holds 2.0", whole, twos, folder)


def test_a_file_changes_while_it_is_read(shards, tmp_path, monkeypatch):
    import skxmr._data.shards as module

    read = module.read_npz_matrix

    def replaced(path):
        matrix = read(path)
        os.utime(path, ns=(1, 1))
        return matrix

    monkeypatch.setattr(module, "read_npz_matrix", replaced)
    fails(ValueError, "must not change while it is used", *shards, tmp_path / "model")


@pytest.mark.parametrize("where", ["_training.chunks.train_columns", "indexers._clusters.kmeans"])
def test_an_interrupted_fit_keeps_the_model_before(topics, shards, tmp_path, monkeypatch, where):
    folder = tmp_path / "model"
    clf = XRLinearClassifier(indexer(), random_state=0).fit(*shards, folder=folder)
    before = files_of(folder)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"skxmr.{where}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*shards, folder=folder)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*shards, folder=tmp_path / "new")
    assert files_of(folder) == before
    assert len(os.listdir(folder)) == 2
    assert not (tmp_path / "new").exists()
    assert clf.rank(topics[0]).scores.shape == (300, 10)
