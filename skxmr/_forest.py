"""Several trees that rank together, and training rows that vote."""

from typing import NamedTuple

import numpy as np

from ._core import KeepsRowRankers, RowMixer, Voters, combine

#: Labels that each of several trees lists at least, lest what one tree ranks low count as nothing.
LISTED = 50

#: Highest ranked labels whose rows are compared with a query, and how many rows that are at most.
#: Rankings of held-out rows were as good as with 5,000, and better than with 1,000.
LOOKED_UP, _MOST_CANDIDATES = 20, 2000


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
    voters : Voters
    mixture : Mixture
    """

    voters: Voters
    mixture: Mixture


class Forest(KeepsRowRankers):
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
        super().__init__()

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
            reached += self.votes.mixture.n_neighbors * most
        return min(self.trees[0].n_labels, reached)

    def rank(self, view, lo, hi, *, k, beam_width, post_processor, floor=-np.inf, frontier=None):
        """Rank labels for the rows lo to hi of a checked matrix, as Model does."""
        is_log = is_logarithmic(post_processor)
        if is_log and frontier is not None:
            frontier = frontier._replace(score=np.exp(frontier.score))
        post_processor = mixable(post_processor)
        options = {"beam_width": beam_width, "post_processor": post_processor, "frontier": frontier}
        n_listed = self._n_listed(k)
        lists = [tree.rank(view, lo, hi, k=n_listed, **options) for tree in self.trees]
        if is_log:
            return _above(logarithms(*self._combine(lists, view, lo, hi, k)), floor)
        return self._combine(lists, view, lo, hi, k, floor)

    def _make_row_ranker(self, k, beam_width, post_processor):
        return _RowRanker(self, k, beam_width, post_processor)

    def mixer(self, k):
        """Return what mixes the votes into the ranking of one row."""
        n_neighbors, power, share = self.votes.mixture
        how = n_neighbors, _MOST_CANDIDATES, power, share, LOOKED_UP
        return RowMixer(self.votes.voters, *how, k, self.trees[0].n_labels)

    def find_voters(self, view, lo, hi, *, k, beam_width, post_processor):
        """Find the rows that vote when the k best labels of the rows lo to hi are asked for.

        Returns
        -------
        neighbors : ndarray of int32, shape (hi - lo, n_neighbors)
        similarity : ndarray of float32, shape (hi - lo, n_neighbors)
            As of Voters.neighbors.
        """
        options = {"beam_width": beam_width, "post_processor": mixable(post_processor)}
        n_listed = self._n_listed(k)
        lists = [tree.rank(view, lo, hi, k=n_listed, **options) for tree in self.trees]
        return self.voters_for(self.averaged(lists, n_listed)[0], view, lo, hi)

    def averaged(self, lists, k, floor=-np.inf):
        """Average the trees' rankings, and keep the k best labels where there are several."""
        if len(lists) == 1:
            return lists[0]
        labels, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
        return combine(labels, scores, 1 / len(lists), k, self.trees[0].n_labels, floor=floor)

    def mixed(self, labels, scores, found, k, floor=-np.inf):
        """Mix an averaged ranking with the votes of the rows found."""
        voters, (_, power, share) = self.votes
        votes, n_labels = (voters, *found, power, share), self.trees[0].n_labels
        return combine(labels, scores, 1 - share, k, n_labels, floor=floor, votes=votes)

    def voters_for(self, labels, view, lo, hi):
        """Find the rows that vote, given the labels that an averaged ranking lists."""
        best = np.ascontiguousarray(labels[:, :LOOKED_UP])
        n_neighbors = self.votes.mixture.n_neighbors
        return self.votes.voters.neighbors(view, lo, hi, best, n_neighbors, _MOST_CANDIDATES)

    def _n_listed(self, k):
        least = LISTED if len(self.trees) > 1 else LOOKED_UP
        return min(self.trees[0].n_labels, max(k, least))

    def _combine(self, lists, view, lo, hi, k, floor=-np.inf):
        if self.votes is None:
            return self.averaged(lists, k, floor)
        labels, scores = self.averaged(lists, lists[0][0].shape[1])
        return self.mixed(labels, scores, self.voters_for(labels, view, lo, hi), k, floor)


class ForestCache:
    """Keeps the last Forest made, with what it has prepared. Pickled without it."""

    def __init__(self):
        self._last = (None,) * 4

    def __reduce__(self):
        return ForestCache, ()

    def known(self, trees, voters, asked):
        """Return the forest if it was the last one made, and for the same, else None."""
        forest, for_trees, for_voters, for_asked = self._last
        same = for_trees is trees and for_voters is voters and for_asked == asked
        return forest if same else None

    def make(self, trees, voters, asked, mixture):
        """Make a Forest in which voters count as a Mixture says, or nobody if that is None."""
        votes = None
        if mixture is not None:
            n_neighbors = min(mixture.n_neighbors, voters.n_rows)
            votes = Votes(voters, mixture._replace(n_neighbors=n_neighbors))
        forest = Forest(trees, votes)
        self._last = forest, trees, voters, asked
        return forest


class _RowRanker:
    """Ranks one row at a time, as RowRanker does."""

    def __init__(self, forest, k, beam_width, post_processor):
        self._is_log = is_logarithmic(post_processor)
        self._n_listed = forest._n_listed(k) if forest.votes is not None else k
        options = forest._n_listed(k), beam_width, mixable(post_processor)
        self._rankers = [tree.row_ranker(*options) for tree in forest.trees]
        self._averaged = forest.averaged
        self._mixer = None if forest.votes is None else forest.mixer(k)
        self.n_features = self._rankers[0].n_features

    def sparse(self, indices, values):
        """Rank for a row's nonzeros, two contiguous one-dimensional arrays of equal length."""
        lists = [ranker.sparse(indices, values) for ranker in self._rankers]
        if lists[0] is None:
            return None
        ranking = self._averaged(lists, self._n_listed)
        if self._mixer is not None:
            ranking = self._mixer.mix(indices, values, *ranking)
        return logarithms(*ranking) if self._is_log else ranking

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


def logarithms(labels, scores):
    """Take the logarithms of a ranking's scores."""
    with np.errstate(divide="ignore", invalid="ignore"):  # 0, and the -inf of padding
        return labels, np.where(labels < 0, scores, np.log(scores))


def _above(ranking, floor):
    """The same ranking, padded where scores are below the floor."""
    labels, scores = ranking
    return np.where(scores < floor, -1, labels), np.where(scores < floor, -np.inf, scores)
