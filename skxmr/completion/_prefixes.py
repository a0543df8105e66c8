"""Labels whose texts begin with a prefix, and the tree nodes that lead to them."""

import numpy as np

from .._core import SortedPositions, Texts, check_array, find_prefixes, sort_texts
from .._utils.folder import pack_strings
from .._utils.texts import code_points


class PrefixIndex:
    """Finds the labels that complete a prefix, in a tree of any shape.

    Texts are sorted, so that those that begin alike are neighbours. For every node of the tree the
    places of its labels' texts are kept in rising order. So a search sees whether a node leads to a
    label that completes a prefix, by bisection.

    Parameters
    ----------
    tree : LabelTree
    texts : list of str, length n_labels

    Attributes
    ----------
    order : ndarray of int32, shape (n_labels,)
        The labels in the order of their texts.
    """

    def __init__(self, tree, texts):
        order, _ = sort_texts(*code_points(texts))
        self.order = order
        self._data, self._pointers = pack_strings([texts[i] for i in order])
        place = np.empty(len(texts), dtype=np.int32)
        place[order] = np.arange(len(texts), dtype=np.int32)
        self._places = SortedPositions(_places_by_level(tree, place))

    def __setstate__(self, state):
        vars(self).update(state)
        check_array(self.order, np.dtype(np.int32), "order")
        check_array(self._data, np.dtype(np.uint8), "the texts")
        check_array(self._pointers, np.dtype(np.int64), "the pointers to texts")
        if len(self._pointers) != len(self.order) + 1 or not isinstance(
            self._places, SortedPositions
        ):
            raise ValueError("the arrays of the prefixes contradict each other")

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        return self.order.nbytes + self._data.nbytes + self._pointers.nbytes + self._places.nbytes

    def ranges(self, prefixes):
        """Find the places of the texts that begin with each prefix.

        Parameters
        ----------
        prefixes : list of str

        Returns
        -------
        ranges : ndarray of int64, shape (n, 2)
            Those from the first number up to the second.
        """
        texts = Texts(self._data, self._pointers)
        return find_prefixes(texts, Texts(*pack_strings(prefixes)))

    def within(self, prefixes):
        """What restricts the ranking of each row to labels whose texts begin with its prefix."""
        return self._places, self.ranges(prefixes)

    def labels(self, prefix):
        """The labels whose texts begin with a prefix, in the order of these."""
        ((first, last),) = self.ranges([prefix]).tolist()
        return self.order[first:last]


def _places_by_level(tree, place):
    """The places of the labels below each node, level by level, as SortedPositions takes them."""
    places = place[tree.slot_label]
    levels = [(None, places)]
    pointers = np.arange(tree.n_slots + 1)
    for level in range(tree.n_levels - 1, 0, -1):
        pointers = pointers[tree.child_ptr[level]]
        nodes = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        rising = np.diff(places) >= 0
        if not (rising | (np.diff(nodes) > 0)).all():
            places = places[np.lexsort((places, nodes))]
        levels.append((pointers, places))
    return levels[::-1]
