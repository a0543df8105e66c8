"""Ranking with several trees and with nearest neighbors among the training rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._core import (
    FLOAT,
    INT,
    CSRView,
    LabelRestrictionView,
    NeighborList,
    RowCombiner,
    StoredRows,
    combine,
)
from .._data.features import DenseColumns
from .base import Ranker, RowRanker, SearchOptions
from .constraint import Constraint
from .post_processors import POST_PROCESSORS
from .restriction import Restriction
from .tree_ranker import TreeRanker

#: Labels and scores of some rows.
Ranking = tuple[np.ndarray, np.ndarray]

#: Labels that each of several trees ranks first, and whose scores are added up.
N_SUMMED_LABELS = 50

#: Highest ranked labels whose rows are compared with a query, and how many rows that are at most.
#: Rankings of held-out rows were as good as with 5,000, and better than with 1,000.
N_NEIGHBOR_LABELS, _MOST_CANDIDATES = 20, 2000

#: The same number of labels if neighbors are found by embeddings. They gain more from more labels.
_N_DENSE_NEIGHBOR_LABELS = 30

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
    rows : StoredRows
    weighting : NeighborWeighting
    among_all : bool
        Whether all rows are compared with a query, instead of those of the labels ranked highest.
    """

    rows: StoredRows
    weighting: NeighborWeighting
    among_all: bool = False

    @classmethod
    def of(
        cls, rows: StoredRows, weighting: NeighborWeighting, *, among_all: bool = False
    ) -> "WeightedNeighbors":
        """Return the same with at most as many neighbors as there are rows."""
        n_neighbors = min(weighting.n_neighbors, rows.n_rows)
        return cls(rows, weighting._replace(n_neighbors=n_neighbors), among_all)


class TreeEnsemble(Ranker):
    """Ranks labels by the average score of several trees and by nearest neighbors.

    Contributions to a label's score are added up for labels that are ranked high: among the first
    N_SUMMED_LABELS of each tree, and, if there are neighbors, among the first N_SUMMED_LABELS of
    the average (of one tree: `n_query_labels`). For a label that a tree ranks lower, the tree's
    contribution replaces the sum if it is larger. Therefore a score depends on the row only, and a
    few labels of each tree suffice to rank.

    Parameters
    ----------
    trees : sequence of TreeRanker
        Of the same labels and features.
        Or of the columns before the embeddings.
    neighbors : WeightedNeighbors, optional
        By the columns before the embeddings.
    embeddings : WeightedNeighbors, optional
        Neighbors by their embeddings. Their weight is that in the score; all else has the
        remaining weight.
    columns : DenseColumns, optional
        Required if the last columns of X are embeddings, even if none of them is used.
    """

    def __init__(
        self,
        trees: Sequence[TreeRanker],
        neighbors: WeightedNeighbors | None = None,
        embeddings: WeightedNeighbors | None = None,
        columns: DenseColumns | None = None,
    ):
        self.trees = tuple(trees)
        self.neighbors = neighbors
        self.embeddings = embeddings
        self.columns = columns
        super().__init__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({"embeddings": None, "columns": None, **state})  # earlier pickles

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        held = sum(part.rows.nbytes for part in self.neighbor_kinds)
        return held + sum(tree.nbytes for tree in self.trees)

    @property
    def neighbor_kinds(self) -> list[WeightedNeighbors]:
        """The neighbors by the columns before the embeddings, and those by the embeddings."""
        return [part for part in (self.neighbors, self.embeddings) if part is not None]

    @property
    def repeats(self) -> bool:
        """Whether what was found for a block is used again; see Ranker."""
        return self.neighbors is not None and self.neighbors.rows.key is not None

    @property
    def max_level_width(self) -> int:
        """Maximum number of nodes of a level. A beam of this width loses no label."""
        return max(tree.max_level_width for tree in self.trees)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.trees[0].n_labels

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.trees[0].n_features if self.columns is None else self.columns.n_features

    @property
    def tree_weight(self) -> float:
        """Weight of the scores of each tree."""
        weight = 0.0 if self.neighbors is None else self.neighbors.weighting.weight
        return max(self._weight_beside_embeddings * (1.0 - weight), _LEAST_WEIGHT) / len(self.trees)

    @property
    def _weight_beside_embeddings(self) -> float:
        return 1.0 if self.embeddings is None else 1.0 - self.embeddings.weighting.weight

    def score_weight(self, part: WeightedNeighbors) -> float:
        """Return the weight in the scores of one of the two kinds of neighbors."""
        if part is self.embeddings:
            return part.weighting.weight
        return self._weight_beside_embeddings * part.weighting.weight

    @property
    def n_head(self) -> int:
        """Number of labels ranked first by the trees whose scores are added to the neighbors'."""
        return N_SUMMED_LABELS if len(self.trees) > 1 else self.n_query_labels

    @property
    def n_query_labels(self) -> int:
        """Number of highest ranked labels whose rows are compared with a query."""
        return N_NEIGHBOR_LABELS if self.embeddings is None else _N_DENSE_NEIGHBOR_LABELS

    def max_results(self, beam_width: int) -> int:
        """Return an upper bound of the number of labels that the search of a row reaches."""
        reached = sum(tree.max_results(beam_width) for tree in self.trees)
        return min(self.n_labels, reached + self.max_neighbor_labels)

    @property
    def max_neighbor_labels(self) -> int:
        """An upper bound of the number of labels of the neighbors of a row."""
        most = 0
        for part in self.neighbor_kinds:
            lengths = np.diff(part.rows.arrays["label_ptr"])
            most += part.weighting.n_neighbors * int(lengths.max(initial=0))
        return most

    def rank(self, view: CSRView, begin: int, end: int, k: int, options: SearchOptions) -> Ranking:
        """Rank labels; see Ranker."""
        if options.frontier is not None:
            frontier = [
                f._replace(score=options.post_processor.weighted(f.score, self.tree_weight))
                for f in options.frontier
            ]
            options = options._replace(frontier=tuple(frontier))
        if not self.neighbor_kinds:
            return self.averaged_ranking(view, begin, end, k, options)
        ranked = options._replace(floor=-np.inf)
        leading = self._leading(view, begin, end)
        ranking = self.averaged_ranking(view, begin, end, self.n_listed(k), ranked, leading)
        found = self.find_neighbors(ranking[0], view, begin, end, leading)
        return self.mixed(
            *ranking,
            found,
            k,
            logarithms=options.post_processor.is_log,
            floor=options.floor,
            restriction=self.label_restriction(options.restriction, options.constraint, begin, end),
        )

    def averaged_ranking(
        self,
        view: CSRView,
        begin: int,
        end: int,
        k: int,
        options: SearchOptions,
        leading: CSRView | None = None,
    ) -> Ranking:
        """Rank the k labels that are best by the trees' weighted scores alone.

        The rows may be given without their embeddings as well, to save time.
        """
        view = self.view_of_trees(view, begin, end, leading)
        weight = self.tree_weight
        if len(self.trees) == 1:
            return self.trees[0].rank(view, begin, end, k, options, weight=weight)
        listed = options._replace(floor=-np.inf)
        lists = [
            tree.rank(view, begin, end, self.n_listed(k), listed, weight=weight, tree=t)
            for t, tree in enumerate(self.trees)
        ]
        logarithms = options.post_processor.is_log
        return self.averaged(lists, k, logarithms=logarithms, floor=options.floor)

    def view_of_trees(
        self, view: CSRView, begin: int, end: int, leading: CSRView | None = None
    ) -> CSRView:
        """Return the view of these rows with the columns that the trees use."""
        if not self._splits_for_trees:
            return view
        return self._leading(view, begin, end) if leading is None else leading

    def _leading(self, view, begin, end):
        """Return the view of these rows without their embeddings."""
        return view if self.columns is None else view.leading(begin, end, self.columns.n_sparse)

    @property
    def _splits_for_trees(self) -> bool:
        return self.columns is not None and self.trees[0].n_features == self.columns.n_sparse

    def _make_row_ranker(self, k: int, beam_width: int, post_processor: str) -> RowRanker:
        return _EnsembleRowRanker(self, k, beam_width, post_processor)

    def row_combiner(self, k: int, logarithms: bool) -> RowCombiner:
        """Return what adds the neighbors to the ranking of one row."""
        return RowCombiner(
            self._neighbor_lists(None),
            self.n_query_labels,
            k=k,
            n_labels=self.n_labels,
            n_head=self.n_head,
            logarithms=logarithms,
        )

    def _neighbor_lists(self, found: Sequence[Ranking] | None) -> list[NeighborList]:
        """Return the NeighborLists of both kinds, with what was found for some rows."""
        kinds = self.neighbor_kinds
        return [
            NeighborList(
                part.rows,
                part.weighting.n_neighbors,
                part.weighting.power,
                self.score_weight(part),
                of_part,
                0 if part.among_all else _MOST_CANDIDATES,
            )
            for part, of_part in zip(kinds, found or [None] * len(kinds), strict=True)
        ]

    def averaged(
        self,
        lists: Sequence[Ranking],
        k: int,
        *,
        logarithms: bool,
        floor: float = -np.inf,
        n_head: int = N_SUMMED_LABELS,
    ) -> Ranking:
        """Add up the trees' weighted rankings, one of each tree, and keep the k best labels."""
        labels, scores = (np.concatenate(part, axis=1) for part in zip(*lists, strict=True))
        return combine(
            labels,
            scores,
            k,
            self.n_labels,
            n_lists=len(lists),
            n_head=n_head,
            logarithms=logarithms,
            floor=floor,
        )

    def mixed(
        self,
        labels: np.ndarray,
        scores: np.ndarray,
        found: Sequence[Ranking],
        k: int,
        *,
        logarithms: bool,
        floor: float = -np.inf,
        n_head: int | None = None,
        restriction: LabelRestrictionView | None = None,
    ) -> Ranking:
        """Add the neighbors found to an averaged, weighted ranking."""
        return combine(
            labels,
            scores,
            k,
            self.n_labels,
            n_head=self.n_head if n_head is None else n_head,
            logarithms=logarithms,
            floor=floor,
            neighbors=self._neighbor_lists(found),
            restriction=restriction,
        )

    def find_neighbors(
        self,
        labels: np.ndarray,
        view: CSRView,
        begin: int,
        end: int,
        leading: CSRView | None = None,
    ) -> list[Ranking]:
        """Find the nearest rows that have one of the labels ranked highest.

        The rows may be given without their embeddings as well, to save time.

        Returns
        -------
        found : list of tuple (neighbors, similarity)
            Those by the columns before the embeddings, then those by the embeddings, if used.
        """
        best = np.ascontiguousarray(labels[:, : self.n_query_labels])
        found = []
        for part in self.neighbor_kinds:
            rows = view
            if part is self.neighbors:
                rows = self._leading(view, begin, end) if leading is None else leading
            n_neighbors = part.weighting.n_neighbors
            labels = None if part.among_all else best
            found.append(part.rows.find(rows, begin, end, labels, n_neighbors, _MOST_CANDIDATES))
        return found

    def label_restriction(
        self,
        restriction: Restriction | None,
        constraint: Constraint | None,
        begin: int,
        end: int,
    ) -> LabelRestrictionView | None:
        """Return the C view of what labels the rows from `begin` up to `end` may have, or None."""
        if restriction is None and constraint is None:
            return None
        order = (None, None)
        if restriction is not None:
            ranges = np.ascontiguousarray(restriction.ranges[begin:end])
            order = restriction.order.position, ranges
        sets = (None, None)
        if constraint is not None:
            sets = [
                None if part is None else part.of_rows(begin, end) for part in constraint.labels
            ]
        return LabelRestrictionView(self.n_labels, end - begin, *order, *sets)

    def n_listed(self, k: int) -> int:
        """Number of labels that a ranking must have so that the k best are known."""
        return min(self.n_labels, max(k, self.n_head))


class EnsembleCache:
    """Keeps the last TreeEnsemble made of a fitted model, with what it has prepared.

    Copied and pickled without it.
    """

    def __init__(self):
        self._last = None, None

    def __reduce__(self):
        return EnsembleCache, ()

    def known(self, asked: Any) -> TreeEnsemble | None:
        """Return the ensemble if it was the last one made, for the same parameters, else None."""
        ensemble, for_asked = self._last
        return ensemble if for_asked == asked else None

    def make(self, asked: Any, *parts: Any) -> TreeEnsemble:
        """Make a TreeEnsemble of the given arguments."""
        ensemble = TreeEnsemble(*parts)
        self._last = ensemble, asked
        return ensemble


class _EnsembleRowRanker:
    """Ranks one row at a time; see RowRanker."""

    def __init__(self, ensemble: TreeEnsemble, k: int, beam_width: int, post_processor: str):
        self._logarithms = POST_PROCESSORS[post_processor].is_log
        self._k = k
        self._n_listed = ensemble.n_listed(k)
        self._rankers = [
            tree.weighted_row_ranker(
                self._n_listed, beam_width, post_processor, ensemble.tree_weight, t
            )
            for t, tree in enumerate(ensemble.trees)
        ]
        self._averaged = ensemble.averaged
        self._label_restriction = ensemble.label_restriction
        self._combiner = None
        if ensemble.neighbor_kinds:
            self._combiner = ensemble.row_combiner(k, self._logarithms)
        self.n_features = ensemble.n_features
        self._columns = ensemble.columns
        self._splits_for_trees = ensemble._splits_for_trees
        self._checks_embedding = ensemble.embeddings is not None or not self._splits_for_trees

    def sparse(
        self,
        indices: np.ndarray,
        values: np.ndarray,
        restriction: Restriction | None = None,
        constraint: Constraint | None = None,
    ) -> Ranking | None:
        row = indices, values
        n_sparse = None
        if self._columns is not None:
            n_sparse = self._count_sparse(indices, values)
            if n_sparse is None:
                return None
            if self._splits_for_trees:
                row = indices[:n_sparse], values[:n_sparse]
        lists = [ranker.sparse(*row, restriction, constraint) for ranker in self._rankers]
        if lists[0] is None:
            return None
        if self._combiner is None:
            return self._averaged(lists, self._k, logarithms=self._logarithms)
        ranking = lists[0]
        if len(lists) > 1:
            ranking = self._averaged(lists, self._n_listed, logarithms=self._logarithms)
        limits = self._label_restriction(restriction, constraint, 0, 1)
        return self._combiner.combine(indices, values, *ranking, limits, n_sparse)

    def _count_sparse(self, indices: np.ndarray, values: np.ndarray) -> int | None:
        """Return the number of nonzeros before the embedding; None if the latter is not valid."""
        if indices.dtype != INT or values.dtype != FLOAT or len(indices) != len(values):
            return None
        n_sparse = int(np.searchsorted(indices, self._columns.n_sparse))
        if not self._checks_embedding:  # C does it otherwise
            dims = indices[n_sparse:]
            is_sorted = len(dims) == 0 or (
                dims[0] >= self._columns.n_sparse
                and dims[-1] < self._columns.n_features
                and bool((dims[1:] > dims[:-1]).all())
            )
            if not is_sorted or not np.isfinite(values[n_sparse:]).all():
                return None
        return n_sparse

    def dense(
        self,
        row: np.ndarray,
        restriction: Restriction | None = None,
        constraint: Constraint | None = None,
    ) -> Ranking | None:
        row = row.ravel()
        indices = np.flatnonzero(row).astype(np.int32)
        return self.sparse(indices, row[indices], restriction, constraint)
