"""Label trees with a trie above and clusters below."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._utils.estimators import consistent
from .._utils.matrices import check_matrix, check_sparse_structure
from .._utils.params import check_integer
from .._utils.texts import check_texts
from ._clusters import (
    begin_clustering,
    centers_of,
    check_clustering_params,
    divide_evenly,
    divide_unbalanced,
    join_tree,
    nearest_centers,
    scaled,
    split,
)
from ._texts import default_vectorizer
from ._trie import TextIndexer, build_trie


class TrieHybridIndexer(TextIndexer):
    """Group labels by prefixes of their texts, and further by k-means.

    The first levels of the tree are a trie: a node contains the labels whose texts begin with the
    same code points. The labels of a leaf of this trie are clustered by their embeddings. As in a
    trie, a search can be restricted to the labels that complete a prefix. In addition, similar
    labels share a cluster even if their texts continue differently.

    `predict` follows a text down the trie as long as there is a branch for its next code point.
    Among the leaf clusters below the node where it stops, the result is the one with the closest
    center. The distance in `score` is the squared Euclidean distance of the embedding to this
    center.

    Parameters
    ----------
    trie_depth : int, default=2
        Number of code points in the trie. With 0, there are only clusters.
    max_leaf_size : int, default=100
        Maximum number of labels per leaf cluster. Larger nodes are divided.
    vectorizer : transformer, default=None
        Embeds the labels: any scikit-learn transformer from strings to rows of a matrix. By
        default, a `skxmr.text.NGramTfidfVectorizer` of character n-grams (1 to 3), weighted by
        position, which keeps upper case.
    branching : int, default=16
        Number of children per node below the trie, at least 2. A node that is divided evenly into
        leaf clusters has up to four times as many.
    balanced : bool, default=True
        Whether a node is divided into clusters of equal sizes.
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
    edges_ : list of ndarray of int32
        For each level, from the root to the leaf clusters, the edge to each node from its parent:
        the code point that is added to the prefix of the parent; -1 if the node contains the labels
        that end at this prefix; -2 if the node has the same prefix as its parent, as do all nodes
        below the trie.
    prefix_lengths_ : list of ndarray of int32
        For each level, the length of the prefix of each node.
    vectorizer_ : transformer
        The fitted vectorizer. None if `fit` got label features.
    n_iter_ : int
        Largest number of iterations of a division.

    See Also
    --------
    TrieIndexer : A trie on all levels.
    KMeansIndexer : Clusters of label embeddings. The labels do not need texts.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. N. Hill, A. Mazumdar and I. S. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.

    Examples
    --------
    >>> from skxmr import TrieHybridIndexer
    >>> texts = ["green tea", "green salad", "grey salad", "grey tea", "red tea", "red salad"]
    >>> indexer = TrieHybridIndexer(trie_depth=1, max_leaf_size=2, random_state=0).fit(texts)
    >>> indexer.tree_
    LabelTree(1-2-3-6, n_labels=6)
    >>> [indexer.node_text(1, node) for node in range(2)]
    ['g', 'r']
    >>> bool(indexer.predict(["greenhouse"])[0] == indexer.labels_[0])
    True
    """

    def __init__(
        self,
        trie_depth=2,
        max_leaf_size=100,
        vectorizer=None,
        *,
        branching=16,
        balanced=True,
        spherical=True,
        max_iter=20,
        n_jobs=None,
        random_state=None,
    ):
        self.trie_depth = trie_depth
        self.max_leaf_size = max_leaf_size
        self.vectorizer = vectorizer
        self.branching = branching
        self.balanced = balanced
        self.spherical = spherical
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None, *, label_features=None):
        """Build the tree.

        The indexer is unchanged if an exception is raised.

        Parameters
        ----------
        X : sequence of str, length n_labels
            Texts of the labels. Several labels may have the same text.
        y : ignored
        label_features : {array-like, sparse matrix} of shape (n_labels, n_features), default=None
            Embeddings of the labels. By default, a vectorizer makes them from the texts.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or an input is invalid, or if there are both label features and a
            vectorizer. The message names what is wrong.
        """
        return self._fit_in_one_step(X, label_features)

    @consistent
    def predict(self, X, *, label_features=None):
        """Find the leaf cluster of each text.

        Parameters
        ----------
        X : sequence of str, length n
            Texts of known or new labels.
        label_features : {array-like, sparse matrix} of shape (n, n_features), default=None
            Embeddings of the labels. Required if `fit` got label features.

        Returns
        -------
        clusters : ndarray of int32, shape (n,)
            Numbers as in `labels_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the indexer is not fitted.
        TypeError, ValueError
            If an input is invalid.
        """
        check_is_fitted(self)
        return self._assign(X, label_features, with_distances=False)[0]

    @consistent
    def score(self, X, y=None, *, label_features=None):
        """Return the negative sum of the squared distances of labels to their closest centers.

        Parameters
        ----------
        X : sequence of str, length n
            Texts of known or new labels.
        y : ignored
        label_features : {array-like, sparse matrix} of shape (n, n_features), default=None
            Embeddings of the labels. Required if `fit` got label features.

        Returns
        -------
        score : float
            At most 0. Larger is better.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the indexer is not fitted.
        TypeError, ValueError
            If an input is invalid.
        """
        check_is_fitted(self)
        return -float(self._assign(X, label_features, with_distances=True)[1].sum())

    def _check_params(self):
        check_integer(self.trie_depth, "trie_depth", 0)
        check_clustering_params(self)
        is_class = isinstance(self.vectorizer, type)
        transforms = callable(getattr(self.vectorizer, "fit_transform", None)) and not is_class
        if not (self.vectorizer is None or transforms):
            raise TypeError(f"vectorizer must be a transformer or None, got {self.vectorizer!r}")

    def _fit(self, X, label_features=None):
        texts = check_texts(X, "X")
        Z = self._fit_embeddings(texts, label_features)
        seed = begin_clustering(Z, self)
        trie = build_trie(texts, self.trie_depth, self.max_leaf_size)
        groups = np.split(trie.order, trie.leaf_ptr[1:-1])
        divide = divide_evenly if self.balanced else divide_unbalanced
        groups, child_ptr, self.n_iter_ = divide(Z, groups, seed, self)
        self._set_trie(join_tree([*trie.child_ptr, *child_ptr], groups), trie.edges)
        self.cluster_centers_ = centers_of(Z, self.labels_, self.tree_, self)

    def _fit_embeddings(self, texts, label_features):
        """Return the embeddings of the labels. Fit the vectorizer unless there are features."""
        if label_features is not None:
            if self.vectorizer is not None:
                raise ValueError(
                    f"label_features go with vectorizer=None only, got {self.vectorizer!r}"
                )
            self.vectorizer_ = None
            return self._embeddings(label_features, "label_features", len(texts))
        if self.vectorizer is None:
            self.vectorizer_ = default_vectorizer(texts)
        else:
            self.vectorizer_ = clone(self.vectorizer)
        features = self.vectorizer_.fit_transform(texts)
        return self._embeddings(features, "vectorizer output", len(texts))

    def _new_embeddings(self, texts, label_features):
        """Return the embeddings of the texts in `predict` or `score`."""
        if (label_features is None) != (self.vectorizer_ is not None):
            given = "some" if self.vectorizer_ is None else "none"
            raise ValueError(f"label_features must be given as in fit, which got {given}")
        if label_features is None:
            label_features = self.vectorizer_.transform(texts)
        Z = self._embeddings(label_features, "label_features", len(texts))
        n_features = self.cluster_centers_.shape[1]
        if Z.shape[1] != n_features:
            raise ValueError(f"label_features must have {n_features} columns, got {Z.shape[1]}")
        return Z

    def _embeddings(self, features, name, n_rows):
        return scaled(check_matrix(features, name, n_rows), self)

    def _assign(self, X, label_features=None, *, with_distances):
        check_sparse_structure(self.cluster_centers_, "cluster_centers_")  # may be unpickled
        texts = check_texts(X, "X")
        Z = self._new_embeddings(texts, label_features)
        ranges, which = self._leaf_ranges(texts)
        rows = split(np.arange(len(texts)), which, len(ranges))
        clusters = np.empty(len(texts), dtype=np.int32)
        distances = np.empty(len(texts))
        for (begin, end), members in zip(ranges, rows, strict=True):
            nearest, distances[members] = nearest_centers(
                Z[members], self.cluster_centers_[begin:end]
            )
            clusters[members] = begin + nearest
        return clusters, distances
