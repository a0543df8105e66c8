"""Searches restricted to labels that are neighbours in some order."""

from ._library import INT, LONG, ffi, pointer


class Places:
    """The places of all labels in an order, node by node.

    Holds the arrays and, made on first use and never pickled, the C view of them.

    Parameters
    ----------
    levels : sequence of tuple (pointers, places)
        For each level of the tree from 1 on, the places of the labels below each node, in rising
        order: those of node p are ``places[pointers[p]:pointers[p + 1]]``. At the last level
        `pointers` is None and each slot has one place.
    """

    def __init__(self, levels):
        self.levels = tuple(levels)

    def __getstate__(self):
        return {"levels": self.levels}

    @property
    def nbytes(self):
        """Bytes in all arrays, each counted once."""
        arrays = {id(a): a for level in self.levels for a in level if a is not None}
        return sum(array.nbytes for array in arrays.values())

    def _c_levels(self):
        view = vars(self).get("_view")
        if view is None:  # once there, it stays: other threads may be searching with it
            view = vars(self).setdefault("_view", _PlacesView(self.levels))
        return view.array


class Restriction:
    """Rows of a search, each restricted to labels of neighbouring places.

    Parameters
    ----------
    places : Places
    ranges : ndarray of int64, shape (n_rows, 2)
        Row i may reach the labels in the places from ``ranges[i, 0]`` up to ``ranges[i, 1]``.
    """

    def __init__(self, places, ranges):
        self._owners = places, ffi.from_buffer("int64_t[]", ranges)
        self.struct = ffi.new("skx_restriction *", [places._c_levels(), self._owners[1]])


class _PlacesView:
    def __init__(self, levels):
        self._buffers = [
            (ffi.NULL if pointers is None else pointer(pointers, LONG), pointer(places, INT))
            for pointers, places in levels
        ]
        self.array = ffi.new("skx_places[]", self._buffers)
