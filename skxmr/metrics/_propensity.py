"""Propensities of labels, and the precision weighted by them."""

import math

import numpy as np
from scipy import sparse

from .._utils.params import check_real
from .._utils.weights import check_weight_ratios
from ._inputs import check_truth, find_hits, ranking_from_scores


def psp_at_k(Y_true, Y_ranked, k=5, *, propensities, sample_weight=None):
    r"""Compute the propensity-scored precision of the first k labels.

    A label that is often missing from the annotations contributes more:

    .. math:: PSP@k = \frac{1}{k} \sum_{i=1}^{k} \frac{y_{r_i}}{p_{r_i}}

    where :math:`r_i` is the label at rank i, and label l has the propensity :math:`p_l`. This value
    can exceed 1. The function therefore returns the sum over all rows, divided by the largest sum
    of any ranking. The best ranking has the true labels of a row by increasing propensity.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=5
        Number of labels taken from the top of each ranking.
    propensities : array-like of shape (n_labels,)
        Propensity of each label, in (0, 1], from :func:`propensities` of the training labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Ratio of the two sums, in [0, 1]; 0 if `Y_true` has no true label.

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
    truth, top, hits = find_hits(Y_true, Y_ranked, k)
    gain = 1.0 / _checked_propensities(propensities, truth.shape[1])
    best = sparse.csr_matrix((gain[truth.indices], truth.indices, truth.indptr), truth.shape)
    best_top = ranking_from_scores(best, int(k))
    weight = check_weight_ratios(sample_weight, len(hits))
    found_sum = _exact_sum(gain, top, hits, weight)
    best_sum = _exact_sum(gain, best_top, best_top >= 0, weight)
    return found_sum / best_sum if best_sum else 0.0


def _exact_sum(gain, labels, counted, weight):
    """Return the weighted sum of the gains of some labels of a ranking.

    The sum does not depend on the order of the labels, so that the best ranking scores exactly 1.
    """
    rows, _ = np.nonzero(counted)
    return math.fsum((gain[labels[counted]] * weight[rows]).tolist())


def propensities(Y_train, A=0.55, B=1.5):
    r"""Estimate the probability that a label is annotated where it is true.

    .. math::
        p_l = \frac{1}{1 + C e^{-A \ln(N_l + B)}}, \quad C = (\ln N - 1) (B + 1)^A

    where :math:`N_l` of the N training rows have label l. The published values of (A, B) are
    (0.5, 0.4) for Wikipedia, (0.6, 2.6) for Amazon, and (0.55, 1.5) for other data.

    Parameters
    ----------
    Y_train : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Labels of the training rows, 0 or 1. With fewer than three rows, C would be negative.
    A : float, default=0.55
        Exponent: the larger, the faster the propensity increases with the frequency of a label.
    B : float, default=1.5
        Constant that is added to the frequency of every label.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        Propensities, in (0, 1). They increase with the frequency of a label.

    Raises
    ------
    TypeError
        If `A` or `B` is not a number.
    ValueError
        If `A` or `B` is not above 0 and finite, or `Y_train` is not a 0/1 matrix of at least
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
    check_real(A, "A", 0, above=True)
    check_real(B, "B", 0, above=True)
    truth = check_truth(Y_train, "Y_train")
    n_samples, n_labels = truth.shape
    if n_samples < 3:
        raise ValueError(f"Y_train must have at least 3 rows, got {n_samples}")
    counts = np.bincount(truth.indices, minlength=n_labels)
    return propensities_of_counts(counts, n_samples, A, B)


def propensities_of_counts(counts, n_samples, A, B):
    """Return the propensities of labels from the number of rows that have each of them."""
    C = (np.log(n_samples) - 1.0) * (B + 1.0) ** A
    return 1.0 / (1.0 + C * (counts + B) ** -A)


def _checked_propensities(propensities, n_labels):
    """Validate propensities and return them as float64, one in (0, 1] for each label."""
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
