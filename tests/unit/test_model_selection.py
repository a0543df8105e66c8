"""Thresholds, beside a slow search of all of them."""

import numpy as np
import pandas as pd
import pytest
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import fbeta_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from strategies import csr_matrices, halves

from skxmr import CalibratedRanker, XRLinearClassifier
from skxmr.metrics import make_ranking_scorer, precision_at_k
from skxmr.metrics._f_curve import AVERAGES, f_curve
from skxmr.model_selection import tune_threshold

N_LABELS = 12


class Given(BaseEstimator):
    """Says what it was given, as a fitted ranker would."""

    def __init__(self, scores):
        self.scores = scores

    def decision_function(self, X):
        return self.scores


@st.composite
def truths_and_scores(draw):
    scores = draw(csr_matrices(values=halves, min_rows=1, min_columns=1).filter(lambda m: m.nnz))
    n, L = scores.shape
    truth = csr_matrices(st.just(1.0), max_rows=n, min_rows=n, max_columns=L, min_columns=L)
    return draw(truth), scores


def slow_figures(truth, scores, threshold, average, beta):
    """Precision, recall and F of the labels above a threshold, with loops."""
    Y, S = truth.toarray(), np.full(scores.shape, -np.inf)
    rows, labels = (
        scores.nonzero()
        if scores.data.all()
        else sp.csr_matrix(
            (np.ones(scores.nnz), scores.indices, scores.indptr), scores.shape
        ).nonzero()
    )
    for row, label, score in zip(rows, labels, scores.data, strict=True):
        S[row, label] = score
    found = threshold < S
    pairs = {"micro": [(Y.ravel(), found.ravel())], "samples": zip(Y, found, strict=True)}
    figures = []
    for y, f in pairs.get(average, zip(Y.T, found.T, strict=True)):
        hits, n_found, n_true = (y * f).sum(), f.sum(), y.sum()
        bottom = beta**2 * n_true + n_found
        figures.append(
            (
                hits / n_found if n_found else 0,
                hits / n_true if n_true else 0,
                (1 + beta**2) * hits / bottom if bottom else 0,
            )
        )
    return np.mean(figures, axis=0)


def planted(n_rows=240, seed=0):
    """Feature l says label l; what is true is at times not noted."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, N_LABELS, 0.2, "csr", dtype=np.float32, random_state=seed)
    Y = sp.csr_matrix(0.3 * rng.random((n_rows, 1)) < X, dtype=np.float32)
    return X, Y


def classifier(**params):
    return XRLinearClassifier(**{"random_state": 0, "C": 10, **params})


def f_of_predictions(fitted, X, Y, average="micro", beta=1.0):
    return fbeta_score(Y, fitted.predict(X), beta=beta, average=average, zero_division=0)


@given(truths_and_scores(), st.sampled_from(AVERAGES), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_curve_is_that_of_a_slow_search(example, average, beta):
    truth, scores = example
    curve = f_curve(truth, scores, average, beta)
    distinct = np.unique(scores.data)
    assert_array_equal(curve.thresholds[1:], distinct)
    assert curve.thresholds[0] < distinct[0]
    slow = [slow_figures(truth, scores, t, average, beta) for t in curve.thresholds]
    assert_allclose(np.transpose(curve[1:]), slow, atol=1e-12)


@given(truths_and_scores(), st.sampled_from(AVERAGES))
def test_no_threshold_is_better(example, average):
    truth, scores = example
    best = tune_threshold(Given(scores), np.zeros((truth.shape[0], 1)), truth, average=average)
    tried = [*scores.data, -np.inf, *(scores.data + 0.25)]
    others = [slow_figures(truth, scores, t, average, 1)[2] for t in tried]
    assert max(others) <= best.score + 1e-12
    assert_allclose(slow_figures(truth, scores, best.threshold, average, 1)[2], best.score)


def test_of_equal_thresholds_the_highest_is_taken():
    truth = sp.csr_matrix([[0, 0, 0, 1.0]])
    scores = sp.csr_matrix([[0.5, 0.25, 0.75, 0]], dtype=np.float32)
    best = tune_threshold(Given(scores), [[0]], truth)
    assert (best.score, best.threshold) == (0, 0.75)


def test_labels_that_are_not_reached_are_misses():
    truth = sp.csr_matrix([[1.0, 1, 1, 1], [0, 0, 0, 0]])
    scores = sp.csr_matrix([[0.5, 0, 0, 0], [0, 0.25, 0, 0]], dtype=np.float32)
    best = tune_threshold(Given(scores), [[0], [0]], truth)
    assert best.threshold == 0.25
    assert best.score == 2 * 1 / (4 + 1)
    assert best.recall.max() == 0.25


@pytest.mark.parametrize("post_processor", ["l3-hinge", "sigmoid", "log-l2-hinge", "noop"])
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array, sp.csr_matrix.toarray])
def test_predictions_with_the_threshold_score_what_was_promised(post_processor, average, container):
    X, Y = planted()
    Y_given = container(Y)
    clf = classifier(post_processor=post_processor, beam_width=2).fit(X, Y_given)
    best = tune_threshold(clf, X, Y_given, average=average, beta=2)
    clf.set_params(threshold=best.threshold)
    assert_allclose(f_of_predictions(clf, X, Y_given, average, 2), best.score)
    assert best.score >= f_of_predictions(classifier().fit(X, Y), X, Y, average, 2)


def test_everything_may_be_predicted():
    X, Y = planted()
    clf = classifier().fit(X, sp.csr_matrix(np.ones(Y.shape)))
    best = tune_threshold(clf, X, np.ones(Y.shape))
    assert best.score == 1
    assert clf.set_params(threshold=best.threshold).predict(X).nnz == Y.shape[0] * Y.shape[1]


def test_pipelines_searches_and_frozen_estimators():
    X, Y = planted()
    clf = classifier().fit(X, Y)
    expected = tune_threshold(clf, X, Y)
    scorer = make_ranking_scorer(precision_at_k, k=1)
    search = GridSearchCV(classifier(), {"C": [10]}, cv=2, scoring=scorer)
    wrapped = [
        make_pipeline("passthrough", classifier()).fit(X, Y),
        make_pipeline(classifier()).fit(X, Y),
        FrozenEstimator(clf),
        search.fit(X, Y),
    ]
    for estimator in wrapped:
        found = tune_threshold(estimator, X, Y)
        assert found.threshold == expected.threshold
        assert_array_equal(found.f_score, expected.f_score)


def test_an_estimator_that_only_ranks():
    class Ranker(BaseEstimator):
        def __init__(self, model):
            self.model = model

        def rank(self, X, k=10):
            return self.model.rank(X, k)

    X, Y = planted()
    clf = classifier(beam_width=2).fit(X, Y)
    found, expected = (tune_threshold(e, X, Y) for e in (Ranker(clf), clf))
    assert_array_equal(found.f_score, expected.f_score)
    assert_array_equal(found.thresholds, expected.thresholds)


def test_cross_validation_puts_held_out_scores_together():
    X, Y = planted()
    folds = KFold(3)
    held_out = sp.vstack(
        [classifier().fit(X[a], Y[a]).decision_function(X[b]) for a, b in folds.split(X)]
    )
    expected = f_curve(Y, sp.csr_matrix(held_out), "samples", 1.0)
    for cv in (folds, list(folds.split(X))):
        found = tune_threshold(classifier(), X, Y, average="samples", cv=cv)
        assert_array_equal(found.f_score, expected.f_score)
    one, same, other = (
        tune_threshold(classifier(), X, Y, cv=3, random_state=seed).f_score for seed in (0, 0, 1)
    )
    assert_array_equal(one, same)
    assert len(one) != len(other) or (one != other).any()


def test_cross_validation_hands_on_what_fit_needs():
    X, Y = planted()
    texts = [f"label {i}" for i in range(N_LABELS)]
    clf = classifier(label_embedding="text")
    assert tune_threshold(clf, X, Y, cv=2, fit_params={"label_text": texts}).score > 0
    with pytest.raises(ValueError, match="label_text"):
        tune_threshold(clf, X, Y, cv=2)


def test_the_estimator_is_left_as_it_is():
    X, Y = planted()
    clf = classifier()
    tune_threshold(clf, X, Y, cv=2)
    assert not hasattr(clf, "tree_")
    assert clf.get_params() == clone(clf).get_params()


WRONG = {
    "average": ({"average": "weighted"}, ValueError, "average must be one of 'micro'"),
    "beta": ({"beta": 0}, ValueError, "beta must be finite and above 0"),
    "beta as text": ({"beta": "1"}, TypeError, "beta must be a number"),
    "cv": ({"cv": "postfit"}, ValueError, "cv"),
    "few columns": ({"Y": np.eye(4)[:, :3]}, ValueError, "Y must have 4 columns"),
    "few rows": ({"Y": np.eye(4)[:3]}, ValueError, "Y must have 4 rows"),
    "classes": ({"Y": [0, 1, 2, 3]}, ValueError, "Y must be a 0/1 indicator"),
    "counts": ({"Y": 2 * np.eye(4)}, ValueError, "Y must be a 0/1 indicator"),
    "no scores": ({"estimator": TfidfVectorizer()}, TypeError, "must have rank or decision_func"),
    "reaches nothing": ({"estimator": Given(sp.csr_matrix((4, 4)))}, ValueError, "reach some"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what):
    params, error, message = WRONG[what]
    clf = classifier().fit(np.eye(4), np.eye(4))
    with pytest.raises(error, match=message):
        tune_threshold(**{"estimator": clf, "X": np.eye(4), "Y": np.eye(4), **params})


@pytest.mark.slow
def test_helps_on_the_catalogue_sample():
    data = catalogue_sample()
    rows = np.random.default_rng(0).permutation(len(data.text_train))
    text = np.array(data.text_train, dtype=object)
    fit, held_out = rows[2000:], rows[:2000]
    model = make_pipeline(
        TfidfVectorizer(min_df=3, dtype=np.float32), classifier(C=1, threshold=0.5)
    )
    model.fit(text[fit], data.Y_train[fit])
    before = f_of_predictions(model, data.text_test, data.Y_test)
    best = tune_threshold(model, text[held_out], data.Y_train[held_out])
    model.set_params(xrlinearclassifier__threshold=best.threshold)
    after = f_of_predictions(model, data.text_test, data.Y_test)
    assert after > before + 0.02
    assert abs(after - best.score) < 0.03


# ---- folds in any form ----

HALF = np.arange(80) < 40
NUMBERS = [(np.flatnonzero(HALF), np.flatnonzero(~HALF)), (np.flatnonzero(~HALF), np.arange(40))]


class MaskSplit:
    """Splits as scikit-learn's splitters do, but into masks."""

    def split(self, X, y=None, groups=None):
        yield from [(HALF, ~HALF), (~HALF, HALF)]

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


FOLDS = {
    "masks": lambda: [(HALF, ~HALF), (~HALF, HALF)],
    "lists of bool": lambda: [(HALF.tolist(), (~HALF).tolist()), ((~HALF).tolist(), HALF.tolist())],
    "series": lambda: [(pd.Series(HALF), pd.Series(~HALF)), (pd.Series(~HALF), pd.Series(HALF))],
    "nullable series": lambda: [
        (pd.Series(a, dtype="boolean"), pd.Series(~a, dtype="boolean")) for a in (HALF, ~HALF)
    ],
    "lists of numbers": lambda: [(a.tolist(), b.tolist()) for a, b in NUMBERS],
    "small integers": lambda: [(a.astype(np.uint8), b.astype(np.int8)) for a, b in NUMBERS],
    "numbers from the end": lambda: [(a - 80, b) for a, b in NUMBERS],
    "masks and numbers": lambda: [(HALF, NUMBERS[0][1]), (NUMBERS[1][0], HALF)],
    "generator": lambda: ((a, ~a) for a in (HALF, ~HALF)),
    "splitter": MaskSplit,
    "tuple of lists": lambda: ([HALF, ~HALF], [~HALF, HALF]),
}


def crossed(cv):
    """What depends on the folds: two curves of thresholds, and calibrated probabilities."""
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.random((80, N_LABELS)) * (rng.random((80, N_LABELS)) < 0.3))
    Y = sp.csr_matrix(X > 0.2, dtype=int)
    tuned = tune_threshold(classifier(), X, Y, cv=cv(), random_state=0)
    fitted = CalibratedRanker(classifier(), cv=cv(), random_state=0).fit(X, Y)
    one_each = CalibratedRanker(classifier(), cv=cv(), random_state=0)
    one_each.fit(X, np.asarray(X.argmax(axis=1)).ravel())
    probabilities = fitted.predict_proba(X).toarray(), one_each.predict_proba(X)
    return [tuned.thresholds, tuned.f_score, *probabilities]


@pytest.mark.parametrize("what", FOLDS)
def test_folds_are_masks_or_numbers(what):
    for found, expected in zip(crossed(FOLDS[what]), crossed(lambda: NUMBERS), strict=True):
        assert_array_equal(found, expected)


WRONG_FOLDS = {
    "no folds": ([], "cv must yield pairs"),
    "short mask": ([(HALF[:-1], ~HALF)], "cv must yield masks of 80 rows, got one of 79"),
    "long mask": (
        [(HALF, np.append(~HALF, True))],
        "cv must yield masks of 80 rows, got one of 81",
    ),
    "nothing to train with": ([(HALF & False, ~HALF)], "cv must yield training and test rows"),
    "nothing to test": ([(HALF, [])], "cv must yield training and test rows"),
    "row beyond": ([(np.arange(40), [80])], "cv must yield row numbers below 80, got 80 to 80"),
    "row before": ([(np.arange(40), [-81])], "cv must yield row numbers below 80"),
    "floats": ([(np.arange(40.0), [50])], "cv must yield one-dimensional row numbers or boolean"),
    "a matrix": ([(HALF[:, None], ~HALF)], "cv must yield one-dimensional row numbers or boolean"),
    "missing": (
        [(pd.Series([None, *HALF[1:]], dtype="boolean"), ~HALF)],
        "cv must be an array without missing",
    ),
}


@pytest.mark.parametrize("what", WRONG_FOLDS)
def test_wrong_folds_are_named(what):
    cv, message = WRONG_FOLDS[what]
    X = np.eye(4, dtype=np.float32)[np.arange(80) % 4]
    with pytest.raises(ValueError, match=message):
        tune_threshold(classifier(), X, X, cv=cv)
    with pytest.raises(ValueError, match=message):
        CalibratedRanker(classifier(), cv=cv).fit(X, X)
