"""Label trees by recursive k-means."""

import numpy as np

from .._utils.mapped_csr import MappedCSR
from .._utils.matrices import check_features, check_sparse_structure
from ._base import BaseIndexer
from ._clusters import (
    begin_clustering,
    centers_of,
    check_clustering_params,
    divide_balanced,
    divide_unbalanced,
    join_tree,
    nearest_centers,
    scaled,
)


class KMeansIndexer(BaseIndexer):
    """Group labels into a tree by k-means, level by level.

    The leaf clusters have at most `max_leaf_size` labels. In a balanced tree, each cluster is
    divided by recursive bisection into clusters whose sizes differ by one at most, and all leaves
    have the same depth. In an unbalanced tree, Lloyd's algorithm determines the sizes of the
    clusters. Only clusters with more than `max_leaf_size` labels are divided further, and those
    that are still too large at the depth of a balanced tree are bisected. Unbalanced trees tend to
    rank better. Their training and ranking take longer.

    `predict` finds the leaf cluster with the closest center. The distance in `score` is the squared
    Euclidean distance to this center.

    Parameters
    ----------
    branching : int, default=16
        Number of children per node, at least 2. The root of a balanced tree has as many children as
        necessary, at most four times `branching`. A bisected cluster has as many as necessary, at
        most 512; the clusters in it are bisected again if they are still too large.
    max_leaf_size : int, default=100
        Maximum number of labels per leaf cluster.
    balanced : bool, default=True
        Whether the clusters of a level have equal sizes.
    spherical : bool, default=True
        Whether rows and centers are scaled to unit norm. The closest center is then the one with
        the largest cosine.
    max_iter : int, default=20
        Maximum number of iterations per division.
    n_jobs : int, default=None
        Number of jobs, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Determines the initial centers.

    Attributes
    ----------
    tree_ : LabelTree
        The tree.
    labels_ : ndarray of int32, shape (n_labels,)
        Leaf cluster of each label.
    cluster_centers_ : csr_matrix of float32, shape (n_clusters, n_features)
        Centers of the leaf clusters.
    n_iter_ : int
        Largest number of iterations of a division.
    n_features_in_ : int
        Number of features in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns of X in `fit`. Only defined if all of them are strings.

    See Also
    --------
    TrieIndexer : A trie over the label texts.
    TrieHybridIndexer : A trie whose leaves are divided by k-means.

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

    def _check_params(self):
        check_clustering_params(self)

    def _fit(self, X):
        Z = self._embeddings(X, reset=True)
        seed = begin_clustering(Z, self)
        if self.balanced:
            divided = divide_balanced(Z, seed, self)
        else:
            everything = np.arange(Z.shape[0], dtype=np.int32)
            divided = divide_unbalanced(Z, [everything], seed, self)
        groups, child_ptr, self.n_iter_ = divided
        self._set_tree(join_tree(child_ptr, groups))
        self.cluster_centers_ = centers_of(Z, self.labels_, self.tree_, self)
        if isinstance(Z, MappedCSR) and Z is not X:
            Z.remove()

    def _assign(self, X, *, with_distances):
        check_sparse_structure(self.cluster_centers_, "cluster_centers_")  # may be unpickled
        return nearest_centers(self._embeddings(X, reset=False), self.cluster_centers_)

    def _embeddings(self, X, *, reset):
        return scaled(check_features(self, X, reset=reset), self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
