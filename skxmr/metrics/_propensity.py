"""Propensities of labels, and the precision that counts rare labels more."""

import math
from numbers import Real

import numpy as np
from scipy import sparse

from .._utils.weights import check_weight_ratios
from ._inputs import _checked_k, _look_up, _ranking_from_scores, _truth


def psp_at_k(Y_true, Y_ranked, k=5, *, propensities, sample_weight=None):
    r"""Compute the propensity-scored precision of the first k places.

    A label that is often missing from the annotations earns more when it is found:

    .. math:: PSP@k = \frac{1}{k} \sum_{i=1}^{k} \frac{y_{r_i}}{p_{r_i}}

    This can exceed 1, so that the sum over all rows is reported relative to the greatest sum that
    any ranking could reach, which takes the true labels of a row by rising propensity.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=5
        How many places count.
    propensities : array-like of shape (n_labels,)
        The propensity of each label, in (0, 1], from :func:`propensities` of the training labels.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The ratio of the two sums, in [0, 1]; 0 if `Y_true` has no true label at all.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`; also ValueError if `propensities` has the wrong length or a
        value outside (0, 1].

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for recommendation,
       tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> from skxmr.metrics import psp_at_k
    >>> Y_true = [[1, 0, 1], [0, 1, 0]]
    >>> psp_at_k(Y_true, [[0, 1, 2], [1, 2, 0]], k=1, propensities=[0.5, 0.5, 0.25])
    0.6666666666666666
    """
    k = _checked_k(k)
    truth, top, hits = _look_up(Y_true, Y_ranked, k)
    gain = 1.0 / _checked_propensities(propensities, truth.shape[1])
    best = sparse.csr_array((gain[truth.indices], truth.indices, truth.indptr), truth.shape)
    best_top = _ranking_from_scores(best, k)
    weight = check_weight_ratios(sample_weight, len(hits))
    # Exact sums, so that the best ranking is exactly 1 in whatever order it names its labels.
    found_sum, best_sum = (
        math.fsum((gain[labels[there]] * weight[np.nonzero(there)[0]]).tolist())
        for labels, there in ((top, hits), (best_top, best_top >= 0))
    )
    return found_sum / best_sum if best_sum else 0.0


def propensities(Y_train, A=0.55, B=1.5):
    r"""Estimate how probable it is that a label, where it applies, was annotated.

    .. math::
        p_l = \frac{1}{1 + C e^{-A \ln(N_l + B)}}, \quad C = (\ln N - 1) (B + 1)^A

    where label l has :math:`N_l` of the N training rows. The published choices of (A, B) are
    (0.5, 0.4) for Wikipedia, (0.6, 2.6) for Amazon, and (0.55, 1.5) otherwise.

    Parameters
    ----------
    Y_train : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The labels of the training rows, 0 or 1. At least three rows, below which C is negative.
    A : float, default=0.55
        How steeply the propensity rises with the frequency of a label.
    B : float, default=1.5
        Added to the frequency of every label.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        The propensities, in (0, 1); a more frequent label has a higher one.

    Raises
    ------
    TypeError
        If `A` or `B` is not a number.
    ValueError
        If `A` or `B` is not positive and finite, or `Y_train` is not a 0/1 matrix of at least
        three rows.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for recommendation,
       tagging, ranking & other missing label applications", KDD 2016.

    Examples
    --------
    >>> from skxmr.metrics import propensities
    >>> propensities([[1, 0], [1, 0], [1, 0], [1, 1]]).round(3)
    array([0.8  , 0.721])
    """
    _check_positive(A, "A")
    _check_positive(B, "B")
    truth = _truth(Y_train, "Y_train")
    n_samples, n_labels = truth.shape
    if n_samples < 3:
        raise ValueError(f"Y_train must have at least 3 rows, got {n_samples}")
    counts = np.bincount(truth.indices, minlength=n_labels)
    return propensities_of_counts(counts, n_samples, A, B)


def propensities_of_counts(counts, n_samples, A, B):
    """Return the propensities of labels that so many of the rows have."""
    C = (np.log(n_samples) - 1.0) * (B + 1.0) ** A
    return 1.0 / (1.0 + C * (counts + B) ** -A)


def _checked_propensities(propensities, n_labels):
    """Return the propensities as float64, one in (0, 1] for each label."""
    try:
        values = np.asarray(propensities, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"propensities must be an array of numbers: {error}") from error
    if values.shape != (n_labels,):
        raise ValueError(f"propensities must have shape ({n_labels},), got {values.shape}")
    wrong = values[~((values > 0) & (values <= 1))]
    if wrong.size:
        raise ValueError(f"propensities must be in (0, 1], got {wrong[0]}")
    return values


def _check_positive(value, name):
    """Raise unless `value` is a positive finite number."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")
