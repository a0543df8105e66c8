"""What users give as y: classes, or an indicator of labels."""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from .matrices import (
    any_missing,
    as_array,
    canonical_csr,
    check_indicator,
    check_sparse_structure,
    indicator_csr,
    widened,
)


def target_array(y, name):
    """Return a y of any container as an array or sparse matrix in which no value is missing."""
    check_sparse_structure(y, name)
    y = as_array(y, name)
    if not sp.issparse(y) and any_missing(y):
        raise ValueError(f"{name} contains NaN, infinity or a missing value")
    return y


def check_features_and_targets(estimator, X, y):
    """Validate what fit is given and return X as CSR that is yet to be made canonical, and y."""
    check_sparse_structure(X, "X")
    X, y = widened(X), None if y is None else widened(target_array(y, "y"))
    return validate_data(estimator, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True)


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
    y = column_or_1d(target_array(y, "y"), warn=True)
    with warnings.catch_warnings():  # that many classes must mean regression: not here
        warnings.filterwarnings("ignore", "The number of unique classes")
        check_classification_targets(y)
    return y


def _check_positives(Y):
    if Y.nnz == 0:
        raise ValueError("y has no positive entry; expected at least one row with a label")
    return Y


def holds_text(values):
    """Whether classes are strings."""
    return values.dtype.kind == "U" or any(isinstance(value, str) for value in values[:1])


def indicator_of_classes(y, classes):
    """Return one class per row as a sparse indicator, whose row is empty for an unknown class.

    Parameters
    ----------
    y : ndarray of shape (n,)
    classes : ndarray of shape (n_labels,)
        In any order.

    Returns
    -------
    indicator : csr_array of int8, shape (n, n_labels)
    """
    if holds_text(y) != holds_text(classes):
        raise ValueError(f"y must hold classes of {classes.dtype}, as in fit, got {y.dtype}")
    order = np.argsort(classes)
    place = np.searchsorted(classes, y, sorter=order)
    columns = order[np.minimum(place, len(classes) - 1)]
    rows = np.flatnonzero(classes[columns] == y)
    entries = (np.ones(len(rows), dtype=np.int8), (rows, columns[rows]))
    return sp.csr_array(entries, shape=(len(y), len(classes)))


def truth_for(ranker, y):
    """Return y as a matrix with a column for each label of a fitted ranker.

    Only what the matrix holds is left to be checked.

    Parameters
    ----------
    ranker : estimator
        Not inside anything else. Without ``classes_``, y must be a matrix already.
    y : {array-like, sparse matrix} of shape (n, n_labels), (n,) or (n, 1)
        A column is one of classes, unless the ranker was fitted to an indicator.

    Returns
    -------
    truth : {ndarray, sparse matrix} of shape (n, n_labels)
    """
    y = target_array(y, "y")
    classes, multilabel = getattr(ranker, "classes_", None), getattr(ranker, "multilabel_", False)
    is_column = not sp.issparse(y) and y.ndim == 2 and y.shape[1] == 1
    if not multilabel and (y.ndim == 1 or (is_column and classes is not None)):
        if classes is None:
            raise TypeError(f"estimator must have classes_ where Y is 1-D, got {ranker!r}")
        return indicator_of_classes(y.ravel(), np.asarray(classes))
    if y.ndim != 2:
        raise ValueError(f"y must be a 0/1 indicator matrix as in fit, got shape {y.shape}")
    # What has no rank gives a matrix of scores, whose own width tells.
    if hasattr(ranker, "rank") and classes is not None and y.shape[1] != len(classes):
        raise ValueError(f"y must have {len(classes)} columns, got {y.shape[1]}")
    return y


def known_truth(ranker, y, n_rows=None):
    """Return y as a canonical indicator of the labels of a ranker that has ``n_labels_``."""
    return check_indicator(truth_for(ranker, y), "y", n_rows, ranker.n_labels_)
