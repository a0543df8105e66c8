"""Tries over label texts, as upper levels of a label tree."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._core import indptr_of, sort_texts
from .._utils import parallel
from .._utils.params import check_integer
from .._utils.texts import code_points
from ._base import CLUSTERING_PHASE, BaseIndexer

#: Edges without a code point: to the texts that end here, and to a node with the same prefix.
END = -1
SAME = -2

#: Maximum number of nodes of all levels of a trie. A node takes at least 8 bytes.
_MOST_NODES = 1 << 28

#: Upper bound of the number of different edges: code points, END and SAME.
_EDGES = 1 << 22


class Trie(NamedTuple):
    """The levels of a trie. All leaves are on the last level.

    Attributes
    ----------
    child_ptr : list of ndarray of int64
        Pointers from the nodes of each level but the last to the nodes of the next level.
    edges : list of ndarray of int32
        For each level, the edge to each node from its parent: a code point, END or SAME.
    order : ndarray of int32
        The texts, sorted.
    leaf_ptr : ndarray of int64
        The texts of leaf j are ``order[leaf_ptr[j]:leaf_ptr[j + 1]]``.
    shared : ndarray of int64
        Length of the longest common prefix of the texts of each leaf.
    """

    child_ptr: list
    edges: list
    order: np.ndarray
    leaf_ptr: np.ndarray
    shared: np.ndarray


class _SortedTexts:
    """Sorted texts, and where the nodes of a level of a trie begin among them.

    A position is a position in the sorted order. A node is given by the position of its first text.
    """

    def __init__(self, texts):
        self.pointers, self.points = code_points(texts)
        (sorting,) = parallel.run(
            sort_texts,
            [(self.pointers, self.points)],
            [1],
            n_jobs=1,
            what=CLUSTERING_PHASE,
            part=0,
        )
        self.order, self.common = sorting
        self.length = np.diff(self.pointers)[self.order]
        differs = self.common[1:] < np.maximum(self.length[1:], self.length[:-1])
        #: Number of distinct texts before the text at each position.
        self.n_before = indptr_of(differs)
        positions = np.flatnonzero(differs) + 1
        self._cuts = positions[np.argsort(self.common[positions], kind="stable")]
        self._depth = self.common[self._cuts]

    def cuts(self, level):
        """Return the positions of the texts that share exactly `level` code points with the last.

        Only texts that are not equal to the last one, the text at the position before, count.
        """
        begin, end = np.searchsorted(self._depth, [level, level + 1])
        return self._cuts[begin:end]

    def edges(self, starts, level):
        """Return the code point at index `level` of the texts at some positions, or END."""
        first = self.pointers[:-1][self.order[starts]] + level
        is_longer = self.length[starts] > level
        edges = np.full(len(starts), END, dtype=np.int32)
        edges[is_longer] = self.points[first[is_longer]]
        return edges

    def divisible(self, starts, max_leaf_size):
        """Return whether each node has more than `max_leaf_size` texts that are not all equal."""
        ends = np.append(starts[1:], len(self.order))
        distinct = self.n_before[ends - 1] > self.n_before[starts]
        return distinct & (ends - starts > max_leaf_size)

    def shared(self, starts):
        """Return the length of the longest common prefix of the texts of each node."""
        common = self.common.copy()
        common[starts] = self.length[starts]
        return np.minimum.reduceat(common, starts)


def build_trie(texts, max_depth, max_leaf_size):
    """Divide texts by their first code point, then by their second one, and so on.

    A node is divided if it has more than `max_leaf_size` texts that are not all equal.

    Parameters
    ----------
    texts : list of str
    max_depth : int or None
    max_leaf_size : int

    Returns
    -------
    trie : Trie

    Raises
    ------
    ValueError
        If the trie would have so many nodes that memory could run out.
    """
    content = _SortedTexts(texts)
    starts = np.zeros(1, dtype=np.int64)
    child_ptr = []
    edges = [np.full(1, SAME, dtype=np.int32)]
    n_nodes = 0
    divided = content.divisible(starts, max_leaf_size)
    while divided.any() and (max_depth is None or len(child_ptr) < max_depth):
        level = len(child_ptr)
        cuts = content.cuts(level)
        cuts = cuts[divided[np.searchsorted(starts, cuts, side="right") - 1]]
        below = np.sort(np.concatenate((starts, cuts)))
        child_ptr.append(np.searchsorted(below, np.append(starts, len(texts))))
        divided = np.repeat(divided, np.diff(child_ptr[-1]))
        edges.append(np.where(divided, content.edges(below, level), np.int32(SAME)))
        starts = below
        n_nodes += len(below)
        if n_nodes > _MOST_NODES:
            raise ValueError(
                f"the trie of X has more than {_MOST_NODES} nodes after {level + 1} levels; "
                "set a maximal depth"
            )
        divided &= content.divisible(starts, max_leaf_size)
    leaf_ptr = np.append(starts, len(texts))
    return Trie(child_ptr, edges, content.order, leaf_ptr, content.shared(starts))


def find_leaves(child_ptr, edges, texts):
    """Follow texts down the tree as long as its edges match.

    Parameters
    ----------
    child_ptr : sequence of ndarray of int64
        Pointers from the level of the root down to the leaf clusters.
    edges : sequence of ndarray of int32
    texts : list of str

    Returns
    -------
    begin, end : ndarray of int64, shape (n,)
        The leaf clusters below the node where text i stops are begin[i], ..., end[i] - 1.
    """
    pointers, points = code_points(texts)
    begin = np.zeros(len(texts), dtype=np.int64)
    end = np.ones(len(texts), dtype=np.int64)
    followed = np.arange(len(texts))
    for level, children in enumerate(child_ptr):
        sought = _edge_at(pointers, points, followed, level)
        child, found = _find_children(children, edges[level + 1], begin[followed], sought)
        begin = children[begin]
        end = children[end]
        followed = followed[found]
        begin[followed] = child[found]
        end[followed] = child[found] + 1
    return begin, end


def _edge_at(pointers, points, texts, level):
    """Return the code point at index `level` of some texts, or END."""
    offset = pointers[texts] + level
    is_longer = offset < pointers[texts + 1]
    edge = np.full(len(texts), END, dtype=np.int64)
    edge[is_longer] = points[offset[is_longer]]
    return edge


def _find_children(children, edges, nodes, sought):
    """Find the child of each node that the sought edge leads to.

    Returns
    -------
    child : ndarray of int
    found : ndarray of bool
        Whether there is such a child. The value in `child` is arbitrary otherwise.
    """
    parents = np.repeat(np.arange(len(children) - 1), np.diff(children))
    keys = parents * _EDGES + (edges - SAME)
    wanted = nodes * _EDGES + (sought - SAME)
    child = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return child, keys[child] == wanted


class TextIndexer(BaseIndexer):
    """Base class of the indexers whose upper levels are a trie over label texts.

    Attributes
    ----------
    edges_ : list of ndarray of int32
        For each level, from the root to the leaf clusters, the edge to each node from its parent: a
        code point, END or SAME.
    prefix_lengths_ : list of ndarray of int32
        For each level, the length of the prefix of each node.
    """

    def node_text(self, level, node):
        """Return the prefix that a node stands for: all texts below it begin with it.

        Parameters
        ----------
        level : int
            From 0, the root, to the level of the leaf clusters.
        node : int
            Number of the node in its level.

        Returns
        -------
        prefix : str

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the indexer is not fitted.
        TypeError, ValueError
            If the level or the node does not exist.
        """
        check_is_fitted(self)
        check_integer(level, "level", 0, len(self.edges_) - 1)
        check_integer(node, "node", 0, len(self.edges_[level]) - 1)
        points = []
        for above in range(level, 0, -1):
            edge = int(self.edges_[above][node])
            points.append(chr(edge) if edge >= 0 else "")
            pointers = self.tree_.child_ptr[above - 1]
            node = int(np.searchsorted(pointers, node, side="right")) - 1
        return "".join(reversed(points))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _set_trie(self, tree, edges):
        """Set the tree, the edges of the levels of its trie, and the lengths of the prefixes."""
        self._set_tree(tree)
        below = range(len(edges), tree.n_levels)
        self.edges_ = [*edges, *(np.full(tree.n_nodes(n), SAME, np.int32) for n in below)]
        self.prefix_lengths_ = [np.zeros(1, dtype=np.int32)]
        for level, found in enumerate(self.edges_[1:], start=1):
            above = self.prefix_lengths_[-1][tree.parents(level)]
            self.prefix_lengths_.append(above + (found >= 0).astype(np.int32))

    def _leaf_ranges(self, texts):
        """Find the different ranges of leaf clusters below the nodes where texts stop.

        Returns
        -------
        ranges : list of list of int
            Pairs (begin, end), each once.
        which : ndarray of int, shape (n,)
            Index in `ranges` of each text.
        """
        stops = find_leaves(self.tree_.child_ptr[:-1], self.edges_, texts)
        ranges, which = np.unique(np.stack(stops, axis=1), axis=0, return_inverse=True)
        return ranges.tolist(), which.ravel()
