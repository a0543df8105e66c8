"""Results of earlier searches for neighbors, for searches that repeat them with other labels."""

import threading
from collections import OrderedDict

import numpy as np

from ._library import INT, LONG_WORD, ffi, pointer
from ._sparse import CSRView

#: Bytes of all results that a process keeps.
_MOST_BYTES = 1 << 27


class _Memo:
    """The `skx_neighbor_memo` of some queries."""

    def __init__(self, n_queries: int, n_labels: int, n_keys: int):
        self.lock = threading.Lock()
        self._labels = np.full(n_queries * n_labels, -1, dtype=INT)
        self._keys = np.zeros(n_queries * n_keys, dtype=LONG_WORD)
        buffers = pointer(self._labels, INT), pointer(self._keys, LONG_WORD)
        self._buffers = buffers
        self.struct = ffi.new("skx_neighbor_memo *", [n_labels, n_keys, *buffers])


class NeighborMemos:
    """The results that this process keeps. The latest ones stay.

    A candidate of a search over parameters ranks the same rows as those before it, and reaches
    mostly the same labels.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._memos: OrderedDict[tuple, tuple[_Memo, int]] = OrderedDict()

    def find(
        self, rows_key: str, view: CSRView, begin: int, end: int, n_listed: int, n_neighbors: int
    ) -> _Memo | None:
        """Return the memo for queries, or None if it would take too much memory.

        Parameters
        ----------
        rows_key : str
            Identifies the rows that the queries are compared with.
        view : CSRView
            The queries are its rows begin <= i < end.
        begin, end : int
        n_listed : int
            Number of labels of each query.
        n_neighbors : int

        Returns
        -------
        memo : _Memo or None
            Its lock must be held while it is used.
        """
        # 25 candidates reach 34 labels of a row on average (docs/benchmarks/SEARCH.md).
        n_labels = 2 * n_listed + 8
        n_keys = n_neighbors + 44
        n_bytes = (end - begin) * (n_labels * INT.itemsize + n_keys * LONG_WORD.itemsize)
        if n_bytes > _MOST_BYTES:
            return None
        key = rows_key, view.digest(begin, end), n_labels, n_keys
        with self._lock:
            if key not in self._memos:
                self._memos[key] = _Memo(end - begin, n_labels, n_keys), n_bytes
                held = sum(size for _, size in self._memos.values())
                while held > _MOST_BYTES:
                    _, (_, size) = self._memos.popitem(last=False)
                    held -= size
            self._memos.move_to_end(key)
            return self._memos[key][0]


NEIGHBOR_MEMOS = NeighborMemos()
