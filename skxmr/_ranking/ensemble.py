"""Several trees that rank together, and training rows that vote."""

import math
from typing import NamedTuple

import numpy as np

from .._core import PRODUCTS, NeighborRows, RowCombiner, SingleRowRankerCache, combine

#: Labels that each of several trees ranks first, and whose scores are added up.
LISTED = 50

#: Highest ranked labels whose rows are compared with a query, and how many rows that are at most.
#: Rankings of held-out rows were as good as with 5,000, and better than with 1,000.
LOOKED_UP, _MOST_CANDIDATES = 20, 2000

#: Trees keep at least this weight, so that they order the labels that no neighbor has.
_LEAST_WEIGHT = 2.0**-40


class Mixture(NamedTuple):
    """How votes count.

    Attributes
    ----------
    n_neighbors : int
        How many rows vote on a query.
    power : float
        A vote counts this power of the similarity.
    share : float
        That of all votes in a score.
    """

    n_neighbors: int
    power: float
    share: float


class Votes(NamedTuple):
    """Training rows that vote, and how their votes count.

    Attributes
    ----------
    voters : NeighborRows
    mixture : Mixture
    """

    voters: NeighborRows
    mixture: Mixture


class Forest(SingleRowRankerCache):
    """Ranks labels by the average of several trees' scores, mixed with the votes of neighbors.

    Takes the place of a single Model. What several sources say of a label is added up, if each of
    them ranks the label high: among the first LISTED of each tree, and then, where neighbors take
    part, among the first LISTED (of one tree: LOOKED_UP) of the trees' average. What a source says
    of a label that it ranks lower counts only instead of the sum, where it is larger. So the score
    of a label depends on nothing but the row, and few labels of each source suffice to rank.

    Parameters
    ----------
    trees : sequence of Model
        Of the same labels and features.
    votes : Votes, optional
    """

    def __init__(self, trees, votes=None):
        self.trees = tuple(trees)
        self.votes = votes
        super().__init__()

    def __sizeof__(self):
        voters = 0 if self.votes is None else self.votes.voters.nbytes
        return super().__sizeof__() + voters + sum(tree.nbytes for tree in self.trees)

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
        share = 0.0 if self.votes is None else self.votes.mixture.share
        return max(1.0 - share, _LEAST_WEIGHT) / len(self.trees)

    @property
    def n_head(self):
        """Labels that the trees rank first, whose scores and votes are added up."""
        return LISTED if len(self.trees) > 1 else LOOKED_UP

    def max_results(self, beam_width):
        """Bound how many labels one row's search can reach."""
        reached = sum(tree.max_results(beam_width) for tree in self.trees)
        if self.votes is not None:
            most = int(np.diff(self.votes.voters.arrays["label_ptr"]).max(initial=0))
            reached += self.votes.mixture.n_neighbors * most
        return min(self.n_labels, reached)

    def rank(self, view, lo, hi, *, k, beam_width, post_processor, floor=-np.inf, frontier=None):
        """Rank labels for the rows lo to hi of a checked matrix, as Model does."""
        logarithms = is_logarithmic(post_processor)
        if frontier is not None:
            frontier = _weighted(frontier, self.tree_weight, post_processor)
        options = {"beam_width": beam_width, "post_processor": post_processor, "frontier": frontier}
        if self.votes is None:
            return self.averaged_ranking(view, lo, hi, k, floor=floor, **options)
        ranking = self.averaged_ranking(view, lo, hi, self.n_listed(k), **options)
        found = self.voters_for(ranking[0], view, lo, hi)
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
        """Return what mixes the votes into the ranking of one row."""
        n_neighbors, power, share = self.votes.mixture
        how = n_neighbors, _MOST_CANDIDATES, power, share, LOOKED_UP
        return RowCombiner(
            self.votes.voters,
            *how,
            k=k,
            n_labels=self.n_labels,
            n_head=self.n_head,
            logarithms=is_logarithmic(post_processor),
        )

    def averaged(self, lists, k, *, logarithms, floor=-np.inf, n_head=LISTED):
        """Add up the trees' weighted rankings, each of several, and keep the k best labels."""
        labels, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
        how = {"n_lists": len(lists), "n_head": n_head, "logarithms": logarithms, "floor": floor}
        return combine(labels, scores, k, self.n_labels, **how)

    def mixed(self, labels, scores, found, k, *, logarithms, floor=-np.inf, n_head=None):
        """Mix an averaged, weighted ranking with the votes of the rows found."""
        voters, (_, power, share) = self.votes
        n_head = self.n_head if n_head is None else n_head
        how = {"n_head": n_head, "logarithms": logarithms, "floor": floor}
        neighbors = voters, *found, power, share
        return combine(labels, scores, k, self.n_labels, neighbors=neighbors, **how)

    def voters_for(self, labels, view, lo, hi):
        """Find the rows that vote, given the labels that an averaged ranking lists."""
        best = np.ascontiguousarray(labels[:, :LOOKED_UP])
        n_neighbors = self.votes.mixture.n_neighbors
        return self.votes.voters.find(view, lo, hi, best, n_neighbors, _MOST_CANDIDATES)

    def n_listed(self, k):
        """Labels that must be listed for the k best to be known."""
        return min(self.n_labels, max(k, self.n_head))


class ForestCache:
    """Keeps the last Forest made of a fitted model, with what it has prepared.

    Copied and pickled without it.
    """

    def __init__(self):
        self._last = None, None

    def __reduce__(self):
        return ForestCache, ()

    def known(self, asked):
        """Return the forest if it was the last one made, for the same parameters, else None."""
        forest, for_asked = self._last
        return forest if for_asked == asked else None

    def make(self, trees, voters, asked, mixture):
        """Make a Forest in which voters count as a Mixture says, or nobody if that is None."""
        votes = None
        if mixture is not None:
            n_neighbors = min(mixture.n_neighbors, voters.n_rows)
            votes = Votes(voters, mixture._replace(n_neighbors=n_neighbors))
        forest = Forest(trees, votes)
        self._last = forest, asked
        return forest


class _RowRanker:
    """Ranks one row at a time, as RowRanker does."""

    def __init__(self, forest, k, beam_width, post_processor):
        self._logarithms = is_logarithmic(post_processor)
        self._k, self._n_listed = k, forest.n_listed(k)
        options = self._n_listed, beam_width, post_processor, forest.tree_weight
        self._rankers = [tree.weighted_row_ranker(*options) for tree in forest.trees]
        self._averaged = forest.averaged
        self._mixer = None if forest.votes is None else forest.mixer(k, post_processor)
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


def mixable(post_processor):
    """The post-processor whose scores are mixed, before any logarithm is taken."""
    return post_processor.removeprefix("log-")


def _weighted(frontier, weight, post_processor):
    """The same frontier, with scores weighted like that of the root."""
    if post_processor in PRODUCTS:
        return frontier._replace(score=frontier.score * np.float32(weight))
    return frontier._replace(score=frontier.score + np.float32(math.log(weight)))
