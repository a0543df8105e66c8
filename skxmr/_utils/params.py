"""Validation of parameters."""

import numbers

import numpy as np
from sklearn.utils import check_random_state


def check_boolean(value, name):
    """Check that a parameter is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def check_integer(value, name, least, most=None):
    """Check that a parameter is an integer of at least `least`, and at most `most`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")


def check_real(value, name, least, *, above=False, most=None):
    """Check that a parameter is a finite number of at least (or above) `least`, at most `most`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        with np.errstate(over="ignore", under="ignore"):
            single = np.float32(value)
    except OverflowError:  # an integer beyond any float
        single = np.float32(np.inf)
    if not np.isfinite(single) or single < least or (above and single == least):
        bound = "above" if above else "at least"
        raise ValueError(
            f"{name} must be finite and {bound} {least} in single precision, got {value!r:.40}"
        )
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")


def check_lower_bound(value, name):
    """Check that a parameter is a number or infinite, and return it in single precision.

    It is rounded up, so that single-precision numbers below `value` are below the result, too.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if value != value:
        raise ValueError(f"{name} must be a number, got {value!r}")
    try:
        with np.errstate(over="ignore", under="ignore"):
            single = np.float32(value)
    except OverflowError:  # an integer beyond any float
        return np.inf if value > 0 else -np.inf
    if float(single) < value:
        single = np.nextafter(single, np.float32(np.inf))
    return float(single)


def check_seed(value, name):
    """Check that a parameter is a random state as scikit-learn takes it."""
    try:
        check_random_state(value)
    except ValueError as error:
        # Python refuses to print integers of more than 4300 digits.
        is_huge = isinstance(value, int) and value.bit_length() > 64
        got = "a larger one" if is_huge else f"{value!r:.80}"
        raise ValueError(
            f"{name} must be None, an integer in [0, 2**32) or a RandomState, got {got}"
        ) from error


def check_n_jobs(n_jobs):
    """Check that `n_jobs` is valid for joblib."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, (bool, np.bool_)) or not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"n_jobs must be an integer or None, got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs must be at least 1, or negative (-1 for all processors), got 0")


def check_option(value, name, options):
    """Check that a parameter is one of several strings."""
    if not isinstance(value, str) or value not in options:
        expected = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {expected}, got {value!r}")
