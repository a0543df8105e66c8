"""Recent popularity compared with that of all training rows."""

import numpy as np

from ._inputs import recent_counts
from ._times import days_of

#: Added to the counts of each item, so that shares are never zero.
_SMOOTHING = 0.5


def check_days(value, name):
    """Check a duration."""
    days_of(value, name)


def log_shift(training, days):
    """Return the logarithm of the share of each item in the last days, over its share in all rows.

    Parameters
    ----------
    training : Training
    days : float

    Returns
    -------
    shift : ndarray of float32, shape (n_items,)
    """
    if training.times is None:
        raise ValueError("a prior shift needs target_times in fit, got None")
    shares = []
    for counts in (recent_counts(training, days), recent_counts(training)):
        smoothed = counts.astype(np.float64) + _SMOOTHING
        shares.append(smoothed / smoothed.sum())
    return (np.log(shares[0]) - np.log(shares[1])).astype(np.float32)
