"""Training examples in a canonical order, equal ones merged."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import csr_hash_rows, csr_rows_equal


class Examples(NamedTuple):
    """Distinct training examples.

    Example i has the features of row ``source[i]`` of X, the labels of row i of `Y` and the weight
    ``weight[i]``. X itself is not copied.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_rows, n_features)
    Y : csr_matrix of float32, shape (n_examples, n_labels)
    source : ndarray of int32, shape (n_examples,)
    weight : ndarray of float32, shape (n_examples,), or None where all are 1
    relevance : csr_matrix of float32 with the pattern of `Y`, or None where all are 1
    negatives : csr_matrix of float32, shape (n_examples, n_labels), or None
        Labels whose rankers are to see the example, whether or not it has any label near them.
    """

    X: sp.csr_matrix
    Y: sp.csr_matrix
    source: np.ndarray
    weight: np.ndarray | None
    relevance: sp.csr_matrix | None = None
    negatives: sp.csr_matrix | None = None


def distinct_examples(X, Y, sample_weight=None, relevance=None, negatives=None):
    """Order the rows by their content, merge equal ones and drop those of weight zero.

    Whatever is trained on the result does not depend on the order of the rows, and a row of weight
    2 is exactly the same as the row given twice.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)
        Canonical.
    Y : csr_matrix of float32, shape (n, n_labels)
        Canonical 0/1 indicator.
    sample_weight : ndarray of float32, shape (n,), optional
    relevance : csr_matrix of float32, shape (n, n_labels), optional
        With the pattern of Y.
    negatives : csr_matrix of float32, shape (n, n_labels), optional

    Returns
    -------
    examples : Examples
    """
    content = [Y if relevance is None else relevance, X]
    content = content if negatives is None else [negatives, *content]
    hashes = None
    for matrix in content:
        hashes = csr_hash_rows(matrix, hashes)
    order = np.argsort(hashes, kind="stable").astype(np.int32)
    if sample_weight is not None:
        order = order[sample_weight[order] > 0]
    repeats = _repeats(content, hashes, order)
    source = order[~repeats]
    weight = np.ones(len(order)) if sample_weight is None else sample_weight[order]
    starts = np.flatnonzero(~repeats)
    with np.errstate(over="ignore"):
        weight = np.add.reduceat(weight.astype(np.float64), starts).astype(np.float32)
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight adds up beyond single precision over equal rows")
    weight = None if (weight == 1).all() else weight
    labels = (None if m is None else sp.csr_matrix(m[source]) for m in (Y, relevance, negatives))
    Y, relevance, negatives = labels
    return Examples(X, Y, source, weight, relevance, negatives)


def _repeats(content, hashes, order):
    """Whether each row in the order equals the one before in all matrices."""
    same = np.zeros(len(order), dtype=bool)
    after = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]]) + 1
    left, right = order[after - 1], order[after]
    equal = [csr_rows_equal(matrix, left, right) for matrix in content]
    same[after] = np.logical_and.reduce(equal)
    return same
