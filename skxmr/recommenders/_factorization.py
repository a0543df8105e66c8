"""Matrix factorization for implicit feedback."""

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state

from .._core import CSRView, als_solve, bpr_epoch
from .._utils import parallel
from .._utils.cloning import draw_seed
from .._utils.params import check_integer, check_option, check_real, check_seed
from ._base import BaseRecommender
from ._inputs import whole_histories


class MatrixFactorizationRecommender(BaseRecommender):
    """Recommend by the product of factors of users and items.

    The factors of users are computed from their histories, so that new users need no new fit.

    Parameters
    ----------
    method : {"als", "bpr"}, default="als"
        "als" is weighted alternating least squares [1]_, and "bpr" Bayesian personalized ranking
        [2]_.
    n_factors : int, default=64
        Number of factors.
    regularization : float, default=0.01
        L2 penalty.
    alpha : float, default=1
        An entry of X with the weight w has the confidence 1 + alpha w.
    n_iter : int, default=15
        Number of iterations, or of passes over the purchases for "bpr".
    learning_rate : float, default=0.05
        Step size of "bpr".
    random_state : int, RandomState or None, default=None
        Seed of the first factors and of the samples.
    repeat : bool, default=False
        Whether items of the history may be recommended.
    n_jobs : int, default=None
        Number of threads. The result does not depend on it. "bpr" learns in one thread.

    Attributes
    ----------
    item_factors_ : ndarray of float32, shape (n_items, n_factors)
    item_bias_ : ndarray of float32, shape (n_items,)
        Zeros for "als".
    n_features_in_, n_labels_ : int
        Number of items.
    classes_ : ndarray of shape (n_items,)
        Column names of X, or column numbers.
    popularity_ : ndarray of float32, shape (n_items,)
        Scores of rows without a history.

    Notes
    -----
    The factors of a user are the solution of the least squares of ALS for the given history, for
    "bpr" as well.

    References
    ----------
    .. [1] Y. Hu, Y. Koren, C. Volinsky, "Collaborative filtering for implicit feedback datasets",
       ICDM 2008.
    .. [2] S. Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.

    Examples
    --------
    >>> from skxmr.recommenders import MatrixFactorizationRecommender
    >>> X = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    >>> recommender = MatrixFactorizationRecommender(n_factors=2, random_state=0).fit(X)
    >>> recommender.rank([[1, 0, 0, 0]], k=1).labels
    array([[1]], dtype=int32)
    """

    _checks = {
        "method": lambda value, name: check_option(value, name, ("als", "bpr")),
        "n_factors": lambda value, name: check_integer(value, name, 1, 4096),
        "regularization": lambda value, name: check_real(value, name, 0, above=True),
        "alpha": lambda value, name: check_real(value, name, 0, above=True),
        "n_iter": lambda value, name: check_integer(value, name, 1),
        "learning_rate": lambda value, name: check_real(value, name, 0, above=True),
        "random_state": check_seed,
    }

    def __init__(
        self,
        method="als",
        *,
        n_factors=64,
        regularization=0.01,
        alpha=1.0,
        n_iter=15,
        learning_rate=0.05,
        random_state=None,
        repeat=False,
        n_jobs=None,
    ):
        self.method = method
        self.n_factors = n_factors
        self.regularization = regularization
        self.alpha = alpha
        self.n_iter = n_iter
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.repeat = repeat
        self.n_jobs = n_jobs

    def _learn(self, training):
        histories = sp.csr_matrix(whole_histories(training), copy=True)
        histories.eliminate_zeros()
        rng = check_random_state(self.random_state)
        n_items = histories.shape[1]
        items = rng.standard_normal((n_items, self.n_factors)).astype(np.float32) * 0.01
        if self.method == "als":
            self._alternate(histories, items)
        else:
            self._descend(histories, items, rng)

    def _alternate(self, histories, items):
        confidence = self._confidence(histories)
        transposed = sp.csr_matrix(confidence.T)
        transposed.sort_indices()
        users = self._solve(confidence, items)
        for _ in range(int(self.n_iter)):
            items = self._solve(transposed, users)
            users = self._solve(confidence, items)
        self._set_items(items, np.zeros(len(items), dtype=np.float32))

    def _descend(self, histories, items, rng):
        n_users = histories.shape[0]
        users = rng.standard_normal((n_users, self.n_factors)).astype(np.float32) * 0.01
        table = np.concatenate([items, np.zeros((len(items), 1), dtype=np.float32)], axis=1)
        if histories.nnz:
            view = CSRView(histories)
            for _ in range(int(self.n_iter)):
                parallel.interruptible(self._epoch, view, users, table, draw_seed(rng))
        items = np.ascontiguousarray(table[:, :-1])
        self._set_items(items, np.ascontiguousarray(table[:, -1]))

    def _epoch(self, view, users, table, seed):
        bpr_epoch(
            view,
            users,
            table,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            n_samples=view.nnz,
            seed=seed,
        )

    def _set_items(self, items, bias):
        if not (np.isfinite(items).all() and np.isfinite(bias).all()):
            raise ValueError(
                "regularization, learning_rate or alpha leads to infinite factors: make "
                "regularization larger, or the others smaller"
            )
        self.item_factors_ = items
        self.item_bias_ = bias
        self._gram = np.ascontiguousarray(items.T @ items)

    def _confidence(self, X):
        """Return the confidences minus 1, which ALS needs, of the positive entries."""
        confidence = sp.csr_matrix(X, copy=True)
        confidence.eliminate_zeros()
        confidence.data *= np.float32(self.alpha)
        return confidence

    def _solve(self, matrix, factors):
        view = CSRView(matrix)
        gram = np.ascontiguousarray(factors.T @ factors)
        ranges = parallel.ranges(matrix.shape[0], 4 * parallel.n_workers(self.n_jobs))
        tasks = [
            (view, factors, gram, float(self.regularization), begin, end) for begin, end in ranges
        ]
        costs = [int(view.indptr[end] - view.indptr[begin]) + 1 for begin, end in ranges]
        parts = parallel.run(
            als_solve, tasks, costs, n_jobs=self.n_jobs, what="factorize", shares_memory=True
        )
        return np.concatenate(parts)

    def _user_factors(self, X):
        """Return the factors of users from their histories."""
        view = CSRView(self._confidence(X))
        return als_solve(
            view, self.item_factors_, self._gram, float(self.regularization), 0, X.shape[0]
        )

    def _dense_scores(self, X):
        return self._user_factors(X) @ self.item_factors_.T + self.item_bias_

    def _contributions(self, X, item):
        """Return the parts of a score, as the factors of a user are a sum over the history."""
        weights = self.alpha * X.data.astype(np.float64)
        factors = self.item_factors_[X.indices].astype(np.float64)
        matrix = self._gram + self.regularization * np.eye(len(self._gram))
        matrix = matrix + factors.T @ (factors * weights[:, np.newaxis])
        solved = np.linalg.solve(matrix, self.item_factors_[item].astype(np.float64))
        parts = (1 + weights) * (factors @ solved)
        parts[X.data <= 0] = 0
        return parts, float(self.item_bias_[item])
