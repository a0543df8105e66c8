"""Searches restricted to labels of consecutive sorted positions, or to sets of labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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


class NumberSets(NamedTuple):
    """Sets of numbers, such as labels or slots, for rows.

    Attributes
    ----------
    ptr : ndarray of int64, shape (n_sets + 1,)
    members : ndarray of int32
        Set i has the numbers ``members[ptr[i]:ptr[i + 1]]``, in increasing order.
    is_shared : bool
        Whether there is one set, which all rows have. Otherwise row i has set i.
    """

    ptr: np.ndarray
    members: np.ndarray
    is_shared: bool

    @classmethod
    def shared(cls, members: np.ndarray) -> "NumberSets":
        """Return the sets of rows that all have the same numbers."""
        return cls(np.array([0, len(members)], dtype=LONG), members, True)

    def of_rows(self, begin: int, end: int) -> "NumberSets":
        """Return the sets of the rows from `begin` up to `end`."""
        return self if self.is_shared else self._replace(ptr=self.ptr[begin : end + 1])

    def fits(self, n_rows: int) -> bool:
        """Return whether there is a set for each of `n_rows` rows."""
        return len(self.ptr) > (1 if self.is_shared else n_rows)


_NO_SETS = CStruct(ffi.NULL, ())


def sets_view(sets: NumberSets | None) -> CStruct:
    """Make an `skx_sets`, or NULL."""
    if sets is None:
        return _NO_SETS
    buffers = pointer(sets.ptr, LONG), pointer(sets.members, INT)
    struct = ffi.new("skx_sets *", [len(sets.members), *buffers, sets.is_shared])
    return CStruct(struct, buffers)


class RestrictionView:
    """The C struct of a restriction of rows to some labels.

    Parameters
    ----------
    positions : SortedPositions, optional
    ranges : ndarray of int64, shape (n_rows, 2), optional
        Row i may reach the labels in the positions from ``ranges[i, 0]`` up to ``ranges[i, 1]``.
        Given together with `positions`.
    among : NumberSets, optional
        The slots that each row may reach.
    exclude : NumberSets, optional
        The slots that each row may not reach.
    """

    def __init__(
        self,
        positions: SortedPositions | None = None,
        ranges: np.ndarray | None = None,
        among: NumberSets | None = None,
        exclude: NumberSets | None = None,
    ):
        view = _NO_SETS
        bounds = ffi.NULL
        if positions is not None and ranges is not None:
            if ranges.ndim != 2 or ranges.shape[1] != 2:
                raise ValueError(f"ranges must have two columns, got shape {ranges.shape}")
            view = positions._c_view()
            bounds = pointer(ranges, LONG)
        self._positions = positions
        self._ranges = ranges
        self._sets = [sets for sets in (among, exclude) if sets is not None]
        sets_views = sets_view(among), sets_view(exclude)
        parts = [view.struct, bounds, *(part.struct for part in sets_views)]
        self._view = CStruct(ffi.new("skx_restriction *", parts), (view, bounds, sets_views))

    def struct_for(self, widths: tuple[int, ...], n_rows: int) -> Any:
        """Return the C struct, for a tree of these widths and at most `n_rows` rows.

        Raises
        ------
        ValueError
            If the restriction is for another tree, or for fewer rows.
        """
        fits = all(sets.fits(n_rows) for sets in self._sets)
        if self._positions is not None and self._ranges is not None:
            fits = fits and widths == self._positions.widths and n_rows <= len(self._ranges)
        if not fits:
            raise ValueError("a search is restricted by the labels of another tree, or other rows")
        return self._view.struct
