"""Append-only arrays, and pointers of lists."""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike


class AppendableArray:
    """An append-only array of one dimension.

    It is extended in place if the system can move pages instead of bytes. To join many arrays then
    takes the memory of the result only, if each is dropped after it is appended.

    Parameters
    ----------
    dtype : dtype
    """

    def __init__(self, dtype: DTypeLike):
        self._array = np.empty(0, dtype=dtype)
        self._ends = [0]

    def append(self, values: np.ndarray) -> None:
        """Copy an array to the end."""
        begin = self._ends[-1]
        end = begin + len(values)
        if end > len(self._array):
            self._array.resize(max(end, len(self._array) * 9 // 8), refcheck=False)
        self._array[begin:end] = values
        self._ends.append(end)

    def pointers(self) -> np.ndarray:
        """Return where each appended array begins and the last one ends, as int64."""
        return np.array(self._ends, dtype=np.int64)

    def take(self) -> np.ndarray:
        """Return the array. Nothing may be appended afterwards."""
        array = self._array
        del self._array
        array.resize(self._ends[-1], refcheck=False)
        return array


#: Bytes of a cache line.
_LINE = 64


def aligned_empty(n: int, dtype: DTypeLike) -> np.ndarray:
    """Return an uninitialized array of n elements that begins with a cache line."""
    dtype = np.dtype(dtype)
    whole = np.empty(n * dtype.itemsize + _LINE, dtype=np.uint8)
    begin = -whole.ctypes.data % _LINE
    return whole[begin : begin + n * dtype.itemsize].view(dtype)


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
