"""Label trees that are tries over the labels' texts."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._utils import progress
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.params import check_integer
from .._utils.texts import check_texts
from ..tree import LabelTree
from ._clusters import PHASE
from ._trie import TextIndexer, build_trie

#: Seconds per label, roughly.
_COST = 1e-6


class TrieIndexer(TextIndexer):
    """Group labels into a trie over their texts.

    A node of level l stands for the labels whose texts begin with the same l code points, so that
    a search can be restricted to the labels that complete a prefix. A node is divided where it has
    more than `max_leaf_size` labels whose texts are not all equal. Among its children, those labels
    come first whose texts end there; the others follow in the order of their next code point.
    What is not divided is handed down as an only child to the level of the deepest leaves.

    Parameters
    ----------
    max_depth : int, default=None
        Code points that the trie looks at, at most; all by default.
    max_leaf_size : int, default=100
        Labels of a node that is not divided. Exceeded only at `max_depth` and by equal texts.

    Attributes
    ----------
    tree_ : LabelTree
        Leaf clusters and their labels are in the order of the texts.
    labels_ : ndarray of int32, shape (n_labels,)
        Leaf cluster of each label.
    common_prefixes_ : ndarray of str objects, shape (n_clusters,)
        What all labels of a leaf cluster begin with.
    edges_ : list of ndarray of int32
        For each level of the tree, from the root to the leaf clusters, what leads to each node: the
        code point by which its prefix is longer than its parent's; -1 for the labels that are no
        longer than it; -2 for a node that stands for the same prefix as its parent.
    prefix_lengths_ : list of ndarray of int32
        For each level the lengths of the nodes' prefixes.

    See Also
    --------
    TrieHybridIndexer : Clusters of similar labels below the first levels of a trie.

    Notes
    -----
    Texts are compared code point by code point, without any normalisation.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. N. Hill, A. Mazumdar and I. S. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.

    Examples
    --------
    >>> from skxmr import TrieIndexer
    >>> indexer = TrieIndexer(max_leaf_size=1).fit(["a", "ab", "abc", "b"])
    >>> indexer.tree_
    LabelTree(1-2-3-4-4, n_labels=4)
    >>> [indexer.node_text(2, node) for node in range(3)]
    ['a', 'ab', 'b']
    >>> indexer.predict(["abc", "abcd"]).tolist()
    [2, 2]
    """

    def __init__(self, max_depth=None, max_leaf_size=100):
        self.max_depth = max_depth
        self.max_leaf_size = max_leaf_size

    def fit(self, X, y=None):
        """Build the tree.

        Parameters
        ----------
        X : sequence of str, length n_labels
            The labels' texts; equal ones are legal.
        y : ignored

        Returns
        -------
        self
        """
        self._check_params()
        texts = check_texts(X, "X")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(texts)
        return self

    def _check_params(self):
        if self.max_depth is not None:
            check_integer(self.max_depth, "max_depth", 1)
        check_integer(self.max_leaf_size, "max_leaf_size", 1)

    def _fit(self, texts):
        progress.expect(PHASE, _COST * len(texts))
        trie = build_trie(texts, self.max_depth, self.max_leaf_size)
        self._set_tree(LabelTree([*trie.child_ptr, trie.leaf_ptr], trie.order), trie.edges)
        first = trie.order[trie.leaf_ptr[:-1]]
        prefixes = [texts[i][:n] for i, n in zip(first.tolist(), trie.shared.tolist(), strict=True)]
        self.common_prefixes_ = np.array(prefixes, dtype=object)

    @consistent
    def predict(self, X):
        """Find the leaf cluster of texts, seen in fit or not.

        A text is followed down the trie as far as it has a branch. Where it has none, the largest
        leaf cluster below is taken, the first one if several are as large.

        Parameters
        ----------
        X : sequence of str, length n

        Returns
        -------
        labels : ndarray of int32, shape (n,)
        """
        check_is_fitted(self)
        lo, hi = self._find_leaves(check_texts(X, "X"))
        sizes = np.diff(self.tree_.child_ptr[-1])
        ways, way = np.unique(np.stack((lo, hi), axis=1), axis=0, return_inverse=True)
        leaves = [first + int(np.argmax(sizes[first:last])) for first, last in ways.tolist()]
        return np.array(leaves, dtype=np.int32)[way.ravel()]

    @consistent
    def score(self, X, y=None):
        """Count, negatively, the code points that leaf clusters leave open.

        Those are the code points of a text beyond what it begins with in common with all labels of
        its leaf cluster.

        Parameters
        ----------
        X : sequence of str, length n
        y : ignored

        Returns
        -------
        score : float
            At most 0; 0 for the labels of fit where each has a leaf of its own.
        """
        check_is_fitted(self)
        texts = check_texts(X, "X")
        prefixes = self.common_prefixes_[self.predict(texts)]
        return -float(sum(map(_n_beyond, texts, prefixes)))


def _n_beyond(text, prefix):
    """How many code points a text has beyond what it begins with in common with a prefix."""
    if text.startswith(prefix):
        return len(text) - len(prefix)
    pairs = zip(text, prefix, strict=False)
    common = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(text), len(prefix)))
    return len(text) - common
