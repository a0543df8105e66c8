"""Rankings combined with the labels of nearest neighbors, in C."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._library import FLOAT, INT, KERNELS, LONG, check, ffi, lib, pointer
from ._neighbors import StoredRows
from ._restriction import NumberSets, sets_view
from ._search import BAD_ROW, pad_ranking

# Looked up once: a row's search takes microseconds.
_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_RANKINGS = ffi.typeof("skx_rankings *")
_from_buffer = ffi.from_buffer
_combine_row = lib.skx_combine_row
_OK = lib.SKX_OK

#: Labels, best first, and their scores, both of shape (n, k).
Ranking = tuple[np.ndarray, np.ndarray]


class NeighborList(NamedTuple):
    """Nearest neighbors of some rows, and how they count.

    Attributes
    ----------
    rows : StoredRows
    n_neighbors : int
    power : float
        The weight of a neighbor is its similarity to the power, divided by the sum over all
        neighbors and multiplied by `weight`.
    weight : float
        Weight of all neighbors together in the scores.
    found : tuple of ndarray (neighbors, similarity), optional
        The results of `rows.find`. Not needed by a RowCombiner.
    n_candidates : int
        As for `rows.find`, for a RowCombiner. 0 compares all rows of EmbeddingRows.
    """

    rows: StoredRows
    n_neighbors: int
    power: float
    weight: float
    found: Ranking | None = None
    n_candidates: int = 0


class LabelRestrictionView:
    """The C struct of a restriction of rows to some labels.

    Parameters
    ----------
    n_labels, n_rows : int
    position : ndarray of int32, shape (n_labels,), optional
        Position of each label in an order.
    ranges : ndarray of int64, shape (n_rows, 2), optional
        Half-open range of positions of each row. Given together with `position`.
    among : NumberSets, optional
        The labels that each row may have.
    exclude : NumberSets, optional
        The labels that each row may not have.
    """

    def __init__(
        self,
        n_labels: int,
        n_rows: int,
        position: np.ndarray | None = None,
        ranges: np.ndarray | None = None,
        among: NumberSets | None = None,
        exclude: NumberSets | None = None,
    ):
        self.n_labels = n_labels
        self.n_rows = n_rows
        self._fits = all(sets.fits(n_rows) for sets in (among, exclude) if sets is not None)
        order = ffi.NULL, ffi.NULL
        if position is not None and ranges is not None:
            self._fits &= len(position) == n_labels and ranges.shape == (n_rows, 2)
            order = pointer(position, INT), pointer(ranges, LONG)
        views = sets_view(among), sets_view(exclude)
        self._buffers = order, views
        parts = [*order, *(view.struct for view in views)]
        self.struct = ffi.new("skx_label_restriction *", parts)

    def fits(self, n_labels: int, n_rows: int) -> bool:
        """Return whether it is a restriction of that many labels and rows."""
        return self._fits and (self.n_labels, self.n_rows) == (n_labels, n_rows)


def _check_restriction(restriction: LabelRestrictionView, n_labels: int, n_rows: int) -> None:
    if not restriction.fits(n_labels, n_rows):
        raise ValueError("the restriction must be of the model's labels and of the same rows")


def _combine_params(values: list, restriction: LabelRestrictionView | None) -> Any:
    """Make an `skx_combine_params`."""
    within = ffi.NULL if restriction is None else restriction.struct
    return ffi.new("skx_combine_params *", [*values, within])


class _ListsView:
    """The C structs of neighbor lists, which own the memory that they point to."""

    def __init__(self, lists: Sequence[NeighborList]):
        self._lists = lists
        self.n_lists = len(lists)
        self._found = [
            (ffi.NULL, ffi.NULL)
            if part.found is None
            else (pointer(part.found[0], INT), pointer(part.found[1], FLOAT))
            for part in lists
        ]
        structs = [
            [
                part.rows._c_view().struct,
                part.n_neighbors,
                part.power,
                part.weight,
                *found,
                part.n_candidates,
            ]
            for part, found in zip(lists, self._found, strict=True)
        ]
        self.struct = ffi.new("skx_neighbor_list[]", structs)


class RowCombiner:
    """Combines the ranking of one row with its nearest neighbors, in one C call.

    Any number of threads may call it at once.

    Parameters
    ----------
    neighbors : sequence of NeighborList
    n_query_labels : int
        Number of highest ranked labels whose rows are compared with the query.
    k, n_labels, n_head : int
        As for `combine`.
    logarithms : bool
        As for `combine`.
    """

    def __init__(
        self,
        neighbors: Sequence[NeighborList],
        n_query_labels: int,
        *,
        k: int,
        n_labels: int,
        n_head: int,
        logarithms: bool,
    ):
        self._lists = _ListsView(neighbors)
        self._k_asked = k
        self._k = min(k, n_labels)
        self._n_labels = n_labels
        self._values = [-np.inf, self._k, 1, n_head, logarithms]
        self._params = _combine_params(self._values, None)
        self._n_query_labels = n_query_labels

    def combine(
        self,
        indices: np.ndarray,
        values: np.ndarray,
        listed: np.ndarray,
        listed_scores: np.ndarray,
        restriction: "LabelRestrictionView | None" = None,
        n_sparse: int | None = None,
    ) -> Ranking | None:
        """Combine the ranking of a row with its neighbors.

        Parameters
        ----------
        indices : ndarray of int32
        values : ndarray of float32
            The nonzeros of the row. The first `n_sparse` must be valid.
        listed, listed_scores : ndarray of shape (1, n)
            As for `combine`.
        restriction : LabelRestrictionView of one row, optional
        n_sparse : int, optional
            Number of nonzeros before the embedding; all by default.

        Returns
        -------
        ranking : tuple (labels, scores) or None
            None if the embedding of the row is not valid.
        """
        params = self._params
        if restriction is not None:
            _check_restriction(restriction, self._n_labels, 1)
            params = _combine_params(self._values, restriction)
        labels = np.empty((1, self._k), INT)
        scores = np.empty((1, self._k), FLOAT)
        n_listed = listed.shape[1]
        rankings = ffi.new(_RANKINGS)
        rankings.n_listed = n_listed
        rankings.labels = _from_buffer(_INTS, listed)
        rankings.scores = _from_buffer(_FLOATS, listed_scores)
        n = len(values)
        status = _combine_row(
            KERNELS,
            self._lists.struct,
            self._lists.n_lists,
            params,
            _from_buffer(_INTS, indices),
            _from_buffer(_FLOATS, values),
            n,
            n if n_sparse is None else n_sparse,
            rankings,
            min(self._n_query_labels, n_listed),
            _from_buffer(_INTS, labels),
            _from_buffer(_FLOATS, scores),
        )
        if status != _OK:
            if status in BAD_ROW:
                return None
            check(status)
        return pad_ranking(labels, scores, self._k_asked)


def combine(
    listed: np.ndarray,
    scores: np.ndarray,
    k: int,
    n_labels: int,
    *,
    n_lists: int = 1,
    n_head: int,
    logarithms: bool = False,
    floor: float = -np.inf,
    neighbors: Sequence[NeighborList] = (),
    restriction: LabelRestrictionView | None = None,
) -> Ranking:
    """Combine rankings with the labels of nearest neighbors.

    The score of a label is the sum of its scores in the rankings that have it among their first
    `n_head`, and of the weights of its neighbors. A score from further down in a ranking replaces
    that sum if it is larger. So the k best labels do not depend on the length of the rankings, if
    it is at least k and `n_head`.

    Parameters
    ----------
    listed : ndarray of int32, shape (n, n_lists * length)
        Labels of one or several rankings of equal length, best first, padded with -1.
    scores : ndarray of float32, shape (n, n_lists * length)
    k, n_labels : int
    n_lists : int
        Number of rankings.
    n_head : int
        Number of labels of each ranking whose scores are added up.
    logarithms : bool
        Whether scores are logarithms. The logarithm of a sum is then computed from them.
    floor : float
        Labels with lower scores are left out.
    neighbors : sequence of NeighborList
        With what was found.
    restriction : LabelRestrictionView, optional
        Labels that the neighbors of each row may contribute to. The rankings are restricted
        already.

    Returns
    -------
    labels : ndarray of int32, shape (n, k)
        Best first, ties by lower label, padded with -1.
    scores : ndarray of float32, shape (n, k)
        Padded with -inf.
    """
    n, n_listed = listed.shape
    lists = _ListsView(neighbors)
    if restriction is not None:
        _check_restriction(restriction, n_labels, n)
    kept = min(k, n_labels)
    params = _combine_params([floor, kept, n_lists, n_head, logarithms], restriction)
    buffers = pointer(listed, INT), pointer(scores, FLOAT)
    rankings = ffi.new("skx_rankings *", [n_listed, *buffers])
    labels = np.empty((n, kept), INT)
    out = np.empty((n, kept), FLOAT)
    check(
        lib.skx_combine(
            lists.struct,
            lists.n_lists,
            params,
            n,
            rankings,
            pointer(labels, INT),
            pointer(out, FLOAT),
        )
    )
    return pad_ranking(labels, out, k)
