"""Checks of sample weights."""

import numpy as np

from .matrices import as_array


def check_sample_weight(sample_weight, n_rows, scale=1.0):
    """Validate sample weights and return them as float32, or None if there are none.

    The products of the weights and `scale` must be valid as well.
    """
    if sample_weight is None:
        return None
    weight = weight_array(sample_weight, n_rows)
    with np.errstate(over="ignore", under="ignore"):  # infinite weights are rejected below
        weight = weight.astype(np.float32)
    if not _are_weights(weight):
        raise ValueError(
            "sample_weight must be finite, not negative and not all zero in single precision"
        )
    with np.errstate(over="ignore", under="ignore"):
        products = weight[weight > 0] * np.float32(scale)
    if not (np.isfinite(products).all() and products.all()):
        raise ValueError(
            f"sample_weight times {scale!r} must neither overflow nor vanish in single precision"
        )
    return weight


def check_weight_ratios(sample_weight, n_rows):
    """Validate sample weights of any scale and return them as float64, scaled to at most 1.

    The scale is a power of two. Tiny and huge weights are therefore not lost in sums, and all other
    weights are exact. None stands for weights of 1.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    weight = weight_array(sample_weight, n_rows).astype(np.float64)
    if not _are_weights(weight):
        raise ValueError("sample_weight must be finite, not negative and not all zero")
    with np.errstate(under="ignore"):
        return np.ldexp(weight, -np.frexp(weight.max())[1])


def rows_counted(sample_weight, n_rows):
    """Return the number of rows that each row stands for, for weights of any scale.

    If all weights are multiples of the smallest weight above zero, a row of that weight stands for
    one row, and a row of twice the weight for two. Otherwise, the mean over the rows with a weight
    above zero is one row.

    Returns
    -------
    counts : ndarray of float64, shape (n_rows,)
    """
    weight = check_weight_ratios(sample_weight, n_rows)
    positive = weight[weight > 0]
    with np.errstate(over="ignore"):
        counts = weight / positive.min()
    whole = np.rint(counts)
    if np.isfinite(counts).all() and np.abs(counts - whole).max() < _WHOLE:
        return whole
    return weight / positive.mean()


#: Maximum distance of a multiple from an integer: the weights may be rounded to single precision.
_WHOLE = 1e-4


def weight_array(sample_weight, n_rows):
    """Return sample weights as one number for each row. Their values are not checked."""
    weight = as_array(sample_weight, "sample_weight")
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)
    if weight.shape != (n_rows,) or weight.dtype.kind not in "fiub":
        raise ValueError(
            f"sample_weight must be {n_rows} numbers, one per row of X, got an array of "
            f"{weight.dtype} with shape {weight.shape}"
        )
    return weight


def _are_weights(weight):
    return np.isfinite(weight).all() and (weight >= 0).all() and weight.any()
