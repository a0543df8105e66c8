"""Searches restricted to labels that follow one another in some order."""

from ._library import INT, LONG, check_array, check_offsets, ffi, pointer


class SortedPositions:
    """Where labels stand once they are sorted in some order, node by node.

    Holds the arrays and, made on first use and never pickled, the C view of them.

    Parameters
    ----------
    levels : sequence of tuple (pointers, positions)
        For each level of the tree from 1 on, the sorted positions of the labels below each node, in
        rising order: those of node p are ``positions[pointers[p]:pointers[p + 1]]``. At the last
        level `pointers` is None and each slot has one position.

    Raises
    ------
    ValueError
        If pointers lead outside the positions.
    """

    def __init__(self, levels):
        self.__setstate__({"levels": tuple(levels)})

    def __getstate__(self):
        return {"levels": self.levels}

    def __setstate__(self, state):
        self.levels = state["levels"]
        for pointers, positions in self.levels:
            check_array(positions, INT, "positions")
            if pointers is not None:
                check_offsets(pointers, len(positions), "the pointers to positions")

    @property
    def widths(self):
        """Number of nodes of each level, as a Model's."""
        return tuple(
            len(positions) if pointers is None else len(pointers) - 1
            for pointers, positions in self.levels
        )

    @property
    def nbytes(self):
        """Bytes in all arrays, each counted once."""
        arrays = {id(a): a for level in self.levels for a in level if a is not None}
        return sum(array.nbytes for array in arrays.values())

    def _c_levels(self):
        view = vars(self).get("_view")
        if view is None:  # once there, it stays: other threads may be searching with it
            view = vars(self).setdefault("_view", _PositionsView(self.levels))
        return view.array


class RestrictionView:
    """The C struct of a restriction of rows to labels of consecutive sorted positions.

    Parameters
    ----------
    positions : SortedPositions
    ranges : ndarray of int64, shape (n_rows, 2)
        Row i may reach the labels in the positions from ``ranges[i, 0]`` up to ``ranges[i, 1]``.
    """

    def __init__(self, positions, ranges):
        if ranges.ndim != 2 or ranges.shape[1] != 2:
            raise ValueError(f"ranges must have two columns, got shape {ranges.shape}")
        self._owners = positions, pointer(ranges, LONG)
        self._n_rows, self._widths = len(ranges), positions.widths
        self._struct = ffi.new("skx_restriction *", [positions._c_levels(), self._owners[1]])

    def struct_for(self, widths, n_rows):
        """Hand out the C struct, for a tree of these widths and as many rows at the most."""
        if widths != self._widths or n_rows > self._n_rows:
            raise ValueError("a search is restricted by the labels of another tree, or other rows")
        return self._struct


class _PositionsView:
    def __init__(self, levels):
        self._buffers = [
            (ffi.NULL if pointers is None else pointer(pointers, LONG), pointer(positions, INT))
            for pointers, positions in levels
        ]
        self.array = ffi.new("skx_sorted_positions[]", self._buffers)
