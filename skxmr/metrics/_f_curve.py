"""Precision, recall and F-score at every threshold on the scores."""

from typing import NamedTuple

import numpy as np

from .._utils.pairs import is_true, row_of_entries

AVERAGES = ("micro", "samples", "macro")


class FCurve(NamedTuple):
    """Metrics of the labels that score above each threshold.

    Attributes
    ----------
    thresholds : ndarray of shape (n_thresholds,)
        In increasing order.
    precision, recall, f_score : ndarray of float64, shape (n_thresholds,)
    """

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f_score: np.ndarray


def f_curve(truth, scores, average, beta):
    """Compute precision, recall and F-score at every threshold.

    With every pair of a row and a label that is added, only the term of this row or label changes
    in the averages. The pairs are therefore added by decreasing score, and the changes are summed.

    Parameters
    ----------
    truth : CSR matrix of shape (n, n_labels)
        Canonical, of ones.
    scores : CSR matrix of shape (n, n_labels)
        Canonical. The stored entries are the candidates.
    average : {"micro", "samples", "macro"}
    beta : float

    Returns
    -------
    curve : FCurve
        From all candidates to none. Ratios of 0/0 are 0.
    """
    rows = row_of_entries(scores)
    hits = is_true(truth, rows, scores.indices)
    group, n_true = _groups(truth, rows, scores.indices, average)
    steps = _steps(group, n_true, hits, scores.data, beta) / len(n_true)
    order = np.argsort(-scores.data, kind="stable")
    falling = scores.data[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    figures = np.cumsum(steps[:, order], axis=1)[:, last]
    figures = np.hstack([figures[:, ::-1], np.zeros((3, 1))])
    lowest = np.nextafter(falling[-1], -np.inf, dtype=falling.dtype)
    return FCurve(np.concatenate(([lowest], falling[last[::-1]])), *figures)


def _groups(truth, rows, labels, average):
    """Return the group of each pair, and the number of true labels of each group."""
    if average == "samples":
        return rows, np.diff(truth.indptr)
    if average == "macro":
        return labels, np.bincount(truth.indices, minlength=truth.shape[1])
    return np.zeros(len(rows), dtype=np.int8), np.array([truth.nnz])


def _steps(group, n_true, hits, scores, beta):
    """Return the change of precision, recall and F-score of its group by each pair."""
    order = np.lexsort((-scores, group))
    group = group[order]
    first = np.append(True, group[1:] != group[:-1])
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    n_found = np.arange(1, len(group) + 1) - start
    n_hits = np.cumsum(hits[order])
    n_hits -= np.append(0, n_hits)[start]
    n_true = n_true[group]
    figures = np.array(
        [
            n_hits / n_found,
            n_hits / np.maximum(n_true, 1),
            (1 + beta**2) * n_hits / (beta**2 * n_true + n_found),
        ]
    )
    before = np.where(first, 0.0, np.roll(figures, 1, axis=1))
    steps = np.empty_like(figures)
    steps[:, order] = figures - before
    return steps
