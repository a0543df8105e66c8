"""Labels whose texts begin with a prefix."""

import numpy as np

from .._core import Texts, check_array, find_prefixes, sort_texts
from .._ranking.restriction import LabelOrder
from .._utils.texts import code_points, pack_strings


class PrefixIndex:
    """Finds the labels that complete a prefix, in trees of any shape.

    The texts of the labels are sorted. Texts that begin alike are then neighbors, and a prefix
    stands for a range of positions.

    Parameters
    ----------
    trees : sequence of LabelTree
    texts : list of str, length n_labels

    Attributes
    ----------
    order : ndarray of int32, shape (n_labels,)
        The labels in the order of their texts.
    """

    def __init__(self, trees, texts):
        self.order, _ = sort_texts(*code_points(texts))
        self._data, self._pointers = pack_strings([texts[i] for i in self.order])
        self._label_order = LabelOrder(trees, _positions(self.order))

    @classmethod
    def from_sorted(cls, trees, order, data, pointers):
        """Return an index of texts that are already sorted.

        Parameters
        ----------
        trees : sequence of LabelTree
        order : ndarray of int32, shape (n_labels,)
            The labels in the order of their texts.
        data, pointers : ndarray
            The texts in this order, as pack_strings joins them.
        """
        label_order = LabelOrder(trees, _positions(order))
        index = object.__new__(cls)
        index.__setstate__(
            {"order": order, "_data": data, "_pointers": pointers, "_label_order": label_order}
        )
        return index

    def __setstate__(self, state):
        state = dict(state)
        check_array(state["order"], np.dtype(np.int32), "order")
        if "_places" in state:  # its name in earlier releases
            positions = _positions(state["order"])
            state["_label_order"] = LabelOrder.from_sorted(positions, [state.pop("_places")])
        vars(self).update(state)
        check_array(self._data, np.dtype(np.uint8), "the texts")
        check_array(self._pointers, np.dtype(np.int64), "the pointers to texts")
        fits = isinstance(self._label_order, LabelOrder)
        if not fits or len(self._pointers) != len(self.order) + 1:
            raise ValueError("the arrays of the prefixes contradict each other")

    @property
    def packed(self):
        """The sorted texts, as pack_strings returns them."""
        return self._data, self._pointers

    @property
    def positions(self):
        """The position of each label in the sorted texts. ndarray of int32, shape (n_labels,)."""
        return self._label_order.position

    @property
    def nbytes(self):
        """Bytes in all arrays."""
        texts = self._data.nbytes + self._pointers.nbytes
        return self.order.nbytes + texts + self._label_order.nbytes

    def ranges(self, prefixes):
        """Find the positions of the texts that begin with each prefix.

        Parameters
        ----------
        prefixes : list of str

        Returns
        -------
        ranges : ndarray of int64, shape (n, 2)
            Half-open ranges.
        """
        texts = Texts(self._data, self._pointers)
        return find_prefixes(texts, Texts(*pack_strings(prefixes)))

    def length(self, position):
        """Return the number of bytes of a sorted text."""
        return int(self._pointers[position + 1] - self._pointers[position])

    def find(self, texts):
        """Return the labels of those texts that are known, in increasing order."""
        data, pointers = pack_strings(texts)
        begins, ends = find_prefixes(Texts(self._data, self._pointers), Texts(data, pointers)).T
        # Of the texts that begin with a text, the first one is the text itself if it is known.
        found = np.flatnonzero(begins < ends)
        begins = begins[found]
        same = np.diff(self._pointers)[begins] == np.diff(pointers)[found]
        return np.unique(self.order[begins[same]])

    @property
    def everything(self):
        """The range of all texts, as `ranges` returns it."""
        return np.array([[0, len(self.order)]])

    def restriction(self, prefixes):
        """Return the restriction of each row to labels whose texts begin with its prefix."""
        return self.restricted_to(self.ranges(prefixes))

    def restricted_to(self, ranges):
        """Return the restriction of each row to labels in a range of texts."""
        return self._label_order.restricted_to(ranges)

    def labels(self, prefix):
        """Return the labels whose texts begin with a prefix, in the order of the texts."""
        ((begin, end),) = self.ranges([prefix]).tolist()
        return self.order[begin:end]


def _positions(order):
    """Return the position of each label in an order.

    Raises
    ------
    ValueError
        If the order is not a permutation, as in a damaged pickle.
    """
    n_labels = len(order)
    if not np.array_equal(np.sort(order), np.arange(n_labels)):
        raise ValueError("the order of the prefixes must be a permutation of the labels")
    positions = np.empty(n_labels, dtype=np.int32)
    positions[order] = np.arange(n_labels, dtype=np.int32)
    return positions
