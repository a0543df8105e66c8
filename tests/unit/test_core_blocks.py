"""Ranking many rows together, and skipping nodes that cannot matter, changes nothing."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    HALVES,
    DenseModel,
    assert_ranks_exactly,
    draw_beam,
    fixed_tree,
    frontier_of,
    is_product,
    layer_of,
    quantized_csr,
    quantized_model,
    random_csr,
    random_model,
    rank_all,
    rank_block,
    rounded,
    saturated_model,
)
from scipy import sparse as sp
from strategies import examples, label_trees, seeds

from skxmr import LabelTree
from skxmr._core import CSRView
from skxmr._ranking.post_processors import POST_PROCESSORS
from skxmr._ranking.tree_ranker import TreeRanker

BLOCK_ROWS = 2048  # as in search/beam.c
BEAMS = [1, 2, 3, 10, 1000]
ALL = sorted(POST_PROCESSORS)
PRODUCTS = [name for name in ALL if is_product(name)]


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- many rows and one ----

N_ROWS = 60  # different ones


def spread_over(matrix, n_columns, axis):
    """The same matrix with its rows or columns apart, so that indices of chunks are hash tables."""
    n = matrix.shape[axis]
    columns = np.sort(np.random.default_rng(n).choice(n_columns, n, replace=False))
    shape = (n_columns, matrix.shape[1]) if axis == 0 else (matrix.shape[0], n_columns)
    wide = np.zeros(shape, dtype=np.float32)
    wide[(columns,) if axis == 0 else (slice(None), columns)] = matrix
    return wide


@cache
def make_case(kind, hashed=False, weight_dtype="float32"):
    """A model with empty nodes and copies of labels, and rows for it, some without features."""
    rng = np.random.default_rng(0)
    tree = fixed_tree()
    if kind == "random":
        model, X = random_model(rng, tree, 40), random_csr(rng, N_ROWS, 40, density=0.2)
    elif kind == "quantized":
        model, X = quantized_model(rng, tree, 40), quantized_csr(rng, N_ROWS, 40, per_row=4)
    else:
        model, X = saturated_model(rng, tree, 40, 1000), abs(quantized_csr(rng, N_ROWS, 40, 2))
    X = X.toarray()
    X[::7] = 0
    if hashed:
        X = spread_over(X, 5000, 1)
        weights = [spread_over(W, 5000, 0) for W in model.weights]
        model = DenseModel(tree, weights, model.biases)
    model = model.compile(weight_dtype)
    n_words = np.diff(model.layers[-1].index_ptr).max()
    assert (n_words < -(-X.shape[1] // 64)) == hashed
    return model, sp.csr_matrix(X)


def draw_starts(rng, tree, level, scores):
    """A frontier for each row: some empty, some wide."""
    return [(level, draw_beam(rng, tree.n_nodes(level), 30, scores)) for _ in range(N_ROWS)]


def assert_blocks_are_rows(model, X, n_rows, starts=None, **options):
    """Rank n_rows rows, drawn from the N_ROWS of X, at once; and each of these for itself."""
    frontier = frontier_of(starts) if starts else None
    view = CSRView(X)
    rows = [rank_block(model, view, i, i + 1, frontier=frontier, **options) for i in range(N_ROWS)]
    which = np.random.default_rng(n_rows).integers(0, N_ROWS, n_rows)
    many = frontier_of([starts[i] for i in which]) if starts else None
    found = rank_all(model, X[which], frontier=many, **options)
    assert_same(found, [np.concatenate(part)[which] for part in zip(*rows, strict=True)])


@pytest.mark.parametrize("kind", ["random", "quantized"])
@pytest.mark.parametrize("post_processor", ALL)
def test_many_rows_are_ranked_as_each_for_itself(post_processor, kind):
    model, X = make_case(kind)
    for beam_width in BEAMS:
        options = {"k": 5, "beam_width": beam_width, "post_processor": post_processor}
        assert_blocks_are_rows(model, X, 2 * BLOCK_ROWS + 904, **options)


SCORES = {
    "halves": HALVES,
    "negative": [-3.0, -1.5, -1.0, -1.0, -1e-30],
    "beyond one": [0.5, 1.0, 1.5, 100.0, 1e30],
    "many infinite": [-np.inf, -np.inf, -np.inf, -1.0, 0.5],
    "zeros": [0.0, -0.0],
}


@examples(60)
@given(
    st.sampled_from(["random", "quantized", "saturated"]),
    st.booleans(),
    st.sampled_from(["float32", "float16"]),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from(sorted(SCORES)),
    st.fixed_dictionaries(
        {
            "k": st.sampled_from([1, 2, 3, 10, 119, 120, 200]),
            "beam_width": st.sampled_from(BEAMS),
            "post_processor": st.sampled_from(ALL),
            "floor": st.sampled_from([-np.inf, -3.0, 0.0, 0.25, 0.5, 1.0, 7.0]),
        }
    ),
    st.sampled_from([BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1]),
)
def test_blocks_of_rows_do_not_show(kind, hashed, weight_dtype, level, scores, options, n_rows):
    model, X = make_case(kind, hashed, weight_dtype)
    rng = np.random.default_rng(0)
    starts = None if level is None else draw_starts(rng, fixed_tree(), level, SCORES[scores])
    assert_blocks_are_rows(model, X, n_rows, starts, **options)


def test_any_number_of_rows_is_ranked_alike():
    model, X = make_case("random")
    X = sp.vstack([X] * 70, format="csr")
    options = {"k": 3, "beam_width": 4, "post_processor": "l3-hinge"}
    whole = rank_all(model, X, **options)
    view = CSRView(X)
    edges = [0, 1, 3, 3, 2000, 2000 + BLOCK_ROWS, 4049, X.shape[0]]
    parts = [rank_block(model, view, lo, hi, **options) for lo, hi in pairwise(edges)]
    assert_same([np.concatenate(part) for part in zip(*parts, strict=True)], whole)


def test_a_row_that_fills_a_block_by_itself():
    n = 300_000
    rng = np.random.default_rng(0)
    bias = rng.integers(-1000, 1000, n).astype(np.float32)
    layer = layer_of([0, n], np.zeros((1, n), np.float32), bias)
    model = TreeRanker([layer], np.arange(n, dtype=np.int32), n, 1)
    X = sp.csr_matrix((3, 1), dtype=np.float32)
    labels, scores = rank_all(model, X, k=n, beam_width=1, post_processor="noop")
    expected = np.argsort(-bias, kind="stable")
    for i in range(3):
        np.testing.assert_array_equal(labels[i], expected)
        np.testing.assert_array_equal(scores[i], bias[expected])


# ---- nodes skipped and none ----


def ones(rng, n_rows, n_columns):
    """Rows of up to two ones."""
    X = np.zeros((n_rows, n_columns), dtype=np.float32)
    for row in X:
        row[rng.integers(0, n_columns, rng.integers(0, 3))] = 1
    return sp.csr_matrix(X)


def unit_for(post_processor):
    """What keeps the scores of a saturated model exact: see there."""
    return 1000 if is_product(post_processor) or post_processor == "log-sigmoid" else 1


# Parents that score alike, whose children score as they do; and below zero, where a factor of 0
# lifts a child above its parent.
@examples(150)
@given(
    label_trees(max_children=6),
    seeds,
    st.sampled_from(ALL) | st.sampled_from(PRODUCTS),
    st.sampled_from(BEAMS),
    st.sampled_from([1, 2, 3, 1000]),
    st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0]),
    st.sampled_from([HALVES, [-1.0], [-1.0, 0.0, -2.0], [1.0], [0.5, 2.0]]),
    st.data(),
)
def test_scores_as_high_as_the_parents_are_ranked_as_by_the_reference(
    tree, seed, post_processor, beam_width, k, floor, scores, data
):
    rng = np.random.default_rng(seed)
    model = saturated_model(rng, tree, 5, unit_for(post_processor))
    level = data.draw(st.none() | st.integers(0, tree.n_levels - 1), label="level")
    starts = None
    if level is not None:
        starts = [(level, draw_beam(rng, tree.n_nodes(level), beam_width, scores)) for _ in "123"]
    options = {"k": k, "beam_width": beam_width, "post_processor": post_processor, "floor": floor}
    assert_ranks_exactly(model, ones(rng, 3, 5), starts, **options)


@pytest.mark.parametrize("k", [1, 4, 1000])
@pytest.mark.parametrize("beam_width", [10, 40])
@pytest.mark.parametrize("post_processor", ALL)
def test_wide_beams_of_equal_scores_are_ranked_as_by_the_reference(post_processor, beam_width, k):
    rng = np.random.default_rng(beam_width + k)
    model = saturated_model(rng, fixed_tree(), 12, unit_for(post_processor))
    X = ones(rng, 4, 12)
    options = {"k": k, "beam_width": beam_width, "post_processor": post_processor}
    assert_ranks_exactly(model, X, **options)
    for level, scores in [(2, HALVES), (2, [-1.0, -0.5]), (1, [1.0, 0.5, -1.0])]:
        n_nodes = model.tree.n_nodes(level)
        starts = [(level, draw_beam(rng, n_nodes, beam_width, scores)) for _ in range(4)]
        assert_ranks_exactly(model, X, starts, **options)


@pytest.mark.parametrize("post_processor", ["log-l1-hinge", "log-l3-hinge", "log-sigmoid", "noop"])
def test_nodes_that_score_minus_infinity_are_ranked_as_by_the_reference(post_processor):
    rng = np.random.default_rng(0)
    model = saturated_model(rng, fixed_tree(), 12, unit_for(post_processor))
    X, scores = ones(rng, 6, 12), [-np.inf, -np.inf, -1.0]
    starts = [(1, draw_beam(rng, 6, 6, scores)) for _ in range(6)]
    for k in (1, 5, 1000):
        options = {"k": k, "beam_width": 40, "post_processor": post_processor}
        assert_ranks_exactly(model, X, starts, **options)


@pytest.mark.parametrize("post_processor", PRODUCTS)
def test_children_of_negative_parents_may_score_above_them(post_processor):
    # The best parent's children are certain, the worst one's impossible: -1 < -2 * 0.
    tree = LabelTree([[0, 2], [0, 2, 4]], range(4))
    biases = [np.zeros(2, np.float32), np.array([1e3, 1e3, -1e3, -1e3], np.float32)]
    model = DenseModel(tree, [np.zeros((1, 2)), np.zeros((1, 4))], biases).compile()
    X = sp.csr_matrix((1, 1), dtype=np.float32)
    start = frontier_of([(1, [(0, -1.0), (1, -2.0)])])
    options = {"k": 1, "beam_width": 2, "post_processor": post_processor}
    labels, scores = rank_all(model, X, frontier=start, **options)
    assert (labels.tolist(), scores.tolist()) == ([[2]], [[0.0]])


# ---- half precision ----


def many_widths(rng):
    """A tree of nodes of 6, 3, 0, 16, 17, 101 and 300 children, and then of few."""
    last = np.cumsum([0, *rng.integers(0, 5, 437)])
    return LabelTree(
        [[0, 6], np.cumsum([0, 3, 0, 16, 17, 101, 300]), last], rng.permutation(last[-1])
    )


@cache
def half_case(n_features):
    """A model with rows of all forms and weights of all magnitudes, as it is and rounded."""
    rng = np.random.default_rng(n_features)
    model = random_model(rng, many_widths(rng), n_features)
    for W in model.weights:
        W *= 2.0 ** rng.integers(-22, 4, (n_features, 1))
        W[rng.random(W.shape) < np.linspace(0, 1, n_features)[:, None]] = 0
    weights = [rounded(W, "float16") for W in model.weights]
    return model.compile("float16"), DenseModel(model.tree, weights, model.biases).compile()


@pytest.mark.parametrize("n_features", [90, 2000])
@pytest.mark.parametrize("post_processor", ALL)
def test_half_precision_is_single_precision_of_rounded_weights(post_processor, n_features):
    half, single = half_case(n_features)
    assert {layer.weight_dtype for layer in half.layers} == {"float16"}
    assert half.nbytes < single.nbytes
    X = random_csr(np.random.default_rng(0), 50, n_features, density=0.1)
    for beam_width in (1, 10, 1000):
        options = {"k": 20, "beam_width": beam_width, "post_processor": post_processor}
        assert_same(rank_all(half, X, **options), rank_all(single, X, **options))
