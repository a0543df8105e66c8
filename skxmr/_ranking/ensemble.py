"""Ranking with several trees and with nearest neighbors among the training rows."""

import math
from typing import NamedTuple

import numpy as np

from .._core import PRODUCTS, NeighborRows, RowCombiner, SingleRowRankerCache, combine

#: Labels that each of several trees ranks first, and whose scores are added up.
N_SUMMED_LABELS = 50

#: Highest ranked labels whose rows are compared with a query, and how many rows that are at most.
#: Rankings of held-out rows were as good as with 5,000, and better than with 1,000.
N_NEIGHBOR_LABELS, _MOST_CANDIDATES = 20, 2000

#: Trees keep at least this weight, so that they order the labels that no neighbor has.
_LEAST_WEIGHT = 2.0**-40


class NeighborWeighting(NamedTuple):
    """Settings of the nearest neighbors.

    Attributes
    ----------
    n_neighbors : int
        Number of nearest training rows whose labels contribute to a score.
    power : float
        A neighbor counts by its similarity to this power.
    weight : float
        Weight of all neighbors in a score.
    """

    n_neighbors: int
    power: float
    weight: float


class WeightedNeighbors(NamedTuple):
    """Training rows among which neighbors are found, and the settings.

    Attributes
    ----------
    rows : NeighborRows
    weighting : NeighborWeighting
    """

    rows: NeighborRows
    weighting: NeighborWeighting


class TreeEnsemble(SingleRowRankerCache):
    """Ranks labels by the average score of several trees and by nearest neighbors.

    It is used in place of a single Model. Contributions to a label's score are added up for labels
    that are ranked high: among the first N_SUMMED_LABELS of each tree, and, if there are neighbors,
    among the first N_SUMMED_LABELS of the average (of one tree: N_NEIGHBOR_LABELS). For a label
    that a tree ranks lower, the tree's contribution replaces the sum if it is larger. Therefore a
    score depends on the row only, and a few labels of each tree suffice to rank.

    Parameters
    ----------
    trees : sequence of Model
        Of the same labels and features.
    neighbors : WeightedNeighbors, optional
    """

    def __init__(self, trees, neighbors=None):
        self.trees = tuple(trees)
        self.neighbors = neighbors
        super().__init__()

    def __sizeof__(self):
        held = 0 if self.neighbors is None else self.neighbors.rows.nbytes
        return super().__sizeof__() + held + sum(tree.nbytes for tree in self.trees)

    @property
    def max_level_width(self):
        """Number of nodes of the widest level: a beam that loses nothing."""
        return max(tree.max_level_width for tree in self.trees)

    @property
    def n_labels(self):
        """Number of labels."""
        return self.trees[0].n_labels

    @property
    def tree_weight(self):
        """What the scores of each tree are multiplied by."""
        weight = 0.0 if self.neighbors is None else self.neighbors.weighting.weight
        return max(1.0 - weight, _LEAST_WEIGHT) / len(self.trees)

    @property
    def n_head(self):
        """Labels that the trees rank first, whose scores are added to those of the neighbors."""
        return N_SUMMED_LABELS if len(self.trees) > 1 else N_NEIGHBOR_LABELS

    def max_results(self, beam_width):
        """Bound how many labels one row's search can reach."""
        reached = sum(tree.max_results(beam_width) for tree in self.trees)
        if self.neighbors is not None:
            most = int(np.diff(self.neighbors.rows.arrays["label_ptr"]).max(initial=0))
            reached += self.neighbors.weighting.n_neighbors * most
        return min(self.n_labels, reached)

    def rank(self, view, lo, hi, *, k, beam_width, post_processor, floor=-np.inf, frontier=None):
        """Rank labels for the rows lo to hi of a checked matrix, as Model does."""
        logarithms = is_logarithmic(post_processor)
        if frontier is not None:
            frontier = _weighted(frontier, self.tree_weight, post_processor)
        options = {"beam_width": beam_width, "post_processor": post_processor, "frontier": frontier}
        if self.neighbors is None:
            return self.averaged_ranking(view, lo, hi, k, floor=floor, **options)
        ranking = self.averaged_ranking(view, lo, hi, self.n_listed(k), **options)
        found = self.find_neighbors(ranking[0], view, lo, hi)
        return self.mixed(*ranking, found, k, logarithms=logarithms, floor=floor)

    def averaged_ranking(self, view, lo, hi, k, *, floor=-np.inf, **options):
        """Rank the k labels that are best by the trees' weighted scores alone."""
        options["weight"] = self.tree_weight
        if len(self.trees) == 1:
            return self.trees[0].rank(view, lo, hi, k=k, floor=floor, **options)
        lists = [tree.rank(view, lo, hi, k=self.n_listed(k), **options) for tree in self.trees]
        logarithms = is_logarithmic(options["post_processor"])
        return self.averaged(lists, k, logarithms=logarithms, floor=floor)

    def _make_row_ranker(self, k, beam_width, post_processor):
        return _RowRanker(self, k, beam_width, post_processor)

    def mixer(self, k, post_processor):
        """Return what adds the neighbors to the ranking of one row."""
        n_neighbors, power, weight = self.neighbors.weighting
        how = n_neighbors, _MOST_CANDIDATES, power, weight, N_NEIGHBOR_LABELS
        return RowCombiner(
            self.neighbors.rows,
            *how,
            k=k,
            n_labels=self.n_labels,
            n_head=self.n_head,
            logarithms=is_logarithmic(post_processor),
        )

    def averaged(self, lists, k, *, logarithms, floor=-np.inf, n_head=N_SUMMED_LABELS):
        """Add up the trees' weighted rankings, each of several, and keep the k best labels."""
        labels, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
        how = {"n_lists": len(lists), "n_head": n_head, "logarithms": logarithms, "floor": floor}
        return combine(labels, scores, k, self.n_labels, **how)

    def mixed(self, labels, scores, found, k, *, logarithms, floor=-np.inf, n_head=None):
        """Add the neighbors found to an averaged, weighted ranking."""
        rows, (_, power, weight) = self.neighbors
        n_head = self.n_head if n_head is None else n_head
        how = {"n_head": n_head, "logarithms": logarithms, "floor": floor}
        neighbors = rows, *found, power, weight
        return combine(labels, scores, k, self.n_labels, neighbors=neighbors, **how)

    def find_neighbors(self, labels, view, lo, hi):
        """Find the nearest rows that have one of the labels ranked highest."""
        best = np.ascontiguousarray(labels[:, :N_NEIGHBOR_LABELS])
        n_neighbors = self.neighbors.weighting.n_neighbors
        return self.neighbors.rows.find(view, lo, hi, best, n_neighbors, _MOST_CANDIDATES)

    def n_listed(self, k):
        """Labels that must be listed for the k best to be known."""
        return min(self.n_labels, max(k, self.n_head))


class EnsembleCache:
    """Keeps the last TreeEnsemble made of a fitted model, with what it has prepared.

    Copied and pickled without it.
    """

    def __init__(self):
        self._last = None, None

    def __reduce__(self):
        return EnsembleCache, ()

    def known(self, asked):
        """Return the ensemble if it was the last one made, for the same parameters, else None."""
        ensemble, for_asked = self._last
        return ensemble if for_asked == asked else None

    def make(self, trees, rows, asked, weighting):
        """Make a TreeEnsemble with these neighbors, or without if the weighting is None."""
        neighbors = None
        if weighting is not None:
            n_neighbors = min(weighting.n_neighbors, rows.n_rows)
            neighbors = WeightedNeighbors(rows, weighting._replace(n_neighbors=n_neighbors))
        ensemble = TreeEnsemble(trees, neighbors)
        self._last = ensemble, asked
        return ensemble


class _RowRanker:
    """Ranks one row at a time, as RowRanker does."""

    def __init__(self, ensemble, k, beam_width, post_processor):
        self._logarithms = is_logarithmic(post_processor)
        self._k, self._n_listed = k, ensemble.n_listed(k)
        options = self._n_listed, beam_width, post_processor, ensemble.tree_weight
        self._rankers = [tree.weighted_row_ranker(*options) for tree in ensemble.trees]
        self._averaged = ensemble.averaged
        self._mixer = None if ensemble.neighbors is None else ensemble.mixer(k, post_processor)
        self.n_features = self._rankers[0].n_features

    def sparse(self, indices, values):
        """Rank for a row's nonzeros, two contiguous one-dimensional arrays of equal length."""
        lists = [ranker.sparse(indices, values) for ranker in self._rankers]
        if lists[0] is None:
            return None
        if self._mixer is None:
            return self._averaged(lists, self._k, logarithms=self._logarithms)
        ranking = lists[0]
        if len(lists) > 1:
            ranking = self._averaged(lists, self._n_listed, logarithms=self._logarithms)
        return self._mixer.combine(indices, values, *ranking)

    def dense(self, row):
        """Rank for a dense row of float32."""
        row = row.ravel()
        indices = np.flatnonzero(row).astype(np.int32)
        return self.sparse(indices, row[indices])


def is_logarithmic(post_processor):
    """Whether a post-processor makes logarithms of scores that could be mixed."""
    return post_processor.startswith("log-")


def without_logarithm(post_processor):
    """The post-processor whose scores are mixed, before any logarithm is taken."""
    return post_processor.removeprefix("log-")


def _weighted(frontier, weight, post_processor):
    """The same frontier, with scores weighted like that of the root."""
    if post_processor in PRODUCTS:
        return frontier._replace(score=frontier.score * np.float32(weight))
    return frontier._replace(score=frontier.score + np.float32(math.log(weight)))
