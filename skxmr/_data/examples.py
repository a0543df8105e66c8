"""Training examples in a canonical order, with equal examples merged."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import csr_hash_rows, csr_rows_equal


class Examples(NamedTuple):
    """Distinct training examples.

    Example i has the features of row ``source[i]`` of `X`, the labels of row i of `Y` and the
    weight ``weight[i]``. `X` is not copied.

    Attributes
    ----------
    X : csr_matrix of float32, shape (n_rows, n_features)
    Y : csr_matrix of float32, shape (n_examples, n_labels)
    source : ndarray of int32, shape (n_examples,)
    weight : ndarray of float32, shape (n_examples,), or None if all are 1
    relevance : csr_matrix of float32 with the pattern of `Y`, or None if all are 1
    negatives : csr_matrix of float32, shape (n_examples, n_labels), or None
        Labels whose rankers learn from the example even if none of its labels is below the same
        parent.
    """

    X: sp.csr_matrix
    Y: sp.csr_matrix
    source: np.ndarray
    weight: np.ndarray | None
    relevance: sp.csr_matrix | None = None
    negatives: sp.csr_matrix | None = None


def distinct_examples(X, Y, sample_weight=None, relevance=None, negatives=None):
    """Order the rows by their content, merge equal rows and drop rows of weight zero.

    A model trained on the result does not depend on the order of the rows. A row of weight 2 is
    equivalent to two equal rows.

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
    if negatives is not None:
        content.insert(0, negatives)
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
        raise ValueError(
            "sample_weight must have a finite sum over equal rows, got an infinite sum"
        )
    weight = None if (weight == 1).all() else weight
    if relevance is not None:
        relevance = sp.csr_matrix(relevance[source])
    if negatives is not None:
        negatives = sp.csr_matrix(negatives[source])
    return Examples(X, sp.csr_matrix(Y[source]), source, weight, relevance, negatives)


def _repeats(content, hashes, order):
    """Return whether each row in this order equals the previous row in all matrices."""
    same = np.zeros(len(order), dtype=bool)
    after = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]]) + 1
    left = order[after - 1]
    right = order[after]
    equal = [csr_rows_equal(matrix, left, right) for matrix in content]
    same[after] = np.logical_and.reduce(equal)
    return same
