"""Several trees that rank together, and training rows that vote."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from ._core import CSRView, Voters, combine, csr_transpose

#: Labels that each of several trees lists at least, lest what one tree ranks low count as nothing.
_LISTED = 50

#: Highest ranked labels whose rows are compared with a query, and how many rows that are at most.
_LOOKED_UP, _MOST_CANDIDATES = 20, 20_000


class Votes(NamedTuple):
    """Training rows that vote, and how their votes count.

    Attributes
    ----------
    voters : Voters
    n_neighbors : int
        How many of them vote on a query.
    power : float
        A vote counts this power of the similarity.
    weight : float
        Share of all votes in a score.
    """

    voters: Voters
    n_neighbors: int
    power: float
    weight: float


def make_voters(examples):
    """Make Voters of training examples, scaled to unit norm."""
    return _voters_of(*_rows_of(examples))


def join_voters(voters, examples):
    """Make Voters of some that are there and of more examples."""
    a, shape = voters.arrays, (voters.n_rows, voters.n_features)
    X = sp.csr_matrix((a["data"], a["indices"], a["indptr"]), shape=shape)
    ones = np.ones(len(a["labels"]), dtype=np.float32)
    shape = voters.n_rows, voters.n_labels
    Y = sp.csr_matrix((ones, a["labels"], a["label_ptr"]), shape=shape)
    more_X, more_Y, more_weight = _rows_of(examples)
    return _voters_of(
        sp.vstack((X, more_X), format="csr"),
        sp.vstack((Y, more_Y), format="csr"),
        np.concatenate((a["weight"], more_weight)),
    )


def _rows_of(examples):
    """Features of unit norm, labels and weights."""
    X, weight = normalize(examples.X[examples.source]), examples.weight
    return X, examples.Y, np.ones(X.shape[0], dtype=np.float32) if weight is None else weight


def _voters_of(X, Y, weight):
    carrier_ptr, carriers = csr_transpose(Y)
    return Voters(
        *(X.shape[1], Y.shape[1]),
        indptr=X.indptr.astype(np.int64),
        indices=X.indices.astype(np.int32, copy=False),
        data=X.data,
        label_ptr=Y.indptr.astype(np.int64),
        labels=Y.indices.astype(np.int32, copy=False),
        carrier_ptr=carrier_ptr,
        carriers=carriers,
        weight=weight,
    )


class Forest:
    """Ranks labels by the average of several trees' scores, mixed with the votes of neighbours.

    Takes the place of a single Model.

    Parameters
    ----------
    trees : sequence of Model
        Of the same labels and features.
    votes : Votes, optional
    """

    def __init__(self, trees, votes=None):
        self.trees = tuple(trees)
        self.votes = votes

    def __sizeof__(self):
        voters = 0 if self.votes is None else self.votes.voters.nbytes
        return super().__sizeof__() + voters + sum(tree.nbytes for tree in self.trees)

    @property
    def widest(self):
        """Number of nodes of the widest level: a beam that loses nothing."""
        return max(tree.widest for tree in self.trees)

    def largest_result(self, beam_width):
        """Bound how many labels one row's search can reach."""
        reached = sum(tree.largest_result(beam_width) for tree in self.trees)
        if self.votes is not None:
            most = int(np.diff(self.votes.voters.arrays["label_ptr"]).max(initial=0))
            reached += self.votes.n_neighbors * most
        return min(self.trees[0].n_labels, reached)

    def rank(self, view, lo, hi, *, k, beam_width, post_processor, floor=-np.inf, frontier=None):
        """Rank labels for the rows lo to hi of a checked matrix, as Model does."""
        options = {"beam_width": beam_width, "post_processor": post_processor, "frontier": frontier}
        n_listed = self._n_listed(k)
        lists = [tree.rank(view, lo, hi, k=n_listed, **options) for tree in self.trees]
        return self._combine(lists, view, lo, hi, k, floor)

    def row_ranker(self, k, beam_width, post_processor):
        """Return what ranks one row at a time with these options, which must be valid."""
        options = self._n_listed(k), beam_width, post_processor
        return _RowRanker(self, k, [tree.row_ranker(*options) for tree in self.trees])

    def known_row_ranker(self, k, beam_width, post_processor):
        """Return the same if all trees have ranked with these options before, else None."""
        options = self._n_listed(k), beam_width, post_processor
        rankers = [tree.known_row_ranker(*options) for tree in self.trees]
        return None if None in rankers else _RowRanker(self, k, rankers)

    def _n_listed(self, k):
        least = _LISTED if len(self.trees) > 1 else _LOOKED_UP
        return min(self.trees[0].n_labels, max(k, least))

    def _combine(self, lists, view, lo, hi, k, floor=-np.inf):
        labels, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
        n_labels, weight = self.trees[0].n_labels, 1 / len(lists)
        if self.votes is None:
            return combine(labels, scores, weight, k, n_labels, floor=floor)
        if len(lists) > 1:
            n_listed = lists[0][0].shape[1]
            labels, scores = combine(labels, scores, weight, n_listed, n_labels)
        voters, n_neighbors, power, share = self.votes
        best = np.ascontiguousarray(labels[:, :_LOOKED_UP])
        found = voters.neighbors(view, lo, hi, best, n_neighbors, _MOST_CANDIDATES)
        votes = voters, *found, power, share
        return combine(labels, scores, 1 - share, k, n_labels, floor=floor, votes=votes)


class _RowRanker:
    """Ranks one row at a time, as RowRanker does."""

    def __init__(self, forest, k, rankers):
        self._forest, self._k, self._rankers = forest, k, rankers
        self.n_features = rankers[0].n_features

    def sparse(self, indices, values):
        """Rank for a row's nonzeros, two contiguous one-dimensional arrays of equal length."""
        lists = [ranker.sparse(indices, values) for ranker in self._rankers]
        if lists[0] is None:
            return None
        row = CSRView.of_row(indices, values, self.n_features)
        return self._forest._combine(lists, row, 0, 1, self._k)

    def dense(self, row):
        """Rank for a dense row of float32."""
        row = row.ravel()
        indices = np.flatnonzero(row).astype(np.int32)
        return self.sparse(indices, row[indices])
