"""Metrics of recommendations, and intervals of differences between two rankers."""

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._utils.matrices import as_array
from .._utils.params import check_integer, check_real
from ._inputs import find_hits
from ._ranking import hit_rate_at_k


def coverage_at_k(Y_true, Y_ranked, k=10, *, sample_weight=None):
    """Compute the fraction of all labels that are among the first k of at least one row.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Only the number of labels matters.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        Number of labels taken from the top of each ranking.
    sample_weight : None
        Ignored.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Examples
    --------
    >>> from skxmr.metrics import coverage_at_k
    >>> coverage_at_k([[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 1], [0, 2]], k=2)
    0.75
    """
    truth, top, _ = find_hits(Y_true, Y_ranked, k)
    return len(np.unique(top[top >= 0])) / truth.shape[1]


def novelty_at_k(Y_true, Y_ranked, k=10, *, popularity, sample_weight=None):
    r"""Compute the mean self-information of the first k labels, in bits.

    .. math:: \frac{1}{n k} \sum_{j=1}^{n} \sum_{i=1}^{k} -\log_2 \frac{c_{r_i}}{\sum_l c_l}

    where :math:`c_l` is the popularity of label l. Popular labels have a low value.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Only the number of labels matters.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        Ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        Number of labels taken from the top of each ranking.
    popularity : array-like of shape (n_labels,)
        Number of purchases of each label, such as `popularity_` of a recommender. Those below 1
        count as 1.
    sample_weight : None
        Ignored.

    Returns
    -------
    float
        Mean over all ranked labels; 0 if there are none.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`; also ValueError if `popularity` is not a finite number of at
        least 0 for each label.

    Examples
    --------
    >>> from skxmr.metrics import novelty_at_k
    >>> novelty_at_k([[1, 0, 0]], [[0, 2]], k=2, popularity=[4, 2, 2])
    1.5
    """
    truth, top, _ = find_hits(Y_true, Y_ranked, k)
    counts = as_array(popularity, "popularity")
    is_valid = counts.shape == (truth.shape[1],) and counts.dtype.kind in "iuf"
    if not is_valid or not np.isfinite(counts).all() or counts.min() < 0:
        raise ValueError(
            f"popularity must be {truth.shape[1]} finite numbers of at least 0, one for each "
            f"label, got {counts.dtype} of shape {counts.shape}"
        )
    counts = np.maximum(counts.astype(np.float64), 1)
    bits = -np.log2(counts / counts.sum())
    found = top[top >= 0]
    return float(bits[found].mean()) if len(found) else 0.0


def paired_bootstrap(
    Y_true,
    Y_ranked,
    Y_other,
    metric=hit_rate_at_k,
    k=6,
    *,
    n_resamples=1000,
    confidence=0.95,
    random_state=None,
):
    """Estimate an interval of the difference of a metric between two rankings of the same rows.

    Rows are drawn with replacement, the same ones for both rankings.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        True labels, 0 or 1.
    Y_ranked, Y_other : {array-like, sparse matrix} or tuple of two arrays
        Rankings, the pairs returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    metric : callable, default=hit_rate_at_k
        Function ``metric(Y_true, Y_ranked, k=k, sample_weight=...)`` that returns a weighted mean
        over the rows, such as :func:`recall_at_k` or :func:`ndcg_at_k`.
    k : int, default=6
        Passed to the metric.
    n_resamples : int, default=1000
        Number of samples, at least 1.
    confidence : float, default=0.95
        Probability of the interval.
    random_state : int, RandomState or None, default=None
        Seed of the samples.

    Returns
    -------
    result : Bunch
        difference : float
            Metric of `Y_ranked` minus that of `Y_other`.
        low, high : float
            The percentile interval.

    Examples
    --------
    >>> from skxmr.metrics import paired_bootstrap
    >>> Y_true = [[1, 0], [0, 1]] * 20
    >>> good, bad = [[0], [1]] * 20, [[0], [0]] * 20
    >>> result = paired_bootstrap(Y_true, good, bad, k=1, random_state=0)
    >>> result.difference
    0.5
    >>> 0 < result.low < result.high < 1
    True
    """
    check_integer(n_resamples, "n_resamples", 1)
    check_real(confidence, "confidence", 0, above=True, most=0.9999)
    if not callable(metric):
        raise TypeError(f"metric must be callable, got {metric!r:.80}")
    # The columns are those of each ranking, if Y_true holds names of labels.
    first, second = (find_hits(Y_true, ranked, k)[:2] for ranked in (Y_ranked, Y_other))
    n_rows = first[0].shape[0]

    def difference(weight):
        return metric(*first, k=k, sample_weight=weight) - metric(
            *second, k=k, sample_weight=weight
        )

    rng = check_random_state(random_state)
    draws = [
        difference(np.bincount(rng.randint(n_rows, size=n_rows), minlength=n_rows))
        for _ in range(int(n_resamples))
    ]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return Bunch(difference=float(difference(np.ones(n_rows))), low=float(low), high=float(high))
