"""Metrics of rankings."""

import numpy as np
from sklearn.utils import Bunch

from .._utils.matrices import as_array
from .._utils.weights import check_weight_ratios
from ._inputs import find_hits


def precision_at_k(Y_true, Y_ranked, k=1, *, sample_weight=None):
    r"""Compute the fraction of the first k labels that are true.

    .. math:: P@k = \frac{1}{k} \sum_{i=1}^{k} y_{r_i}

    where :math:`r_i` is the label at rank i, and :math:`y_l` is 1 if label l is true.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=1
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1].

    Raises
    ------
    TypeError
        If `k` is not an integer, or a matrix holds something other than numbers.
    ValueError
        If `k` < 1, `Y_true` is not 0/1, the shapes do not agree, a score is NaN, or a ranking
        repeats a label in one row or has a label that does not exist.

    Examples
    --------
    >>> from skxmr.metrics import precision_at_k
    >>> Y_true = [[1, 0, 1], [0, 1, 0]]
    >>> precision_at_k(Y_true, [[0, 1, 2], [2, 1, 0]], k=2)
    0.5
    >>> precision_at_k(Y_true, [[0.9, 0.2, 0.4], [0.1, 0.3, 0.8]], k=1)
    0.5
    """
    _, _, hits = find_hits(Y_true, Y_ranked, k)
    return _mean(hits.sum(axis=1), sample_weight) / int(k)


def recall_at_k(Y_true, Y_ranked, k=10, *, sample_weight=None):
    r"""Compute the fraction of the true labels that are among the first k.

    .. math:: R@k = \frac{1}{|y|} \sum_{i=1}^{k} y_{r_i}

    where :math:`r_i` is the label at rank i, and the row has :math:`|y|` true labels.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1]. A row without true labels counts as 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Examples
    --------
    >>> from skxmr.metrics import recall_at_k
    >>> recall_at_k([[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, 1, 0]], k=2)
    0.75
    """
    truth, _, hits = find_hits(Y_true, Y_ranked, k)
    # A row without true labels has no hits: with any positive divisor it counts as 0.
    return _mean(hits.sum(axis=1) / np.maximum(np.diff(truth.indptr), 1), sample_weight)


def f1_at_k(Y_true, Y_ranked, k=5, *, sample_weight=None):
    r"""Compute the F1 score of the first k labels, averaged over the rows.

    .. math:: F1@k = \frac{2 \sum_{i=1}^{m} y_{r_i}}{m + |y|}, \quad m \le k

    where :math:`r_i` is the label at rank i, m is the number of labels that the row has among its
    first k, and the row has :math:`|y|` true labels. It is the harmonic mean of the precision and
    the recall of these m labels, as in Annif [1]_ and in
    ``sklearn.metrics.f1_score(average="samples")``.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=5
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1]. A row without true labels counts as 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Notes
    -----
    A row with fewer than k labels is not penalized for the missing ones, unlike in
    :func:`precision_at_k`. Annif does not count suggestions with a score of 0.

    References
    ----------
    .. [1] O. Suominen, J. Inkinen, M. Lehtinen, "Annif and Finto AI: Developing and implementing
       automated subject indexing", JLIS.it 13(1), 2022.

    Examples
    --------
    >>> from skxmr.metrics import f1_at_k
    >>> f1_at_k([[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, -1, -1]], k=2)
    0.25
    """
    truth, top, hits = find_hits(Y_true, Y_ranked, k)
    n_true_and_ranked = np.diff(truth.indptr) + (top >= 0).sum(axis=1)
    return _mean(2 * hits.sum(axis=1) / np.maximum(n_true_and_ranked, 1), sample_weight)


def ndcg_at_k(Y_true, Y_ranked, k=5, *, sample_weight=None):
    r"""Compute the normalized discounted cumulative gain of the first k labels.

    .. math::
        nDCG@k = \frac{\sum_{i=1}^{k} y_{r_i} / \log_2(i + 1)}
                      {\sum_{i=1}^{\min(k, |y|)} 1 / \log_2(i + 1)}

    where :math:`r_i` is the label at rank i, and the row has :math:`|y|` true labels.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=5
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1]. A row without true labels counts as 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Notes
    -----
    Without ties, this equals :func:`sklearn.metrics.ndcg_score`. With ties, scikit-learn averages
    over all orders of the tied labels, and this function ranks the lower label first.

    References
    ----------
    .. [1] K. Jarvelin, J. Kekalainen, "Cumulated gain-based evaluation of IR techniques",
       ACM TOIS 20(4), 2002.

    Examples
    --------
    >>> from skxmr.metrics import ndcg_at_k
    >>> round(ndcg_at_k([[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, 1, 0]], k=2), 4)
    0.622
    """
    truth, _, hits = find_hits(Y_true, Y_ranked, k)
    n_best = np.minimum(np.diff(truth.indptr), min(int(k), truth.shape[1]))
    discounts = 1.0 / np.log2(np.arange(2, max(hits.shape[1], n_best.max()) + 2))
    ideal = np.append(0.0, np.cumsum(discounts))[n_best]
    # The sum has the order of the ideal sum, so that a perfect row scores exactly 1.
    gains = np.cumsum(hits * discounts[: hits.shape[1]], axis=1)
    gain = gains.max(axis=1, initial=0.0)
    ndcg = np.divide(gain, ideal, out=np.zeros_like(gain), where=n_best > 0)
    return _mean(ndcg, sample_weight)


def mean_reciprocal_rank(Y_true, Y_ranked, k=10, *, sample_weight=None):
    r"""Compute the mean reciprocal rank of the first true label.

    .. math:: MRR@k = \frac{1}{n} \sum_{j=1}^{n} \frac{1}{\min \{i \le k : y_{j, r_i} = 1\}}

    where :math:`r_i` is the label at rank i in row j. A row without a true label among its first k
    counts as 0.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Examples
    --------
    >>> from skxmr.metrics import mean_reciprocal_rank
    >>> mean_reciprocal_rank([[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, 1, 0]])
    0.75
    """
    _, _, hits = find_hits(Y_true, Y_ranked, k)
    return _mean(_reciprocal_ranks(hits), sample_weight)


def mean_reciprocal_rank_by_prefix_length(Y_true, Y_ranked, prefix_lengths, k=10):
    """Compute the mean reciprocal rank for each length of the typed prefix.

    Shorter prefixes are harder to complete. The average over all rows does not show this.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    prefix_lengths : array-like of int, shape (n_samples,)
        Number of characters typed in each row, at least 0. Use ``numpy.minimum(lengths, 10)`` to
        put all rows with 10 or more characters into one group.
    k : int, default=10
        Number of labels taken from the top of each ranking.

    Returns
    -------
    Bunch
        One entry per distinct length; ``pandas.DataFrame`` makes a table of it.

        length : ndarray of int64
            Lengths, in increasing order.
        mrr : ndarray of float64
            :func:`mean_reciprocal_rank` of the rows of that length. Its average weighted by
            `n_rows` is the mean reciprocal rank of all rows.
        n_rows : ndarray of int64
            Number of rows of that length.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`; also TypeError if `prefix_lengths` are not integers, and
        ValueError if they are negative or not one for each row.

    Examples
    --------
    >>> from skxmr.metrics import mean_reciprocal_rank_by_prefix_length
    >>> Y_true = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    >>> Y_ranked = [[2, 0, 1], [0, 2, 1], [2, 0, 1]]
    >>> by_length = mean_reciprocal_rank_by_prefix_length(Y_true, Y_ranked, [1, 1, 5], k=2)
    >>> for length, mrr, n_rows in zip(*by_length.values()):
    ...     print(f"{length} typed: {mrr:.2f} over {n_rows} rows")
    1 typed: 0.25 over 2 rows
    5 typed: 1.00 over 1 rows
    """
    _, _, hits = find_hits(Y_true, Y_ranked, k)
    lengths = _checked_lengths(prefix_lengths, len(hits))
    length, group, n_rows = np.unique(lengths, return_inverse=True, return_counts=True)
    sums = np.bincount(group, _reciprocal_ranks(hits), minlength=len(length))
    return Bunch(length=length, mrr=sums / n_rows, n_rows=n_rows)


def hit_rate_at_k(Y_true, Y_ranked, k=10, *, sample_weight=None):
    r"""Compute the fraction of the rows that have a true label among the first k.

    .. math:: HR@k = \frac{1}{n} \sum_{j=1}^{n} \max_{i \le k} y_{j, r_i}

    where :math:`r_i` is the label at rank i in row j.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        Number of labels taken from the top of each ranking.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row.

    Returns
    -------
    float
        Mean over the rows, in [0, 1]. A row without true labels counts as 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Examples
    --------
    >>> from skxmr.metrics import hit_rate_at_k
    >>> hit_rate_at_k([[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, 1, 0]], k=1)
    0.5
    """
    _, _, hits = find_hits(Y_true, Y_ranked, k)
    return _mean(hits.any(axis=1), sample_weight)


def _mean(per_row, sample_weight):
    """Return the mean over the rows."""
    if sample_weight is None:
        return float(np.mean(per_row))
    return float(np.average(per_row, weights=check_weight_ratios(sample_weight, len(per_row))))


def _reciprocal_ranks(hits):
    """Return the reciprocal rank of the first true label of each row, 0 without one."""
    reciprocals = 1.0 / np.arange(1, hits.shape[1] + 1)
    return (hits * reciprocals).max(axis=1, initial=0.0)


def _checked_lengths(prefix_lengths, n_samples):
    """Return the lengths as int64, one of at least 0 for each row."""
    lengths = as_array(prefix_lengths, "prefix_lengths")
    if lengths.shape != (n_samples,):
        raise ValueError(
            f"prefix_lengths must have shape ({n_samples},), one for each row, got {lengths.shape}"
        )
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"prefix_lengths must be integers, got dtype {lengths.dtype}")
    if lengths.min() < 0:
        raise ValueError(f"prefix_lengths must be at least 0, got {lengths.min()}")
    return lengths.astype(np.int64)
