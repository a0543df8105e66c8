"""Predicted beside observed frequencies of labels."""

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from .._ranking.wrapped import dense_csr, ranking_csr
from .._utils.matrices import as_array, check_indicator, check_sparse_structure
from .._utils.pairs import first_k, is_true, row_of_entries
from .._utils.params import check_integer, check_option

#: By how much a mean of scores in single precision may exceed the largest of them.
_ROUNDING = 1e-6


def reliability_curve(Y_true, Y_proba, *, n_bins=10, strategy="uniform", k=None):
    r"""Compare predicted probabilities of labels with how often the labels are true.

    All pairs of a row and a label with a probability are put into bins by their probability. In a
    calibrated model, of the pairs to which it gives 0.3, three in ten are true.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_proba : {array-like, sparse matrix} of shape (n_samples, n_labels), or tuple of two arrays
        The probabilities, as from ``predict_proba``: the stored entries of a sparse matrix, all of
        an array. Or the pair (labels, probabilities) that ``rank`` returns.
    n_bins : int, default=10
        Bins, at most: those that are empty are left out.
    strategy : {"uniform", "quantile"}, default="uniform"
        Whether bins are equally wide, or hold about equally many pairs.
    k : int, default=None
        Only the k most probable labels of each row count. By default all, of which nearly all are
        nearly impossible.

    Returns
    -------
    Bunch
        With the attributes

        mean_predicted, observed : ndarray of float64, shape (n_filled_bins,)
            The mean probability of the pairs in each bin, and the share of them that are true.
        count : ndarray of int64
            The number of pairs.
        ece : float
            The expected calibration error: the mean over all pairs of the distance between the two
            figures of their bin.
        brier : float
            The mean over all pairs of the squared distance between probability and truth.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as documented, the shapes do not agree, a probability is not in
        [0, 1], or there is none. The message names what is wrong.

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
    """Return probabilities as canonical CSR of the given shape, zeros that are stored kept."""
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
