"""Checks of pairs of queries, in whatever container they come."""

import numpy as np
from sklearn.utils.validation import validate_data


def check_pairs(estimator, X, *, reset):
    """Check two columns of strings and return them.

    Parameters
    ----------
    estimator : estimator
        Learns the names of the columns, or compares them.
    X : array-like of str, shape (n, 2)
    reset : bool
        Whether this is fit.

    Returns
    -------
    first, second : list of str
    """
    array = _as_array(X)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(
            f"X must have two columns, previous query and prefix, got an array of {array.shape}"
        )
    if len(array) == 0:
        raise ValueError("X must have at least one row, got none")
    for row, column in _not_strings(array):
        raise TypeError(
            f"X must hold strings ('' where there was no query), got {array[row, column]!r:.80} "
            f"in row {row}, column {column}"
        )
    validate_data(
        estimator, X if hasattr(X, "columns") else array, reset=reset, skip_check_array=True
    )
    return array[:, 0].tolist(), array[:, 1].tolist()


def check_queries(y, name, n):
    """Check one string per row and return an array of objects."""
    array = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
    if array.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one query per row, got {array.shape}")
    array = array.astype(object)
    for (row,) in _not_strings(array):
        raise TypeError(f"{name} must hold strings, got {array[row]!r:.80} in row {row}")
    return array


def _as_array(X):
    if hasattr(X, "to_numpy"):
        return X.to_numpy().astype(object)
    try:
        return np.asarray(X, dtype=object)
    except ValueError as error:
        raise ValueError(f"X must be pairs of previous query and prefix: {error}") from error


def _not_strings(array):
    """Where an array of objects holds anything but strings."""
    types = np.frompyfunc(lambda value: isinstance(value, str), 1, 1)(array)
    return np.argwhere(~types.astype(bool)).tolist()[:1]
