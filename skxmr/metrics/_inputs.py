"""Validation of the true labels and of the rankings that the metrics compare."""

import numpy as np
from scipy import sparse

from .._ranking.ranking import Ranking
from .._utils.matrices import as_array, summed_csr
from .._utils.named_targets import check_column_names, indicator_of_lists, label_lists
from .._utils.pairs import is_true, top_k
from .._utils.params import check_integer


def find_hits(Y_true, Y_ranked, k):
    """Validate the parameters of a metric and find the true labels among the first k of each row.

    Returns
    -------
    truth : csr_matrix of shape (n_samples, n_labels)
        Canonical; stores only ones.
    top : ndarray of int64, shape (n_samples, at most k)
        First k labels of each row, padded with -1.
    hits : ndarray of bool, shape of `top`
        Whether each label is true.
    """
    check_integer(k, "k", 1)
    truth = check_truth(_with_columns(Y_true, Y_ranked), "Y_true")
    top = _check_ranked(Y_ranked, int(k), truth.shape)
    hits = is_true(truth, np.arange(len(top))[:, np.newaxis], top)
    return truth, top, hits & (top >= 0)


def _with_columns(Y_true, Y_ranked):
    """Return lists of labels as an indicator of the labels that a ranking names."""
    classes = Y_ranked._class_array if isinstance(Y_ranked, Ranking) else None
    if classes is not None and classes.dtype.kind in "UO":
        rule = "Y_true must have the labels of Y_ranked as columns in the same order"
        check_column_names(Y_true, classes, rule)
    # Integers from 0 may be column numbers. Lists of one length are then a matrix.
    are_numbers = classes is None or np.array_equal(classes, np.arange(len(classes)))
    lists = label_lists(Y_true, None if are_numbers else classes)
    if lists is None:
        return Y_true
    texts = any(isinstance(label, str) for row in lists for label in row)
    names = getattr(Y_ranked, "label_names", None) if texts else classes
    if names is None and not texts:
        return Y_true  # a ragged matrix, of which the rows are refused
    if names is None:
        raise TypeError(
            "Y_true must be an indicator unless Y_ranked is the result of rank with named labels, "
            "got lists of labels"
        )
    return indicator_of_lists(lists, names, keep_unknown=True)


def check_truth(Y, name):
    """Validate a 0/1 indicator and return it as canonical CSR that stores only its ones.

    The values are compared before they are rounded to single precision.
    """
    Y = _check_numbers(Y, name)
    if 0 in Y.shape:
        raise ValueError(f"{name} must have rows and columns, got shape {Y.shape}")
    truth = summed_csr(Y, name) if sparse.issparse(Y) else sparse.csr_matrix(Y)
    truth.eliminate_zeros()
    wrong = truth.data[truth.data != 1]
    if wrong.size:
        raise ValueError(f"{name} must hold only 0 and 1, got {wrong[0].item()!r}")
    return truth


def ranking_from_scores(scores, k):
    """Return the labels of the k best stored scores of each row, int64, padded with -1.

    Parameters
    ----------
    scores : CSR matrix of shape (n_samples, n_labels)
        Canonical. A score of minus infinity is not a candidate.
    k : int
        At least 1.

    Returns
    -------
    labels : ndarray of int64, shape (n_samples, min(k, n_labels))
    """
    labels, best = top_k(scores, min(k, scores.shape[1]))
    return np.where(best == -np.inf, -1, labels).astype(np.int64)


def _check_ranked(Y_ranked, k, shape):
    """Return the first k (or fewer) labels of each row, int64, padded with -1."""
    is_pair = isinstance(Y_ranked, tuple)
    if is_pair and len(Y_ranked) != 2:
        raise ValueError(f"Y_ranked must be a pair if it is a tuple, got {len(Y_ranked)} members")
    ranked = _check_numbers(Y_ranked[0] if is_pair else Y_ranked, "Y_ranked")
    if ranked.shape[0] != shape[0]:
        raise ValueError(f"Y_ranked must have {shape[0]} rows as Y_true, got {ranked.shape[0]}")
    if not sparse.issparse(ranked) and ranked.dtype.kind in "iu":
        return _check_ranking(ranked.astype(np.int64), shape[1])[:, :k]
    if is_pair or ranked.dtype == np.bool_:
        raise TypeError(f"labels in Y_ranked must be an array of integers, got {ranked.dtype}")
    if ranked.shape != shape:
        raise ValueError(f"scores in Y_ranked must have shape {shape}, got {ranked.shape}")
    return ranking_from_scores(_score_csr(ranked, k), k)


def _check_ranking(labels, n_labels):
    """Return a ranking after checking that its labels exist and that no row repeats one."""
    wrong = labels[(labels < -1) | (labels >= n_labels)]
    if wrong.size:
        raise ValueError(
            f"labels in Y_ranked must be in [0, {n_labels}) as the columns of Y_true, or -1 for no "
            f"label, got {wrong[0]}"
        )
    ordered = np.sort(labels, axis=1)
    rows, columns = np.nonzero((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if rows.size:
        raise ValueError(
            f"Y_ranked must hold a label once in each row, got label {ordered[rows[0], columns[0]]}"
            f" twice in row {rows[0]} (integers are a ranking; give scores as floating point)"
        )
    return labels


def _score_csr(scores, k):
    """Return sparse scores as canonical CSR, and of dense ones those that can be in the top k."""
    if sparse.issparse(scores):
        scores = summed_csr(scores, "Y_ranked")
        _check_no_nan(scores.data)
        return scores
    _check_no_nan(scores)
    return _dense_top_k(scores, min(k, scores.shape[1]))


def _check_no_nan(scores):
    if np.isnan(scores).any():
        raise ValueError("Y_ranked must hold scores that can be ordered, got NaN")


def _dense_top_k(scores, k):
    """Return a few scores of each row as CSR, among them the k best."""
    least = -np.partition(-scores, k - 1, axis=1)[:, k - 1, np.newaxis]
    ties = scores == least
    # Most of a row may tie with its k-th score, such as zeros of labels that were not reached. The
    # first k of them are enough.
    first_ties = ties & (np.cumsum(ties, axis=1, dtype=np.int32) <= k)
    rows, columns = np.nonzero((scores > least) | first_ties)
    return sparse.csr_matrix((scores[rows, columns], (rows, columns)), shape=scores.shape)


def _check_numbers(matrix, name):
    """Validate a 2-D matrix of real numbers; return it as it is if sparse, else as an array."""
    matrix = as_array(matrix, name)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got {matrix.ndim} dimensions")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {matrix.dtype}")
    if not sparse.issparse(matrix) and matrix.dtype.kind == "f":
        # SciPy supports neither half precision nor foreign byte orders.
        matrix = matrix.astype(np.result_type(matrix, np.float32), copy=False)
    return matrix
