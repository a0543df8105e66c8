"""Rankers shifted towards what was popular in the last days."""

import numpy as np
from sklearn.base import clone

from .._core import CSRView
from .._utils.params import check_integer, check_option, check_real
from ._base import BaseRecommender, cold_rows, rank_rows
from ._prior import check_days, log_shift, without_cold_rows
from ._row_weights import check_half_life, window_weights
from ._times import days_of
from ._wrapping import fit_estimator, scores_of

#: Largest number of training rows whose scores show the scale.
_N_SCALE_ROWS = 1000

#: Scores in memory at once for that.
_BLOCK = 1 << 22

_SCALES = ("auto", "probability", "logarithm", "margin")


class PriorShift(BaseRecommender):
    """Shift the scores of a ranker towards the items that were popular in the last days.

    A classifier that is trained on several windows learns the mean popularity of the items. With
    the share p of an item in the targets of the last days, and its share q in those of all rows
    with a history, the logarithm of its probability is increased by ``strength * log(p / q)``. Rows
    without a history show what new users bought in the last days.

    Parameters
    ----------
    estimator : estimator
        A recommender, or any estimator that ranks, such as a pipeline that ends with
        :class:`skxmr.XRLinearClassifier`. It is cloned, and gets X as it is.
    strength : float, default=1
        0 changes no ranking.
    window : str, number or timedelta, default="7D"
        The last days; a number is days.
    window_half_life : str, number or timedelta, default=None
        Rows whose targets are older by this have half of the weight, in q and, as `sample_weight`,
        in the fit of the estimator if it takes them. A recommender that has a `window_half_life` of
        its own needs the same value. None: all weights are 1.
    scale : {"auto", "probability", "logarithm", "margin"}, default="auto"
        What scores are. The logarithm of probabilities is taken first. "auto" is decided in fit: it
        is "probability" if no score of up to 1000 training rows is below 0 or above 1, and
        otherwise "logarithm". "margin" is treated as "logarithm".
    n_candidates : int, default=500
        Number of best items of an estimator that searches, which are ranked again.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads.

    Attributes
    ----------
    estimator_ : estimator
        Fitted.
    log_shift_ : ndarray of float32, shape (n_items,)
        ``log(p / q)`` of each item.
    scale_ : {"probability", "logarithm", "margin"}
        `scale`, or what "auto" is for the fitted estimator: "logarithm" if `strength` is 0.
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from skxmr.recommenders import LinearAutoencoderRecommender, PriorShift
    >>> X = csr_matrix([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]])
    >>> y = csr_matrix([[0, 1.0, 0], [0, 1, 0], [0, 0, 1]])
    >>> days = csr_matrix([[0, 1.0, 0], [0, 2, 0], [0, 0, 10]])
    >>> recommender = PriorShift(LinearAutoencoderRecommender(1.0, ordered=True))
    >>> recommender.fit(X, y, target_times=days).rank(X[:1], k=1).labels
    array([[2]], dtype=int32)
    """

    _keeps_ages = True
    _checks = {
        "strength": lambda value, name: check_real(value, name, 0),
        "window": check_days,
        "window_half_life": check_half_life,
        "scale": lambda value, name: check_option(value, name, _SCALES),
        "n_candidates": lambda value, name: check_integer(value, name, 1),
    }

    def __init__(
        self,
        estimator,
        *,
        strength=1.0,
        window="7D",
        window_half_life=None,
        scale="auto",
        n_candidates=500,
        repeat=False,
        n_jobs=None,
    ):
        self.estimator = estimator
        self.strength = strength
        self.window = window
        self.window_half_life = window_half_life
        self.scale = scale
        self.n_candidates = n_candidates
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        if training.y is None:
            raise ValueError("y must be given, got None")
        if not hasattr(self.estimator, "fit"):
            raise TypeError(f"estimator must be an estimator with fit, got {self.estimator!r:.80}")
        days = days_of(self.window, "window")
        weights = None
        if self.window_half_life is not None:
            weights = window_weights(training, self.window_half_life)
        if self.strength:
            learned = without_cold_rows(training.X, weights)
            self.log_shift_ = log_shift(training, days, learned)
        else:
            self.log_shift_ = np.zeros(training.X.shape[1], dtype=np.float32)
        self.estimator_ = fit_estimator(clone(self.estimator), training, training.y, weights)
        self.scale_ = self.scale
        if self.scale == "auto":
            self.scale_ = self._scale_of_scores(training.X) if self.strength else "logarithm"

    def _scale_of_scores(self, X):
        """Return the scale of the scores of some training rows, spread over all of them."""
        warm = np.flatnonzero(~cold_rows(X))
        rows = warm[np.linspace(0, len(warm) - 1, min(_N_SCALE_ROWS, len(warm)), dtype=np.int64)]
        step = max(1, _BLOCK // self.n_labels_)
        for begin in range(0, len(rows), step):
            if not _hold_shares(self._estimator_scores(X[rows[begin : begin + step]])).all():
                return "logarithm"
        return "probability"

    def _estimator_scores(self, X, limits=None):
        return scores_of(self.estimator_, X, self.n_labels_, int(self.n_candidates), limits)

    def _dense_scores(self, X, limits=None):
        scores = self._estimator_scores(X, limits)
        if not self.strength:
            return scores
        scale = self.scale
        if scale == "auto":
            # Models of earlier versions do not have the attribute.
            scale = getattr(self, "scale_", "auto")
        if scale == "probability":
            scores = _logarithms(scores)
        elif scale == "auto":
            scores = np.where(_hold_shares(scores)[:, np.newaxis], _logarithms(scores), scores)
        return scores + np.float32(self.strength) * self.log_shift_

    def _rank(self, X, k, limits):
        """Rank in this thread, as the estimator has threads of its own."""
        return rank_rows(self, X, CSRView(X), 0, X.shape[0], k, limits)

    def _scores_to_rank(self, X, limits):
        return self._scores_with_cold(X, limits)


def _hold_shares(scores):
    """Return whether each row has no finite score below 0 or above 1."""
    return (((scores >= 0) & (scores <= 1)) | ~np.isfinite(scores)).all(axis=1)


def _logarithms(scores):
    return np.where(np.isfinite(scores), np.log(np.maximum(scores, 1e-30)), -np.inf)
