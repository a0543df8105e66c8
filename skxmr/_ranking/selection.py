"""Choice of the labels that `predict` returns without a threshold."""

import numpy as np

from .._utils.pairs import ranking_csr

#: Highest ranked labels whose scores are summed up, and share of the sum that a label must have.
#: Shares from 0.08 to 0.12 have nearly the same F1 on held-out rows of three catalogues.
N_COMPARED, _LEAST_SHARE = 20, 0.1

#: Of fewer labels, a tenth of the sum is less than the average score. Labels of higher scores than
#: one half are predicted then.
FEWEST_COMPARED = 10


def largest_shares(labels, scores, values, n_labels):
    """Keep the best label of each row, and all others with a tenth of the sum.

    The sum is over the values of the row's N_COMPARED best labels.

    Parameters
    ----------
    labels, scores : ndarray of shape (n_rows, N_COMPARED)
        A ranking, padded with -1.
    values : ndarray of shape (n_rows, N_COMPARED)
        At least 0, and in the order of the scores.
    n_labels : int

    Returns
    -------
    scores : csr_matrix of shape (n_rows, n_labels)
        Canonical. Rows without a reached label are empty.
    """
    values = np.where(labels >= 0, values, 0.0)
    share = _LEAST_SHARE * values.sum(axis=1, keepdims=True)
    chosen = (values > 0) & (values >= share)
    chosen[:, 0] = True
    return ranking_csr(np.where(chosen, labels, -1), scores, n_labels)


def exponentials(scores):
    """Return the exponentials of a ranking's scores, relative to the best of each row."""
    best = scores[:, :1].astype(np.float64)
    return np.exp(scores - np.where(np.isfinite(best), best, 0.0))
