"""Label trees by recursive k-means."""

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import _parallel, _progress
from .._core import CSRView, kmeans
from .._sums import group_sums
from .._validation import (
    check_boolean,
    check_features,
    check_integer,
    check_n_jobs,
    unchanged_on_failure,
)
from ..tree import LabelTree, group_pointers

#: The phase of a fit, and its seconds per nonzero and level, roughly: to foresee the time left.
PHASE = "clustering labels"
COST = 250e-9

#: Dense scores of this many elements at most are held while predicting.
_SCORE_BLOCK = 1 << 24


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
        with unchanged_on_failure(self):
            return self._fit(X)

    def _fit(self, X):
        Z = self._prepare(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        _progress.expect(PHASE, COST * Z.nnz * depth(Z.shape[0], self))
        divide = _divide_balanced if self.balanced else _divide_unbalanced
        self.tree_, self.n_iter_ = divide(Z, seed, self)
        self.labels_ = self.tree_.leaf_clusters
        self.cluster_centers_ = _centres(Z, self.labels_, self.tree_, self)
        return self

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
        Z = self._prepare(X, reset=False)
        centres = self.cluster_centers_
        half_squares = 0.5 * _row_squares(centres)
        labels = np.empty(Z.shape[0], dtype=np.int32)
        best = np.empty(Z.shape[0], dtype=np.float64)
        step = max(1, _SCORE_BLOCK // centres.shape[0])
        for lo in range(0, Z.shape[0], step):
            scores = (Z[lo : lo + step] @ centres.T).toarray() - half_squares
            labels[lo : lo + step] = scores.argmax(axis=1)
            best[lo : lo + step] = scores.max(axis=1)
        return labels, np.maximum(0, _row_squares(Z) - 2 * best)


def _row_squares(matrix):
    matrix = matrix.astype(np.float64)
    return np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()


def _centres(Z, clusters, tree, indexer):
    pointers = group_pointers(clusters, tree.n_nodes(tree.n_levels - 1))
    member = np.argsort(clusters, kind="stable").astype(np.int32)
    sizes = np.maximum(np.diff(pointers), 1)
    weight = np.ones(len(member)) if indexer.spherical else 1 / sizes[clusters[member]]
    weight = weight.astype(np.float32)
    options = {"normalise": bool(indexer.spherical), "n_jobs": indexer.n_jobs, "what": "centres"}
    return group_sums(Z, pointers, member, weight, **options)


def _kmeans_rows(Z, rows, n_clusters, seed, options):
    return kmeans(CSRView(Z), rows, n_clusters, seed=seed, **options)


def _divide_groups(Z, groups, counts, seed, indexer, balanced, part):
    """Cluster each group of rows into its number of clusters.

    Returns an array of clusters per group, and the largest number of iterations. This is said to be
    a certain part of all the clustering.
    """
    options = {
        "balanced": balanced,
        "spherical": bool(indexer.spherical),
        "max_iter": indexer.max_iter,
    }
    tasks = [
        (Z, rows, count, seed + i, options)
        for i, (rows, count) in enumerate(zip(groups, counts, strict=True))
    ]
    costs = [len(rows) for rows in groups]
    results = _parallel.run(
        _kmeans_rows, tasks, costs, n_jobs=indexer.n_jobs, what=PHASE, part=part
    )
    return [clusters for clusters, _ in results], max(n_iter for _, n_iter in results)


def _split(rows, clusters, n_clusters):
    """The rows of each cluster, in order."""
    order = np.argsort(clusters, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(clusters, minlength=n_clusters))[:-1])


def _all_rows(Z):
    return np.arange(Z.shape[0], dtype=np.int32)


def _join_tree(child_ptr, leaves):
    """A tree from the pointers of its inner levels and the labels of each leaf cluster."""
    sizes = np.cumsum([0] + [len(leaf) for leaf in leaves])
    return LabelTree([*child_ptr, sizes], np.concatenate(leaves))


def balanced_sizes(n_labels, branching, max_leaf_size):
    """Children per node of each inner level of a balanced tree, from the root down.

    Enough leaves for the labels, all levels but the first with `branching` children, and no level
    that the root, with up to 4 * branching children, can make superfluous: a level saved is a
    pass over the training rows and a chance of error saved.
    """
    n_leaves = -(-n_labels // max_leaf_size)
    sizes = []
    while n_leaves > 4 * branching:
        sizes.append(branching)
        n_leaves = -(-n_leaves // branching)
    return [n_leaves, *sizes] if n_leaves > 1 else sizes


def _divide_balanced(Z, seed, indexer):
    groups, child_ptr, most = [_all_rows(Z)], [], 1
    sizes = balanced_sizes(Z.shape[0], indexer.branching, indexer.max_leaf_size)
    for level, size in enumerate(sizes):
        counts = [min(size, len(rows)) for rows in groups]
        drawn = seed + level * Z.shape[0]
        part = 1 / len(sizes)
        parts, n_iter = _divide_groups(Z, groups, counts, drawn, indexer, True, part)
        most = max(most, n_iter)
        groups = [
            piece
            for rows, clusters, count in zip(groups, parts, counts, strict=True)
            for piece in _split(rows, clusters, count)
        ]
        child_ptr.append(np.cumsum([0, *counts]))
    return _join_tree(child_ptr, groups), most


def _divide_unbalanced(Z, seed, indexer):
    """Divide what is too large; what is not is handed down as an only child.

    Lloyd's algorithm gets as many levels as a balanced tree would have. What is too large even
    then, mostly labels that resemble nothing, is bisected, so that the tree stays shallow.
    """
    groups, child_ptr, most = [_all_rows(Z)], [], 1
    n_lloyd = depth(Z.shape[0], indexer)
    while any(len(rows) > indexer.max_leaf_size for rows in groups):
        balanced = len(child_ptr) >= n_lloyd
        part = 0 if balanced else 1 / n_lloyd
        groups, pointers, n_iter = _divide_large(Z, groups, seed, indexer, balanced, part)
        child_ptr.append(pointers)
        seed += len(groups)
        most = max(most, n_iter)
    return _join_tree(child_ptr, groups), most


def depth(n_labels, indexer):
    """Levels of a tree with `branching` children per node down to leaves of the largest size."""
    levels, reach = 0, indexer.max_leaf_size
    while reach < n_labels:
        levels, reach = levels + 1, reach * indexer.branching
    return levels


def _divide_large(Z, groups, seed, indexer, balanced, part):
    """Divide the groups that are too large.

    Returns the next level's groups, the pointers to them, and the largest number of iterations.
    """
    limit = indexer.max_leaf_size
    large = [rows for rows in groups if len(rows) > limit]
    counts = [
        -(-len(rows) // limit) if balanced else min(indexer.branching, len(rows)) for rows in large
    ]
    parts, n_iter = _divide_groups(Z, large, counts, seed, indexer, balanced, part)
    divided = zip(large, parts, counts, strict=True)
    pieces = [
        [p for p in _split(*next(divided)) if len(p)] if len(rows) > limit else [rows]
        for rows in groups
    ]
    pointers = np.cumsum([0] + [len(p) for p in pieces])
    return [piece for p in pieces for piece in p], pointers, n_iter
