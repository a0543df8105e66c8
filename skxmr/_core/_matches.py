"""Search for texts that match a typed text, in C."""

from typing import Any

import numpy as np

from ._library import BYTE, INT, LONG, LONG_WORD, check, check_array, ffi, lib, pointer
from ._texts import Texts
from ._view import CStruct, CView

# Looked up once: a search takes microseconds.
_BYTES = ffi.typeof("uint8_t[]")
_INTS = ffi.typeof("int32_t[]")
_LONGS = ffi.typeof("int64_t[]")


class TextIndex(CView):
    """Sorted entries of texts, and a tree over them that leads to the most popular ones.

    Parameters
    ----------
    data : ndarray of uint8
        The texts in UTF-8, sorted, one after the other.
    pointers : ndarray of int64, shape (n_texts + 1,)
        Text i is ``data[pointers[i]:pointers[i + 1]]``.
    rank : ndarray of int32, shape (n_texts,)
        Rank of each text by popularity, from 0.
    text, offset : ndarray of int32, shape (n_entries,), optional
        Entry i is text ``text[i]`` from its byte ``offset[i]`` on. By default, the entries are the
        whole texts.
    """

    def __init__(
        self,
        data: np.ndarray,
        pointers: np.ndarray,
        rank: np.ndarray,
        text: np.ndarray | None = None,
        offset: np.ndarray | None = None,
    ):
        self.data = data
        self.pointers = pointers
        self.text = text
        self.offset = offset
        self.head = _heads(data, pointers, text, offset)
        self.best = _minima(rank if text is None else rank[text])
        self._check()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._check()

    def _check(self) -> None:
        n_entries = len(self.pointers) - 1 if self.text is None else len(self.text)
        check_array(self.data, BYTE, "the texts")
        check_array(self.pointers, LONG, "the pointers to texts")
        for array in (self.text, self.offset):
            if array is not None:
                check_array(array, INT, "the words")
        n_offsets = n_entries if self.offset is None else len(self.offset)
        check_array(self.head, LONG_WORD, "the beginnings of words")
        lengths = len(self.best), n_offsets, len(self.head)
        fits = lengths == (2 * n_entries, n_entries, n_entries)
        if not fits or (self.text is None) != (self.offset is None):
            raise ValueError("the arrays of the texts contradict each other")
        check_array(self.best, INT, "the tree of ranks")

    @property
    def nbytes(self) -> int:
        """Bytes in the arrays besides the texts."""
        entries = 0 if self.text is None else self.text.nbytes + self.offset.nbytes
        return entries + self.head.nbytes + self.best.nbytes

    def _make_view(self) -> CStruct:
        texts = Texts(self.data, self.pointers)
        words = [ffi.NULL, ffi.NULL]
        if self.text is not None:
            words = [pointer(self.text, INT), pointer(self.offset, INT)]
        trees = pointer(self.head, LONG_WORD), pointer(self.best, INT)
        struct = ffi.new("skx_text_index *", [texts.struct, len(self.head), *words, *trees])
        return CStruct(struct, (texts, words, trees))

    def find(
        self,
        typed: bytes,
        k: int,
        skip: tuple[int, int],
        skipped: np.ndarray,
        *,
        max_errors: int = 0,
        n_exact: int = 0,
    ) -> np.ndarray:
        """Find the most popular texts with an entry that begins with a typed text.

        Parameters
        ----------
        typed : bytes
            In UTF-8.
        k : int
            Maximum number of texts.
        skip : tuple (begin, end)
            Half-open range of texts that are left out.
        skipped : ndarray of int32
            More texts that are left out.
        max_errors : {0, 1}, default=0
            Number of typing errors between the typed text and the beginning of the entry.
        n_exact : int, default=0
            Number of characters at the beginning without errors.

        Returns
        -------
        texts : ndarray of int32
            Most popular first.
        """
        where = ffi.from_buffer(_BYTES, typed), len(typed)
        return self._search(lib.skx_matches_find, where, k, skip, skipped, max_errors, n_exact)

    def best_of(self, ranges: np.ndarray, k: int, skipped: np.ndarray) -> np.ndarray:
        """Find the most popular texts with an entry in ranges of entries.

        Parameters
        ----------
        ranges : ndarray of int64, shape (n_ranges, 2)
            Half-open ranges.
        k : int
            Maximum number of texts.
        skipped : ndarray of int32
            Texts that are left out.

        Returns
        -------
        texts : ndarray of int32
            Most popular first.
        """
        where = ffi.from_buffer(_LONGS, ranges), len(ranges)
        return self._search(lib.skx_matches_of_ranges, where, k, (0, 0), skipped, 0, 0)

    def _search(self, search, where, k, skip, skipped, max_errors, n_exact) -> np.ndarray:
        """Return what a function of C finds."""
        k = min(k, len(self.pointers) - 1)
        found = np.empty(k, dtype=INT)
        n_found = ffi.new("int64_t *")
        left_out = len(skipped), ffi.from_buffer(_INTS, skipped)
        params = ffi.new("skx_match_params *", [k, n_exact, max_errors, *skip, *left_out])
        out = ffi.from_buffer(_INTS, found)
        check(search(self._c_view().struct, *where, params, out, n_found))
        return found[: n_found[0]]


def _heads(data, pointers, text, offset):
    """Return the first eight bytes of each entry as a number, with zeros after the end."""
    begins = pointers[:-1] if text is None else pointers[text] + offset
    ends = pointers[1:] if text is None else pointers[text + 1]
    heads = np.zeros(len(begins), dtype=LONG_WORD)
    for i in range(8):
        inside = (begins + i < ends) & (begins + i >= 0)
        heads <<= np.uint64(8)
        heads[inside] |= data[begins[inside] + i]
    return heads


def _minima(leaves):
    """Return a binary tree over numbers: the minimum of two children at each node from 1 on."""
    n = len(leaves)
    tree = np.zeros(2 * n, dtype=INT)
    tree[n:] = leaves
    end = n
    while end > 1:
        begin = (end + 1) // 2
        children = tree[2 * begin : 2 * end]
        np.minimum(children[::2], children[1::2], out=tree[begin:end])
        end = begin
    return tree
