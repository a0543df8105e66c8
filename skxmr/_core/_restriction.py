"""Searches restricted to labels that follow one another in some order."""

from ._library import INT, LONG, check_array, check_offsets, ffi, pointer
from ._view import CStruct, CView


class SortedPositions(CView):
    """Where labels stand once they are sorted in some order, node by node.

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
        self.levels = tuple(levels)
        self._check()

    def __setstate__(self, state):
        super().__setstate__(state)
        self._check()

    def _check(self):
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

    def _make_view(self):
        buffers = [
            (ffi.NULL if pointers is None else pointer(pointers, LONG), pointer(positions, INT))
            for pointers, positions in self.levels
        ]
        return CStruct(ffi.new("skx_sorted_positions[]", buffers), tuple(buffers))


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
        view = positions._c_view()
        bounds = pointer(ranges, LONG)
        self._n_rows = len(ranges)
        self._widths = positions.widths
        self._view = CStruct(ffi.new("skx_restriction *", [view.struct, bounds]), (view, bounds))

    def struct_for(self, widths, n_rows):
        """Hand out the C struct, for a tree of these widths and as many rows at the most."""
        if widths != self._widths or n_rows > self._n_rows:
            raise ValueError("a search is restricted by the labels of another tree, or other rows")
        return self._view.struct
