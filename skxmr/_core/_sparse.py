"""Compressed sparse rows in C."""

import numpy as np
import scipy.sparse as sp

from ._arrays import indptr_of
from ._hashing import digest
from ._library import BYTE, DOUBLE, FLOAT, INT, LONG, LONG_WORD, check, ffi, lib, pointer
from ._view import CStruct

_FAULTS = {
    lib.SKX_EPOINTER: "has index pointers that fall or lead outside its arrays",
    lib.SKX_EINDEX: "has a column index outside the matrix",
    lib.SKX_EORDER: "has column indices that are unsorted or occur twice",
    lib.SKX_EFINITE: "contains NaN or infinity",
}


class CSRView:
    """An `skx_csr` over a matrix, and the arrays that it borrows.

    Parameters
    ----------
    matrix : CSR matrix or MappedCSR
        Must have passed `csr_check`, except as its argument.
    """

    def __init__(self, matrix: sp.csr_matrix):
        self._borrow(matrix.shape, matrix.indptr, matrix.indices, matrix.data)
        self.struct.mapped = getattr(matrix, "is_mapped", False)

    @classmethod
    def of_row(cls, indices: np.ndarray, values: np.ndarray, n_columns: int) -> "CSRView":
        """Return a view of a single row, given its nonzeros."""
        view = object.__new__(cls)
        view._borrow((1, n_columns), np.array([0, len(indices)]), indices, values)
        return view

    def leading(self, begin: int, end: int, n_columns: int) -> "CSRView":
        """Return a view with the first columns of the rows begin <= i < end only.

        It has rows of the same numbers; those before `begin` are empty.
        """
        starts = self.indptr[begin:end]
        ends, _ = _split(self._part(begin, end), end - begin, n_columns)
        indptr = np.zeros(end + 1, dtype=LONG)
        indptr[begin:] = indptr_of(ends - starts)
        kept = np.arange(indptr[-1]) + np.repeat(starts - indptr[begin:end], ends - starts)
        view = object.__new__(CSRView)
        view._borrow((end, n_columns), indptr, *(array[kept] for array in self._owners))
        return view

    def digest(self, begin: int, end: int) -> tuple:
        """Return what identifies the content of the rows begin <= i < end."""
        indptr = self.indptr[begin : end + 1]
        entries = slice(indptr[0], indptr[-1])
        parts = (indptr - indptr[0], *(array[entries] for array in self._owners))
        return (end - begin, self.shape[1], *map(digest, parts))

    def _part(self, begin: int, end: int) -> CStruct:
        """Return the struct of the rows begin <= i < end."""
        pointers = pointer(self.indptr[begin : end + 1], LONG)
        buffers = (pointers, *self._buffers[1:])
        return CStruct(ffi.new("skx_csr *", [end - begin, self.shape[1], *buffers]), buffers)

    def _borrow(
        self, shape: tuple[int, int], indptr: np.ndarray, indices: np.ndarray, data: np.ndarray
    ) -> None:
        indptr = np.ascontiguousarray(indptr, dtype=LONG)
        indices = np.ascontiguousarray(indices, dtype=INT)
        data = np.ascontiguousarray(data, dtype=FLOAT)
        self.nnz = len(indices)
        self.shape = shape
        self.indptr = indptr
        self._owners = (indices, data)
        self._buffers = (pointer(indptr, LONG), pointer(indices, INT), pointer(data, FLOAT))
        self.struct = ffi.new("skx_csr *", [*shape, *self._buffers])


class CSRBuffers:
    """Arrays for the CSR rows that a function of C writes.

    Parameters
    ----------
    n_rows : int
    capacity : int
        Largest number of entries.

    Attributes
    ----------
    struct : skx_csr_buffers *
    """

    def __init__(self, n_rows: int, capacity: int):
        self.indptr = np.empty(n_rows + 1, dtype=LONG)
        self._indices = np.empty(capacity, dtype=INT)
        self._data = np.empty(capacity, dtype=FLOAT)
        buffers = (pointer(self._indices, INT), pointer(self._data, FLOAT))
        out = [capacity, pointer(self.indptr, LONG), *buffers]
        self.struct = ffi.new("skx_csr_buffers *", out)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Return copies of the indices and the values that were written."""
        n = self.indptr[-1]
        return self._indices[:n].copy(), self._data[:n].copy()

    def matrix(self, n_columns: int) -> sp.csr_matrix:
        """Return the rows that were written as a matrix."""
        indices, data = self.entries()
        return sp.csr_matrix((data, indices, self.indptr), shape=(len(self.indptr) - 1, n_columns))


def csr_check(matrix: sp.csr_matrix) -> tuple[str | None, bool]:
    """Check an untrusted CSR matrix in one pass.

    Returns
    -------
    fault : str or None
        Description of the first fault, to follow the name of the matrix; None if there is none.
    unsorted : bool
        Whether that fault is the order of the indices.
    """
    if not _arrays_fit(matrix):
        return _FAULTS[lib.SKX_EPOINTER], False
    if not _indices_fit(matrix):
        return _FAULTS[lib.SKX_EINDEX], False
    view = CSRView(matrix)
    row = ffi.new("int64_t *")
    status = lib.skx_csr_check(view.struct, view.nnz, row)
    if status == lib.SKX_OK:
        return None, False
    return f"{_FAULTS[status]} (row {row[0]})", status == lib.SKX_EORDER


def csr_fault(
    indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, n_columns: int
) -> str | None:
    """Describe the first fault of the arrays of a canonical matrix; None if there is none.

    The arrays must be of int64, int32 and float32, `indptr` with at least one element.
    """
    buffers = pointer(indptr, LONG), pointer(indices, INT), pointer(data, FLOAT)
    struct = ffi.new("skx_csr *", [len(indptr) - 1, n_columns, *buffers])
    row = ffi.new("int64_t *")
    status = lib.skx_csr_check(struct, len(indices), row)
    return None if status == lib.SKX_OK else f"{_FAULTS[status]} (row {row[0]})"


def _arrays_fit(matrix: sp.csr_matrix) -> bool:
    """Return whether the arrays have the lengths of the shape."""
    lengths_fit = len(matrix.indptr) == matrix.shape[0] + 1
    return lengths_fit and len(matrix.indices) == len(matrix.data)


def _indices_fit(matrix: sp.csr_matrix) -> bool:
    """Return whether int64 indices are in range, before a conversion could make them valid."""
    used = matrix.indices[: max(0, matrix.indptr[-1])]
    if used.dtype == INT or len(used) == 0:
        return True
    return used.min() >= 0 and used.max() < matrix.shape[1]


def csr_transpose(matrix: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Transpose the pattern of a checked CSR matrix.

    Returns
    -------
    indptr : ndarray of int64, shape (n_columns + 1,)
    rows : ndarray of int32, shape (nnz,)
        The rows of each column, in increasing order.
    """
    view = CSRView(matrix)
    view.struct.data = ffi.NULL
    indptr = np.empty(matrix.shape[1] + 1, dtype=LONG)
    rows = np.empty(view.nnz, dtype=INT)
    check(lib.skx_csr_transpose(view.struct, pointer(indptr, LONG), pointer(rows, INT), ffi.NULL))
    return indptr, rows


def csr_group_sum(
    matrix: sp.csr_matrix,
    group_ptr: np.ndarray,
    member: np.ndarray,
    weight: np.ndarray,
    begin: int,
    end: int,
    *,
    normalize: bool,
) -> sp.csr_matrix:
    """Sum weighted rows of a checked CSR matrix by group, for the groups begin <= g < end.

    Parameters
    ----------
    matrix : CSR matrix of shape (n, m)
    group_ptr : ndarray of int64, shape (n_groups + 1,)
    member : ndarray of int32
        Rows of the matrix; group g has ``member[group_ptr[g]:group_ptr[g + 1]]``.
    weight : ndarray of float32
        The weight of each member.
    begin, end : int
    normalize : bool
        Whether to divide each sum by its Euclidean norm.

    Returns
    -------
    sums : csr_matrix of float32, shape (end - begin, m)
    """
    view = CSRView(matrix)
    capacity = _group_capacity(view.indptr, group_ptr[begin : end + 1], member, matrix.shape[1])
    out = CSRBuffers(end - begin, capacity)
    check(
        lib.skx_csr_group_sum(
            view.struct,
            pointer(group_ptr, LONG),
            pointer(member, INT),
            pointer(weight, FLOAT),
            begin,
            end,
            normalize,
            out.struct,
        )
    )
    return out.matrix(matrix.shape[1])


def _group_capacity(
    indptr: np.ndarray, group_ptr: np.ndarray, member: np.ndarray, n_columns: int
) -> int:
    """Bound the number of nonzeros of the sums."""
    member = member[group_ptr[0] : group_ptr[-1]]
    total = indptr_of(indptr[member + 1] - indptr[member])
    per_group = np.diff(total[group_ptr - group_ptr[0]])
    return int(np.minimum(per_group, n_columns).sum())


def csr_top_k(matrix: sp.csr_matrix, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Take the k stored entries with the highest values of each row of a checked CSR matrix.

    Returns
    -------
    labels : ndarray of int32, shape (n, k)
        Columns, best first, ties by lower column, padded with -1.
    scores : ndarray of float32, shape (n, k)
        Their values, padded with -inf.
    """
    view = CSRView(matrix)
    labels = np.empty((matrix.shape[0], k), dtype=INT)
    scores = np.empty((matrix.shape[0], k), dtype=FLOAT)
    check(lib.skx_csr_top_k(view.struct, k, pointer(labels, INT), pointer(scores, FLOAT)))
    return labels, scores


def csr_split(
    matrix: sp.csr_matrix, first: int, *, norms: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Find where the last columns of each row of a checked CSR matrix begin.

    Parameters
    ----------
    matrix : CSR matrix of shape (n, m)
    first : int
        The first of these columns.
    norms : bool
        Whether to compute the norms of the rows in these columns.

    Returns
    -------
    at : ndarray of int64, shape (n,)
        Position of the first entry of each row in these columns.
    norm : ndarray of float64, shape (n,), or None
    """
    view = CSRView(matrix)
    return _split(CStruct(view.struct, (view,)), matrix.shape[0], first, norms=norms)


def _split(
    rows: CStruct, n: int, first: int, *, norms: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    at = np.empty(n, dtype=LONG)
    norm = np.empty(n, dtype=DOUBLE) if norms else None
    out = ffi.NULL if norm is None else pointer(norm, DOUBLE)
    check(lib.skx_csr_split(rows.struct, first, pointer(at, LONG), out))
    return at, norm


def csr_hash_rows(matrix: sp.csr_matrix, seed: np.ndarray | None = None) -> np.ndarray:
    """Hash the rows of a checked CSR matrix; equal rows have equal hashes.

    Parameters
    ----------
    matrix : CSR matrix of shape (n, m)
    seed : ndarray of uint64, shape (n,), optional
        Combined with the hash of each row.

    Returns
    -------
    hashes : ndarray of uint64, shape (n,)
    """
    view = CSRView(matrix)
    out = np.empty(matrix.shape[0], dtype=LONG_WORD)
    start = pointer(seed, LONG_WORD) if seed is not None else ffi.NULL
    check(lib.skx_csr_hash_rows(view.struct, start, pointer(out, LONG_WORD)))
    return out


def csr_rows_equal(matrix: sp.csr_matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compare pairs of rows of a checked CSR matrix.

    Parameters
    ----------
    matrix : CSR matrix of shape (n, m)
    left, right : ndarray of int32, shape (n_pairs,)
        The rows of each pair.

    Returns
    -------
    equal : ndarray of bool, shape (n_pairs,)
    """
    view = CSRView(matrix)
    out = np.empty(len(left), dtype=BYTE)
    check(
        lib.skx_csr_compare_rows(
            view.struct, pointer(left, INT), pointer(right, INT), len(left), pointer(out, BYTE)
        )
    )
    return out.astype(bool)
