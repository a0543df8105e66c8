"""Sorting of texts, and search by prefix, in C."""

import numpy as np

from ._cancel import cancel_pointer
from ._library import INT, LONG, WORD, check, ffi, lib, pointer

# Looked up once: a text takes microseconds.
_BYTES = ffi.typeof("uint8_t[]")
_LONGS = ffi.typeof("int64_t[]")


def sort_texts(pointers: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort texts by their code points; equal texts are in the order of their numbers.

    Parameters
    ----------
    pointers : ndarray of int64, shape (n + 1,)
        Text i has the code points ``points[pointers[i]:pointers[i + 1]]``.
    points : ndarray of uint32, shape (pointers[n],)

    Returns
    -------
    order : ndarray of int32, shape (n,)
        The text at each sorted position.
    common : ndarray of int64, shape (n,)
        Length of the prefix that it shares with the text before, in code points; 0 for the first.
    """
    n = len(pointers) - 1
    if n < 0 or pointers[-1] != len(points):
        raise ValueError(f"pointers must end at the {len(points)} code points")
    texts = ffi.new("skx_points *", [n, pointer(pointers, LONG), pointer(points, WORD)])
    order = np.empty(n, dtype=INT)
    common = np.empty(n, dtype=LONG)
    check(lib.skx_texts_sort(texts, cancel_pointer(), pointer(order, INT), pointer(common, LONG)))
    return order, common


class Texts:
    """Packed strings in UTF-8, with a C struct over them.

    Parameters
    ----------
    data : ndarray of uint8 or bytes
        The strings, one after the other.
    pointers : ndarray of int64, shape (n + 1,)
        String i is ``data[pointers[i]:pointers[i + 1]]``.
    """

    def __init__(self, data: np.ndarray | bytes, pointers: np.ndarray):
        self.n = len(pointers) - 1
        self._pointers = ffi.from_buffer(_LONGS, pointers)
        self._data = ffi.from_buffer(_BYTES, data)
        fields = [self.n, len(self._data), self._pointers, self._data]
        self.struct = ffi.new("skx_texts *", fields)


def find_prefixes(texts: Texts, prefixes: Texts) -> np.ndarray:
    """Find the texts that begin with each prefix, among sorted texts.

    Parameters
    ----------
    texts : Texts
        Sorted by their bytes, which is the order of code points.
    prefixes : Texts

    Returns
    -------
    ranges : ndarray of int64, shape (n_prefixes, 2)
        The texts from ``ranges[i, 0]`` up to ``ranges[i, 1]`` begin with prefix i.
    """
    ranges = np.empty((prefixes.n, 2), dtype=LONG)
    out = ffi.from_buffer("int64_t[]", ranges)
    check(lib.skx_texts_find_prefixes(texts.struct, prefixes.struct, out))
    return ranges
