"""Weighted sums of several rankers."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition

from .._utils.params import check_integer
from ._base import BaseRecommender
from ._wrapping import fit_estimator, scores_of


class BlendedRecommender(_BaseComposition, BaseRecommender):
    """Recommend by a weighted sum of the scores of several rankers.

    The scores of each ranker are scaled for each row, so that its lowest score is 0 and its highest
    is 1. Items that a ranker does not rank have 0.

    Parameters
    ----------
    estimators : list of tuple (str, estimator)
        Names, and recommenders or other estimators that rank. They are cloned, and get X as it is.
    weights : sequence of float, default=None
        Weight of each ranker, at least 0. None: equal weights. Tune them with
        :class:`~sklearn.model_selection.GridSearchCV` and :class:`CutoffSplit`.
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
    _checks = {"n_candidates": lambda value, name: check_integer(value, name, 1)}

    def __init__(self, estimators, *, weights=None, n_candidates=500, repeat=False, n_jobs=None):
        self.estimators = estimators
        self.weights = weights
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

    def _learn(self, training):
        names = self._checked_names()
        self._validate_names(names)
        self._checked_weights()
        self.estimators_ = [
            fit_estimator(clone(estimator), training, training.y)
            for _, estimator in self.estimators
        ]

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
        for weight, estimator in zip(self._checked_weights(), self.estimators_, strict=True):
            if weight:
                scores = scores_of(estimator, X, self.n_labels_, int(self.n_candidates))
                total += np.float32(weight) * _scaled(scores)
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
