"""Searches restricted to labels of consecutive sorted positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._library import INT, LONG, check_array, check_offsets, ffi, pointer
from ._view import CStruct, CView


class SortedPositions(CView):
    """The sorted positions of labels in some order, node by node.

    Parameters
    ----------
    levels : sequence of tuple (pointers, positions)
        For each level of the tree from 1 on, the sorted positions of the labels below each node, in
        increasing order: those of node p are ``positions[pointers[p]:pointers[p + 1]]``. At the
        last level `pointers` is None and each slot has one position.

    Raises
    ------
    ValueError
        If pointers lead outside the positions.
    """

    def __init__(self, levels: Sequence[tuple[np.ndarray | None, np.ndarray]]):
        self.levels = tuple(levels)
        self._check()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._check()

    def _check(self) -> None:
        for pointers, positions in self.levels:
            check_array(positions, INT, "positions")
            if pointers is not None:
                check_offsets(pointers, len(positions), "the pointers to positions")

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of nodes of each level below the root, as in Model."""
        return tuple(
            len(positions) if pointers is None else len(pointers) - 1
            for pointers, positions in self.levels
        )

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays, each counted once."""
        arrays = {id(a): a for level in self.levels for a in level if a is not None}
        return sum(array.nbytes for array in arrays.values())

    def _make_view(self) -> CStruct:
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

    def __init__(self, positions: SortedPositions, ranges: np.ndarray):
        if ranges.ndim != 2 or ranges.shape[1] != 2:
            raise ValueError(f"ranges must have two columns, got shape {ranges.shape}")
        view = positions._c_view()
        bounds = pointer(ranges, LONG)
        self._n_rows = len(ranges)
        self._widths = positions.widths
        self._view = CStruct(ffi.new("skx_restriction *", [view.struct, bounds]), (view, bounds))

    def struct_for(self, widths: tuple[int, ...], n_rows: int) -> Any:
        """Return the C struct, for a tree of these widths and at most `n_rows` rows.

        Raises
        ------
        ValueError
            If the restriction is for another tree, or for fewer rows.
        """
        if widths != self._widths or n_rows > self._n_rows:
            raise ValueError("a search is restricted by the labels of another tree, or other rows")
        return self._view.struct
