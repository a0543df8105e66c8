"""Checks of texts, and their code points."""

from collections.abc import Iterable, Mapping, Set, ValuesView

import numpy as np


def check_ordered(values, name):
    """Refuse what has no order, or only happens to have one."""
    if isinstance(values, (Set, Mapping, ValuesView)):
        kind = type(values).__name__
        raise TypeError(f"{name} must be in order, as a list is, got a {kind}: {values!r:.80}")


def check_texts(texts, name):
    """Check a sequence of strings, at least one of them, and return it as a list."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} must be a sequence of strings, got {texts!r:.80}")
    check_ordered(texts, name)
    if getattr(texts, "ndim", 1) != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {texts.shape}")
    texts = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    wrong = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise TypeError(f"{name} must hold strings, but {name}[{wrong}] is {texts[wrong]!r:.80}")
    if not texts:
        raise ValueError(f"{name} must hold at least one string, got none")
    return texts


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
    return np.concatenate(([0], np.cumsum(lengths))), points.astype(np.uint32, copy=False)
