"""Recent popularity compared with that of all training rows."""

import numpy as np

from ._base import cold_rows
from ._inputs import recent_counts
from ._times import days_of

#: Added to the counts of each item, so that shares are never zero.
_SMOOTHING = 0.5


def check_days(value, name):
    """Check a duration."""
    days_of(value, name)


def log_shift(training, days, weights=None):
    """Return the logarithm of the share of each item in the last days, over its share in all rows.

    Parameters
    ----------
    training : Training
    days : float
    weights : ndarray of shape (n,), optional
        Weights of the rows in training, for the second share.

    Returns
    -------
    shift : ndarray of float32, shape (n_items,)
    """
    if training.times is None:
        raise ValueError("a prior shift needs target_times in fit, got None")
    recent = recent_counts(training, days)
    trained = recent_counts(training)
    if weights is not None:
        trained = training.y.T @ weights
    return (log_shares(recent) - log_shares(trained)).astype(np.float32)


def without_cold_rows(X, weights=None):
    """Return weights of rows that are 0 without a history, as rankers do not rank such rows.

    Parameters
    ----------
    X : csr_matrix of shape (n, n_items)
    weights : ndarray of shape (n,), optional

    Returns
    -------
    weights : ndarray of shape (n,) or None
        As given, if all rows or no rows have a history.
    """
    cold = cold_rows(X)
    if cold.all() or not cold.any():
        return weights
    return np.where(cold, 0.0, 1.0 if weights is None else weights)


def log_shares(counts):
    """Return the logarithms of the shares of counts, after smoothing."""
    smoothed = counts.astype(np.float64) + _SMOOTHING
    return np.log(smoothed) - np.log(smoothed.sum())
