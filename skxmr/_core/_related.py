"""Relatedness of items in C."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._library import (
    BYTE,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    LONG_WORD,
    WORD,
    check,
    check_offsets,
    ffi,
    lib,
    pointer,
)
from ._sparse import CSRBuffers, CSRView

_SHARE = np.dtype([("cell", INT), ("fraction", FLOAT)])

#: Nodes around a cell that are interpolated.
_AROUND = np.arange(-2, 4)

RELATEDNESS = {
    "corrected": lib.SKX_CORRECTED,
    "difference": lib.SKX_DIFFERENCE,
    "cosine": lib.SKX_COSINE,
    "jaccard": lib.SKX_JACCARD,
    "lift": lib.SKX_LIFT,
    "log_likelihood": lib.SKX_LOG_LIKELIHOOD,
    "count": lib.SKX_COUNT,
    "weighted": lib.SKX_WEIGHTED,
}


def by_frequency(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order items by decreasing frequency, ties by number.

    Returns
    -------
    item_of, position_of : ndarray of int32, shape (n_items,)
        The item at each position, and the position of each item.
    """
    item_of = np.argsort(-counts, kind="stable").astype(INT)
    position_of = np.empty(len(counts), INT)
    position_of[item_of] = np.arange(len(counts), dtype=INT)
    return item_of, position_of


class Purchases:
    """Rows of users that counts of pairs of items are made from.

    Parameters
    ----------
    row_ptr, rows : ndarray of int64 and int32
        For each item, the rows of the histories that have it.
    target_ptr, targets : ndarray of int64 and int32
        For each row, the items that follow.
    same : bool
        Whether the targets are the histories.
    row_weight : ndarray of float32, shape (n_rows,), optional
    factor : ndarray of float32, shape (n_items,), optional
        Weights of rows and factors of items, for the measure "weighted".
    """

    def __init__(
        self,
        row_ptr: np.ndarray,
        rows: np.ndarray,
        target_ptr: np.ndarray,
        targets: np.ndarray,
        *,
        same: bool,
        row_weight: np.ndarray | None = None,
        factor: np.ndarray | None = None,
    ):
        self.n_rows = len(target_ptr) - 1
        self.n_items = len(row_ptr) - 1
        check_offsets(row_ptr, len(rows), "row_ptr")
        check_offsets(target_ptr, len(targets), "target_ptr")
        self.same = same
        self.row_ptr = row_ptr
        self.target_ptr = target_ptr
        self.rows = rows
        self.n_with = np.diff(row_ptr)
        self.n_followers = np.bincount(targets, minlength=self.n_items).astype(LONG)
        self.item_of, self.position_of = by_frequency(self.n_followers)
        weights = [ffi.NULL] * 3
        if row_weight is not None and factor is not None:
            weights = [pointer(w, FLOAT) for w in (row_weight, factor, factor[self.item_of])]
        buffers = (
            pointer(row_ptr, LONG),
            pointer(rows, INT),
            pointer(target_ptr, LONG),
            pointer(self.position_of[targets], INT),
            pointer(self.item_of, INT),
            pointer(self.position_of, INT),
            pointer(self.n_with, LONG),
            pointer(self.n_followers[self.item_of], LONG),
            *weights,
        )
        self.struct = ffi.new("skx_purchases *", [self.n_rows, self.n_items, *buffers])
        self._owners = buffers

    def costs(self) -> np.ndarray:
        """Return the number of targets that are counted for each item."""
        lengths = np.diff(self.target_ptr)
        sums = indptr_of(lengths[self.rows])
        return np.diff(sums[self.row_ptr])


class Expectation:
    """Tables of the expected number of rows with two items, see `skx_expectation`.

    Parameters
    ----------
    others : ndarray of int64, shape (n_rows,)
        Number of other targets of each row.
    purchases : Purchases
    n_nodes : int
    """

    def __init__(self, others: np.ndarray, purchases: Purchases, n_nodes: int = 64):
        n_followers = purchases.n_followers[purchases.item_of]
        shares = n_followers / max(1, n_followers.sum())
        sizes, row_size = np.unique(others, return_inverse=True)
        row_size = row_size.astype(INT)
        sizes = np.ascontiguousarray(sizes, dtype=LONG)
        present = shares[shares > 0]
        least = present.min(initial=0.5)
        most = present.max(initial=0.5)
        # Two nodes are below and three above the shares of all items.
        step = max(np.log(most / least) / (n_nodes - 6), 1e-3)
        nodes = np.exp(np.log(least) + step * (np.arange(n_nodes) - 2.5))
        nodes = np.ascontiguousarray(np.minimum(nodes, 1 - 1e-12 * np.arange(n_nodes, 0, -1)))
        table = np.empty((len(sizes), n_nodes))
        check(
            lib.skx_expectation_fill(
                len(sizes),
                pointer(sizes, LONG),
                n_nodes,
                pointer(nodes, DOUBLE),
                pointer(table, DOUBLE),
            )
        )
        cell = np.clip(np.searchsorted(nodes, shares, side="right") - 1, 2, n_nodes - 4)
        fraction = (shares - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
        located = np.empty(len(shares), dtype=_SHARE)
        located["cell"] = cell
        located["fraction"] = np.clip(fraction, 0, 1)
        weight = np.ascontiguousarray(_lagrange(nodes, cell, shares))
        buffers = (
            pointer(row_size, INT),
            pointer(table, DOUBLE),
            pointer(located, _SHARE, "skx_share[]"),
            pointer(weight, DOUBLE),
        )
        self.struct = ffi.new("skx_expectation *", [n_nodes, len(sizes), *buffers])
        self._owners = buffers
        self._interpolation = sizes, nodes, table, cell, shares, weight
        self._n_rows = len(others)

    def largest_error(self) -> float:
        """Return an upper bound of the relative errors of the interpolated expected numbers.

        The error of the polynomial through six nodes is at most the product of the distances to the
        nodes, times the largest sixth derivative of 1 - (1 - P)^c between them, divided by 6!. The
        weights of the nodes multiply the errors of the sums over rows.
        """
        sizes, nodes, table, cell, shares, weight = self._interpolation
        product = np.prod(np.abs(shares[:, np.newaxis] - nodes[cell[:, np.newaxis] + _AROUND]), 1)
        largest = np.zeros(len(nodes))
        np.maximum.at(largest, cell, product)
        used = np.flatnonzero(largest)
        c = sizes[sizes >= 6, np.newaxis].astype(np.float64)
        derivative = c**6 * np.exp((c - 6) * np.log1p(-nodes[used - 2]))
        errors = derivative * largest[used] / 720 / table[sizes >= 6][:, used]
        rounding = np.abs(weight).sum(axis=1) * nodes[cell + 3] / nodes[cell]
        epsilon = (self._n_rows + 16) * np.finfo(np.float64).eps
        return float(errors.max(initial=0.0)) + epsilon * float(rounding.max(initial=1.0))


def _lagrange(nodes: np.ndarray, cell: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the weights of six nodes in the polynomial through them."""
    x = nodes[cell[:, np.newaxis] + _AROUND]
    weight = np.ones_like(x)
    for i in range(6):
        for j in range(6):
            if i != j:
                weight[:, i] *= (points - x[:, j]) / (x[:, i] - x[:, j])
    return weight


class Measure(NamedTuple):
    """How related items are found, see `skx_related_params`."""

    relatedness: str
    shrinkage: float
    n_related: int
    n_least: int = 1

    def params(self, same: bool) -> Any:
        """Return the struct."""
        code = RELATEDNESS[self.relatedness]
        numbers = [code, self.shrinkage, self.n_related, self.n_least]
        return ffi.new("skx_related_params *", [*numbers, same, cancel_pointer()])


class PairCounts(NamedTuple):
    """Numbers of rows with both items, see `skx_pair_counts`."""

    ptr: np.ndarray
    other: np.ndarray
    both: np.ndarray

    def transposed(self) -> "PairCounts":
        """Return the same pairs with the items swapped."""
        n = len(self.ptr) - 1
        # The bits of the counts are copied as those of floats.
        matrix = sp.csr_matrix((self.both.view(FLOAT), self.other, self.ptr), shape=(n, n))
        view = CSRView(matrix)
        ptr = np.empty(n + 1, LONG)
        other = np.empty(len(self.other), INT)
        both = np.empty(len(self.other), FLOAT)
        pointers = pointer(ptr, LONG), pointer(other, INT), pointer(both, FLOAT)
        check(lib.skx_csr_transpose(view.struct, *pointers))
        return PairCounts(ptr, other, both.view(WORD))

    def view(self) -> tuple[Any, Any]:
        """Return the struct, and the buffers that must outlive it."""
        buffers = pointer(self.ptr, LONG), pointer(self.other, INT), pointer(self.both, WORD)
        return ffi.new("skx_pair_counts *", buffers), buffers


class FrequentPairs(NamedTuple):
    """Numbers of rows with two frequent items, see `skx_frequent_pairs`."""

    index: np.ndarray
    both: np.ndarray

    @classmethod
    def of_first_positions(cls, purchases: Purchases, n: int) -> "FrequentPairs":
        """Return pairs of the n most frequent items, with counts of 0."""
        index = np.full(purchases.n_items, -1, INT)
        index[purchases.item_of[:n]] = np.arange(n, dtype=INT)
        return cls(index, np.zeros((n, n), WORD))

    def view(self) -> tuple[Any, Any]:
        """Return the struct, and the buffers that must outlive it."""
        buffers = pointer(self.index, INT), pointer(self.both, WORD)
        return ffi.new("skx_frequent_pairs *", [len(self.both), *buffers]), buffers


class Related(NamedTuple):
    """Related items of some items.

    Attributes
    ----------
    lengths : ndarray of int64, shape (n,)
    items : ndarray of int32
    scores : ndarray of float32
        Those of each item, best first.
    kept : PairCounts or None
        These and further items, see `skx_related_support`.
    bounds : ndarray of uint64, shape (n,), or None
    """

    lengths: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    kept: PairCounts | None = None
    bounds: np.ndarray | None = None


class _RelatedBuffers:
    """Arrays that C writes related items to.

    Parameters
    ----------
    n : int
        Number of items.
    measure : Measure
    n_needed : int or None
        None: only the output is written, with all related items.
    frequent : FrequentPairs or None
    """

    def __init__(
        self,
        n: int,
        measure: Measure,
        n_needed: int | None,
        frequent: FrequentPairs | None = None,
    ):
        capacity = n * measure.n_related
        self._csr = CSRBuffers(n, capacity if n_needed is None else n * n_needed)
        self.out = self._csr.struct
        self.support = ffi.NULL
        self._kept = self._bounds = None
        if n_needed is not None:
            arrays = np.empty(n + 1, LONG), np.empty(capacity, INT), np.empty(capacity, WORD)
            self._kept = PairCounts(*arrays)
            self._bounds = np.empty(n, LONG_WORD)
            pointers = [pointer(a, a.dtype) for a in (*self._kept, self._bounds)]
            counts, owners = (ffi.NULL, None) if frequent is None else frequent.view()
            self.support = ffi.new("skx_related_support *", [n_needed, *pointers, counts])
            self._owners = pointers, counts, owners

    def related(self) -> Related:
        """Return what was written."""
        kept = self._kept
        if kept is not None:
            n = kept.ptr[-1]
            kept = PairCounts(kept.ptr, kept.other[:n].copy(), kept.both[:n].copy())
        return Related(np.diff(self._csr.indptr), *self._csr.entries(), kept, self._bounds)


def _expectation_struct(expectation: Expectation | None) -> Any:
    return ffi.NULL if expectation is None else expectation.struct


def find_related(
    purchases: Purchases,
    expectation: Expectation | None,
    items: np.ndarray,
    measure: Measure,
    n_needed: int | None = None,
    frequent: FrequentPairs | None = None,
) -> Related:
    """Find the most related items of some items.

    Parameters
    ----------
    purchases : Purchases
    expectation : Expectation or None
        For the measure "corrected".
    items : ndarray of int32
    measure : Measure
    n_needed : int, optional
        Number of related items in the result besides `kept`.
    frequent : FrequentPairs, optional
        Counts to fill.
    """
    buffers = _RelatedBuffers(len(items), measure, n_needed, frequent)
    check(
        lib.skx_related(
            purchases.struct,
            _expectation_struct(expectation),
            measure.params(purchases.same),
            pointer(items, INT),
            len(items),
            buffers.out,
            buffers.support,
        )
    )
    return buffers.related()


def changed_pairs(
    purchases: Purchases, rows: np.ndarray, items: np.ndarray, frequent: FrequentPairs
) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs of positions that have a row in common since entries were added.

    Parameters
    ----------
    purchases : Purchases
        With the new entries.
    rows, items : ndarray of int32
        The new entries, sorted by row.
    frequent : FrequentPairs
        Counts to update.

    Returns
    -------
    ptr : ndarray of int64, shape (n_items + 1,)
    other : ndarray of int32
        See `skx_changed_pairs`.
    """
    ptr = np.empty(purchases.n_items + 1, LONG)
    lengths = np.diff(purchases.target_ptr)
    other = np.empty(int(lengths[rows].sum()), INT)
    added = ffi.new("skx_new_entries *", [len(rows), pointer(rows, INT), pointer(items, INT)])
    counts, owners = frequent.view()
    pointers = pointer(ptr, LONG), len(other), pointer(other, INT), counts
    check(lib.skx_changed_pairs(purchases.struct, added, *pointers))
    del owners
    return ptr, other[: ptr[-1]].copy()


def count_pairs(
    purchases: Purchases,
    ptr: np.ndarray,
    other: np.ndarray,
    frequent: FrequentPairs,
    begin: int,
    end: int,
    both: np.ndarray,
) -> None:
    """Write the number of rows of each pair at the positions begin <= i < end to `both`."""
    counts, owners = frequent.view()
    pointers = pointer(ptr, LONG), pointer(other, INT), counts, cancel_pointer()
    status = lib.skx_count_pairs(purchases.struct, *pointers, begin, end, pointer(both, WORD))
    del owners
    check(status)


class RelatedChanges(NamedTuple):
    """What has changed since the related items were found, see `skx_related_changes`."""

    kept: PairCounts
    changed: PairCounts
    mirrored: PairCounts
    bounds: np.ndarray
    n_rows: int
    most_followers: int
    group_begin: np.ndarray
    group_ratio: np.ndarray


class UpdatedRelated(NamedTuple):
    """Arrays for the related items after a change, see `skx_updated_related`."""

    ptr: np.ndarray
    n: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    kept_ptr: np.ndarray
    n_kept: np.ndarray
    kept_items: np.ndarray
    kept_both: np.ndarray
    bounds: np.ndarray
    is_certain: np.ndarray

    @classmethod
    def with_capacity(cls, n_needed: int, n_related: int, n_pairs: np.ndarray) -> "UpdatedRelated":
        """Return arrays for the related items of all items, given the number of pairs of each."""
        n = len(n_pairs)
        arrays: list[np.ndarray] = []
        for most, dtype in ((n_needed, FLOAT), (n_related, WORD)):
            ptr = indptr_of(np.minimum(n_pairs, most))
            arrays += [ptr, np.empty(n, LONG), np.empty(ptr[-1], INT), np.empty(ptr[-1], dtype)]
        return cls(*arrays, np.empty(n, LONG_WORD), np.empty(n, BYTE))

    def related(self) -> Related:
        """Return the related items."""
        items = _filled(self.items, self.ptr, self.n)
        scores = _filled(self.scores, self.ptr, self.n)
        kept = [_filled(a, self.kept_ptr, self.n_kept) for a in (self.kept_items, self.kept_both)]
        counts = PairCounts(indptr_of(self.n_kept), *kept)
        return Related(self.n, items, scores, counts, self.bounds)


def _filled(array: np.ndarray, ptr: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the first values of each row of a ragged array."""
    capacity = np.diff(ptr)
    if np.array_equal(capacity, lengths):
        return array
    column = np.arange(len(array)) - np.repeat(ptr[:-1], capacity)
    return array[column < np.repeat(lengths, capacity)]


def update_related(
    purchases: Purchases,
    expectation: Expectation | None,
    measure: Measure,
    n_needed: int,
    changes: RelatedChanges,
    begin: int,
    end: int,
    out: UpdatedRelated,
) -> None:
    """Write the items related to the items begin <= i < end after a change."""
    pairs = changes.kept, changes.changed, changes.mirrored
    views = [counts.view() for counts in pairs]
    owners = [
        pointer(changes.bounds, LONG_WORD),
        pointer(changes.group_begin, INT),
        pointer(changes.group_ratio, DOUBLE),
    ]
    numbers = changes.n_rows, changes.most_followers, len(changes.group_begin)
    fields = [*(view for view, _ in views), owners[0], *numbers, *owners[1:]]
    struct = ffi.new("skx_related_changes *", fields)
    pointers = [pointer(array, array.dtype) for array in out]
    check(
        lib.skx_update_related(
            purchases.struct,
            _expectation_struct(expectation),
            measure.params(purchases.same),
            struct,
            begin,
            end,
            ffi.new("skx_updated_related *", [n_needed, *pointers]),
        )
    )


def cooccurrences(purchases: Purchases, begin: int, end: int) -> sp.csr_matrix:
    """Count the rows with two items, for some items.

    Returns
    -------
    counts : csr_matrix of float32, shape (end - begin, n_items)
        Not sorted.
    """
    costs = purchases.costs()[begin:end]
    capacity = int(np.minimum(costs, purchases.n_items).sum())
    out = CSRBuffers(end - begin, capacity)
    cancel = cancel_pointer()
    check(lib.skx_cooccurrences(purchases.struct, purchases.same, cancel, begin, end, out.struct))
    return out.matrix(purchases.n_items)
