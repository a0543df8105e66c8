"""Checks of texts, their code points, and their storage in arrays."""

from collections.abc import Iterable, Mapping, Set, ValuesView
from itertools import pairwise

import numpy as np

from .._core import indptr_of


def check_ordered(values, name):
    """Check that values are in a container with a defined order."""
    if isinstance(values, (Set, Mapping, ValuesView)):
        kind = type(values).__name__
        raise TypeError(f"{name} must be in order, as a list is, got a {kind}: {values!r:.80}")


def check_texts(texts, name):
    """Check a sequence of strings and return it as a list.

    Raises
    ------
    TypeError
        If it is not a sequence, or holds something other than strings.
    ValueError
        If it is not one-dimensional, or empty.
    """
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} must be a sequence of strings, got {texts!r:.80}")
    check_ordered(texts, name)
    if getattr(texts, "ndim", 1) != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {texts.shape}")
    texts = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name} must hold strings, but {name}[{i}] is {text!r:.80}")
    if not texts:
        raise ValueError(f"{name} must hold at least one string, got none")
    return texts


def pack_strings(strings):
    """Join strings in UTF-8.

    Returns
    -------
    data : ndarray of uint8
    pointers : ndarray of int64, shape (n_strings + 1,)
        Offset of each string in `data`, and the end of the last.
    """
    encoded = [s.encode("utf-8", "surrogatepass") for s in strings]
    pointers = indptr_of([len(e) for e in encoded])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), pointers


def unpack_strings(data, pointers):
    """Return the strings that pack_strings joined.

    Returns
    -------
    strings : ndarray of object, shape (n_strings,)

    Raises
    ------
    ValueError
        If the pointers decrease or are outside of the data, or the bytes are not UTF-8.
    """
    wrong = len(pointers) < 1 or pointers[0] != 0 or (np.diff(pointers) < 0).any()
    if wrong or pointers[-1] != len(data):
        raise ValueError("the pointers of packed strings do not fit their bytes")
    encoded = data.tobytes()
    strings = np.empty(len(pointers) - 1, dtype=object)
    for i, (begin, end) in enumerate(pairwise(pointers.tolist())):
        strings[i] = encoded[begin:end].decode("utf-8", "surrogatepass")
    return strings


def code_points(texts):
    """Join the code points of strings.

    Parameters
    ----------
    texts : list of str

    Returns
    -------
    pointers : ndarray of int64, shape (n + 1,)
        String i has the code points ``points[pointers[i]:pointers[i + 1]]``.
    points : ndarray of uint32
        A lone surrogate is a code point like any other.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return indptr_of(lengths), points.astype(np.uint32, copy=False)


def objects(values):
    """Return an array of objects from any values."""
    values = list(values)
    return np.fromiter(values, dtype=object, count=len(values))
