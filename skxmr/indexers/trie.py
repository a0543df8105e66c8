"""Label trees that are tries over label texts."""

import numpy as np

from .._utils import progress
from .._utils.params import check_integer
from .._utils.texts import check_texts
from ..tree import LabelTree
from ._base import CLUSTERING_PHASE
from ._trie import TextIndexer, build_trie

#: Seconds per label, to estimate the time left.
_COST = 1e-6


class TrieIndexer(TextIndexer):
    """Group labels into a trie over their texts.

    A node of level l contains the labels whose texts begin with the same l code points. A search
    can therefore be restricted to the labels that complete a prefix. A node is divided if it has
    more than `max_leaf_size` labels and their texts are not all equal. Its first child contains the
    labels whose texts end at this prefix. The other children are in the order of their next code
    point. A node that is not divided becomes an only child on every level down to the deepest
    leaves.

    `predict` follows a text down the trie as long as there is a branch for its next code point. If
    the node where it stops has several leaf clusters below, the result is the largest of them, and
    of equally large ones the first. The distance in `score` is the number of code points of a text
    after its common prefix with all labels of the leaf cluster. `score` is 0 for the labels of
    `fit` if each has its own leaf cluster.

    Parameters
    ----------
    max_depth : int, default=None
        Maximum number of code points in the trie. By default, there is no limit.
    max_leaf_size : int, default=100
        Maximum number of labels of a node that is not divided. Nodes at `max_depth` and nodes with
        equal texts can have more.

    Attributes
    ----------
    tree_ : LabelTree
        The tree. Leaf clusters and their labels are in the order of the texts.
    labels_ : ndarray of int32, shape (n_labels,)
        Leaf cluster of each label.
    common_prefixes_ : ndarray of str objects, shape (n_clusters,)
        Longest common prefix of all labels of each leaf cluster.
    edges_ : list of ndarray of int32
        For each level, from the root to the leaf clusters, the edge to each node from its parent:
        the code point that is added to the prefix of the parent; -1 if the node contains the labels
        that end at this prefix; -2 if the node has the same prefix as its parent.
    prefix_lengths_ : list of ndarray of int32
        For each level, the length of the prefix of each node.

    See Also
    --------
    TrieHybridIndexer : Clusters of similar labels below the first levels of a trie.
    KMeansIndexer : Clusters of label embeddings.

    Notes
    -----
    Texts are compared by code points, without normalization.

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

    def _check_params(self):
        if self.max_depth is not None:
            check_integer(self.max_depth, "max_depth", 1)
        check_integer(self.max_leaf_size, "max_leaf_size", 1)

    def _fit(self, X):
        texts = check_texts(X, "X")
        progress.expect(CLUSTERING_PHASE, _COST * len(texts))
        trie = build_trie(texts, self.max_depth, self.max_leaf_size)
        self._set_trie(LabelTree([*trie.child_ptr, trie.leaf_ptr], trie.order), trie.edges)
        first = trie.order[trie.leaf_ptr[:-1]]
        prefixes = [texts[i][:n] for i, n in zip(first.tolist(), trie.shared.tolist(), strict=True)]
        self.common_prefixes_ = np.array(prefixes, dtype=object)

    def _assign(self, X, *, with_distances):
        texts = check_texts(X, "X")
        sizes = np.diff(self.tree_.child_ptr[-1])
        ranges, which = self._leaf_ranges(texts)
        largest = [begin + int(np.argmax(sizes[begin:end])) for begin, end in ranges]
        clusters = np.array(largest, dtype=np.int32)[which]
        if not with_distances:
            return clusters, None
        prefixes = self.common_prefixes_[clusters]
        return clusters, np.fromiter(map(_n_beyond, texts, prefixes), np.int64, len(texts))


def _n_beyond(text, prefix):
    """Return the number of code points of a text after its common beginning with a prefix."""
    if text.startswith(prefix):
        return len(text) - len(prefix)
    for i, (a, b) in enumerate(zip(text, prefix, strict=False)):
        if a != b:
            return len(text) - i
    return len(text) - min(len(text), len(prefix))
