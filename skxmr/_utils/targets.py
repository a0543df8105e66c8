"""Validation of y: classes, or an indicator matrix of labels."""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from .mapped_csr import MappedCSR
from .matrices import (
    any_missing,
    as_array,
    canonical_csr,
    check_indicator,
    check_sparse_structure,
    indicator_csr,
    widened,
)
from .named_targets import (
    aligned_frame,
    indicator_of_lists,
    is_frame,
    lists_for,
    names_in,
)

#: Bytes of a dense indicator that is worth a warning.
_LARGE = 1 << 30


def target_array(y, name):
    """Return y as an array or sparse matrix after checking that no value is missing."""
    check_sparse_structure(y, name)
    y = as_array(y, name)
    if not sp.issparse(y) and any_missing(y):
        raise ValueError(f"{name} contains NaN, infinity or a missing value")
    return y


def check_features_and_targets(estimator, X, y):
    """Validate X and y of fit.

    Returns
    -------
    X : CSR matrix of float32
        Not canonical yet. A MappedCSR is returned as it is.
    y : {ndarray, sparse matrix}
    """
    check_sparse_structure(X, "X")
    X = widened(X)
    y = None if y is None else widened(target_array(y, "y"))
    if isinstance(X, MappedCSR):
        y = validate_data(estimator, y=y, multi_output=True)
        check_consistent_length(X, y)
        estimator.n_features_in_ = X.shape[1]
        return X, y
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.nbytes > _LARGE:
        warnings.warn(
            f"y is a dense array of {y.nbytes / 2**30:.1f} GiB; a sparse matrix takes less, such "
            "as of MultiLabelBinarizer(sparse_output=True)",
            stacklevel=4,
        )
    return validate_data(estimator, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True)


class Targets(NamedTuple):
    """The y of fit as an indicator matrix.

    Attributes
    ----------
    indicator : csr_matrix of float32, shape (n, n_labels)
        Canonical; stores only ones.
    classes : ndarray or None
        Class or name of each column, if y was one-dimensional or has names.
    container : str
        Container of predictions: "classes", "dense", "spmatrix", "sparray", "lists", "arrays" or
        "frame".
    """

    indicator: sp.csr_matrix
    classes: np.ndarray | None
    container: str


def encode_targets(y, names=None, container=None):
    """Encode a y that passed check_features_and_targets.

    Parameters
    ----------
    y : {ndarray, sparse matrix}
    names, container
        As of NamedTargets.

    Returns
    -------
    targets : Targets
    """
    if sp.issparse(y):
        kind = "sparray" if isinstance(y, sp.sparray) else "spmatrix"
        return Targets(_indicator(y), names, container or kind)
    if y.ndim == 2 and (y.shape[1] > 1 or names is not None):
        return Targets(_indicator(y), names, container or "dense")
    y = check_classes(y)
    classes, codes = np.unique(y, return_inverse=True)
    pointers = np.arange(len(y) + 1)
    ones = np.ones(len(y), dtype=np.float32)
    indicator = sp.csr_matrix((ones, codes, pointers), shape=(len(y), len(classes)))
    return Targets(canonical_csr(indicator, "y"), classes, "classes")


def check_classes(y):
    """Validate one class per row, and return an array."""
    y = column_or_1d(target_array(y, "y"), warn=True)
    # scikit-learn warns that many classes could mean regression.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")
        check_classification_targets(y)
    return y


def _indicator(y):
    """Validate an indicator matrix with at least one positive entry and return it as CSR."""
    if y.dtype.kind not in "fiub":
        raise ValueError(f"y must be a 0/1 indicator matrix, got an array of {y.dtype}")
    Y = indicator_csr(y, "y")
    if Y.nnz == 0:
        raise ValueError("y has no positive entry; expected at least one row with a label")
    return Y


def holds_text(values):
    """Whether classes are strings."""
    return values.dtype.kind == "U" or any(isinstance(value, str) for value in values[:1])


def indicator_of_classes(y, classes):
    """Return one class per row as a sparse indicator. The row of an unknown class is empty.

    Parameters
    ----------
    y : ndarray of shape (n,)
    classes : ndarray of shape (n_labels,)
        In any order.

    Returns
    -------
    indicator : csr_array of int8, shape (n, n_labels)

    Raises
    ------
    ValueError
        If either `y` or `classes` are strings, and the other not.
    """
    if holds_text(y) != holds_text(classes):
        raise ValueError(f"y must hold classes of {classes.dtype}, as in fit, got {y.dtype}")
    order = np.argsort(classes)
    position = np.searchsorted(classes, y, sorter=order)
    columns = order[np.minimum(position, len(classes) - 1)]
    rows = np.flatnonzero(classes[columns] == y)
    entries = (np.ones(len(rows), dtype=np.int8), (rows, columns[rows]))
    return sp.csr_array(entries, shape=(len(y), len(classes)))


def truth_for(ranker, y, *, keep_unknown=True):
    """Return y as a matrix with a column for each label of a fitted ranker.

    The values of a matrix are not checked.

    Parameters
    ----------
    ranker : estimator
        Not inside a pipeline or search. If it has no ``classes_``, y must be a matrix.
    y : {array-like, sparse matrix} of shape (n, n_labels), (n,) or (n, 1)
        A single column holds classes, unless the ranker was fitted to an indicator.
    keep_unknown : bool, default=True
        Whether labels in lists that the ranker does not know get further columns.

    Returns
    -------
    truth : {ndarray, sparse matrix} of shape (n, n_labels)

    Raises
    ------
    TypeError
        If y has one dimension, and the ranker has no ``classes_``.
    ValueError
        If y does not have a column for each label.
    """
    classes = getattr(ranker, "classes_", None)
    lists = lists_for(ranker, y)
    if lists is not None:
        if classes is None:
            raise TypeError(f"estimator must have classes_ where Y is lists, got {ranker!r}")
        return indicator_of_lists(lists, np.asarray(classes), keep_unknown=keep_unknown)
    names = names_in(ranker) if is_frame(y) else None
    if names is not None:
        y = aligned_frame(y, names)
    y = target_array(y, "y")
    multilabel = getattr(ranker, "multilabel_", False)
    is_column = not sp.issparse(y) and y.ndim == 2 and y.shape[1] == 1
    if not multilabel and (y.ndim == 1 or (is_column and classes is not None)):
        if classes is None:
            raise TypeError(f"estimator must have classes_ where Y is 1-D, got {ranker!r}")
        return indicator_of_classes(y.ravel(), np.asarray(classes))
    if y.ndim != 2:
        raise ValueError(f"y must be a 0/1 indicator matrix as in fit, got shape {y.shape}")
    # For other estimators, the matrix of scores has the number of labels.
    if hasattr(ranker, "rank") and classes is not None and y.shape[1] != len(classes):
        raise ValueError(f"y must have {len(classes)} columns, got {y.shape[1]}")
    return y


def known_truth(ranker, y, n_rows=None):
    """Return y as a canonical indicator of the labels of a ranker that has ``n_labels_``.

    Returns
    -------
    truth : csr_matrix of float32, shape (n, n_labels)
    """
    truth = truth_for(ranker, y, keep_unknown=False)
    return check_indicator(truth, "y", n_rows, ranker.n_labels_)
