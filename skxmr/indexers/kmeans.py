"""Label trees by recursive k-means."""

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import check_features, check_sparse_structure
from .._utils.params import check_boolean, check_integer, check_n_jobs, check_random_state
from . import _clusters


class KMeansIndexer(ClusterMixin, BaseEstimator):
    """Group labels into a tree by k-means, level by level.

    The leaf clusters hold at most `max_leaf_size` labels. In the balanced case every cluster is
    divided by recursive bisection into clusters whose sizes differ by one at the most, and all
    leaves lie equally deep. In the unbalanced case clusters are whatever Lloyd's algorithm finds,
    only those that are still too large are divided further, and those that remain too large at
    the depth of a balanced tree are bisected. Unbalanced trees tend to rank better and cost more.

    Parameters
    ----------
    branching : int, default=16
        Children per node, at least 2. The root of a balanced tree has as many as are left over,
        up to four times this number; a bisected cluster as many as it needs.
    max_leaf_size : int, default=100
        Labels per leaf cluster, at most.
    balanced : bool, default=True
        Whether clusters of a level have equal sizes.
    spherical : bool, default=True
        Whether rows and centres are scaled to unit norm, so that closeness is the cosine.
    max_iter : int, default=20
        Iterations per division, at most.
    n_jobs : int, default=None
        As in joblib.
    random_state : int, RandomState instance or None, default=None
        Draws the first centres.

    Attributes
    ----------
    tree_ : LabelTree
    labels_ : ndarray of int32, shape (n_labels,)
        Leaf cluster of each label.
    cluster_centers_ : csr_matrix of float32, shape (n_clusters, n_features)
        Centres of the leaf clusters.
    n_iter_ : int
        The largest number of iterations of any division.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has string column names.

    References
    ----------
    .. [1] Y. Prabhu, A. Kag, S. Harsola, R. Agrawal and M. Varma, "Parabel: Partitioned label
       trees for extreme classification", WWW 2018 (balanced 2-means over labels).

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import KMeansIndexer
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9]])
    >>> indexer = KMeansIndexer(max_leaf_size=2, random_state=0).fit(Z)
    >>> indexer.tree_
    LabelTree(1-2-4, n_labels=4)
    >>> bool(indexer.labels_[0] == indexer.labels_[2])
    True
    """

    def __init__(
        self,
        branching=16,
        max_leaf_size=100,
        balanced=True,
        spherical=True,
        max_iter=20,
        n_jobs=None,
        random_state=None,
    ):
        self.branching = branching
        self.max_leaf_size = max_leaf_size
        self.balanced = balanced
        self.spherical = spherical
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None):
        """Build the tree.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_labels, n_features)
            One row per label.
        y : ignored

        Returns
        -------
        self
        """
        self._check_params()
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X)
        return self

    def _fit(self, X):
        Z = self._prepare(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        _clusters.estimate(Z, self)
        divide = _divide_balanced if self.balanced else _clusters.divide_unbalanced
        groups = [np.arange(Z.shape[0], dtype=np.int32)]
        groups, child_ptr, self.n_iter_ = divide(Z, groups, seed, self)
        self.tree_ = _clusters.join_tree(child_ptr, groups)
        self.labels_ = self.tree_.leaf_clusters
        self.cluster_centers_ = _clusters.centres_of(Z, self.labels_, self.tree_, self)

    @consistent
    def predict(self, X):
        """Find the leaf cluster whose centre is closest to each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            Embeddings of labels, seen in fit or not.

        Returns
        -------
        labels : ndarray of int32, shape (n,)
        """
        return self._nearest(X)[0]

    @consistent
    def score(self, X, y=None):
        """Sum the negative squared distances of the rows to their closest centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
        y : ignored

        Returns
        -------
        score : float
        """
        return -float(self._nearest(X)[1].sum())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_params(self):
        check_integer(self.branching, "branching", 2)
        check_integer(self.max_leaf_size, "max_leaf_size", 1)
        check_integer(self.max_iter, "max_iter", 1)
        check_n_jobs(self.n_jobs)
        check_boolean(self.balanced, "balanced")
        check_boolean(self.spherical, "spherical")

    def _prepare(self, X, *, reset):
        Z = check_features(self, X, reset=reset)
        return normalize(Z) if self.spherical else Z

    def _nearest(self, X):
        """Leaf cluster of each row and its squared distance to it."""
        check_is_fitted(self)
        check_sparse_structure(self.cluster_centers_, "cluster_centers_")  # may be unpickled
        Z = self._prepare(X, reset=False)
        return _clusters.nearest_centres(Z, self.cluster_centers_)


def _divide_balanced(Z, groups, seed, indexer):
    """Divide all labels into clusters whose sizes differ by one; see divide_unbalanced."""
    child_ptr, most = [], 1
    sizes = _clusters.balanced_sizes(Z.shape[0], indexer.branching, indexer.max_leaf_size)
    for level, size in enumerate(sizes):
        counts = [min(size, len(rows)) for rows in groups]
        drawn = seed + level * Z.shape[0]
        part = 1 / len(sizes)
        parts, n_iter = _clusters.divide_groups(Z, groups, counts, drawn, indexer, True, part)
        most = max(most, n_iter)
        groups = [
            piece
            for rows, clusters, count in zip(groups, parts, counts, strict=True)
            for piece in _clusters.split(rows, clusters, count)
        ]
        child_ptr.append(np.cumsum([0, *counts]))
    return groups, child_ptr, most
