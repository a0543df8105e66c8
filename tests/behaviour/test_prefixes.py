"""Searches that enter only what leads to the completions of a prefix."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import (
    assert_ranks_exactly,
    draw_beam,
    fixed_tree,
    quantized_csr,
    quantized_model,
    rank_all,
)
from strategies import examples, label_trees, seeds

from skxmr import LabelTree, TrieHybridIndexer
from skxmr._core import Texts, find_prefixes
from skxmr.completion._prefixes import PrefixIndex

#: Few characters, so that texts begin alike: of one to four bytes, and a surrogate.
characters = st.sampled_from("abé\u20ac\U0001f600\U0010ffff\ud83d\0")
texts = st.text(characters, max_size=5)


def completions(known, prefix):
    return {i for i, text in enumerate(known) if text.startswith(prefix)}


@given(st.lists(texts, min_size=1, max_size=12), st.lists(texts, min_size=1, max_size=4))
def test_labels_that_begin_with_a_prefix(known, prefixes):
    index = PrefixIndex([LabelTree.from_clusters([0] * len(known))], known)
    assert [known[i] for i in index.order] == sorted(known)
    for prefix, (first, last) in zip(prefixes, index.ranges(prefixes).tolist(), strict=True):
        assert set(index.order[first:last].tolist()) == completions(known, prefix)
        assert_array_equal(index.labels(prefix), index.order[first:last])


@examples(300)
@given(
    label_trees(),
    seeds,
    st.integers(1, 6) | st.just(1000),
    st.integers(1, 8) | st.just(1000),
    st.data(),
)
def test_ranking_is_that_of_the_reference(tree, seed, beam_width, k, data):
    rng = np.random.default_rng(seed)
    model = quantized_model(rng, tree, 10)
    X = quantized_csr(rng, 3, 10, per_row=3)
    known = data.draw(st.lists(texts, min_size=tree.n_labels, max_size=tree.n_labels))
    prefixes = data.draw(st.lists(texts, min_size=3, max_size=3))
    assert_ranks_exactly(
        model,
        X,
        within=PrefixIndex([tree], known).restriction(prefixes),
        permitted=[completions(known, prefix) for prefix in prefixes],
        k=k,
        beam_width=beam_width,
        post_processor="log-l2-hinge",
    )


@examples(50)
@given(label_trees(), seeds, st.integers(1, 4), st.data())
def test_from_a_frontier(tree, seed, beam_width, data):
    rng = np.random.default_rng(seed)
    level = data.draw(st.integers(0, tree.n_levels - 1), label="level")
    known = data.draw(st.lists(texts, min_size=tree.n_labels, max_size=tree.n_labels))
    prefixes = data.draw(st.lists(texts, min_size=2, max_size=2))
    assert_ranks_exactly(
        quantized_model(rng, tree, 5),
        quantized_csr(rng, 2, 5, per_row=2),
        starts=[(level, draw_beam(rng, tree.n_nodes(level), beam_width)) for _ in range(2)],
        within=PrefixIndex([tree], known).restriction(prefixes),
        permitted=[completions(known, prefix) for prefix in prefixes],
        k=4,
        beam_width=beam_width,
        post_processor="noop",
    )


def random_texts(rng, n):
    return ["".join(word) for word in rng.choice(list("abc"), size=(n, 4)).tolist()]


def test_blocks_of_rows_and_ranges_of_them():
    """Rows beyond the first block of the search, and parts of a matrix, find their own ranges."""
    rng = np.random.default_rng(0)
    tree = fixed_tree()
    known = random_texts(rng, tree.n_labels)
    model = quantized_model(rng, tree, 10).compile()
    X = quantized_csr(rng, 5000, 10, per_row=3)
    prefixes = [text[: rng.integers(0, 4)] for text in rng.choice(known, 5000).tolist()]
    within = PrefixIndex([tree], known).restriction(prefixes)
    options = {"k": 3, "beam_width": 4, "post_processor": "l3-hinge", "within": within}
    labels, scores = rank_all(model, X, **options)
    for row in range(0, 5000, 250):
        part = PrefixIndex([tree], known).restriction([prefixes[row]])
        one = rank_all(model, X[row], **{**options, "within": part})
        assert_array_equal(one[0][0], labels[row])
        assert_array_equal(one[1][0], scores[row])
        found = labels[row][labels[row] >= 0]
        assert all(known[label].startswith(prefixes[row]) for label in found)


def test_a_single_row_ranks_as_in_a_batch():
    rng = np.random.default_rng(1)
    tree = fixed_tree()
    known = random_texts(rng, tree.n_labels)
    model = quantized_model(rng, tree, 10).compile()
    X = quantized_csr(rng, 20, 10, per_row=3)
    index = PrefixIndex([tree], known)
    ranker = model.row_ranker(5, 3, "l3-hinge")
    for i, text in enumerate(known[:20]):
        within = index.restriction([text[:2]])
        expected = rank_all(
            model, X[i], k=5, beam_width=3, post_processor="l3-hinge", within=within
        )
        found = ranker.sparse(X[i].indices, X[i].data, within)
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])


def test_nothing_is_lost_where_the_beam_holds_all_that_match():
    """However narrow, the beam ends in a completion if there is one."""
    rng = np.random.default_rng(2)
    tree = fixed_tree()
    known = random_texts(rng, tree.n_labels)
    model = quantized_model(rng, tree, 10).compile()
    X = quantized_csr(rng, len(known), 10, per_row=3)
    within = PrefixIndex([tree], known).restriction(known)
    options = {"k": 1, "beam_width": 1, "post_processor": "l3-hinge"}
    labels, _ = rank_all(model, X, **options, within=within)
    assert [known[label] for label in labels[:, 0]] == known
    unrestricted, _ = rank_all(model, X, **options)
    assert (unrestricted[:, 0] != labels[:, 0]).any()


def test_no_label_begins_so():
    tree = fixed_tree()
    rng = np.random.default_rng(3)
    within = PrefixIndex([tree], ["a"] * tree.n_labels).restriction(["b", "ab"])
    X = quantized_csr(rng, 2, 10, per_row=3)
    options = {"k": 2, "beam_width": 3, "post_processor": "noop", "within": within}
    labels, scores = rank_all(quantized_model(rng, tree, 10).compile(), X, **options)
    assert (labels == -1).all()
    assert (scores == -np.inf).all()


def test_levels_of_a_trie_share_their_positions():
    known = random_texts(np.random.default_rng(4), 500)
    indexer = TrieHybridIndexer(trie_depth=3, max_leaf_size=5, random_state=0).fit(known)
    tree = indexer.tree_
    levels = PrefixIndex([tree], known)._label_order.by_tree[0].levels
    assert levels[0][1] is levels[1][1] is levels[2][1]
    for level, (pointers, positions) in enumerate(levels[:-1], start=1):
        members = tree.indicator(level).tocsc()
        for node in range(tree.n_nodes(level)):
            own = positions[pointers[node] : pointers[node + 1]]
            assert (np.diff(own) > 0).all()
            assert len(own) == members[:, [node]].nnz


def test_copies():
    tree = fixed_tree()
    known = random_texts(np.random.default_rng(5), tree.n_labels)
    index = pickle.loads(pickle.dumps(PrefixIndex([tree], known)))
    assert_array_equal(index.ranges(["a", "b"]), PrefixIndex([tree], known).ranges(["a", "b"]))
    assert index.nbytes == PrefixIndex([tree], known).nbytes > 0


def test_an_index_pickled_by_an_earlier_release_loads():
    tree = fixed_tree()
    index = PrefixIndex([tree], random_texts(np.random.default_rng(5), tree.n_labels))
    state = dict(vars(index))
    state["_places"] = state.pop("_label_order").by_tree[0]
    earlier = object.__new__(PrefixIndex)
    earlier.__setstate__(state)
    assert pickle.dumps(earlier) == pickle.dumps(pickle.loads(pickle.dumps(index)))


# ---- what C is handed ----


@given(st.lists(st.integers(-3, 8), min_size=1, max_size=5), st.binary(max_size=6))
def test_any_pointers_of_the_texts_are_safe(pointers, data):
    texts = Texts(np.frombuffer(data, np.uint8), np.array(pointers))
    found = find_prefixes(texts, Texts(b"ab", np.array([0, 1, 2])))
    assert ((found >= 0) & (found < max(2, len(pointers)))).all()


@pytest.mark.parametrize("pointers", [[0, 3], [-1, 1], [1, 0]])
def test_pointers_of_the_prefixes_are_checked(pointers):
    texts = Texts(b"ab", np.array([0, 2]))
    with pytest.raises(ValueError, match="SKX_EPOINTER"):
        find_prefixes(texts, Texts(b"ab", np.array(pointers)))


def test_labels_of_another_tree_or_of_other_rows_are_refused():
    """They would lead outside the arrays, as in a pickle whose parts are of several models."""
    rng = np.random.default_rng(0)
    tree = fixed_tree()
    model = quantized_model(rng, tree, 10).compile()
    X = quantized_csr(rng, 3, 10, per_row=3)
    options = {"k": 3, "beam_width": 4, "post_processor": "noop"}
    own = PrefixIndex([tree], random_texts(rng, tree.n_labels))
    other = PrefixIndex([LabelTree.from_clusters([0, 1])], ["a", "b"])
    rank_all(model, X, within=own.restriction(["a"] * 3), **options)
    for within in (other.restriction(["a"] * 3), own.restriction(["a"])):
        with pytest.raises(ValueError, match="restricted by the labels"):
            rank_all(model, X, within=within, **options)
    row = X.indices[: X.indptr[1]], X.data[: X.indptr[1]]
    ranker = model.row_ranker(3, 4, "noop")
    ranker.sparse(*row, own.restriction(["a"]))
    with pytest.raises(ValueError, match="restricted by the labels"):
        ranker.sparse(*row, other.restriction(["a"]))


def changed_index(index, name, value):
    return {**vars(index), name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", np.zeros(2, dtype=np.int32)),
        ("order", np.zeros(3)),
        ("_pointers", np.zeros(4, dtype=np.int32)),
        ("_pointers", np.zeros(3, dtype=np.int64)),
        ("_data", np.zeros(3)),
        ("_label_order", None),
    ],
)
def test_unpickled_indexes_are_checked(name, value):
    index = PrefixIndex([LabelTree.from_clusters([0, 1, 1])], ["a", "b", "c"])
    copied = object.__new__(PrefixIndex)
    copied.__setstate__(vars(index))
    assert copied.labels("b").tolist() == [1]
    with pytest.raises(ValueError, match=r"array|prefixes"):
        copied.__setstate__(changed_index(index, name, value))
