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
_DTYPES = ("object", "Object", "List", "list", "Array")

#: Containers of y whose scores are sparse matrices.
SPARSE_CONTAINERS = ("spmatrix", "sparray", "lists", "arrays")

#: Containers of y whose labels have names, which may be integers.
NAMED = ("classes", "lists", "arrays", "frame")


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


def named_targets(y, label_names=None):
    """Turn the y of fit into a matrix if it has names.

    Parameters
    ----------
    y : object
        Whatever fit takes.
    label_names : sequence of str, length n_labels, optional
        Names of the columns of an indicator matrix.

    Returns
    -------
    targets : NamedTargets
        The columns of lists are all labels, sorted.

    Raises
    ------
    TypeError, ValueError
        If lists hold something else than labels, columns of a frame have the same name, or names
        are given for a y that has its own.
    """
    lists = label_lists(y)
    if lists is not None:
        _refuse_names(label_names, "lists of labels")
        names = distinct_labels(lists)
        column_of = {name: column for column, name in enumerate(names.tolist())}
        return NamedTargets(_indicator(lists, column_of), names, _container_of_lists(y))
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


def targets_for(ranker, y):
    """Turn y into a matrix with the columns of a fitted ranker, if its labels have names.

    Parameters
    ----------
    ranker : estimator
        Not inside a pipeline or search.
    y : object
        Whatever the fit of the ranker takes, and frames and lists in any case. Labels in lists that
        the ranker does not know are left out.

    Returns
    -------
    targets : NamedTargets
        The names are those of the ranker.

    Raises
    ------
    TypeError, ValueError
        As of `named_targets`; ValueError also if the columns of a frame are not the labels.
    """
    names = names_in(ranker)
    if names is None:
        return named_targets(y)
    lists = lists_for(ranker, y)
    if lists is not None:
        return NamedTargets(indicator_of_lists(lists, names), names, _container_of_lists(y))
    if is_frame(y):
        return NamedTargets(aligned_frame(y, names), names, "frame")
    return NamedTargets(y)


def names_in(ranker):
    """Return the names of the labels of a fitted ranker, or None if they are only numbered.

    Names are strings, or the integers in lists, in a column of classes or above a frame.
    """
    classes = getattr(ranker, "classes_", None)
    # scikit-learn has a list with the classes 0 and 1 of each column if y is an indicator.
    if classes is None or isinstance(classes, list):
        return None
    classes = np.asarray(classes)
    has_names = classes.dtype.kind in "UO" or getattr(ranker, "_container", None) in NAMED
    return classes if has_names else None


def lists_for(ranker, y):
    """Return `label_lists` of a y for a fitted ranker, which may be fitted to lists of integers."""
    fitted_to_lists = getattr(ranker, "_container", None) in ("lists", "arrays")
    return label_lists(y, ranker.classes_ if fitted_to_lists else None)


def _container_of_lists(y):
    return "lists" if isinstance(y, (list, tuple)) else "arrays"


def is_frame(y):
    """Return whether y is a data frame of indicator columns, not of one column of classes."""
    return hasattr(y, "columns") and getattr(y, "ndim", 2) == 2 and y.shape[1] > 1


def label_lists(y, classes=None):
    """Return the rows of a y that holds a collection of labels per row, or None.

    Nested lists of numbers of one length are a matrix, not lists of labels.

    Parameters
    ----------
    y : object
    classes : ndarray of shape (n_labels,), optional
        Labels of a model that was fitted to lists. If they are integers, nested lists of numbers of
        one length are labels as well, except for an indicator of all these labels.

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
    elif len(getattr(y, "shape", ())) == 1 and str(getattr(y, "dtype", "")).startswith(_DTYPES):
        rows = y.to_list() if hasattr(y, "to_list") else list(y)
    else:
        return None
    if not len(rows) or not all(isinstance(row, _COLLECTIONS) for row in rows):
        return None
    rows = [row.tolist() if isinstance(row, np.ndarray) else row for row in rows]
    if not _could_be_matrix(rows):
        return list(rows)
    are_integers = classes is not None and classes.dtype.kind in "iu"
    if are_integers and not (len(rows[0]) == len(classes) and _are_binary(rows)):
        return list(rows)
    is_ambiguous = are_integers and set(classes.tolist()) <= {0, 1}
    if isinstance(y, (list, tuple)) and not is_ambiguous:
        return None
    if _are_binary(rows):
        raise ValueError(
            "y holds lists of 0 and 1: pass a matrix for an indicator, as of numpy.stack(y), or "
            "sets for labels"
        )
    return list(rows)


def _could_be_matrix(rows):
    """Return whether rows are sequences of numbers of one length."""
    lengths = {len(row) if isinstance(row, Sequence) else -1 for row in rows}
    if len(lengths) != 1 or lengths & {-1, 0}:
        return False
    return not any(isinstance(value, str) for row in rows for value in row)


def _are_binary(rows):
    return all(value in (0, 1) for row in rows for value in row)


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

    A frame whose columns are numbered has no names, unless some of the classes are these numbers.

    Raises
    ------
    ValueError
        If the columns are not the classes.
    """
    names = list(y.columns)
    wanted = classes.tolist()
    is_numbered = names == list(range(len(wanted))) and not set(names) & set(wanted)
    if names != wanted and not is_numbered:
        if len(set(wanted)) != len(wanted):
            raise ValueError(
                "y must be a matrix, because several labels of the model have one name"
            )
        if len(set(names)) != len(names):
            raise ValueError("the columns of y must be distinct, got the same name twice")
        missing = sorted(set(wanted) - set(names), key=str)
        unknown = sorted(set(names) - set(wanted), key=str)
        if missing or unknown:
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


def check_column_names(frame, expected, rule):
    """Raise a ValueError if the columns of a frame have other names than expected.

    Parameters
    ----------
    frame : object
        Columns that are not named by as many strings are not compared.
    expected : ndarray of shape (n_columns,)
    rule : str
        First part of the message.
    """
    names = list(getattr(frame, "columns", ()))
    if len(names) != len(expected) or not all(isinstance(name, str) for name in names):
        return
    for name, got in zip(expected.tolist(), names, strict=True):
        if got != name:
            raise ValueError(f"{rule}, got {got!r:.80} at the position of {name!r:.80}")
