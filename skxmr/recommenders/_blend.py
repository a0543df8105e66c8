"""Weighted sums of several rankers."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition

from .._utils.params import check_integer
from ._base import BaseRecommender, cold_rows
from ._blend_tuning import HeldOutCandidates, tuned_weights
from ._cutoff_split import CutoffSplit
from ._prior import check_days
from ._wrapping import fit_estimator, scores_of

#: Scores of held-out rows in memory at once.
_BLOCK = 1 << 24


class BlendedRecommender(_BaseComposition, BaseRecommender):
    """Recommend by a weighted sum of the scores of several rankers.

    The scores of each ranker are scaled for each row, so that its lowest score is 0 and its highest
    is 1. Items that a ranker does not rank have 0.

    Parameters
    ----------
    estimators : list of tuple (str, estimator)
        Names, and recommenders or other estimators that rank. They are cloned, and get X as it is.
    weights : sequence of float or "tuned", default=None
        Weight of each ranker, at least 0. None: equal weights. "tuned": the weights with the best
        hit rate at 6 in held-out windows. The search begins with the best ranker alone, and changes
        a weight only if the gain is larger than its standard error. Fit then needs y and `cutoffs`.
    n_held_out : int, default=2
        Number of latest windows for the search. The rankers are fitted once for each of them, to
        the windows that were closed before, and at last to all rows.
    horizon : str, number or timedelta, default="14D"
        Length of the windows, for the search. A number is days.
    n_candidates : int, default=500
        Number of best items of an estimator that searches.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads.

    Attributes
    ----------
    estimators_ : list of estimator
        Fitted.
    weights_ : ndarray of float64, shape (n_estimators,)
        Weights in use.
    hit_rates_ : ndarray of float64, shape (n_estimators + 1,)
        If the weights were tuned, the held-out hit rates of the rankers and of the blend.
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    Examples
    --------
    >>> from skxmr.recommenders import (
    ...     BlendedRecommender, ItemToItemRecommender, MostPopularRecommender
    ... )
    >>> X = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0]]
    >>> rankers = [("popular", MostPopularRecommender()), ("items", ItemToItemRecommender())]
    >>> blend = BlendedRecommender(rankers, weights=[1, 2]).fit(X)
    >>> blend.rank([[0, 0, 0, 1]], k=2).labels
    array([[2, 0]], dtype=int32)
    """

    _keeps_ages = True
    _checks = {
        "n_held_out": lambda value, name: check_integer(value, name, 1),
        "horizon": check_days,
        "n_candidates": lambda value, name: check_integer(value, name, 1),
    }

    def __init__(
        self,
        estimators,
        *,
        weights=None,
        n_held_out=2,
        horizon="14D",
        n_candidates=500,
        repeat=False,
        n_jobs=None,
    ):
        self.estimators = estimators
        self.weights = weights
        self.n_held_out = n_held_out
        self.horizon = horizon
        self.n_candidates = n_candidates
        self.repeat = repeat
        self.n_jobs = n_jobs

    def get_params(self, deep=True):
        """Return the parameters, those of the estimators by name.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        params : dict
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params):
        """Set parameters, or estimators by name.

        Parameters
        ----------
        **params : object

        Returns
        -------
        self : BlendedRecommender
        """
        self._set_params("estimators", **params)
        return self

    def fit(self, X, y=None, *, users=None, target_times=None, cutoffs=None):
        """Fit the rankers, and search for the weights if they are to be tuned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
            Histories: weights of at least 0, or the ages of :func:`temporal_examples`.
        y : {array-like, sparse matrix} of shape (n_samples, n_items), default=None
            1 for the items that the user of the row bought after the cutoff. If X and y are frames,
            they must have the same columns.
        users : array-like of shape (n_samples,), default=None
            User of each row.
        target_times : sparse matrix of shape (n_samples, n_items), default=None
            Day of each entry of y, as of :func:`temporal_examples`.
        cutoffs : array-like of datetimes, shape (n_samples,), default=None
            Cutoff of each row, for ``weights="tuned"``. Numbers are seconds since 1970.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, users, target_times, cutoffs)

    def _learn(self, training):
        names = self._checked_names()
        self._validate_names(names)
        if isinstance(self.weights, str):
            self._tune(training)
        else:
            self.weights_ = self._checked_weights()
        self.estimators_ = self._fitted_parts(training)

    def _fitted_parts(self, training):
        return [
            fit_estimator(clone(estimator), training, training.y)
            for _, estimator in self.estimators
        ]

    def _tune(self, training):
        """Set the weights to those with the best hit rate in held-out windows."""
        if self.weights != "tuned":
            raise ValueError(f"weights must be numbers, None or 'tuned', got {self.weights!r:.80}")
        for name, value in (("y", training.y), ("cutoffs", training.cutoffs)):
            if value is None:
                raise ValueError(f"{name} must be given if weights='tuned', got None")
        splitter = CutoffSplit(self.n_held_out, horizon=self.horizon)
        parts = []
        for train, test in splitter.split(training.X, training.y, training.cutoffs):
            fitted = self._fitted_parts(training.take(train))
            test = test[~cold_rows(training.X[test])]
            step = max(1, _BLOCK // (len(fitted) * training.X.shape[1]))
            for rows in np.split(test, range(step, len(test), step)):
                parts.append(self._held_out(fitted, training.X[rows], training.y[rows]))
        self.weights_, alone, blend = tuned_weights(parts)
        self.hit_rates_ = np.append(alone, blend)

    def _held_out(self, fitted, X, y):
        scores = [_scaled(self._scores_of(estimator, X)) for estimator in fitted]
        return HeldOutCandidates(np.stack(scores), X, y, self.repeat)

    def _scores_of(self, estimator, X):
        return scores_of(estimator, X, X.shape[1], int(self.n_candidates))

    def _checked_names(self):
        is_list = isinstance(self.estimators, (list, tuple)) and len(self.estimators) > 0
        if not is_list or not all(
            isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[1], "fit")
            for pair in self.estimators
        ):
            raise TypeError(
                "estimators must be a list of at least one pair (name, estimator), "
                f"got {self.estimators!r:.80}"
            )
        return [name for name, _ in self.estimators]

    def _checked_weights(self):
        if self.weights is None:
            return np.ones(len(self.estimators))
        weights = np.asarray(self.weights, dtype=np.float64)
        is_valid = weights.shape == (len(self.estimators),) and np.isfinite(weights).all()
        if not is_valid or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"weights must be {len(self.estimators)} numbers of at least 0, not all 0, "
                f"got {self.weights!r:.80}"
            )
        return weights

    def _dense_scores(self, X):
        total = np.zeros(X.shape, dtype=np.float32)
        for weight, estimator in zip(self.weights_, self.estimators_, strict=True):
            if weight:
                total += np.float32(weight) * _scaled(self._scores_of(estimator, X))
        return total


def _scaled(scores):
    """Scale the finite scores of each row to [0, 1]; others become 0."""
    ranked = np.isfinite(scores)
    least = np.where(ranked, scores, np.inf).min(axis=1, keepdims=True)
    most = np.where(ranked, scores, -np.inf).max(axis=1, keepdims=True)
    has_ranked = np.isfinite(least)
    least = np.where(has_ranked, least, 0)
    span = np.where(has_ranked, most, 0) - least
    scaled = (np.where(ranked, scores, least) - least) / np.where(span > 0, span, 1)
    return scaled.astype(np.float32)
