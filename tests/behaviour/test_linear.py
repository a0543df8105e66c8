"""XRLinearClassifier on data whose answer is known by construction."""

import copy
import itertools
import pickle
import sys
import time
import tracemalloc
from functools import partial
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from datasets import random_labels
from frames import needs_polars
from marks import slow_except
from numpy.testing import assert_allclose, assert_array_equal
from reference import assert_same_model, assert_same_ranking, rank_block
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

import skxmr._core._search
import skxmr.linear
from skxmr import KMeansIndexer, LabelTree, XRLinearClassifier
from skxmr._core import CSRView, Layer, compile_chunk
from skxmr._core._library import ffi
from skxmr._ranking.tree_ranker import TreeRanker
from skxmr._utils import progress
from skxmr.embeddings import label_text_features, pifa, pii

N_LABELS = 24

FLAT = KMeansIndexer()
DEEP = KMeansIndexer(branching=2, max_leaf_size=2)
UNEVEN = KMeansIndexer(branching=2, max_leaf_size=2, balanced=False)
INDEXERS = pytest.mark.parametrize("indexer", [FLAT, DEEP, UNEVEN], ids=["flat", "deep", "uneven"])
LOSSES = pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
POST_PROCESSORS = [
    "noop",
    "sigmoid",
    "log-sigmoid",
    *(f"{log}l{p}-hinge" for log in ("", "log-") for p in (1, 2, 3, 4)),
]


def planted(n_rows=240, n_labels=N_LABELS, seed=0):
    """Feature l says label l: every row has label i % n_labels, every third another one besides."""
    rng = np.random.default_rng(seed)
    Y = np.zeros((n_rows, n_labels), dtype=np.float32)
    rows = np.arange(n_rows)
    Y[rows, rows % n_labels] = 1
    Y[rows[::3], (rows[::3] * 7 + 5) % n_labels] = 1
    noise = 0.1 * rng.random((n_rows, 6), dtype=np.float32)
    return sp.csr_matrix(np.hstack([Y, noise])), sp.csr_matrix(Y)


def planted_classes(n_rows=120, n_classes=6, seed=0):
    """Feature c says class c, for a one-dimensional y."""
    X, _ = planted(n_rows, n_classes, seed)
    y = np.arange(n_rows) % n_classes
    X = sp.lil_matrix(X)
    X[:, :n_classes] = np.eye(n_classes, dtype=np.float32)[y]
    return sp.csr_matrix(X), y


# Scores differ and every detail shows.
noisy = partial(random_labels, label_density=0.15, seed=1)


def classifier(indexer=DEEP, **params):
    return XRLinearClassifier(indexer, **{"random_state": 0, "n_neighbors": None, **params})


# ---- what is learned ----


@LOSSES
@INDEXERS
def test_finds_planted_labels(loss, indexer):
    X, Y = planted()
    clf = classifier(indexer, loss=loss, beam_width=N_LABELS).fit(X, Y)
    X_new, Y_new = planted(seed=1)
    labels, _ = clf.rank(X_new, 2)
    counts = np.diff(Y_new.indptr)
    for i in range(Y_new.shape[0]):
        assert set(Y_new[i].indices) == set(labels[i, : counts[i]])
    assert clf.score(X_new, Y_new) == 1


@LOSSES
@pytest.mark.parametrize("C", [10, 1e4, 1e8])
def test_finds_planted_labels_for_any_large_C(loss, C):
    X, Y = planted()
    assert classifier(loss=loss, C=C, beam_width=N_LABELS).fit(X, Y).score(X, Y) == 1


@LOSSES
@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1e2, 1e4, 1e8])
def test_finds_planted_labels_whatever_the_scale_of_features(loss, scale):
    # Without a constant feature the scale of C makes up for that of the features.
    X, Y = planted()
    params = {"C": 10 / scale**2, "bias": 0.0, "prune_threshold": 0.0, "beam_width": N_LABELS}
    clf = classifier(loss=loss, **params).fit(X * np.float32(scale), Y)
    assert clf.score(X * np.float32(scale), Y) == 1


@INDEXERS
def test_finds_the_cell_of_a_checkerboard(indexer):
    # Neither the row nor the column alone says the label; their sum of weights does.
    side = 5
    cell = np.repeat(np.arange(side * side), 4)
    X = sp.hstack(
        [sp.csr_matrix(np.eye(side)[cell // side]), sp.csr_matrix(np.eye(side)[cell % side])]
    )
    clf = classifier(indexer, C=10, beam_width=side * side).fit(X, cell)
    assert_array_equal(clf.predict(X), cell)


def test_predicts_indicators_of_planted_labels():
    X, Y = planted()
    clf = classifier(C=10, beam_width=N_LABELS).fit(X, Y)
    assert_array_equal(clf.predict(X).toarray(), Y.toarray())


def test_attributes_after_fit():
    X, Y = planted()
    clf = classifier().fit(X, Y)
    assert clf.n_features_in_ == X.shape[1]
    assert clf.n_labels_ == clf.tree_.n_labels == N_LABELS
    assert clf.n_levels_ == clf.tree_.n_levels > 2
    assert 1 <= clf.n_iter_ <= clf.max_iter
    assert clf.multilabel_
    assert_array_equal(clf.classes_, np.arange(N_LABELS))
    assert clf.indexer_.tree_ == clf.tree_
    assert not hasattr(clf, "feature_names_in_")


def test_max_iter_bounds_the_passes():
    assert classifier(max_iter=2, tol=1e-6).fit(*noisy()).n_iter_ == 2


def test_few_labels_need_one_level():
    assert classifier(None).fit(*planted()).n_levels_ == 1


@INDEXERS
def test_a_label_without_rows_is_ranked_but_never_first(indexer):
    X, Y = planted()
    Y = sp.csr_matrix(sp.hstack([Y[:, :5], sp.csr_matrix((Y.shape[0], 1)), Y[:, 5:]]))
    clf = classifier(indexer, beam_width=100).fit(X, Y)
    labels, scores = clf.rank(X, N_LABELS + 1)
    assert (labels == 5).sum() == X.shape[0]
    assert (labels[:, 0] != 5).all()
    assert np.isfinite(scores).all()
    assert clf.score(X, Y) == 1


def test_rows_without_labels_are_negatives():
    X, Y = planted()
    lonely = sp.csr_matrix(np.hstack([np.zeros((5, N_LABELS)), np.full((5, 6), 0.1)]))
    more_X, more_Y = sp.vstack([X, lonely]), sp.vstack([Y, sp.csr_matrix((5, N_LABELS))])
    clf = classifier(C=10, beam_width=N_LABELS, threshold=0.5).fit(more_X, more_Y)
    assert_array_equal(clf.predict(more_X).toarray(), more_Y.toarray())


def test_rows_without_features_are_ranked_by_the_biases():
    X, y = planted_classes()
    y[:60] = 3  # the most frequent class
    clf = classifier(None).fit(X, y)
    labels, scores = clf.rank(sp.csr_matrix((2, X.shape[1])), 6)
    assert sorted(labels[0]) == list(range(6))
    assert labels[0, 0] == 3
    assert_array_equal(scores[0], scores[1])


def test_fits_rows_that_are_all_empty():
    X, y = sp.csr_matrix((4, 3)), ["a", "a", "a", "b"]
    assert_array_equal(classifier().fit(X, y).predict(X), ["a"] * 4)


def test_one_class():
    X, _ = planted_classes()
    clf = classifier().fit(X, np.full(X.shape[0], "only"))
    assert_array_equal(clf.predict(X), ["only"] * X.shape[0])
    labels, scores = clf.rank(X[:1], 3)
    assert labels.tolist() == [[0, -1, -1]]
    assert np.isneginf(scores[0, 1:]).all()
    assert np.isfinite(scores[0, 0])


def test_one_column_of_sparse_y_is_a_label():
    X, Y = planted()
    clf = classifier(C=10).fit(X, Y[:, :1])
    assert_array_equal(clf.predict(X).toarray(), Y[:, :1].toarray())


# ---- containers ----

CONTAINERS = {
    "float64": (lambda Y: Y.toarray().astype(np.float64), np.ndarray),
    "int": (lambda Y: Y.toarray().astype(int), np.ndarray),
    "bool": (lambda Y: Y.toarray().astype(bool), np.ndarray),
    "list": (lambda Y: Y.toarray().tolist(), np.ndarray),
    "csr_matrix": (sp.csr_matrix, sp.csr_matrix),
    "csc_matrix": (sp.csc_matrix, sp.csr_matrix),
    "coo_matrix": (sp.coo_matrix, sp.csr_matrix),
    "csr_array": (sp.csr_array, sp.csr_array),
    "csc_array": (sp.csc_array, sp.csr_array),
    "coo_array": (sp.coo_array, sp.csr_array),
    "lil_array": (sp.lil_array, sp.csr_array),
    "csr_matrix of bool": (lambda Y: sp.csr_matrix(Y, dtype=bool), sp.csr_matrix),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_output_has_the_container_of_y(name):
    X, Y = planted()
    make, expected = CONTAINERS[name]
    params = {"loss": "log_loss", "post_processor": "sigmoid", "C": 100, "beam_width": N_LABELS}
    clf = classifier(**params).fit(X, make(Y))
    for method in ("predict", "decision_function", "predict_proba"):
        out = getattr(clf, method)(X)
        assert type(out) is expected
        assert out.shape == Y.shape
    predicted = clf.predict(X)
    dense = predicted.toarray() if sp.issparse(predicted) else predicted
    assert_array_equal(dense, Y.toarray())
    assert clf.score(X, make(Y)) == 1


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_container_of_y_does_not_change_the_model(name):
    X, Y = noisy()
    assert_same_model(classifier().fit(X, CONTAINERS[name][0](Y)), classifier().fit(X, Y))


@pytest.mark.parametrize(
    "make",
    [
        np.ndarray.tolist,
        np.asfortranarray,
        np.float64,
        sp.csr_array,
        sp.csc_matrix,
        sp.coo_array,
        sp.bsr_matrix,
        sp.lil_matrix,
        sp.dok_matrix,
    ],
    ids=lambda make: make.__name__,
)
def test_the_container_of_x_does_not_change_anything(make):
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    other = classifier().fit(make(X.toarray()), Y)
    assert_same_model(clf, other)
    assert_same_ranking(clf.rank(X), clf.rank(make(X.toarray())))


def test_sparse_predictions_store_only_ones_and_in_order():
    X, Y = noisy()
    predicted = classifier(threshold=0.1).fit(X, Y).predict(X)
    assert predicted.nnz > 0
    assert (predicted.data == 1).all()
    parts = (predicted.data, predicted.indices, predicted.indptr)
    assert sp.csr_matrix(parts, shape=Y.shape).has_canonical_format


CLASSES = {
    "int": np.array([3, -1, 40, 7, 0, 12]),
    "uint8": np.arange(6, dtype=np.uint8),
    "float": np.arange(6.0),
    "str": np.array(["b", "a", "cc", "é", "", "z z"]),
    "object": np.array(["b", "a", "cc", "é", "", "z z"], dtype=object),
    "bool": np.array([False, True]),
    "two strings": np.array(["no", "yes"]),
    "two ints": np.array([1, 2]),
}


@pytest.mark.parametrize("name", CLASSES)
def test_one_dimensional_y_gives_classes_back(name):
    values = CLASSES[name]
    X, codes = planted_classes(n_classes=len(values))
    y = values[codes]
    clf = classifier().fit(X, y)
    assert_array_equal(clf.classes_, np.unique(values))
    assert not clf.multilabel_
    predicted = clf.predict(X)
    assert predicted.dtype == y.dtype
    assert_array_equal(predicted, y)
    assert clf.score(X, y) == 1
    assert_array_equal(clf.classes_[clf.rank(X, 1)[0][:, 0]], y)


def test_classes_score_as_their_indicator_does():
    X, y = planted_classes()
    by_class = classifier(beam_width=2).fit(X, y)
    by_indicator = classifier(beam_width=2).fit(X, np.eye(6)[y])
    assert_same_model(by_class, by_indicator)
    assert_array_equal(by_class.decision_function(X), by_indicator.decision_function(X))


@pytest.mark.parametrize("post_processor", ["l3-hinge", "log-sigmoid", "noop"])
def test_two_classes_have_one_decision_value(post_processor):
    X, y = planted_classes(n_classes=2)
    y[::7] = 1 - y[::7]  # so that margins differ in size
    clf = classifier(post_processor=post_processor).fit(X, np.array(["no", "yes"])[y])
    values = clf.decision_function(X)
    assert values.shape == (X.shape[0],)
    labels, scores = clf.rank(X, 2)
    difference = np.where(labels[:, 0] == 1, 1, -1) * (scores[:, 0] - scores[:, 1])
    assert_array_equal(values, difference)
    assert_array_equal(clf.predict(X) == "yes", values > 0)


# ---- ranking ----


@pytest.mark.parametrize("k", [1, 3, N_LABELS, N_LABELS + 5, 1000])
def test_rank_returns_a_tuple_of_k_columns(k):
    X, Y = planted()
    ranking = classifier(beam_width=100).fit(X, Y).rank(X, k)
    assert isinstance(ranking, tuple)
    labels, scores = ranking
    assert labels.shape == scores.shape == (X.shape[0], k)
    assert labels.dtype == np.int32
    assert scores.dtype == np.float32
    reached = min(k, N_LABELS)
    assert (labels[:, :reached] >= 0).all()
    assert (labels[:, reached:] == -1).all()
    assert np.isneginf(scores[:, reached:]).all()
    assert all(len(set(row[:reached])) == reached for row in labels)


def test_rank_gives_ten_by_default():
    X, Y = planted()
    assert classifier().fit(X, Y).rank(X)[0].shape == (X.shape[0], 10)


def test_a_shorter_ranking_is_the_head_of_a_longer_one():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    longer = clf.rank(X, 9)
    assert_same_ranking(clf.rank(X, 4), tuple(part[:, :4] for part in longer))


@pytest.mark.parametrize("post_processor", POST_PROCESSORS)
def test_scores_fall_and_ties_go_to_the_lower_label(post_processor):
    X, Y = noisy()
    Y = Y[:, [0, 1, 2, 2, 4, 5, 6, 2, 8, 9, 10, 11]]  # equal rows, hence equal rankers
    tree = LabelTree([[0, 1], [0, 12]], [7, 6, 5, 4, 3, 2, 1, 0, 11, 10, 9, 8])
    clf = classifier(tree, post_processor=post_processor).fit(X, Y)
    labels, scores = clf.rank(X, 12)
    falls = scores[:, 1:] < scores[:, :-1]
    ties = scores[:, 1:] == scores[:, :-1]
    assert (falls | ties).all()
    assert ties.any()
    assert (labels[:, 1:] > labels[:, :-1])[ties].all()


def test_a_narrow_beam_reaches_one_leaf():
    X, Y = planted()
    clf = classifier(beam_width=1).fit(X, Y)
    labels, scores = clf.rank(X, 10)
    for row, row_scores in zip(labels, scores, strict=True):
        reached = row[row >= 0]
        assert set(reached) <= set(clf.tree_.cluster(reached[0]))
        assert np.isneginf(row_scores[len(reached) :]).all()


@pytest.mark.parametrize("beam_width", [24, 1000, 2**40])
def test_a_beam_wider_than_the_tree_changes_nothing(beam_width):
    X, Y = planted()
    clf = classifier(beam_width=N_LABELS).fit(X, Y)
    expected = clf.rank(X)
    assert_same_ranking(clf.set_params(beam_width=beam_width).rank(X), expected)


def test_decision_function_holds_what_rank_finds():
    X, Y = noisy()
    clf = classifier(beam_width=2).fit(X, Y)
    labels, scores = clf.rank(X, 12)
    reached = labels >= 0
    assert not reached.all()
    expected = np.zeros(Y.shape, dtype=np.float32)
    rows = np.nonzero(reached)[0]
    expected[rows, labels[reached]] = scores[reached]
    found = clf.decision_function(X)
    assert_array_equal(found.toarray(), expected)
    assert found.nnz == reached.sum()


@pytest.mark.parametrize("post_processor", POST_PROCESSORS)
def test_labels_out_of_reach_have_the_lowest_dense_score(post_processor):
    X, Y = noisy()
    clf = classifier(beam_width=1, post_processor=post_processor).fit(X, Y.toarray())
    scores = clf.decision_function(X)
    labels, _ = clf.rank(X, 12)
    is_log = post_processor == "noop" or post_processor.startswith("log")
    lowest = np.finfo(np.float32).min if is_log else 0
    for row, reached in zip(scores, labels, strict=True):
        others = np.setdiff1d(np.arange(12), reached)
        assert (row[others] == lowest).all()
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("post_processor", POST_PROCESSORS)
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.03, 0.5])
def test_predict_is_what_scores_above_the_threshold(post_processor, threshold):
    X, Y = noisy()
    clf = classifier(beam_width=2, post_processor=post_processor, threshold=threshold).fit(X, Y)
    labels, scores = clf.rank(X, 12)
    expected = np.zeros(Y.shape, dtype=int)
    chosen = (labels >= 0) & (scores > threshold)
    expected[np.nonzero(chosen)[0], labels[chosen]] = 1
    assert_array_equal(clf.predict(X).toarray(), expected)


def test_a_score_equal_to_the_threshold_is_not_above_it():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    score = clf.rank(X[:1], 1)[1][0, 0]
    at = clf.set_params(threshold=float(score)).predict(X[:1]).sum()
    below = clf.set_params(threshold=float(np.nextafter(score, np.float32(0)))).predict(X[:1]).sum()
    assert (at, below) == (0, 1)


def test_predict_of_one_dimensional_y_ignores_the_threshold():
    X, y = planted_classes()
    assert_array_equal(classifier(threshold=2.0).fit(X, y).predict(X), y)


# ---- frontiers ----


def beam_at(clf, X, level):
    """Nodes of a level that the search keeps: what it finds where the tree ends at that level."""
    width = clf.tree_.n_nodes(level)
    nodes = np.arange(width, dtype=np.int32)
    top = TreeRanker(clf._fitted.rankers[0].layers[:level], nodes, width, X.shape[1])
    k = min(width, clf.beam_width)
    found, scores = rank_block(
        top,
        CSRView(X),
        0,
        X.shape[0],
        k=k,
        beam_width=clf.beam_width,
        post_processor=clf.post_processor,
    )
    kept = found >= 0
    pointers = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
    return sp.csr_matrix((scores[kept], found[kept], pointers), shape=(X.shape[0], width))


@pytest.mark.parametrize("post_processor", POST_PROCESSORS)
def test_search_from_its_own_beam_ends_where_it_would(post_processor):
    X, Y = noisy()
    clf = classifier(UNEVEN, beam_width=3, post_processor=post_processor).fit(X, Y)
    assert clf.n_levels_ > 3
    expected = clf.rank(X, 12)
    for level in range(1, clf.n_levels_):
        frontier = (level, beam_at(clf, X, level))
        assert_same_ranking(clf.rank(X, 12, frontier=frontier), expected)


def test_search_from_the_root_as_a_frontier_is_the_plain_search():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    root = sp.csr_matrix(np.ones((X.shape[0], 1)))
    assert_same_ranking(clf.rank(X, frontier=(0, root)), clf.rank(X))


def test_search_stays_below_its_frontier():
    X, Y = planted()
    clf = classifier().fit(X, Y)
    below = clf.tree_.indicator(1)[:, [1]].indices.size
    only = sp.csr_matrix(([1.0], ([0], [1])), shape=(1, clf.tree_.n_nodes(1)))
    labels, _ = clf.rank(X[:1], N_LABELS, frontier=(1, only))
    members = clf.tree_.indicator(1).tocsc()[:, 1].indices
    assert below == len(members)
    assert set(labels[labels >= 0]) <= set(members)


def test_an_empty_frontier_reaches_nothing():
    X, Y = planted()
    clf = classifier().fit(X, Y)
    nothing = sp.csr_matrix((2, clf.tree_.n_nodes(1)))
    labels, scores = clf.rank(X[:2], 3, frontier=(1, nothing))
    assert (labels == -1).all()
    assert np.isneginf(scores).all()


def test_a_stored_zero_is_a_node_of_the_frontier():
    # With log post-processors zero is the best score there is.
    X, Y = planted()
    clf = classifier(post_processor="log-l2-hinge", beam_width=N_LABELS).fit(X, Y)
    nodes = sp.csr_matrix(np.ones((X.shape[0], clf.tree_.n_nodes(1))))
    nodes.data[:] = 0
    labels, scores = clf.rank(X, N_LABELS, frontier=(1, nodes))
    assert (labels >= 0).all()
    assert (scores <= 0).all()


# ---- invariances ----


@LOSSES
@INDEXERS
def test_number_of_jobs_changes_nothing(loss, indexer):
    X, Y = noisy()
    one = classifier(indexer, loss=loss, n_jobs=1).fit(X, Y)
    two = classifier(indexer, loss=loss, n_jobs=2).fit(X, Y)
    assert_same_model(one, two)
    assert_same_ranking(one.rank(X), two.rank(X))
    assert (one.decision_function(X) != two.decision_function(X)).nnz == 0


@INDEXERS
def test_a_random_state_gives_the_same_model_again(indexer):
    X, Y = noisy()
    assert_same_model(
        classifier(indexer, random_state=3).fit(X, Y), classifier(indexer, random_state=3).fit(X, Y)
    )
    assert_same_model(
        classifier(indexer, random_state=np.random.RandomState(3)).fit(X, Y),
        classifier(indexer, random_state=3).fit(X, Y),
    )


def test_random_states_differ():
    X, Y = noisy()
    trees = {classifier(random_state=seed).fit(X, Y).tree_ for seed in range(5)}
    assert len(trees) > 1


def test_an_indexer_keeps_its_own_random_state():
    X, Y = noisy()
    own = clone(DEEP).set_params(random_state=5)
    trees = {classifier(own, random_state=seed).fit(X, Y).tree_ for seed in range(5)}
    assert len(trees) == 1


@pytest.mark.parametrize("label_embedding", ["pifa", "pii", "pifa+pii"])
@LOSSES
def test_order_of_rows_changes_nothing(loss, label_embedding):
    X, Y = noisy()
    order = np.random.default_rng(0).permutation(X.shape[0])
    params = {"loss": loss, "label_embedding": label_embedding}
    assert_same_model(classifier(**params).fit(X, Y), classifier(**params).fit(X[order], Y[order]))


@pytest.mark.parametrize("label_embedding", ["pifa", "pii", "pifa+pii"])
@LOSSES
def test_weight_two_is_the_row_twice(loss, label_embedding):
    X, Y = noisy()
    times = np.random.default_rng(0).integers(1, 4, size=X.shape[0])
    rows = np.repeat(np.arange(X.shape[0]), times)
    params = {"loss": loss, "label_embedding": label_embedding}
    weighted = classifier(**params).fit(X, Y, sample_weight=times)
    assert_same_model(weighted, classifier(**params).fit(X[rows], Y[rows]))
    plain = classifier(**params).fit(X, Y)
    assert not np.array_equal(plain.rank(X)[1], weighted.rank(X)[1])


@LOSSES
def test_weight_zero_is_the_row_left_out(loss):
    X, Y = noisy()
    kept = np.arange(X.shape[0]) % 3 > 0
    assert_same_model(
        classifier(loss=loss).fit(X, Y, sample_weight=kept.astype(float)),
        classifier(loss=loss).fit(X[kept], Y[kept]),
    )


def test_weight_for_all_is_C():
    X, Y = noisy()
    weighted = classifier(C=1).fit(X, Y, sample_weight=np.full(X.shape[0], 4))
    assert_same_model(weighted, classifier(C=4).fit(X, Y))


def test_refitting_forgets():
    X, Y = noisy()
    clf = classifier().fit(*planted())
    assert_same_model(clf.fit(X, Y), classifier().fit(X, Y))
    assert clf.n_features_in_ == X.shape[1]


# ---- probabilities and score ----


@pytest.mark.parametrize(
    ("loss", "post_processor"),
    [("squared_hinge", "l3-hinge"), ("log_loss", "l3-hinge"), ("squared_hinge", "sigmoid")],
)
def test_no_probabilities_without_logistic_models(loss, post_processor):
    clf = classifier(loss=loss, post_processor=post_processor).fit(*noisy())
    assert not hasattr(clf, "predict_proba")


def test_another_loss_after_fit_does_not_change_what_the_scores_mean(tmp_path):
    X, y = noisy()
    clf = classifier(post_processor="sigmoid").fit(X, y).set_params(loss="log_loss")
    with pytest.raises(AttributeError) as error:
        clf.predict_proba(X)
    assert "loss must be 'squared_hinge', as in fit" in str(error.value.__cause__)
    for change in (lambda: clf.save(tmp_path / "model"), lambda: clf.add_labels(X, y)):
        with pytest.raises(ValueError, match="loss must be 'squared_hinge', as in fit"):
            change()
    assert hasattr(clf.fit(X, y), "predict_proba")
    assert not hasattr(clf.set_params(loss="squared_hinge"), "predict_proba")
    # predict compares margins by the loss of fit.
    margins = classifier(post_processor="noop", loss="log_loss").fit(X, y)
    expected = margins.predict(X).toarray()
    assert_array_equal(margins.set_params(loss="squared_hinge").predict(X).toarray(), expected)
    margins.set_params(loss="log_loss").save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model").set_params(loss="squared_hinge")
    assert_array_equal(loaded.predict(X).toarray(), expected)


def logistic(indexer=FLAT, **params):
    return classifier(indexer, loss="log_loss", post_processor="sigmoid", **params)


def reference_probability(X, positive, C):
    """Of logistic regression whose intercept is regularized as any other weight."""
    X = np.hstack([X, np.ones((len(X), 1))])
    model = LogisticRegression(C=C, fit_intercept=False, tol=1e-6, max_iter=10000)
    return model.fit(X, positive).predict_proba(X)[:, 1]


def chances(n_rows=300, seed=0):
    """Dense features, and three labels that occur with some probability."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 4)).astype(np.float32)
    logits = X @ rng.standard_normal((4, 3)) - 0.5
    Y = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    return X, Y


EXACT = {"tol": 1e-3, "max_iter": 10000, "prune_threshold": 0}


@pytest.mark.parametrize("C", [0.01, 0.1, 1.0, 10.0])
def test_probabilities_of_labels_are_those_of_logistic_regression(C):
    X, Y = chances()
    found = logistic(C=C, **EXACT).fit(X, Y).predict_proba(X)
    expected = np.stack([reference_probability(X, y, C) for y in Y.T], axis=1)
    assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_probabilities_of_repeated_rows_are_those_of_logistic_regression(C):
    # Of the 100 equal rows of each group some are positive: large weights that pull both ways.
    percent = [10, 40, 75]
    X = np.repeat(np.eye(3, dtype=np.float32), 100, axis=0)
    positive = np.tile(np.arange(100), 3) < np.repeat(percent, 100)
    found = logistic(C=C, **EXACT).fit(X, positive).predict_proba(X)[::100, 1]
    assert_allclose(found, reference_probability(X, positive, C)[::100], atol=2e-3)
    if C == 10:
        assert_allclose(found, np.divide(percent, 100), atol=5e-3)


def test_probability_is_the_product_along_the_path():
    X, Y = chances()
    tree = LabelTree([[0, 2], [0, 2, 3]], [0, 1, 2])
    found = logistic(tree, C=0.1, **EXACT).fit(X, Y).predict_proba(X)
    parent = Y[:, 0] | Y[:, 1]
    upper = reference_probability(X, parent, 0.1)
    below = parent == 1  # a node's children learn from the rows that have a label below it
    expected = upper[below] * reference_probability(X[below], Y[below, 0], 0.1)
    assert_allclose(found[below, 0], expected, atol=1e-3)


def test_probabilities_of_two_classes_are_those_of_logistic_regression():
    X, Y = chances()
    found = logistic(C=0.1, **EXACT).fit(X, Y[:, 0]).predict_proba(X)
    assert_allclose(found[:, 1], reference_probability(X, Y[:, 0], 0.1), atol=1e-3)


@pytest.mark.parametrize("n_classes", [1, 2, 6])
@INDEXERS
def test_probabilities_of_classes_sum_to_one(indexer, n_classes):
    X, y = planted_classes(n_classes=n_classes)
    probability = logistic(indexer, beam_width=2).fit(X, y).predict_proba(X)
    assert probability.shape == (X.shape[0], n_classes)
    assert (probability >= 0).all()
    assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(probability.argmax(axis=1), y)


def test_score_is_precision_at_one():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    first = clf.rank(X, 1)[0][:, 0]
    hits = Y.toarray()[np.arange(X.shape[0]), first] == 1
    assert 0 < hits.mean() < 1
    assert clf.score(X, Y) == hits.mean()
    weight = np.random.default_rng(0).random(X.shape[0])
    assert_allclose(clf.score(X, Y, sample_weight=weight), np.average(hits, weights=weight))


def test_score_of_classes_is_the_accuracy():
    X, y = planted_classes()
    clf = classifier().fit(X, y)
    assert clf.score(X, np.where(np.arange(len(y)) < 30, (y + 1) % 6, y)) == 0.75


# ---- parameters ----


def test_search_parameters_take_effect_without_refitting():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    for params in (
        {"beam_width": 1},
        {"beam_width": 5, "post_processor": "log-l2-hinge"},
        {"post_processor": "sigmoid", "threshold": 0.05},
    ):
        clf.set_params(**params)
        fresh = clone(clf).fit(X, Y)
        assert_same_ranking(clf.rank(X), fresh.rank(X))
        assert (clf.predict(X) != fresh.predict(X)).nnz == 0


def test_each_search_parameter_matters():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    ranking, predicted = clf.rank(X, 12), clf.predict(X)
    narrow = clone(clf).set_params(beam_width=1).fit(X, Y)
    assert not np.array_equal(narrow.rank(X, 12)[0], ranking[0])
    noop = clone(clf).set_params(post_processor="noop").fit(X, Y)
    assert not np.array_equal(noop.rank(X, 12)[1], ranking[1])
    assert clf.set_params(threshold=0.01).predict(X).nnz > predicted.nnz


@pytest.mark.parametrize("method", ["rank", "predict", "decision_function"])
def test_unfitted_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(classifier(), method)(noisy()[0])


def test_fit_leaves_parameters_alone():
    X, Y = noisy()
    indexer = clone(DEEP)
    clf = XRLinearClassifier(indexer, random_state=None)
    before = clf.get_params()
    clf.fit(X, Y)
    assert clf.get_params() == before
    assert clf.indexer is indexer
    assert not hasattr(indexer, "tree_")


def test_nested_parameters_can_be_set():
    clf = classifier(clone(DEEP)).set_params(indexer__max_leaf_size=7, C=2)
    assert clf.get_params()["indexer__max_leaf_size"] == 7
    assert "C=2" in repr(clf)
    assert "max_leaf_size=7" in repr(clf)


def test_clone_is_unfitted_and_equal():
    clf = classifier(beam_width=3, post_processor="noop").fit(*noisy())
    copied = clone(clf)
    assert not hasattr(copied, "tree_")
    assert copied.get_params()["beam_width"] == 3
    assert repr(copied) == repr(clf)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
def test_copies_rank_alike(duplicate, weight_dtype):
    X, Y = noisy()
    clf = classifier(weight_dtype=weight_dtype).fit(X, Y)
    clf.rank(X)  # whatever is made on first use must not be in the way
    copied = duplicate(clf)
    assert_same_model(copied, clf)
    assert_same_ranking(copied.rank(X), clf.rank(X))


def test_pruning_leaves_larger_weights_and_fewer():
    X, Y = noisy()
    sizes = [
        classifier(prune_threshold=t).fit(X, Y)._fitted.rankers[0].nbytes for t in (0, 0.1, 0.5)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


# ---- half precision ----


def rounded_copy(clf):
    """A float32 classifier with its weights rounded by numpy, to be searched in float32."""
    layers = []
    for layer in clf._fitted.rankers[0].layers:
        m, chunks = clf.n_features_in_, []
        for c in range(layer.n_chunks):
            columns = layer.columns(c, m)
            values = columns.values.astype(np.float16).astype(np.float32)
            chunks.append(compile_chunk(columns._replace(values=values), m))
        layers.append(Layer.from_chunks(layer.child_ptr, chunks))
    tree = clf.tree_
    return TreeRanker(layers, tree.slot_label, tree.n_labels, clf.n_features_in_)


@INDEXERS
@pytest.mark.parametrize("memory", [False, True])
def test_float16_is_float32_with_rounded_weights(tmp_path, indexer, memory):
    X, Y = noisy()
    params = {"memory": str(tmp_path)} if memory else {}
    single = classifier(indexer, **params).fit(X, Y)
    half = classifier(indexer, weight_dtype="float16", **params).fit(X, Y)
    assert {layer.weight_dtype for layer in half._fitted.rankers[0].layers} == {"float16"}
    assert half._fitted.rankers[0].nbytes < single._fitted.rankers[0].nbytes
    assert (half.rank(X)[1] != single.rank(X)[1]).any()
    expected = copy.deepcopy(half)
    expected._fitted = expected._fitted._replace(rankers=(rounded_copy(single),))
    for post_processor in POST_PROCESSORS:
        half.set_params(post_processor=post_processor)
        expected.set_params(post_processor=post_processor)
        assert_same_ranking(half.rank(X, 12), expected.rank(X, 12))


def test_weight_dtype_takes_effect_in_fit():
    X, Y = noisy()
    clf = classifier(weight_dtype="float16").fit(X, Y)
    ranking = clf.rank(X)
    clf.set_params(weight_dtype="float32")
    assert_same_ranking(clf.rank(X), ranking)
    assert_same_model(clf.fit(X, Y), classifier().fit(X, Y))


def test_float16_does_not_depend_on_n_jobs():
    X, Y = noisy()
    one, two = (classifier(weight_dtype="float16", n_jobs=n).fit(X, Y) for n in (1, 2))
    assert_same_model(one, two)


def test_bias_zero_scores_empty_rows_alike():
    X, Y = noisy()
    _, scores = classifier(FLAT, bias=0).fit(X, Y).rank(sp.csr_matrix((1, X.shape[1])), 12)
    assert (scores == scores[0, 0]).all()


# ---- memory ----


@LOSSES
@pytest.mark.parametrize(
    "setting",
    slow_except(
        [(0.0, "float32"), (2.5, "float16")],
        list(itertools.product([0.0, 1.0, 2.5], ["float32", "float16"])),
    ),
    ids=str,
)
def test_a_cached_model_is_the_same_to_the_bit(tmp_path, loss, setting):
    X, Y = noisy()
    bias, weight_dtype = setting
    params = {"loss": loss, "bias": bias, "weight_dtype": weight_dtype}
    for threshold in (0, 0.001, 0.05, 0.1, 0.3, 10):
        cached = classifier(memory=str(tmp_path), prune_threshold=threshold, **params).fit(X, Y)
        plain = classifier(prune_threshold=threshold, **params).fit(X, Y)
        assert_same_model(cached, plain)
        assert cached.n_iter_ == plain.n_iter_


def test_memory_trains_again_only_for_what_matters_to_training(tmp_path, trainings):
    X, Y = noisy()
    base = classifier(memory=str(tmp_path)).fit(X, Y)
    assert len(trainings) == 1
    for params in (
        {"prune_threshold": 0.3},
        {"weight_dtype": "float16"},
        {"weight_dtype": "float16", "prune_threshold": 0.0123},
        {"beam_width": 3},
        {"post_processor": "noop"},
        {"threshold": 0.1},
        {"n_jobs": 2},
    ):
        clone(base).set_params(**params).fit(X, Y)
        assert len(trainings) == 1, params
    for n, params in enumerate(
        (
            {"C": 2.0},
            {"tol": 0.01},
            {"max_iter": 3},
            {"bias": 0.0},
            {"loss": "log_loss"},
            {"random_state": 1},
            {"label_embedding": "pii"},
            {"indexer": FLAT},
        )
    ):
        clone(base).set_params(**params).fit(X, Y)
        assert len(trainings) == 2 + n, params
    clone(base).fit(X, Y, sample_weight=np.arange(X.shape[0]) + 1.0)
    clone(base).fit(X[1:], Y[1:])
    assert len(trainings) == 11


def test_memory_holds_without_a_random_state(tmp_path, trainings):
    X, Y = noisy()
    for beam_width in (1, 2, 3):
        classifier(memory=str(tmp_path), random_state=None, beam_width=beam_width).fit(X, Y)
    assert len(trainings) == 1


WORDS = "red green blue gold grey pink cyan lime teal navy plum rust".split()


def test_a_grid_over_search_parameters_trains_each_fold_once(tmp_path, trainings):
    texts = [f"{a} {b} thing" for a in WORDS for b in WORDS]
    Y = sp.csr_matrix([[w in text.split() for w in WORDS] for text in texts], dtype=int)
    model = make_pipeline(TfidfVectorizer(), classifier(C=10, memory=str(tmp_path)))
    grid = {
        "xrlinearclassifier__beam_width": [1, 5],
        "xrlinearclassifier__prune_threshold": [0.05, 0.1, 100],
    }
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(texts, Y)
    assert len(trainings) == 3 + 1  # each fold, and all rows for the winner
    assert search.best_params_["xrlinearclassifier__prune_threshold"] != 100
    scores = search.cv_results_["mean_test_score"]
    assert scores.max() > 0.9 > 0.5 > scores[2]
    best = search.best_estimator_
    assert search.predict(texts).shape == Y.shape
    assert best.score(texts, Y) > 0.9


def test_a_grid_over_weight_dtype_trains_each_fold_once(tmp_path, trainings):
    X, Y = noisy()
    grid = {"weight_dtype": ["float32", "float16"], "prune_threshold": [0.0123, 0.1, 0.2]}
    base = classifier(memory=str(tmp_path))
    search = GridSearchCV(base, grid, cv=3, refit=False, error_score="raise").fit(X, Y)
    assert len(trainings) == 3
    found = search.cv_results_
    for i, params in enumerate(found["params"]):
        alone = GridSearchCV(classifier(**params), {"verbose": [0]}, cv=3, refit=False).fit(X, Y)
        assert found["mean_test_score"][i] == alone.cv_results_["mean_test_score"][0]


# ---- indexers ----


class Pairs:
    """An indexer that is no scikit-learn estimator: neighbors share a cluster."""

    def fit(self, Z):
        self.Z_ = Z
        self.tree_ = LabelTree.from_clusters(np.arange(Z.shape[0]) // 2)


class PairsEstimator(Pairs, BaseEstimator):
    def __init__(self, random_state=None):
        self.random_state = random_state


@pytest.mark.parametrize("make", [Pairs, PairsEstimator])
def test_anything_that_makes_a_tree_is_an_indexer(make):
    X, Y = planted()
    indexer = make()
    clf = classifier(indexer, beam_width=N_LABELS).fit(X, Y)
    assert clf.tree_ == LabelTree.from_clusters(np.arange(N_LABELS) // 2)
    assert clf.score(X, Y) == 1
    assert not hasattr(indexer, "tree_")


def test_a_label_tree_is_an_indexer():
    X, Y = planted()
    tree = LabelTree.from_clusters(np.arange(N_LABELS) % 5)
    clf = classifier(tree).fit(X, Y)
    assert clf.tree_ == tree
    assert clf.indexer_ is None
    assert clf.score(X, Y) == 1


def test_a_label_in_several_slots_is_ranked_once():
    X, y = planted_classes()
    tree = LabelTree([[0, 3], [0, 3, 6, 9]], [0, 1, 2, 2, 3, 0, 4, 5, 0])
    clf = classifier(tree).fit(X, y)
    labels, _ = clf.rank(X, 9)
    assert all(sorted(row[:6]) == list(range(6)) for row in labels)
    assert (labels[:, 6:] == -1).all()
    assert_array_equal(clf.predict(X), y)


def test_copies_of_a_label_that_learn_alike_score_as_one():
    X, Y = noisy()
    once = LabelTree([[0, 1], [0, 12]], np.arange(12))
    twice = LabelTree([[0, 2], [0, 12, 24]], np.tile(np.arange(12), 2))
    expected = classifier(once, post_processor="noop", tol=1e-4, max_iter=1000).fit(X, Y)
    found = classifier(twice, post_processor="noop", tol=1e-4, max_iter=1000).fit(X, Y)
    labeled = X[np.diff(Y.indptr) > 0]
    assert_allclose(
        found.decision_function(labeled).toarray(),
        expected.decision_function(labeled).toarray(),
        atol=0.02,
    )


def test_a_tree_may_have_empty_nodes_and_single_children():
    X, y = planted_classes()
    tree = LabelTree([[0, 4], [0, 1, 1, 2, 3], [0, 3, 3, 6]], np.arange(6))
    assert_array_equal(classifier(tree).fit(X, y).predict(X), y)


@pytest.mark.parametrize("clusters", [[0, 1], [0] * 30])
def test_a_tree_of_other_labels_is_refused(clusters):
    tree = LabelTree.from_clusters(clusters)
    with pytest.raises(ValueError, match=r"indexer must yield a tree of y's 12 labels"):
        classifier(tree).fit(*noisy())


class NoTree:
    def fit(self, Z):
        return self


class OtherTree(NoTree):
    tree_ = "a tree"


@pytest.mark.parametrize("indexer", [NoTree(), OtherTree()])
def test_an_indexer_without_a_tree_is_refused(indexer):
    with pytest.raises(TypeError, match="indexer must yield a LabelTree"):
        classifier(indexer).fit(*noisy())


# ---- label embeddings ----


def embedding(label_embedding, X, y, **given):
    """What the indexer sees."""
    clf = classifier(Pairs(), label_embedding=label_embedding).fit(X, y, **given)
    return clf.indexer_.Z_


def gram(Z):
    """Inner products of the labels; these do not depend on the order of the columns."""
    return (Z @ Z.T).toarray()


FEATURES = np.random.default_rng(0).random((12, 3)).astype(np.float32)
TEXTS = [f"label {word}" for word in WORDS]


def test_indexer_sees_the_embedding_asked_for():
    X, Y = noisy()
    expected = {
        "pifa": pifa(X, Y),
        "pii": pii(Y),
        "features": sp.csr_matrix(normalize(FEATURES)),
        "text": label_text_features(TEXTS),
    }
    given = {"label_features": FEATURES, "label_text": TEXTS}
    for name, Z in expected.items():
        assert_allclose(gram(embedding(name, X, Y, **given)), gram(Z), atol=1e-5)
    joined = embedding("features+pifa+text", X, Y, **given)
    parts = [gram(expected[name]) for name in ("features", "pifa", "text")]
    assert_allclose(gram(joined), sum(parts) / 3, atol=1e-5)


def test_embedding_minds_the_weights():
    X, Y = noisy()
    weight = np.random.default_rng(0).random(X.shape[0]).astype(np.float32)
    for name, expected in {
        "pifa": pifa(X, Y, sample_weight=weight),
        "pii": pii(Y, sample_weight=weight),
    }.items():
        assert_allclose(
            gram(embedding(name, X, Y, sample_weight=weight)), gram(expected), atol=1e-5
        )


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, sp.coo_matrix, np.ndarray.tolist])
def test_label_features_come_in_any_container(make):
    X, Y = noisy()
    Z = embedding("features", X, Y, label_features=make(FEATURES))
    assert_allclose(Z.toarray(), normalize(FEATURES), rtol=1e-6)


def test_string_classes_are_their_own_text():
    X, y = planted_classes(n_classes=12)
    Z = embedding("text", X, np.array(TEXTS)[y])
    assert_array_equal(Z.toarray(), label_text_features(sorted(TEXTS)).toarray())


def test_label_text_given_beats_the_classes():
    X, y = planted_classes(n_classes=12)
    Z = embedding("text", X, np.array(TEXTS)[y], label_text=WORDS)
    assert_array_equal(Z.toarray(), label_text_features(WORDS).toarray())


def test_label_features_decide_the_clusters():
    X, Y = planted()
    side = np.arange(N_LABELS) % 2
    features = np.eye(2)[side] + 0.1 * np.random.default_rng(0).random((N_LABELS, 2))
    clf = classifier(KMeansIndexer(max_leaf_size=12), label_embedding="features")
    clf.fit(X, Y, label_features=features)
    assert len({tuple(clf.tree_.cluster(label)) for label in range(N_LABELS)}) == 2
    for label in range(N_LABELS):
        assert_array_equal(clf.tree_.cluster(label), np.flatnonzero(side == label % 2))


# ---- data frames ----


def test_pandas_names_are_remembered_and_checked():
    pd = pytest.importorskip("pandas")
    X, y = planted_classes()
    names = [f"f{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X.toarray(), columns=names)
    clf = classifier().fit(frame, pd.Series(y))
    assert_array_equal(clf.feature_names_in_, names)
    assert_array_equal(clf.predict(frame), y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame[names[::-1]])
    for unnamed in (X, X.toarray()):
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            assert_array_equal(clf.predict(unnamed), y)
    with pytest.warns(UserWarning, match="was fitted without feature names"):
        classifier().fit(X, y).predict(frame)
    assert not hasattr(clf.fit(X, y), "feature_names_in_")


def test_pandas_frames_of_labels_and_sparse_columns():
    pd = pytest.importorskip("pandas")
    X, Y = planted()
    expected = classifier(C=10).fit(X, Y).predict(X).toarray()
    frame = pd.DataFrame.sparse.from_spmatrix(X)
    assert_array_equal(classifier(C=10).fit(frame, pd.DataFrame(Y.toarray())).predict(X), expected)


@pytest.mark.parametrize("dtype", ["category", "string", "object"])
def test_pandas_series_of_classes(dtype):
    pd = pytest.importorskip("pandas")
    X, y = planted_classes()
    names = np.array(WORDS)[y]
    series = pd.Series(names).astype(dtype)
    assert_array_equal(classifier().fit(X, series).predict(X), names)


@needs_polars
def test_polars_frames_and_series():
    X, y = planted_classes()
    names = [f"f{j}" for j in range(X.shape[1])]
    frame = pl.DataFrame(X.toarray(), schema=names)
    clf = classifier().fit(frame, pl.Series(y))
    assert_array_equal(clf.feature_names_in_, names)
    assert_array_equal(clf.predict(frame), y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame[names[::-1]])


# ---- memory ----


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_training_holds_the_compiled_model_about_once(monkeypatch, n_jobs):
    monkeypatch.setattr("skxmr._core._training._SCRATCH_WEIGHTS", 1 << 12)
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.standard_normal((400, 400)).astype(np.float32))
    tree = LabelTree([[0, 20], np.arange(0, 2001, 100)], range(2000))
    Y = sp.random(400, 2000, 0.01, "csr", dtype=np.float32, random_state=0)
    clf = classifier(tree, prune_threshold=0, max_iter=2, n_jobs=n_jobs)
    tracemalloc.start()
    try:
        clf.fit(X, (Y > 0).astype(np.float32))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * clf._fitted.rankers[0].nbytes


# ---- progress ----


def test_progress_is_a_bar_where_tqdm_is_installed(capsys):
    pytest.importorskip("tqdm")
    classifier(verbose=1).fit(*noisy())
    shown = capsys.readouterr().err
    for phase in ("embedding labels", "clustering labels", "training rankers"):
        assert f"fitting: {phase}" in shown
    assert "fitting 100%" in shown


def test_progress_is_printed_without_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    classifier(verbose=1).fit(*noisy())
    assert capsys.readouterr().out.startswith("fitting: done in")


def test_long_training_without_tqdm_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr("skxmr._utils.progress._INTERVAL", 0.0)
    classifier(verbose=1).fit(*noisy())
    shown = capsys.readouterr().out
    assert "fitting: training rankers, 100 %, about 0 s left" in shown
    assert shown.index("embedding labels") < shown.index("clustering labels")


def test_the_time_left_follows_the_pace_and_covers_all_phases(capsys, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr("skxmr._utils.progress.time", clock)

    def shown_at(now, action, *args):
        clock.now = now
        action(*args)
        return capsys.readouterr().out.strip()

    with progress.reporting("work", {"first": 1000, "second": 2000}, 1):
        shown = shown_at(500, progress.advance, "first", 0.25)
        assert shown == "work: first, 8 %, about 92 min left"
        assert shown_at(2000, progress.advance, "first", 0.75).endswith("about 67 min left")
        progress.expect("second", 100)
        progress.advance("second", 0.0)
        shown = shown_at(2500, progress.advance, "second", 0.5)
        assert shown == "work: second, 83 %, about 8 min left"
        assert shown_at(2700, progress.refresh).endswith("about 5 min left")
    assert capsys.readouterr().out == "work: done in 2700.0 s\n"


def test_silent_by_default(capsys):
    X, Y = noisy()
    classifier().fit(X, Y).rank(X)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


# ---- many threads, and memories ----


def test_threads_may_be_the_first_to_rank(monkeypatch):
    # Slow construction and poisoned memory on release: a view freed while in use is noticed.
    class SlowView(skxmr._core.ModelView):
        made = itertools.count()

        def __init__(self, *parts):
            super().__init__(*parts)
            time.sleep(0.002 * (next(SlowView.made) % 4))

        def __del__(self):
            ffi.memmove(self._array, b"\xff" * ffi.sizeof(self._array), ffi.sizeof(self._array))

    X, Y = noisy(n_rows=2000)
    clf = classifier(max_iter=3).fit(X, Y)
    expected = clf.rank(X)
    monkeypatch.setattr(skxmr._ranking.tree_ranker, "ModelView", SlowView)
    for _ in range(10):
        fresh = pickle.loads(pickle.dumps(clf)).set_params(n_jobs=4)
        assert_same_ranking(fresh.rank(X), expected)


def test_memory_may_be_a_path(tmp_path):
    X, Y = noisy()
    assert_same_model(classifier(memory=tmp_path).fit(X, Y), classifier().fit(X, Y))


def test_memory_does_not_mind_what_scipy_noted_on_a_matrix(tmp_path, trainings):
    X, Y = map(sp.csr_matrix, noisy())
    classifier(memory=str(tmp_path)).fit(X, Y)
    assert X.has_canonical_format
    assert Y.has_canonical_format
    classifier(memory=str(tmp_path)).fit(X, Y)
    assert len(trainings) == 1


@pytest.mark.parametrize(
    "params", [{"C": 1}, {"C": np.float64(1)}, {"max_iter": np.int64(100)}, {"bias": 1}]
)
def test_memory_does_not_mind_the_types_of_numbers(tmp_path, trainings, params):
    X, Y = noisy()
    classifier(memory=str(tmp_path)).fit(X, Y)
    classifier(memory=str(tmp_path), **params).fit(X, Y)
    assert len(trainings) == 1


def test_tiny_thresholds_share_one_training(tmp_path, trainings):
    X, Y = noisy()
    for threshold in (0, 0.001, 0.005):
        classifier(memory=str(tmp_path), prune_threshold=threshold).fit(X, Y)
    assert len(trainings) == 1


# ---- probabilities that vanish ----


@pytest.mark.filterwarnings("error")
def test_probabilities_where_the_beam_ends_in_an_empty_node():
    X, y = planted_classes()
    tree = LabelTree([[0, 3], [0, 3, 3, 6]], range(6))
    clf = logistic(tree, beam_width=1).fit(X, y)
    far = X.toarray() * -50
    found = clf.predict_proba(far)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert_array_equal(clf.classes_[found.argmax(axis=1)], clf.predict(far))


@pytest.mark.filterwarnings("error")
def test_probabilities_that_all_underflow():
    X, y = planted_classes()
    far = np.random.default_rng(0).standard_normal((2000, X.shape[1])) * 1e4
    found = logistic(DEEP).fit(X, y).predict_proba(far)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_many_classes_are_no_reason_to_warn(recwarn):
    X = sp.csr_matrix(np.eye(30, dtype=np.float32))
    XRLinearClassifier(random_state=0).fit(X, np.arange(30))
    assert not recwarn.list
