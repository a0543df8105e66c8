"""Nearest neighbors, and rankings combined with their labels, in C."""

import numpy as np

from ._library import FLOAT, INT, LONG, WORD, check, check_array, ffi, lib, pointer
from ._search import pad_ranking
from ._sparse import csr_fault
from ._view import CStruct, CView

# Looked up once: a row's search takes microseconds.
_INTS, _FLOATS = ffi.typeof("int32_t[]"), ffi.typeof("float[]")
_from_buffer, _combine_row, _OK = ffi.from_buffer, lib.skx_combine_row, lib.SKX_OK


class NeighborRows(CView):
    """Training rows among which nearest neighbors are found, and their labels.

    Any content of the arrays is safe as long as their lengths fit each other, which is checked.

    Parameters
    ----------
    n_features, n_labels : int
    **arrays
        word_ptr, words : the rows as `pack_rows` makes them.
        label_ptr, labels : the labels of each row.
        posting_ptr, postings : the rows of each label.
        weight : how many times each row counts.
    source : ndarray of int32, optional
        Which of the rows given each of them is; of several equal ones, the first. Only to be told.
    n_given : int
        How many rows were given.
    checksums : dict of str to int, optional
        Of the arrays and `source`, as those of a Layer.

    Raises
    ------
    ValueError
        If an array is not of its kind, or the lengths of the arrays contradict each other.
    """

    DTYPES = {
        "word_ptr": LONG,
        "words": WORD,
        "label_ptr": LONG,
        "labels": INT,
        "posting_ptr": LONG,
        "postings": INT,
        "weight": FLOAT,
    }

    def __init__(self, n_features, n_labels, *, source=None, n_given=0, checksums=None, **arrays):
        self.n_features, self.n_labels = n_features, n_labels
        self.source, self.n_given = source, n_given
        self.arrays, self.checksums = arrays, checksums or {}
        self._check_lengths()

    def __setstate__(self, state):
        super().__setstate__({"checksums": {}, **state})  # none where an earlier release pickled
        self._check_lengths()

    def _check_lengths(self):
        """Check all that C relies on."""
        for name, dtype in self.DTYPES.items():
            check_array(self.arrays.get(name), dtype, name)
        n_labels, source = self.n_labels, self.source
        if source is not None:
            check_array(source, INT, "source")
        length = {name: len(array) for name, array in self.arrays.items()}
        fit = (
            length["label_ptr"] == length["word_ptr"] == length["weight"] + 1
            and length["posting_ptr"] == n_labels + 1
            and length["postings"] == length["labels"]
            and (source is None or len(source) == length["weight"])
        )
        if not fit:
            raise ValueError("the arrays of the neighbors contradict each other")

    @property
    def n_rows(self):
        """Number of rows."""
        return len(self.arrays["weight"])

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        told = 0 if self.source is None else self.source.nbytes
        return told + sum(array.nbytes for array in self.arrays.values())

    def check(self):
        """Raise a ValueError unless the content of the arrays is what it should be."""
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

    def find(self, view, lo, hi, labels, n_neighbors, n_candidates):
        """Find the rows most similar to each query among those that have one of its labels.

        Parameters
        ----------
        view : CSRView
            The queries, of which the rows `lo` to `hi` are looked at.
        lo, hi : int
        labels : ndarray of int32, shape (hi - lo, n_listed)
            Padded with -1.
        n_neighbors, n_candidates : int
            Rows found, and rows compared, at most.

        Returns
        -------
        neighbors : ndarray of int32, shape (hi - lo, n_neighbors)
            Most similar first, ties by lower row, padded with -1.
        similarity : ndarray of float32, shape (hi - lo, n_neighbors)
            The cosines, padded with 0.
        """
        shape = hi - lo, n_neighbors
        neighbors, similarity = np.empty(shape, INT), np.empty(shape, FLOAT)
        params = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        check(
            lib.skx_find_neighbors(
                self._c_view().struct,
                view.struct,
                params,
                lo,
                hi,
                labels.shape[1],
                pointer(labels, INT),
                pointer(neighbors, INT),
                pointer(similarity, FLOAT),
            )
        )
        return neighbors, similarity

    def _make_view(self):
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
        Highest ranked labels whose rows are compared with the query.
    k, n_labels, n_head : int
        As for `combine`.
    logarithms : bool
        As for `combine`.
    """

    def __init__(
        self,
        rows,
        n_neighbors,
        n_candidates,
        power,
        weight,
        n_query_labels,
        *,
        k,
        n_labels,
        n_head,
        logarithms,
    ):
        self._rows = rows
        self._search = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        self._k_asked, self._k = k, min(k, n_labels)
        self._values = [n_neighbors, power, weight, -np.inf, self._k, 1, n_head, logarithms]
        self._params = _combine_params(self._values, None)
        self._n_query_labels = n_query_labels

    def combine(self, indices, values, listed, listed_scores, restriction=None):
        """Combine a row's ranking, of shape (1, n), with its neighbors.

        Parameters
        ----------
        indices : ndarray of int32
        values : ndarray of float32
            The row's nonzeros, which must be valid.
        listed, listed_scores : ndarray of shape (1, n)
            As for `combine`.
        restriction : LabelRestrictionView of one row, optional
        """
        params = self._params
        if restriction is not None:
            _check_restriction(restriction, self._rows.n_labels, 1)
            params = _combine_params(self._values, restriction)
        labels, scores = np.empty((1, self._k), INT), np.empty((1, self._k), FLOAT)
        n_listed = listed.shape[1]
        status = _combine_row(
            self._rows._c_view().struct,
            self._search,
            params,
            _from_buffer(_INTS, indices),
            _from_buffer(_FLOATS, values),
            len(values),
            n_listed,
            min(self._n_query_labels, n_listed),
            _from_buffer(_INTS, listed),
            _from_buffer(_FLOATS, listed_scores),
            _from_buffer(_INTS, labels),
            _from_buffer(_FLOATS, scores),
        )
        if status != _OK:
            check(status)
        return pad_ranking(labels, scores, self._k_asked)


def pack_rows(X):
    """Pack rows for comparisons: four bytes per nonzero.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)

    Returns
    -------
    word_ptr : ndarray of int64, shape (n + 1,)
    words : ndarray of uint32, shape (n + nnz,)
        A row's words are a float32, its scale, and for each nonzero ``256 * feature + 128 + step``:
        steps are the values times 127 and over the row's largest, rounded, and a scale over the
        norm of the steps. Of a feature's number the lowest 24 bits are kept.
    """
    n, lengths = X.shape[0], np.diff(X.indptr)
    filled, scale = np.flatnonzero(lengths), np.ones(n, dtype=FLOAT)
    starts = X.indptr[filled]
    with np.errstate(over="ignore"):  # what is as faint as that has no direction to speak of
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
    """The C struct of a restriction of rows to labels of consecutive positions.

    Parameters
    ----------
    position : ndarray of int32, shape (n_labels,)
        Position of each label in an order.
    ranges : ndarray of int64, shape (n_rows, 2)
        Half-open range of positions of each row.
    """

    def __init__(self, position, ranges):
        self.n_labels = len(position)
        self.n_rows = len(ranges)
        self._buffers = pointer(position, INT), pointer(ranges, LONG)
        self.struct = ffi.new("skx_label_restriction *", self._buffers)


def _check_restriction(restriction, n_labels, n_rows):
    if (restriction.n_labels, restriction.n_rows) != (n_labels, n_rows):
        raise ValueError("the restriction must be of the model's labels and of the same rows")


def _combine_params(values, restriction):
    within = ffi.NULL if restriction is None else restriction.struct
    return ffi.new("skx_combine_params *", [*values, within])


def combine(
    listed,
    scores,
    k,
    n_labels,
    *,
    n_lists=1,
    n_head,
    logarithms=False,
    floor=-np.inf,
    neighbors=None,
    restriction=None,
):
    """Combine rankings, and the labels of nearest neighbors.

    A label's score is the sum of its scores in those rankings that have it among their first
    `n_head`, and of the weights of its neighbors. A score from further down in a ranking counts
    instead of that sum where it is larger. So the k best labels do not depend on the length of the
    rankings, once it is at least k and `n_head`.

    Parameters
    ----------
    listed : ndarray of int32, shape (n, n_lists * length)
        Labels of one or several rankings of equal length, best first, padded with -1.
    scores : ndarray of float32, shape (n, n_lists * length)
    k, n_labels : int
    n_lists : int
        Number of rankings.
    n_head : int
        Labels of each ranking whose scores are added up.
    logarithms : bool
        Whether scores are logarithms. Those of sums are then computed from them.
    floor : float
        Labels of lower scores are left out.
    neighbors : tuple (rows, neighbors, similarity, power, weight), optional
        NeighborRows and what their `find` returned. A neighbor counts its similarity to the power,
        divided by the sum over all neighbors; `weight` is what that is multiplied by.
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
        rows = found = similarity = ffi.NULL
        n_neighbors, power, weight = 0, 1.0, 0.0
    else:
        rows, found, similarity, power, weight = neighbors
        n_neighbors = found.shape[1]
        rows = rows._c_view().struct
        found = pointer(found, INT)
        similarity = pointer(similarity, FLOAT)
    if restriction is not None:
        _check_restriction(restriction, n_labels, n)
    kept = min(k, n_labels)
    values = [n_neighbors, power, weight, floor, kept, n_lists, n_head, logarithms]
    params = _combine_params(values, restriction)
    labels, out = np.empty((n, kept), INT), np.empty((n, kept), FLOAT)
    check(
        lib.skx_combine(
            rows,
            params,
            n,
            n_listed,
            pointer(listed, INT),
            pointer(scores, FLOAT),
            found,
            similarity,
            pointer(labels, INT),
            pointer(out, FLOAT),
        )
    )
    return pad_ranking(labels, out, k)
