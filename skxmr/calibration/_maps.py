"""Monotone maps from scores to probabilities, and the pairs that they are fitted to."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression

from .._utils.pairs import is_true, ranks, row_of_entries

#: Probabilities stay below one by more than ordering them by score can raise them.
_MOST = 1 - 2.0**-20

_MOST_STEPS = 50

#: Scores this close to 0 or 1 stand for the same odds.
_LEAST = 1e-6


class Pairs(NamedTuple):
    """Pairs of a row and a label: score, truth and weight of each."""

    scores: np.ndarray
    hits: np.ndarray
    weight: np.ndarray


def sample_pairs(scores, truth, weight, budget, rng):
    """Take about `budget` labels of each row, those ranked first for sure.

    The label at place j is taken with a probability of min(1, c / j) and weighs its inverse. So the
    pairs stand for all of them, and are dense where labels are true: high in the ranking.
    """
    rows = row_of_entries(scores)
    chance = np.minimum(1, _certain_places(np.diff(scores.indptr), budget)[rows] / ranks(scores))
    taken = np.flatnonzero((rng.random_sample(len(chance)) < chance) & (weight[rows] > 0))
    rows = rows[taken]
    hits = is_true(truth, rows, scores.indices[taken])
    return Pairs(scores.data[taken].astype(np.float64), hits, weight[rows] / chance[taken])


def _certain_places(n_reached, budget):
    """The c for which ``sum of min(1, c / j)`` over a row's places is about the budget."""
    certain = np.ones(len(n_reached))
    for n in np.unique(n_reached[n_reached > 0]):
        c = np.arange(1, n + 1)
        harmonic = np.cumsum(1 / c)
        expected = c * (1 + harmonic[-1] - harmonic)
        n_within = np.searchsorted(expected, budget * (1 + 1e-12), side="right")
        certain[n_reached == n] = max(1, n_within)
    return certain


def fit_isotonic(pairs):
    """Fit the best rising step function, interpolated between its steps.

    It keeps away from 0 and 1 by what half a pair in all would make of them.
    """
    margin = 0.5 / (pairs.weight.sum() + 1)
    isotonic = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip")
    return isotonic.fit(pairs.scores, pairs.hits, pairs.weight)


class SigmoidMap(BaseEstimator):
    """Platt's logistic curve, which never falls, of a score or of the log-odds it stands for.

    Attributes
    ----------
    slope_, intercept_ : float
    takes_odds_ : bool
        Whether all scores lay in [0, 1], as products along paths do.
    """

    def fit(self, scores, hits, weight):
        """Fit to the smoothed targets that Platt proposes, so that no slope is infinite."""
        self.takes_odds_ = bool(scores.min() >= 0 and scores.max() <= 1)
        x = self._margins(scores)
        n_true, n = weight @ hits, weight.sum()
        target = np.where(hits, (n_true + 1) / (n_true + 2), 1 / (n - n_true + 2))
        centre = np.average(x, weights=weight)
        scale = np.sqrt(np.average((x - centre) ** 2, weights=weight)) or 1.0
        slope, intercept = _fit_logistic((x - centre) / scale, target, weight / n)
        if slope < 0:
            slope, intercept = 0.0, logit(np.average(target, weights=weight))
        self.slope_ = float(slope / scale)
        self.intercept_ = float(intercept - self.slope_ * centre)
        return self

    def predict(self, scores):
        """Map scores to probabilities."""
        return expit(self.slope_ * self._margins(scores) + self.intercept_)

    def _margins(self, scores):
        return logit(np.clip(scores, _LEAST, 1 - _LEAST)) if self.takes_odds_ else scores


def _fit_logistic(x, target, weight):
    """Return slope and intercept that minimise the weighted log loss, by Newton's method."""
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
    return SigmoidMap().fit(*pairs)


METHODS = {"isotonic": fit_isotonic, "sigmoid": fit_sigmoid}


def strictly_rising(probabilities, scores):
    """Raise probabilities by less than 1e-6 of themselves, so that they order as scores do.

    A float32 score has 2**32 values at most. The number of the score among them is added to the
    bits of the probability, which as an integer orders doubles that are not negative.
    """
    bits = np.asarray(scores, dtype=np.float32).view(np.int32).astype(np.int64)
    place = 2**31 + np.where(bits < 0, -(bits + 2**31), bits)
    return (np.minimum(probabilities, _MOST).view(np.int64) + place).view(np.float64)
