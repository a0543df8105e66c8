"""Rankings by propensity, beside slow ones."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from strategies import csr_matrices

from skxmr import CalibratedRanker, PropensityReranker, XRLinearClassifier
from skxmr.metrics import make_ranking_scorer, propensities, psp_at_k
from skxmr.metrics._propensity import propensities_of_counts
from skxmr.model_selection import tune_threshold

N_LABELS = 10

scores_of_any_size = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])


class Given(BaseEstimator):
    """A ranker whose features are the scores."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def decision_function(self, X):
        return X


def uneven(n_rows=300, seed=0):
    """Feature l says label l; label l has a share of 1 / (2 + l) of the rows."""
    rng = np.random.default_rng(seed)
    Y = sp.csr_matrix(rng.random((n_rows, N_LABELS)) < 1 / (2 + np.arange(N_LABELS)), dtype=float)
    noise = sp.csr_matrix(rng.random(Y.shape) * (rng.random(Y.shape) < 0.5))
    return sp.csr_matrix(Y * 0.6 + noise, dtype=np.float32), Y


def ranker(**params):
    return XRLinearClassifier(**{"random_state": 0, "beam_width": 4, **params})


def slow_ranking(scores, p, alpha, n_candidates, scale):
    """The candidates of a row with their new scores, best first, with loops."""
    best = sorted((-s, label) for label, s in scores.items())[:n_candidates]
    again = [
        (s / p[label] ** alpha if scale == "ratio" else s + alpha * np.log(p[label]), label)
        for s, label in best
    ]
    return [(label, -s) for s, label in sorted(again)]


@given(
    csr_matrices(scores_of_any_size, min_rows=1, min_columns=2),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([1, 3, None]),
    st.sampled_from(["ratio", "log"]),
)
def test_ranks_as_a_slow_search_does(scores, alpha, n_candidates, scale):
    n_labels = scores.shape[1]
    Y = sp.csr_matrix(np.tri(7, n_labels))
    X = sp.vstack([scores, sp.csr_matrix((7, n_labels), dtype=np.float32)], format="csr")
    fitted = PropensityReranker(Given(), alpha=alpha, n_candidates=n_candidates, scale=scale)
    fitted.fit(sp.csr_matrix(Y.shape, dtype=np.float32), Y)
    p = propensities(Y)
    assert_allclose(fitted.propensities_, p)
    labels, found = fitted.rank(X, n_labels + 1)
    for row in range(X.shape[0]):
        entries = slice(X.indptr[row], X.indptr[row + 1])
        reached = dict(zip(X.indices[entries].tolist(), X.data[entries].tolist(), strict=True))
        expected = slow_ranking(reached, fitted.propensities_, alpha, n_candidates, scale)
        n = len(expected)
        assert_array_equal(labels[row, :n], [label for label, _ in expected])
        assert_allclose(found[row, :n], [s for _, s in expected])
        assert (labels[row, n:] == -1).all()
        assert (found[row, n:] == -np.inf).all()


@pytest.mark.parametrize("post_processor", ["l3-hinge", "sigmoid", "log-sigmoid", "noop"])
def test_alpha_of_zero_changes_nothing(post_processor):
    X, Y = uneven()
    clf = ranker(post_processor=post_processor)
    fitted = PropensityReranker(clf, alpha=0, n_candidates=7).fit(X, Y)
    for found, expected in zip(fitted.rank(X, 7), clf.fit(X, Y).rank(X, 7), strict=True):
        assert_array_equal(found, expected)


def test_the_scale_follows_the_post_processor():
    X, Y = uneven()
    scales = {"l3-hinge": "ratio", "sigmoid": "ratio", "log-l2-hinge": "log", "noop": "log"}
    for post_processor, scale in scales.items():
        clf = ranker(post_processor=post_processor)
        for estimator in (clf, make_pipeline(clf), FrozenEstimator(clone(clf).fit(X, Y))):
            assert PropensityReranker(estimator).fit(X, Y).scale_ == scale
        calibrated = CalibratedRanker(clf, cv=2)
        assert PropensityReranker(calibrated).fit(X, Y).scale_ == "ratio"
    assert PropensityReranker(ranker(), scale="log").fit(X, Y).scale_ == "log"


def test_products_and_their_logarithms_are_ranked_alike():
    X, Y = uneven()
    product, log = (
        PropensityReranker(ranker(post_processor=name), alpha=1).fit(X, Y).rank(X, 5)[0]
        for name in ("l3-hinge", "log-l3-hinge")
    )
    assert (product == log).mean() > 0.99  # but for rounding


def test_finds_more_rare_labels():
    X, Y = uneven(2000)
    X_new, Y_new = uneven(seed=1)
    p = propensities(Y)
    calibrated = CalibratedRanker(ranker(), random_state=0)
    before, after = (
        psp_at_k(
            Y_new,
            PropensityReranker(calibrated, alpha=a).fit(X, Y).rank(X_new, 1),
            1,
            propensities=p,
        )
        for a in (0, 1)
    )
    assert after > before


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csr_matrix.toarray])
def test_outputs_are_in_the_container_of_y(container):
    X, Y = uneven()
    fitted = PropensityReranker(ranker(), n_candidates=3).fit(X, container(Y))
    assert type(fitted.predict(X)) is type(container(Y))
    scores = fitted.decision_function(X)
    assert type(scores) is type(container(Y))
    labels, best = fitted.rank(X, 1)
    dense = scores.toarray() if sp.issparse(scores) else scores
    assert_array_equal(dense.max(axis=1), best[:, 0])
    assert_array_equal(np.take_along_axis(dense, labels, axis=1), best)
    assert (np.count_nonzero(dense, axis=1) <= 3).all()


def test_thresholds_are_tuned_for_the_new_scores():
    X, Y = uneven()
    fitted = PropensityReranker(ranker()).fit(X, Y)
    best = tune_threshold(fitted, X, Y)
    predicted = fitted.set_params(threshold=best.threshold).predict(X)
    assert_allclose(2 * predicted.multiply(Y).sum() / (predicted.nnz + Y.nnz), best.score)


def test_weights_count_in_propensities():
    X, Y = uneven()
    weight = np.arange(X.shape[0]) % 3
    rows = np.repeat(np.arange(X.shape[0]), weight)
    weighted = PropensityReranker(Given()).fit(X, Y).propensities_
    assert_allclose(weighted, propensities(Y))
    weighted = PropensityReranker(ranker()).fit(X, Y, sample_weight=weight).propensities_
    assert_allclose(weighted, propensities(Y[rows]))


def test_frozen_estimators_pickles_and_searches():
    X, Y = uneven()
    frozen = PropensityReranker(FrozenEstimator(ranker().fit(X, Y))).fit(X, Y)
    fitted = PropensityReranker(ranker()).fit(X, Y)
    copy = pickle.loads(pickle.dumps(fitted))
    pipeline = make_pipeline("passthrough", PropensityReranker(ranker())).fit(X, Y)
    for other in (frozen, copy, pipeline[-1], clone(fitted).fit(X, Y)):
        for found, expected in zip(other.rank(X), fitted.rank(X), strict=True):
            assert_array_equal(found, expected)
    scoring = make_ranking_scorer(psp_at_k, k=1, propensities=propensities(Y))
    search = GridSearchCV(PropensityReranker(ranker()), {"alpha": [0, 1]}, cv=2, scoring=scoring)
    assert 0 < search.fit(X, Y).best_score_ <= 1


WRONG = {
    "alpha": ({"alpha": 1.5}, ValueError, "alpha must be at most 1"),
    "alpha below": ({"alpha": -1}, ValueError, "alpha must be finite and at least 0"),
    "A": ({"A": 0}, ValueError, "A must be finite and above 0"),
    "B": ({"B": "b"}, TypeError, "B must be a number"),
    "n_candidates": ({"n_candidates": 0}, ValueError, "n_candidates must be at least 1"),
    "scale": ({"scale": "linear"}, ValueError, "scale must be one of"),
    "threshold": ({"threshold": "auto"}, TypeError, "threshold must be a number"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_parameters_are_named(what):
    params, error, message = WRONG[what]
    with pytest.raises(error, match=message):
        PropensityReranker(ranker(), **params).fit(*uneven())


def test_negative_scores_and_too_few_rows_are_refused():
    X, Y = uneven()
    fitted = PropensityReranker(ranker(post_processor="noop"), scale="ratio").fit(X, Y)
    with pytest.raises(ValueError, match="scale must be 'log'"):
        fitted.rank(X)
    with pytest.raises(ValueError, match="at least 3 rows"):
        PropensityReranker(ranker()).fit(X[:2], Y[:2])


# ---- weights of any scale ----


@pytest.mark.parametrize("kind", ["equal", "counts", "any"])
def test_the_scale_of_weights_does_not_matter(kind):
    X, Y = uneven()
    rng = np.random.default_rng(0)
    weight = {
        "equal": np.ones(300),
        "counts": np.arange(300) % 3.0,
        "any": rng.random(300) * (rng.random(300) < 0.8),
    }[kind]
    frozen = FrozenEstimator(ranker().fit(X, Y))

    def found(weight):
        return PropensityReranker(frozen).fit(X, Y, sample_weight=weight).propensities_

    expected = found(weight)
    for scale in (1e-300, 1e-30, 1 / weight.sum(), 1 / weight.max(), 60.0, 1e30, 1e300):
        assert_allclose(found(scale * weight), expected, rtol=1e-9)
    single = weight.astype(np.float32)
    assert_allclose(found(single / single.sum()), expected, rtol=1e-5)
    if kind == "equal":
        assert_array_equal(found(np.full(300, 1 / 300, dtype=np.float32)), found(None))
    if kind == "any":  # as many rows as have a weight
        n, share = np.count_nonzero(weight), weight / weight.sum()
        assert_allclose(found(weight), propensities_of_counts(n * (Y.T @ share), n, 0.55, 1.5))


def test_too_few_rows_of_weight_are_refused():
    X, Y = uneven()
    weight = np.where(np.arange(300) < 2, 0.4, 0.0)
    with pytest.raises(ValueError, match="at least 3 rows"):
        PropensityReranker(ranker()).fit(X, Y, sample_weight=weight)


@pytest.mark.filterwarnings("ignore:X has no rows of")
@pytest.mark.parametrize("multilabel", [True, False])
def test_a_ranker_that_learned_labels_has_propensities_no_longer(multilabel):
    X, Y = uneven()
    y = Y if multilabel else np.array(list("bcdefghijk"))[np.arange(300) % 10]
    clf = ranker().fit(X, y)
    reranker = PropensityReranker(FrozenEstimator(make_pipeline("passthrough", clf))).fit(X, y)
    wider = sp.hstack([Y, Y[:, [0]]]).tocsr()
    y = wider if multilabel else np.where(np.arange(300) < 20, "a", y)
    clf.add_labels(X, y)
    for call in (
        lambda: reranker.rank(X),
        lambda: reranker.predict(X),
        lambda: reranker.decision_function(X),
        lambda: tune_threshold(reranker, X, Y),
    ):
        with pytest.raises(NotFittedError, match="fit again"):
            call()
    again = reranker.fit(X, y)
    assert len(again.propensities_) == len(again.classes_) == again.n_labels_ == 11
    assert again.decision_function(X).shape == (300, 11)
