"""Validation of arrays and matrices before C reads them."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .._core import csr_check
from .mapped_csr import MappedCSR


def check_features(estimator, X, *, reset):
    """Validate a feature matrix and return it as canonical float32 CSR with int32 indices.

    A MappedCSR is valid, and returned as it is. The arrays of the caller are never changed:
    unsorted or duplicate entries are corrected in a copy.
    """
    if reset and isinstance(X, MappedCSR):
        estimator.n_features_in_ = X.shape[1]
        return X
    if not reset and _is_ready(estimator, X):
        return canonical_csr(X, "X")
    check_sparse_structure(X, "X")
    X = widened(X)
    X = validate_data(estimator, X, accept_sparse="csr", dtype=np.float32, reset=reset)
    return canonical_csr(X, "X")


def _is_ready(estimator, X):
    """Whether validate_data can be skipped to save time. canonical_csr checks the rest."""
    return (
        isinstance(X, (sp.csr_matrix, sp.csr_array))
        and X.dtype == np.float32
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


_CSR = (sp.csr_matrix, sp.csr_array)


def single_row(X, n_features):
    """Return the arrays of a single row without checking their content.

    Returns
    -------
    row : tuple (indices, values), ndarray or None
        Arrays of a CSR matrix of one row or of a pair; a dense float32 row as it is. None for other
        types, and if C could not read the arrays as they are.
    """
    kind = type(X)
    if kind in _CSR:
        indices = X.indices
        values = X.data
        indptr = X.indptr
        if X.shape != (1, n_features) or indptr.tolist() != [0, len(values)]:
            return None
    elif kind is tuple and len(X) == 2:
        indices, values = X
        if type(indices) is not np.ndarray or type(values) is not np.ndarray:
            return None
    else:
        ready = kind is np.ndarray and X.shape == (1, n_features) and X.dtype == np.float32
        return X if ready and X.flags.c_contiguous else None
    # One-dimensional arrays without gaps between elements of 4 bytes.
    return (indices, values) if indices.strides == values.strides == (4,) else None


def pair_to_csr(pair, n_features):
    """Validate a pair (indices, values) and return it as a CSR matrix of one row."""
    if len(pair) != 2:
        raise ValueError(f"X as a tuple must be a pair (indices, values), got {len(pair)} elements")
    indices, values = (np.atleast_1d(np.asarray(part)) for part in pair)
    if indices.ndim != 1 or indices.shape != values.shape:
        raise ValueError(
            "X as a pair (indices, values) must hold two one-dimensional arrays of equal length, "
            f"got shapes {indices.shape} and {values.shape}"
        )
    if len(indices) and indices.dtype.kind not in "iu":
        raise TypeError(f"X as a pair must have integer indices, got {indices.dtype}")
    if values.dtype.kind not in "fiub":
        raise TypeError(f"X as a pair must have real values, got {values.dtype}")
    if len(indices) and not 0 <= indices.min() <= indices.max() < n_features:
        raise ValueError(f"X as a pair must have indices in [0, {n_features})")
    pointers = np.array([0, len(indices)])
    return sp.csr_matrix((values, indices.astype(np.int64), pointers), shape=(1, n_features))


def as_array(values, name):
    """Return a sparse matrix as it is, and other values as an array, before any other check.

    Columns of a data frame may be nullable or of several types; ``numpy.asarray`` would return
    numbers as objects.
    """
    if sp.issparse(values):
        return values
    if isinstance(values, np.ndarray) and values.dtype.kind == "T":
        values = values.tolist()  # scikit-learn does not know StringDType
    if isinstance(values, np.ndarray) or not hasattr(values, "__array__"):
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{name} must have rows of one length: {error}") from error
        # NumPy converts a missing value among strings or bytes to the text "nan".
        became_texts = array is not values and array.dtype.kind in "US"
        if became_texts and any_missing(np.asarray(values, dtype=object)):
            raise ValueError(f"{name} must not have missing values")
        return array
    # A nullable column. Converted to floats, large integers could become equal.
    numpy_dtype = getattr(getattr(values, "dtype", None), "numpy_dtype", None)
    try:
        if numpy_dtype is not None:
            array = values.to_numpy(dtype=numpy_dtype)
        else:
            array = check_array(values, input_name=name, **_UNCHECKED)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array without missing values: {error}") from error
    if array.dtype == object and any_missing(array):
        raise ValueError(f"{name} must not have missing values")
    return array


def any_missing(values):
    """Whether an array holds NaN, infinity, None or the NA of pandas."""
    if values.dtype.kind == "f":
        return not np.isfinite(values).all()
    if values.dtype != object:
        return False
    try:
        return bool((values == None).any() or (values != values).any())  # noqa: E711
    except TypeError:  # NA neither equals anything nor differs from it
        return True


_UNCHECKED = {
    "accept_sparse": True,
    "dtype": None,
    "ensure_all_finite": False,
    "ensure_2d": False,
    "allow_nd": True,
    "ensure_min_samples": 0,
    "ensure_min_features": 0,
}


def check_matrix(matrix, name, n_rows=None, *, keep_zeros=False):
    """Validate a matrix that is not the X of an estimator, such as label features.

    Returns
    -------
    matrix : csr_matrix of float32
        Canonical, see `canonical_csr`.

    Raises
    ------
    ValueError
        If it is not a finite 2-D matrix of real numbers with at least one column, or does not have
        `n_rows` rows.
    """
    check_sparse_structure(matrix, name)
    matrix = as_array(matrix, name)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be a two-dimensional matrix of real numbers with at least one column, "
            f"got {matrix.dtype} with shape {matrix.shape}"
        )
    if n_rows is not None and matrix.shape[0] != n_rows:
        raise ValueError(f"{name} must have {n_rows} rows, got {matrix.shape[0]}")
    return canonical_csr(matrix, name, keep_zeros=keep_zeros)


def canonical_csr(matrix, name, *, keep_zeros=False):
    """Convert a matrix to canonical CSR: float32, int32 indices, sorted, no duplicates or zeros.

    Raises
    ------
    ValueError
        If it has wrong indices, values that are not finite, or more columns than int32 can number.
    """
    if matrix.shape[1] > np.iinfo(np.int32).max:
        raise ValueError(f"{name} has {matrix.shape[1]} columns, more than int32 can number")
    if not (isinstance(matrix, sp.csr_matrix) and matrix.dtype == np.float32):
        check_sparse_structure(matrix, name)
        matrix = widened(matrix)
        with np.errstate(over="ignore"):  # too large values become infinite, and are rejected below
            matrix = sp.csr_matrix(matrix, dtype=np.float32)
    fault, unsorted = csr_check(matrix)
    if unsorted:
        matrix = summed_csr(matrix, name)  # checks all indices: there may be a second fault
        fault, _ = csr_check(matrix)
    if fault:
        raise ValueError(f"{name} {fault}")
    if not keep_zeros and not matrix.data.all():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    if matrix.indices.dtype != np.int32:
        indices = matrix.indices.astype(np.int32)
        indptr = matrix.indptr.astype(np.int64)
        # The constructor would choose the dtype of the indices itself.
        narrow = sp.csr_matrix(matrix.shape, dtype=np.float32)
        narrow.data = matrix.data
        narrow.indices = indices
        narrow.indptr = indptr
        return narrow
    return matrix


def summed_csr(matrix, name):
    """Copy a sparse matrix to CSR of its own dtype, with sorted indices and summed duplicates.

    SciPy's flags of the matrix are not used: they may be out of date.
    """
    check_sparse_structure(matrix, name)
    csr = widened(matrix).tocsr()
    arrays = (csr.data.copy(), csr.indices.copy(), csr.indptr.copy())
    copy = sp.csr_matrix(arrays, shape=csr.shape)
    copy.sum_duplicates()
    return copy


def widened(matrix):
    """Convert a sparse matrix of integers to float64, as sums of duplicates could overflow."""
    if sp.issparse(matrix) and matrix.dtype.kind in "iu":
        return matrix.astype(np.float64)
    return matrix


def with_dense_columns(X, dense):
    """Return the columns of a sparse matrix, and then those of an array without their zeros.

    Parameters
    ----------
    X : sparse matrix of shape (n_rows, n_columns)
    dense : ndarray of shape (n_rows, width)

    Returns
    -------
    joined : csr_matrix of float32, shape (n_rows, n_columns + width)
    """
    n_rows, width = dense.shape
    # SciPy would search for the nonzeros of the array, which takes as long as training.
    indices = np.tile(np.arange(width, dtype=np.int32), n_rows)
    indptr = width * np.arange(n_rows + 1, dtype=np.int64)
    last = sp.csr_matrix((dense.flatten(), indices, indptr), shape=dense.shape)
    last.eliminate_zeros()
    return sp.hstack([X, last], format="csr", dtype=np.float32)


def check_sparse_structure(matrix, name):
    """Check that the indices of a sparse matrix fit its shape.

    SciPy does not check this, and its conversions could read or write outside of their arrays.
    Other values than sparse matrices pass.
    """
    if not sp.issparse(matrix):
        return
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be two-dimensional, got shape {matrix.shape}")
    if matrix.format in ("csr", "csc", "bsr"):
        _check_compressed(matrix, name)
    elif matrix.format == "coo":
        _check_index(matrix.row, matrix.shape[0], name, "row")
        _check_index(matrix.col, matrix.shape[1], name, "column")


def _check_compressed(matrix, name):
    n_major, n_minor = matrix.shape if matrix.format != "csc" else matrix.shape[::-1]
    if matrix.format == "bsr":
        n_major //= matrix.blocksize[0]
        n_minor //= matrix.blocksize[1]
    indptr, indices = matrix.indptr, matrix.indices
    wrong = len(indptr) != n_major + 1 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any()
    if wrong or indptr[-1] > len(indices) or len(matrix.data) != len(indices):
        raise ValueError(f"{name} has index pointers that fall or lead outside its arrays")
    kind = "row" if matrix.format == "csc" else "column"
    _check_index(indices[: indptr[-1]], n_minor, name, kind)


def _check_index(index, size, name, kind):
    if len(index) and (index.min() < 0 or index.max() >= size):
        raise ValueError(
            f"{name} has a {kind} index outside the matrix: {index.min()}..{index.max()}, "
            f"expected 0..{size - 1}"
        )


def indicator_csr(matrix, name):
    """Validate a 0/1 matrix and return it as canonical CSR that stores only its ones."""
    Y = canonical_csr(matrix, name)
    bad = Y.data[Y.data != 1]
    if len(bad):
        raise ValueError(f"{name} must be a 0/1 indicator matrix, but holds {bad[0]}")
    return Y


def check_indicator(matrix, name, n_rows=None, n_labels=None):
    """Validate a 0/1 matrix of unknown type with a column per label; see `indicator_csr`."""
    Y = check_matrix(matrix, name, n_rows)
    if n_labels is not None and Y.shape[1] != n_labels:
        raise ValueError(f"{name} must have {n_labels} columns, got {Y.shape[1]}")
    return indicator_csr(Y, name)
