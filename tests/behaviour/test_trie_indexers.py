"""TrieIndexer and TrieHybridIndexer: tries that are known, and a slow trie to compare with."""

import copy
import pickle
import re
from collections import defaultdict

import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.preprocessing import normalize

import skxmr
from skxmr import KMeansIndexer, LabelTree, TrieHybridIndexer, TrieIndexer, XRLinearClassifier
from skxmr._core import CancelFlag, Cancelled, sort_texts
from skxmr._utils.texts import code_points
from skxmr.indexers._texts import default_vectorizer
from skxmr.indexers._trie import END, SAME

EIGHT = ["a", "ab", "abc", "abd", "abfgh", "abfgi", "bcde", "bcdf"]

MAKERS = pytest.mark.parametrize("make", [TrieIndexer, TrieHybridIndexer], ids=["trie", "hybrid"])
BALANCED = pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "unbalanced"])

characters = st.sampled_from("aab\0é\u0301\ud800\udc00\uffff😀\U0010ffff") | st.characters(
    exclude_categories=()
)
texts_lists = st.lists(st.text(characters, max_size=7), min_size=1, max_size=40)
depths = st.none() | st.integers(1, 9)


@pytest.fixture(scope="module")
def names():
    return list(dict.fromkeys(catalogue_sample().label_names.tolist()))


def leaf_sizes(fitted):
    return np.diff(fitted.tree_.child_ptr[-1])


def members(fitted, level):
    """The labels below each node of a level."""
    below = fitted.tree_.indicator(level).tocsc()
    return [set(labels.tolist()) for labels in np.split(below.indices, below.indptr[1:-1])]


def texts_below(fitted, level, texts):
    return [[texts[i] for i in sorted(labels)] for labels in members(fitted, level)]


# ---- the slow trie ----


def slow_levels(texts, max_depth, max_leaf_size):
    """For each level its nodes as (prefix, edge, labels, number of children)."""
    level, levels = [("", SAME, list(range(len(texts))), True)], []
    for depth in range(1000):
        divided = [
            goes_on
            and len(labels) > max_leaf_size
            and len({texts[i] for i in labels}) > 1
            and (max_depth is None or depth < max_depth)
            for _, _, labels, goes_on in level
        ]
        if not any(divided):
            return [*levels, [(*node[:3], 0) for node in level]]
        below = [slow_children(n, texts, d) for n, d in zip(level, divided, strict=True)]
        levels.append([(*n[:3], len(b)) for n, b in zip(level, below, strict=True)])
        level = [child for children in below for child in children]
    raise AssertionError("endless")


def slow_children(node, texts, divided):
    prefix, _, labels, _ = node
    if not divided:
        return [(prefix, SAME, labels, False)]
    groups = defaultdict(list)
    for i in labels:
        rest = texts[i][len(prefix) :]
        groups[ord(rest[0]) if rest else END].append(i)
    return [
        (prefix + (chr(edge) if edge >= 0 else ""), edge, groups[edge], edge != END)
        for edge in sorted(groups)
    ]


def slow_leaves(fitted, text):
    """The leaf clusters below the node where a text's way ends."""
    node, level, pointers = 0, 0, fitted.tree_.child_ptr
    while level < fitted.tree_.n_levels - 1:
        children = range(*pointers[level][node : node + 2].tolist())
        edges = fitted.edges_[level + 1][children.start : children.stop].tolist()
        edge = ord(text[level]) if level < len(text) else END
        if edge not in edges:
            break
        node, level = children[edges.index(edge)], level + 1
    lo, hi = node, node + 1
    for below in pointers[level:-1]:
        lo, hi = below[lo], below[hi]
    return range(lo, hi)


@given(texts=texts_lists, max_depth=depths, max_leaf_size=st.integers(1, 5))
def test_the_trie_is_that_of_a_slow_one(texts, max_depth, max_leaf_size):
    fitted = TrieIndexer(max_depth=max_depth, max_leaf_size=max_leaf_size).fit(texts)
    tree, levels = fitted.tree_, slow_levels(texts, max_depth, max_leaf_size)
    assert tree.n_levels == len(levels)
    for level, nodes in enumerate(levels):
        assert [fitted.node_text(level, i) for i in range(len(nodes))] == [n[0] for n in nodes]
        assert fitted.edges_[level].tolist() == [n[1] for n in nodes]
        assert fitted.prefix_lengths_[level].tolist() == [len(n[0]) for n in nodes]
        assert members(fitted, level) == [set(n[2]) for n in nodes]
        if level < len(levels) - 1:
            assert np.diff(tree.child_ptr[level]).tolist() == [n[3] for n in nodes]


@given(texts=texts_lists, new=texts_lists, max_depth=depths, max_leaf_size=st.integers(1, 5))
def test_texts_are_followed_as_far_as_they_match(texts, new, max_depth, max_leaf_size):
    fitted = TrieIndexer(max_depth=max_depth, max_leaf_size=max_leaf_size).fit(texts)
    assert_array_equal(fitted.predict(texts), fitted.labels_)
    sizes = leaf_sizes(fitted)
    expected = [max(slow_leaves(fitted, text), key=sizes.__getitem__) for text in new]
    assert fitted.predict(new).tolist() == expected


@given(texts=texts_lists, max_leaf_size=st.integers(1, 5))
def test_slots_are_in_the_order_of_the_texts(texts, max_leaf_size):
    fitted = TrieIndexer(max_leaf_size=max_leaf_size).fit(texts)
    assert fitted.tree_.slot_label.tolist() == sorted(range(len(texts)), key=texts.__getitem__)


@given(texts=texts_lists, max_depth=depths, max_leaf_size=st.integers(1, 5))
def test_common_prefixes_and_the_score(texts, max_depth, max_leaf_size):
    fitted = TrieIndexer(max_depth=max_depth, max_leaf_size=max_leaf_size).fit(texts)
    groups = texts_below(fitted, fitted.tree_.n_levels - 1, texts)
    longest = [
        max(k for k in range(len(g[0]) + 1) if all(t.startswith(g[0][:k]) for t in g))
        for g in groups
    ]
    assert fitted.common_prefixes_.tolist() == [
        g[0][:k] for g, k in zip(groups, longest, strict=True)
    ]
    beyond = sum(len(t) - k for g, k in zip(groups, longest, strict=True) for t in g)
    assert fitted.score(texts) == -beyond


@given(
    texts=texts_lists,
    trie_depth=st.integers(0, 4),
    max_leaf_size=st.integers(1, 5),
    balanced=st.booleans(),
)
def test_a_hybrid_begins_as_the_trie(texts, trie_depth, max_leaf_size, balanced):
    fitted = TrieHybridIndexer(
        trie_depth, max_leaf_size, branching=3, balanced=balanced, random_state=0
    ).fit(texts)
    levels = slow_levels(texts, trie_depth, max_leaf_size)
    for level, nodes in enumerate(levels):
        assert [fitted.node_text(level, i) for i in range(len(nodes))] == [n[0] for n in nodes]
        assert members(fitted, level) == [set(n[2]) for n in nodes]
    assert sorted(fitted.tree_.slot_label) == list(range(len(texts)))
    assert leaf_sizes(fitted).max() <= max_leaf_size
    for level in range(len(levels), fitted.tree_.n_levels):
        above = fitted.prefix_lengths_[level - 1][fitted.tree_.parents(level)]
        assert_array_equal(fitted.prefix_lengths_[level], above)
        assert set(fitted.edges_[level]) == {SAME}


@given(texts=texts_lists, new=texts_lists, trie_depth=st.integers(0, 3), balanced=st.booleans())
def test_a_hybrid_predicts_the_closest_center_below_the_prefix(texts, new, trie_depth, balanced):
    fitted = TrieHybridIndexer(trie_depth, 2, branching=2, balanced=balanced, random_state=0).fit(
        texts
    )
    Z = fitted.vectorizer_.transform(new).toarray().astype(np.float64)
    centers = fitted.cluster_centers_.toarray().astype(np.float64)
    apart = ((Z[:, None] - centers[None]) ** 2).sum(axis=2)
    found = fitted.predict(new)
    closest = apart[np.arange(len(new)), found]
    for i, text in enumerate(new):
        leaves = slow_leaves(fitted, text)
        assert found[i] in leaves
        assert closest[i] <= apart[i, leaves].min() + 1e-5
    assert_allclose(fitted.score(new), -closest.sum(), rtol=1e-3, atol=1e-4)


# ---- eight strings ----


def test_the_trie_of_eight_strings():
    fitted = TrieIndexer(max_leaf_size=1).fit(EIGHT)
    prefixes = [
        [fitted.node_text(level, i) for i in range(fitted.tree_.n_nodes(level))]
        for level in range(fitted.tree_.n_levels)
    ]
    assert prefixes == [
        [""],
        ["a", "b"],
        ["a", "ab", "bc"],
        ["a", "ab", "abc", "abd", "abf", "bcd"],
        ["a", "ab", "abc", "abd", "abfg", "bcde", "bcdf"],
        EIGHT,
    ]
    assert_array_equal(fitted.labels_, np.arange(8))
    assert fitted.edges_[2].tolist() == [END, ord("b"), ord("c")]
    assert fitted.edges_[3].tolist() == [SAME, END, *map(ord, "cdfd")]
    assert fitted.score(EIGHT) == 0


@pytest.mark.parametrize(
    ("params", "leaves"),
    [
        ({"max_leaf_size": 8}, [EIGHT]),
        ({"max_leaf_size": 6}, [EIGHT[:6], EIGHT[6:]]),
        ({"max_leaf_size": 2}, [["a"], ["ab"], ["abc"], ["abd"], EIGHT[4:6], EIGHT[6:]]),
        ({"max_leaf_size": 1, "max_depth": 1}, [EIGHT[:6], EIGHT[6:]]),
        ({"max_leaf_size": 1, "max_depth": 2}, [["a"], EIGHT[1:6], EIGHT[6:]]),
    ],
)
def test_leaves_of_eight_strings(params, leaves):
    fitted = TrieIndexer(**params).fit(EIGHT)
    assert texts_below(fitted, fitted.tree_.n_levels - 1, EIGHT) == leaves


def test_the_hybrid_of_eight_strings():
    fitted = TrieHybridIndexer(trie_depth=1, max_leaf_size=2, random_state=0).fit(EIGHT)
    assert texts_below(fitted, 1, EIGHT) == [EIGHT[:6], EIGHT[6:]]
    leaves = texts_below(fitted, 2, EIGHT)
    assert sorted(map(len, leaves)) == [2, 2, 2, 2]
    assert ["abfgh", "abfgi"] in leaves
    assert leaves[-1] == ["bcde", "bcdf"]
    assert fitted.tree_.n_levels == 3


def test_a_plain_tree_of_eight_strings_has_as_many_labels():
    fitted = KMeansIndexer(branching=2, max_leaf_size=2, random_state=0)
    fitted.fit(default_vectorizer(EIGHT).fit_transform(EIGHT))
    assert sorted(fitted.tree_.slot_label) == list(range(8))
    assert fitted.labels_[6] == fitted.labels_[7]


@pytest.mark.parametrize(
    ("text", "leaf"),
    [("abfgz", 4), ("abfz", 4), ("abc", 2), ("abcz", 2), ("bcd", 6), ("", 0), ("z", 0)],
)
def test_leaves_of_other_strings(text, leaf):
    assert TrieIndexer(max_leaf_size=1).fit(EIGHT).predict([text]).tolist() == [leaf]


def test_where_a_trie_has_no_branch_the_largest_leaf_is_taken():
    fitted = TrieIndexer(max_leaf_size=2).fit(["aa", "ab", "ab", "b"])
    assert fitted.predict(["az", "a", "z", ""]).tolist() == [1, 1, 1, 1]


# ---- unusual texts ----


def test_equal_texts_share_a_leaf_of_any_size():
    fitted = TrieIndexer(max_leaf_size=2).fit(["same"] * 9 + ["sand"] + [""] * 3)
    assert leaf_sizes(fitted).tolist() == [3, 9, 1]
    assert fitted.tree_.n_levels == 4  # down to where they part, and the slots
    assert fitted.tree_.cluster(0).tolist() == list(range(9))


@BALANCED
def test_a_hybrid_shares_equal_texts_out(balanced):
    fitted = TrieHybridIndexer(max_leaf_size=4, balanced=balanced).fit(["same"] * 50)
    assert leaf_sizes(fitted).max() <= 4


@MAKERS
@pytest.mark.parametrize("texts", [["a"], [""], ["", ""], ["", "", "", " "]])
def test_few_and_empty_texts(make, texts):
    fitted = make(max_leaf_size=1 if make is TrieHybridIndexer else 2).fit(texts)
    assert sorted(fitted.tree_.slot_label) == list(range(len(texts)))
    assert fitted.predict(["", "x", "😀"]).shape == (3,)
    assert np.isfinite(fitted.score(["", "x"]))


def test_order_is_that_of_code_points_and_nothing_is_normalized():
    texts = ["\U0001f600", "\uff5e", "e\u0301", "\u00e9", "z", "\ud83d", "a\0", "a"]
    fitted = TrieIndexer(max_leaf_size=1).fit(texts)
    assert [texts[i] for i in fitted.tree_.slot_label] == sorted(texts)
    assert fitted.node_text(1, 2) == "z"
    assert_array_equal(fitted.predict(texts), fitted.labels_)


def test_long_equal_beginnings_do_not_exhaust_any_stack():
    texts = ["x" * 100_000 + c for c in "abc"] * 2
    assert leaf_sizes(TrieIndexer(max_depth=50, max_leaf_size=1).fit(texts)).tolist() == [6]
    fitted = TrieIndexer(max_leaf_size=2).fit(["x" * 5000 + c for c in "aabbbc"])
    assert fitted.tree_.n_levels == 5002
    assert leaf_sizes(fitted).tolist() == [2, 3, 1]


def test_a_trie_beyond_all_measure_is_refused(monkeypatch):
    monkeypatch.setattr("skxmr.indexers._trie._MOST_NODES", 100)
    with pytest.raises(ValueError, match="more than 100 nodes after 51 levels; set a maximal"):
        TrieIndexer(max_leaf_size=1).fit(["x" * 200, "x" * 201, "y"])


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, pd.Series, pl.Series, lambda t: np.array(t, dtype=object), iter]
)
def test_the_container_changes_nothing(make):
    assert TrieIndexer(max_leaf_size=1).fit(make(EIGHT)).tree_ == (
        TrieIndexer(max_leaf_size=1).fit(EIGHT).tree_
    )


# ---- sorting in C ----


@given(texts=texts_lists)
def test_sorting_and_what_neighbors_have_in_common(texts):
    order, common = sort_texts(*code_points(texts))
    assert order.tolist() == sorted(range(len(texts)), key=texts.__getitem__)
    found = [texts[i] for i in order]
    for before, text, n in zip(found, found[1:], common[1:].tolist(), strict=False):
        assert before[:n] == text[:n]
        assert before[: n + 1] != text[: n + 1] or before == text


@pytest.mark.parametrize(
    ("pointers", "points"),
    [([0, 2, 1, 3], [1, 2, 3]), ([1, 3], [1, 2, 3]), ([0, 1], [0x110000]), ([0, 1], [2**32 - 1])],
)
def test_c_refuses_texts_that_are_none(pointers, points):
    with pytest.raises(ValueError, match="SKX_EARG"):
        sort_texts(np.array(pointers, dtype=np.int64), np.array(points, dtype=np.uint32))


@pytest.mark.parametrize("pointers", [[0, 2], [], [0, 9]])
def test_pointers_that_lead_elsewhere_do_not_reach_c(pointers):
    with pytest.raises((ValueError, IndexError)):
        sort_texts(np.array(pointers, dtype=np.int64), np.array([1, 2, 3], dtype=np.uint32))


def test_sorting_ends_when_asked_to():
    flag, texts = CancelFlag(), code_points([f"text number {i}" for i in range(5000)])
    with flag.watched():
        assert len(sort_texts(*texts)[0]) == 5000
        flag.set()
        with pytest.raises(Cancelled):
            sort_texts(*texts)


# ---- the embedding ----


def slow_tfidf(texts, new):
    """Names of the n-grams of texts, and the rows of others in double precision."""

    def counts(text):
        row = defaultdict(float)
        text = re.sub(r"\s\s+", " ", text)
        for n in (1, 2, 3):
            for p in range(len(text) - n + 1):
                row[text[p : p + n]] += 1 / (1 + p)
        return row

    rows = [counts(text) for text in texts]
    grams = sorted(set().union(*rows))
    seen = np.array([sum(gram in row for row in rows) for gram in grams])
    idf = np.log((1 + len(texts)) / (1 + seen)) + 1
    weights = np.array([[counts(text)[gram] for gram in grams] for text in new])
    return grams, normalize(weights.reshape(len(new), -1) * idf) if grams else weights


@given(texts=texts_lists, new=texts_lists)
def test_labels_are_embedded_by_their_characters_and_where_they_are(texts, new):
    fitted = TrieHybridIndexer(random_state=0).fit(texts)
    grams, expected = slow_tfidf(texts, new)
    Z = fitted.vectorizer_.transform(new)
    assert Z.dtype == np.float32
    assert fitted.cluster_centers_.shape[1] == Z.shape[1] == max(1, len(grams))
    if grams:
        assert fitted.vectorizer_.get_feature_names_out().tolist() == grams
        assert_allclose(Z.toarray(), expected, rtol=1e-5, atol=1e-7)
    else:
        assert Z.nnz == 0


def test_labels_without_any_character():
    fitted = pickle.loads(pickle.dumps(TrieHybridIndexer(max_leaf_size=2).fit([""] * 5)))
    assert leaf_sizes(fitted).max() <= 2
    assert fitted.predict(["", "echo"]).shape == (2,)
    assert fitted.score(["", "echo"]) == 0


@pytest.mark.parametrize(
    "vectorizer",
    [TfidfVectorizer(analyzer="char", ngram_range=(1, 2)), HashingVectorizer(n_features=64)],
)
def test_other_vectorizers(vectorizer, names):
    fitted = TrieHybridIndexer(1, 20, vectorizer, random_state=0).fit(names)
    assert leaf_sizes(fitted).max() <= 20
    assert not hasattr(vectorizer, "vocabulary_")
    assert fitted.predict(names[:50]).shape == (50,)


@BALANCED
def test_label_features_are_clustered_instead(balanced):
    group = np.arange(40) % 4
    texts = [f"{'xy'[g // 2]}{i:02d}" for i, g in enumerate(group)]
    features = np.eye(4)[group]
    fitted = TrieHybridIndexer(1, 10, branching=2, balanced=balanced, random_state=0)
    fitted.fit(texts, label_features=sp.csr_matrix(features))
    assert len(set(zip(group.tolist(), fitted.labels_.tolist(), strict=True))) == 4
    assert fitted.vectorizer_ is None
    assert_array_equal(fitted.predict(texts, label_features=features), fitted.labels_)
    assert fitted.score(texts, label_features=features) == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="label_features must be given as in fit, which got some"):
        fitted.predict(texts)
    with pytest.raises(ValueError, match="label_features must have 4 columns, got 3"):
        fitted.predict(texts, label_features=features[:, :3])
    with pytest.raises(ValueError, match="label_features must have 40 rows, got 39"):
        fitted.predict(texts, label_features=features[1:])


def test_label_features_and_a_vectorizer_contradict_each_other():
    with pytest.raises(ValueError, match="label_features go with vectorizer=None only"):
        TrieHybridIndexer(vectorizer=TfidfVectorizer()).fit(EIGHT, label_features=np.eye(8))
    with pytest.raises(ValueError, match="label_features must be given as in fit, which got none"):
        TrieHybridIndexer().fit(EIGHT).predict(EIGHT, label_features=np.eye(8))


# ---- real labels ----


@pytest.mark.parametrize("max_leaf_size", [1, 10, 100])
def test_tries_of_subject_names(names, max_leaf_size):
    fitted = TrieIndexer(max_leaf_size=max_leaf_size).fit(names)
    assert sorted(fitted.tree_.slot_label) == list(range(len(names)))
    assert leaf_sizes(fitted).max() <= max_leaf_size
    assert_array_equal(fitted.predict(names), fitted.labels_)
    for level in range(0, fitted.tree_.n_levels, 3):
        groups = texts_below(fitted, level, names)
        for i in range(0, len(groups), 50):
            prefix = fitted.node_text(level, i)
            assert all(name.startswith(prefix) for name in groups[i])
            assert len(prefix) == fitted.prefix_lengths_[level][i]


@BALANCED
def test_hybrids_of_subject_names(names, balanced):
    fitted = TrieHybridIndexer(2, 20, branching=4, balanced=balanced, random_state=0).fit(names)
    assert leaf_sizes(fitted).max() <= 20
    found = fitted.predict(names)
    assert (found == fitted.labels_).mean() > 0.5
    prefixes = np.array([fitted.node_text(2, i) for i in range(fitted.tree_.n_nodes(2))])
    nodes = fitted.tree_.indicator(2).indices
    assert all(name.startswith(p) for name, p in zip(names, prefixes[nodes], strict=True))
    assert fitted.score(names) > TrieHybridIndexer(2, 200).fit(names).score(names)


@pytest.mark.parametrize("n_labels", [97, 300, 800])
def test_a_balanced_hybrid_divides_evenly(names, n_labels):
    fitted = TrieHybridIndexer(0, 4, branching=3, random_state=0).fit(names[:n_labels])
    assert np.diff(fitted.tree_.child_ptr[0]).max() <= 12
    assert leaf_sizes(fitted).min() >= 2
    assert leaf_sizes(fitted).max() <= 4
    assert fitted.tree_.n_levels <= 6


def test_number_of_jobs_changes_nothing(names):
    one, two = (TrieHybridIndexer(1, 10, n_jobs=n, random_state=0).fit(names[:800]) for n in (1, 2))
    assert one.tree_ == two.tree_
    assert_array_equal(one.cluster_centers_.toarray(), two.cluster_centers_.toarray())


# ---- as estimators ----


@MAKERS
def test_copies_predict_alike(make, names):
    fitted = make(max_leaf_size=5).fit(names[:300])
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert twin.tree_ == fitted.tree_
        assert_array_equal(twin.predict(names), fitted.predict(names))
        assert twin.score(names) == fitted.score(names)
    with pytest.raises(NotFittedError):
        clone(fitted).predict(EIGHT)


@MAKERS
@pytest.mark.parametrize("bad", [None, b"bytes", 3, float("nan"), ["ab"]])
def test_what_is_no_string_is_named_with_its_position(make, bad):
    fitted = make().fit(EIGHT)
    for call in (make().fit, fitted.predict, fitted.score):
        with pytest.raises(TypeError, match=r"X must hold strings, but X\[2\] is"):
            call(["a", "b", bad, "c"])


@MAKERS
@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        ("text", TypeError, "sequence of strings"),
        (b"text", TypeError, "sequence of strings"),
        (None, TypeError, "sequence of strings"),
        (7, TypeError, "sequence of strings"),
        ([], ValueError, "at least one string"),
        (np.array([["a", "b"]]), ValueError, r"one-dimensional, got shape \(1, 2\)"),
        (np.array("a"), ValueError, r"one-dimensional, got shape \(\)"),
        (np.eye(2), ValueError, "one-dimensional"),
        (sp.eye_array(2), ValueError, "one-dimensional"),
        (pd.DataFrame({"a": ["x"]}), ValueError, "one-dimensional"),
        ([1.0, 2.0], TypeError, r"X\[0\] is 1.0"),
    ],
)
def test_what_are_no_texts_is_refused(make, bad, error, match):
    fitted = make().fit(EIGHT)
    for call in (make().fit, fitted.predict, fitted.score):
        with pytest.raises(error, match=match):
            call(bad)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"trie_depth": -1}, ValueError),
        ({"trie_depth": 1.5}, TypeError),
        ({"trie_depth": None}, TypeError),
        ({"max_leaf_size": 0}, ValueError),
        ({"branching": 1}, ValueError),
        ({"balanced": "yes"}, TypeError),
        ({"spherical": 1}, TypeError),
        ({"max_iter": 0}, ValueError),
        ({"n_jobs": 0}, ValueError),
        ({"vectorizer": "tfidf"}, TypeError),
        ({"vectorizer": TfidfVectorizer}, TypeError),
    ],
)
def test_wrong_parameters_of_the_hybrid_are_named(params, error):
    with pytest.raises(error, match=next(iter(params))):
        TrieHybridIndexer(**params).fit(EIGHT)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"max_depth": 0}, ValueError),
        ({"max_depth": 2.0}, TypeError),
        ({"max_leaf_size": 0}, ValueError),
        ({"max_leaf_size": None}, TypeError),
    ],
)
def test_wrong_parameters_of_the_trie_are_named(params, error):
    with pytest.raises(error, match=next(iter(params))):
        TrieIndexer(**params).fit(EIGHT)


@MAKERS
def test_nodes_that_do_not_exist_have_no_text(make):
    fitted = make(max_leaf_size=1).fit(EIGHT)
    for level, node in ((-1, 0), (99, 0), (1, 2), (1, -1)):
        with pytest.raises(ValueError, match="level" if abs(level) != 1 or level < 0 else "node"):
            fitted.node_text(level, node)
    with pytest.raises(NotFittedError):
        make().node_text(0, 0)


@MAKERS
def test_a_fit_that_fails_leaves_what_was_fitted(make):
    fitted = make(max_leaf_size=2).fit(EIGHT)
    before = dict(vars(fitted))
    with pytest.raises(TypeError):
        fitted.fit(["a", None])
    assert vars(fitted) == before


# ---- inside the classifier ----


@pytest.fixture(scope="module")
def catalogue():
    data = catalogue_sample()
    labels = np.argsort(-np.asarray(data.Y_train.sum(axis=0)).ravel(), kind="stable")[:150]
    Y = sp.csr_matrix(data.Y_train[:, labels])
    rows = np.flatnonzero(np.diff(Y.indptr))[:2000]
    texts = [data.text_train[i] for i in rows]
    return TfidfVectorizer(dtype=np.float32).fit_transform(texts), Y[rows], data.label_names[labels]


@MAKERS
def test_a_classifier_hands_its_label_text_on(make, catalogue):
    X, Y, text = catalogue
    indexer = make(max_leaf_size=10)
    clf = XRLinearClassifier(indexer, random_state=0).fit(X, Y, label_text=text)
    assert clf.tree_ == clf.indexer_.tree_
    if make is TrieIndexer:
        assert clf.tree_ == clone(indexer).fit(text).tree_
    assert clf.score(X, Y) > 0.5
    assert not hasattr(indexer, "tree_")


@MAKERS
def test_string_classes_are_label_text(make, catalogue):
    X, Y, text = catalogue
    y = text[Y.indices[Y.indptr[:-1]]].astype(str)
    clf = XRLinearClassifier(make(max_leaf_size=10), random_state=0).fit(X, y)
    assert clf.score(X, y) > 0.5
    words = clf.classes_[clf.tree_.slot_label]
    if make is TrieIndexer:
        assert words.tolist() == sorted(clf.classes_)
    again = XRLinearClassifier(make(max_leaf_size=10), random_state=0).fit(X, y)
    assert_array_equal(again.rank(X)[0], clf.rank(X)[0])


@MAKERS
def test_a_lack_of_label_text_is_named(make):
    X, Y = np.eye(4), np.eye(4)
    with pytest.raises(ValueError, match=rf"indexer={make.__name__}.* needs label_text or string"):
        XRLinearClassifier(make()).fit(X, Y)
    with pytest.raises(TypeError, match=r"label_text\[2\] is None"):
        XRLinearClassifier(make()).fit(X, Y, label_text=["a", "b", None, "d"])
    with pytest.raises(ValueError, match="label_text must be 4 strings"):
        XRLinearClassifier(make()).fit(X, Y, label_text=["a", "b", "c"])
    with pytest.raises(ValueError, match="needs label_text"):
        XRLinearClassifier(make()).fit(X, [1, 2, 3, 4])


@MAKERS
def test_blank_label_texts_are_texts(make):
    X = np.eye(4, dtype=np.float32)
    clf = XRLinearClassifier(make(max_leaf_size=1)).fit(X, np.eye(4), label_text=["", " ", "", " "])
    assert_array_equal(clf.predict(X), np.eye(4))


def test_a_classifier_hands_label_features_on():
    X, Y, features = np.eye(8), np.eye(8), np.eye(8)[:, [0, 0, 1, 1, 2, 2, 3, 3]]
    hybrid = TrieHybridIndexer(1, 2, random_state=0)
    clf = XRLinearClassifier(hybrid).fit(X, Y, label_text=EIGHT, label_features=features)
    assert clf.indexer_.vectorizer_ is None
    assert clf.indexer_.cluster_centers_.shape[1] == 8
    trie = XRLinearClassifier(TrieIndexer(max_leaf_size=2))
    assert trie.fit(X, Y, label_text=EIGHT, label_features=features).tree_.n_labels == 8


@MAKERS
def test_a_classifier_reports_its_progress(make, capsys, monkeypatch):
    monkeypatch.setattr("skxmr._utils.progress._make_bar", lambda what: None)
    XRLinearClassifier(make(max_leaf_size=2), verbose=1).fit(np.eye(8), np.array(EIGHT))
    assert "done" in capsys.readouterr().out


@pytest.mark.parametrize(
    "indexer",
    [
        TrieIndexer(max_depth=3, max_leaf_size=2),
        TrieHybridIndexer(1, 2, branching=3, balanced=False, random_state=1),
    ],
)
def test_a_saved_model_keeps_tree_and_parameters(indexer, tmp_path):
    clf = XRLinearClassifier(indexer, random_state=0).fit(np.eye(8), np.array(EIGHT))
    clf.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert type(loaded.indexer) is type(indexer)
    assert loaded.indexer.get_params() == indexer.get_params()
    assert loaded.tree_ == clf.tree_
    assert_array_equal(loaded.predict(np.eye(8)), EIGHT)


def test_a_vectorizer_is_saved_with_the_classifier(tmp_path):
    indexer = TrieHybridIndexer(vectorizer=TfidfVectorizer(analyzer="char"))
    clf = XRLinearClassifier(indexer).fit(np.eye(8), np.array(EIGHT))
    clf.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert isinstance(loaded.indexer.vectorizer, TfidfVectorizer)
    assert loaded.indexer.vectorizer.get_params() == indexer.vectorizer.get_params()
    assert_array_equal(loaded.predict(np.eye(8)), EIGHT)


def test_a_memory_trains_once(tmp_path, catalogue):
    X, Y, text = catalogue
    clf = XRLinearClassifier(TrieIndexer(max_leaf_size=10), memory=tmp_path, random_state=0)
    first = clf.fit(X, Y, label_text=text).rank(X)
    other = clone(clf).set_params(beam_width=3).fit(X, Y, label_text=text[::-1])
    assert other.tree_ != clf.tree_
    again = clone(clf).fit(X, Y, label_text=text)
    assert_array_equal(again.rank(X)[0], first[0])
    assert isinstance(again.tree_, LabelTree)
