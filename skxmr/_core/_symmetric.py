"""Relatedness of items by symmetric measures, in C."""

import numpy as np
import scipy.sparse as sp

from ._arrays import indptr_of
from ._library import INT, LONG, LONG_WORD, check, ffi, lib, pointer
from ._related import Measure, Related, by_frequency
from ._sparse import CSRBuffers, csr_transpose

#: Keys of an item besides those of the related items, as a fraction of their number. When they are
#: used up, the lowest keys are dropped.
_SPARE = 0.5
_LEAST_SPARE = 16

#: Measures that are the same in both directions.
SYMMETRIC = ("cosine", "jaccard", "lift")


class OrderedHistories:
    """Histories with items in the order of decreasing frequency, see `skx_ordered_histories`.

    Parameters
    ----------
    histories : csr_matrix
        Checked, with fewer than 2**31 rows and entries together.

    Attributes
    ----------
    n_items : int
    n_before, n_others : ndarray of int64, shape (n_items,)
        Of each position, the number of pairs to count with lower positions and with all.
    """

    def __init__(self, histories: sp.csr_matrix):
        n_rows, self.n_items = histories.shape
        row_ptr, rows = csr_transpose(histories)
        history_ptr = histories.indptr.astype(LONG)
        item_of, self._position_of = by_frequency(np.diff(row_ptr))
        self.n_before = np.empty(self.n_items, LONG)
        self.n_others = np.empty(self.n_items, LONG)
        buffers = (
            pointer(item_of, INT),
            pointer(np.empty(n_rows + len(rows), INT), INT),
            pointer(np.empty(self.n_items + 1, LONG), LONG),
            pointer(np.empty(len(rows), INT), INT),
            pointer(self.n_before, LONG),
            pointer(self.n_others, LONG),
        )
        self._owners = buffers
        self.struct = ffi.new("skx_ordered_histories *", [n_rows, self.n_items, *buffers])
        pointers = pointer(history_ptr, LONG), pointer(row_ptr, LONG), pointer(rows, INT)
        check(lib.skx_order_histories(n_rows, *pointers, self.struct))

    def capacities(self, n_related: int) -> np.ndarray:
        """Return the number of keys that each position needs memory for."""
        most = n_related + max(_LEAST_SPARE, int(_SPARE * n_related))
        return np.minimum(self.n_others, most)

    def joined(self, n_related: int, parts: list["BestKeys"]) -> Related:
        """Return the related items of all items, given those of parts of the pairs."""
        totals = sum(part.n for part in parts)
        out = CSRBuffers(self.n_items, int(np.minimum(totals, n_related).sum()))
        structs = ffi.new("skx_best_keys[]", [part.struct[0] for part in parts])
        position_of = pointer(self._position_of, INT)
        check(
            lib.skx_join_best(self.n_items, position_of, n_related, len(parts), structs, out.struct)
        )
        return Related(np.diff(out.indptr), *out.entries())


class BestKeys:
    """The best items of each position, see `skx_best_keys`.

    Parameters
    ----------
    capacities : ndarray of int64
        Of each position, from `OrderedHistories.capacities`.
    """

    def __init__(self, capacities: np.ndarray):
        ptr = indptr_of(capacities)
        self.n = np.empty(len(capacities), LONG)
        keys = np.empty(ptr[-1], LONG_WORD)
        buffers = pointer(ptr, LONG), pointer(self.n, LONG), pointer(keys, LONG_WORD)
        self._owners = buffers
        self.struct = ffi.new("skx_best_keys *", buffers)


def relate_symmetric(
    histories: OrderedHistories, measure: Measure, begin: int, end: int
) -> BestKeys:
    """Compare the items at the positions begin <= p < end with those at lower positions.

    The relatedness of `measure` must be one of `SYMMETRIC`.
    """
    best = BestKeys(histories.capacities(measure.n_related))
    params = measure.params(same=True)
    check(lib.skx_relate_symmetric(histories.struct, params, begin, end, best.struct))
    return best
