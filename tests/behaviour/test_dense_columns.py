"""Dense columns of X: which they are, and neighbors by them, compared with a slow reference."""

import pickle
from functools import partial

import numpy as np
import pytest
from datasets import classifier, embedded_rows, unit_rows, with_embeddings
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import assert_same_ranking, best_first, stored_entries
from saved_models import (
    array_file,
    assert_refused,
    assert_refused_if_verified,
    forge,
    manifest_of,
    write_field,
)
from scipy import sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from strategies import examples

import skxmr
from skxmr import CalibratedRanker, XRLinearClassifier
from skxmr._core import CSRView, EmbeddingRows
from skxmr._data.examples import distinct_examples
from skxmr._data.features import DenseColumns, find_dense_columns
from skxmr._ranking.neighbors import make_embedding_rows
from skxmr._training.held_out import hold_out
from skxmr.linear import LabelOrder

N_DIMS = 20
X, Y, NAMES = embedded_rows()
N_SPARSE = X.shape[1] - N_DIMS
N_LABELS = Y.shape[1]
ORDINARY = X[:, :N_SPARSE]

fitted = partial(classifier, n_dense_neighbors=6)


def precision(clf, rows=X, truth=Y):
    labels, _ = clf.rank(rows, 1)
    return truth[np.arange(len(labels)), labels[:, 0]].mean()


# ---- which columns are dense ----


def blocks():
    """Pairs of a matrix and the number of its dense columns that are found."""
    rng = np.random.default_rng(0)
    ordinary = sp.random(60, 30, 0.2, "csr", dtype=np.float32, random_state=0)
    E = unit_rows(rng.normal(size=(60, 16)))
    with_zeros = E.copy()
    with_zeros[::3] = 0
    sparse_embeddings = unit_rows(E * (rng.random(E.shape) < 0.8))
    return {
        "embeddings": (with_embeddings(ordinary, E), 16),
        "of another norm": (with_embeddings(ordinary, 7 * E), 16),
        "with empty rows": (with_embeddings(ordinary, with_zeros), 16),
        "with zeros": (with_embeddings(ordinary, sparse_embeddings), 16),
        "too few": (with_embeddings(ordinary, unit_rows(E[:, :15])), 0),
        "numbers of different norms": (with_embeddings(ordinary, rng.normal(size=(60, 16))), 0),
        "all columns": (sp.csr_matrix(E), 0),
        "not the last ones": (sp.csr_matrix(sp.hstack([sp.csr_matrix(E), ordinary])), 0),
        "none": (ordinary, 0),
        "in under half of the rows": (
            with_embeddings(ordinary, np.where(np.arange(60)[:, None] % 2, 0, E)),
            0,
        ),
        "after a frequent word": (
            with_embeddings(with_embeddings(ordinary, rng.random((60, 3))), E),
            16,
        ),
        "two of them": (with_embeddings(ordinary, np.hstack([E, unit_rows(E[:, :4] ** 3)])), 20),
        "two of them alone": (sp.csr_matrix(np.hstack([E, unit_rows(E**3)])), 0),
        "no row": (sp.csr_matrix((0, 40), dtype=np.float32), 0),
        "no entry": (sp.csr_matrix((5, 40), dtype=np.float32), 0),
    }


@pytest.mark.parametrize("kind", blocks())
def test_embeddings_after_sparse_columns_are_found(kind):
    matrix, expected = blocks()[kind]
    assert find_dense_columns(matrix)[1] == expected
    assert find_dense_columns(matrix.toarray())[1] == 0


def test_unsorted_and_repeated_entries_are_found_as_others():
    matrix, n_dense = blocks()["embeddings"]
    halves = sp.csr_matrix(
        (np.tile(matrix.data / 2, 2), np.tile(matrix.indices, 2), np.zeros(1, int)), (0, 46)
    )
    parts = [np.r_[matrix[i].indices, matrix[i].indices[::-1]] for i in range(60)]
    data = [np.r_[matrix[i].data, matrix[i].data[::-1]] / 2 for i in range(60)]
    pointers = np.r_[0, np.cumsum([len(part) for part in parts])]
    halves = sp.csr_matrix(
        (np.concatenate(data), np.concatenate(parts), pointers), shape=matrix.shape
    )
    before = halves.indices.copy()
    assert find_dense_columns(halves)[1] == n_dense
    assert_array_equal(halves.indices, before)


def test_the_number_found_or_given_is_an_attribute():
    assert fitted().fit(X, Y).n_dense_columns_ == N_DIMS
    assert fitted(dense_columns=3).fit(X, Y).n_dense_columns_ == 3
    assert fitted(dense_columns=0).fit(X, Y).n_dense_columns_ == 0
    assert fitted().fit(X.toarray(), Y).n_dense_columns_ == 0
    assert fitted().fit(ORDINARY, Y).dense_neighbors_ is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"dense_columns": 41}, "dense_columns must be at most 40, the number of columns of X"),
        ({"dense_columns": 40}, "dense_columns must leave columns for the trees"),
        ({"dense_columns": -1}, "dense_columns must be at least 0"),
        ({"dense_columns": "all"}, "dense_columns must be 'auto' or a number of columns"),
        ({"dense_use": "all"}, "dense_use must be one of"),
        ({"dense_candidates": "some"}, "dense_candidates must be one of"),
        ({"n_dense_neighbors": 0}, "n_dense_neighbors must be at least 1, or None"),
        ({"dense_neighbor_weight": 1.5}, "dense_neighbor_weight must be at most 1"),
        ({"dense_neighbor_power": -1}, "dense_neighbor_power must be finite and at least 0"),
        ({"label_example_weight": -1}, "label_example_weight must be finite and at least 0"),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        fitted(**params).fit(X, Y)


@pytest.mark.parametrize("params", [{"dense_columns": 2.5}, {"dense_columns": None}])
def test_parameters_of_another_type_are_refused(params):
    with pytest.raises(TypeError, match="dense_columns must be"):
        fitted(**params).fit(X, Y)


def test_embeddings_that_are_not_finite_or_of_another_width_are_refused():
    clf = fitted().fit(X, Y)
    wrong = X[:3].copy()
    wrong.data[wrong.indptr[1] - 1] = np.nan
    for rows in (wrong, wrong[:1], wrong[:1].toarray(), (wrong[:1].indices, wrong[:1].data)):
        for _ in range(2):
            with pytest.raises(ValueError, match="NaN"):
                clf.rank(rows)
            clf.rank(X[0])  # the fast path of single rows is in use afterwards
    with pytest.raises(ValueError, match="NaN"):
        fitted().fit(wrong, Y[:3])
    for rows in (X[:, :-1], ORDINARY, X[:1, :-1]):
        with pytest.raises(ValueError, match="features"):
            clf.rank(rows)
    with pytest.raises(ValueError, match="features"):
        clf.add_neighbors(ORDINARY, Y)
    with pytest.raises(ValueError, match="label_examples must have 40 features"):
        fitted().fit(X, Y, label_examples=NAMES[:, :-1])


# ---- neighbors by embeddings, against the reference ----


@st.composite
def corpora(draw):
    """Embeddings after one other column, labels, weights, and queries."""
    n, n_dims, n_labels = (draw(st.integers(1, most)) for most in (8, 5, 4))
    values = st.lists(st.sampled_from([0.0, -1.0, 0.3, 1.0, 1e-20, 2e18]), min_size=n_dims)
    row = values.map(lambda v: v[:n_dims])
    rows = draw(st.lists(row, min_size=n, max_size=n))
    labels = st.lists(st.integers(0, 1), min_size=n_labels, max_size=n_labels)
    Y = draw(st.lists(labels, min_size=n, max_size=n))
    weight = draw(st.none() | st.lists(st.sampled_from([0.5, 1, 3]), min_size=n, max_size=n))
    queries = draw(st.lists(row, min_size=1, max_size=3))
    first = np.arange(1, n + 1)[:, None]
    return (
        sp.csr_matrix(np.hstack([first, rows]), dtype=np.float32),
        sp.csr_matrix(Y, dtype=np.float32),
        None if weight is None else np.array(weight, np.float32),
        sp.csr_matrix(np.hstack([np.ones((len(queries), 1)), queries]), dtype=np.float32),
    )


def slow_neighbors(of, query, labels):
    """Pairs (row, similarity) of the rows that have one of the labels, or of all."""
    found = []
    for row in range(of.Y.shape[0]):
        values = of.X[of.source[row]].toarray().ravel()[1:].astype(float)
        steps = np.rint(values / max(abs(values).max(), 1e-300) * 127)
        norms = np.linalg.norm(steps) * np.linalg.norm(query)
        similarity = steps @ query / norms if norms else 0.0
        own_labels = {label for label, _ in stored_entries(of.Y, row)}
        if (labels is None or own_labels & set(labels)) and similarity > 1e-6:
            found.append((row, similarity))
    return best_first(found)


@examples(200)
@given(corpora(), st.integers(1, 10), st.booleans(), st.data())
def test_neighbors_are_those_of_the_reference(corpus, n_neighbors, exact, data):
    rows, labels, weight, queries = corpus
    of = distinct_examples(rows, labels, weight)
    n, n_labels = queries.shape[0], labels.shape[1]
    lists = st.lists(st.integers(-1, n_labels - 1), min_size=3, max_size=3)
    listed = np.array(data.draw(st.lists(lists, min_size=n, max_size=n)), dtype=np.int32)
    stored = make_embedding_rows(of, rows.shape[1] - 1)
    stored.check()
    given_labels = None if exact else listed
    found, similarity = stored.find(CSRView(queries), 0, n, given_labels, n_neighbors, 10**6)
    number = {source: i for i, source in enumerate(of.source.tolist())}
    for i in range(n):
        query = queries[[i]].toarray().ravel()[1:].astype(float)
        expected = slow_neighbors(of, query, None if exact else listed[i].tolist())
        kept = [s for _, s in expected][:n_neighbors]
        pairs = zip(found[i].tolist(), similarity[i].tolist(), strict=True)
        there = [(number[stored.source[row]], s) for row, s in pairs if row >= 0 and s > 1e-4]
        assert_allclose([s for _, s in there], [s for s in kept if s > 1e-4], atol=1e-4)
        clear = [row for row, s in expected[:n_neighbors] if s > max(kept[-1], 1e-4) + 2e-4]
        assert set(clear) <= {row for row, _ in there}
        assert (similarity[i][found[i] < 0] == 0).all()


@pytest.mark.parametrize("n_dims", [17, 64, 300, 5000])
def test_cosines_are_accurate(n_dims):
    rng = np.random.default_rng(0)
    E = unit_rows(rng.normal(size=(200, n_dims)) + 0.5)
    matrix = sp.csr_matrix(E)
    of = distinct_examples(matrix, sp.csr_matrix(np.ones((200, 1), np.float32)))
    stored = make_embedding_rows(of, n_dims)
    found, similarity = stored.find(CSRView(matrix), 0, 200, None, 200, 1)
    cosines = E.astype(float) @ E.T.astype(float)
    rows = np.where(found >= 0, stored.source[found], 0)
    exact = np.take_along_axis(cosines, rows, axis=1)
    assert np.abs(similarity - exact)[found >= 0].max() < 0.008
    assert_array_equal(rows[:, 0], np.arange(200))
    assert stored.arrays["vectors"].ctypes.data % 64 == 0


@pytest.mark.parametrize("post_processor", ["l3-hinge", "log-l3-hinge"])
@pytest.mark.parametrize("n_neighbors", [None, 4])
def test_scores_are_sums_of_all_contributions(post_processor, n_neighbors):
    params = {"n_neighbors": n_neighbors, "post_processor": post_processor}
    clf = fitted(**params).fit(X, Y)
    tree = fitted(post_processor=post_processor).fit(ORDINARY, Y)
    both = [tree.rank(ORDINARY, N_LABELS)]
    if n_neighbors:
        tree.set_params(n_neighbors=n_neighbors)
    labels, scores = clf.rank(X, N_LABELS)
    is_log = post_processor.startswith("log")
    rows = [np.exp(s) if is_log else s for s in (scores, both[0][1])]
    of_tree = np.zeros((X.shape[0], N_LABELS))
    np.put_along_axis(of_tree, both[0][0], rows[1], axis=1)
    E = X[:, N_SPARSE:].toarray().astype(float)
    of_dense = nearest(E, E, 6, 8.0)
    total = 0.6 * of_tree + 0.4 * of_dense
    if n_neighbors:
        dense = ORDINARY.toarray().astype(float)
        total = 0.6 * (0.8 * of_tree + 0.2 * nearest(dense, dense, 4, 3.0)) + 0.4 * of_dense
    found = np.zeros_like(of_tree)
    there = labels >= 0
    np.put_along_axis(found, np.where(there, labels, 0), np.where(there, rows[0], 0), axis=1)
    assert_allclose(found, total, atol=0.02)  # the similarities are rounded


def nearest(queries, rows, n_neighbors, power):
    """The weights that the nearest rows by cosine give their labels."""
    queries, rows = (unit_rows(matrix).astype(float) for matrix in (queries, rows))
    similarity = np.maximum(queries @ rows.T, 0)
    similarity[:, np.diff(Y.indptr) == 0] = 0  # rows without labels are no neighbors
    best = np.argsort(-similarity, axis=1)[:, :n_neighbors]
    weights = np.take_along_axis(similarity, best, axis=1) ** power
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
    return np.stack([w @ Y[b].toarray() for w, b in zip(weights, best, strict=True)])


# ---- as parts of a classifier ----


def test_tree_and_rankers_use_only_the_other_columns():
    clf = fitted(n_neighbors=5).fit(X, Y)
    plain = fitted(n_neighbors=5).fit(ORDINARY, Y)
    assert clf.tree_ == plain.tree_
    for a, b in zip(clf._fitted.rankers[0].layers, plain._fitted.rankers[0].layers, strict=True):
        assert_array_equal(a.payload, b.payload)
        assert_array_equal(a.bias, b.bias)
    for name, array in plain._fitted.neighbors.arrays.items():
        assert_array_equal(array, clf._fitted.neighbors.arrays[name])
    clf.set_params(n_dense_neighbors=None)
    assert_same_ranking(clf.rank(X, 8), plain.rank(ORDINARY, 8))
    assert n_equal_to_batch(clf) == 8


@pytest.mark.parametrize("params", [{}, {"dense_columns": N_DIMS}])
def test_used_as_features_they_are_columns_like_others(params):
    # The weights of dense columns are trained in another order of sums, and are not pruned.
    exact = {"n_neighbors": 5, "prune_threshold": 0.0, "tol": 1e-5, "max_iter": 2000}
    clf = fitted(dense_use="features", **exact, **params).fit(X, Y)
    plain = fitted(dense_columns=0, **exact).fit(X, Y)
    _, scores = clf.rank(X, 8)
    _, expected = plain.rank(X, 8)
    assert_allclose(scores, expected, atol=2e-3)
    assert clf.dense_neighbors_ is None


@pytest.mark.parametrize("dense_use", ["neighbors", "both"])
def test_embeddings_that_say_more_improve_the_ranking(dense_use):
    train, test = slice(0, 110), slice(110, 150)
    clf = fitted(dense_use=dense_use).fit(X[train], Y[train])
    plain = fitted().fit(ORDINARY[train], Y[train])
    gain = precision(clf, X[test], Y[test]) - precision(plain, ORDINARY[test], Y[test])
    assert gain > 0.1


def n_equal_to_batch(clf, **limits):
    """The number of rows whose ranking alone, in any form, is that among others."""
    batch = clf.rank(X[:8], 7, **limits)
    for i in range(8):
        row = X[[i]]
        for form in (row, row, row.toarray(), (row.indices, row.data)):
            assert_same_ranking(clf.rank(form, 7, **limits), [part[[i]] for part in batch])
    return 8


@pytest.mark.parametrize("n_trees", [1, 3])
@pytest.mark.parametrize("n_neighbors", [None, 4])
@pytest.mark.parametrize("dense_use", ["neighbors", "both"])
def test_one_row_many_rows_and_all_numbers_of_labels_agree(n_trees, n_neighbors, dense_use):
    clf = fitted(n_trees=n_trees, n_neighbors=n_neighbors, dense_use=dense_use).fit(X, Y)
    labels, scores = clf.rank(X, N_LABELS)
    for k in (1, 3, 8):
        assert_same_ranking(clf.rank(X, k), (labels[:, :k], scores[:, :k]))
    assert_same_ranking(
        clone(clf).set_params(n_jobs=2).fit(X, Y).rank(X, N_LABELS), (labels, scores)
    )
    assert n_equal_to_batch(clf) == 8
    assert n_equal_to_batch(clf, exclude=[1, 4]) == 8
    assert n_equal_to_batch(clf, among=[0, 2, 3, 7], min_score=0.01) == 8
    narrow = clf.rank(X, 4, among=[2, 5])[0]
    assert set(narrow.ravel().tolist()) == {-1, 2, 5}


def test_a_restriction_holds_for_neighbors_by_embeddings():
    clf = fitted(n_neighbors=4).fit(X, Y)
    order = LabelOrder(clf.trees_, np.arange(N_LABELS, dtype=np.int32))
    ranges = np.tile(np.array([3, 9], dtype=np.int64), (X.shape[0], 1))
    labels, _ = clf.rank(X, N_LABELS, restriction=order.restricted_to(ranges))
    assert set(labels.ravel().tolist()) == {-1, *range(3, 9)}
    one = clf.rank(X[[5]], N_LABELS, restriction=order.restricted_to(ranges[:1]))
    assert_array_equal(one[0][0], labels[5])


def test_rows_without_embedding_have_no_neighbors_by_it():
    clf = fitted().fit(X, Y)
    without = with_embeddings(ORDINARY, np.zeros((X.shape[0], N_DIMS)))
    labels, scores = clf.rank(without, 5)
    tree = fitted().fit(ORDINARY, Y).rank(ORDINARY, 5)
    assert_array_equal(labels, tree[0])
    assert_allclose(scores, 0.6 * tree[1], rtol=1e-5)
    one = clf.rank(without[[0]], 5)
    assert_same_ranking(one, (labels[:1], scores[:1]))


def test_a_weight_of_zero_changes_nothing():
    clf = fitted(dense_neighbor_weight=0.0).fit(X, Y)
    plain = fitted().fit(ORDINARY, Y)
    assert_same_ranking(clf.rank(X, 8), plain.rank(ORDINARY, 8))


def test_parameters_may_change_after_fit():
    clf = fitted(n_dense_neighbors=3).fit(X, Y)
    changes = {"n_dense_neighbors": 9, "dense_neighbor_weight": 0.7, "dense_neighbor_power": 2.0}
    clf.set_params(**changes)
    again = fitted(**changes).fit(X, Y)
    assert_same_ranking(clf.rank(X, 8), again.rank(X, 8))
    clf.set_params(post_processor="noop")
    margins = fitted(post_processor="noop").fit(ORDINARY, Y)
    assert_same_ranking(clf.rank(X, 8), margins.rank(ORDINARY, 8))
    assert n_equal_to_batch(clf) == 8


def test_neighbors_may_be_found_among_all_rows():
    clf = fitted(dense_candidates="all", beam_width=1, n_neighbors=3).fit(X, Y)
    labels, _ = clf.rank(X, N_LABELS)
    E = X[:, N_SPARSE:].toarray().astype(float)
    similarity = E @ E.T
    for i in range(X.shape[0]):
        second = np.argsort(-similarity[i])[1]
        assert set(Y[[second]].indices) <= set(labels[i].tolist())
    assert n_equal_to_batch(clf) == 8
    assert n_equal_to_batch(clf, exclude=[1, 4]) == 8
    explanation = clf.explain(X[[120]], 0).dense_neighbors
    assert set(explanation.rows[0]) == set(np.argsort(-similarity[120])[:6])
    assert fitted(dense_candidates="all", n_dense_neighbors="auto", threshold="auto").fit(X, Y)


def test_weighted_rows_are_repeated_rows():
    weight = np.tile([1, 3], X.shape[0] // 2)
    repeated = np.repeat(np.arange(X.shape[0]), weight)
    clf = fitted(n_neighbors=4).fit(X, Y, sample_weight=weight)
    again = fitted(n_neighbors=4).fit(X[repeated], Y[repeated])
    assert_allclose(clf.rank(X, 5)[1], again.rank(X, 5)[1], atol=1e-5)


def test_the_order_of_rows_has_no_effect():
    order = np.random.default_rng(0).permutation(X.shape[0])
    clf = fitted().fit(X, Y)
    again = fitted().fit(X[order], Y[order])
    assert_same_ranking(clf.rank(X, 8), again.rank(X, 8))


def test_label_examples_are_neighbors_with_their_weight():
    for weight in (0.0, 1.0, 4.0):
        clf = fitted(label_example_weight=weight).fit(X, Y, label_examples=NAMES)
        rows = clf._fitted.embeddings
        is_name = rows.source >= X.shape[0]
        assert is_name.sum() == (N_LABELS if weight else 0)
        assert (rows.arrays["weight"][is_name] == weight).all()
        assert (rows.arrays["weight"][~is_name] == 1).all()
        explanation = clf.explain(NAMES[[3]], 3).dense_neighbors
        assert (explanation.rows[0, 0] == X.shape[0] + 3) == (weight > 0)


def test_rows_are_added():
    clf = fitted(n_neighbors=None).fit(X[:100], Y[:100])
    clf.add_neighbors(X[100:], Y[100:])
    tree = fitted(n_neighbors=None).fit(X[:100], Y[:100])
    assert clf._fitted.embeddings.n_rows == X.shape[0]
    clf._fitted.embeddings.check()
    explanation = clf.explain(X[[120]], 0).dense_neighbors
    assert explanation.rows[0, 0] == 120
    assert explanation.similarities[0, 0] == pytest.approx(1, abs=1e-3)
    assert (clf.rank(X[100:], 3)[1] != tree.rank(X[100:], 3)[1]).any()


def test_labels_are_removed_and_added():
    clf = fitted(n_neighbors=3).fit(X, Y)
    clf.remove_labels([2, 7])
    kept = np.delete(np.arange(N_LABELS), [2, 7])
    rows = clf._fitted.embeddings
    rows.check()
    assert rows.n_labels == N_LABELS - 2
    never_labeled = np.diff(Y.indptr) == 0
    assert rows.n_rows == (never_labeled | (np.diff(Y[:, kept].indptr) > 0)).sum()
    assert clf.rank(X, 12)[0].max() < N_LABELS - 2
    first = np.arange(N_LABELS - 2)
    clf = fitted(n_neighbors=3).fit(X, Y[:, first])
    clf.add_labels(X, Y)
    clf._fitted.embeddings.check()
    assert clf._fitted.embeddings.n_rows == X.shape[0]
    new = (clf.rank(X, 3)[0] >= N_LABELS - 2).any(axis=1)
    assert new[np.diff(Y[:, N_LABELS - 2 :].indptr) > 0].mean() > 0.5
    without = fitted(n_neighbors=3).fit(X[:40], Y[:40, :3])
    without.remove_labels([0, 1])
    if without._fitted.embeddings is None:
        assert without.dense_neighbors_ is None


@pytest.mark.parametrize("candidates", ["ranked", "all"])
def test_removing_a_label_without_rows_changes_nothing(candidates):
    labels = Y.toarray()
    labels[::3] = 0  # rows without labels are neighbors of "all" rows as well
    labels[:, 4] = 0
    clf = fitted(n_neighbors=3, dense_candidates=candidates).fit(X, labels)
    before = np.delete(clf.decision_function(X), 4, axis=1)
    assert_allclose(clf.remove_labels([4]).decision_function(X), before, atol=1e-6)
    clf.remove_labels(range(4))
    kept = labels[:, 5:].any(axis=1) | ~labels.any(axis=1)
    assert clf._fitted.embeddings.n_rows == kept.sum()


@pytest.mark.parametrize("n_trees", [1, 2])
def test_scores_are_explained(n_trees):
    clf = fitted(n_neighbors=4, n_trees=n_trees).fit(X, Y)
    labels, scores = clf.rank(X[:9], N_LABELS)
    for label in (0, 5):
        explanation = clf.explain(X[:9], label)
        expected = np.where(labels == label, scores, -np.inf).max(axis=1)
        reached = expected > -np.inf
        assert_array_equal(explanation.scores[reached], expected[reached])
        parts = [t.weight * t.scores[:, -1] for t in explanation.trees]
        kinds = explanation.neighbors, explanation.dense_neighbors
        parts += [kind.weight * kind.scores for kind in kinds]
        summed = explanation.summed
        assert_allclose(np.sum(parts, axis=0)[summed], explanation.scores[summed], rtol=1e-4)
        assert explanation.dense_neighbors.weight == 0.4
        assert (explanation.dense_neighbors.rows[:, 0] == np.arange(9)).all()
        assert "neighbors by embeddings" in str(explanation)
        assert explanation[2].dense_neighbors.rows.shape == (1, 6)
        assert len(explanation.to_arrays()["feature"])
        again = pickle.loads(pickle.dumps(explanation))
        assert_array_equal(again.dense_neighbors.rows, explanation.dense_neighbors.rows)


def test_settings_are_chosen_on_rows_held_out():
    params = {"n_neighbors": "auto", "n_dense_neighbors": "auto", "random_state": 0}
    many, labels, _ = embedded_rows(700, label_density=0.1)
    clf = XRLinearClassifier(**params).fit(many, labels)
    assert clf.dense_neighbors_.n_neighbors in (25, 50, 100)
    by_hand = clone(clf).set_params(n_dense_neighbors=None)
    chosen = clf.dense_neighbors_
    by_hand = clone(clf).set_params(
        n_dense_neighbors=chosen.n_neighbors,
        dense_neighbor_power=chosen.power,
        dense_neighbor_weight=chosen.weight,
    )
    assert_same_ranking(by_hand.fit(many, labels).rank(many, 5), clf.rank(many, 5))
    noise = with_embeddings(
        many[:, :N_SPARSE], unit_rows(np.random.default_rng(5).normal(size=(700, 20)))
    )
    assert XRLinearClassifier(**params).fit(noise, labels).n_dense_columns_ == 20


def test_label_examples_without_other_features_are_not_trained_on():
    names = NAMES.toarray()
    names[:4, :N_SPARSE] = 0
    clf = fitted(n_neighbors=3).fit(X, Y, label_examples=names)
    plain = fitted(n_neighbors=3).fit(ORDINARY, Y, label_examples=names[:, :N_SPARSE])
    assert clf._fitted.neighbors.n_rows == plain._fitted.neighbors.n_rows
    assert clf._fitted.embeddings.n_rows == X.shape[0] + N_LABELS
    clf.set_params(n_dense_neighbors=None)
    assert_same_ranking(clf.rank(X, 8), plain.rank(ORDINARY, 8))


def test_rows_held_out_are_no_neighbors_in_another_guise():
    X, Y, _ = embedded_rows(400)
    ordinary = X[:, :N_SPARSE]
    others = with_embeddings(ordinary, unit_rows(X[:, N_SPARSE:].toarray() + 0.01))
    rows, labels = sp.vstack([X, others], format="csr"), sp.vstack([Y, Y], format="csr")
    of = distinct_examples(rows[:, :N_SPARSE], labels)
    embedded = distinct_examples(rows, labels)
    columns = DenseColumns(X.shape[1], N_DIMS, "neighbors")
    held_out = hold_out(of, 800, lambda others: None, columns, embedded)
    n_held = held_out.Y.shape[0]
    assert n_held >= 30
    assert held_out.embedding_rows.n_rows == embedded.Y.shape[0] - 2 * n_held


def test_a_memory_trains_once_for_all_settings_of_neighbors(tmp_path):
    fits = []
    for weight, example_weight in ((0.2, 1.0), (0.6, 1.0), (0.6, 3.0)):
        params = {"dense_neighbor_weight": weight, "label_example_weight": example_weight}
        cached = fitted(memory=tmp_path, **params).fit(X, Y, label_examples=NAMES)
        plain = fitted(**params).fit(X, Y, label_examples=NAMES)
        assert_same_ranking(cached.rank(X, 5), plain.rank(X, 5))
        fits.append(cached)
    for use in ("both", "features"):
        cached = fitted(memory=tmp_path, dense_use=use).fit(X, Y, label_examples=NAMES)
        plain = fitted(dense_use=use).fit(X, Y, label_examples=NAMES)
        assert_same_ranking(cached.rank(X, 5), plain.rank(X, 5))


class _Embedder(TransformerMixin, BaseEstimator):
    """Embeds texts in a fixed number of dense columns."""

    def fit(self, texts, y=None):
        self.vectorizer_ = TfidfVectorizer().fit(texts)
        return self

    def transform(self, texts):
        counts = self.vectorizer_.transform(texts)
        rng = np.random.default_rng(0)
        return unit_rows(counts @ rng.normal(size=(counts.shape[1], 16)))


def test_a_feature_union_is_enough():
    texts = ["cats and dogs", "dogs at sea", "sea birds", "birds and cats", "sea cats"] * 4
    pets = ["mammals", "mammals", "birds", "birds", "fish"] * 4
    union = FeatureUnion([("words", TfidfVectorizer()), ("meaning", _Embedder())])
    model = make_pipeline(union, XRLinearClassifier(random_state=0))
    model.fit(texts, pets)
    assert model[-1].n_dense_columns_ == 16
    assert (model.predict(texts) == pets).all()
    search = GridSearchCV(
        model, {"xrlinearclassifier__dense_neighbor_weight": [0.0, 0.5]}, cv=2, error_score="raise"
    )
    search.fit(texts, pets)
    assert "neighbors by embeddings" in str(skxmr.inspection.explain(model, ["sea cats"], "fish"))


def test_dense_arrays_have_dense_columns_if_given():
    E = X[:, N_SPARSE:].toarray()
    clf = fitted(dense_columns=N_DIMS, dense_use="both", n_neighbors=3).fit(E, Y)
    assert clf.neighbors_ is None  # there are no other columns
    assert clf.dense_neighbors_.n_neighbors == 6
    assert_same_ranking(clf.rank(E[:1], 4), [part[:1] for part in clf.rank(E, 4)])
    sparse = fitted(dense_columns=N_DIMS, n_neighbors=3).fit(X, Y)
    dense = fitted(dense_columns=N_DIMS, n_neighbors=3).fit(X.toarray(), Y)
    assert_same_ranking(dense.rank(X.toarray(), 4), sparse.rank(X, 4))


# ---- saved models ----


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    fitted(n_neighbors=3).fit(X, Y, label_examples=NAMES).save(folder)
    return folder


ARRAYS = ["label_ptr", "labels", "posting_ptr", "postings", "scales", "source", "vectors", "weight"]


def copy(saved, folder):
    import shutil

    return shutil.copytree(saved, folder / "copy")


def test_saved_models_rank_alike(saved, tmp_path):
    clf = fitted(n_neighbors=3).fit(X, Y, label_examples=NAMES)
    expected = clf.rank(X, 8)
    for mmap in (False, True):
        loaded = skxmr.load(saved, mmap=mmap)
        assert_same_ranking(loaded.rank(X, 8), expected)
        assert n_equal_to_batch(loaded) == 8
        assert (loaded.n_dense_columns_, loaded.dense_neighbors_) == (N_DIMS, clf.dense_neighbors_)
        loaded.save(tmp_path / "again")
        assert_same_ranking(skxmr.load(tmp_path / "again").rank(X, 8), expected)
        loaded.add_neighbors(X[:5], Y[:5])
        loaded._fitted.embeddings.check()
    assert skxmr.load(saved)._fitted.embeddings.arrays["vectors"].ctypes.data % 64 == 0
    assert_same_ranking(pickle.loads(pickle.dumps(clf)).rank(X, 8), expected)
    for use in ("features", "both"):
        clf = fitted(dense_use=use).fit(X, Y)
        clf.save(tmp_path / use)
        assert_same_ranking(skxmr.load(tmp_path / use).rank(X, 8), clf.rank(X, 8))


def test_only_models_with_dense_columns_need_the_later_format(saved, tmp_path):
    assert manifest_of(saved)["version"] == 7
    classifier(n_neighbors=3).fit(ORDINARY, Y).save(tmp_path / "plain")
    manifest = manifest_of(tmp_path / "plain")
    assert manifest["version"] == 6
    assert not any("dense" in name for name in [*manifest, *manifest["params"]])
    assert skxmr.load(tmp_path / "plain").n_dense_columns_ == 0
    classifier(dense_columns=0).fit(X, Y).save(tmp_path / "given")
    assert manifest_of(tmp_path / "given")["version"] == 7
    assert skxmr.load(tmp_path / "given").dense_columns == 0


def test_models_within_others_need_the_later_format_too(tmp_path):
    for params, version in (({}, 6), ({"dense_columns": 3}, 7)):
        clf = XRLinearClassifier(random_state=0, **params)
        model = CalibratedRanker(clf, cv=2).fit(ORDINARY, Y)
        skxmr.save(model, tmp_path / "model")
        assert manifest_of(tmp_path / "model")["version"] == version
        loaded = skxmr.load(tmp_path / "model")
        assert loaded.estimator.get_params()["dense_columns"] == clf.dense_columns
        assert_same_ranking(skxmr.rank(loaded, ORDINARY, 4), skxmr.rank(model, ORDINARY, 4))


@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_embeddings_are_refused(saved, tmp_path, name):
    model = copy(saved, tmp_path)
    key = f"embeddings.{name}"
    file = array_file(model, key)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert_refused(model)
    flipped = bytearray(whole)
    flipped[len(whole) - 3] ^= 16
    file.write_bytes(flipped)
    assert_refused_if_verified(model)
    file.write_bytes(whole)
    array = np.load(file)
    forge(model, key, array[:-1])
    assert_refused(model)
    forge(model, key, array.astype(np.float64))
    assert_refused(model)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("scales", lambda a: np.full_like(a, np.nan)),
        ("scales", lambda a: -a),
        ("vectors", lambda a: np.full_like(a, -128)),
        ("weight", lambda a: np.zeros_like(a)),
        ("labels", lambda a: a + N_LABELS),
        ("postings", lambda a: a - 5),
        ("source", lambda a: a - 5),
    ],
)
def test_forged_embeddings_are_refused_or_harmless(saved, tmp_path, name, change):
    model = copy(saved, tmp_path)
    key = f"embeddings.{name}"
    forge(model, key, change(np.load(array_file(model, key))))
    assert_refused_if_verified(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dense_columns", 0),
        ("dense_columns", -1),
        ("dense_columns", 19),
        ("dense_columns", 40),
        ("dense_columns", 10**10),
        ("dense_use", "all"),
        ("dense_use", "features"),
        ("dense_neighbors", None),
        ("dense_neighbors", [0, 1.0, 0.5]),
        ("dense_neighbors", [3, 1.0, 1.5]),
        ("n_embedded_given", 1),
        ("has_embeddings", None),
    ],
)
def test_damaged_fields_are_refused(saved, tmp_path, key, value):
    model = copy(saved, tmp_path)
    write_field(model, key, value)
    with pytest.raises(ValueError, match="the saved model"):
        skxmr.load(model)


@given(st.data())
def test_any_content_of_the_arrays_is_safe(data):
    def array(dtype, n):
        kind = np.dtype(dtype)
        numbers = st.floats(width=32) if kind.kind == "f" else st.integers(-3, 9)
        if kind == np.int8:
            return np.full(n, data.draw(st.integers(-128, 127)), dtype=np.int8)
        return np.array(data.draw(st.lists(numbers, min_size=n, max_size=n)), dtype=dtype)

    sizes = {"vectors": 3 * 64, "scales": 3, "label_ptr": 4, "labels": 5, "posting_ptr": 5}
    sizes |= {"postings": 5, "weight": 3}
    arrays = {name: array(EmbeddingRows.dtypes()[name], n) for name, n in sizes.items()}
    rows = EmbeddingRows(6, 4, n_dims=5, **arrays)
    queries = sp.csr_matrix(np.ones((2, 6), dtype=np.float32))
    listed = np.array([[0, 1, 2, 3, 9]] * 2, dtype=np.int32)
    for labels in (listed, None):
        found, _ = rows.find(CSRView(queries), 0, 2, labels, 3, 50)
        assert ((found >= -1) & (found < 3)).all()


def test_pickles_with_parts_that_do_not_fit_are_refused():
    clf = fitted().fit(X, Y)
    other = fitted(dense_columns=19).fit(X, Y)
    clf._fitted = clf._fitted._replace(embeddings=other._fitted.embeddings)
    with pytest.raises(ValueError, match="the parts of the model"):
        pickle.loads(pickle.dumps(clf))
