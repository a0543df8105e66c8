"""The distinct queries among spellings, and completions of prefixes that end within a letter."""

import numpy as np


def known_queries(texts, counts):
    """Find the distinct queries among spellings.

    Parameters
    ----------
    texts : list of str
        Normalized text of each spelling, in the order of the spellings.
    counts : ndarray
        Number of occurrences of each spelling.

    Returns
    -------
    shown : list of int
        Index of the most frequent spelling of each query. Of equally frequent ones, the last.
    texts : list of str
        Normalized text of each query.
    codes : ndarray of int
        Query of each spelling, -1 if it is blank.

    Raises
    ------
    ValueError
        If all spellings are blank.
    """
    best = {}
    for i, text in enumerate(texts):
        if text and counts[i] >= counts[best.get(text, i)]:
            best[text] = i
    if not best:
        raise ValueError("y must hold queries, got nothing but blanks")
    shown = sorted(best.values())
    label = {texts[i]: code for code, i in enumerate(shown)}
    return shown, list(label), np.array([label.get(text, -1) for text in texts])


def completions_within_letters(normalizer, spellings):
    """Find the completions of prefixes that end within a letter of a known query.

    Parameters
    ----------
    normalizer : QueryNormalizer
    spellings : iterable of str

    Returns
    -------
    ends : dict of str to tuple of str
        By normalized prefix, the normalized beginnings of queries up to the end of this letter.
        None of them begins with another one.
    """
    ends = {}
    for query in spellings:
        for beginning, end in normalizer.partial_letters(query):
            ends.setdefault(beginning, set()).add(end)
    return {beginning: _shortest(sorted(texts)) for beginning, texts in ends.items()}


def _shortest(texts):
    """Return the sorted texts that do not begin with another one."""
    kept = texts[:1]
    for text in texts[1:]:
        if not text.startswith(kept[-1]):
            kept.append(text)
    return tuple(kept)
