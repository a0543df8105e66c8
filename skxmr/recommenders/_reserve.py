"""Related items that are kept for the next partial_fit, which then counts only some pairs again.

After purchases are added, the pairs of the new items with the other items of their users are
counted again. Other pairs have the same counts as before, and scores that rise little, if at all,
with upper bounds from the core. The related items of an item are therefore among those that were
kept and those of the changed pairs, unless the bound of the others reaches the lowest of them. The
pairs of such an item are counted again.
"""

from typing import NamedTuple

import numpy as np

from .._core import (
    FrequentPairs,
    Measure,
    PairCounts,
    Related,
    RelatedChanges,
    UpdatedRelated,
    changed_pairs,
    count_pairs,
    indptr_of,
    update_related,
)

#: Measures for which the scores of pairs with the same count have bounds.
BOUNDED = ("corrected", "difference", "cosine", "jaccard", "lift")

#: Items that are kept for each related item.
_KEPT_PER_RELATED = 2

#: Items of which all counts are kept.
_N_FREQUENT = 4096

#: Groups of items by popularity, of which each has a bound.
_N_GROUPS = 64

#: Counting a pair again takes as long as the counts of that many pairs in a fit.
_CHANGE_COST = 16


class Reserve(NamedTuple):
    """What an update needs to know of the state before it.

    Attributes
    ----------
    kept : PairCounts
        Of each item, the items related to it, and others.
    bounds : ndarray of uint64, shape (n_items,)
        Upper bounds of all other pairs.
    frequent : FrequentPairs
    measure : Measure
    max_history : int
        Parameters of the recommender.
    n_rows : int
        Number of users.
    n_followers : ndarray of int64, shape (n_items,)
        Number of users of each item.
    error : float
        Largest relative error of an expected number.
    """

    kept: PairCounts
    bounds: np.ndarray
    frequent: FrequentPairs
    measure: Measure
    max_history: int
    n_rows: int
    n_followers: np.ndarray
    error: float

    @classmethod
    def of(cls, counted, related, frequent):
        """Return what is kept of the related items of all items."""
        return cls(
            related.kept,
            related.bounds,
            frequent,
            counted.measure,
            counted.max_history,
            counted.purchases.n_rows,
            counted.purchases.n_followers,
            _error(counted),
        )


def _error(counted):
    return 0.0 if counted.expectation is None else counted.expectation.largest_error()


def counted_with_reserve(counted):
    """Count all pairs.

    Returns
    -------
    related : Related
    reserve : Reserve
    """
    n_frequent = min(_N_FREQUENT, counted.purchases.n_items)
    frequent = FrequentPairs.of_first_positions(counted.purchases, n_frequent)
    related = counted.related(n_kept=_n_kept(counted), frequent=frequent)
    return related, Reserve.of(counted, related, frequent)


def _n_kept(counted):
    return min(_KEPT_PER_RELATED * counted.measure.n_related, max(1, counted.purchases.n_items))


def updated(reserve, counted, rows, items):
    """Update the related items after purchases were added.

    Parameters
    ----------
    reserve : Reserve
    counted : Counted
        With the new purchases.
    rows, items : ndarray of int32
        The new purchases.

    Returns
    -------
    related : Related or None
        None if all pairs must be counted again.
    reserve : Reserve
    """
    purchases = counted.purchases
    lengths = np.diff(purchases.target_ptr)
    n_changed = lengths[rows].sum()
    same = (reserve.measure, reserve.max_history) == (counted.measure, counted.max_history)
    if not same or _CHANGE_COST * n_changed > (lengths**2).sum():
        return None
    groups, ratios = _share_ratios(reserve, counted)
    if not (ratios > 0).all():
        return None
    # A later error must leave the counts as they are.
    frequent = FrequentPairs(reserve.frequent.index, reserve.frequent.both.copy())
    changed = _recounted(counted, rows, items, frequent)
    changes = RelatedChanges(
        reserve.kept,
        changed,
        changed.transposed(),
        reserve.bounds,
        reserve.n_rows,
        int(reserve.n_followers.max(initial=0)),
        groups,
        ratios,
    )
    related = _with_uncertain(counted, _updated(counted, changes))
    return related, Reserve.of(counted, related, frequent)


def _updated(counted, changes):
    """Update the related items of all items."""
    position = counted.purchases.position_of
    n_changed = np.diff(changes.changed.ptr) + np.diff(changes.mirrored.ptr)
    n_pairs = np.diff(changes.kept.ptr) + n_changed[position]
    sizes = counted.measure.n_related, _n_kept(counted)
    out = UpdatedRelated.with_capacity(*sizes, n_pairs)
    counted.in_ranges(_update_range, n_pairs + counted.purchases.n_with, changes, out)
    return out


def _with_uncertain(counted, out):
    """Count the pairs of the items again of which related items may be missing."""
    related = out.related()
    uncertain = np.flatnonzero(out.is_certain == 0).astype(np.int32)
    if not len(uncertain):
        return related
    return _replaced(related, uncertain, counted.related(uncertain, _n_kept(counted)))


def _share_ratios(reserve, counted):
    """Return the lowest ratio of the new and the old expected number of users of a pair.

    The expected number is a concave function of the share of an item in all purchases, and 0 at 0,
    so that it falls at most by the same ratio as the share, apart from errors of the interpolation.

    Returns
    -------
    begin : ndarray of int32
        Positions at which groups of successive items begin.
    ratios : ndarray of float64
        The lowest ratio of each group.
    """
    now = counted.purchases.n_followers[counted.purchases.item_of]
    before = reserve.n_followers[counted.purchases.item_of]
    # The most frequent items are groups of their own, and the sizes grow like a power.
    edges = np.unique(len(now) ** (np.arange(_N_GROUPS) / _N_GROUPS)).astype(np.int32) - 1
    begin = np.unique(edges)
    growth = np.divide(now, before, out=np.full(len(now), 1e300), where=before > 0)
    ratios = np.minimum.reduceat(growth, begin) * before.sum() / max(1, now.sum())
    ratios = ratios * (1 - _error(counted)) / (1 + reserve.error)
    return begin, np.minimum(ratios, 1.0)


def _recounted(counted, rows, items, frequent):
    """Count the pairs that the new purchases change."""
    ptr, other = changed_pairs(counted.purchases, rows, items, frequent)
    both = np.empty(len(other), dtype=np.uint32)
    counted.in_ranges(_count_range, np.diff(ptr) + 1, ptr, other, frequent, both)
    return PairCounts(ptr, other, both)


def _count_range(counted, begin, end, ptr, other, frequent, both):
    count_pairs(counted.purchases, ptr, other, frequent, begin, end, both)


def _update_range(counted, begin, end, changes, out):
    measure = counted.measure._replace(n_related=_n_kept(counted))
    n_needed = counted.measure.n_related
    arguments = counted.purchases, counted.expectation, measure, n_needed, changes
    update_related(*arguments, begin, end, out)


def _replaced(related, items, again):
    """Replace the related items of some items."""
    lengths = related.lengths.copy()
    lengths[items] = again.lengths
    old, new = indptr_of(related.lengths), indptr_of(again.lengths)
    pairs = zip(related[1:3], again[1:3], strict=True)
    arrays = [_replaced_rows(array, old, items, part, new) for array, part in pairs]
    kept = related.kept, again.kept
    n_kept = np.diff(kept[0].ptr)
    n_kept[items] = np.diff(kept[1].ptr)
    counts = [
        _replaced_rows(array, kept[0].ptr, items, part, kept[1].ptr)
        for array, part in zip(kept[0][1:], kept[1][1:], strict=True)
    ]
    bounds = related.bounds.copy()
    bounds[items] = again.bounds
    return Related(lengths, *arrays, PairCounts(indptr_of(n_kept), *counts), bounds)


def _replaced_rows(array, ptr, rows, new, new_ptr):
    """Replace some rows of ragged arrays, given by pointers."""
    pieces = []
    end = 0
    for i, row in enumerate(rows.tolist()):
        pieces += [array[end : ptr[row]], new[new_ptr[i] : new_ptr[i + 1]]]
        end = ptr[row + 1]
    return np.concatenate([*pieces, array[end:]])
