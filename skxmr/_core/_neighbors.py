"""Nearest neighbors, and rankings combined with their labels, in C."""

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ._library import FLOAT, INT, LONG, WORD, check, check_array, ffi, lib, pointer
from ._restriction import NumberSets, sets_view
from ._search import pad_ranking
from ._sparse import CSRView, csr_fault
from ._view import CStruct, CView

# Looked up once: a row's search takes microseconds.
_INTS = ffi.typeof("int32_t[]")
_FLOATS = ffi.typeof("float[]")
_RANKINGS = ffi.typeof("skx_rankings *")
_from_buffer = ffi.from_buffer
_combine_row = lib.skx_combine_row
_OK = lib.SKX_OK

#: Labels, best first, and their scores, both of shape (n, k).
Ranking = tuple[np.ndarray, np.ndarray]


class NeighborRows(CView):
    """Training rows among which nearest neighbors are found, and their labels.

    Any content of the arrays is safe as long as their lengths fit each other, which is checked.

    Parameters
    ----------
    n_features, n_labels : int
    **arrays
        word_ptr, words : the rows, from `pack_rows`.
        label_ptr, labels : the labels of each row.
        posting_ptr, postings : the rows of each label.
        weight : how many times each row counts.
    source : ndarray of int32, optional
        Number of each row among the given rows; of several equal ones, the first. Only for
        explanations.
    n_given : int
        Number of given rows.
    checksums : dict of str to int, optional
        Those of the arrays and of `source`, as in Layer.

    Raises
    ------
    ValueError
        If an array has another dtype, or the lengths of the arrays contradict each other.
    """

    DTYPES: ClassVar[dict[str, np.dtype]] = {
        "word_ptr": LONG,
        "words": WORD,
        "label_ptr": LONG,
        "labels": INT,
        "posting_ptr": LONG,
        "postings": INT,
        "weight": FLOAT,
    }

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        source: np.ndarray | None = None,
        n_given: int = 0,
        checksums: dict[str, int] | None = None,
        **arrays: np.ndarray,
    ):
        self.n_features = n_features
        self.n_labels = n_labels
        self.source = source
        self.n_given = n_given
        self.arrays = arrays
        self.checksums = checksums or {}
        self._check_lengths()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"checksums": {}, **state})  # missing in pickles of earlier releases
        self._check_lengths()

    def _check_lengths(self) -> None:
        """Check what C relies on."""
        for name, dtype in self.DTYPES.items():
            check_array(self.arrays.get(name), dtype, name)
        source = self.source
        if source is not None:
            check_array(source, INT, "source")
        length = {name: len(array) for name, array in self.arrays.items()}
        fit = (
            length["label_ptr"] == length["word_ptr"] == length["weight"] + 1
            and length["posting_ptr"] == self.n_labels + 1
            and length["postings"] == length["labels"]
            and (source is None or len(source) == length["weight"])
        )
        if not fit:
            raise ValueError("the arrays of the neighbors contradict each other")

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.arrays["weight"])

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        of_source = 0 if self.source is None else self.source.nbytes
        return of_source + sum(array.nbytes for array in self.arrays.values())

    def check(self) -> None:
        """Raise a ValueError if the content of an array is not valid."""
        a = self.arrays
        if not (np.isfinite(a["weight"]).all() and (a["weight"] > 0).all()):
            raise ValueError("the neighbors have weights that are not positive")
        source = self.source
        if source is not None and not ((source >= 0) & (source < self.n_given)).all():
            raise ValueError("the neighbors have numbers of rows that were not given")
        for name, ptr, index, n_columns in (
            ("labels", "label_ptr", "labels", self.n_labels),
            ("postings", "posting_ptr", "postings", self.n_rows),
        ):
            fault = csr_fault(a[ptr], a[index], np.ones(len(a[index]), FLOAT), n_columns)
            if fault:
                raise ValueError(f"the neighbors have {name} of which one {fault}")
        ends = np.r_[0, a["word_ptr"], len(a["words"])]
        if ends[1] != 0 or ends[-2] != ends[-1] or (np.diff(ends[1:-1]) < 1).any():
            raise ValueError("the neighbors begin or end outside their words")
        if not np.isfinite(a["words"][a["word_ptr"][:-1]].view(FLOAT)).all():
            raise ValueError("the neighbors have scales that are not finite")

    def find(
        self,
        view: CSRView,
        begin: int,
        end: int,
        labels: np.ndarray,
        n_neighbors: int,
        n_candidates: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows most similar to each query among those that have one of its labels.

        Parameters
        ----------
        view : CSRView
            The queries are its rows begin <= i < end.
        begin, end : int
        labels : ndarray of int32, shape (end - begin, n_listed)
            Padded with -1.
        n_neighbors, n_candidates : int
            Largest number of rows that are found, and that are compared.

        Returns
        -------
        neighbors : ndarray of int32, shape (end - begin, n_neighbors)
            Most similar first, ties by lower row, padded with -1.
        similarity : ndarray of float32, shape (end - begin, n_neighbors)
            The cosines, padded with 0.
        """
        neighbors = np.empty((end - begin, n_neighbors), INT)
        similarity = np.empty((end - begin, n_neighbors), FLOAT)
        params = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        check(
            lib.skx_find_neighbors(
                self._c_view().struct,
                view.struct,
                params,
                begin,
                end,
                labels.shape[1],
                pointer(labels, INT),
                pointer(neighbors, INT),
                pointer(similarity, FLOAT),
            )
        )
        return neighbors, similarity

    def _make_view(self) -> CStruct:
        pointers = {name: pointer(self.arrays[name], t) for name, t in self.DTYPES.items()}
        struct = ffi.new(
            "skx_neighbor_rows *",
            [
                self.n_rows,
                len(self.arrays["words"]),
                pointers["word_ptr"],
                pointers["words"],
                self.n_labels,
                len(self.arrays["labels"]),
                pointers["label_ptr"],
                pointers["labels"],
                pointers["posting_ptr"],
                pointers["postings"],
                pointers["weight"],
            ],
        )
        return CStruct(struct, (pointers,))


class RowCombiner:
    """Combines the ranking of one row with its nearest neighbors, in one C call.

    Any number of threads may call it at once.

    Parameters
    ----------
    rows : NeighborRows
    n_neighbors, n_candidates : int
        As for `NeighborRows.find`.
    power, weight : float
        As for `combine`.
    n_query_labels : int
        Number of highest ranked labels whose rows are compared with the query.
    k, n_labels, n_head : int
        As for `combine`.
    logarithms : bool
        As for `combine`.
    """

    def __init__(
        self,
        rows: NeighborRows,
        n_neighbors: int,
        n_candidates: int,
        power: float,
        weight: float,
        n_query_labels: int,
        *,
        k: int,
        n_labels: int,
        n_head: int,
        logarithms: bool,
    ):
        self._rows = rows
        self._search = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        self._k_asked = k
        self._k = min(k, n_labels)
        self._values = [n_neighbors, power, weight, -np.inf, self._k, 1, n_head, logarithms]
        self._params = _combine_params(self._values, None)
        self._n_query_labels = n_query_labels

    def combine(
        self,
        indices: np.ndarray,
        values: np.ndarray,
        listed: np.ndarray,
        listed_scores: np.ndarray,
        restriction: "LabelRestrictionView | None" = None,
    ) -> Ranking:
        """Combine the ranking of a row with its neighbors.

        Parameters
        ----------
        indices : ndarray of int32
        values : ndarray of float32
            The nonzeros of the row, which must be valid.
        listed, listed_scores : ndarray of shape (1, n)
            As for `combine`.
        restriction : LabelRestrictionView of one row, optional
        """
        params = self._params
        if restriction is not None:
            _check_restriction(restriction, self._rows.n_labels, 1)
            params = _combine_params(self._values, restriction)
        labels = np.empty((1, self._k), INT)
        scores = np.empty((1, self._k), FLOAT)
        n_listed = listed.shape[1]
        rankings = ffi.new(_RANKINGS)
        rankings.n_listed = n_listed
        rankings.labels = _from_buffer(_INTS, listed)
        rankings.scores = _from_buffer(_FLOATS, listed_scores)
        status = _combine_row(
            self._rows._c_view().struct,
            self._search,
            params,
            _from_buffer(_INTS, indices),
            _from_buffer(_FLOATS, values),
            len(values),
            rankings,
            min(self._n_query_labels, n_listed),
            _from_buffer(_INTS, labels),
            _from_buffer(_FLOATS, scores),
        )
        if status != _OK:
            check(status)
        return pad_ranking(labels, scores, self._k_asked)


def pack_rows(X: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Pack rows into four bytes per nonzero, for comparisons.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)

    Returns
    -------
    word_ptr : ndarray of int64, shape (n + 1,)
    words : ndarray of uint32, shape (n + nnz,)
        The words of a row are its scale, a float32, and ``256 * feature + 128 + step`` for each
        nonzero. A step is the value times 127, divided by the largest value of the row and rounded.
        The scale is 1 over the norm of the steps. Only the lowest 24 bits of a feature are stored.
    """
    n = X.shape[0]
    lengths = np.diff(X.indptr)
    filled = np.flatnonzero(lengths)
    scale = np.ones(n, dtype=FLOAT)
    starts = X.indptr[filled]
    with np.errstate(over="ignore"):  # rows that small have no meaningful direction
        scale[filled] = np.float32(127) / np.maximum.reduceat(np.abs(X.data), starts)
    steps = np.rint(X.data * np.repeat(np.minimum(scale, np.finfo(FLOAT).max), lengths))
    scale[filled] = 1 / np.sqrt(np.maximum(np.add.reduceat(steps * steps, starts), 1))
    word_ptr = X.indptr.astype(np.int64) + np.arange(n + 1)
    words = np.empty(n + X.nnz, dtype=WORD)
    words[word_ptr[:-1]] = scale.view(WORD)
    packed = (X.indices.astype(WORD) << 8) + (steps.astype(INT) + 128).astype(WORD)
    words[np.arange(X.nnz) + np.repeat(np.arange(1, n + 1), lengths)] = packed
    return word_ptr, words


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
    neighbors: tuple[NeighborRows, np.ndarray, np.ndarray, float, float] | None = None,
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
    neighbors : tuple (rows, neighbors, similarity, power, weight), optional
        NeighborRows and the results of their `find`. The weight of a neighbor is its similarity to
        the power, divided by the sum over all neighbors and multiplied by `weight`.
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
    if neighbors is None:
        rows_struct = found_pointer = similarity_pointer = ffi.NULL
        n_neighbors = 0
        power = 1.0
        weight = 0.0
    else:
        rows, found, similarity, power, weight = neighbors
        n_neighbors = found.shape[1]
        rows_struct = rows._c_view().struct
        found_pointer = pointer(found, INT)
        similarity_pointer = pointer(similarity, FLOAT)
    if restriction is not None:
        _check_restriction(restriction, n_labels, n)
    kept = min(k, n_labels)
    values = [n_neighbors, power, weight, floor, kept, n_lists, n_head, logarithms]
    params = _combine_params(values, restriction)
    buffers = pointer(listed, INT), pointer(scores, FLOAT)
    rankings = ffi.new("skx_rankings *", [n_listed, *buffers])
    labels = np.empty((n, kept), INT)
    out = np.empty((n, kept), FLOAT)
    check(
        lib.skx_combine(
            rows_struct,
            params,
            n,
            rankings,
            found_pointer,
            similarity_pointer,
            pointer(labels, INT),
            pointer(out, FLOAT),
        )
    )
    return pad_ranking(labels, out, k)
