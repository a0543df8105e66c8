"""Matrices of ages, which recommenders tell apart from matrices of weights."""

import numpy as np
import scipy.sparse as sp

#: Methods of CSR matrices that compute new values.
_ARITHMETIC = (
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __matmul__ __rmatmul__ __truediv__ "
    "__rtruediv__ __pow__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ multiply maximum minimum dot"
).split()


class AgeMatrix(sp.csr_matrix):
    """Histories whose entries are ages in days, at least a second.

    :class:`Recency` makes weights of the ages. Recommenders that are given ages directly use 1 for
    every entry. Other estimators see a CSR matrix.

    Notes
    -----
    Copies and selected rows or columns are matrices of ages. Results of arithmetic are plain CSR
    matrices, whose entries recommenders use as weights. This also holds for a matrix whose `data`
    were changed: its entries count as weights. Changes are found by a sum for each row. A change of
    the order of the ages in a row is not found, and selected rows are ages unless one of them was
    changed.

    :func:`scipy.sparse.vstack`, :func:`scipy.sparse.save_npz` and conversions to other formats lose
    the type: recommenders would use the ages as weights, with the highest weights for the oldest
    purchases. Use `Recency` before, or ``AgeMatrix(matrix)`` after.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix, vstack
    >>> from skxmr.recommenders import AgeMatrix
    >>> ages = AgeMatrix(csr_matrix([[1.0, 30.0, 90.0]]))
    >>> type(ages[:, 1:]).__name__, type(0.5 * ages).__name__
    ('AgeMatrix', 'csr_matrix')
    >>> AgeMatrix(vstack([ages, ages])).holds_ages()
    True
    """

    #: None for matrices that an earlier version pickled. They count as ages.
    _row_sums = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._row_sums = self._sums_of_bits()

    def holds_ages(self):
        """Return whether the entries are those that the matrix was made with.

        Returns
        -------
        holds_ages : bool
            False if `data` was changed. Takes linear time.
        """
        return self._row_sums is None or np.array_equal(self._row_sums, self._sums_of_bits())

    def copy(self):
        """Return a copy."""
        return self._of_same_ages(super().copy())

    def astype(self, dtype, casting="unsafe", copy=True):
        """Convert the entries to another type."""
        converted = super().astype(dtype, casting=casting, copy=copy)
        return converted if isinstance(converted, AgeMatrix) else self._of_same_ages(converted)

    def getrow(self, i):
        """Return a row as a matrix."""
        return self[i, :]

    def getcol(self, i):
        """Return a column as a matrix."""
        return self[:, i]

    def resize(self, *shape):
        """Change the shape in place. Entries outside of it are removed."""
        holds_ages = self.holds_ages()
        super().resize(*shape)
        if holds_ages:
            self._row_sums = self._sums_of_bits()

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if not isinstance(part, AgeMatrix) or self._row_sums is None:
            return part
        rows, columns = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        has_all_columns = isinstance(columns, slice) and columns == slice(None)
        if has_all_columns and isinstance(rows, (int, np.integer, slice, list, np.ndarray)):
            # The other rows are not compared, so that one row of a large matrix takes little time.
            sums = np.atleast_1d(self._row_sums[rows])
            if np.array_equal(sums, part._row_sums):
                return part
        return part if self.holds_ages() else sp.csr_matrix(part)

    def __iter__(self):
        return (self[i] for i in range(self.shape[0]))

    def _with_data(self, data, copy=True):
        return sp.csr_matrix(self)._with_data(data, copy=copy)

    def _of_same_ages(self, matrix):
        return AgeMatrix(matrix) if self.holds_ages() else matrix

    def _sums_of_bits(self):
        """Return the sum of the entries of each row, read as integers.

        They do not depend on the order of the entries, nor on stored zeros.
        """
        data = np.ascontiguousarray(self.data[: self.indptr[-1]])
        size = data.dtype.itemsize
        words = max(1, size // 8)
        bits = data.view(f"u{min(size, 8)}")
        filled = np.flatnonzero(np.diff(self.indptr) > 0)
        sums = np.zeros(self.shape[0], dtype=np.uint64)
        if len(filled):
            starts = self.indptr[filled].astype(np.int64) * words
            sums[filled] = np.add.reduceat(bits, starts, dtype=np.uint64)
        return sums


def _plain(name):
    """Return a method of AgeMatrix that computes with a plain CSR matrix of the same arrays."""

    def method(self, *args, **kwargs):
        return getattr(sp.csr_matrix(self), name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"Compute as :meth:`scipy.sparse.csr_matrix.{name}`, with a plain matrix."
    return method


for _name in _ARITHMETIC:
    setattr(AgeMatrix, _name, _plain(_name))
