"""What all recommenders have in common."""

from abc import ABC, abstractmethod

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._core import CSRView, dense_top_k, pad_ranking
from .._ranking.batch import joined_rankings
from .._ranking.ranking import Ranking, library_of
from .._utils import parallel
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import pair_to_csr
from .._utils.pairs import row_of_entries
from .._utils.params import check_integer, check_n_jobs
from .._utils.weights import check_weight_ratios
from ..metrics import hit_rate_at_k
from ._inputs import (
    check_histories,
    check_targets,
    check_training,
    is_checked_row,
    recent_counts,
)
from ._limits import check_limits
from ._reasons import Reasons

#: Number of recommendations of `predict` and `score`.
N_RECOMMENDED = 6

#: Days before the last target whose purchases are recommended to rows without a history.
_RECENT_DAYS = 14.0

#: Dense scores in memory at once, per thread.
_BLOCK = 1 << 22

#: Most rows of a block, so that few rows are divided among threads as well.
_BLOCK_ROWS = 256


class BaseRecommender(ABC, BaseEstimator):
    """Base of the recommenders: a row is a user at a cutoff, the columns are items.

    Subclasses have the parameters `repeat` and `n_jobs`, the table `_checks` of the checks of their
    other parameters, and implement `_learn` and `_dense_scores`.

    Attributes
    ----------
    _checks : dict of str to callable
        For each parameter, a function of the value and the name that raises the exception.
    _keeps_ages : bool
        Whether ages are not replaced by ones, for estimators inside that need them.
    """

    _checks = {}
    _keeps_ages = False

    def fit(self, X, y=None, *, users=None, target_times=None):
        """Fit the recommender.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
            Histories: weights of at least 0, or the ages of :func:`temporal_examples`.
        y : {array-like, sparse matrix} of shape (n_samples, n_items), default=None
            1 for the items that the user of the row bought after the cutoff. If X and y are frames,
            they must have the same columns.
        users : array-like of shape (n_samples,), default=None
            User of each row. If the recommender learns from whole histories, only the last row of
            each user is used, which contains the earlier ones.
        target_times : sparse matrix of shape (n_samples, n_items), default=None
            Day of each entry of y, as of :func:`temporal_examples`. Then only recent purchases
            count as popular.

        Returns
        -------
        self : object
        """
        return self._fit(X, y, users, target_times)

    def _fit(self, X, y, users, target_times, cutoffs=None):
        self._check_params()
        with fitted_in_one_step(self) as fresh:
            training = check_training(fresh, X, y, users, target_times, cutoffs)
            fresh.n_labels_ = training.X.shape[1]
            names = getattr(fresh, "feature_names_in_", None)
            fresh.classes_ = np.arange(fresh.n_labels_) if names is None else names
            fresh.popularity_ = recent_counts(training, fresh._popular_days())
            fresh._learn(training)
        return self

    @abstractmethod
    def _learn(self, training):
        """Learn from checked input and set the fitted attributes."""

    @abstractmethod
    def _dense_scores(self, X):
        """Return the scores of all items for histories with a positive weight.

        Parameters
        ----------
        X : csr_matrix of float32
            Rows may be without positive weights. Their scores are not used.

        Returns
        -------
        scores : ndarray of float32, shape (n, n_items)
        """

    def _popular_days(self):
        """Return the number of days whose purchases count as popular, or None for all."""
        return _RECENT_DAYS

    def _check_params(self):
        for name, check in self._checks.items():
            check(getattr(self, name), name)
        check_n_jobs(self.n_jobs)
        if not isinstance(self.repeat, (bool, np.bool_)):
            raise TypeError(f"repeat must be True or False, got {self.repeat!r}")

    def _check_rows(self, X):
        check_is_fitted(self)
        if isinstance(X, tuple):
            X = pair_to_csr(X, self.n_features_in_)
        if not hasattr(self, "feature_names_in_") and is_checked_row(X, self.n_features_in_):
            return X
        return check_histories(self, X, reset=False)

    def rank(self, X, k=10, *, exclude="auto", candidates=None):
        """Rank the k best items for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items), or tuple
            Histories, as for `fit`. A tuple is a single row: a pair (indices, weights).
        k : int, default=10
            Number of items, at least 1. The ranking of fewer items is the beginning of the ranking
            of more.
        exclude : {"auto", "seen"}, sequence, sparse matrix or None, default="auto"
            Items that are not returned. "seen" stands for the entries of X, stored zeros as well. A
            sequence holds items that no row may have, by their numbers, or by their names if the
            recommender was fitted to a frame. A sparse matrix of the shape of X holds a set for
            each row. They do not include the entries of X. "auto" is None if `repeat` is True, and
            otherwise "seen".
        candidates : sequence or sparse matrix, default=None
            The only items that may be returned, in the same forms.

        Returns
        -------
        ranking : Ranking
            The pair ``(items, scores)`` of arrays of shape (n_samples, k), best first, ties by
            lower item, padded with -1 and -inf. Rows without positive weights are ranked by
            `popularity_`.
        """
        library = library_of(X)
        fresh, X = self._snapshot_of(X)
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        limits = check_limits(fresh, exclude, candidates, X.shape[0])
        ranking = pad_ranking(*fresh._rank(X, min(int(k), fresh.n_labels_), limits), int(k))
        return Ranking(*ranking, getattr(fresh, "feature_names_in_", None), library)

    @consistent
    def _snapshot_of(self, X):
        """Return a snapshot of the recommender, and the checked rows."""
        return self, self._check_rows(X)

    def _rank(self, X, k, limits):
        """Rank checked rows."""
        if X.shape[0] == 0:
            return np.empty((0, k), dtype=np.int32), np.empty((0, k), dtype=np.float32)
        n_rows, step = X.shape[0], _rows_of_block(self)
        n_blocks = -(-n_rows // step)
        n_parts = 4 * parallel.n_workers(self.n_jobs)
        tasks = [
            (self, X, CSRView(X), step * begin, min(n_rows, step * end), k, limits)
            for begin, end in parallel.ranges(n_blocks, n_parts)
        ]
        costs = [end - begin for _, _, _, begin, end, _, _ in tasks]
        parts = parallel.run(
            rank_rows, tasks, costs, n_jobs=self.n_jobs, what="rank", brief=True, shares_memory=True
        )
        return joined_rankings(parts)

    def _scores_to_rank(self, X, limits):
        """Return the scores of all items that `rank` takes the best of."""
        return self._scores_with_cold(X)

    def _scores_with_cold(self, X, *args):
        """Return dense scores, of rows without positive weights by popularity."""
        cold = cold_rows(X)
        if cold.all():
            return np.tile(self.popularity_, (X.shape[0], 1))
        scores = np.ascontiguousarray(self._dense_scores(X, *args), dtype=np.float32)
        scores[cold] = self.popularity_
        return scores

    @consistent
    def decision_function(self, X):
        """Return the scores of all items, those in the history as well.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)

        Returns
        -------
        scores : ndarray of float32, shape (n_samples, n_items)
        """
        return self._scores_with_cold(self._check_rows(X))

    def predict(self, X):
        """Recommend six items for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)

        Returns
        -------
        y : csr_matrix of int64, shape (n_samples, n_items)
            1 for the six items that `rank` returns first.
        """
        items, _ = self.rank(X, N_RECOMMENDED)
        rows, positions = np.nonzero(items >= 0)
        ones = np.ones(len(rows), dtype=np.int64)
        shape = (len(items), self.n_labels_)
        return sp.csr_matrix((ones, (rows, items[rows, positions])), shape=shape)

    def score(self, X, y, sample_weight=None):
        """Return the hit rate at 6.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
        y : {array-like, sparse matrix} of shape (n_samples, n_items)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            Fraction of the rows of which at least one of six recommendations is a target.
        """
        ranking = self.rank(X, N_RECOMMENDED)
        truth = check_targets(self, y, len(ranking.labels), self.n_labels_)
        if sample_weight is not None:
            sample_weight = check_weight_ratios(sample_weight, len(ranking.labels))
        return hit_rate_at_k(truth, ranking, N_RECOMMENDED, sample_weight=sample_weight)

    @consistent
    def explain(self, X, item):
        """Explain the score of an item for one row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (1, n_items), or tuple
        item : int

        Returns
        -------
        reasons : Reasons
            The contribution of each item of the history to the score.

        Raises
        ------
        TypeError
            If the scores of the recommender are not sums over the history.
        """
        X = self._check_rows(X)
        if X.shape[0] != 1:
            raise ValueError(f"X must have one row, got {X.shape[0]}")
        check_integer(item, "item", 0, self.n_labels_ - 1)
        if cold_rows(X)[0]:
            empty = np.empty(0, dtype=np.int32)
            return Reasons(int(item), float(self.popularity_[item]), empty, empty * 1.0, True)
        contributions, base = self._contributions(X, int(item))
        order = np.argsort(-contributions, kind="stable")
        total = float(contributions.sum() + base)
        return Reasons(int(item), total, X.indices[order], contributions[order], False, base)

    def _contributions(self, X, item):
        """Return the contribution of each entry of a row, and the rest of the score."""
        raise TypeError(
            f"the scores of {type(self).__name__} are not sums over the history, so that explain "
            "has no contributions"
        )

    def is_cold(self, X):
        """Return whether each row has no positive weight, so that `popularity_` ranks its items.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)

        Returns
        -------
        is_cold : ndarray of bool, shape (n_samples,)
        """
        return cold_rows(self._check_rows(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags


def cold_rows(X):
    """Return whether each row of a CSR matrix has no positive value."""
    return np.bincount(row_of_entries(X)[X.data > 0], minlength=X.shape[0]) == 0


def _rows_of_block(recommender):
    """Return the number of rows whose dense scores are computed at once.

    The last bits of a product of matrices depend on it, so that it is the same for every n_jobs.
    """
    return max(1, min(_BLOCK // recommender.n_labels_, _BLOCK_ROWS))


def rank_rows(recommender, X, view, begin, end, k, limits):
    """Rank the items of some rows, a block of dense scores at a time."""
    step = _rows_of_block(recommender)
    parts = []
    for first in range(begin, end, step):
        last = min(end, first + step)
        own = limits.of_rows(first, last)
        scores = recommender._scores_to_rank(X[first:last], own)
        parts.append(dense_top_k(scores, view, first, k, **own._asdict()))
    return joined_rankings(parts)
