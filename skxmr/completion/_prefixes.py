"""Labels whose texts begin with a prefix, and the tree nodes above them."""

import numpy as np

from .._core import SortedPositions, Texts, check_array, find_prefixes, sort_texts
from .._utils.folder import pack_strings
from .._utils.texts import code_points


class PrefixIndex:
    """Index of the labels by their texts, which finds the completions of a prefix in any tree.

    The texts that begin with a prefix are consecutive in sorted order. For each node of the tree,
    the index has the increasing sorted positions of the texts below. A search determines by
    bisection whether there is a completion of the prefix below a node.

    Parameters
    ----------
    tree : LabelTree
    texts : list of str, length n_labels
        Texts of the labels.

    Attributes
    ----------
    order : ndarray of int32, shape (n_labels,)
        The labels in the order of their texts.
    """

    def __init__(self, tree, texts):
        order, _ = sort_texts(*code_points(texts))
        self.order = order
        self._data, self._pointers = pack_strings([texts[i] for i in order])
        position = np.empty(len(texts), dtype=np.int32)
        position[order] = np.arange(len(texts), dtype=np.int32)
        self._positions = SortedPositions(_positions_by_level(tree, position))

    def __setstate__(self, state):
        vars(self).update(state)
        if "_places" in state:  # its name in an earlier release
            self._positions = vars(self).pop("_places")
        check_array(self.order, np.dtype(np.int32), "order")
        check_array(self._data, np.dtype(np.uint8), "the texts")
        check_array(self._pointers, np.dtype(np.int64), "the pointers to texts")
        if len(self._pointers) != len(self.order) + 1 or not isinstance(
            self._positions, SortedPositions
        ):
            raise ValueError("the arrays of the prefixes contradict each other")

    @property
    def nbytes(self):
        """Number of bytes of all arrays."""
        text_bytes = self._data.nbytes + self._pointers.nbytes
        return self.order.nbytes + text_bytes + self._positions.nbytes

    def ranges(self, prefixes):
        """Find the sorted positions of the texts that begin with each prefix.

        Parameters
        ----------
        prefixes : list of str

        Returns
        -------
        ranges : ndarray of int64, shape (n, 2)
            Pairs (begin, end): the positions are begin, ..., end - 1.
        """
        texts = Texts(self._data, self._pointers)
        return find_prefixes(texts, Texts(*pack_strings(prefixes)))

    def within(self, prefixes):
        """Return a restriction of the ranking of each row to the completions of its prefix.

        Parameters
        ----------
        prefixes : list of str
            One per row.

        Returns
        -------
        positions : SortedPositions
        ranges : ndarray of int64, shape (n, 2)
            As of `ranges`.
        """
        return self._positions, self.ranges(prefixes)

    def labels(self, prefix):
        """Return the labels whose texts begin with a prefix, in the order of the texts."""
        ((first, last),) = self.ranges([prefix]).tolist()
        return self.order[first:last]


def _positions_by_level(tree, position):
    """Return the sorted positions of the labels below each node, by level.

    Parameters
    ----------
    tree : LabelTree
    position : ndarray of int32, shape (n_labels,)
        Sorted position of the text of each label.

    Returns
    -------
    levels : list of tuple (pointers, positions)
        As for SortedPositions.
    """
    positions = position[tree.slot_label]
    levels = [(None, positions)]
    pointers = np.arange(tree.n_slots + 1)
    for level in range(tree.n_levels - 1, 0, -1):
        pointers = pointers[tree.child_ptr[level]]
        nodes = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        increases = np.diff(positions) >= 0
        if not (increases | (np.diff(nodes) > 0)).all():
            positions = positions[np.lexsort((positions, nodes))]
        levels.append((pointers, positions))
    return levels[::-1]
