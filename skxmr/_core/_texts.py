"""Sorting of texts in C."""

import numpy as np

from ._cancel import cancel_pointer
from ._library import INT, LONG, POINT, check, ffi, lib, pointer


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
    buffers = (pointer(pointers, LONG), pointer(points, POINT))
    texts = ffi.new("skx_points *", [n, *buffers])
    order, common = np.empty(n, dtype=INT), np.empty(n, dtype=LONG)
    check(lib.skx_texts_sort(texts, cancel_pointer(), pointer(order, INT), pointer(common, LONG)))
    return order, common
