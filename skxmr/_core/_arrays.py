"""Append-only arrays, and pointers."""

import numpy as np
from numpy.typing import ArrayLike


class AppendableArray:
    """An append-only array of one dimension.

    It is extended in place where the system can move pages instead of bytes. Joining many arrays
    then takes the memory of the result and not twice as much, if each is dropped once appended.
    """

    def __init__(self, dtype):
        self._array = np.empty(0, dtype=dtype)
        self._ends = [0]

    def append(self, values):
        """Copy an array to the end."""
        lo = self._ends[-1]
        hi = lo + len(values)
        if hi > len(self._array):
            self._array.resize(max(hi, len(self._array) * 9 // 8), refcheck=False)
        self._array[lo:hi] = values
        self._ends.append(hi)

    def pointers(self):
        """Where each appended array begins, and the last one ends, as int64."""
        return np.array(self._ends, dtype=np.int64)

    def take(self):
        """Return the array; nothing may be appended afterwards."""
        array, self._array = self._array, None
        array.resize(self._ends[-1], refcheck=False)
        return array


def indptr_of(lengths: ArrayLike) -> np.ndarray:
    """Return the pointers of consecutive lists of the given lengths.

    Parameters
    ----------
    lengths : array-like of int, shape (n,)

    Returns
    -------
    indptr : ndarray of int64, shape (n + 1,)
        List i has the elements from ``indptr[i]`` up to ``indptr[i + 1]``.
    """
    lengths = np.asarray(lengths)
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    lengths.cumsum(out=indptr[1:])
    return indptr
