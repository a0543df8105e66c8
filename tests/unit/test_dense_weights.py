"""Weights of dense features, in the search and the solvers, compared with slow references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import (
    dense_weights,
    fixed_tree,
    layer_of,
    node_problem,
    objective,
    random_csr,
    random_model,
    rank_all,
    rank_block,
    rounded,
    solve,
    with_constant,
)
from scipy import sparse as sp
from strategies import examples, seeds

from skxmr import LabelTree
from skxmr._core import CHUNK_WIDTH, CSRView, TrainParams, read_chunk, train_columns
from skxmr._ranking.tree_ranker import TreeRanker

SIZES = st.sampled_from([1, 2, 15, 16, 17, 63, 64, 65, 130])
WIDTHS = st.sampled_from([1, 3, 4, 5, 8, 9, 15, 16, 17, 28, 33, CHUNK_WIDTH, CHUNK_WIDTH + 1])
DTYPES = ["float32", "float16"]


def rows_of(rng, n_rows, n_sparse, n_dense, *, zeros=0.0):
    """Sparse columns and full ones after them; some values of these may be missing."""
    values = rng.normal(size=(n_rows, n_dense)).astype(np.float32)
    values[rng.random(values.shape) < zeros] = 0
    sparse = random_csr(rng, n_rows, n_sparse) if n_sparse else sp.csr_matrix((n_rows, 0))
    return sp.csr_matrix(sp.hstack([sparse, sp.csr_matrix(values)]), dtype=np.float32)


def one_level(rng, width, n_features, n_dense, weight_dtype):
    """A model whose only node has `width` children, and its weights and biases."""
    W = rng.normal(size=(n_features, width)).astype(np.float32)
    bias = rng.normal(size=width).astype(np.float32)
    layer = layer_of([0, width], W, bias, weight_dtype, n_dense)
    ranker = TreeRanker([layer], np.arange(width, dtype=np.int32), width, n_features)
    return ranker, rounded(W, weight_dtype).astype(np.float64), bias


# ---- search ----


@examples(40)
@given(
    seeds,
    st.integers(1, 11),
    st.sampled_from([0, 1, 70]),
    SIZES,
    WIDTHS,
    st.sampled_from(DTYPES),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_margins_are_products(seed, n_rows, n_sparse, n_dense, width, weight_dtype, zeros):
    rng = np.random.default_rng(seed)
    X = rows_of(rng, n_rows, n_sparse, n_dense, zeros=zeros)
    ranker, W, bias = one_level(rng, width, n_sparse + n_dense, n_dense, weight_dtype)
    ranker.layers[0].check(n_sparse + n_dense)
    labels, scores = rank_all(ranker, X, k=width, beam_width=1, post_processor="noop")
    found = np.take_along_axis(scores, np.argsort(labels, axis=1), axis=1)
    A = X.toarray().astype(np.float64)
    tolerance = 1e-6 * (abs(A) @ abs(W) + abs(bias) + 1)
    assert (abs(found - (A @ W + bias)) <= tolerance).all()


@pytest.mark.parametrize("n_dense", [1, 37, 90])
@pytest.mark.parametrize("weight_dtype", DTYPES)
@pytest.mark.parametrize("post_processor", ["l3-hinge", "log-sigmoid", "noop"])
def test_rankings_equal_those_of_sparse_weights(n_dense, weight_dtype, post_processor):
    # To the last bit: the products are added in the order of the features in both.
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 90, density=1.0)
    X = rows_of(rng, 70, 90 - n_dense, n_dense, zeros=0.05)
    options = {"k": 20, "beam_width": 4, "post_processor": post_processor}
    expected = rank_all(model.compile(weight_dtype), X, **options)
    dense = model.compile(weight_dtype, n_dense=n_dense)
    assert_array_equal(rank_all(dense, X, **options), expected)
    for i in range(0, 70, 9):  # alone, and in other company
        row = rank_block(dense, CSRView(X), i, i + 1, **options)
        assert_array_equal(row, [part[i : i + 1] for part in expected])
        part = rank_block(dense, CSRView(X), i, min(i + 7, 70), **options)
        assert_array_equal(part, [e[i : i + 7] for e in expected])


@pytest.mark.parametrize("weight_dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 4, 5, 16, 28, CHUNK_WIDTH])
def test_chunks_are_read_as_they_were_written(width, weight_dtype):
    rng = np.random.default_rng(0)
    ranker, W, _bias = one_level(rng, width, 40, 19, weight_dtype)
    layer = ranker.layers[0]
    columns = read_chunk(layer.chunk(0), 40)
    assert_allclose(dense_weights(columns, 40), W, rtol=0)
    child = layer.child(width - 1, 40)
    assert child.dense is None
    assert_allclose(dense_weights(child, 40)[:, 0], W[:, -1], rtol=0)


def test_pruning_keeps_dense_weights():
    rng = np.random.default_rng(0)
    ranker, W, _bias = one_level(rng, 20, 40, 19, "float32")
    for weight_dtype in DTYPES:
        pruned = ranker.layers[0].prune(40, 0.5, 1.0, weight_dtype)
        found = dense_weights(read_chunk(pruned.chunk(0), 40), 40)
        expected = np.where((np.arange(40)[:, None] >= 21) | (abs(W) >= 0.5), W, 0)
        assert_array_equal(found, rounded(expected, weight_dtype))


@pytest.mark.parametrize(
    "change",
    [
        {"n_dense": 5},
        {"n_dense": -1},
        {"n_dense": 1.0},
        {"n_dense": 2**62},
        {"dense": np.zeros(3, dtype=np.uint8)},
        {"dense": np.zeros(4, dtype=np.float32)},
    ],
)
def test_contradictions_of_a_layer_are_refused(change):
    layer = one_level(np.random.default_rng(0), 6, 40, 19, "float32")[0].layers[0]
    for name, value in change.items():
        object.__setattr__(layer, name, value)
    with pytest.raises(ValueError, match=r"n_dense|dense"):
        layer.check_pointers()


def test_weights_beyond_float16_are_refused():
    W = np.ones((20, 4), dtype=np.float32)
    W[-1, 2] = 70000
    with pytest.raises(ValueError, match="float16"):
        layer_of([0, 4], W, np.zeros(4), "float16", 3)


# ---- training ----


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
@pytest.mark.parametrize(
    ("n_rows", "n_sparse", "n_dense", "zeros"),
    [(60, 12, 1, 0.0), (61, 0, 17, 0.0), (62, 9, 16, 0.5), (3, 5, 9, 0.0), (63, 0, 8, 1.0)],
)
def test_training_finds_the_optimum(loss, n_rows, n_sparse, n_dense, zeros):
    rng = np.random.default_rng(0)
    X = rows_of(rng, n_rows, n_sparse, n_dense, zeros=zeros)
    positive = rng.random((n_rows, 19)) < 0.3
    params = TrainParams(loss, 1.0, 1.0, 1e-5, 5000, 0.0, n_dense)
    rows = np.arange(n_rows, dtype=np.int32)
    columns, _ = train_columns(CSRView(X), node_problem(positive), rows, None, params, 1)
    assert columns.dense.shape == (19, n_dense)
    assert (columns.features < n_sparse).all()
    W = np.vstack([dense_weights(columns, X.shape[1]), columns.bias]).astype(np.float64)
    A, cost = with_constant(X, 1.0), np.ones(n_rows)
    for c, column in enumerate(positive.T):
        sign = np.where(column, 1.0, -1.0)
        w = solve(loss, A, sign, cost)
        best = objective(loss, A, sign, cost, w)[0]
        assert objective(loss, A, sign, cost, W[:, c])[0] <= best * (1 + 1e-6)
        assert_allclose(W[:, c], w, atol=2e-3)


@examples(15)
@given(seeds, st.integers(1, 40), st.sampled_from([0, 1, 20]), SIZES, st.integers(1, 33))
def test_a_pass_equals_that_over_sparse_columns(seed, n_rows, n_sparse, n_dense, n_children):
    # Four rows are visited at once, but the result is that of visits one by one, up to rounding.
    rng = np.random.default_rng(seed)
    X = rows_of(rng, n_rows, n_sparse, n_dense, zeros=rng.choice([0.0, 0.2]))
    positive = rng.random((n_rows, n_children)) < 0.3
    rows = np.arange(n_rows, dtype=np.int32)
    for loss in ("squared_hinge", "log_loss"):
        weights = [
            dense_weights(
                train_columns(
                    CSRView(X),
                    node_problem(positive),
                    rows,
                    None,
                    TrainParams(loss, 1.0, 1.0, 1e-9, 1, 0.0, n),
                    3,
                )[0],
                X.shape[1],
            )
            for n in (0, n_dense)
        ]
        assert_allclose(*weights, atol=1e-4)


def test_small_dense_weights_are_kept():
    rng = np.random.default_rng(0)
    X = rows_of(rng, 50, 10, 20)
    problem = node_problem(rng.random((50, 5)) < 0.3)
    rows = np.arange(50, dtype=np.int32)
    params = TrainParams("squared_hinge", 1.0, 1.0, 0.1, 20, 1e9, 20)
    columns, _ = train_columns(CSRView(X), problem, rows, None, params, 1)
    assert len(columns.values) == 0
    assert np.count_nonzero(columns.dense) == columns.dense.size


def test_n_dense_beyond_the_columns_is_refused():
    X = rows_of(np.random.default_rng(0), 5, 2, 3)
    problem = node_problem(np.ones((5, 1), dtype=bool))
    params = TrainParams("squared_hinge", 1.0, 1.0, 0.1, 20, 0.0, 6)
    with pytest.raises(ValueError, match="argument"):
        train_columns(CSRView(X), problem, np.arange(5, dtype=np.int32), None, params, 1)


def test_trees_of_one_feature():
    tree = LabelTree([[0, 2], [0, 3, 5]], range(5))
    model = random_model(np.random.default_rng(0), tree, 1, density=1.0)
    X = sp.csr_matrix(np.float32([[1.5], [0.0], [-2.0]]))
    options = {"k": 5, "beam_width": 2, "post_processor": "l3-hinge"}
    expected = rank_all(model.compile(), X, **options)
    assert_array_equal(rank_all(model.compile(n_dense=1), X, **options), expected)
