"""Labels that a fitted model learns later."""

import copy
import pickle
import warnings
from itertools import pairwise

import numpy as np
import pytest
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import (
    assert_same_ranking,
    columns_of,
    dense_weights,
    random_csr,
    solve,
    with_constant,
)
from scipy import sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from strategies import examples, label_trees

import skxmr
from skxmr import KMeansIndexer, LabelTree, TrieHybridIndexer, TrieIndexer, XRLinearClassifier
from skxmr._core import CHUNK_WIDTH, divide_into_chunks, read_chunk
from skxmr._ranking.tree_ranker import TreeRanker
from skxmr._training import new_labels
from skxmr._training.new_labels import ClusterAssignment, extended_tree
from skxmr.linear._params import tree_seeds
from skxmr.metrics import precision_at_k

DEEP = KMeansIndexer(branching=3, max_leaf_size=4)
N_KNOWN, N_NEW = 16, 4


def classifier(indexer=DEEP, **params):
    defaults = {"random_state": 0, "prune_threshold": 0.0, "n_neighbors": None}
    return XRLinearClassifier(indexer, **defaults | params)


def example(n_rows=240, n_labels=N_KNOWN + N_NEW, seed=1):
    """Labels with a word of their own each, among noise; rows with some of them."""
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_rows, n_labels)) < 0.06).astype(np.float32)
    Y[np.arange(n_rows), np.arange(n_rows) % n_labels] = 1
    words = np.hstack([Y, rng.random((n_rows, 12)) < 0.2]) * rng.random((n_rows, n_labels + 12))
    return sp.csr_matrix(words.astype(np.float32)), sp.csr_matrix(Y)


X, Y = example()
KNOWN = Y[:, :N_KNOWN]
NAMES = np.array([f"label {i * 7 % 20:02}" for i in range(20)])
CLASSES = NAMES[np.arange(X.shape[0]) % 20]
OF_KNOWN = np.flatnonzero(np.isin(CLASSES, NAMES[:N_KNOWN]))


def targets_of(kind):
    """Rows and targets of fit, and those of add_labels."""
    return ((X[OF_KNOWN], CLASSES[OF_KNOWN]), CLASSES) if kind == "classes" else ((X, KNOWN), Y)


def fitted(kind="multilabel", **params):
    return classifier(**params).fit(*targets_of(kind)[0])


def touched(before, after):
    """The leaf clusters that got a slot."""
    return np.flatnonzero(np.diff(after.child_ptr[-1]) > np.diff(before.child_ptr[-1]))


def chunks_of(layer, node):
    return [layer.chunk(c) for c in range(*layer.chunk_ptr[node : node + 2])]


def assert_same_chunks(found, expected):
    for a, b in zip(found, expected, strict=True):
        for part, other in zip(a, b, strict=True):
            assert_array_equal(part, other)


def slot_weights(model, slot):
    """The weights of a slot's ranker, the bias last."""
    layer = model.layers[-1]
    leaf = np.searchsorted(layer.child_ptr, slot, side="right") - 1
    offset = slot - layer.child_ptr[leaf]
    chunk = layer.chunk(layer.chunk_ptr[leaf] + offset // CHUNK_WIDTH)
    W = dense_weights(read_chunk(chunk, model.n_features), model.n_features)
    return np.append(W[:, offset % CHUNK_WIDTH], chunk.bias[offset % CHUNK_WIDTH])


# ---- the tree and the chunks ----


@given(label_trees(), st.data())
def test_new_slots_are_behind_those_of_their_clusters(tree, data):
    n_leaves = len(tree.child_ptr[-1]) - 1
    n_new = data.draw(st.integers(1, 4))
    pairs = st.tuples(st.integers(0, n_new - 1), st.integers(0, n_leaves - 1))
    pairs = data.draw(st.lists(pairs, unique=True))
    pairs = sorted({*pairs, *((i, data.draw(st.integers(0, n_leaves - 1))) for i in range(n_new))})
    numbers = np.array(data.draw(st.permutations(range(tree.n_labels + n_new))), np.int32)
    renumbered, new = np.sort(numbers[n_new:]), np.sort(numbers[:n_new])
    label, leaf = (np.array(part) for part in zip(*pairs, strict=True))
    extended = extended_tree(tree, renumbered, ClusterAssignment(new[label], leaf))
    assert extended.n_labels == tree.n_labels + n_new
    for a, b in zip(extended.child_ptr[:-1], tree.child_ptr[:-1], strict=True):
        assert_array_equal(a, b)
    for i, (lo, hi) in enumerate(pairwise(extended.child_ptr[-1])):
        old = tree.slot_label[slice(*tree.child_ptr[-1][i : i + 2])]
        expected = [*renumbered[old], *(new[j] for j, k in pairs if k == i)]
        assert extended.slot_label[lo:hi].tolist() == expected


@examples(30)
@given(st.lists(st.integers(1, CHUNK_WIDTH), min_size=1, max_size=4), st.integers(0, 99))
def test_columns_are_regrouped_without_loss(widths, seed):
    rng = np.random.default_rng(seed)
    W = rng.integers(-2, 3, (5, sum(widths))).astype(np.float32)
    bias = rng.random(sum(widths)).astype(np.float32)
    edges = np.cumsum([0, *widths])
    columns = [columns_of(W[:, lo:hi], bias[lo:hi]) for lo, hi in pairwise(edges)]
    groups = divide_into_chunks(columns)
    assert all(len(group.bias) == CHUNK_WIDTH for group in groups[:-1])
    assert_array_equal(np.hstack([dense_weights(group, 5) for group in groups]), W)
    assert_array_equal(np.concatenate([group.bias for group in groups]), bias)


# ---- what is trained ----

VARIANTS = [
    {},
    {"loss": "log_loss", "weight_dtype": "float16", "C": 10.0},
    {"bias": 0.0, "prune_threshold": 0.2},
    {"n_trees": 2},
    {"max_clusters_per_label": 2},
]


@pytest.mark.parametrize("kind", ["multilabel", "classes"])
@pytest.mark.parametrize("params", VARIANTS)
def test_retrained_clusters_are_those_of_fitting_the_same_tree(kind, params):
    clf, y = fitted(kind, **params), targets_of(kind)[1]
    weight = np.random.default_rng(0).choice([0.5, 1.0, 3.0], X.shape[0])
    before = clf.trees_
    clf.add_labels(X, y, weight, retrain_siblings=True)
    assert clf.n_labels_ == N_KNOWN + N_NEW
    params = {k: v for k, v in params.items() if k not in ("n_trees", "max_clusters_per_label")}
    seeds = tree_seeds(clf.random_state, len(before))
    for old, tree, model, seed in zip(before, clf.trees_, clf._fitted.rankers, seeds, strict=True):
        refit = classifier(tree, **params | {"random_state": seed}).fit(X, y, weight)
        leaves = touched(old, tree)
        assert len(leaves) > 0
        for leaf in leaves:
            expected = chunks_of(refit._ranker.layers[-1], leaf)
            assert_same_chunks(chunks_of(model.layers[-1], leaf), expected)


@pytest.mark.parametrize("kind", ["multilabel", "classes"])
@pytest.mark.parametrize("params", VARIANTS)
@pytest.mark.parametrize("retrain", [False, True])
def test_nothing_else_changes(kind, params, retrain):
    clf, y = fitted(kind, **params), targets_of(kind)[1]
    old = copy.copy(clf)
    clf.add_labels(X, y, retrain_siblings=retrain)
    for before, after, tree, extended in zip(
        old._fitted.rankers, clf._fitted.rankers, old.trees_, clf.trees_, strict=True
    ):
        assert all(a is b for a, b in zip(before.layers[:-1], after.layers[:-1], strict=True))
        leaves = touched(tree, extended)
        for leaf in range(len(tree.child_ptr[-1]) - 1):
            first, n = tree.child_ptr[-1][leaf], np.diff(tree.child_ptr[-1])[leaf]
            first_slot = extended.child_ptr[-1][leaf]
            known = old.classes_[tree.slot_label[first : first + n]]
            assert_array_equal(
                clf.classes_[extended.slot_label[first_slot : first_slot + n]], known
            )
            if leaf not in leaves:
                chunks = (chunks_of(m.layers[-1], leaf) for m in (after, before))
                assert_same_chunks(*chunks)
            elif not retrain:
                for i in range(n):
                    kept = slot_weights(after, first_slot + i)
                    assert_array_equal(kept, slot_weights(before, first + i))
        for layer in after.layers:
            layer.check(X.shape[1])


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
@pytest.mark.parametrize("retrain", [False, True])
def test_new_rankers_are_the_optimum_over_the_rows_of_their_cluster(loss, retrain):
    clf = fitted(loss=loss, bias=0.5, tol=1e-5, max_iter=5000)
    weight = np.random.default_rng(0).choice([0.5, 1.0, 3.0], X.shape[0]).astype(np.float32)
    clf.add_labels(X, Y, weight, retrain_siblings=retrain)
    A, n_checked = with_constant(X, 0.5), 0
    for slot in np.flatnonzero(clf.tree_.slot_label >= N_KNOWN):
        label, leaf = clf.tree_.slot_label[slot], clf.tree_.parents(clf.n_levels_)[slot]
        members = clf.tree_.slot_label[slice(*clf.tree_.child_ptr[-1][leaf : leaf + 2])]
        rows = np.flatnonzero(Y[:, members].sum(axis=1))
        sign = 2 * Y[rows, label].toarray().ravel() - 1
        best = solve(loss, A[rows], sign, weight[rows].astype(float))
        best[-1] *= 0.5
        assert_allclose(slot_weights(clf._ranker, slot), best, atol=2e-3)
        n_checked += 1
    assert n_checked >= N_NEW


def test_matcher_aware_negatives_are_searched_for_again():
    schemes = ("tfn", "man", "tfn+man")
    rankers = []
    for scheme in schemes:
        params = {"negative_sampling": scheme, "prune_threshold": 0.1, "training_beam_width": 2}
        clf = fitted().set_params(**params).add_labels(X, Y)
        rankers.append(np.array([slot_weights(clf._ranker, s) for s in range(clf.tree_.n_slots)]))
    changed = [(a != b).any(axis=1) for a, b in pairwise(rankers)]
    is_new = clf.tree_.slot_label >= N_KNOWN
    for differs in changed:
        assert differs[is_new].any()
        assert not differs[~is_new].any()


# ---- where labels go ----


def test_a_label_goes_where_the_search_leads_its_rows():
    clf = fitted(prune_threshold=0.1)
    old = copy.copy(clf)
    clf.add_labels(X, Y, clusters_per_label=1)
    upper, n_leaves = old._ranker.layers[:-1], old.tree_.n_nodes(old.n_levels_ - 1)
    clusters = LabelTree(old.tree_.child_ptr[:-1], np.arange(n_leaves))  # as if they were labels
    model = TreeRanker(upper, clusters.slot_label, n_leaves, X.shape[1])
    old._fitted = old._fitted._replace(trees=(clusters,), rankers=(model,))
    labels, scores = old.set_params(beam_width=1).rank(X, 1)
    for label in range(N_KNOWN, N_KNOWN + N_NEW):
        rows = np.flatnonzero(Y[:, label].toarray())
        count = np.bincount(labels[rows, 0], minlength=n_leaves)
        mass = np.bincount(labels[rows, 0], scores[rows, 0], minlength=n_leaves)
        best = min(range(n_leaves), key=lambda leaf: (-count[leaf], -mass[leaf], leaf))
        assert clf.tree_.path(label)[0][-2] == best


@pytest.mark.parametrize("n_clusters", [1, 2, 6])
def test_a_label_joins_as_many_clusters_as_told(n_clusters):
    clf = fitted().add_labels(X, Y, clusters_per_label=n_clusters)
    copies = np.bincount(clf.tree_.slot_label)
    assert (copies[:N_KNOWN] == 1).all()
    assert (copies[N_KNOWN:] >= 1).all()
    assert copies[N_KNOWN:].max() == min(n_clusters, clf.tree_.n_nodes(clf.n_levels_ - 1))
    labels, _ = clf.rank(X, 20)
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in labels)


@pytest.mark.parametrize("embedding", ["pifa", "features", "pifa+features"])
def test_the_indexer_assigns_labels_by_their_embedding(embedding):
    features = random_csr(np.random.default_rng(3), N_KNOWN + N_NEW, 9, 0.6)
    clf = classifier(label_embedding=embedding)
    clf.fit(X, KNOWN, label_features=features[:N_KNOWN])
    given = {"label_features": features[N_KNOWN:]}
    clf.add_labels(X, Y, placement="indexer", **given)
    kinds = {"pifa": skxmr.embeddings.pifa(X, Y)[N_KNOWN:], "features": features[N_KNOWN:]}
    Z = sp.hstack(
        [
            kinds[kind] / sp.linalg.norm(kinds[kind], axis=1)[:, None]
            for kind in embedding.split("+")
        ]
    ).tocsr()
    expected = clf.indexer_.predict(Z.astype(np.float32))
    found = [clf.tree_.path(label)[0][-2] for label in range(N_KNOWN, N_KNOWN + N_NEW)]
    assert found == expected.tolist()


@pytest.mark.parametrize("indexer", [TrieIndexer(max_leaf_size=3), TrieHybridIndexer(1, 3)])
@pytest.mark.parametrize("kind", ["multilabel", "classes"])
@pytest.mark.parametrize("placement", ["search", "indexer"])
def test_texts_go_down_the_trie(indexer, kind, placement):
    (rows, known), y = targets_of(kind)
    texts = {} if kind == "classes" else {"label_text": NAMES[:N_KNOWN]}
    clf = classifier(indexer).fit(rows, known, **texts)
    texts = {} if kind == "classes" else {"label_text": NAMES[N_KNOWN:]}
    clf.add_labels(X, y, placement=placement, **texts)
    assert (clf.rank(X, 5)[0][:, 0] >= 0).all()
    if placement == "indexer":
        expected = clf.indexer_.predict(NAMES[N_KNOWN:])
        names = NAMES if kind == "multilabel" else clf.classes_
        numbers = [names.tolist().index(name) for name in NAMES[N_KNOWN:]]
        assert [clf.tree_.path(label)[0][-2] for label in numbers] == expected.tolist()


def test_a_hybrid_is_given_features_as_in_fit():
    features = random_csr(np.random.default_rng(3), 20, 9, 0.6)
    clf = classifier(TrieHybridIndexer(0, 3))
    clf.fit(X, KNOWN, label_text=NAMES[:N_KNOWN], label_features=features[:N_KNOWN])
    given = {"label_text": NAMES[N_KNOWN:], "label_features": features[N_KNOWN:]}
    clf.add_labels(X, Y, placement="indexer", **given)
    expected = clf.indexer_.predict(NAMES[N_KNOWN:], label_features=features[N_KNOWN:])
    found = [clf.tree_.path(label)[0][-2] for label in range(N_KNOWN, 20)]
    assert found == expected.tolist()


def test_a_label_without_rows_is_kept_in_the_smallest_cluster():
    clf = fitted()
    sizes = np.diff(clf.tree_.child_ptr[-1])
    empty = sp.csr_matrix((X.shape[0], 1), dtype=np.float32)
    clf.add_labels(X, sp.hstack([Y, empty], format="csr"))
    assert clf.tree_.path(20)[0][-2] == np.argmin(sizes)
    slot = np.flatnonzero(clf.tree_.slot_label == 20)[0]
    assert (
        X @ slot_weights(clf._ranker, slot)[:-1] + slot_weights(clf._ranker, slot)[-1] < 0
    ).all()


@pytest.mark.parametrize("n_new", [2, 500])
def test_a_cluster_may_outgrow_a_chunk(n_new):
    # Labels beyond the first are in one cluster: behind a full chunk and a part of one.
    n_known, n = 300, 300 + n_new
    X = sp.identity(n, dtype=np.float32, format="csr")
    clf = classifier(LabelTree([[0, n_known]], np.arange(n_known)))
    clf.fit(X[:n_known], np.arange(n_known))
    one = copy.deepcopy(clf).add_labels(X, np.arange(n))
    retrained = copy.deepcopy(clf).add_labels(X, np.arange(n), retrain_siblings=True)
    for extended in (one, retrained):
        widths = [len(chunk.bias) for chunk in chunks_of(extended._ranker.layers[0], 0)]
        assert widths == [CHUNK_WIDTH] * (n // CHUNK_WIDTH) + [n % CHUNK_WIDTH]
        assert extended.score(X, np.arange(n)) == 1
    assert_array_equal(slot_weights(one._ranker, 299), slot_weights(clf._ranker, 299))


# ---- the estimator afterwards ----


@pytest.mark.parametrize("kind", ["multilabel", "classes"])
def test_new_labels_are_ranked_and_old_ones_stay(kind):
    clf, y = fitted(kind, prune_threshold=0.1), targets_of(kind)[1]
    assert clf.add_labels(X, y) is clf
    assert clf.score(X, y) > (0.95 if kind == "multilabel" else 0.65)
    assert len(clf.classes_) == clf.n_labels_ == clf.tree_.n_labels == 20
    assert clf.tree_ is clf.trees_[0]
    assert clf.decision_function(X).shape == (X.shape[0], 20)
    clf.rank(X[[0]], 3)
    assert_array_equal(clf.rank(X[[0]], 3)[0][0], clf.rank(X, 3)[0][0])


@pytest.mark.parametrize("dtype", ["<U9", object, int, float])
def test_classes_stay_in_order(dtype):
    y = CLASSES.astype(dtype) if dtype in ("<U9", object) else (np.arange(240) * 7 % 20 - 3.0)
    y = y.astype(dtype)
    rows = OF_KNOWN
    old = classifier().fit(X[rows], y[rows])
    clf = copy.deepcopy(old).add_labels(X, y)
    assert clf.classes_.dtype.kind == old.classes_.dtype.kind
    assert_array_equal(clf.classes_, np.unique(y))
    assert (clf.predict(X) == y).mean() > 0.65
    assert type(clf.predict(X)[0]) is type(old.predict(X)[0])


def test_longer_strings_are_not_cut():
    y = CLASSES.astype(object)
    y[y == NAMES[19]] = "a much longer name"
    clf = fitted("classes").add_labels(X, y.astype(str))
    assert "a much longer name" in clf.classes_
    assert (clf.predict(X) == y).mean() > 0.65


def test_a_third_class_makes_scores_a_matrix():
    y = np.arange(240) % 3
    clf = classifier().fit(X[y < 2], y[y < 2])
    assert clf.decision_function(X).shape == (240,)
    assert clf.add_labels(X, y).decision_function(X).shape == (240, 3)


@pytest.mark.parametrize("container", ["dense", "spmatrix", "sparray"])
def test_predictions_come_as_in_fit(container):
    make = {"dense": lambda m: m.toarray(), "spmatrix": sp.csr_matrix, "sparray": sp.csr_array}
    for other in make.values():
        clf = classifier().fit(X, make[container](KNOWN)).add_labels(X, other(Y))
        assert type(clf.predict(X)) is type(make[container](Y))
        assert clf.predict(X).shape == Y.shape


def test_labels_can_be_added_again_and_again():
    clf = classifier().fit(X, KNOWN)
    for n_labels in (17, 18, 20):
        clf.add_labels(X, Y[:, :n_labels])
        assert clf.n_labels_ == n_labels
    assert precision_at_k(Y, clf.rank(X, 1), k=1) > 0.9


@pytest.mark.parametrize("params", [{}, {"n_trees": 2, "n_neighbors": 3}])
def test_order_of_rows_and_number_of_jobs_change_nothing(params):
    rows = np.random.default_rng(0).permutation(X.shape[0])
    a = fitted(**params).add_labels(X, Y)
    b = fitted(**params, n_jobs=3).add_labels(X[rows], Y[rows])
    assert a.trees_ == b.trees_
    assert_same_ranking(a.rank(X, 5), b.rank(X, 5))


def test_weight_two_is_the_row_twice():
    weight = np.random.default_rng(1).integers(0, 3, X.shape[0])
    twice = np.repeat(np.arange(X.shape[0]), weight)
    a, b = fitted(n_neighbors=3).add_labels(X, Y, weight), fitted(n_neighbors=3)
    b.add_labels(X[twice], Y[twice])
    assert a.tree_ == b.tree_
    assert_same_ranking(a.rank(X, 5), b.rank(X, 5))


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("params", [{}, {"n_trees": 2, "n_neighbors": 3}])
@pytest.mark.parametrize("kind", ["multilabel", "classes"])
def test_a_loaded_model_learns_the_same(tmp_path, mmap, params, kind):
    clf, y = fitted(kind, weight_dtype="float16", **params), targets_of(kind)[1]
    clf.save(tmp_path / "old")
    loaded = skxmr.load(tmp_path / "old", mmap=mmap).add_labels(X, y)
    copied = pickle.loads(pickle.dumps(clf)).add_labels(X, y)
    clf.add_labels(X, y).save(tmp_path / "new")
    for other in (loaded, copied, skxmr.load(tmp_path / "new", mmap=mmap, verify=True)):
        assert other.trees_ == clf.trees_
        assert_array_equal(other.classes_, clf.classes_)
        assert_same_ranking(other.rank(X, 5), clf.rank(X, 5))
    loaded.save(tmp_path / "old")
    assert_same_ranking(skxmr.load(tmp_path / "old").rank(X, 5), clf.rank(X, 5))


def test_feature_names_are_checked():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.toarray(), columns=[f"word {i}" for i in range(X.shape[1])])
    clf = classifier().fit(frame, KNOWN.toarray())
    with pytest.raises(ValueError, match="feature names"):
        clf.add_labels(frame[frame.columns[::-1]], Y)
    assert clf.add_labels(frame, Y).n_labels_ == 20


# ---- nearest neighbors ----


@pytest.mark.parametrize("kind", ["multilabel", "classes"])
def test_rows_given_again_are_neighbors_as_after_a_fit(kind):
    clf, y = fitted(kind, n_neighbors=5), targets_of(kind)[1]
    clf.add_labels(X, y)
    clf._fitted.neighbors.check()
    expected = classifier(n_neighbors=5).fit(X, y)._fitted.neighbors
    assert clf._fitted.neighbors.arrays.keys() == expected.arrays.keys()
    for name, array in expected.arrays.items():
        assert_array_equal(clf._fitted.neighbors.arrays[name], array)


def test_other_rows_become_neighbors():
    rest = np.arange(0, 240, 2)
    clf = classifier(n_neighbors=5).fit(X[rest], KNOWN[rest])
    others = np.setdiff1d(np.arange(240), rest)
    old = clf._fitted.neighbors.arrays
    clf.add_labels(X[others], Y[others])
    neighbor_rows = clf._fitted.neighbors
    neighbor_rows.check()
    assert (neighbor_rows.n_rows, neighbor_rows.n_labels) == (240, 20)
    n = len(old["labels"])
    assert_array_equal(neighbor_rows.arrays["labels"][:n], old["labels"])
    assert clf.rank(X, 3)[0].shape == (240, 3)


def test_a_row_of_other_labels_is_another_row():
    one, two = sp.csr_matrix(KNOWN[[0]]), sp.csr_matrix(KNOWN[[1]])
    same = sp.vstack([X[[0]], X[[0]], X[2:]], format="csr")
    clf = classifier(n_neighbors=5).fit(same, sp.vstack([one, two, KNOWN[2:]], format="csr"))
    n_rows = clf._fitted.neighbors.n_rows
    new = sp.csr_matrix(([1.0], ([0], [0])), shape=(1, N_NEW))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        clf.add_labels(X[[0]], sp.hstack([one, new], format="csr"))
    assert clf._fitted.neighbors.n_rows == n_rows  # replaced the first of the two


# ---- what is refused, and what is said ----


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (KNOWN, "y must have more than 16 columns"),
        (sp.hstack([KNOWN, KNOWN[:, :2] * 0], format="csr"), "row with a new label"),
        (Y[:9], "y must have 240 rows, got 9"),
        (Y * 2, "0/1"),
        (CLASSES, "two-dimensional"),
    ],
)
def test_bad_indicators_are_refused(y, message):
    clf = fitted()
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=message):
        clf.add_labels(X, y)
    assert vars(clf) == before


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (CLASSES[OF_KNOWN].repeat(2)[:240], "at least one class that is new, got known ones only"),
        (CLASSES[:9], "one class for each of 240 rows, got 9"),
        (np.arange(240), "y must hold classes of <U8, as in fit, got int64"),
        (Y.toarray(), "1d array"),
    ],
)
def test_bad_classes_are_refused(y, message):
    clf = fitted("classes")
    with pytest.raises(ValueError, match=message):
        clf.add_labels(X, y)
    assert clf.n_labels_ == N_KNOWN


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"placement": "here"}, "placement must be one of 'search', 'indexer', got 'here'"),
        ({"clusters_per_label": 0}, "clusters_per_label must be at least 1"),
        ({"clusters_per_label": 7}, "clusters_per_label must be at most 6"),
        ({"clusters_per_label": 1.5}, "clusters_per_label must be an integer"),
        ({"retrain_siblings": 1}, "retrain_siblings must be"),
        ({"sample_weight": np.ones(3)}, "sample_weight must be 240 numbers"),
        ({"sample_weight": 1.0 - Y[:, N_KNOWN:].toarray().any(axis=1)}, "row with a new label"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fitted().add_labels(X, Y, **options)


def test_rows_must_have_the_features_of_fit():
    with pytest.raises(ValueError, match="features"):
        fitted().add_labels(X[:, :5], Y)
    with pytest.raises(ValueError, match=r"NaN|finite"):
        fitted().add_labels(X.toarray() * np.nan, Y)


def test_an_unfitted_model_has_nothing_to_add_to():
    with pytest.raises(NotFittedError):
        classifier().add_labels(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"indexer": LabelTree([[0, 16]], np.arange(16))}, "needs the fitted indexer"),
        ({"n_trees": 2}, "needs a model of one tree, got 2"),
        ({"label_embedding": "pii"}, "cannot embed new labels"),
        ({"label_embedding": "pifa+features"}, "needs label_features, got None"),
        ({"indexer": TrieIndexer()}, "needs label_text"),
    ],
)
def test_an_indexer_that_cannot_place_labels_is_named(params, message):
    given = {"label_features": np.eye(16), "label_text": NAMES[:16]}
    clf = classifier(**params).fit(X, KNOWN, **given)
    with pytest.raises(ValueError, match=message):
        clf.add_labels(X, Y, placement="indexer")
    assert clf.add_labels(X, Y).n_labels_ == 20


class Lost(KMeansIndexer):
    def predict(self, X):
        return super().predict(X) + 1000


def test_an_indexer_that_names_no_cluster_is_refused():
    clf = classifier(Lost(max_leaf_size=4)).fit(X, KNOWN)
    with pytest.raises(ValueError, match=r"indexer_\.predict must give a leaf cluster in"):
        clf.add_labels(X, Y, placement="indexer")


def test_a_loaded_model_has_no_indexer(tmp_path):
    fitted().save(tmp_path / "model")
    with pytest.raises(ValueError, match="placement='indexer' needs the fitted indexer"):
        skxmr.load(tmp_path / "model").add_labels(X, Y, placement="indexer")


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_failure_leaves_the_model_as_it_was(monkeypatch, error):
    clf = fitted(n_trees=2, n_neighbors=3)
    ranking, before = clf.rank(X, 5), dict(vars(clf))
    calls = []

    def fail_later(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            raise error
        return new_labels.extended_ranker(*args, **options)

    monkeypatch.setattr(skxmr.linear._new_labels, "extended_ranker", fail_later)
    with pytest.raises(error):
        clf.add_labels(X, Y)
    assert vars(clf) == before
    assert_same_ranking(clf.rank(X, 5), ranking)


def test_rows_that_lack_known_labels_are_warned_of():
    rows = np.flatnonzero(Y[:, N_KNOWN:].toarray().any(axis=1))
    only_new = sp.csr_matrix(Y.toarray()[rows] * (np.arange(20) >= N_KNOWN))
    with pytest.warns(UserWarning, match="X has no rows of .* may be ranked too low"):
        fitted().add_labels(X[rows], only_new)
    with pytest.warns(UserWarning, match="are no longer ranked"):
        fitted().add_labels(X[rows], only_new, retrain_siblings=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted().add_labels(X, Y, retrain_siblings=True)


def test_progress_is_told(capsys, monkeypatch):
    monkeypatch.setattr(skxmr._utils.progress, "_make_bar", lambda what: None)
    monkeypatch.setattr(skxmr._utils.progress, "_INTERVAL", 0.0)
    fitted(n_trees=2).set_params(verbose=1).add_labels(X, Y)
    text = capsys.readouterr().out
    assert "adding labels: training rankers, member 2 of 2" in text
    assert "adding labels: done" in text


# ---- real data ----


@pytest.mark.slow
@pytest.mark.slow
def test_subjects_of_a_catalogue_are_found_as_often_as_after_a_fit():
    data = catalogue_sample()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X, X_test = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    order = np.random.default_rng(0).permutation(data.Y_train.shape[1])
    Y, Y_test = (sp.csr_matrix(y)[:, order] for y in (data.Y_train, data.Y_test))
    n_known = Y.shape[1] - 250
    params = {"random_state": 0, "n_jobs": 2, "n_neighbors": None}
    refit = XRLinearClassifier(**params).fit(X, Y)
    extended = XRLinearClassifier(**params).fit(X, Y[:, :n_known]).add_labels(X, Y)
    rows = np.flatnonzero(Y_test[:, n_known:].sum(axis=1))
    found = {}
    for name, clf in (("refit", refit), ("extended", extended)):
        labels, _ = clf.rank(X_test, 5)
        new = sum(np.isin(Y_test[i].indices, labels[i][labels[i] >= n_known]).sum() for i in rows)
        found[name] = precision_at_k(Y_test, labels, k=1), precision_at_k(Y_test, labels, k=5), new
    assert found["extended"][0] > found["refit"][0] - 0.01
    assert found["extended"][1] > found["refit"][1] - 0.005
    assert found["extended"][2] > 0.9 * found["refit"][2]
