"""Matrices and scratch memory that are mapped from files."""

import pickle
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from scipy import sparse as sp
from strategies import csr_matrices, examples

from skxmr._core import (
    CSRView,
    NodeExamples,
    Scratch,
    TrainParams,
    csr_hash_rows,
    csr_rows_equal,
    kmeans,
    train_columns,
)
from skxmr._core._scratch import scratch_fields
from skxmr._utils import parallel
from skxmr._utils.mapped_csr import MappedCSRWriter
from skxmr._utils.sparse import group_sums


def mapped(folder, *blocks):
    with MappedCSRWriter(folder) as writer:
        for block in blocks:
            writer.append(block)
        return writer.take(blocks[0].shape[1])


@pytest.fixture
def X():
    """More rows than are read between two releases of pages."""
    rng = np.random.default_rng(0)
    X = sp.random(5000, 40, 0.2, "csr", dtype=np.float32, random_state=rng)
    X.sort_indices()
    return X


def assert_equal(left, right):
    assert left.shape == right.shape
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@examples(60)
@given(csr_matrices(), csr_matrices())
def test_blocks_are_joined(tmp_path_factory, first, second):
    second = sp.csr_matrix((second.data, second.indices, second.indptr), (second.shape[0], 8))
    first = sp.csr_matrix((first.data, first.indices, first.indptr), (first.shape[0], 8))
    matrix = mapped(tmp_path_factory.mktemp("m"), first, second)
    joined = sp.vstack([first, second], format="csr")
    assert_equal(matrix, joined)
    assert matrix.nnz == joined.nnz
    assert_equal(matrix.matrix(), joined)
    assert_equal(matrix[:], joined)
    copy = pickle.loads(pickle.dumps(matrix))
    assert_equal(copy, joined)
    matrix.remove()
    assert list(matrix.folder.iterdir()) == []


def test_rows(tmp_path, X, monkeypatch):
    monkeypatch.setattr("skxmr._utils.mapped_csr._BLOCK_ENTRIES", 100)
    matrix = mapped(tmp_path, X)
    assert len(pickle.dumps(matrix)) < 400
    rows = np.random.default_rng(1).integers(X.shape[0], size=300)
    assert_equal(matrix[rows], X[rows])
    assert_equal(matrix[1:2000:7], X[1:2000:7])
    assert isinstance(matrix[rows], sp.csr_matrix)
    blocks = list(matrix.blocks(rows))
    assert max(block.nnz for block in blocks) < 150
    assert_equal(sp.vstack(blocks, format="csr"), X[rows])
    assert list(matrix.blocks(rows[:0])) == []


def test_functions_of_c(tmp_path, X):
    matrix = mapped(tmp_path, X)
    assert CSRView(matrix).struct.mapped
    assert not CSRView(X).struct.mapped
    np.testing.assert_array_equal(csr_hash_rows(matrix), csr_hash_rows(X))
    rows = np.arange(X.shape[0], dtype=np.int32)
    others = np.where(rows % 3, rows, rows[::-1]).astype(np.int32)
    np.testing.assert_array_equal(
        csr_rows_equal(matrix, rows, others), csr_rows_equal(X, rows, others)
    )
    pointers = np.array([0, 5, 5, 4000, 5000])
    options = {"normalize": True, "n_jobs": 2, "what": ""}
    weight = np.linspace(1, 2, len(rows), dtype=np.float32)
    sums = group_sums(matrix, pointers, rows, weight, **options)
    assert_equal(sums, group_sums(X, pointers, rows, weight, **options))
    weighted = sp.diags_array(weight.astype(np.float64)) @ X.astype(np.float64)
    expected = np.array([weighted[a:b].sum(axis=0) for a, b in pairwise(pointers)])
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-30)
    np.testing.assert_allclose(sums.matrix().toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("balanced", [False, True])
def test_kmeans_in_scratch_memory(tmp_path, X, balanced):
    rows = np.arange(0, X.shape[0], 1, dtype=np.int32)
    options = {"balanced": balanced, "spherical": False, "max_iter": 5, "seed": 3}
    clusters, n_iter = kmeans(CSRView(X), rows, 4, **options)
    scratch = Scratch(0, str(tmp_path))
    same, same_iter = kmeans(CSRView(mapped(tmp_path, X)), rows, 4, scratch=scratch, **options)
    np.testing.assert_array_equal(same, clusters)
    assert same_iter == n_iter


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
@pytest.mark.parametrize("n_dense", [0, 3])
def test_training_in_scratch_memory(tmp_path, X, loss, n_dense):
    n = X.shape[0]
    positives = [np.arange(c, n, 7 + c, dtype=np.int32) for c in range(20)]
    pointers = np.cumsum([0, *map(len, positives)])
    node = NodeExamples(np.arange(n, dtype=np.int32), pointers, np.concatenate(positives))
    params = TrainParams(loss, 1.0, 1.0, 0.1, 10, 0.01, n_dense)
    source = np.arange(n, dtype=np.int32)[::-1].copy()
    expected, n_iter = train_columns(CSRView(X), node, source, None, params, 5)
    view = CSRView(mapped(tmp_path, X))
    scratch = Scratch(0, str(tmp_path))
    found, same_iter = train_columns(view, node, source, None, params, 5, scratch)
    assert same_iter == n_iter
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scratch_memory(tmp_path):
    with scratch_fields(None, 100) as (_, n_bytes):
        assert n_bytes == 0
    with scratch_fields(Scratch(100, str(tmp_path)), 100) as (_, n_bytes):
        assert n_bytes == 0
    with scratch_fields(Scratch(99, str(tmp_path)), 100) as (buffer, n_bytes):
        assert n_bytes == 100
        buffer[99] = 7
        assert list(tmp_path.iterdir()) == []  # the file has no name
    with (
        pytest.raises(OSError, match=r"space|large"),
        scratch_fields(Scratch(0, str(tmp_path)), 1 << 60),
    ):
        pass


def resident_pages():
    """Return the bytes of the pages of files in the memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return 1024 * int(fields["RssFile"].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_are_dropped(tmp_path):
    """Of a matrix of 64 MB, only a part is in the memory of the process at the end of a call."""
    n_rows, length = 80_000, 100
    indices = np.tile(np.arange(length, dtype=np.int32), n_rows)
    pointers = np.arange(n_rows + 1) * length
    data = np.ones(len(indices), dtype=np.float32)
    matrix = mapped(tmp_path, sp.csr_matrix((data, indices, pointers)))
    del data, indices
    before = resident_pages()
    matrix.data.sum()
    assert resident_pages() - before > 25e6
    csr_hash_rows(matrix)
    assert resident_pages() - before < 10e6
    matrix.indices.sum()
    matrix.drop_pages()
    assert resident_pages() - before < 10e6


def test_results_in_files(tmp_path):
    tasks = [(i, 3) for i in range(20)]
    costs = [1] * 19 + [50]
    with parallel.in_order(divmod, tasks, costs, n_jobs=3, what="", folder=tmp_path) as results:
        assert list(results) == [divmod(*task) for task in tasks]
    assert list(tmp_path.iterdir()) == []
