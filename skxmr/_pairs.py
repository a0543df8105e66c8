"""Pairs of a row and a label: the stored entries of score matrices, and which of them are true."""

import numpy as np


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
