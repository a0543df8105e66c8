"""Validation of what recommenders are given, and the histories that they learn from."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import validate_data

from .._core import indptr_of
from .._utils.matrices import (
    canonical_csr,
    check_indicator,
    check_sparse_structure,
    single_row,
    widened,
)
from .._utils.named_targets import check_column_names
from .._utils.pairs import row_of_entries
from .._utils.targets import target_array
from ._ages import AgeMatrix
from ._ids import id_array, learn_ids
from ._times import seconds_of


class Training(NamedTuple):
    """The checked input of fit.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n, n_items)
        Weights of the histories, at least 0. Canonical, but zeros may be stored.
    y : csr_matrix of float32, shape (n, n_items), or None
        Ones for the targets.
    times : ndarray of float64, shape (y.nnz,), or None
        Days of the targets.
    users : ndarray of shape (n,), or None
    cutoffs : ndarray of float64, shape (n,), or None
        Seconds since 1970.
    """

    X: sp.csr_matrix
    y: sp.csr_matrix | None
    times: np.ndarray | None
    users: np.ndarray | None
    cutoffs: np.ndarray | None = None

    def take(self, rows):
        """Return some of the rows, by number. There must be a y."""
        times = self.times
        if times is not None:
            times = sp.csr_matrix((times, self.y.indices, self.y.indptr), self.y.shape)[rows].data
        users, cutoffs = (
            values if values is None else values[rows] for values in (self.users, self.cutoffs)
        )
        return Training(self.X[rows], self.y[rows], times, users, cutoffs)


def check_histories(estimator, X, *, reset):
    """Validate histories and return their weights as CSR, with stored zeros.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or X does not have a column per item.
    """
    check_sparse_structure(X, "X")
    is_ages = isinstance(X, AgeMatrix) and X.holds_ages()
    X = validate_data(estimator, widened(X), accept_sparse="csr", dtype=np.float32, reset=reset)
    X = canonical_csr(X, "X", keep_zeros=True)
    if len(X.data) and X.data.min() < 0:
        raise ValueError(
            "Negative values in data: X must hold weights of at least 0, or ages of at least 0, "
            f"got {X.data.min()}"
        )
    if is_ages and estimator._keeps_ages:
        return AgeMatrix(X)
    if is_ages:
        X = sp.csr_matrix((np.ones(X.nnz, dtype=np.float32), X.indices, X.indptr), shape=X.shape)
    elif isinstance(X, AgeMatrix):  # its ages were replaced by weights
        X = sp.csr_matrix(X)
    return X


def is_checked_row(X, n_items):
    """Return whether X is a CSR matrix of one row that `check_histories` would return unchanged."""
    row = single_row(X, n_items) if type(X) is sp.csr_matrix else None
    if row is None:
        return False
    indices, values = row
    if indices.dtype != np.int32 or values.dtype != np.float32 or len(indices) != len(values):
        return False
    if not len(values):
        return True
    is_canonical = indices[0] >= 0 and indices[-1] < n_items and (np.diff(indices) > 0).all()
    return bool(is_canonical and values.min() >= 0 and values.max() < np.inf)


def check_training(estimator, X, y, users, target_times, cutoffs=None):
    """Validate the input of fit."""
    X = check_histories(estimator, X, reset=True)
    n_rows, n_items = X.shape
    times = None
    if y is not None:
        y = check_targets(estimator, y, n_rows, n_items)
    if target_times is not None:
        times = _check_times(target_times, y)
    if users is not None:
        users = check_users(users, n_rows)
    if cutoffs is not None:
        cutoffs = seconds_of(cutoffs, "cutoffs")
        if cutoffs.shape != (n_rows,):
            raise ValueError(f"cutoffs must have shape {(n_rows,)}, got {cutoffs.shape}")
    return Training(X, y, times, users, cutoffs)


def check_targets(estimator, y, n_rows, n_items):
    """Validate y. If it is a frame, its names must be those of X in the same order.

    Returns
    -------
    y : csr_matrix of float32, shape (n_rows, n_items)
        Canonical; stores only ones.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        check_column_names(y, names, "y must have the columns of X in the same order")
    return check_indicator(target_array(y, "y"), "y", n_rows, n_items)


def check_users(users, n_rows):
    """Return the user of each row as an array."""
    users = id_array(users, "users")
    if users.dtype == object and len(set(map(type, users.tolist()))) > 1:
        learn_ids(users, "users")  # raises TypeError if they cannot be sorted
    if users.shape != (n_rows,):
        raise ValueError(f"users must have shape {(n_rows,)}, one for each row, got {users.shape}")
    return users


def _check_times(target_times, y):
    if y is None:
        raise ValueError("target_times must come with y, got None as y")
    if not sp.issparse(target_times) or target_times.shape != y.shape:
        shape = getattr(target_times, "shape", None)
        raise ValueError(f"target_times must be a sparse matrix of shape {y.shape}, got {shape}")
    check_sparse_structure(target_times, "target_times")
    times = sp.csr_matrix(target_times, dtype=np.float64, copy=True)
    times.sort_indices()
    is_same = np.array_equal(times.indptr, y.indptr) and np.array_equal(times.indices, y.indices)
    if not is_same:
        raise ValueError("target_times must have the entries of y")
    if not np.isfinite(times.data).all():
        raise ValueError("target_times must be finite")
    return times.data


def latest_rows(training):
    """Return the last row of each user, or all rows if the users are not known."""
    if training.users is None:
        return np.arange(training.X.shape[0])
    _, first = np.unique(training.users[::-1], return_index=True)
    return np.sort(len(training.users) - 1 - first)


def with_united_users(training):
    """Return the same input with one row for each user, in the order of appearance.

    The purchases of all rows of a user are in its row, with the weight 1. There must be no y.
    """
    users, first, codes = np.unique(training.users, return_index=True, return_inverse=True)
    if len(users) == len(training.users):
        return training
    order = np.argsort(first)
    position = np.empty(len(users), dtype=np.int64)
    position[order] = np.arange(len(users))
    X = binary(training.X)
    entries = (X.data, (position[codes[row_of_entries(X)]], X.indices))
    X = binary(canonical_csr(sp.csr_matrix(entries, (len(users), X.shape[1])), "X"))
    return training._replace(X=X, users=users[order])


def whole_histories(training):
    """Return the history of each user at the end of the last window: its X and its y.

    Returns
    -------
    histories : csr_matrix of float32
        Canonical. Targets have the weight 1. Zeros may be stored.
    """
    rows = latest_rows(training)
    X = training.X if len(rows) == training.X.shape[0] else training.X[rows]
    if training.y is None:
        return X
    return united(X, training.y[rows])


def united(first, second):
    """Return the entries of two matrices, those of the second one where both have one."""
    rows = np.concatenate([row_of_entries(first), row_of_entries(second)])
    columns = np.concatenate([first.indices, second.indices])
    data = np.concatenate([first.data, second.data])
    order = np.lexsort((columns, rows))  # stable: entries of the second matrix come later
    rows = rows[order]
    columns = columns[order]
    is_last = np.ones(len(rows), dtype=bool)
    is_last[:-1] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
    indptr = indptr_of(np.bincount(rows[is_last], minlength=first.shape[0]))
    parts = (data[order][is_last], columns[is_last], indptr)
    return sp.csr_matrix(parts, shape=first.shape)


def binary(matrix):
    """Return the positive entries of a CSR matrix as ones."""
    matrix = sp.csr_matrix(matrix, copy=True)
    matrix.data = (matrix.data > 0).astype(np.float32)
    matrix.eliminate_zeros()
    return matrix


def recent_counts(training, window=None):
    """Count the targets of each item, or the histories without targets.

    Parameters
    ----------
    training : Training
    window : float, optional
        Only targets of the last days, before the last target.

    Returns
    -------
    counts : ndarray of float32, shape (n_items,)
    """
    entries = training.X if training.y is None else training.y
    kept = entries.data > 0
    if window is not None and training.times is not None and len(training.times):
        kept = training.times > training.times.max() - window
    counts = np.bincount(entries.indices[kept], minlength=entries.shape[1])
    return counts.astype(np.float32)
