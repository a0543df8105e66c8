"""Monotone maps from scores to probabilities, and the sample of pairs that they are fitted to."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression

from .._utils.pairs import is_true, ranks, row_of_entries

#: Upper bound of probabilities before `strictly_rising`, so that they stay below 1 after it.
_MOST = 1 - 2.0**-20

#: Maximum number of steps of Newton's method.
_MOST_STEPS = 50

#: Scores are clipped to [_LEAST, 1 - _LEAST] before log-odds are taken.
_LEAST = 1e-6


class Pairs(NamedTuple):
    """Pairs of a row and a label.

    Attributes
    ----------
    scores : ndarray of float64
        Score of each pair.
    hits : ndarray of bool
        Whether the label of the pair is true.
    weight : ndarray of float64
        Weight of each pair.
    """

    scores: np.ndarray
    hits: np.ndarray
    weight: np.ndarray


def sample_pairs(scores, truth, weight, budget, rng):
    """Sample about `budget` labels of each row.

    The label of rank j is sampled with probability min(1, c / j), so that the first c labels always
    are. Its weight is multiplied by the inverse of this probability. Sums over the sample therefore
    estimate sums over all pairs. The sample is dense where labels are most often true: at the top
    of the ranking.

    Parameters
    ----------
    scores : csr_matrix of float32, shape (n, n_labels)
        Scores of the labels that are reached.
    truth : csr_matrix, shape (n, n_labels)
        0/1 indicator of the true labels.
    weight : ndarray of float64, shape (n,)
        Weights of the rows. Rows of weight 0 are not sampled.
    budget : int
    rng : RandomState

    Returns
    -------
    pairs : Pairs
    """
    rows = row_of_entries(scores)
    n_certain = _certain_ranks(np.diff(scores.indptr), budget)
    chance = np.minimum(1, n_certain[rows] / ranks(scores))
    taken = np.flatnonzero((rng.random_sample(len(chance)) < chance) & (weight[rows] > 0))
    rows = rows[taken]
    hits = is_true(truth, rows, scores.indices[taken])
    return Pairs(scores.data[taken].astype(np.float64), hits, weight[rows] / chance[taken])


def _certain_ranks(n_reached, budget):
    """Return the c of each row for which the sum of min(1, c / j) over its ranks is the budget.

    It is rounded down to an integer, and at least 1.

    Parameters
    ----------
    n_reached : ndarray of int
        Number of labels with a score in each row.
    budget : int
    """
    certain = np.ones(len(n_reached))
    for n in np.unique(n_reached[n_reached > 0]):
        c = np.arange(1, n + 1)
        harmonic = np.cumsum(1 / c)
        expected = c * (1 + harmonic[-1] - harmonic)
        n_within = np.searchsorted(expected, budget * (1 + 1e-12), side="right")
        certain[n_reached == n] = max(1, n_within)
    return certain


def fit_isotonic(pairs):
    """Fit the best increasing step function, interpolated linearly between its steps.

    Its values are at least 0.5 / (w + 1) away from 0 and 1, where w is the total weight.
    """
    margin = 0.5 / (pairs.weight.sum() + 1)
    isotonic = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    return isotonic.fit(pairs.scores, pairs.hits, pairs.weight)


class SigmoidMap(BaseEstimator):
    """Logistic curve of Platt, of scores or of their log-odds.

    Attributes
    ----------
    slope_ : float
        Slope of the curve, at least 0.
    intercept_ : float
        Intercept of the curve.
    takes_odds_ : bool
        Whether the curve is one of log-odds: if all scores in `fit` are in [0, 1], as products
        along paths of the tree are.
    """

    def fit(self, scores, hits, weight):
        """Fit the curve to the smoothed targets of Platt, so that the slope is finite."""
        self.takes_odds_ = bool(scores.min() >= 0 and scores.max() <= 1)
        x = self._margins(scores)
        n_true = weight @ hits
        n = weight.sum()
        target = np.where(hits, (n_true + 1) / (n_true + 2), 1 / (n - n_true + 2))
        center = np.average(x, weights=weight)
        scale = np.sqrt(np.average((x - center) ** 2, weights=weight)) or 1.0
        slope, intercept = _fit_logistic((x - center) / scale, target, weight / n)
        if slope < 0:
            slope = 0.0
            intercept = logit(np.average(target, weights=weight))
        self.slope_ = float(slope / scale)
        self.intercept_ = float(intercept - self.slope_ * center)
        return self

    def predict(self, scores):
        """Map scores to probabilities."""
        return expit(self.slope_ * self._margins(scores) + self.intercept_)

    def _margins(self, scores):
        return logit(np.clip(scores, _LEAST, 1 - _LEAST)) if self.takes_odds_ else scores


def _fit_logistic(x, target, weight):
    """Return the slope and intercept that minimize the weighted log loss, by Newton's method."""
    columns = np.array([x, np.ones(len(x))])

    def loss(theta):
        margin = theta @ columns
        return weight @ (np.logaddexp(0, margin) - target * margin)

    theta = np.array([0.0, logit(weight @ target)])
    for _ in range(_MOST_STEPS):
        p = expit(theta @ columns)
        curvature = (columns * (weight * p * (1 - p))) @ columns.T + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, columns @ (weight * (p - target)))
        before = loss(theta)
        while loss(theta - step) > before:
            step = step / 2
        theta = theta - step
        if np.abs(step).max() < 1e-9:
            break
    return theta


def fit_sigmoid(pairs):
    """Fit Platt's logistic curve."""
    return SigmoidMap().fit(pairs.scores, pairs.hits, pairs.weight)


METHODS = {"isotonic": fit_isotonic, "sigmoid": fit_sigmoid}


def strictly_rising(probabilities, scores):
    """Raise probabilities by less than 1e-6 of their values, so that they have the scores' order.

    A probability is raised by as many units in the last place of a double as there are smaller
    float32 numbers than its score. Labels with different scores and the same probability then have
    different probabilities, and there are few enough float32 numbers for this bound.

    Parameters
    ----------
    probabilities : ndarray of float64
        Not negative. They must not decrease with the scores.
    scores : ndarray of float32

    Returns
    -------
    probabilities : ndarray of float64
        Below 1.
    """
    bounded = np.minimum(probabilities, _MOST)
    # The bits of doubles that are not negative have the order of the doubles.
    return (bounded.view(np.int64) + _float32_rank(scores)).view(np.float64)


def _float32_rank(scores):
    """Return numbers in [0, 2**32) with the order of float32 scores, equal for both zeros.

    As an integer, a float32 has a sign bit and the bits of its absolute value.
    """
    bits = np.asarray(scores, dtype=np.float32).view(np.int32).astype(np.int64)
    return 2**31 + np.where(bits < 0, -(bits + 2**31), bits)
