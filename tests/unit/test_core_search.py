import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    DenseModel,
    assert_ranks_exactly,
    beam_search,
    draw_beam,
    fixed_tree,
    frontier_of,
    is_product,
    padded,
    quantized_csr,
    quantized_model,
    random_csr,
    random_model,
    rank_all,
    rank_block,
)
from scipy import sparse as sp
from strategies import examples, label_trees, seeds

from skxmr import LabelTree
from skxmr._core import CSRView
from skxmr._ranking.post_processors import POST_PROCESSORS

# Sums of a few halves are exact in float32, and so are low powers of them: with these
# post-processors rankings must agree to the last tie.
EXACT = ["noop", "log-l1-hinge", "log-l2-hinge", "log-l3-hinge", "log-l4-hinge"]
N_FEATURES = [1, 5, 64, 65, 200]


# ---- against the reference ----


@given(
    label_trees(),
    seeds,
    st.sampled_from(N_FEATURES),
    st.sampled_from(EXACT),
    st.integers(1, 6) | st.just(1000),
    st.integers(1, 8) | st.just(1000),
)
def test_ranking_is_that_of_the_reference_ties_included(
    tree, seed, n_features, post_processor, beam_width, k
):
    rng = np.random.default_rng(seed)
    model = quantized_model(rng, tree, n_features)
    X = quantized_csr(rng, 3, n_features, per_row=4)
    options = {"k": k, "beam_width": beam_width, "post_processor": post_processor}
    assert_ranks_exactly(model, X, **options)


@examples(50)
@given(label_trees(), seeds, st.sampled_from(EXACT), st.integers(-8, 4).map(lambda n: n / 2))
def test_the_floor_leaves_out_lower_scores_only(tree, seed, post_processor, floor):
    rng = np.random.default_rng(seed)
    model = quantized_model(rng, tree, 10)
    X = quantized_csr(rng, 3, 10, per_row=3)
    options = {"k": 5, "beam_width": 3, "post_processor": post_processor}
    assert_ranks_exactly(model, X, floor=floor, **options)


@examples(50)
@given(label_trees(), seeds, st.sampled_from(EXACT), st.integers(1, 5), st.data())
def test_ranking_from_a_frontier_is_that_of_the_reference(
    tree, seed, post_processor, beam_width, data
):
    rng = np.random.default_rng(seed)
    model = quantized_model(rng, tree, 10)
    X = quantized_csr(rng, 3, 10, per_row=3)
    level = data.draw(st.integers(0, tree.n_levels - 1), label="level")
    starts = [(level, draw_beam(rng, tree.n_nodes(level), beam_width)) for _ in range(3)]
    options = {"k": 5, "beam_width": beam_width, "post_processor": post_processor}
    assert_ranks_exactly(model, X, starts=starts, **options)


def test_a_frontier_wider_than_the_beam_is_cut_to_its_best():
    tree = LabelTree([[0, 4], [0, 2, 4, 6, 8]], range(8))
    model = quantized_model(np.random.default_rng(0), tree, 5)
    X = quantized_csr(np.random.default_rng(1), 1, 5, per_row=3)
    options = {"k": 8, "beam_width": 2, "post_processor": "log-l1-hinge"}
    wide = frontier_of([(1, [(0, -1), (3, 0), (1, -2), (2, -1)])])
    narrow = frontier_of([(1, [(0, -1), (3, 0)])])
    compiled = model.compile()
    wide, narrow = (rank_all(compiled, X, frontier=f, **options) for f in (wide, narrow))
    np.testing.assert_array_equal(wide[0], narrow[0])
    np.testing.assert_array_equal(wide[1], narrow[1])
    assert set(wide[0][0]) == {0, 1, 6, 7, -1}


@pytest.mark.parametrize("beam_width", [1, 3, 1000])
@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_scores_are_those_of_the_reference(post_processor, beam_width):
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 100)
    X = random_csr(rng, 30, 100, density=0.1)
    options = {"k": 20, "beam_width": beam_width, "post_processor": post_processor}
    labels, scores = rank_all(model.compile(), X, **options)
    decided = 0
    for i, x in enumerate(X.toarray()):
        expected, closest = beam_search(model, x, **options)
        if closest < 1e-4:
            continue  # rounding may settle which node the beam keeps
        decided += 1
        want_labels, want_scores = (np.array(part) for part in padded(expected, 20))
        np.testing.assert_allclose(scores[i], want_scores, rtol=1e-4, atol=1e-5)
        scale = np.abs(want_scores[:-1]) if is_product(post_processor) else 1
        with np.errstate(invalid="ignore"):  # gaps between the -inf of padding
            apart = -np.diff(want_scores) > 1e-4 * scale
        clear = np.append(apart, False) & np.append(True, apart)
        np.testing.assert_array_equal(labels[i][clear], want_labels[clear])
    assert decided >= 25


@pytest.mark.parametrize("post_processor", ["noop", "log-l2-hinge"])
@pytest.mark.parametrize("n_children", [239, 240, 241, 480, 700])
def test_nodes_of_more_children_than_a_chunk_holds(n_children, post_processor):
    rng = np.random.default_rng(0)
    tree = LabelTree(
        [[0, n_children], [0, 3, *range(3, n_children + 2)]],
        rng.permutation(n_children + 2 - 1),
    )
    model = quantized_model(rng, tree, 150, density=0.1)
    X = quantized_csr(rng, 4, 150, per_row=6)
    options = {"k": 50, "beam_width": 260, "post_processor": post_processor}
    assert_ranks_exactly(model, X, **options)


def test_beams_of_many_chunks_and_queries_of_many_features():
    # More chunks than are scored together, and more (feature, chunk) pairs than fit one tile.
    rng = np.random.default_rng(0)
    tree = LabelTree([[0, 100], np.arange(0, 501, 5)], rng.permutation(500))
    model = quantized_model(rng, tree, 80, density=0.3)
    X = quantized_csr(rng, 3, 80, per_row=60)
    assert_ranks_exactly(model, X, k=400, beam_width=90, post_processor="noop")
    assert_ranks_exactly(model, X, k=400, beam_width=90, post_processor="log-l1-hinge")


def test_chunks_with_hashed_indices_are_searched_alike():
    rng = np.random.default_rng(0)
    tree = LabelTree([[0, 3], [0, 2, 4, 9]], range(9))
    model = quantized_model(rng, tree, 30)
    columns = np.sort(rng.choice(20_000, 30, replace=False))
    spread = []
    for W in model.weights:
        wide = np.zeros((20_000, W.shape[1]), dtype=np.float32)
        wide[columns] = W
        spread.append(wide)
    wide_model = DenseModel(tree, spread, model.biases)
    assert len(wide_model.compile().layers[0].index) < 20_000 / 64
    X = quantized_csr(rng, 5, 20_000, per_row=3).tolil()
    X[:, columns] = quantized_csr(rng, 5, 30, per_row=5).toarray()
    assert_ranks_exactly(wide_model, X.tocsr(), k=9, beam_width=2, post_processor="noop")


# ---- ends of the range ----


def tie_model():
    """Twelve labels of equal margin in three clusters, and no feature that matters."""
    tree = LabelTree([[0, 3], [0, 4, 8, 12]], np.arange(12)[::-1])
    weights = [np.zeros((4, 3), np.float32), np.zeros((4, 12), np.float32)]
    return DenseModel(tree, weights, [np.ones(3, np.float32), np.ones(12, np.float32)])


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_ties_go_to_lower_nodes_and_then_to_lower_labels(post_processor):
    X = random_csr(np.random.default_rng(0), 1, 4, density=1)
    labels, scores = rank_all(
        tie_model().compile(), X, k=5, beam_width=2, post_processor=post_processor
    )
    # The clusters 0 and 1 are kept; they hold the labels 11 to 8 and 7 to 4.
    assert labels.tolist() == [[4, 5, 6, 7, 8]]
    assert len(set(scores[0])) == 1


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_an_empty_query_is_ranked_by_the_biases(post_processor):
    tree = LabelTree([[0, 2], [0, 2, 4]], range(4))
    weights = [np.ones((3, 2), np.float32), np.ones((3, 4), np.float32)]
    biases = [np.array([0, 0.5], np.float32), np.array([0.1, -1, 0.3, 0.2], np.float32)]
    X = sp.csr_matrix((1, 3), dtype=np.float32)
    options = {"k": 4, "beam_width": 1, "post_processor": post_processor}
    labels, _ = rank_all(DenseModel(tree, weights, biases).compile(), X, **options)
    assert labels.tolist() == [[2, 3, -1, -1]]


def test_copies_of_a_label_count_once_with_their_best_score():
    tree = LabelTree([[0, 2], [0, 3, 6]], [0, 1, 2, 0, 1, 3])
    bias = np.array([1, 5, 3, 4, 2, 0], dtype=np.float32)
    weights = [np.zeros((1, 2), np.float32), np.zeros((1, 6), np.float32)]
    model = DenseModel(tree, weights, [np.zeros(2, np.float32), bias]).compile()
    X = sp.csr_matrix((1, 1), dtype=np.float32)
    for k in range(1, 6):
        labels, scores = rank_all(model, X, k=k, beam_width=2, post_processor="noop")
        assert labels.tolist() == [[1, 0, 2, 3, -1][:k]]
        assert scores.tolist() == [[5, 4, 3, 0, -np.inf][:k]]


def test_a_beam_that_ends_in_empty_nodes_finds_nothing():
    tree = LabelTree([[0, 2], [0, 0, 2]], [0, 1])
    weights = [np.zeros((1, 2), np.float32)] * 2
    biases = [np.array([1, 0], np.float32), np.zeros(2, np.float32)]
    X = sp.csr_matrix((1, 1), dtype=np.float32)
    model = DenseModel(tree, weights, biases).compile()
    labels, scores = rank_all(model, X, k=2, beam_width=1, post_processor="noop")
    assert labels.tolist() == [[-1, -1]]
    assert scores.tolist() == [[-np.inf, -np.inf]]


def test_a_wide_beam_holds_more_nodes_than_there_are_slots():
    tree = LabelTree([[0, 3], [0, 0, 0, 1]], [0])
    weights, biases = [np.zeros((1, 3), np.float32), np.zeros((1, 1), np.float32)], [[3, 2, 1], [0]]
    model = DenseModel(tree, weights, [np.array(bias, np.float32) for bias in biases]).compile()
    X = sp.csr_matrix((1, 1), dtype=np.float32)
    found = {w: rank_all(model, X, k=1, beam_width=w, post_processor="noop")[0] for w in (2, 3, 4)}
    assert {w: labels.tolist() for w, labels in found.items()} == {2: [[-1]], 3: [[0]], 4: [[0]]}


def test_a_row_with_an_empty_frontier_finds_nothing():
    starts = [(1, [(0, 0.0)]), (1, []), (1, [(2, 0.0)])]
    X = random_csr(np.random.default_rng(0), 3, 4)
    options = {"k": 12, "beam_width": 3, "post_processor": "noop"}
    labels, _ = rank_all(tie_model().compile(), X, frontier=frontier_of(starts), **options)
    assert [set(row) - {-1} for row in labels] == [{8, 9, 10, 11}, set(), {0, 1, 2, 3}]


@pytest.mark.parametrize(("post_processor", "root"), [("sigmoid", 1.0), ("log-l2-hinge", 0.0)])
def test_a_frontier_at_the_root_is_no_frontier(post_processor, root):
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 50).compile()
    X = random_csr(rng, 5, 50)
    options = {"k": 10, "beam_width": 4, "post_processor": post_processor}
    from_root = rank_all(model, X, **options)
    started = rank_all(model, X, frontier=frontier_of([(0, [(0, root)])] * 5), **options)
    np.testing.assert_array_equal(from_root[0], started[0])
    np.testing.assert_array_equal(from_root[1], started[1])


def test_stepping_through_the_levels_is_searching_them_at_once():
    # A frontier with the scores of the search gives the results of the search.
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 50)
    X = random_csr(rng, 4, 50)
    options = {"beam_width": 3, "post_processor": "l3-hinge"}
    whole = rank_all(model.compile(), X, k=10, **options)
    top = DenseModel(LabelTree([[0, 6]], range(6)), model.weights[:1], model.biases[:1])
    nodes, scores = rank_all(top.compile(), X, k=3, **options)
    starts = [(1, list(zip(*row, strict=True))) for row in zip(nodes, scores, strict=True)]
    stepped = rank_all(model.compile(), X, k=10, frontier=frontier_of(starts), **options)
    np.testing.assert_array_equal(whole[0], stepped[0])
    np.testing.assert_array_equal(whole[1], stepped[1])


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
@pytest.mark.parametrize("margin", [-1e4, -100.0, -30.0, 0.0, 1.0, 30.0, 100.0, 1e4])
def test_extreme_margins_give_no_nan(post_processor, margin):
    tree = LabelTree([[0, 1], [0, 2]], [0, 1])
    weights = [np.full((1, 1), margin, np.float32), np.full((1, 2), margin, np.float32)]
    model = DenseModel(tree, weights, [np.zeros(1, np.float32), np.zeros(2, np.float32)])
    X = sp.csr_matrix(np.ones((1, 1), dtype=np.float32))
    options = {"k": 2, "beam_width": 1, "post_processor": post_processor}
    labels, scores = rank_all(model.compile(), X, **options)
    expected, _ = beam_search(model, np.ones(1), **options)
    assert labels.tolist() == [[0, 1]]
    np.testing.assert_allclose(scores[0], [score for _, score in expected], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_margins_that_overflow_still_give_an_order(post_processor):
    # Label 0's terms overflow to infinities of both signs, whose sum is NaN.
    huge = np.float32(3e38)
    W = np.array([[huge, 0, huge], [-huge, 0, huge]], dtype=np.float32)
    model = DenseModel(LabelTree([[0, 3]], range(3)), [W], [np.zeros(3, np.float32)])
    X = sp.csr_matrix(np.full((1, 2), 10, dtype=np.float32))
    options = {"k": 3, "beam_width": 1, "post_processor": post_processor}
    labels, scores = rank_all(model.compile(), X, **options)
    assert sorted(labels[0]) == [0, 1, 2]
    assert labels[0].tolist().index(2) < labels[0].tolist().index(1)
    assert not np.isnan(scores).any()
    # What has no score is below any floor.
    lowest = np.finfo(np.float32).min
    labels, scores = rank_all(model.compile(), X, floor=lowest, **options)
    assert (scores[labels >= 0] >= lowest).all()
    assert (labels[scores < lowest] == -1).all()


# ---- what the result must not depend on ----


@pytest.mark.parametrize("post_processor", list(POST_PROCESSORS))
def test_ranking_does_not_depend_on_how_rows_are_divided(post_processor):
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 100).compile()
    X = random_csr(rng, 12, 100)
    view = CSRView(X)
    options = {"k": 30, "beam_width": 5, "post_processor": post_processor}
    whole = rank_block(model, view, 0, 12, **options)
    for edges in [range(13), [0, 5, 5, 12], [0, 1, 12]]:
        parts = [rank_block(model, view, lo, hi, **options) for lo, hi in pairwise(edges)]
        for i in range(2):
            np.testing.assert_array_equal(np.concatenate([p[i] for p in parts]), whole[i])


def test_a_range_of_rows_takes_its_part_of_the_frontier():
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 100).compile()
    X = random_csr(rng, 6, 100)
    frontier = frontier_of([(1, [(i, 0.5)]) for i in range(6)])
    options = {"k": 9, "beam_width": 5, "post_processor": "noop", "frontier": frontier}
    whole = rank_block(model, CSRView(X), 0, 6, **options)
    part = rank_block(model, CSRView(X), 2, 5, **options)
    np.testing.assert_array_equal(part[0], whole[0][2:5])
    np.testing.assert_array_equal(part[1], whole[1][2:5])


def test_ranking_is_deterministic_and_survives_pickling():
    rng = np.random.default_rng(0)
    model = random_model(rng, fixed_tree(), 100).compile()
    X = random_csr(rng, 12, 100)
    options = {"k": 30, "beam_width": 5, "post_processor": "sigmoid"}
    first = rank_all(model, X, **options)
    for again in (model, pickle.loads(pickle.dumps(model))):
        for a, b in zip(first, rank_all(again, X, **options), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_larger_k_extends_the_ranking():
    rng = np.random.default_rng(0)
    model = quantized_model(rng, fixed_tree(), 20).compile()
    X = quantized_csr(rng, 10, 20, per_row=4)
    options = {"beam_width": 10, "post_processor": "noop"}
    labels, scores = rank_all(model, X, k=200, **options)
    for k in (1, 2, 3, 7, 50, 120):
        fewer = rank_all(model, X, k=k, **options)
        np.testing.assert_array_equal(fewer[0], labels[:, :k])
        np.testing.assert_array_equal(fewer[1], scores[:, :k])


def test_a_full_beam_scores_every_label():
    rng = np.random.default_rng(0)
    tree = fixed_tree()
    model = random_model(rng, tree, 40).compile()
    labels, _ = rank_all(
        model, random_csr(rng, 3, 40), k=tree.n_labels, beam_width=10**12, post_processor="noop"
    )
    for row in labels:
        assert sorted(row) == list(range(tree.n_labels))


@pytest.mark.parametrize("beam_width", [1, 2, 5, 100])
def test_no_result_is_larger_than_the_bound(beam_width):
    rng = np.random.default_rng(0)
    model = quantized_model(rng, fixed_tree(), 20).compile()
    X = quantized_csr(rng, 20, 20, per_row=4)
    labels, _ = rank_all(model, X, k=120, beam_width=beam_width, post_processor="noop")
    assert (labels >= 0).sum(axis=1).max() <= model.max_results(beam_width) <= 120


# ---- refusals ----


@pytest.mark.parametrize(
    ("lo", "hi", "changes"),
    [
        (-1, 1, {}),
        (0, 3, {}),
        (2, 1, {}),
        (0, 1, {"k": 0}),
        (0, 1, {"beam_width": 0}),
        (0, 1, {"frontier": frontier_of([(2, [(0, 0.0)])] * 2)}),
        (0, 1, {"frontier": frontier_of([(-1, [(0, 0.0)])] * 2)}),
        (0, 1, {"frontier": frontier_of([(1, [(3, 0.0)])] * 2)}),
        (0, 1, {"frontier": frontier_of([(1, [(-1, 0.0)])] * 2)}),
    ],
)
def test_arguments_outside_their_range_are_refused(lo, hi, changes):
    X = random_csr(np.random.default_rng(0), 2, 4)
    options = {"k": 1, "beam_width": 1, "post_processor": "noop"} | changes
    with pytest.raises(ValueError, match=r"SKX_EARG|negative dimensions"):
        rank_block(tie_model().compile(), CSRView(X), lo, hi, **options)


def test_queries_of_another_width_are_refused():
    with pytest.raises(ValueError, match="SKX_EARG"):
        rank_all(
            tie_model().compile(),
            random_csr(np.random.default_rng(0), 2, 5),
            k=1,
            beam_width=1,
            post_processor="noop",
        )
