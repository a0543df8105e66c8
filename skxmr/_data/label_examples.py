"""Label examples: additional training rows made from the labels."""

import numpy as np
import scipy.sparse as sp

from .._utils.matrices import check_matrix


def check_label_examples(label_examples, n_labels, n_features):
    """Validate one additional training row per label and return the rows as canonical CSR."""
    rows = check_matrix(label_examples, "label_examples", n_labels)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"label_examples must have {n_features} features as X, got {rows.shape[1]}"
        )
    return rows


def with_label_examples(X, targets, rows, example_weight=1.0):
    """Append one row per label to the training rows. Rows without features are left out.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)
    targets : tuple (indicator, weight, relevance, negatives)
        As `distinct_examples` takes them.
    rows : csr_matrix of float32, shape (n_labels, n_features)
    example_weight : float
        Weight of each of these rows.

    Returns
    -------
    X : csr_matrix
    targets : tuple
    """
    labels = np.flatnonzero(np.diff(rows.indptr)).astype(np.int32)
    indicator, weight, relevance, negatives = targets
    one_each = _one_each(labels, indicator.shape[1])
    nothing = sp.csr_matrix(one_each.shape, dtype=np.float32)
    if weight is None and example_weight != 1:
        weight = np.ones(X.shape[0], dtype=np.float32)
    if weight is not None:
        weight = np.concatenate((weight, np.full(len(labels), example_weight, weight.dtype)))
    if relevance is not None:
        relevance = _stack(relevance, one_each)
    if negatives is not None:
        negatives = _stack(negatives, nothing)
    return _stack(X, rows[labels]), (_stack(indicator, one_each), weight, relevance, negatives)


def _one_each(labels, n_labels):
    ones = np.ones(len(labels), dtype=np.float32)
    pointers = np.arange(len(labels) + 1)
    return sp.csr_matrix((ones, labels, pointers), shape=(len(labels), n_labels))


def _stack(above, below):
    return sp.vstack((above, below), format="csr", dtype=np.float32)
