"""The label tree: an immutable structure that Python and C share."""

import numpy as np
from scipy import sparse as sp

from ._utils.sparse import group_pointers

_MAX_NODES = np.iinfo(np.int32).max


class LabelTree:
    """A tree whose leaves are slots, each of which holds a label.

    Level 0 consists of the root. The children of node p of level l are the nodes
    ``child_ptr[l][p]`` to ``child_ptr[l][p + 1] - 1`` of level l + 1. The nodes of the last level
    are the slots. A label has one slot per cluster that it belongs to, and at least one. The nodes
    of the level above the slots are the leaf clusters. A node may have no children. The arrays are
    read-only.

    Parameters
    ----------
    child_ptr : sequence of array-like of int
        One array per level except the last, from the root down. Array l has one element more than
        level l has nodes.
    slot_label : array-like of int, shape (n_slots,)
        Label of each slot. Every label from 0 to the largest must occur.

    Attributes
    ----------
    child_ptr : tuple of ndarray of int64
        As the parameter.
    slot_label : ndarray of int32, shape (n_slots,)
        As the parameter.
    n_labels : int
        Number of labels.
    n_slots : int
        Number of slots.
    n_levels : int
        Number of levels with children. It is the number of ranking steps from the root to a label.
    max_copies : int
        Largest number of slots of a label.
    leaf_clusters : ndarray of int32, shape (n_labels,)
        Leaf cluster of the first slot of each label.

    Raises
    ------
    TypeError
        If an array does not consist of integers.
    ValueError
        If a pointer array does not start at 0 or decreases, if the sizes of consecutive levels
        contradict each other, or if a label has no slot.

    Examples
    --------
    Three labels, of which the last belongs to both clusters:

    >>> from skxmr import LabelTree
    >>> tree = LabelTree([[0, 2], [0, 2, 4]], [0, 2, 1, 2])
    >>> tree.n_labels, tree.n_slots
    (3, 4)
    >>> tree.path(2)
    [(0, 1), (1, 3)]
    >>> tree.cluster(1).tolist()
    [1, 2]
    """

    __slots__ = ("_check", "_slot_label", "child_ptr", "n_labels")

    def __init__(self, child_ptr, slot_label):
        pointers = tuple(_as_pointers(p, level) for level, p in enumerate(child_ptr))
        slots = _as_integers(slot_label, "slot_label")
        _check_levels(pointers, len(slots))
        self._set(pointers, _frozen(slots, np.int32), _count_labels(slots), None)

    @classmethod
    def from_checked(cls, child_ptr, slot_label, n_labels, check=None):
        """Make a tree from slots that are not checked now.

        The time does not depend on the number of slots. Only `child_ptr` is checked.

        Parameters
        ----------
        child_ptr : sequence of ndarray of int64
            As for LabelTree.
        slot_label : ndarray of int32
            As for LabelTree. It is neither read nor copied.
        n_labels : int
            Number of labels in `slot_label`.
        check : callable, default=None
            Called without arguments before the first access to `slot_label`. It must raise a
            ValueError if `slot_label` is invalid.

        Returns
        -------
        tree : LabelTree

        Raises
        ------
        TypeError, ValueError
            If `child_ptr` is invalid.
        """
        pointers = tuple(_as_pointers(p, level) for level, p in enumerate(child_ptr))
        _check_levels(pointers, len(slot_label))
        tree = object.__new__(cls)
        tree._set(pointers, slot_label, n_labels, check)
        return tree

    def _set(self, child_ptr, slot_label, n_labels, check):
        # The own __setattr__ raises, because the tree is immutable.
        object.__setattr__(self, "child_ptr", child_ptr)
        object.__setattr__(self, "n_labels", n_labels)
        object.__setattr__(self, "_slot_label", slot_label)
        object.__setattr__(self, "_check", check)

    @property
    def slot_label(self):  # noqa: D102 (documented among the attributes)
        if self._check is not None:
            self._check()
            object.__setattr__(self, "_check", None)
        return self._slot_label

    def __setattr__(self, name, value):
        raise AttributeError(f"a LabelTree is immutable; {name!r} cannot be set")

    def __delattr__(self, name):
        raise AttributeError(f"a LabelTree is immutable; {name!r} cannot be deleted")

    def __reduce__(self):
        return type(self), (self.child_ptr, self.slot_label)

    def __eq__(self, other):
        if not isinstance(other, LabelTree):
            return NotImplemented
        if self.n_levels != other.n_levels:
            return False
        same_nodes = all(map(np.array_equal, self.child_ptr, other.child_ptr))
        return same_nodes and np.array_equal(self.slot_label, other.slot_label)

    def __hash__(self):
        return hash((tuple(p.tobytes() for p in self.child_ptr), self.slot_label.tobytes()))

    def __repr__(self):
        sizes = "-".join(str(self.n_nodes(level)) for level in range(self.n_levels + 1))
        return f"LabelTree({sizes}, n_labels={self.n_labels})"

    @classmethod
    def from_clusters(cls, clusters, n_clusters=None):
        """Make a tree with one level of clusters between the root and the slots.

        Parameters
        ----------
        clusters : array-like of int, shape (n_labels,)
            Leaf cluster of each label.
        n_clusters : int, default=None
            Number of clusters. By default, the largest value in `clusters` plus 1.

        Returns
        -------
        tree : LabelTree

        Raises
        ------
        TypeError, ValueError
            If `clusters` is empty, or does not consist of integers in [0, n_clusters).

        Examples
        --------
        >>> from skxmr import LabelTree
        >>> LabelTree.from_clusters([1, 0, 1])
        LabelTree(1-2-3, n_labels=3)
        """
        clusters = _as_integers(clusters, "clusters")
        n_clusters = int(clusters.max(initial=-1)) + 1 if n_clusters is None else n_clusters
        if len(clusters) == 0 or clusters.min() < 0 or clusters.max() >= n_clusters:
            raise ValueError(f"clusters must be non-empty and lie in [0, {n_clusters})")
        pointers = group_pointers(clusters, n_clusters)
        return cls([[0, n_clusters], pointers], np.argsort(clusters, kind="stable"))

    @property
    def n_levels(self):
        """Number of levels with children."""
        return len(self.child_ptr)

    @property
    def n_slots(self):
        """Number of slots."""
        return len(self._slot_label)

    def n_nodes(self, level):
        """Return the number of nodes of a level. The nodes of level n_levels are the slots."""
        if not 0 <= level <= self.n_levels:
            raise ValueError(f"level must lie in [0, {self.n_levels}], got {level}")
        return self.n_slots if level == self.n_levels else len(self.child_ptr[level]) - 1

    def parents(self, level):
        """Return the parent of each node of a level.

        Parameters
        ----------
        level : int
            From 1, the children of the root, to n_levels, the slots.

        Returns
        -------
        parents : ndarray of int32, shape (n_nodes(level),)
            Nodes of the level above.
        """
        if not 1 <= level <= self.n_levels:
            raise ValueError(f"level must lie in [1, {self.n_levels}], got {level}")
        pointers = self.child_ptr[level - 1]
        return np.repeat(np.arange(len(pointers) - 1, dtype=np.int32), np.diff(pointers))

    @property
    def max_copies(self):
        """Largest number of slots of a label."""
        return int(np.bincount(self.slot_label).max())

    @property
    def leaf_clusters(self):
        """Leaf cluster of the first slot of each label, ndarray of int32, shape (n_labels,)."""
        out = np.empty(self.n_labels, dtype=np.int32)
        out[self.slot_label[::-1]] = self.parents(self.n_levels)[::-1]
        return out

    def path(self, label):
        """Return the nodes on the way from the root to each slot of a label.

        Parameters
        ----------
        label : int
            From 0 to n_labels - 1.

        Returns
        -------
        paths : list of tuple of int
            One path per slot, with one node of each level from 1 to n_levels.

        Raises
        ------
        ValueError
            If there is no such label.
        """
        return [self._path_to(slot) for slot in self._slots(label)]

    def cluster(self, label):
        """Return the labels that share a leaf cluster with a label, including the label.

        Parameters
        ----------
        label : int
            From 0 to n_labels - 1.

        Returns
        -------
        labels : ndarray of int32
            In increasing order.

        Raises
        ------
        ValueError
            If there is no such label.
        """
        pointers = self.child_ptr[-1]
        leaves = np.searchsorted(pointers, self._slots(label), side="right") - 1
        members = [self.slot_label[pointers[leaf] : pointers[leaf + 1]] for leaf in leaves]
        return np.unique(np.concatenate(members))

    def indicator(self, level):
        """Return which labels are below which nodes of a level.

        Parameters
        ----------
        level : int
            From 0, the root, to n_levels, the slots.

        Returns
        -------
        membership : csr_matrix of float32, shape (n_labels, n_nodes(level))
            1 if a slot of the label is below the node or is the node.
        """
        nodes = np.arange(self.n_slots, dtype=np.int32)
        for above in range(self.n_levels, level, -1):
            nodes = self.parents(above)[nodes]
        ones = np.ones(self.n_slots, dtype=np.float32)
        shape = (self.n_labels, self.n_nodes(level))
        out = sp.csr_matrix((ones, (self.slot_label, nodes)), shape=shape)
        out.data[:] = 1
        return out

    def to_networkx(self):
        """Export as a directed graph.

        Returns
        -------
        graph : networkx.DiGraph
            Nodes are pairs (level, number). The attribute ``label`` of a slot is its label.

        Raises
        ------
        ImportError
            If networkx is not installed.
        """
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_node((0, 0))
        for level in range(1, self.n_levels + 1):
            parents = self.parents(level)
            graph.add_edges_from(((level - 1, int(p)), (level, i)) for i, p in enumerate(parents))
        for slot, label in enumerate(self.slot_label):
            graph.nodes[self.n_levels, slot]["label"] = int(label)
        return graph

    def _slots(self, label):
        slots = np.flatnonzero(self.slot_label == label)
        if len(slots) == 0:
            raise ValueError(f"label must lie in [0, {self.n_labels}), got {label!r}")
        return slots

    def _path_to(self, slot):
        nodes = [int(slot)]
        for pointers in reversed(self.child_ptr[1:]):
            nodes.append(int(np.searchsorted(pointers, nodes[-1], side="right")) - 1)
        return tuple(reversed(nodes))


def _as_integers(values, name):
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    if array.dtype.kind not in "iu" and len(array):
        raise TypeError(f"{name} must hold integers, got {array.dtype}")
    return array


def _frozen(array, dtype):
    """Return a read-only array of a type: the array itself if it is read-only, or a copy."""
    if array.dtype == dtype and array.flags.c_contiguous and _is_read_only(array):
        return array
    array = np.array(array, dtype=dtype)
    array.setflags(write=False)
    return array


def _is_read_only(array):
    """Return whether neither the array nor any array that it is a view of is writable."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return True


def _as_pointers(values, level):
    name = f"child_ptr[{level}]"
    array = _as_integers(values, name)
    if len(array) < 1 or array[0] != 0 or (np.diff(array.astype(np.int64)) < 0).any():
        raise ValueError(f"{name} must start at 0 and never decrease")
    return _frozen(array, np.int64)


def _check_levels(pointers, n_slots):
    if not pointers or len(pointers[0]) != 2:
        raise ValueError("child_ptr must begin with the root's level, which has one node")
    sizes = [len(p) - 1 for p in pointers[1:]] + [n_slots]
    for level, (p, below) in enumerate(zip(pointers, sizes, strict=True)):
        if p[-1] != below:
            raise ValueError(
                f"child_ptr[{level}] ends at {p[-1]}, but level {level + 1} has {below} nodes"
            )
        if below > _MAX_NODES:
            raise ValueError(f"level {level + 1} has {below} nodes, at most {_MAX_NODES} fit")


def _count_labels(slots):
    if len(slots) == 0:
        raise ValueError("slot_label must hold at least one label")
    if slots.min() < 0 or slots.max() >= len(slots):
        raise ValueError(f"slot_label must lie in [0, n_labels), got {slots.min()}..{slots.max()}")
    n_labels = int(slots.max()) + 1
    missing = np.flatnonzero(np.bincount(slots, minlength=n_labels) == 0)
    if len(missing):
        raise ValueError(f"slot_label leaves label {missing[0]} without a slot")
    return n_labels
