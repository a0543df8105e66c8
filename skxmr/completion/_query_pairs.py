"""Checks of queries and of pairs of queries in any container."""

from collections.abc import Iterable, Mapping, Set

import numpy as np
from sklearn.utils.validation import validate_data


def check_pairs(estimator, X, *, reset):
    """Validate two columns of strings and return them.

    Parameters
    ----------
    estimator : estimator
        Its attributes for the names of columns are set or compared.
    X : array-like of str, shape (n, 2)
    reset : bool
        Whether the attributes are set, as in fit.

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
    """Validate one string per row and return them as a list."""
    queries = listed(y)
    if queries is None:
        raise TypeError(f"{name} must be a sequence of {n} queries, got {y!r:.80}")
    shape = getattr(y, "shape", (len(queries),))
    if shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one query per row, got {shape}")
    for row, query in enumerate(queries):
        if not isinstance(query, str):
            raise TypeError(f"{name} must hold strings, got {query!r:.80} in row {row}")
    return queries


def listed(values):
    """Return the elements of a sequence, an array or a series as a list; None for other objects.

    They are not converted to a NumPy array, because this would convert all elements beside a string
    to strings and lose masks.
    """
    for method in ("tolist", "to_list"):
        if hasattr(values, method):
            elements = getattr(values, method)()
            return elements if isinstance(elements, list) else None
    ordered = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping, Set))
    return list(values) if ordered else None


def unmasked(array):
    """Replace masked elements by None, because NumPy loses masks when it converts arrays."""
    if not isinstance(array, np.ma.MaskedArray):
        return array
    return np.where(np.ma.getmaskarray(array), None, array.data.astype(object))


def _as_array(X):
    if hasattr(X, "to_numpy"):
        return X.to_numpy().astype(object)
    try:
        return np.asarray(unmasked(X), dtype=object)
    except ValueError as error:
        raise ValueError(f"X must be pairs of previous query and prefix: {error}") from error


def _not_strings(array):
    """Return the row and column of the first element that is not a string, in a list."""
    types = np.frompyfunc(lambda value: isinstance(value, str), 1, 1)(array)
    return np.argwhere(~types.astype(bool)).tolist()[:1]
