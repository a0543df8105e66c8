"""The most popular items, for everybody."""

import numpy as np

from ._base import BaseRecommender
from ._times import days_of


class MostPopularRecommender(BaseRecommender):
    """Recommend the items that were bought most often.

    Parameters
    ----------
    window : str, number or timedelta, default=None
        Only purchases of the last days of `target_times` count; a number is days. None: all targets
        count, or, if y is None, all histories.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads.

    Attributes
    ----------
    popularity_ : ndarray of float32, shape (n_items,)
        Number of purchases, which is the score.
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.

    Examples
    --------
    >>> from skxmr.recommenders import MostPopularRecommender
    >>> X = [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0]]
    >>> MostPopularRecommender().fit(X).rank([[0, 1, 0]], k=2).labels
    array([[0, 2]], dtype=int32)
    """

    _checks = {"window": lambda value, name: value is None or days_of(value, name)}

    def __init__(self, window=None, *, repeat=False, n_jobs=None):
        self.window = window
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        if self.window is not None and training.times is None:
            raise ValueError("window needs target_times in fit, got None")

    def _popular_days(self):
        return None if self.window is None else days_of(self.window, "window")

    def _dense_scores(self, X):
        return np.tile(self.popularity_, (X.shape[0], 1))

    def _contributions(self, X, item):
        return np.zeros(X.nnz), float(self.popularity_[item])
