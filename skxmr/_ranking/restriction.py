"""Rankings restricted to labels that follow one another in some order, such as texts sorted."""

from typing import NamedTuple

import numpy as np

from .._core import SortedPositions, check_array


class LabelOrder:
    """An order of a model's labels, prepared for searches that are restricted to a part of it.

    For every node of every tree, the positions of its labels are kept in rising order. A search
    thus finds by bisection whether a node leads to a label of a range.

    Parameters
    ----------
    trees : sequence of LabelTree
        The `trees_` of the model.
    position : ndarray of int32, shape (n_labels,)
        Position of each label in the order; a permutation.
    """

    def __init__(self, trees, position):
        self.position = position
        self.by_tree = tuple(SortedPositions(_positions_by_level(tree, position)) for tree in trees)

    def __setstate__(self, state):
        vars(self).update(state)
        check_array(self.position, np.dtype(np.int32), "position")
        if not all(isinstance(positions, SortedPositions) for positions in self.by_tree):
            raise ValueError("the arrays of the order of labels contradict each other")

    @classmethod
    def from_sorted(cls, position, by_tree):
        """Return an order whose SortedPositions are known.

        Parameters
        ----------
        position : ndarray of int32, shape (n_labels,)
        by_tree : sequence of SortedPositions
        """
        order = object.__new__(cls)
        order.__setstate__({"position": position, "by_tree": tuple(by_tree)})
        return order

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        return self.position.nbytes + sum(positions.nbytes for positions in self.by_tree)

    def restricted_to(self, ranges: np.ndarray) -> "Restriction":
        """Return the restriction of each row to the labels of a range of positions.

        Parameters
        ----------
        ranges : ndarray of int64, shape (n_rows, 2)
            Row i may reach the labels in the positions from ``ranges[i, 0]`` up to, but not
            including, ``ranges[i, 1]``.
        """
        return Restriction(self, ranges)


class Restriction(NamedTuple):
    """The labels that a search may reach, row by row.

    Attributes
    ----------
    order : LabelOrder
    ranges : ndarray of int64, shape (n_rows, 2)
        Half-open ranges of positions.
    """

    order: LabelOrder
    ranges: np.ndarray


def _positions_by_level(tree, position):
    """Return what SortedPositions takes: for each level, the positions of each node's labels."""
    positions = position[tree.slot_label]
    levels = [(None, positions)]
    pointers = np.arange(tree.n_slots + 1)
    for level in range(tree.n_levels - 1, 0, -1):
        pointers = pointers[tree.child_ptr[level]]
        nodes = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        rising = np.diff(positions) >= 0
        if not (rising | (np.diff(nodes) > 0)).all():
            positions = positions[np.lexsort((positions, nodes))]
        levels.append((pointers, positions))
    return levels[::-1]
