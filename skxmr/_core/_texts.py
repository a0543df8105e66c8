"""Sorting of texts, and what begins with a prefix, in C."""

import numpy as np

from ._cancel import cancel_pointer
from ._library import INT, LONG, WORD, check, ffi, lib, pointer

# Looked up once: a text takes microseconds.
_BYTES, _LONGS = ffi.typeof("uint8_t[]"), ffi.typeof("int64_t[]")


def sort_texts(pointers, points):
    """Sort texts by their code points, equal ones in the order of their numbers.

    Parameters
    ----------
    pointers : ndarray of int64, shape (n + 1,)
        Text i has the code points from ``pointers[i]`` up to ``pointers[i + 1]``.
    points : ndarray of uint32, shape (pointers[n],)

    Returns
    -------
    order : ndarray of int32, shape (n,)
        The texts, sorted.
    common : ndarray of int64, shape (n,)
        How many code points each begins with in common with the one before; 0 for the first.
    """
    n = len(pointers) - 1
    if n < 0 or pointers[-1] != len(points):
        raise ValueError(f"pointers must end at the {len(points)} code points")
    buffers = (pointer(pointers, LONG), pointer(points, WORD))
    texts = ffi.new("skx_points *", [n, *buffers])
    order, common = np.empty(n, dtype=INT), np.empty(n, dtype=LONG)
    check(lib.skx_texts_sort(texts, cancel_pointer(), pointer(order, INT), pointer(common, LONG)))
    return order, common


class Texts:
    """Packed strings in UTF-8, as C sees them.

    Parameters
    ----------
    data : ndarray of uint8 or bytes
        The strings, one after the other.
    pointers : ndarray of int64, shape (n + 1,)
        String i is ``data[pointers[i]:pointers[i + 1]]``.
    """

    def __init__(self, data, pointers):
        self.n = len(pointers) - 1
        self._arrays = ffi.from_buffer(_LONGS, pointers), ffi.from_buffer(_BYTES, data)
        self.struct = ffi.new("skx_texts *", [self.n, len(self._arrays[1]), *self._arrays])


def find_prefixes(texts, prefixes):
    """Find which of some sorted texts begin with each of some prefixes.

    Parameters
    ----------
    texts : Texts
        Sorted by their bytes, which is the order of code points.
    prefixes : Texts

    Returns
    -------
    ranges : ndarray of int64, shape (n_prefixes, 2)
        The first of the texts that begin with the prefix, and the first after them.
    """
    ranges = np.empty((prefixes.n, 2), dtype=LONG)
    out = ffi.from_buffer("int64_t[]", ranges)
    check(lib.skx_texts_find_prefixes(texts.struct, prefixes.struct, out))
    return ranges
