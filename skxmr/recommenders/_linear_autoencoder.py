"""Linear autoencoders: EASE, and ridge regression from the history to the next items."""

import numpy as np
import scipy.sparse as sp
from scipy import linalg

from .._utils.params import check_boolean, check_integer, check_real
from ._base import BaseRecommender
from ._inputs import whole_histories
from ._row_weights import check_half_life, window_weights

#: Square matrices in memory at once during fit.
_MATRICES = 3


class LinearAutoencoderRecommender(BaseRecommender):
    r"""Recommend by a linear model of all items on all items.

    Without order, the model of [1]_ (EASE) reconstructs the histories: the weights B minimize
    :math:`\|X - XB\|^2 + \lambda \|B\|^2` with a diagonal of zeros. With order, they minimize
    :math:`\|Y - XB\|^2 + \lambda \|B\|^2`.

    Parameters
    ----------
    regularization : float, default=200
        :math:`\lambda`.
    ordered : bool, default=False
        Whether to learn from X to y instead of within the histories, X and y together.
    window_half_life : str, number or timedelta, default=None
        If `ordered`, rows whose targets are older by this have half of the weight; a number is
        days. It needs `target_times` in fit.
    min_support : int, default=1
        Items that fewer histories have, have no weights.
    max_memory : float, default=4e9
        Largest number of bytes of the square matrices of fit.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads of `rank`. Those of fit depend on the BLAS library.

    Attributes
    ----------
    coef_ : ndarray of float32, shape (n_kept, n_kept)
        B, for the items `kept_`.
    kept_ : ndarray of int, shape (n_kept,)
        Items with at least `min_support` histories.
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    References
    ----------
    .. [1] H. Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.

    Examples
    --------
    >>> from skxmr.recommenders import LinearAutoencoderRecommender
    >>> X = [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    >>> LinearAutoencoderRecommender(1.0).fit(X).rank([[1, 0, 0]], k=1).labels
    array([[1]], dtype=int32)
    """

    _checks = {
        "regularization": lambda value, name: check_real(value, name, 0, above=True),
        "ordered": check_boolean,
        "window_half_life": check_half_life,
        "min_support": lambda value, name: check_integer(value, name, 1),
        "max_memory": lambda value, name: check_real(value, name, 0, above=True),
    }

    def __init__(
        self,
        regularization=200.0,
        *,
        ordered=False,
        window_half_life=None,
        min_support=1,
        max_memory=4e9,
        repeat=False,
        n_jobs=None,
    ):
        self.regularization = regularization
        self.ordered = ordered
        self.window_half_life = window_half_life
        self.min_support = min_support
        self.max_memory = max_memory
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        if self.ordered and training.y is None:
            raise ValueError("y must be given if ordered=True, got None")
        X = training.X if self.ordered else whole_histories(training)
        counts = np.bincount(X.indices[X.data > 0], minlength=X.shape[1])
        if self.ordered:
            counts = counts + np.bincount(training.y.indices, minlength=X.shape[1])
        self.kept_ = np.flatnonzero(counts >= self.min_support)
        self._check_memory(len(self.kept_))
        X = sp.csr_matrix(X[:, self.kept_], dtype=np.float64)
        if not self.ordered:
            self.coef_ = self._reconstruction(X)
            return
        weights = window_weights(training, self.window_half_life)
        weighted = sp.diags_array(weights) @ X
        gram = (weighted.T @ X).toarray()
        gram[np.diag_indices_from(gram)] += self.regularization
        right = (weighted.T @ training.y[:, self.kept_].astype(np.float64)).toarray()
        solution = linalg.solve(gram, right, assume_a="pos", overwrite_a=True, overwrite_b=True)
        self.coef_ = np.ascontiguousarray(solution, dtype=np.float32)

    def _check_memory(self, n):
        needed = _MATRICES * 8.0 * n * n
        if needed > self.max_memory:
            raise ValueError(
                f"max_memory must be at least {needed:.3g} bytes for {n} items, got "
                f"{self.max_memory:.3g}; a larger min_support leaves out rare items"
            )

    def _reconstruction(self, X):
        gram = (X.T @ X).toarray()
        gram[np.diag_indices_from(gram)] += self.regularization
        inverse = linalg.inv(gram, overwrite_a=True)
        weights = inverse / -np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        return np.ascontiguousarray(weights, dtype=np.float32)

    def _dense_scores(self, X):
        scores = np.zeros(X.shape, dtype=np.float32)
        scores[:, self.kept_] = X[:, self.kept_] @ self.coef_
        return scores

    def _contributions(self, X, item):
        positions = np.full(self.n_labels_, -1)
        positions[self.kept_] = np.arange(len(self.kept_))
        target = positions[item]
        sources = positions[X.indices]
        parts = np.zeros(X.nnz)
        known = sources >= 0
        if target >= 0:
            parts[known] = X.data[known].astype(np.float64) * self.coef_[sources[known], target]
        return parts, 0.0
