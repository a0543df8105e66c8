"""Item-to-item collaborative filtering."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from .._core import (
    CSRView,
    Expectation,
    ItemModel,
    Purchases,
    cooccurrences,
    csr_top_k,
    csr_transpose,
    find_related,
    indptr_of,
    pad_ranking,
)
from .._ranking.batch import joined_rankings
from .._ranking.ranking import Ranking
from .._utils import parallel
from .._utils.estimators import change_lock, fitted_in_one_step
from .._utils.matrices import single_row
from .._utils.pairs import row_of_entries
from .._utils.params import check_boolean, check_integer, check_real
from ._base import BaseRecommender
from ._inputs import binary, check_histories, check_users, latest_rows, whole_histories

#: Targets counted by one task, unless a single item has more.
_TASK_TARGETS = 1 << 24

#: Measures of weighted rows, and those of counts.
_WEIGHTED = ("tfidf", "bm25")
_MEASURES = ("corrected", "difference", "cosine", "jaccard", "lift", "log_likelihood")

#: Parameters of BM25, as customary.
_BM25_K1, _BM25_B = 1.2, 0.75


def _check_relatedness(value, name):
    if not callable(value) and (not isinstance(value, str) or value not in _MEASURES + _WEIGHTED):
        expected = ", ".join(map(repr, _MEASURES + _WEIGHTED))
        raise ValueError(f"{name} must be a callable or one of {expected}, got {value!r:.80}")


class ItemToItemRecommender(BaseRecommender):
    r"""Recommend items related to those of the history.

    For each item, the most related other items are found from the histories of its buyers. The
    score of an item is the sum, over the history, of the weights in X times the relatedness.

    Parameters
    ----------
    relatedness : str or callable, default="corrected"
        Measure of the relatedness of item b to item a. N is the number of users of both, n and m
        those of a and of b, and R that of all users.

        - "corrected": :math:`(N - E) / \sqrt{E + s}`, with the number E of buyers of a that are
          expected to buy b, and the shrinkage s. A buyer with c other purchases is expected to have
          b with the probability :math:`1 - (1 - P)^c`, and P is the share of b in all purchases
          [2]_.
        - "difference": :math:`N / n - m / R`, the difference of the probabilities of buyers of a
          and of all users [1]_.
        - "cosine": :math:`N / \sqrt{n m}`.
        - "jaccard": :math:`N / (n + m - N)`.
        - "lift": :math:`N R / (n m)`.
        - "log_likelihood": the :math:`G^2` statistic of pairs that occur together more often than
          expected [3]_.
        - "tfidf", "bm25": cosine or product of columns whose entries have the weights of these
          names; users with many items have a low weight.
        - A callable takes arrays of N, n and m, and R, and returns the scores.

        Items with a score of 0 or less are not related.
    shrinkage : float, default=20
        s of the corrected measure; 0 as published. Other measures are multiplied by N / (N + s).
        Larger values prefer pairs with much support.
    n_related : int, default=200
        Number of related items that are kept for each item.
    min_support : int, default=1
        Fewest users of both items.
    popularity : float, default=0
        Weight of `popularity_`, divided by its maximum, in the scores. If it is 0, only related
        items are recommended.
    max_history : int, default=10000
        Users with more items are left out of the counts, as the time grows with the square of the
        length of a history.
    ordered : bool, default=False
        Whether to relate the items of X to those of y instead of those within a history, X and y
        together.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it.

    Attributes
    ----------
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Purchases of the last 14 days, if fit had `target_times`; otherwise all targets, or all
        histories if there was no y. It ranks the items of rows without a history.
    n_left_out_ : int
        Number of users with more than `max_history` items.

    References
    ----------
    .. [1] G. Linden, B. Smith, J. York, "Amazon.com recommendations: item-to-item collaborative
       filtering", IEEE Internet Computing 7(1), 2003.
    .. [2] B. Smith, G. Linden, "Two decades of recommender systems at Amazon.com", IEEE Internet
       Computing 21(3), 2017.
    .. [3] T. Dunning, "Accurate methods for the statistics of surprise and coincidence",
       Computational Linguistics 19(1), 1993.

    Examples
    --------
    >>> from skxmr.recommenders import ItemToItemRecommender
    >>> X = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    >>> recommender = ItemToItemRecommender(shrinkage=1).fit(X)
    >>> recommender.rank([[1, 0, 0, 0], [0, 0, 0, 1]], k=1).labels
    array([[1],
           [2]], dtype=int32)
    >>> recommender.related([0], k=2).labels
    array([[1, 2]], dtype=int32)
    """

    _checks = {
        "relatedness": _check_relatedness,
        "shrinkage": lambda value, name: check_real(value, name, 0),
        "n_related": lambda value, name: check_integer(value, name, 1, 2**31 - 1),
        "min_support": lambda value, name: check_integer(value, name, 1),
        "popularity": lambda value, name: check_real(value, name, 0),
        "max_history": lambda value, name: check_integer(value, name, 1),
        "ordered": check_boolean,
    }

    def __init__(
        self,
        relatedness="corrected",
        *,
        shrinkage=20.0,
        n_related=200,
        min_support=1,
        popularity=0.0,
        max_history=10000,
        ordered=False,
        repeat=False,
        n_jobs=None,
    ):
        self.relatedness = relatedness
        self.shrinkage = shrinkage
        self.n_related = n_related
        self.min_support = min_support
        self.popularity = popularity
        self.max_history = max_history
        self.ordered = ordered
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        if self.ordered:
            if training.y is None:
                raise ValueError("y must be given if ordered=True, got None")
            self._histories = binary(training.X)
            self._targets = training.y
        else:
            self._histories = binary(whole_histories(training))
            self._targets = None
        self._users = None
        if training.users is not None:
            self._users = np.asarray(training.users)[latest_rows(training)]
        self._can_extend = training.y is None
        self._relate()

    def partial_fit(self, X, y=None, *, users=None):
        """Add purchases to the histories, and relate the items again.

        The result equals that of `fit` with all purchases, to the last bit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
            New purchases. Only the entries above 0 count.
        y : None
            Ignored.
        users : array-like of shape (n_samples,), default=None
            User of each row; purchases are added to the rows of users that are known from `fit` or
            earlier calls. None: all rows are new users. If given here, it must be given in `fit`.

        Returns
        -------
        self : ItemToItemRecommender

        Raises
        ------
        ValueError
            If the recommender was fitted with y, of which the windows do not grow.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X) if users is None else self.fit(X, users=users)
        self._check_params()
        if not self._can_extend:
            raise ValueError("partial_fit needs a recommender that was fitted without y")
        with change_lock(self), fitted_in_one_step(self) as fresh:
            added = binary(check_histories(fresh, X, reset=False))
            known = fresh._users
            if (users is None) != (known is None):
                raise ValueError("users must be given in both fit and partial_fit, or in neither")
            if users is None:
                fresh._histories = sp.vstack([fresh._histories, added], format="csr")
            else:
                fresh._add_to_users(added, check_users(users, added.shape[0]))
            fresh.popularity_ = np.bincount(
                fresh._histories.indices, minlength=fresh.n_labels_
            ).astype(np.float32)
            fresh._relate()
        return self

    def _add_to_users(self, added, users):
        """Add rows to those of their users. New users come last, in the order of appearance."""
        new, first = np.unique(users[~np.isin(users, self._users)], return_index=True)
        self._users = np.concatenate([self._users, new[np.argsort(first)]])
        order = np.argsort(self._users, kind="stable")
        rows = order[np.searchsorted(self._users, users, sorter=order)]
        shape = (len(self._users), added.shape[1])
        entries = sp.csr_matrix(
            (added.data, (rows[row_of_entries(added)], added.indices)), shape=shape
        )
        before = self._histories.copy()
        before.resize(shape)
        self._histories = binary(before + entries)

    def __sklearn_is_fitted__(self):
        return "_model" in vars(self)

    def _relate(self):
        """Find the related items of all items."""
        histories, targets = self._short_rows()
        counted = _Counted(histories, targets, self.relatedness)
        lengths, related, scores = counted.related(self)
        popular = self.popularity_
        order = np.lexsort((np.arange(len(popular)), -popular)).astype(np.int32)
        self._model = ItemModel(
            float(self.popularity) / max(1.0, float(popular.max(initial=0))),
            related_ptr=indptr_of(lengths),
            related=related,
            scores=scores,
            popular=popular,
            popular_order=order,
        )

    def _short_rows(self):
        """Return the histories and targets of users with at most max_history items."""
        lengths = np.diff(self._histories.indptr)
        if self._targets is not None:
            lengths = np.maximum(lengths, np.diff(self._targets.indptr))
        short = lengths <= self.max_history
        self.n_left_out_ = int((~short).sum())
        if not self.n_left_out_:
            return self._histories, self._targets
        targets = None if self._targets is None else self._targets[short]
        return self._histories[short], targets

    def related(self, items, k=10):
        """Return the items most related to each of some items.

        Parameters
        ----------
        items : array-like of int, shape (n,)
        k : int, default=10

        Returns
        -------
        ranking : Ranking
            The pair ``(items, scores)`` of arrays of shape (n, k), padded with -1 and -inf. An item
            is not related to itself.
        """
        fresh, items = self._checked_items(items, k)
        matrix = fresh._related_matrix()[items]
        matrix.sort_indices()
        ranking = pad_ranking(*csr_top_k(matrix, min(int(k), fresh.n_labels_)), int(k))
        return Ranking(*ranking, getattr(fresh, "feature_names_in_", None))

    def _related_matrix(self):
        """Return the relatedness of the kept items, with a row for each item."""
        arrays = self._model.arrays
        parts = (arrays["scores"], arrays["related"], arrays["related_ptr"])
        return sp.csr_matrix(parts, shape=(self.n_labels_, self.n_labels_))

    def _checked_items(self, items, k):
        check_is_fitted(self)
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        items = np.atleast_1d(np.asarray(items))
        if items.ndim != 1 or (items.size and items.dtype.kind not in "iu"):
            raise TypeError(f"items must be one-dimensional integers, got {items.dtype}")
        if items.size and not 0 <= items.min() <= items.max() < self.n_labels_:
            wrong = items[(items < 0) | (items >= self.n_labels_)][0]
            raise ValueError(f"items must lie in [0, {self.n_labels_}), got {wrong}")
        return self, items.astype(np.int64)

    def rank(self, X, k=10, *, exclude="auto", candidates=None):
        if candidates is None and type(exclude) is str:
            ranking = self._rank_one(X, k, exclude)
            if ranking is not None:
                return ranking
        return super().rank(X, k, exclude=exclude, candidates=candidates)

    rank.__doc__ = BaseRecommender.rank.__doc__

    def _rank_one(self, X, k, exclude):
        """Rank a single row if it needs no more checks than C makes. Otherwise return None."""
        attributes = self.__dict__
        if "_model" not in attributes or "feature_names_in_" in attributes or type(k) is not int:
            return None
        n_items = self.n_labels_
        if not 1 <= k <= n_items or exclude not in ("auto", "seen"):
            return None
        row = single_row(X, n_items)
        if type(row) is not tuple:  # the type AgeMatrix is left to the slow path as well
            return None
        indices, values = row
        ranking = self._model.recommend_row(
            indices, values, k, exclude == "seen" or not self.repeat
        )
        return None if ranking is None else Ranking._make(ranking)

    def _rank(self, X, k, limits):
        view = CSRView(X)
        ranges = parallel.ranges(X.shape[0], 4 * parallel.n_workers(self.n_jobs))
        if not ranges:
            return super()._rank(X, k, limits)
        tasks = [(self._model, view, begin, end, k, limits) for begin, end in ranges]
        costs = [int(view.indptr[end] - view.indptr[begin]) + 1 for begin, end in ranges]
        parts = parallel.run(_recommend, tasks, costs, n_jobs=self.n_jobs, what="rank", brief=True)
        return parts[0] if len(parts) == 1 else joined_rankings(parts)

    def _dense_scores(self, X):
        scores = (X @ self._related_matrix()).toarray()
        if self.popularity:
            scores += np.float32(self._model.popular_weight) * self._model.arrays["popular"]
        return scores

    def _contributions(self, X, item):
        arrays = self._model.arrays
        parts = np.zeros(X.nnz)
        for i, (bought, weight) in enumerate(zip(X.indices, X.data, strict=True)):
            begin, end = arrays["related_ptr"][bought : bought + 2]
            found = np.flatnonzero(arrays["related"][begin:end] == item)
            if len(found):
                parts[i] = float(weight) * float(arrays["scores"][begin + found[0]])
        return parts, self._model.popular_weight * float(arrays["popular"][item])


def _recommend(model, view, begin, end, k, limits):
    return model.recommend(view, begin, end, k, **limits.of_rows(begin, end)._asdict())


class _Counted:
    """Histories that pairs of items are counted in.

    Parameters
    ----------
    histories : csr_matrix
    targets : csr_matrix or None
        None: an item is followed by the others of its history.
    relatedness : str or callable
    """

    def __init__(self, histories, targets, relatedness):
        self.relatedness = relatedness
        followers = histories if targets is None else targets
        row_ptr, rows = csr_transpose(histories)
        target_ptr = followers.indptr.astype(np.int64)
        indices = np.ascontiguousarray(followers.indices, dtype=np.int32)
        weights = {}
        if relatedness in _WEIGHTED:
            row_weight, factor = _weights(histories, relatedness)
            weights = {"row_weight": row_weight, "factor": factor}
        self.purchases = Purchases(
            row_ptr, rows, target_ptr, indices, same=targets is None, **weights
        )
        self.expectation = None
        if relatedness == "corrected":
            others = np.diff(target_ptr) - (1 if targets is None else 0)
            self.expectation = Expectation(np.maximum(others, 0), self.purchases)

    def related(self, recommender):
        """Return the number of related items of each item, the items and their scores."""
        n_items = self.purchases.n_items
        before = indptr_of(self.purchases.costs() + 1)
        n_parts = max(4 * parallel.n_workers(recommender.n_jobs), int(before[-1] // _TASK_TARGETS))
        inner = np.searchsorted(before, before[-1] * np.arange(1, n_parts) / n_parts)
        edges = np.unique(np.concatenate(([0], inner, [n_items]))).tolist()
        ranges = list(pairwise(edges))
        task = _call_measure if callable(self.relatedness) else _find_range
        tasks = [(self, begin, end, recommender) for begin, end in ranges]
        costs = [int(before[end] - before[begin]) for begin, end in ranges]
        parts = parallel.run(task, tasks, costs, n_jobs=recommender.n_jobs, what="relate")
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _find_range(counted, begin, end, recommender):
    measure = recommender.relatedness
    return find_related(
        counted.purchases,
        counted.expectation,
        np.arange(begin, end, dtype=np.int32),
        "weighted" if measure in _WEIGHTED else measure,
        float(recommender.shrinkage),
        int(min(recommender.n_related, counted.purchases.n_items)),
        int(recommender.min_support),
    )


def _call_measure(counted, begin, end, recommender):
    """Score pairs by a callable."""
    purchases = counted.purchases
    parts = []
    for item in range(begin, end):
        counts = cooccurrences(purchases, item, item + 1)
        counts.sort_indices()
        both = counts.data.astype(np.float64)
        with_item = np.full(len(both), float(purchases.n_with[item]))
        with_other = purchases.n_followers[counts.indices].astype(np.float64)
        scores = np.asarray(recommender.relatedness(both, with_item, with_other, purchases.n_rows))
        if scores.shape != both.shape or scores.dtype.kind not in "iuf":
            raise ValueError(
                f"relatedness must return an array of {both.shape} numbers, got {scores!r:.80}"
            )
        if not np.isfinite(scores).all():
            raise ValueError("relatedness must return finite scores")
        if recommender.shrinkage:
            scores = scores * (both / (both + recommender.shrinkage))
        kept = (scores > 0) & (both >= recommender.min_support)
        order = np.lexsort((counts.indices[kept], -scores[kept].astype(np.float32)))
        order = order[: recommender.n_related]
        parts.append((counts.indices[kept][order], scores[kept][order].astype(np.float32)))
    lengths = np.array([len(items) for items, _ in parts], dtype=np.int64)
    items, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return lengths, items.astype(np.int32), scores


def _weights(histories, relatedness):
    """Return the weight of each row and the factor of each item."""
    n_items = histories.shape[1]
    lengths = np.diff(histories.indptr)
    idf = np.log(n_items) - np.log1p(lengths)
    row_weight = (idf * idf).astype(np.float32)
    rows = row_of_entries(histories)
    counts = np.bincount(histories.indices, minlength=n_items).astype(np.float64)
    if relatedness == "tfidf":
        squares = np.bincount(
            histories.indices, row_weight[rows].astype(np.float64), minlength=n_items
        )
        factor = 1 / np.sqrt(np.where(squares > 0, squares, 1))
    else:
        average = max(counts.mean(), 1e-300)
        length = 1 - _BM25_B + _BM25_B * counts / average
        factor = (_BM25_K1 + 1) / (_BM25_K1 * length + 1)
    return row_weight, factor.astype(np.float32)
