"""Reliability curves: predicted probabilities and observed frequencies of labels."""

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from .._ranking.wrapped import dense_csr
from .._utils.matrices import as_array, check_indicator, check_sparse_structure
from .._utils.pairs import first_k, is_true, ranking_csr, row_of_entries
from .._utils.params import check_integer, check_option

#: Tolerance above 1: a mean in single precision can exceed the largest of its values.
_ROUNDING = 1e-6


def reliability_curve(Y_true, Y_proba, *, n_bins=10, strategy="uniform", k=None):
    r"""Compare predicted probabilities with observed frequencies of labels.

    All pairs of a row and a label with a probability are divided into bins by their probability. In
    a calibrated model, the label is true in 30 % of the pairs with a probability of 0.3.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_proba : {array-like, sparse matrix} of shape (n_samples, n_labels), or tuple of two arrays
        The probabilities, as from ``predict_proba``. All entries of an array count, and the stored
        entries of a sparse matrix. Or the pair (labels, probabilities) that ``rank`` returns.
    n_bins : int, default=10
        Number of bins. Empty bins are left out.
    strategy : {"uniform", "quantile"}, default="uniform"
        Whether the bins have equal widths or about equal numbers of pairs.
    k : int, default=None
        Use only the k most probable labels of each row. By default, all labels are used, most of
        which have a probability close to 0.

    Returns
    -------
    curve : Bunch
        With the attributes

        mean_predicted : ndarray of float64, shape (n_filled_bins,)
            Mean probability of the pairs in each bin.
        observed : ndarray of float64, shape (n_filled_bins,)
            Fraction of true pairs in each bin.
        count : ndarray of int64, shape (n_filled_bins,)
            Number of pairs in each bin.
        ece : float
            Expected calibration error: the mean of ``abs(mean_predicted - observed)`` over bins,
            weighted by `count`.
        brier : float
            Brier score: the mean squared difference between probability and truth over all pairs.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid, the shapes differ, a probability is not in [0, 1], or there is no
        probability. The message names what is wrong.

    See Also
    --------
    sklearn.calibration.calibration_curve : The same for two classes.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities
       using Bayesian binning", AAAI 2015.
    .. [2] N. Ullah, E. Schultheis, J. Zhang and R. Babbar, "Labels in extremes: how well calibrated
       are extreme multi-label classifiers?", arXiv:2411.04276 (2024), on the use
       of `k`.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from skxmr.calibration import reliability_curve
    >>> Y_true = [[1, 0, 0], [0, 1, 0]]
    >>> Y_proba = csr_array([[0.75, 0.25, 0], [0.75, 0, 0.25]])
    >>> curve = reliability_curve(Y_true, Y_proba)
    >>> curve.mean_predicted, curve.observed
    (array([0.25, 0.75]), array([0. , 0.5]))
    >>> curve.ece, curve.brier
    (0.25, 0.1875)
    """
    check_integer(n_bins, "n_bins", 1)
    check_option(strategy, "strategy", ("uniform", "quantile"))
    truth = check_indicator(Y_true, "Y_true")
    if k is not None:
        check_integer(k, "k", 1)
    proba = first_k(_checked_probabilities(Y_proba, truth.shape), k)
    hits = is_true(truth, row_of_entries(proba), proba.indices)
    predicted = proba.data.astype(np.float64)
    bins = _uniform(predicted, n_bins) if strategy == "uniform" else _quantile(predicted, n_bins)
    count = np.bincount(bins, minlength=n_bins)
    filled = np.flatnonzero(count)
    count = count[filled]
    mean = np.bincount(bins, predicted, minlength=n_bins)[filled] / count
    observed = np.bincount(bins, hits, minlength=n_bins)[filled] / count
    return Bunch(
        mean_predicted=mean,
        observed=observed,
        count=count,
        ece=float(np.average(np.abs(mean - observed), weights=count)),
        brier=float(np.mean((predicted - hits) ** 2)),
    )


def _uniform(predicted, n_bins):
    return np.minimum((predicted * n_bins).astype(np.int64), n_bins - 1)


def _quantile(predicted, n_bins):
    inner = np.quantile(predicted, np.arange(1, n_bins) / n_bins)
    return np.searchsorted(inner, predicted, side="left")


def _checked_probabilities(Y_proba, shape):
    """Return probabilities as canonical CSR of the given shape. Stored zeros are kept."""
    if isinstance(Y_proba, tuple):
        labels, scores = (as_array(part, "Y_proba") for part in Y_proba)
        if len(labels) and labels.max() >= shape[1]:
            raise ValueError(f"Y_proba must rank labels below {shape[1]}, got {labels.max()}")
        proba = ranking_csr(labels, scores, shape[1])
    else:
        check_sparse_structure(Y_proba, "Y_proba")
        proba = as_array(Y_proba, "Y_proba")
        if sparse.issparse(proba):
            proba = sparse.csr_matrix(proba, copy=True)
            proba.sum_duplicates()
        else:
            proba = dense_csr(np.atleast_2d(proba.astype(np.float64)))
    if proba.shape != shape:
        raise ValueError(f"Y_proba must have shape {shape} as Y_true, got {proba.shape}")
    if proba.nnz == 0:
        raise ValueError("Y_proba must hold some probability, got none")
    if not ((proba.data >= 0) & (proba.data <= 1 + _ROUNDING)).all():
        raise ValueError("Y_proba must lie in [0, 1]")
    proba.data = np.minimum(proba.data, 1)
    return proba
