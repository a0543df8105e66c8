"""Calibrated rankers on data whose probabilities are known, and beside slow references."""

import pickle

import numpy as np
import pandas as pd
import pytest
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import calibration_curve
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from strategies import csr_matrices, finite, halves, seeds

from skxmr import CalibratedRanker, XRLinearClassifier
from skxmr._utils.pairs import is_true, ranks, row_of_entries
from skxmr.calibration import reliability_curve
from skxmr.calibration._maps import (
    METHODS,
    Pairs,
    SigmoidMap,
    _certain_ranks,
    sample_pairs,
    strictly_rising,
)
from skxmr.metrics import precision_at_1_scorer, precision_at_k
from skxmr.model_selection import tune_threshold

N_LABELS = 10


class Given(BaseEstimator):
    """A ranker whose features are the scores."""

    def fit(self, X, y):
        self.n_labels_ = y.shape[1]
        return self

    def decision_function(self, X):
        return X


def scored(n_rows=3000, seed=0, n_labels=N_LABELS):
    """Scores in [0, 1], of half the labels, that are true with the square of the score."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, n_labels, 0.5, "csr", dtype=np.float32, random_state=seed)
    X.sort_indices()
    rows, hits = row_of_entries(X), rng.random(X.nnz) < X.data**2
    return X, sp.csr_matrix((np.ones(hits.sum()), (rows[hits], X.indices[hits])), X.shape)


def planted(n_rows=200, seed=0):
    """Feature l says label l, mostly."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, N_LABELS, 0.3, "csr", dtype=np.float32, random_state=seed)
    noise = sp.csr_matrix(rng.random(X.shape) < 0.7, dtype=np.float32)
    Y = sp.csr_matrix((X > 0.3).multiply(noise), dtype=np.float32)
    return X, Y


def ranker(**params):
    return XRLinearClassifier(**{"random_state": 0, "beam_width": 3, **params})


def calibrated(estimator=None, **params):
    return CalibratedRanker(
        ranker() if estimator is None else estimator, **{"cv": 3, "random_state": 0, **params}
    )


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


# ---- the map ----


@pytest.mark.parametrize("subsample", [1_000_000, 4000])
def test_isotonic_finds_the_probability_of_a_score(subsample):
    X, Y = scored()
    fitted = calibrated(Given(), cv="prefit", subsample=subsample)
    fitted.estimator.fit(X, Y)
    fitted.fit(X, Y)
    X_new, Y_new = scored(seed=1)
    tolerance = 0.02 if subsample > 10_000 else 0.06
    curve = reliability_curve(Y_new, fitted.predict_proba(X_new))
    assert curve.ece < tolerance
    assert reliability_curve(Y_new, X_new).ece > 0.1
    error = fitted.predict_proba(X_new).data - X_new.data**2
    assert np.abs(error).mean() < 1.5 * tolerance


def test_sigmoid_finds_a_logistic_curve():
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(5 * rng.standard_normal((4000, 3)), dtype=np.float32)
    Y = sp.csr_matrix(rng.random(X.shape) < 1 / (1 + np.exp(1 - 0.5 * X.toarray())), dtype=float)
    found = calibrated(Given().fit(X, Y), method="sigmoid", cv="prefit").fit(X, Y).calibrator_
    assert_allclose([found.slope_, found.intercept_], [0.5, -1], atol=0.05)


def test_sigmoid_agrees_with_logistic_regression():
    rng = np.random.default_rng(0)
    scores, hits = 1e3 * rng.random(500), rng.random(500) < 0.5
    hits = hits | (scores > 700)
    weight = rng.random(500) + 1e4  # so that the smoothing of targets does not matter
    found = SigmoidMap().fit(scores, hits, weight)
    x = scores[:, np.newaxis] / 1e3
    other = LogisticRegression(C=1e12, tol=1e-10).fit(x, hits, weight)
    assert_allclose(found.slope_ * 1e3, other.coef_[0, 0], rtol=1e-3)
    assert_allclose(found.intercept_, other.intercept_[0], rtol=1e-3)


def test_sigmoid_takes_scores_between_0_and_1_for_probabilities():
    X, Y = scored()
    X.data **= 2
    found = calibrated(Given().fit(X, Y), method="sigmoid", cv="prefit").fit(X, Y).calibrator_
    assert found.takes_odds_
    assert_allclose([found.slope_, found.intercept_], [1, 0], atol=0.05)
    assert_allclose(found.predict(np.array([0.0, 1.0])), [0, 1], atol=1e-4)


def test_sigmoid_never_falls_nor_ends_at_infinity():
    scores, weight = np.arange(4.0), np.ones(4)
    falling = SigmoidMap().fit(scores, scores < 2, weight)
    assert falling.slope_ == 0
    assert_allclose(falling.predict(scores), 0.5)
    separable = SigmoidMap().fit(scores, scores >= 2, weight)
    assert 0.1 < separable.predict(scores)[0] < 0.3
    for hits in (scores < 0, scores >= 0):
        assert np.isfinite(SigmoidMap().fit(np.ones(4), hits, weight).predict(scores)).all()


def test_isotonic_keeps_away_from_certainty():
    scores, weight = np.arange(4.0), np.ones(4)
    found = METHODS["isotonic"](Pairs(scores, scores >= 2, weight)).predict(scores)
    assert_allclose(found, [0.1, 0.1, 0.9, 0.9])


@given(st.lists(finite, min_size=1), st.lists(st.floats(0, 1), min_size=2))
def test_probabilities_are_told_apart_by_scores(scores, levels):
    scores = np.unique(np.array(scores, dtype=np.float32))
    levels = np.sort(np.resize(levels, len(scores)))
    raised = strictly_rising(levels, scores)
    assert (np.diff(raised) > 0).all()
    assert (raised < 1).all()
    assert_allclose(raised, levels, rtol=1e-6, atol=1e-300)


def test_zeros_of_both_signs_are_one_score():
    raised = strictly_rising(np.array([0.5, 0.5]), np.array([0.0, -0.0], dtype=np.float32))
    assert raised[0] == raised[1]


def test_a_map_for_the_first_labels_is_right_for_them():
    rng = np.random.default_rng(0)
    X, _ = scored()
    first = ranks(X) == 1
    hits = rng.random(X.nnz) < np.where(first, 0.8, 0.1)
    Y = sp.csr_matrix((np.ones(hits.sum()), (row_of_entries(X)[hits], X.indices[hits])), X.shape)
    for_first, for_all = (
        calibrated(Given().fit(X, Y), cv="prefit", k=k).fit(X, Y).rank(X, 1)[1] for k in (1, None)
    )
    assert_allclose(for_first[for_first > 0].mean(), 0.8, atol=0.03)
    assert for_all[for_all > 0].mean() < 0.75


# ---- the pairs ----


@given(csr_matrices(halves, min_rows=1, min_columns=1))
def test_ranks_are_those_of_a_slow_sort(scores):
    found = ranks(scores)
    for row in range(scores.shape[0]):
        entries = slice(scores.indptr[row], scores.indptr[row + 1])
        ranked = sorted(zip(-scores.data[entries], scores.indices[entries], strict=True))
        expected = [
            ranked.index((-s, j)) + 1
            for s, j in zip(scores.data[entries], scores.indices[entries], strict=True)
        ]
        assert_array_equal(found[entries], expected)


@given(csr_matrices(st.just(1.0), min_rows=1, min_columns=1))
def test_true_pairs_are_the_entries(truth):
    n_rows, n_labels = truth.shape
    rows, labels = np.divmod(np.arange(n_rows * n_labels), n_labels)
    assert_array_equal(is_true(truth, rows, labels), truth.toarray().ravel() > 0)
    grid = is_true(truth, np.arange(n_rows)[:, np.newaxis], np.arange(n_labels))
    assert_array_equal(grid, truth.toarray() > 0)


@pytest.mark.parametrize("budget", [5, 20, 50, 299, 300, 1000])
def test_about_as_many_pairs_are_taken_as_may_be(budget):
    (certain,) = _certain_ranks(np.array([300]), budget)
    expected = np.minimum(1, certain / np.arange(1, 301)).sum()
    assert expected <= max(budget, _certain_sum_of_one(300)) + 1e-9
    assert expected > 0.8 * min(budget, 300)


def _certain_sum_of_one(n):
    return (1 / np.arange(1, n + 1)).sum()


def test_sampled_pairs_stand_for_all():
    X, Y = scored(n_rows=400, n_labels=200)
    weight = np.repeat([1.0, 2.0], 200)
    pairs = sample_pairs(X, Y, weight, 20, np.random.RandomState(0))
    assert 15 * 400 < len(pairs.scores) < 22 * 400
    everything = weight[row_of_entries(X)]
    assert_allclose(pairs.weight.sum(), everything.sum(), rtol=0.02)
    assert_allclose(pairs.weight @ pairs.scores, everything @ X.data, rtol=0.02)
    assert_allclose(pairs.weight @ pairs.hits, weight @ np.diff(Y.indptr), rtol=0.03)


def test_few_labels_are_all_taken_and_rows_without_weight_are_not():
    X, Y = scored(n_rows=20)
    weight = np.arange(20) % 2 / 1.0
    pairs = sample_pairs(X, Y, weight, N_LABELS, np.random.RandomState(0))
    assert_array_equal(pairs.scores, X[1::2].data)
    assert_array_equal(pairs.weight, 1)
    assert pairs.hits.sum() == Y[1::2].nnz


# ---- the estimator ----


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
@pytest.mark.parametrize("post_processor", ["l3-hinge", "sigmoid", "log-sigmoid", "noop"])
def test_ranks_as_the_estimator_does(method, loss, post_processor):
    X, Y = planted()
    fitted = calibrated(ranker(loss=loss, post_processor=post_processor), method=method).fit(X, Y)
    expected, scores = fitted.estimator_.rank(X, N_LABELS + 2)
    labels, probabilities = fitted.rank(X, N_LABELS + 2)
    assert_array_equal(labels, expected)
    reached = labels >= 0
    assert (probabilities[~reached] == -np.inf).all()
    assert ((probabilities[reached] > 0) & (probabilities[reached] < 1)).all()
    both = reached[:, 1:] & reached[:, :-1]
    falls = [values[:, 1:] < values[:, :-1] for values in (scores, probabilities)]
    assert_array_equal(falls[0][both], falls[1][both])
    proba = fitted.predict_proba(X)
    rows = np.nonzero(reached)[0]
    assert proba.nnz == len(rows)
    assert_array_equal(np.asarray(proba[rows, labels[reached]]).ravel(), probabilities[reached])
    for k in (1, 3, 5):
        by_matrix = precision_at_k(Y, proba, k=k)
        assert by_matrix == precision_at_k(Y, fitted.estimator_.decision_function(X), k=k)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csr_matrix.toarray])
def test_outputs_are_in_the_container_of_y(container):
    X, Y = planted()
    fitted, sparse_one = (calibrated().fit(X, y) for y in (container(Y), Y))
    for name in ("predict", "predict_proba", "decision_function"):
        found = getattr(fitted, name)(X)
        assert type(found) is type(container(Y))
        assert found.shape == Y.shape
    for name in ("predict", "predict_proba"):
        assert_array_equal(dense(getattr(fitted, name)(X)), dense(getattr(sparse_one, name)(X)))
    assert fitted.score(X, container(Y)) == sparse_one.estimator_.score(X, Y)


def test_threshold_is_one_of_probabilities():
    X, Y = planted()
    fitted = calibrated().fit(X, Y)
    for threshold in (0.5, 0.0, 0.2, 1.0):
        predicted = fitted.set_params(threshold=threshold).predict(X)
        expected = fitted.predict_proba(X).toarray() > threshold
        assert_array_equal(predicted.toarray(), expected)
    best = tune_threshold(fitted, X, Y)
    predicted = fitted.set_params(threshold=best.threshold).predict(X)
    hits = predicted.multiply(Y).sum()
    assert_allclose(2 * hits / (predicted.nnz + Y.nnz), best.score)


def test_decision_function_is_the_estimators():
    X, Y = planted()
    fitted = calibrated().fit(X, Y)
    expected = fitted.estimator_.decision_function(X)
    assert_array_equal(fitted.decision_function(X).toarray(), expected.toarray())


def test_decision_function_orders_rows_of_two_classes_as_their_probabilities():
    X, y = make_classification(200, n_informative=3, flip_y=0.3, random_state=0)
    for seed in range(5):
        fitted = CalibratedRanker(XRLinearClassifier(), random_state=seed).fit(X, y)
        scores, probabilities = fitted.decision_function(X), fitted.predict_proba(X)[:, 1]
        assert np.diff(scores[probabilities.argsort()]).min() >= -1e-12
        assert_array_equal(scores > 0, fitted.predict(X) == 1)


def test_classes():
    X, Y = planted()
    names = np.array([f"class {i}" for i in range(N_LABELS)])
    y = names[np.asarray(Y.argmax(axis=1)).ravel()]
    fitted = calibrated().fit(X, y)
    assert_array_equal(fitted.classes_, np.unique(y))
    assert_array_equal(fitted.predict(X), fitted.estimator_.predict(X))
    proba = fitted.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(fitted.classes_[proba.argmax(axis=1)], fitted.predict(X))
    assert fitted.score(X, y) == fitted.estimator_.score(X, y)


def test_classes_that_a_fold_never_sees():
    X, y = make_classification(60, n_classes=3, n_informative=4, random_state=0)
    y[0] = 7
    fitted = calibrated().fit(X, y)
    assert_array_equal(fitted.classes_, [0, 1, 2, 7])
    assert fitted.predict_proba(X).shape == (60, 4)


def test_the_fitted_ranker_is_fitted_to_all_rows():
    X, Y = planted()
    fitted = calibrated().fit(X, Y)
    expected = ranker().fit(X, Y).rank(X)
    for found, wanted in zip(fitted.estimator_.rank(X), expected, strict=True):
        assert_array_equal(found, wanted)


def test_the_map_is_made_from_held_out_scores():
    X, Y = planted(60)
    rows = np.arange(60)
    split = [(rows[:40], rows[40:])]
    fitted = calibrated(cv=split).fit(X, Y)
    prefit = calibrated(ranker().fit(X[:40], Y[:40]), cv="prefit").fit(X[40:], Y[40:])
    scores = np.linspace(0, 1, 50)
    assert_array_equal(fitted.calibrator_.predict(scores), prefit.calibrator_.predict(scores))


def test_prefit_and_frozen():
    X, Y = planted()
    clf = ranker().fit(X, Y)
    prefit = calibrated(clf, cv="prefit").fit(X, Y)
    frozen = calibrated(FrozenEstimator(clf), cv=3).fit(X, Y)
    assert prefit.estimator_ is clf
    assert_allclose(prefit.predict_proba(X).toarray(), frozen.predict_proba(X).toarray())
    again = clone(calibrated(FrozenEstimator(clf), cv="prefit")).fit(X, Y)
    assert_array_equal(again.predict_proba(X).toarray(), prefit.predict_proba(X).toarray())
    with pytest.raises(NotFittedError):
        calibrated(cv="prefit").fit(X, Y)


def test_pipelines_inside_and_outside():
    X, Y = planted()
    inside = calibrated(make_pipeline("passthrough", ranker())).fit(X, Y)
    outside = make_pipeline("passthrough", calibrated()).fit(X, Y)
    expected = calibrated().fit(X, Y)
    for found in (inside, outside):
        assert_array_equal(found.predict_proba(X).toarray(), expected.predict_proba(X).toarray())
        assert_array_equal(found.predict(X).toarray(), expected.predict(X).toarray())
    assert_array_equal(inside.rank(X)[0], expected.rank(X)[0])


def test_searches_inside_and_outside():
    X, Y = planted()
    inside = calibrated(GridSearchCV(ranker(), {"beam_width": [3]}, cv=2)).fit(X, Y)
    assert_array_equal(inside.rank(X)[0], inside.estimator_.best_estimator_.rank(X)[0])
    grid = {"method": ["isotonic", "sigmoid"], "estimator__C": [1, 10]}
    assert 0 < GridSearchCV(calibrated(), grid, cv=2).fit(X, Y).best_score_ <= 1


def test_texts_as_input():
    texts = ["cats and dogs", "dogs at sea", "sea birds", "birds and cats"] * 6
    Y = sp.csr_matrix([[1, 0], [1, 0], [0, 1], [0, 1]] * 6, dtype=np.float32)
    fitted = calibrated(make_pipeline(TfidfVectorizer(), ranker())).fit(texts, Y)
    assert fitted.predict(["dogs"]).toarray().tolist() == [[1, 0]]
    assert not hasattr(fitted, "feature_names_in_")


def test_feature_names():
    X, Y = planted()
    frame = pd.DataFrame(X.toarray(), columns=[f"f{i}" for i in range(X.shape[1])])
    fitted = calibrated().fit(frame, Y)
    assert_array_equal(fitted.feature_names_in_, frame.columns)
    assert fitted.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="feature names"):
        fitted.rank(frame[frame.columns[::-1]])


def test_clones_and_pickles():
    X, Y = planted()
    fitted = calibrated(method="sigmoid").fit(X, Y)
    expected = fitted.predict_proba(X).toarray()
    copy = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(copy.predict_proba(X).toarray(), expected)
    fresh = clone(fitted)
    assert not hasattr(fresh, "estimator_")
    assert_array_equal(fresh.fit(X, Y).predict_proba(X).toarray(), expected)


@given(seed=seeds)
def test_results_depend_on_the_random_state_alone(seed):
    X, Y = scored(n_rows=50)
    params = {"cv": "prefit", "subsample": 200, "random_state": seed}
    one, two = (calibrated(Given().fit(X, Y), **params).fit(X, Y) for _ in range(2))
    assert_array_equal(one.predict_proba(X).data, two.predict_proba(X).data)


def test_a_row_of_weight_two_is_the_row_twice():
    X, Y = planted()
    weight = np.arange(X.shape[0]) % 3
    rows = np.repeat(np.arange(X.shape[0]), weight)
    estimators = Given().fit(X, Y), make_pipeline(Given()).fit(X, Y)
    for method in METHODS:
        for estimator in estimators:
            params = {"cv": "prefit", "method": method}
            one = calibrated(estimator, **params).fit(X, Y, sample_weight=weight)
            two = calibrated(estimator, **params).fit(X[rows], Y[rows])
            assert_allclose(one.predict_proba(X).data, two.predict_proba(X).data, rtol=1e-6)


def test_sample_weight_reaches_the_estimator_at_the_end_of_a_pipeline():
    X, Y = planted()
    weight = np.random.default_rng(0).random(X.shape[0])
    inside = calibrated(make_pipeline("passthrough", ranker())).fit(X, Y, sample_weight=weight)
    plain = calibrated().fit(X, Y, sample_weight=weight)
    assert_array_equal(inside.predict_proba(X).toarray(), plain.predict_proba(X).toarray())
    assert_array_equal(
        plain.estimator_.decision_function(X).toarray(),
        ranker().fit(X, Y, sample_weight=weight).decision_function(X).toarray(),
    )


def test_fit_parameters_reach_every_fit():
    X, Y = planted()
    texts = [f"label {i}" for i in range(N_LABELS)]
    clf = calibrated(ranker(label_embedding="text"))
    assert clf.fit(X, Y, label_text=texts).estimator_.n_labels_ == N_LABELS


def test_failing_to_fit_changes_nothing():
    X, Y = planted()
    fitted = calibrated().fit(X, Y)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="y must have"):
        fitted.fit(X, Y[:10])
    assert vars(fitted) == before


WRONG = {
    "method": ({"method": "platt"}, ValueError, "method must be one of 'isotonic'"),
    "k": ({"k": 0}, ValueError, "k must be at least 1"),
    "subsample": ({"subsample": 0}, ValueError, "subsample must be at least 1"),
    "threshold": ({"threshold": "half"}, TypeError, "threshold must be a number"),
    "cv": ({"cv": "postfit"}, ValueError, "cv"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_parameters_are_named(what):
    params, error, message = WRONG[what]
    with pytest.raises(error, match=message):
        calibrated(**params).fit(*planted())


def test_wrong_targets_are_named():
    X, Y = planted()
    with pytest.raises(ValueError, match="y must be a 0/1 indicator"):
        calibrated().fit(X, 2 * Y)
    with pytest.raises(ValueError, match="y is None"):
        calibrated().fit(X, None)
    prefit = calibrated(ranker().fit(X, Y), cv="prefit")
    with pytest.raises(ValueError, match=f"y must have {N_LABELS} columns"):
        prefit.fit(X, Y[:, :3])
    with pytest.raises(ValueError, match="reach some label"):
        calibrated(Given().fit(X, Y), cv="prefit").fit(sp.csr_matrix(X.shape), Y)


# ---- reliability ----


@given(
    csr_matrices(st.floats(0, 1, width=32), min_rows=1, min_columns=1).filter(lambda m: m.nnz),
    st.integers(1, 6),
    seeds,
)
def test_reliability_is_that_of_a_slow_count(proba, n_bins, seed):
    rng = np.random.default_rng(seed)
    Y = sp.csr_matrix(rng.random(proba.shape) < 0.5, dtype=np.float32)
    truth = Y.toarray()[row_of_entries(proba), proba.indices].astype(float)
    curve = reliability_curve(Y, proba, n_bins=n_bins)
    bins = [min(int(float(p) * n_bins), n_bins - 1) for p in proba.data]
    filled = sorted(set(bins))
    groups = [np.equal(bins, b) for b in filled]
    assert_array_equal(curve.count, [g.sum() for g in groups])
    assert_allclose(curve.observed, [truth[g].mean() for g in groups])
    assert_allclose(curve.mean_predicted, [proba.data[g].astype(float).mean() for g in groups])
    gaps = [g.sum() * abs(truth[g].mean() - proba.data[g].astype(float).mean()) for g in groups]
    assert_allclose(curve.ece, sum(gaps) / len(truth), atol=1e-12)
    assert_allclose(curve.brier, np.mean((proba.data.astype(float) - truth) ** 2))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_curves_are_those_of_scikit_learn(strategy):
    X, Y = scored()
    curve = reliability_curve(Y, X, n_bins=7, strategy=strategy)
    truth = Y.toarray()[row_of_entries(X), X.indices]
    observed, mean = calibration_curve(truth, X.data, n_bins=7, strategy=strategy)
    assert_allclose(curve.observed, observed)
    assert_allclose(curve.mean_predicted, mean, rtol=1e-6)
    assert curve.count.sum() == X.nnz


def test_reliability_of_the_first_k():
    X, Y = planted()
    fitted = calibrated().fit(X, Y)
    ranking = fitted.rank(X, 3)
    by_matrix = reliability_curve(Y, fitted.predict_proba(X), k=3)
    by_ranking = reliability_curve(Y, ranking)
    for name in ("mean_predicted", "observed", "count", "ece", "brier"):
        assert_array_equal(by_matrix[name], by_ranking[name])
    assert by_matrix.count.sum() == (ranking[0] >= 0).sum()


def test_reliability_of_an_array_counts_all_pairs():
    curve = reliability_curve([[1, 0], [0, 0]], [[1.0, 0.0], [0.0, 0.0]])
    assert (curve.count.tolist(), curve.ece, curve.brier) == ([3, 1], 0, 0)


WRONG_CURVES = {
    "n_bins": ({"n_bins": 0}, ValueError, "n_bins must be at least 1"),
    "strategy": ({"strategy": "width"}, ValueError, "strategy must be one of"),
    "k": ({"k": 0}, ValueError, "k must be at least 1"),
    "too large": ({"Y_proba": [[2.0, 0]]}, ValueError, r"Y_proba must lie in \[0, 1\]"),
    "NaN": ({"Y_proba": [[np.nan, 0]]}, ValueError, r"Y_proba must lie in \[0, 1\]"),
    "shape": ({"Y_proba": [[1.0]]}, ValueError, "Y_proba must have shape"),
    "labels": ({"Y_proba": ([[2]], [[0.5]])}, ValueError, "Y_proba must rank labels below 2"),
    "nothing": ({"Y_proba": sp.csr_matrix((1, 2))}, ValueError, "Y_proba must hold some"),
    "truth": ({"Y_true": [[0.5, 0]]}, ValueError, "Y_true must be a 0/1"),
}


@pytest.mark.parametrize("what", WRONG_CURVES)
def test_wrong_arguments_of_reliability_are_named(what):
    params, error, message = WRONG_CURVES[what]
    with pytest.raises(error, match=message):
        reliability_curve(**{"Y_true": [[1, 0]], "Y_proba": [[0.5, 0.5]], **params})


@pytest.mark.parametrize(
    "params", [{}, {"loss": "log_loss", "post_processor": "sigmoid"}], ids=["hinge", "logistic"]
)
@pytest.mark.slow
def test_calibrates_the_catalogue_sample(params):
    data = catalogue_sample()
    rows = np.random.default_rng(0).permutation(len(data.text_train))[:20_000]
    X = TfidfVectorizer(min_df=3, dtype=np.float32).fit(np.array(data.text_train)[rows])
    texts = np.array(data.text_train, dtype=object)[rows]
    clf = ranker(beam_width=10, **params).fit(X.transform(texts[4000:]), data.Y_train[rows[4000:]])
    fitted = calibrated(clf, cv="prefit", k=5)
    fitted.fit(X.transform(texts[:4000]), data.Y_train[rows[:4000]])
    X_test = X.transform(data.text_test)
    before = reliability_curve(data.Y_test, clf.decision_function(X_test), k=5)
    after = reliability_curve(data.Y_test, fitted.predict_proba(X_test), k=5)
    assert after.ece < 0.02 < before.ece
    assert after.brier < before.brier


# ---- weights of any scale ----

SCALES = [1e-300, 1e-30, 1 / 200, 0.1, 7.0, 1e30, 1e300]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["equal", "counts", "any"])
def test_the_scale_of_weights_does_not_matter(method, kind):
    X, Y = planted()
    rng = np.random.default_rng(0)
    weight = {
        "equal": np.ones(200),
        "counts": 1.0 + np.arange(200) % 3,
        "any": rng.random(200) * (rng.random(200) < 0.8),
    }[kind]

    def probabilities(weight):
        frozen = FrozenEstimator(Given().fit(X, Y))
        fitted = calibrated(frozen, cv="prefit", method=method, subsample=1000)
        return fitted.fit(X, Y, sample_weight=weight).predict_proba(X).data

    expected = probabilities(weight)
    for scale in SCALES:
        assert_allclose(probabilities(scale * weight), expected, rtol=1e-9)
    as_given = probabilities(weight.astype(np.float32) / np.float32(weight.sum()))
    assert_allclose(as_given, expected, rtol=1e-4)
    if kind == "equal":
        assert_array_equal(expected, probabilities(None))
        assert_array_equal(probabilities(np.full(200, np.float32(1 / 200))), expected)


@pytest.mark.parametrize("scale", [1e-300, 1 / 200, 1e300])
def test_the_scale_of_weights_does_not_matter_to_scores(scale):
    X, Y = planted()
    weight, other = scale * (np.arange(200) % 3), (np.arange(200) % 3).astype(float)
    fitted = calibrated(FrozenEstimator(ranker().fit(X, Y)), cv="prefit").fit(X, Y)
    expected = fitted.score(X, Y, other)
    assert expected != fitted.score(X, Y)
    assert fitted.score(X, Y, weight) == pytest.approx(expected, rel=1e-12)
    assert fitted.estimator_.score(X, Y, weight) == pytest.approx(expected, rel=1e-12)


# ---- a ranker that changes after it was calibrated ----


def changed_labels(clf, X, y):
    """Give a fitted classifier a label that it did not know."""
    if clf.multilabel_:
        return clf.add_labels(X, sp.hstack([y, sp.csr_matrix(X[:, [0]] > 0.5)]).tocsr())
    return clf.add_labels(X, np.where(np.arange(len(y)) < 20, "A first", y))


CHANGES = {
    "added labels": changed_labels,
    "other labels": lambda clf, X, y: clf.fit(X, y[:, :-1] if clf.multilabel_ else y + "x"),
    "other features": lambda clf, X, y: clf.fit(sp.hstack([X, X]).tocsr(), y),
}
ASKED = ["rank", "predict", "predict_proba", "decision_function"]


@pytest.mark.filterwarnings("ignore:X has no rows of")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("multilabel", [True, False])
@pytest.mark.parametrize("wrapping", ["frozen", "pipeline", "own", "calibrated inside"])
def test_a_ranker_that_learned_others_is_calibrated_no_longer(change, multilabel, wrapping):
    X, Y = planted()
    y = Y if multilabel else np.array(list("abcdefghij"))[np.asarray(X.argmax(axis=1)).ravel()]
    clf = ranker().fit(X, y)
    estimator = make_pipeline("passthrough", clf) if wrapping == "pipeline" else clf
    fitted = calibrated(FrozenEstimator(estimator), cv="prefit").fit(X, y)
    if wrapping == "own":
        fitted = calibrated(ranker(), cv=2).fit(X, y)
        clf = fitted.estimator_
    if wrapping == "calibrated inside":
        fitted = calibrated(FrozenEstimator(fitted), cv="prefit").fit(X, y)
    copy = pickle.loads(pickle.dumps(fitted))
    n_columns = fitted.predict_proba(X).shape[1]
    assert n_columns == len(fitted.classes_) == fitted.n_labels_
    expected, before = fitted.rank(X, 3), fitted.score(X, y)
    CHANGES[change](clf, X, y)
    calls = [lambda name=name: getattr(fitted, name)(X) for name in ASKED]
    calls += [lambda: fitted.score(X, y), lambda: precision_at_1_scorer(fitted, X, y)]
    # A pipeline that begins with "passthrough" does not know how many features there were.
    unknown = wrapping == "pipeline" and change == "other features"
    error, message = (ValueError, "expecting 20") if unknown else (NotFittedError, "fit again")
    for call in calls:
        with pytest.raises(error, match=message):
            call()
    for found, known in zip(copy.rank(X, 3), expected, strict=True):  # it has a model of its own
        assert_array_equal(found, known)
    assert copy.score(X, y) == before
    if wrapping == "calibrated inside":
        return
    X, y = (sp.hstack([X, X]).tocsr(), y) if change == "other features" else (X, y)
    y = clf.classes_[clf.rank(X, 1)[0][:, 0]] if not multilabel else clf.predict(X)
    again = fitted.fit(X, y)
    assert again.predict_proba(X).shape[1] == len(again.classes_) == again.n_labels_
    assert wrapping == "pipeline" or again.n_features_in_ == X.shape[1]


def test_another_fit_forgets_what_the_estimator_before_had():
    X, Y = planted()
    fitted = calibrated(ranker(), cv=2).fit(X, Y)
    assert fitted.n_features_in_ == N_LABELS
    fitted.set_params(estimator=Given()).fit(X, Y)
    assert not hasattr(fitted, "n_features_in_")
    assert fitted.predict_proba(X).shape == Y.shape
