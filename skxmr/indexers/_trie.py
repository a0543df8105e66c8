"""Tries over label texts, as levels of a label tree."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from .._core import sort_texts
from .._utils import parallel
from .._utils.params import check_integer
from ._clusters import PHASE
from ._texts import code_points

#: Edges that are no code point: to the texts that end here, and to a node of the same prefix.
END, SAME = -1, -2

#: Nodes of all levels of a trie, at most; 8 bytes each and more.
_MOST_NODES = 1 << 28

#: More than there are edges.
_EDGES = 1 << 22


class Trie(NamedTuple):
    """The levels of a trie whose leaves have all been brought down to the last one.

    Attributes
    ----------
    child_ptr : list of ndarray of int64
        Pointers from the nodes of each level but the last to those of the next.
    edges : list of ndarray of int32
        For each node of each level what leads to it from its parent: a code point, END or SAME.
    order : ndarray of int32
        The texts, sorted.
    leaf_ptr : ndarray of int64
        The leaves' texts, in `order`.
    shared : ndarray of int64
        How many code points all texts of a leaf begin with in common.
    """

    child_ptr: list
    edges: list
    order: np.ndarray
    leaf_ptr: np.ndarray
    shared: np.ndarray


class _Sorted:
    """Sorted texts, and the nodes of the level that the trie has grown to."""

    def __init__(self, texts):
        self.pointers, self.points = code_points(texts)
        (sorting,) = parallel.run(
            sort_texts, [(self.pointers, self.points)], [1], n_jobs=1, what=PHASE, part=0
        )
        self.order, self.common = sorting
        self.length = np.diff(self.pointers)[self.order]
        differs = self.common[1:] < np.maximum(self.length[1:], self.length[:-1])
        self.n_before = np.concatenate(([0], np.cumsum(differs)))  # distinct texts before each
        places = np.flatnonzero(differs) + 1
        self._cuts = places[np.argsort(self.common[places], kind="stable")]
        self._depth = self.common[self._cuts]

    def cuts(self, level):
        """Places of the texts that have exactly `level` code points in common with the last."""
        lo, hi = np.searchsorted(self._depth, [level, level + 1])
        return self._cuts[lo:hi]

    def edges(self, starts, level):
        """Code point after the first `level` ones of the texts at some places, or END."""
        first = self.pointers[:-1][self.order[starts]] + level
        goes_on = self.length[starts] > level
        edges = np.full(len(starts), END, dtype=np.int32)
        edges[goes_on] = self.points[first[goes_on]]
        return edges

    def divisible(self, starts, max_leaf_size):
        """Which nodes, given where they begin, have too many texts, not all of them equal."""
        ends = np.append(starts[1:], len(self.order))
        distinct = self.n_before[ends - 1] > self.n_before[starts]
        return distinct & (ends - starts > max_leaf_size)

    def shared(self, starts):
        """How many code points all texts of each node begin with in common."""
        common = self.common.copy()
        common[starts] = self.length[starts]
        return np.minimum.reduceat(common, starts)


def build_trie(texts, max_depth, max_leaf_size):
    """Divide texts by their first code point, then their second, and so on.

    A node is divided where it has more than `max_leaf_size` texts, not all of them equal.

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
        If the trie would have so many levels and leaves that memory is in danger.
    """
    content = _Sorted(texts)
    starts = np.zeros(1, dtype=np.int64)
    child_ptr, edges, n_nodes = [], [np.full(1, SAME, dtype=np.int32)], 0
    divided = content.divisible(starts, max_leaf_size)
    while divided.any() and (max_depth is None or len(child_ptr) < max_depth):
        level = len(child_ptr)
        cuts = content.cuts(level)
        cuts = cuts[divided[np.searchsorted(starts, cuts, side="right") - 1]]
        below = np.sort(np.concatenate((starts, cuts)))
        child_ptr.append(np.searchsorted(below, np.append(starts, len(texts))))
        divided = np.repeat(divided, np.diff(child_ptr[-1]))
        edges.append(np.where(divided, content.edges(below, level), np.int32(SAME)))
        starts, n_nodes = below, n_nodes + len(below)
        if n_nodes > _MOST_NODES:
            raise ValueError(
                f"the trie of X has more than {_MOST_NODES} nodes after {level + 1} levels; "
                "set a maximal depth"
            )
        divided &= content.divisible(starts, max_leaf_size)
    leaf_ptr = np.append(starts, len(texts))
    return Trie(child_ptr, edges, content.order, leaf_ptr, content.shared(starts))


def find_leaves(child_ptr, edges, texts):
    """Follow texts down the tree as far as its edges match.

    Parameters
    ----------
    child_ptr : sequence of ndarray of int64
        Pointers from the root's level down to the leaf clusters.
    edges : sequence of ndarray of int32
    texts : list of str

    Returns
    -------
    lo, hi : ndarray of int64, shape (n,)
        The leaf clusters below the node where each text's way ends are those from lo up to hi.
    """
    pointers, points = code_points(texts)
    lo, hi = np.zeros(len(texts), dtype=np.int64), np.ones(len(texts), dtype=np.int64)
    going = np.arange(len(texts))
    for level, children in enumerate(child_ptr):
        wanted = _next_points(pointers, points, going, level)
        child, found = _find_children(children, edges[level + 1], lo[going], wanted)
        lo, hi = children[lo], children[hi]
        going, child = going[found], child[found]
        lo[going], hi[going] = child, child + 1
    return lo, hi


def _next_points(pointers, points, texts, level):
    """Code point of some texts after the first `level` ones, or END."""
    place = pointers[texts] + level
    goes_on = place < pointers[texts + 1]
    wanted = np.full(len(texts), END, dtype=np.int64)
    wanted[goes_on] = points[place[goes_on]]
    return wanted


def _find_children(children, edges, nodes, wanted):
    """Child of each node under an edge, and whether there is one."""
    parents = np.repeat(np.arange(len(children) - 1), np.diff(children))
    keys = parents * _EDGES + (edges - SAME)
    sought = nodes * _EDGES + (wanted - SAME)
    child = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return child, keys[child] == sought


class TextIndexer(ClusterMixin, BaseEstimator):
    """What indexers have in common whose upper levels are a trie over label texts."""

    def node_text(self, level, node):
        """What the texts below a node of the tree begin with, as far as the trie has followed.

        Parameters
        ----------
        level : int
            From 0, the root, to the level of the leaf clusters.
        node : int

        Returns
        -------
        prefix : str
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

    def _set_tree(self, tree, edges):
        """Keep the tree and the edges of its upper levels; those below lead to equal prefixes."""
        n_trie = len(edges)
        below = [np.full(tree.n_nodes(n), SAME, np.int32) for n in range(n_trie, tree.n_levels)]
        self.tree_, self.labels_ = tree, tree.leaf_clusters
        self.edges_ = [*edges, *below]
        self.prefix_lengths_ = [np.zeros(1, dtype=np.int32)]
        for level, found in enumerate(self.edges_[1:], start=1):
            above = self.prefix_lengths_[-1][tree.parents(level)]
            self.prefix_lengths_.append(above + (found >= 0).astype(np.int32))

    def _find_leaves(self, texts):
        return find_leaves(self.tree_.child_ptr[:-1], self.edges_, texts)
