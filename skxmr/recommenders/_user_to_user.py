"""User-to-user collaborative filtering."""

import numpy as np
import scipy.sparse as sp

from .._core import csr_top_k
from .._utils.params import check_integer, check_real
from ._base import BaseRecommender
from ._inputs import whole_histories
from ._unit_rows import scaled_rows


class UserToUserRecommender(BaseRecommender):
    """Recommend what the users with the most similar histories bought.

    The score of an item is the sum over the neighbors of the similarity times their weight of the
    item. With :class:`Recency` before it, purchases of long ago count less, both in the similarity
    and in the score.

    Parameters
    ----------
    n_neighbors : int, default=300
        Number of most similar users.
    power : float, default=1
        A neighbor counts by the cosine of the histories to this power.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads.

    Attributes
    ----------
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    Examples
    --------
    >>> from skxmr.recommenders import UserToUserRecommender
    >>> X = [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    >>> UserToUserRecommender(n_neighbors=2).fit(X).rank([[1, 0, 0]], k=1).labels
    array([[1]], dtype=int32)
    """

    _checks = {
        "n_neighbors": lambda value, name: check_integer(value, name, 1),
        "power": lambda value, name: check_real(value, name, 0),
    }

    def __init__(self, n_neighbors=300, *, power=1.0, repeat=False, n_jobs=None):
        self.n_neighbors = n_neighbors
        self.power = power
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        histories = whole_histories(training)
        histories = sp.csr_matrix(histories, copy=True)
        histories.eliminate_zeros()
        filled = np.diff(histories.indptr) > 0
        self._set_weights(histories[filled])

    def _set_weights(self, weights):
        """Set the weights of the users, and what the cosines need."""
        self._weights = weights
        unit, norms = scaled_rows(weights)
        unit.data /= np.repeat(norms, np.diff(unit.indptr))
        self._unit_by_item = sp.csr_matrix(unit.T)

    def _dense_scores(self, X):
        neighbors = self._neighbors(X)
        return (neighbors @ self._weights).toarray()

    def _neighbors(self, X):
        """Return the contribution of each neighbor, as CSR of shape (n, n_users)."""
        n_users = self._weights.shape[0]
        if not n_users:
            return sp.csr_matrix((X.shape[0], 0), dtype=np.float32)
        rows, norms = scaled_rows(X)
        cosines = sp.csr_matrix(rows @ self._unit_by_item)
        cosines.data /= np.repeat(np.maximum(norms, 1e-30), np.diff(cosines.indptr))
        cosines.sort_indices()
        users, similarities = csr_top_k(
            cosines.astype(np.float32, copy=False), min(int(self.n_neighbors), n_users)
        )
        rows, columns = np.nonzero((users >= 0) & (similarities > 0))
        values = similarities[rows, columns] ** np.float32(self.power)
        shape = (X.shape[0], n_users)
        return sp.csr_matrix((values, (rows, users[rows, columns])), shape=shape)
