"""Checks of what users pass, before any of it is looked at by C."""

import numbers
import warnings
from collections.abc import Iterable, Mapping, Set, ValuesView
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from ._core import csr_check
from .tree import LabelTree


@contextmanager
def unchanged_on_failure(estimator):
    """Give an estimator its attributes back if fitting it fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_features(estimator, X, *, reset):
    """Validate a feature matrix and return it as canonical float32 CSR with int32 indices.

    The caller's arrays are never changed: unsorted or duplicate entries are put right on a copy.
    """
    if not reset and _is_ready(estimator, X):
        return canonical_csr(X, "X")
    check_sparse_structure(X, "X")
    X = widened(X)
    X = validate_data(estimator, X, accept_sparse="csr", dtype=np.float32, reset=reset)
    return canonical_csr(X, "X")


def _is_ready(estimator, X):
    """Whether validate_data would have nothing to say or do, and its time can be saved.

    What remains to be checked, the indices and values, is what canonical_csr checks.
    """
    return (
        isinstance(X, (sp.csr_matrix, sp.csr_array))
        and X.dtype == np.float32
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


_CSR = (sp.csr_matrix, sp.csr_array)


def bare_row(X, n_features):
    """Take a single row apart without looking at its content.

    Returns
    -------
    row : tuple (indices, values), ndarray or None
        The arrays of a CSR matrix of one row or of a pair; a dense float32 row as it is. None for
        everything else, and where the arrays could not be handed to C as they are.
    """
    kind = type(X)
    if kind in _CSR:
        indices, values, indptr = X.indices, X.data, X.indptr
        if X.shape != (1, n_features) or indptr[0] != 0 or indptr[1] != len(values):
            return None
    elif kind is tuple and len(X) == 2:
        indices, values = X
        if type(indices) is not np.ndarray or type(values) is not np.ndarray:
            return None
    else:
        ready = kind is np.ndarray and X.shape == (1, n_features) and X.dtype == np.float32
        return X if ready and X.flags.c_contiguous else None
    if indices.ndim != 1 or values.ndim != 1:
        return None
    ready = indices.flags.c_contiguous and values.flags.c_contiguous
    return (indices, values) if ready else None


def pair_to_csr(pair, n_features):
    """Make a matrix of one row from a pair (indices, values), after checking it."""
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


def check_features_and_targets(estimator, X, y):
    """Validate what fit is given and return X as CSR that is yet to be made canonical, and y."""
    check_sparse_structure(X, "X")
    check_sparse_structure(y, "y")
    X, y = widened(X), widened(y)
    return validate_data(estimator, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True)


def check_matrix(matrix, name, n_rows=None, *, keep_zeros=False):
    """Validate a matrix that is no estimator's X, such as label features."""
    check_sparse_structure(matrix, name)
    if not sp.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[1] == 0 or matrix.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be a two-dimensional matrix of real numbers with at least one column, "
            f"got {matrix.dtype} with shape {matrix.shape}"
        )
    if n_rows is not None and matrix.shape[0] != n_rows:
        raise ValueError(f"{name} must have {n_rows} rows, got {matrix.shape[0]}")
    return canonical_csr(matrix, name, keep_zeros=keep_zeros)


def canonical_csr(matrix, name, *, keep_zeros=False):
    """Convert to float32 CSR with int32 indices, sorted, without duplicates or zeros, finite."""
    if matrix.shape[1] > np.iinfo(np.int32).max:
        raise ValueError(f"{name} has {matrix.shape[1]} columns, more than int32 can number")
    if not (isinstance(matrix, sp.csr_matrix) and matrix.dtype == np.float32):
        check_sparse_structure(matrix, name)
        matrix = widened(matrix)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused below
            matrix = sp.csr_matrix(matrix, dtype=np.float32)
    fault, unsorted = csr_check(matrix)
    if unsorted:
        matrix = _summed_copy(matrix, name)
        fault, _ = csr_check(matrix)
    if fault:
        raise ValueError(f"{name} {fault}")
    if not keep_zeros and not matrix.data.all():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    if matrix.indices.dtype != np.int32:
        indices = matrix.indices.astype(np.int32)
        indptr = matrix.indptr.astype(np.int64)
        shape, data = matrix.shape, matrix.data
        matrix = sp.csr_matrix(shape, dtype=np.float32)
        matrix.data, matrix.indices, matrix.indptr = data, indices, indptr
    return matrix


def _summed_copy(matrix, name):
    check_sparse_structure(matrix, name)  # the fault found first need not be the only one
    arrays = (matrix.data.copy(), matrix.indices.copy(), matrix.indptr.copy())
    copy = sp.csr_matrix(arrays, shape=matrix.shape)
    copy.sum_duplicates()
    return copy


def widened(matrix):
    """Give a sparse matrix of integers float64 values: sums of duplicates might wrap around."""
    if sp.issparse(matrix) and matrix.dtype.kind in "iu":
        return matrix.astype(np.float64)
    return matrix


def check_sparse_structure(matrix, name):
    """Refuse a sparse matrix whose own indices contradict its shape.

    scipy does not check this, and its conversions would read or write outside their arrays.
    Anything that is not a sparse matrix passes.
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
    falls = len(indptr) != n_major + 1 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any()
    if falls or indptr[-1] > len(indices) or len(matrix.data) != len(indices):
        raise ValueError(f"{name} has index pointers that fall or lead outside its arrays")
    kind = "row" if matrix.format == "csc" else "column"
    _check_index(indices[: indptr[-1]], n_minor, name, kind)


def _check_index(index, size, name, kind):
    if len(index) and (index.min() < 0 or index.max() >= size):
        raise ValueError(
            f"{name} has a {kind} index outside the matrix: {index.min()}..{index.max()}, "
            f"expected 0..{size - 1}"
        )


def check_ordered(values, name):
    """Refuse what has no order, or only happens to have one."""
    if isinstance(values, (Set, Mapping, ValuesView)):
        kind = type(values).__name__
        raise TypeError(f"{name} must be in order, as a list is, got a {kind}: {values!r:.80}")


def check_texts(texts, name):
    """Check a sequence of strings, at least one of them, and return it as a list."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} must be a sequence of strings, got {texts!r:.80}")
    check_ordered(texts, name)
    if getattr(texts, "ndim", 1) != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {texts.shape}")
    texts = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise TypeError(f"{name} must hold strings, but {name}[{wrong}] is {texts[wrong]!r:.80}")
    if not texts:
        raise ValueError(f"{name} must hold at least one string, got none")
    return texts


class Targets(NamedTuple):
    """What fit was given as y, as an indicator matrix.

    Attributes
    ----------
    indicator : csr_matrix of float32, shape (n, n_labels)
        Ones only.
    classes : ndarray or None
        The class of each column where y was one-dimensional.
    container : str
        What predictions look like: "classes", "dense", "spmatrix" or "sparray".
    """

    indicator: sp.csr_matrix
    classes: np.ndarray | None
    container: str


def encode_targets(y):
    """Turn a y that passed check_features_and_targets into Targets."""
    if sp.issparse(y):
        container = "sparray" if isinstance(y, sp.sparray) else "spmatrix"
        return Targets(_check_positives(indicator_csr(y, "y")), None, container)
    if y.ndim == 2 and y.shape[1] > 1:
        if y.dtype.kind not in "fiub":
            raise ValueError(f"y must be a 0/1 indicator matrix, got an array of {y.dtype}")
        return Targets(_check_positives(indicator_csr(y, "y")), None, "dense")
    y = check_classes(y)
    classes, codes = np.unique(y, return_inverse=True)
    pointers = np.arange(len(y) + 1)
    ones = np.ones(len(y), dtype=np.float32)
    indicator = sp.csr_matrix((ones, codes, pointers), shape=(len(y), len(classes)))
    return Targets(canonical_csr(indicator, "y"), classes, "classes")


def check_classes(y):
    """Validate one class per row, and return an array."""
    y = column_or_1d(y, warn=True)
    with warnings.catch_warnings():  # that many classes must mean regression: not here
        warnings.filterwarnings("ignore", "The number of unique classes")
        check_classification_targets(y)
    return y


def indicator_csr(matrix, name):
    """Convert a 0/1 matrix to canonical CSR that stores only its ones."""
    Y = canonical_csr(matrix, name)
    bad = Y.data[Y.data != 1]
    if len(bad):
        raise ValueError(f"{name} must be a 0/1 indicator matrix, but holds {bad[0]}")
    return Y


def _check_positives(Y):
    if Y.nnz == 0:
        raise ValueError("y has no positive entry; expected at least one row with a label")
    return Y


def check_sample_weight(sample_weight, n_rows, scale=1.0):
    """Return sample weights as float32, or None where there are none.

    `scale` is what they will be multiplied with: the products must be valid as well.
    """
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight)
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)
    if weight.shape != (n_rows,) or weight.dtype.kind not in "fiub":
        raise ValueError(
            f"sample_weight must be {n_rows} numbers, one per row of X, got an array of "
            f"{weight.dtype} with shape {weight.shape}"
        )
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is refused below
        weight = weight.astype(np.float32)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError("sample_weight must be finite, not negative and not all zero")
    with np.errstate(over="ignore", under="ignore"):
        products = weight[weight > 0] * np.float32(scale)
    if not (np.isfinite(products).all() and products.all()):
        raise ValueError(
            f"sample_weight times {scale!r} must neither overflow nor vanish in single precision"
        )
    return weight


def check_boolean(value, name):
    """Check that a parameter is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def check_integer(value, name, least, most=None):
    """Check that a parameter is an integer of at least `least`, and at most `most`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")


def check_real(value, name, least, *, above=False):
    """Check that a parameter is a finite number of at least (or above) `least`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        with np.errstate(over="ignore", under="ignore"):
            single = np.float32(value)
    except OverflowError:  # an integer beyond any float
        single = np.float32(np.inf)
    if not np.isfinite(single) or single < least or (above and single == least):
        bound = "above" if above else "at least"
        raise ValueError(
            f"{name} must be finite and {bound} {least} in single precision, got {value!r:.40}"
        )


def check_n_jobs(n_jobs):
    """Check that n_jobs is what joblib takes."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, (bool, np.bool_)) or not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"n_jobs must be an integer or None, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0: a positive number, or -1 for all processors")


def check_indexer(indexer):
    """Check that an indexer is None, a LabelTree or an object that can be fitted."""
    fits = callable(getattr(indexer, "fit", None)) and not isinstance(indexer, type)
    if not (indexer is None or isinstance(indexer, LabelTree) or fits):
        raise TypeError(f"indexer must have a fit method or be a LabelTree, got {indexer!r}")


def takes_text(indexer):
    """Whether an indexer is fitted to labels' texts, as its scikit-learn tags say."""
    tags = getattr(indexer, "__sklearn_tags__", None)
    inputs = tags().input_tags if callable(tags) else None
    return inputs is not None and inputs.string and not inputs.two_d_array


def check_option(value, name, options):
    """Check that a parameter is one of a few strings."""
    if not isinstance(value, str) or value not in options:
        expected = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {expected}, got {value!r}")
