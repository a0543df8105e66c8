"""Checks of texts."""

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
