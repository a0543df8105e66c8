"""Label examples: additional training rows made from the labels."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._utils.matrices import as_array, check_matrix


class LabeledRows(NamedTuple):
    """Rows, each of which is an example of one label.

    Attributes
    ----------
    rows : {array-like, sparse matrix} of shape (n, n_features)
    labels : ndarray of int, shape (n,)
        Columns of the indicator. A label may have any number of rows.
    """

    rows: object
    labels: np.ndarray


def check_label_examples(label_examples, n_labels, n_features):
    """Validate additional training rows.

    Parameters
    ----------
    label_examples : {array-like, sparse matrix} of shape (n_labels, n_features), or tuple
        One row per label, or a pair (rows, labels).
    n_labels, n_features : int

    Returns
    -------
    examples : LabeledRows
        With canonical CSR rows.
    """
    if is_rows_and_labels(label_examples):
        labels = _check_labels(label_examples[1], n_labels)
        rows = check_matrix(label_examples[0], "the rows of label_examples", len(labels))
    else:
        labels = np.arange(n_labels)
        rows = check_matrix(label_examples, "label_examples", n_labels)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"label_examples must have {n_features} features as X, got {rows.shape[1]}"
        )
    return LabeledRows(rows, labels)


def is_rows_and_labels(label_examples):
    """Return whether label examples are a pair (rows, labels)."""
    if not isinstance(label_examples, tuple) or len(label_examples) != 2:
        return False
    return getattr(label_examples[0], "ndim", 0) == 2


def _check_labels(labels, n_labels):
    labels = as_array(labels, "the labels of label_examples")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "the labels of label_examples must be columns of y, as a one-dimensional array of "
            f"integers, got {labels.dtype} of shape {labels.shape}"
        )
    wrong = labels[(labels < 0) | (labels >= n_labels)]
    if len(wrong):
        raise ValueError(
            f"the labels of label_examples must lie in [0, {n_labels}), got {wrong[0]}"
        )
    return labels


def with_label_examples(X, targets, examples):
    """Append label examples to the training rows. Rows without features are left out.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)
    targets : tuple (indicator, weight, relevance, negatives)
        As `distinct_examples` takes them.
    examples : LabeledRows
        As `check_label_examples` returns them.

    Returns
    -------
    X : csr_matrix
    targets : tuple
    """
    kept = np.flatnonzero(np.diff(examples.rows.indptr))
    labels = examples.labels[kept].astype(np.int32)
    indicator, weight, relevance, negatives = targets
    one_each = _one_each(labels, indicator.shape[1])
    nothing = sp.csr_matrix(one_each.shape, dtype=np.float32)
    if weight is not None:
        weight = np.concatenate((weight, np.ones(len(labels), dtype=weight.dtype)))
    if relevance is not None:
        relevance = _stack(relevance, one_each)
    if negatives is not None:
        negatives = _stack(negatives, nothing)
    return _stack(X, examples.rows[kept]), (
        _stack(indicator, one_each),
        weight,
        relevance,
        negatives,
    )


def _one_each(labels, n_labels):
    ones = np.ones(len(labels), dtype=np.float32)
    pointers = np.arange(len(labels) + 1)
    return sp.csr_matrix((ones, labels, pointers), shape=(len(labels), n_labels))


def _stack(above, below):
    return sp.vstack((above, below), format="csr", dtype=np.float32)
