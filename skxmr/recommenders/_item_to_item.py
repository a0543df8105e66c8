"""Item-to-item collaborative filtering."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from .._core import CSRView, ItemModel, csr_top_k, indptr_of, pad_ranking
from .._ranking.batch import joined_rankings
from .._ranking.ranking import Ranking
from .._utils import parallel
from .._utils.estimators import change_lock, fitted_in_one_step
from .._utils.matrices import single_row
from .._utils.pairs import row_of_entries
from .._utils.params import check_boolean, check_integer, check_real
from ._base import BaseRecommender
from ._ids import check_kind, extended_ids, find_ids
from ._inputs import (
    binary,
    check_histories,
    check_users,
    latest_rows,
    recent_counts,
    whole_histories,
    with_united_users,
)
from ._relatedness import MEASURES, WEIGHTED, Counted
from ._reserve import BOUNDED, counted_with_reserve, updated
from ._symmetric import symmetric_related


def _check_relatedness(value, name):
    if not callable(value) and (not isinstance(value, str) or value not in MEASURES + WEIGHTED):
        expected = ", ".join(map(repr, MEASURES + WEIGHTED))
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
        # partial_fit sets this attribute before the first fit.
        is_first_part = vars(self).pop("_is_reserved", False)
        if is_first_part and training.users is not None and training.y is None:
            training = with_united_users(training)
            self.popularity_ = recent_counts(training)
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
        related, self._reserve = self._counted_anew(is_first_part)
        self._set_model(related)

    def partial_fit(self, X, y=None, *, users=None):
        """Add purchases to the histories, and relate the items again.

        The result equals that of `fit` with all purchases of each user in one row, to the last bit.
        In all calls, the first one as well, the rows of a user are united. An estimator that was
        changed by `partial_fit` keeps more than it ranks with: twice as many related items, all
        with their counts, in 16 further bytes per related item, and up to 64 MB for the counts of
        frequent items. The next call then counts only the pairs of items that the new purchases
        change, and those of items whose related items are not certain otherwise. It counts all
        pairs, and takes as long as `fit`,

        - if the last call was `fit`. Use `partial_fit` for the first purchases as well to avoid
          this. Folders of `skxmr.save` do not have the counts, but pickles do.
        - with the measures "log_likelihood", "tfidf" and "bm25", and a callable.
        - if there are many new purchases, another user has more than `max_history` items, or a
          parameter has changed.

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
            return self._first_fit(X, users)
        self._check_params()
        if self.ordered:
            raise ValueError("partial_fit needs ordered=False, got True")
        if not self._can_extend:
            raise ValueError("partial_fit needs a recommender that was fitted without y")
        with change_lock(self), fitted_in_one_step(self) as fresh:
            added = binary(check_histories(fresh, X, reset=False))
            known = fresh._users
            if (users is None) != (known is None):
                raise ValueError("users must be given in both fit and partial_fit, or in neither")
            if users is None:
                rows = np.arange(added.shape[0]) + fresh._histories.shape[0]
            else:
                rows = fresh._rows_of(check_users(users, added.shape[0]))
            fresh._extend(added, rows)
        return self

    def _first_fit(self, X, users):
        with change_lock(self), fitted_in_one_step(self) as fresh:
            fresh._is_reserved = True
            # The fit of a subclass may not take users.
            given = {} if users is None else {"users": users}
            fresh.fit(X, **given)
        return self

    def _rows_of(self, users):
        """Return the row of each user. New users come last, in the order of appearance."""
        known = self._users
        check_kind(users, known, "users")
        order = np.argsort(known, kind="stable")
        codes = find_ids(users, known[order], "users")
        is_new = codes < 0
        ids, first, numbers = np.unique(users[is_new], return_index=True, return_inverse=True)
        by_appearance = np.argsort(first)
        self._users = extended_ids(known, ids[by_appearance], "users")
        rows = np.empty(len(users), dtype=np.int64)
        rows[~is_new] = order[codes[~is_new]]
        rows[is_new] = len(known) + np.argsort(by_appearance)[numbers]
        return rows

    def _extend(self, added, rows):
        """Add purchases to the histories, and update the related items."""
        before = self._histories
        shape = (int(max(before.shape[0], rows.max(initial=-1) + 1)), self.n_labels_)
        indptr = np.pad(before.indptr, (0, shape[0] - before.shape[0]), mode="edge")
        before = sp.csr_matrix((before.data, before.indices, indptr), shape=shape)
        purchases = rows[row_of_entries(added)], added.indices
        new = sp.csr_matrix((added.data, purchases), shape=shape)
        new = binary(new - new.multiply(before))
        was_short = self._short()
        self._histories = before + new
        self.popularity_ = np.bincount(self._histories.indices, minlength=self.n_labels_).astype(
            np.float32
        )
        related = self._updated(new, was_short)
        if related is None:
            related, self._reserve = self._counted_anew(True)
        self._set_model(related)

    def __sklearn_is_fitted__(self):
        return "_model" in vars(self)

    def _short(self):
        """Return whether each user has at most max_history items."""
        lengths = np.diff(self._histories.indptr)
        if self._targets is not None:
            lengths = np.maximum(lengths, np.diff(self._targets.indptr))
        return lengths <= self.max_history

    def _counted_rows(self):
        """Return the histories and targets of users with at most max_history items."""
        short = self._short()
        self.n_left_out_ = int((~short).sum())
        rows = [self._histories, self._targets]
        if self.n_left_out_:
            rows = [matrix if matrix is None else matrix[short] for matrix in rows]
        return rows

    def _counted_anew(self, is_reserved):
        """Count all pairs.

        Returns
        -------
        related : Related
        reserve : Reserve or None
        """
        histories, targets = self._counted_rows()
        if is_reserved and self.relatedness in BOUNDED:
            return counted_with_reserve(Counted(histories, targets, self))
        related = symmetric_related(histories, self) if targets is None else None
        if related is None:
            related = Counted(histories, targets, self).related()
        return related, None

    def _updated(self, new, was_short):
        """Update the related items after new purchases.

        Returns
        -------
        related : Related or None
            None if all pairs must be counted again.
        """
        short = self._short()
        n_before = len(was_short)
        if self._reserve is None or (short[:n_before] != was_short).any():
            return None
        rows = row_of_entries(new)
        counts = short[rows]
        row_numbers = np.cumsum(short, dtype=np.int32) - 1
        purchases = row_numbers[rows[counts]], new.indices[counts].astype(np.int32)
        result = updated(self._reserve, Counted(*self._counted_rows(), self), *purchases)
        if result is None:
            return None
        related, self._reserve = result
        return related

    def _set_model(self, related):
        popular = self.popularity_
        order = np.lexsort((np.arange(len(popular)), -popular)).astype(np.int32)
        self._model = ItemModel(
            float(self.popularity) / max(1.0, float(popular.max(initial=0))),
            related_ptr=indptr_of(related.lengths),
            related=related.items,
            scores=related.scores,
            popular=popular,
            popular_order=order,
        )

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
        # If ordered, an item that is bought again is related to itself as well.
        rows = row_of_entries(matrix)
        is_other = matrix.indices != items[rows]
        entries = (matrix.data[is_other], (rows[is_other], matrix.indices[is_other]))
        matrix = sp.csr_matrix(entries, shape=matrix.shape)
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
        parts = parallel.run(
            _recommend,
            tasks,
            costs,
            n_jobs=self.n_jobs,
            what="rank",
            brief=True,
            shares_memory=True,
        )
        return parts[0] if len(parts) == 1 else joined_rankings(parts)

    def _dense_scores(self, X):
        scores = (X @ self._related_matrix()).toarray()
        if self._model.popular_weight:
            scores += np.float32(self._model.popular_weight) * self._model.arrays["popular"]
        return scores

    def _contributions(self, X, item):
        arrays = self._model.arrays
        begin = arrays["related_ptr"][X.indices]
        lengths = arrays["related_ptr"][X.indices + 1] - begin
        entry = np.repeat(np.arange(X.nnz), lengths)
        related = np.arange(len(entry)) + np.repeat(begin - indptr_of(lengths)[:-1], lengths)
        is_item = arrays["related"][related] == item
        parts = np.zeros(X.nnz)
        parts[entry[is_item]] = arrays["scores"][related[is_item]]
        parts *= X.data
        return parts, self._model.popular_weight * float(arrays["popular"][item])


def _recommend(model, view, begin, end, k, limits):
    return model.recommend(view, begin, end, k, **limits.of_rows(begin, end)._asdict())
