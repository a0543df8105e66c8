"""The contract of everything that ranks labels, and the options of a search."""

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol

import numpy as np

from .._core import CSRView, Frontier
from .._utils.mapped_csr import MappedCSR
from .constraint import Constraint
from .post_processors import PostProcessor
from .restriction import Restriction

#: Sets of options whose rankers of single rows are kept.
_MOST_ROW_RANKERS = 64


class SearchOptions(NamedTuple):
    """Options of a search. Every kind of ranker accepts all of them.

    Attributes
    ----------
    beam_width : int
        Number of nodes kept per level.
    post_processor : PostProcessor
    floor : float
        Labels of lower scores are left out.
    frontier : tuple of Frontier or None
        Where the search of each row starts, for each tree of the ranker. None for the root.
    restriction : Restriction or None
        Range of labels that each row may reach. None for all.
    constraint : Constraint or None
        Sets of labels that each row may and may not reach. None for all.
    """

    beam_width: int
    post_processor: PostProcessor
    floor: float = -np.inf
    frontier: tuple[Frontier, ...] | None = None
    restriction: Restriction | None = None
    constraint: Constraint | None = None


class Matcher(Protocol):
    """Chooses nodes of one level of a label tree for each row; a search can start at these nodes.

    ``rank(X, frontier=matcher)`` accepts any object with this method.
    """

    def match(self, X):
        """Choose nodes for each row.

        Parameters
        ----------
        X : csr_matrix of float32, shape (n_rows, n_features)
            Canonical.

        Returns
        -------
        level : int
            Level of the nodes. Level 0 is the root.
        nodes : sparse matrix of shape (n_rows, n_nodes of that level)
            The stored entries of a row are the scores of its nodes.
        """


class RowRanker(Protocol):
    """Ranks one row at a time with fixed options. Any number of threads may use it at once."""

    n_features: int

    def sparse(self, indices, values, restriction=None, constraint=None):
        """Rank labels for the nonzeros of a row.

        Parameters
        ----------
        indices : ndarray of int32, shape (n_nonzeros,)
        values : ndarray of float32, shape (n_nonzeros,)
        restriction : Restriction of one row, optional
        constraint : Constraint of one row, optional

        Returns
        -------
        ranking : tuple (labels, scores), each of shape (1, k), or None
            None if the arrays are not a canonical row of the ranker's features.
        """

    def dense(self, row, restriction=None, constraint=None):
        """Rank labels for a dense row of float32, of shape (1, n_features); see `sparse`."""


class Ranker(ABC):
    """Ranks the labels of a fitted model.

    All rankings have the same form: `labels` of int32 and `scores` of float32, both of shape
    (n_rows, k), the best label first. Ties go to the lower label. Rows with fewer than k labels are
    padded with the label -1 and the score minus infinity. The ranking of fewer labels is the
    beginning of the ranking of more, unless the beam is wider.

    A ranker is immutable. It is pickled without the rankers of single rows that it keeps.

    Attributes
    ----------
    n_labels, n_features : int
    trees : tuple of Ranker
        The single trees that the ranker combines, itself if it is one.
    neighbors : WeightedNeighbors or None
        Training rows that take part in the scores.
    """

    n_labels: int
    n_features: int
    trees: tuple
    neighbors = None

    @property
    def repeats(self) -> bool:
        """Whether the ranker uses what was found for the same block of rows before."""
        return False

    def __init__(self):
        self._row_rankers = {}

    def __getstate__(self):
        return {**super().__getstate__(), "_row_rankers": {}}

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes in all arrays."""

    @property
    @abstractmethod
    def max_level_width(self) -> int:
        """Maximum number of nodes of a level. A beam of this width loses no label."""

    @abstractmethod
    def max_results(self, beam_width: int) -> int:
        """Return an upper bound of the number of labels that the search of a row reaches."""

    @abstractmethod
    def rank(self, view: CSRView, begin: int, end: int, k: int, options: SearchOptions):
        """Rank labels for the rows from `begin` up to `end` of a checked matrix.

        Parameters
        ----------
        view : CSRView
        begin, end : int
        k : int
        options : SearchOptions
            Its frontier, restriction and constraint have a row for each row of the matrix.

        Returns
        -------
        labels : ndarray of int32, shape (end - begin, k)
            Best first, ties by lower label, padded with -1.
        scores : ndarray of float32, shape (end - begin, k)
            Padded with -inf.
        """

    @abstractmethod
    def _make_row_ranker(self, k: int, beam_width: int, post_processor: str) -> RowRanker:
        """Make a ranker of single rows with valid options."""

    def row_ranker(self, k: int, beam_width: int, post_processor: str) -> RowRanker:
        """Return the ranker of single rows with these options, which must be valid."""
        key = k, beam_width, post_processor
        ranker = self._row_rankers.get(key)
        if ranker is None:
            if len(self._row_rankers) >= _MOST_ROW_RANKERS:
                self._row_rankers = {}
            ranker = self._row_rankers[key] = self._make_row_ranker(*key)
        return ranker

    def cached_row_ranker(self, k: int, beam_width: int, post_processor: str) -> RowRanker | None:
        """Return the ranker of single rows with these options, or None if none was made yet."""
        try:
            return self._row_rankers.get((k, beam_width, post_processor))
        except TypeError:  # an option that cannot be hashed is never valid
            return None


def rank_block(ranker: Ranker, X, begin: int, end: int, k: int, options: SearchOptions):
    """Rank labels for some rows of a canonical CSR matrix, in any thread or process."""
    ranking = ranker.rank(CSRView(X), begin, end, k, options)
    if isinstance(X, MappedCSR):
        X.drop_pages()
    return ranking
