"""Pairs of a row and a label: the stored entries of score matrices, and which of them are true."""

import numpy as np
from scipy import sparse


def row_of_entries(matrix):
    """Return the row of each stored entry of a CSR matrix."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def is_true(truth, rows, labels):
    """Say of pairs whether they are entries of `truth`, a canonical CSR matrix of ones.

    Rows and labels may be arrays of any shapes that broadcast.
    """
    n_rows, n_labels = truth.shape
    # One rising key per true entry. The last one, beyond all others, keeps the lookup in range.
    keys = np.append(row_of_entries(truth) * n_labels + truth.indices, n_rows * n_labels)
    wanted = np.asarray(rows, dtype=np.int64) * n_labels + labels
    return keys[np.searchsorted(keys, wanted)] == wanted


def places(scores):
    """Return the place of each stored entry in its row's ranking, from 1; ties by lower label."""
    rows = row_of_entries(scores)
    order = np.lexsort((-scores.data, rows))  # stable, and the labels of a row rise
    found = np.empty(len(order), dtype=np.int64)
    found[order] = np.arange(1, len(order) + 1) - scores.indptr[rows]
    return found


def first_k(scores, k):
    """Return the entries of the k best of each row; all of them if k is None."""
    return scores if k is None else select(scores, places(scores) <= k)


def select(matrix, chosen):
    """Return a CSR matrix with the chosen ones of its stored entries."""
    indptr = np.concatenate(([0], np.cumsum(chosen)))[matrix.indptr]
    return sparse.csr_matrix((matrix.data[chosen], matrix.indices[chosen], indptr), matrix.shape)
