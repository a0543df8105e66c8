"""Precision, recall and F of labels above a threshold, for every threshold there is."""

from typing import NamedTuple

import numpy as np

from .._utils.pairs import is_true, row_of_entries

AVERAGES = ("micro", "samples", "macro")


class FCurve(NamedTuple):
    """Figures of the labels that score above each threshold; thresholds rise."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f_score: np.ndarray


def f_curve(truth, scores, average, beta):
    """Sweep a threshold over all scores.

    Averages over rows or labels change by one row's or label's term with every pair that is added,
    so that sorting the pairs is all there is to it.

    Parameters
    ----------
    truth, scores : canonical CSR matrices of shape (n, L)
        The first of ones; of the second, stored entries are candidates.
    average : {"micro", "samples", "macro"}
    beta : float

    Returns
    -------
    FCurve
        From all candidates to none. What would divide by zero is 0.
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
    """Return the group of each pair within which counts are made, and the true ones of each."""
    if average == "samples":
        return rows, np.diff(truth.indptr)
    if average == "macro":
        return labels, np.bincount(truth.indices, minlength=truth.shape[1])
    return np.zeros(len(rows), dtype=np.int8), np.array([truth.nnz])


def _steps(group, n_true, hits, scores, beta):
    """By how much each pair changes its group's precision, recall and F, once it is added."""
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
