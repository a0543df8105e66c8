"""Label trees that begin as a trie and end in clusters."""

import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.matrices import check_matrix, check_sparse_structure
from .._utils.params import check_boolean, check_integer, check_n_jobs, check_random_state
from .._utils.texts import check_texts
from . import _clusters
from ._texts import default_vectorizer
from ._trie import TextIndexer, build_trie


class TrieHybridIndexer(TextIndexer):
    """Group labels by the beginnings of their texts, and further by k-means.

    The first levels of the tree are a trie: a node stands for the labels whose texts begin with the
    same code points. The labels of a leaf of this trie are clustered by their embeddings. So a
    search can be restricted to the labels that complete a prefix, as in a trie, while labels that
    resemble one another share a cluster even if they go on differently.

    Parameters
    ----------
    trie_depth : int, default=2
        Code points that the trie looks at. With 0, there is no trie, only clusters.
    max_leaf_size : int, default=100
        Labels per leaf cluster, at most. A node of no more labels is not divided.
    vectorizer : transformer, default=None
        Embeds the labels: anything in scikit-learn's manner that turns strings into rows of a
        matrix. By default a `skxmr.text.NGramTfidfVectorizer` of characters (1 to 3), weighted by
        position and without lower-casing.
    branching : int, default=16
        Children per node below the trie, at least 2. A node that is divided evenly into leaf
        clusters has up to four times as many.
    balanced : bool, default=True
        Whether the clusters that a node is divided into have equal sizes.
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
    edges_ : list of ndarray of int32
        For each level of the tree, from the root to the leaf clusters, what leads to each node: the
        code point by which its prefix is longer than its parent's; -1 for the labels that are no
        longer than it; -2 for a node that stands for the same prefix as its parent, such as those
        below the trie.
    prefix_lengths_ : list of ndarray of int32
        For each level the lengths of the nodes' prefixes.
    vectorizer_ : transformer
        The fitted vectorizer, or None if fit was given label features.
    n_iter_ : int
        The largest number of iterations of any division.

    See Also
    --------
    TrieIndexer : A trie all the way down.
    KMeansIndexer : Clusters only, of labels that need not have texts.

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

        Parameters
        ----------
        X : sequence of str, length n_labels
            The labels' texts; equal ones are legal.
        y : ignored
        label_features : {array-like, sparse matrix} of shape (n_labels, n_features), optional
            The labels' embeddings, instead of what a vectorizer would make of their texts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are label features besides a vectorizer.
        """
        self._check_params()
        texts = check_texts(X, "X")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(texts, label_features)
        return self

    def _fit(self, texts, label_features):
        Z = self._embed(texts, label_features)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        _clusters.estimate(Z, self)
        trie = build_trie(texts, self.trie_depth, self.max_leaf_size)
        groups = np.split(trie.order, trie.leaf_ptr[1:-1])
        divide = _clusters.divide_evenly if self.balanced else _clusters.divide_unbalanced
        groups, below, self.n_iter_ = divide(Z, groups, seed, self)
        self._set_tree(_clusters.join_tree([*trie.child_ptr, *below], groups), trie.edges)
        self.cluster_centers_ = _clusters.centres_of(Z, self.labels_, self.tree_, self)

    def _embed(self, texts, label_features):
        """Fit the vectorizer, if one is needed, and return the embeddings."""
        if label_features is not None:
            if self.vectorizer is not None:
                raise ValueError(
                    f"label_features go with vectorizer=None only, got {self.vectorizer!r}"
                )
            self.vectorizer_ = None
            return self._prepare(label_features, "label_features", len(texts))
        self.vectorizer_ = (
            default_vectorizer(texts) if self.vectorizer is None else clone(self.vectorizer)
        )
        return self._prepare(self.vectorizer_.fit_transform(texts), "vectorizer output", len(texts))

    def _prepare(self, features, name, n_rows):
        Z = check_matrix(features, name, n_rows)
        return normalize(Z) if self.spherical else Z

    @consistent
    def predict(self, X, *, label_features=None):
        """Find the leaf cluster of texts, seen in fit or not.

        A text is followed down the trie as far as it has a branch. Among the leaf clusters below,
        it belongs to that whose centre is closest.

        Parameters
        ----------
        X : sequence of str, length n
        label_features : {array-like, sparse matrix} of shape (n, n_features), optional
            The embeddings, needed where fit was given some.

        Returns
        -------
        labels : ndarray of int32, shape (n,)
        """
        return self._nearest(X, label_features)[0]

    @consistent
    def score(self, X, y=None, *, label_features=None):
        """Sum the negative squared distances of the embeddings to the centres of their clusters.

        Parameters
        ----------
        X : sequence of str, length n
        y : ignored
        label_features : {array-like, sparse matrix} of shape (n, n_features), optional
            The embeddings, needed where fit was given some.

        Returns
        -------
        score : float
        """
        return -float(self._nearest(X, label_features)[1].sum())

    def _check_params(self):
        check_integer(self.trie_depth, "trie_depth", 0)
        check_integer(self.max_leaf_size, "max_leaf_size", 1)
        check_integer(self.branching, "branching", 2)
        check_integer(self.max_iter, "max_iter", 1)
        check_n_jobs(self.n_jobs)
        check_boolean(self.balanced, "balanced")
        check_boolean(self.spherical, "spherical")
        transforms = callable(getattr(self.vectorizer, "fit_transform", None))
        if not (self.vectorizer is None or (transforms and not isinstance(self.vectorizer, type))):
            raise TypeError(f"vectorizer must be a transformer or None, got {self.vectorizer!r}")

    def _embed_new(self, texts, label_features):
        """Embeddings of texts that are to be predicted."""
        if (label_features is None) != (self.vectorizer_ is not None):
            given = "some" if self.vectorizer_ is None else "none"
            raise ValueError(f"label_features must be given as in fit, which got {given}")
        if label_features is None:
            label_features = self.vectorizer_.transform(texts)
        Z = self._prepare(label_features, "label_features", len(texts))
        n_features = self.cluster_centers_.shape[1]
        if Z.shape[1] != n_features:
            raise ValueError(f"label_features must have {n_features} columns, got {Z.shape[1]}")
        return Z

    def _nearest(self, X, label_features):
        """Leaf cluster of each text and the squared distance to its centre."""
        check_is_fitted(self)
        check_sparse_structure(self.cluster_centers_, "cluster_centers_")  # may be unpickled
        texts = check_texts(X, "X")
        Z = self._embed_new(texts, label_features)
        lo, hi = self._find_leaves(texts)
        ways, way = np.unique(np.stack((lo, hi), axis=1), axis=0, return_inverse=True)
        rows = _clusters.split(np.arange(len(texts)), way.ravel(), len(ways))
        labels, distances = np.empty(len(texts), dtype=np.int32), np.empty(len(texts))
        for (first, last), members in zip(ways.tolist(), rows, strict=True):
            centres = self.cluster_centers_[first:last]
            nearest, distances[members] = _clusters.nearest_centres(Z[members], centres)
            labels[members] = first + nearest
        return labels, distances
