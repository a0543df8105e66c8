"""Checks of what the metrics compare."""

from numbers import Integral

import numpy as np
from scipy import sparse

from .._core import csr_top_k
from .._utils.matrices import as_array, check_sparse_structure, widened
from .._utils.pairs import is_true


def _look_up(Y_true, Y_ranked, k):
    """Check the input and find the true labels among the first k of each row.

    Returns the truth as canonical CSR, and two arrays of shape (n_samples, at most k): the labels
    in the order of their ranks (-1 where there is none), and whether each is true.
    """
    truth = _truth(Y_true, "Y_true")
    top = _ranking(Y_ranked, k, truth.shape)
    hits = is_true(truth, np.arange(len(top))[:, np.newaxis], top)
    return truth, top, hits & (top >= 0)


def _truth(Y, name):
    """Return a 0/1 indicator as canonical CSR that stores its ones only."""
    Y = _checked_matrix(Y, name)
    if 0 in Y.shape:
        raise ValueError(f"{name} must have rows and columns, got shape {Y.shape}")
    truth = _canonical_csr(Y, name) if sparse.issparse(Y) else sparse.csr_array(Y)
    truth.eliminate_zeros()
    wrong = truth.data[truth.data != 1]
    if wrong.size:
        raise ValueError(f"{name} must hold only 0 and 1, got {wrong[0].item()!r}")
    return truth


def _ranking(Y_ranked, k, shape):
    """Return the first k (or fewer) labels of each row, int64, -1 where there is none."""
    is_pair = isinstance(Y_ranked, tuple)
    if is_pair and len(Y_ranked) != 2:
        raise ValueError(f"Y_ranked must be a pair if it is a tuple, got {len(Y_ranked)} members")
    ranked = _checked_matrix(Y_ranked[0] if is_pair else Y_ranked, "Y_ranked")
    if ranked.shape[0] != shape[0]:
        raise ValueError(f"Y_ranked must have {shape[0]} rows as Y_true, got {ranked.shape[0]}")
    if not sparse.issparse(ranked) and ranked.dtype.kind in "iu":
        return _checked_ranking(ranked.astype(np.int64), shape[1])[:, :k]
    if is_pair or ranked.dtype == np.bool_:
        raise TypeError(f"labels in Y_ranked must be an array of integers, got {ranked.dtype}")
    if ranked.shape != shape:
        raise ValueError(f"scores in Y_ranked must have shape {shape}, got {ranked.shape}")
    return _ranking_from_scores(_score_csr(ranked, k), k)


def _score_csr(scores, k):
    """Return scores as canonical CSR; of dense ones those that can be among the first k."""
    is_sparse = sparse.issparse(scores)
    scores = _canonical_csr(scores, "Y_ranked") if is_sparse else scores
    if np.isnan(scores.data if is_sparse else scores).any():
        raise ValueError("Y_ranked must hold scores that can be ordered, got NaN")
    return scores if is_sparse else _dense_top_k(scores, min(k, scores.shape[1]))


def _dense_top_k(scores, k):
    """Return as CSR the few scores of each row among which are the first k."""
    least = -np.partition(-scores, k - 1, axis=1)[:, k - 1, np.newaxis]
    ties = scores == least
    # Most of a row may tie with its k-th, such as zeros where little was reached: k of them do.
    first_ties = ties & (np.cumsum(ties, axis=1, dtype=np.int32) <= k)
    rows, columns = np.nonzero((scores > least) | first_ties)
    return sparse.csr_array((scores[rows, columns], (rows, columns)), shape=scores.shape)


def _ranking_from_scores(scores, k):
    """Return the labels of the k best stored scores of each row, -1 where there is none."""
    # Casting doubles to float32 would make ties of close scores, so C sorts only its own kind.
    fits = scores.dtype == np.float32 and scores.shape[1] <= np.iinfo(np.int32).max
    top_k = csr_top_k if fits else top_k_of_doubles
    labels, best = top_k(scores, min(k, scores.shape[1]))
    return np.where(best == -np.inf, -1, labels).astype(np.int64)


def top_k_of_doubles(scores, k):
    """Return labels and scores of the k best stored entries per row, padded with -1 and -inf."""
    counts = np.diff(scores.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    values = scores.data.astype(np.float64, copy=False)
    # The sort is stable: the columns of a row rise, so that ties go to the lower label.
    order = np.lexsort((-values, rows))
    places = np.arange(len(rows)) - np.repeat(scores.indptr[:-1], counts)
    kept = places < k
    labels = np.full((len(counts), k), -1, dtype=np.int64)
    best = np.full((len(counts), k), -np.inf)
    labels[rows[kept], places[kept]] = scores.indices[order[kept]]
    best[rows[kept], places[kept]] = values[order[kept]]
    return labels, best


def _canonical_csr(matrix, name):
    """Return a sparse matrix as a new CSR array with sorted and summed indices."""
    check_sparse_structure(matrix, name)
    csr = sparse.csr_array(widened(matrix), copy=True)
    csr.sum_duplicates()
    return csr


def _checked_matrix(matrix, name):
    """Return `matrix` if it is sparse and else as an array, once it is 2-D and of numbers."""
    matrix = as_array(matrix, name)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got {matrix.ndim} dimensions")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {matrix.dtype}")
    if not sparse.issparse(matrix) and matrix.dtype.kind == "f":
        # Half precision and foreign byte orders are more than scipy.sparse takes.
        matrix = matrix.astype(np.result_type(matrix, np.float32), copy=False)
    return matrix


def _checked_ranking(labels, n_labels):
    """Return a ranking in which every label exists and no row repeats one."""
    wrong = labels[(labels < -1) | (labels >= n_labels)]
    if wrong.size:
        raise ValueError(
            f"labels in Y_ranked must be in [0, {n_labels}) as the columns of Y_true, or -1 for an "
            f"empty place, got {wrong[0]}"
        )
    ordered = np.sort(labels, axis=1)
    row, place = np.nonzero((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if row.size:
        raise ValueError(
            f"Y_ranked must hold a label once in each row, got label {ordered[row[0], place[0]]} "
            f"twice in row {row[0]} (integers are a ranking; give scores as floating point)"
        )
    return labels


def _checked_k(k):
    """Return k as a Python int of at least 1."""
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"k must be an integer, got {k!r}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return int(k)
