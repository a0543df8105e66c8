"""Weights of training rows by the time of their targets."""

import numpy as np

from ._times import days_of


def check_half_life(value, name):
    """Check a half-life that may be None."""
    if value is not None:
        days_of(value, name)


def window_weights(training, half_life):
    """Return a weight for each row, which halves with the age of its last target.

    Parameters
    ----------
    training : Training
    half_life : str, number, timedelta or None
        None: all weights are 1.

    Returns
    -------
    weights : ndarray of float64, shape (n,)
        At most 1. Rows without targets have the weight 1.
    """
    n_rows = training.X.shape[0]
    if half_life is None:
        return np.ones(n_rows)
    if training.times is None:
        raise ValueError("window_half_life needs target_times in fit, got None")
    latest = np.full(n_rows, training.times.max() if len(training.times) else 0.0)
    filled = np.flatnonzero(np.diff(training.y.indptr))
    if len(filled):
        latest[filled] = np.maximum.reduceat(training.times, training.y.indptr[filled])
    return np.exp2((latest - latest.max()) / days_of(half_life, "window_half_life"))
