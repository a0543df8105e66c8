"""Pairs of a row and a label: the stored entries of score matrices, and which of them are true."""

import numpy as np
from scipy import sparse

from .._core import csr_top_k, indptr_of


def row_of_entries(matrix):
    """Return the row of each stored entry of a CSR matrix."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def is_true(truth, rows, labels):
    """Return whether pairs of a row and a label are entries of `truth`.

    Parameters
    ----------
    truth : CSR matrix of shape (n_rows, n_labels)
        Canonical, of ones.
    rows, labels : ndarray of int
        Of any shapes that broadcast.

    Returns
    -------
    hits : ndarray of bool, of the broadcast shape
    """
    n_rows, n_labels = truth.shape
    # One increasing key per true entry. The last key, beyond all others, keeps the search in range.
    keys = np.append(row_of_entries(truth) * n_labels + truth.indices, n_rows * n_labels)
    wanted = np.asarray(rows, dtype=np.int64) * n_labels + labels
    return keys[np.searchsorted(keys, wanted)] == wanted


def values_at(matrix, rows, labels):
    """Return the entries of a canonical CSR matrix at pairs of a row and a label, or 0."""
    if not len(rows):  # SciPy returns a sparse matrix then
        return np.zeros(0, dtype=matrix.dtype)
    return np.asarray(matrix[rows, labels]).ravel()


def ranks(scores):
    """Return the rank of each stored entry in its row, from 1; ties by lower label.

    Parameters
    ----------
    scores : CSR matrix of floating point numbers
        Canonical.

    Returns
    -------
    ranks : ndarray of int64, shape (nnz,)
    """
    rows = row_of_entries(scores)
    order = np.lexsort((-scores.data, rows))  # stable, and the labels of a row increase
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.arange(1, len(order) + 1) - scores.indptr[rows]
    return found


def top_k(scores, k):
    """Return the k best stored entries of each row; ties by lower label.

    Parameters
    ----------
    scores : CSR matrix of shape (n, n_labels)
        Canonical.
    k : int

    Returns
    -------
    labels : ndarray of int, shape (n, k)
        Padded with -1.
    best : ndarray of float, shape (n, k)
        Scores of these labels, padded with -inf.
    """
    if scores.dtype == np.float32 and scores.shape[1] <= np.iinfo(np.int32).max:
        return csr_top_k(scores, k)
    # In single precision, close scores would become ties.
    scores = scores.astype(np.float64, copy=False)
    found = ranks(scores)
    taken = found <= k
    rows = row_of_entries(scores)[taken]
    columns = found[taken] - 1
    labels = np.full((scores.shape[0], k), -1, dtype=np.int64)
    labels[rows, columns] = scores.indices[taken]
    best = np.full(labels.shape, -np.inf)
    best[rows, columns] = scores.data[taken]
    return labels, best


def ranking_csr(labels, scores, n_labels):
    """Return a ranking as a canonical CSR matrix of the scores of its labels."""
    reached = labels >= 0
    indptr = indptr_of(reached.sum(axis=1))
    entries = (scores[reached], labels[reached], indptr)
    matrix = sparse.csr_matrix(entries, shape=(len(labels), n_labels))
    matrix.sort_indices()
    return matrix


def first_k(scores, k):
    """Return the entries of the k best of each row; all of them if k is None."""
    return scores if k is None else select(scores, ranks(scores) <= k)


def select(matrix, chosen):
    """Return a CSR matrix with the chosen ones of its stored entries."""
    indptr = indptr_of(chosen)[matrix.indptr]
    return sparse.csr_matrix((matrix.data[chosen], matrix.indices[chosen], indptr), matrix.shape)
