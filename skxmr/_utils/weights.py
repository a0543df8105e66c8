"""Checks of sample weights."""

import numpy as np

from .matrices import as_array


def check_sample_weight(sample_weight, n_rows, scale=1.0):
    """Return sample weights as float32, or None where there are none.

    `scale` is what they will be multiplied with: the products must be valid as well.
    """
    if sample_weight is None:
        return None
    weight = weight_array(sample_weight, n_rows)
    with np.errstate(over="ignore", under="ignore"):  # what does not fit is refused below
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
    """Return sample weights whose scale does not matter, as float64 of at most 1; 1 for None.

    They are multiplied by a power of two, so that neither tiny nor huge ones are lost in sums and
    all others are exact.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    weight = weight_array(sample_weight, n_rows).astype(np.float64)
    if not _are_weights(weight):
        raise ValueError("sample_weight must be finite, not negative and not all zero")
    with np.errstate(under="ignore"):
        return np.ldexp(weight, -np.frexp(weight.max())[1])


def rows_counted(sample_weight, n_rows):
    """Return for how many rows each row counts, whatever the scale of the weights.

    Where all weights are multiples of the smallest one above zero, a row of that weight is one row,
    and one of twice the weight is two. All other weights are scaled so that rows with weight
    count for one on average.
    """
    weight = check_weight_ratios(sample_weight, n_rows)
    positive = weight[weight > 0]
    with np.errstate(over="ignore"):
        counts = weight / positive.min()
    whole = np.rint(counts)
    if np.isfinite(counts).all() and np.abs(counts - whole).max() < _WHOLE:
        return whole
    return weight / positive.mean()


#: Multiples of a weight that was rounded, to single precision perhaps, are integers this closely.
_WHOLE = 1e-4


def weight_array(sample_weight, n_rows):
    """Return sample weights as one number for each row; their values are left to be checked."""
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
