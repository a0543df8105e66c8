"""Averages of the ranks that several classifiers give."""

import numpy as np


def average_ranks(rankings, k, min_score=None):
    """Combine rankings of the same rows by the means of reciprocal ranks.

    Labels with equal means are ordered by the mean of their scores, and then by their number.

    Parameters
    ----------
    rankings : list of tuple (labels, scores)
        Each of shape (n_rows, depth), padded with -1.
    k : int
    min_score : float, optional
        Labels with lower means are left out.

    Returns
    -------
    labels : ndarray of int32, shape (n_rows, k)
        Padded with -1.
    scores : ndarray of float32, shape (n_rows, k)
        Means of reciprocal ranks, padded with -inf.
    """
    n_rows, depth = rankings[0][0].shape
    out_labels = np.full((n_rows, k), -1, dtype=np.int32)
    out_scores = np.full((n_rows, k), -np.inf, dtype=np.float32)
    reciprocal = np.tile(1 / np.arange(1, depth + 1), len(rankings)) / len(rankings)
    labels = np.concatenate([np.asarray(ranking[0]) for ranking in rankings], axis=1)
    scores = np.concatenate([np.asarray(ranking[1]) for ranking in rankings], axis=1)
    for row in range(n_rows):
        present = labels[row] >= 0
        known, code = np.unique(labels[row][present], return_inverse=True)
        ranks = np.bincount(code, weights=reciprocal[present], minlength=len(known))
        means = np.bincount(code, weights=scores[row][present], minlength=len(known))
        order = np.lexsort((known, -means, -ranks))[:k]
        if min_score is not None:
            order = order[ranks[order] >= min_score]
        out_labels[row, : len(order)] = known[order]
        out_scores[row, : len(order)] = ranks[order]
    return out_labels, out_scores
