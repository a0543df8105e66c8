"""y with names: lists of labels, frames of indicator columns, and matrices with label names."""

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import indptr_of
from .matrices import as_array
from .texts import check_texts, objects

#: What one row of label lists may be.
_COLLECTIONS = (list, tuple, set, frozenset, np.ndarray)

#: How the types of arrays and columns begin that may hold collections.
_DTYPES = ("object", "List", "list")

#: Containers of y whose scores are sparse matrices.
SPARSE_CONTAINERS = ("spmatrix", "sparray", "lists", "arrays")


class NamedTargets(NamedTuple):
    """y, with the names of its columns if it has any.

    Attributes
    ----------
    y : {ndarray, sparse matrix, object}
        A matrix if there are names; otherwise y as it was given.
    names : ndarray of shape (n_labels,) or None
    container : {"lists", "arrays", "frame"} or None
        Kind of y, if it is not told by `y` itself. "lists" is a list of collections of labels,
        "arrays" an array or a column of collections.
    """

    y: object
    names: np.ndarray | None = None
    container: str | None = None


def named_targets(y, label_names=None, *, classes=None):
    """Turn the y of fit into a matrix if it has names.

    Parameters
    ----------
    y : object
        Whatever fit takes.
    label_names : sequence of str, length n_labels, optional
        Names of the columns of an indicator matrix.
    classes : ndarray of shape (n_labels,), optional
        Columns of lists of labels. By default all labels, sorted.

    Returns
    -------
    targets : NamedTargets

    Raises
    ------
    TypeError, ValueError
        If lists hold something else than labels, columns of a frame have the same name, or names
        are given for a y that has its own.
    """
    lists = label_lists(y)
    if lists is not None:
        _refuse_names(label_names, "lists of labels")
        container = "lists" if isinstance(y, (list, tuple)) else "arrays"
        if classes is not None:
            return NamedTargets(indicator_of_lists(lists, classes), classes, container)
        names = distinct_labels(lists)
        column_of = {name: column for column, name in enumerate(names.tolist())}
        return NamedTargets(_indicator(lists, column_of), names, container)
    if is_frame(y):
        _refuse_names(label_names, "a frame with column names")
        names = checked_names(list(y.columns), "the columns of y")
        return NamedTargets(_matrix_of(y), names, "frame")
    if label_names is None:
        return NamedTargets(y)
    names = checked_names(check_texts(label_names, "label_names"), "label_names", distinct=False)
    n_labels = y.shape[1] if getattr(y, "ndim", 1) == 2 else None
    if n_labels != len(names):
        raise ValueError(
            f"label_names must be names of the columns of an indicator y, got {len(names)} names "
            f"and y of shape {getattr(y, 'shape', None)}"
        )
    return NamedTargets(y, names)


def is_frame(y):
    """Return whether y is a data frame of indicator columns, not of one column of classes."""
    return hasattr(y, "columns") and getattr(y, "ndim", 2) == 2 and y.shape[1] > 1


def label_lists(y):
    """Return the rows of a y that holds a collection of labels per row, or None.

    Nested lists of numbers of one length are a matrix, not lists of labels.

    Returns
    -------
    lists : list of collection, or None

    Raises
    ------
    ValueError
        If it cannot be told whether rows hold labels or a 0/1 indicator.
    """
    if isinstance(y, (list, tuple)):
        rows = y
    elif getattr(y, "ndim", None) == 1 and str(getattr(y, "dtype", "")).startswith(_DTYPES):
        rows = y.to_list() if hasattr(y, "to_list") else list(y)
    else:
        return None
    if not len(rows) or not all(isinstance(row, _COLLECTIONS) for row in rows):
        return None
    rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]
    if not _could_be_matrix(rows):
        return list(rows)
    if isinstance(y, (list, tuple)):
        return None
    if all(value in (0, 1) for row in rows for value in row):
        raise ValueError(
            "y holds lists of 0 and 1: pass a matrix for an indicator, as of numpy.stack(y), or "
            "lists of strings for labels"
        )
    return list(rows)


def _could_be_matrix(rows):
    """Return whether rows are sequences of numbers of one length."""
    lengths = {len(row) if isinstance(row, Sequence) else -1 for row in rows}
    if len(lengths) != 1 or lengths & {-1, 0}:
        return False
    return not any(isinstance(value, str) for row in rows for value in row)


def indicator_of_lists(lists, classes, *, keep_unknown=False):
    """Return lists of labels as a 0/1 indicator.

    Parameters
    ----------
    lists : list of collection of labels
    classes : ndarray of shape (n_labels,)
        In any order.
    keep_unknown : bool, default=False
        Whether labels that are not among the classes get further columns. Otherwise they are left
        out.

    Returns
    -------
    indicator : csr_matrix of float32, shape (n, n_labels) or more columns
        Canonical.

    Raises
    ------
    TypeError
        If a label is neither a string nor an integer, or classes are of the other kind.
    """
    column_of = {label: column for column, label in enumerate(classes.tolist())}
    if len(column_of) != len(classes):
        raise ValueError("y must be a matrix, because several labels of the model have one name")
    _check_labels(lists, texts=not column_of or isinstance(next(iter(column_of)), str))
    return _indicator(lists, column_of, keep_unknown)


def _indicator(lists, column_of, keep_unknown=False):
    """Return checked lists of labels as an indicator; labels that are unknown may be added."""
    if keep_unknown:
        for row in lists:
            for label in row:
                column_of.setdefault(label, len(column_of))
    columns = [sorted({column_of[label] for label in row if label in column_of}) for row in lists]
    indices = np.array([column for row in columns for column in row], dtype=np.int32)
    ones = np.ones(len(indices), dtype=np.float32)
    shape = len(lists), len(column_of)
    return sp.csr_matrix((ones, indices, indptr_of([len(row) for row in columns])), shape=shape)


def lists_of_names(matrix, scores, classes):
    """Return the names of the stored entries of each row, those with the highest score first.

    Parameters
    ----------
    matrix : csr_matrix of shape (n, n_labels)
    scores : ndarray of shape (nnz,)
    classes : ndarray of shape (n_labels,)

    Returns
    -------
    names : list of list
    """
    names = []
    for begin, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        order = np.argsort(-scores[begin:end], kind="stable")
        names.append(classes[matrix.indices[begin:end][order]].tolist())
    return names


def frame_of(matrix, names):
    """Return a 0/1 matrix as a pandas DataFrame with these columns."""
    import pandas as pd

    return pd.DataFrame(matrix.toarray(), columns=names)


def aligned_frame(y, classes):
    """Return a frame of indicator columns as a matrix whose columns are in the order of classes.

    Raises
    ------
    ValueError
        If the columns are not the classes.
    """
    names = list(y.columns)
    wanted = classes.tolist()
    if names != wanted:
        missing = sorted(set(wanted) - set(names), key=str)
        unknown = sorted(set(names) - set(wanted), key=str)
        if missing or unknown or len(names) != len(wanted):
            raise ValueError(
                f"y must have the columns of fit, got {len(unknown)} others ({unknown[:3]}) and "
                f"lacks {len(missing)} ({missing[:3]})"
            )
        y = y[wanted]
    return _matrix_of(y)


def _matrix_of(frame):
    """Return the values of a frame: sparse if its columns are."""
    if hasattr(frame, "sparse") and hasattr(frame, "dtypes"):
        sparse_columns = [str(dtype).startswith("Sparse") for dtype in frame.dtypes]
        if all(sparse_columns):
            return sp.csr_matrix(frame.sparse.to_coo())
    return as_array(frame, "y")


def distinct_labels(lists):
    """Return the different labels of lists, sorted.

    Returns
    -------
    labels : ndarray of int64 or of str objects, shape (n_labels,)

    Raises
    ------
    TypeError
        If labels are neither all strings nor all integers.
    ValueError
        If there is no label.
    """
    texts = any(isinstance(label, str) for row in lists for label in row)
    _check_labels(lists, texts=texts)
    labels = sorted({label for row in lists for label in row})
    if not labels:
        raise ValueError("y has no label; expected at least one row with a label")
    return objects(labels) if texts else np.array(labels, dtype=np.int64)


def _check_labels(lists, texts):
    expected = "strings" if texts else "integers"
    for i, row in enumerate(lists):
        for label in row:
            number = isinstance(label, Integral) and not isinstance(label, (bool, np.bool_))
            if not (isinstance(label, str) if texts else number):
                raise TypeError(
                    f"y must hold lists of labels that are all {expected}, got {label!r:.80} in "
                    f"row {i}"
                )


def _refuse_names(label_names, what):
    if label_names is not None:
        raise ValueError(f"label_names must be None if y is {what}, got names")


def checked_names(names, what, *, distinct=True):
    """Check that names are strings, or integers, and return them as an array.

    Names given beside a matrix need not be distinct: different concepts may have the same name.
    """
    if distinct and len(set(names)) != len(names):
        raise ValueError(f"{what} must be distinct, got the same name twice")
    if all(isinstance(name, Integral) for name in names):
        return np.array(names, dtype=np.int64)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{what} must be strings, got {names[0]!r:.80} among others")
    return objects(names)
