"""Ranking metrics on sparse label matrices, and scorers for model selection."""

import inspect
import math
from collections.abc import Mapping
from itertools import islice
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import Bunch

from .._core import csr_top_k
from .._ranking.wrapped import last_ranker, ranked_by
from .._utils.pairs import is_true
from .._utils.targets import truth_for
from .._utils.validation import (
    as_array,
    check_sparse_structure,
    check_texts,
    check_weight_ratios,
    widened,
)
from ._bleu import bleu_scores
from ._routing import ScoreRequests


def precision_at_k(Y_true, Y_ranked, k=1, *, sample_weight=None):
    r"""Compute the share of the first k places that hold a true label.

    .. math:: P@k = \frac{1}{k} \sum_{i=1}^{k} y_{r_i}

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=1
        How many places count.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The mean over the rows, in [0, 1].

    Raises
    ------
    TypeError
        If `k` is not an integer, or a matrix holds something else than numbers.
    ValueError
        If `k` < 1, `Y_true` is not 0/1, the shapes do not agree, a score is NaN, or a ranking
        repeats a label in one row or names a label that does not exist.

    Examples
    --------
    >>> from skxmr.metrics import precision_at_k
    >>> Y_true = [[1, 0, 1], [0, 1, 0]]
    >>> precision_at_k(Y_true, [[0, 1, 2], [2, 1, 0]], k=2)
    0.5
    >>> precision_at_k(Y_true, [[0.9, 0.2, 0.4], [0.1, 0.3, 0.8]], k=1)
    0.5
    """
    k = _checked_k(k)
    _, _, hits = _look_up(Y_true, Y_ranked, k)
    return _mean(hits.sum(axis=1), sample_weight) / k


def recall_at_k(Y_true, Y_ranked, k=10, *, sample_weight=None):
    r"""Compute the share of the true labels that are in the first k places.

    .. math:: R@k = \frac{1}{|y|} \sum_{i=1}^{k} y_{r_i}

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        How many places count.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The mean over the rows, in [0, 1]. A row without any true label counts as 0.

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
    k = _checked_k(k)
    truth, _, hits = _look_up(Y_true, Y_ranked, k)
    # A row without true labels has no hits either: any positive divisor makes it 0.
    return _mean(hits.sum(axis=1) / np.maximum(np.diff(truth.indptr), 1), sample_weight)


def ndcg_at_k(Y_true, Y_ranked, k=5, *, sample_weight=None):
    r"""Compute the normalised discounted cumulative gain of the first k places.

    .. math::
        nDCG@k = \frac{\sum_{i=1}^{k} y_{r_i} / \log_2(i + 1)}
                      {\sum_{i=1}^{\min(k, |y|)} 1 / \log_2(i + 1)}

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=5
        How many places count.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The mean over the rows, in [0, 1]. A row without any true label counts as 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`precision_at_k`.

    Notes
    -----
    Without ties this is :func:`sklearn.metrics.ndcg_score`, which averages over the orders of
    labels of equal score, where this function takes the lower label first.

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
    k = _checked_k(k)
    truth, _, hits = _look_up(Y_true, Y_ranked, k)
    n_best = np.minimum(np.diff(truth.indptr), min(k, truth.shape[1]))
    discounts = 1.0 / np.log2(np.arange(2, max(hits.shape[1], n_best.max()) + 2))
    ideal = np.append(0.0, np.cumsum(discounts))[n_best]
    # Added up in the same order as the ideal, so that a perfect row is exactly 1.
    gains = np.cumsum(hits * discounts[: hits.shape[1]], axis=1)
    gain = gains.max(axis=1, initial=0.0)
    share = np.divide(gain, ideal, out=np.zeros_like(gain), where=n_best > 0)
    return _mean(share, sample_weight)


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


def mean_reciprocal_rank(Y_true, Y_ranked, k=10, *, sample_weight=None):
    r"""Compute the mean of one over the place of the first true label.

    .. math:: MRR@k = \frac{1}{n} \sum_{j=1}^{n} \frac{1}{\min \{i \le k : y_{j, r_i} = 1\}}

    A row with no true label in its first k places counts as 0.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        How many places count.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The mean over the rows, in [0, 1].

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
    k = _checked_k(k)
    _, _, hits = _look_up(Y_true, Y_ranked, k)
    return _mean(_reciprocal_ranks(hits), sample_weight)


def mean_reciprocal_rank_by_prefix_length(Y_true, Y_ranked, prefix_lengths, k=10):
    """Compute the mean reciprocal rank for each length of the typed prefix.

    Completion is harder the less was typed; one average over all rows hides that.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    prefix_lengths : array-like of int, shape (n_samples,)
        How many characters were typed, at least 0. Rows with ``numpy.minimum(lengths, 10)``
        instead of their lengths are put together from 10 on.
    k : int, default=10
        How many places count.

    Returns
    -------
    Bunch
        With one entry for each length that occurs; ``pandas.DataFrame`` makes a table of it.

        length : ndarray of int64
            The lengths, rising.
        mrr : ndarray of float64
            :func:`mean_reciprocal_rank` of the rows of that length. Weighted by `n_rows`, their
            average is that of all rows.
        n_rows : ndarray of int64
            How many rows have that length.

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
    k = _checked_k(k)
    _, _, hits = _look_up(Y_true, Y_ranked, k)
    lengths = _checked_lengths(prefix_lengths, len(hits))
    length, place, n_rows = np.unique(lengths, return_inverse=True, return_counts=True)
    sums = np.bincount(place, _reciprocal_ranks(hits), minlength=len(length))
    return Bunch(length=length, mrr=sums / n_rows, n_rows=n_rows)


def _mean(per_row, sample_weight):
    """Return the mean over the rows."""
    if sample_weight is None:
        return float(np.mean(per_row))
    return float(np.average(per_row, weights=check_weight_ratios(sample_weight, len(per_row))))


def _reciprocal_ranks(hits):
    """Return one over the first true place of each row, 0 if there is none."""
    reciprocals = 1.0 / np.arange(1, hits.shape[1] + 1)
    return (hits * reciprocals).max(axis=1, initial=0.0)


def bleu_rr(true_texts, ranked_texts, k=10):
    r"""Compute the reciprocal-rank weighted average of the BLEU scores of suggested texts.

    A suggestion that is not what was meant, but has much of it, counts in part:

    .. math:: \frac{\sum_{i=1}^{m} BLEU(t, s_i) / i}{\sum_{i=1}^{m} 1 / i}

    for the text t that was meant and the suggestions :math:`s_1, \dots, s_m` of a row, of which
    there are at most k.

    Parameters
    ----------
    true_texts : sequence of str, length n_samples
        What was meant in each row.
    ranked_texts : sequence of sequences of str, length n_samples
        The suggestions of each row, best first. Of more than k, the first k count; where there are
        fewer, the average is over these. A row without suggestions scores 0.
    k : int, default=10
        How many places count.

    Returns
    -------
    float
        The mean over the rows, in [0, 1].

    Raises
    ------
    TypeError
        If `k` is not an integer, `true_texts` is not a sequence of strings, or `ranked_texts` not
        one of sequences of strings.
    ValueError
        If `k` < 1, there is no row, or the lengths do not agree.

    Notes
    -----
    BLEU is that of n-grams of words, n = 1 to 4, with equal weights, where n-grams of a length of
    which none matches count as 0.1 matches: the smoothing method 1 of Chen and Cherry [3]_, as in
    ``nltk.translate.bleu_score.sentence_bleu``. Words are what lies between spaces, as they are
    spelt. A suggestion of less than four words is short of the longer n-grams: even the right one
    does not score 1, but 0.18, 0.32 and 0.56 with one, two and three words.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. Hill, A. Mazumdar and I. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.
    .. [2] K. Papineni, S. Roukos, T. Ward and W.-J. Zhu, "BLEU: a method for automatic evaluation
       of machine translation", ACL 2002.
    .. [3] B. Chen and C. Cherry, "A systematic comparison of smoothing techniques for
       sentence-level BLEU", WMT 2014.

    Examples
    --------
    >>> from skxmr.metrics import bleu_rr
    >>> meant = ["red shoes for running fast", "garden chair"]
    >>> suggested = [["red shoes for running fast", "red shirt"], ["table"]]
    >>> round(bleu_rr(meant, suggested), 4)
    0.3389
    >>> bleu_rr(meant[:1], [row[:1] for row in suggested[:1]])
    1.0
    """
    k = _checked_k(k)
    true_texts = check_texts(true_texts, "true_texts")
    ranked_texts = _checked_suggestions(ranked_texts, len(true_texts), k)
    pairs = zip(true_texts, ranked_texts, strict=True)
    return math.fsum(_bleu_rr_of_row(*pair) for pair in pairs) / len(true_texts)


def _bleu_rr_of_row(true_text, suggestions):
    """Return the weighted average of one row's BLEU scores."""
    scores = bleu_scores(true_text, suggestions)
    weight = sum(1.0 / i for i in range(1, len(scores) + 1))
    return sum(score / i for i, score in enumerate(scores, start=1)) / weight if scores else 0.0


def hit_rate_at_k(Y_true, Y_ranked, k=10, *, sample_weight=None):
    """Compute the share of the rows that have a true label in the first k places.

    Parameters
    ----------
    Y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
        The true labels, 0 or 1.
    Y_ranked : {array-like, sparse matrix} or tuple of two arrays
        A ranking, the pair returned by ``rank``, or scores; see :mod:`skxmr.metrics`.
    k : int, default=10
        How many places count.
    sample_weight : array-like of shape (n_samples,), optional
        How much each row counts.

    Returns
    -------
    float
        The share, in [0, 1]. A row without any true label is not hit.

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
    k = _checked_k(k)
    _, _, hits = _look_up(Y_true, Y_ranked, k)
    return _mean(hits.any(axis=1), sample_weight)


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


def make_ranking_scorer(metric, **kwargs):
    """Make a scorer ``scorer(estimator, X, Y)`` from a ranking metric.

    Pass it as ``scoring=`` of :class:`~sklearn.model_selection.GridSearchCV` and the like.
    It asks the estimator for the first k labels with ``estimator.rank(X, k=k)``, or for its
    ``decision_function`` if it has no ``rank``; also at the end of a pipeline, inside a fitted
    search and inside :class:`~sklearn.frozen.FrozenEstimator`, however they are nested. `Y` is an
    indicator matrix with a column for each label of the estimator, or the class labels that the
    estimator was trained on, 1-D or as a column, where a class that it never saw is a miss.

    A metric with a parameter `sample_weight` is given it if the scorer is. Where scikit-learn
    routes metadata, ``scorer.set_score_request(sample_weight=True)`` returns a scorer that asks.

    Parameters
    ----------
    metric : callable
        A function ``metric(Y_true, Y_ranked, k=...)`` where more is better, such as those of this
        module. For the scorer to be pickled, the metric must be.
    **kwargs
        Passed to the metric: `k`, if its default is not wanted, and `propensities` for
        :func:`psp_at_k`.

    Returns
    -------
    callable
        The scorer, ``scorer(estimator, X, Y, sample_weight=None)``. It pickles, and its `repr` is
        the call that makes it.

    Raises
    ------
    TypeError
        If `metric` is not callable, has no parameter `k`, or does not take `kwargs`.
    ValueError
        If `k` < 1.

    Examples
    --------
    >>> from skxmr.metrics import make_ranking_scorer, ndcg_at_k
    >>> from sklearn.linear_model import LogisticRegression
    >>> scorer = make_ranking_scorer(ndcg_at_k, k=2)
    >>> scorer
    make_ranking_scorer(ndcg_at_k, k=2)
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> scorer(LogisticRegression().fit(X, y), X, y)
    1.0
    """
    if not callable(metric):
        raise TypeError(f"metric must be callable, got {metric!r}")
    arguments = inspect.signature(metric).bind(None, None, **kwargs)
    arguments.apply_defaults()
    if "k" not in arguments.arguments:
        raise TypeError(f"metric must have a parameter k, got {metric!r}")
    k = _checked_k(arguments.arguments["k"])
    return _RankingScorer(metric, {**kwargs, "k": k})


class _RankingScorer(ScoreRequests):
    """Scores the ranking of a fitted estimator; made by `make_ranking_scorer`."""

    def __init__(self, metric, kwargs):
        self.metric = metric
        self.kwargs = kwargs

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank `X` with the estimator and return the metric against `Y`."""
        truth = truth_for(last_ranker(estimator), Y)
        return self.compare(truth, ranked_by(estimator, X, self.kwargs["k"]), sample_weight)

    def compare(self, Y, ranked, sample_weight):
        """Return the metric of a ranking."""
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.metric(Y, ranked, **self.kwargs, **weight)

    def __repr__(self):
        name = getattr(self.metric, "__name__", repr(self.metric))
        kwargs = "".join(f", {key}={value!r}" for key, value in self.kwargs.items())
        return f"make_ranking_scorer({name}{kwargs})"


def join_ranking_scorers(scorers):
    """Make one scorer of several, which ranks once for all of them.

    Given as ``scoring={...}``, each scorer ranks for itself, which takes longer than all else in a
    search whose fits come from a memory.

    Parameters
    ----------
    scorers : dict of str to callable
        Scorers that :func:`make_ranking_scorer` made, such as ``precision_at_1_scorer``, by name.

    Returns
    -------
    callable
        ``scorer(estimator, X, Y)`` that returns a dict of floats, as ``scoring=`` of
        :class:`~sklearn.model_selection.GridSearchCV` takes it: results are called
        ``mean_test_{name}``, and `refit` needs a name. The ranking is that of the largest k.

    Raises
    ------
    TypeError, ValueError
        If `scorers` is no dict, empty, or holds anything else.

    Examples
    --------
    >>> from skxmr.metrics import join_ranking_scorers, ndcg_at_5_scorer, precision_at_1_scorer
    >>> from sklearn.linear_model import LogisticRegression
    >>> scorer = join_ranking_scorers({"p1": precision_at_1_scorer, "ndcg": ndcg_at_5_scorer})
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> scorer(LogisticRegression().fit(X, y), X, y)
    {'p1': 1.0, 'ndcg': 1.0}
    """
    if not isinstance(scorers, dict):
        raise TypeError(f"scorers must be a dict, got {scorers!r}")
    if not scorers:
        raise ValueError("scorers must not be empty")
    for name, scorer in scorers.items():
        if not isinstance(scorer, _RankingScorer):
            raise TypeError(f"scorers must be made by make_ranking_scorer, got {name}={scorer!r}")
    return _JoinedScorer(scorers)


class _JoinedScorer(ScoreRequests):
    """Scores one ranking in several ways; made by `join_ranking_scorers`."""

    def __init__(self, scorers):
        self.scorers = dict(scorers)

    def __call__(self, estimator, X, Y, *, sample_weight=None):
        """Rank `X` with the estimator and return every metric against `Y`."""
        k = max(scorer.kwargs["k"] for scorer in self.scorers.values())
        truth = truth_for(last_ranker(estimator), Y)
        ranked = ranked_by(estimator, X, k)
        return {name: s.compare(truth, ranked, sample_weight) for name, s in self.scorers.items()}

    def __repr__(self):
        return f"join_ranking_scorers({self.scorers!r})"


def _look_up(Y_true, Y_ranked, k):
    """Check the input and find the true labels among the first k of each row.

    Returns the truth as canonical CSR, and two arrays of shape (n_samples, at most k): the labels
    in the order of their ranks (-1 where there is none), and whether each is true.
    """
    truth = _truth(Y_true, "Y_true")
    top = _ranking(Y_ranked, k, truth.shape)
    hits = is_true(truth, np.arange(len(top))[:, np.newaxis], top)
    return truth, top, hits & (top >= 0)


def _truth(Y, name):
    """Return a 0/1 indicator as canonical CSR that stores its ones only."""
    Y = _checked_matrix(Y, name)
    if 0 in Y.shape:
        raise ValueError(f"{name} must have rows and columns, got shape {Y.shape}")
    truth = _canonical_csr(Y, name) if sparse.issparse(Y) else sparse.csr_array(Y)
    truth.eliminate_zeros()
    wrong = truth.data[truth.data != 1]
    if wrong.size:
        raise ValueError(f"{name} must hold only 0 and 1, got {wrong[0].item()!r}")
    return truth


def _ranking(Y_ranked, k, shape):
    """Return the first k (or fewer) labels of each row, int64, -1 where there is none."""
    is_pair = isinstance(Y_ranked, tuple)
    if is_pair and len(Y_ranked) != 2:
        raise ValueError(f"Y_ranked must be a pair if it is a tuple, got {len(Y_ranked)} members")
    ranked = _checked_matrix(Y_ranked[0] if is_pair else Y_ranked, "Y_ranked")
    if ranked.shape[0] != shape[0]:
        raise ValueError(f"Y_ranked must have {shape[0]} rows as Y_true, got {ranked.shape[0]}")
    if not sparse.issparse(ranked) and ranked.dtype.kind in "iu":
        return _checked_ranking(ranked.astype(np.int64), shape[1])[:, :k]
    if is_pair or ranked.dtype == np.bool_:
        raise TypeError(f"labels in Y_ranked must be an array of integers, got {ranked.dtype}")
    if ranked.shape != shape:
        raise ValueError(f"scores in Y_ranked must have shape {shape}, got {ranked.shape}")
    return _ranking_from_scores(_score_csr(ranked, k), k)


def _score_csr(scores, k):
    """Return scores as canonical CSR; of dense ones those that can be among the first k."""
    is_sparse = sparse.issparse(scores)
    scores = _canonical_csr(scores, "Y_ranked") if is_sparse else scores
    if np.isnan(scores.data if is_sparse else scores).any():
        raise ValueError("Y_ranked must hold scores that can be ordered, got NaN")
    return scores if is_sparse else _dense_top_k(scores, min(k, scores.shape[1]))


def _dense_top_k(scores, k):
    """Return as CSR the few scores of each row among which are the first k."""
    least = -np.partition(-scores, k - 1, axis=1)[:, k - 1, np.newaxis]
    ties = scores == least
    # Most of a row may tie with its k-th, such as zeros where little was reached: k of them do.
    first_ties = ties & (np.cumsum(ties, axis=1, dtype=np.int32) <= k)
    rows, columns = np.nonzero((scores > least) | first_ties)
    return sparse.csr_array((scores[rows, columns], (rows, columns)), shape=scores.shape)


def _ranking_from_scores(scores, k):
    """Return the labels of the k best stored scores of each row, -1 where there is none."""
    # Casting doubles to float32 would make ties of close scores, so C sorts only its own kind.
    fits = scores.dtype == np.float32 and scores.shape[1] <= np.iinfo(np.int32).max
    top_k = csr_top_k if fits else top_k_of_doubles
    labels, best = top_k(scores, min(k, scores.shape[1]))
    return np.where(best == -np.inf, -1, labels).astype(np.int64)


def top_k_of_doubles(scores, k):
    """Return labels and scores of the k best stored entries per row, padded with -1 and -inf."""
    counts = np.diff(scores.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    values = scores.data.astype(np.float64, copy=False)
    # The sort is stable: the columns of a row rise, so that ties go to the lower label.
    order = np.lexsort((-values, rows))
    places = np.arange(len(rows)) - np.repeat(scores.indptr[:-1], counts)
    kept = places < k
    labels = np.full((len(counts), k), -1, dtype=np.int64)
    best = np.full((len(counts), k), -np.inf)
    labels[rows[kept], places[kept]] = scores.indices[order[kept]]
    best[rows[kept], places[kept]] = values[order[kept]]
    return labels, best


def _canonical_csr(matrix, name):
    """Return a sparse matrix as a new CSR array with sorted and summed indices."""
    check_sparse_structure(matrix, name)
    csr = sparse.csr_array(widened(matrix), copy=True)
    csr.sum_duplicates()
    return csr


def _checked_matrix(matrix, name):
    """Return `matrix` if it is sparse and else as an array, once it is 2-D and of numbers."""
    matrix = as_array(matrix, name)
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be 2-D, got {matrix.ndim} dimensions")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {matrix.dtype}")
    if not sparse.issparse(matrix) and matrix.dtype.kind == "f":
        # Half precision and foreign byte orders are more than scipy.sparse takes.
        matrix = matrix.astype(np.result_type(matrix, np.float32), copy=False)
    return matrix


def _checked_ranking(labels, n_labels):
    """Return a ranking in which every label exists and no row repeats one."""
    wrong = labels[(labels < -1) | (labels >= n_labels)]
    if wrong.size:
        raise ValueError(
            f"labels in Y_ranked must be in [0, {n_labels}) as the columns of Y_true, or -1 for an "
            f"empty place, got {wrong[0]}"
        )
    ordered = np.sort(labels, axis=1)
    row, place = np.nonzero((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0))
    if row.size:
        raise ValueError(
            f"Y_ranked must hold a label once in each row, got label {ordered[row[0], place[0]]} "
            f"twice in row {row[0]} (integers are a ranking; give scores as floating point)"
        )
    return labels


def _checked_suggestions(ranked_texts, n_samples, k):
    """Return the first k suggestions of each row as lists of strings."""
    if not _is_sequence(ranked_texts):
        raise TypeError(f"ranked_texts must be a sequence of sequences, got {ranked_texts!r:.80}")
    if len(ranked_texts) != n_samples:
        raise ValueError(
            f"ranked_texts must have {n_samples} rows as true_texts, got {len(ranked_texts)}"
        )
    if len(getattr(ranked_texts, "shape", ())) == 2:  # a data frame's elements are its columns
        ranked_texts = np.asarray(ranked_texts)
    return [_checked_row(row, i, k) for i, row in enumerate(ranked_texts)]


def _checked_row(row, i, k):
    """Return the first k texts of row i as a list, once they are strings."""
    if not _is_sequence(row):
        raise TypeError(
            f"ranked_texts must hold sequences of strings, but ranked_texts[{i}] is {row!r:.80}"
        )
    texts = list(islice(row, k))
    for j, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"ranked_texts must hold strings, but ranked_texts[{i}][{j}] is {text!r:.80}"
            )
    return texts


def _is_sequence(value):
    """Whether a value has a length and an order, and is not itself a text."""
    ordered = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    return ordered and not isinstance(value, (str, bytes, Mapping))


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


def _checked_k(k):
    """Return k as a Python int of at least 1."""
    if not isinstance(k, Integral) or isinstance(k, bool):
        raise TypeError(f"k must be an integer, got {k!r}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return int(k)


def _check_positive(value, name):
    """Raise unless `value` is a positive finite number."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {value}")


precision_at_1_scorer = make_ranking_scorer(precision_at_k, k=1)
precision_at_3_scorer = make_ranking_scorer(precision_at_k, k=3)
precision_at_5_scorer = make_ranking_scorer(precision_at_k, k=5)
recall_at_10_scorer = make_ranking_scorer(recall_at_k, k=10)
ndcg_at_5_scorer = make_ranking_scorer(ndcg_at_k, k=5)
mrr_at_10_scorer = make_ranking_scorer(mean_reciprocal_rank, k=10)
hit_rate_at_10_scorer = make_ranking_scorer(hit_rate_at_k, k=10)
