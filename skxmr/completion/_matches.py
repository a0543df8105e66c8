"""Queries that match a typed text: by their beginning, by a word, or with a typing error."""

import re
import unicodedata

import numpy as np

from .._core import TextIndex, sort_texts
from .._utils.texts import code_points

#: Kinds of matches, in the order in which they are suggested.
PREFIX, WORD, TYPING_ERROR = KINDS = "prefix", "word", "typing error"

#: Beginnings of words: after a space, or letters and digits after other characters. An apostrophe
#: within a word belongs to it.
_WORD_START = re.compile(r"(?<= )\S|(?<!\w)(?<!\w['\u2019])\w")

#: Number of characters of a query in which words are indexed.
_MOST_INDEXED = 1000

_NONE = np.empty(0, dtype=np.int32)


class MatchIndex:
    """Finds the most popular queries that match a typed text.

    Parameters
    ----------
    prefixes : PrefixIndex
        Of the same texts.
    texts : list of str, length n_labels
        The normalized queries, each with a space at its end.
    popularity : ndarray of float32, shape (n_labels,)

    Attributes
    ----------
    whole : TextIndex
        The sorted texts.
    words : TextIndex
        The sorted words in the texts, besides the first one, each with the rest of its text.
    """

    def __init__(self, prefixes, texts, popularity):
        positions, characters, offsets = _word_starts([texts[i] for i in prefixes.order])
        ends = [texts[prefixes.order[i]][c:] for i, c in zip(positions, characters, strict=True)]
        order, _ = sort_texts(*code_points(ends))
        self._set(prefixes, popularity, positions[order], offsets[order])

    @classmethod
    def from_words(cls, prefixes, popularity, text, offset):
        """Return an index whose sorted words are known.

        Parameters
        ----------
        prefixes : PrefixIndex
        popularity : ndarray of float32, shape (n_labels,)
        text, offset : ndarray of int32, shape (n_words,)
            The arrays of `words`.
        """
        index = object.__new__(cls)
        index._set(prefixes, popularity, text, offset)
        return index

    def _set(self, prefixes, popularity, text, offset):
        self._prefixes = prefixes
        rank = np.empty(len(popularity), dtype=np.int32)
        rank[np.argsort(-popularity, kind="stable")] = np.arange(len(rank), dtype=np.int32)
        rank = rank[prefixes.order]
        packed = prefixes.packed
        self.whole = TextIndex(*packed, rank)
        self.words = TextIndex(*packed, rank, text, offset)
        # The popularity of all texts before each one.
        self._cumulative = np.zeros(len(popularity) + 1)
        np.cumsum(popularity[prefixes.order], out=self._cumulative[1:])

    @property
    def nbytes(self):
        """Bytes in the arrays besides the texts."""
        return self.whole.nbytes + self.words.nbytes + self._cumulative.nbytes

    def popularity_in(self, ranges, skipped):
        """Return the sum of the popularity of the texts in ranges of sorted texts.

        Parameters
        ----------
        ranges : ndarray of int64, shape (n_ranges, 2)
        skipped : ndarray of int32
            Positions of texts that are left out.
        """
        before = self._cumulative
        if len(skipped) == 0:
            return float(sum(before[end] - before[begin] for begin, end in ranges.tolist()))
        skipped = np.unique(skipped)
        total = 0.0
        for begin, end in ranges.tolist():
            inside = skipped[np.searchsorted(skipped, begin) : np.searchsorted(skipped, end)]
            # Each addend is a part of the range without texts that are left out.
            begins, ends = [begin, *(inside + 1).tolist()], [*inside.tolist(), end]
            total += float((before[ends] - before[begins]).sum())
        return total

    def positions(self, labels):
        """Return the positions of labels in the sorted texts."""
        return _NONE if labels is None else self._prefixes.positions[labels]

    def most_popular(self, ranges, k, skipped):
        """Return the most popular labels in ranges of sorted texts.

        Parameters
        ----------
        ranges : ndarray of int64, shape (n_ranges, 2)
        k : int
        skipped : ndarray of int32
            Positions of texts that are left out.
        """
        return self._prefixes.order[self.whole.best_of(ranges, k, skipped)]

    def with_typing_error(self, typed, k, skip, skipped, *, n_exact):
        """Return the most popular labels that begin with a text except for a typing error.

        Parameters
        ----------
        typed : str
            Normalized.
        k : int
        skip : tuple (begin, end)
            Range of sorted texts that are left out.
        skipped : ndarray of int32
            Positions of more texts that are left out.
        n_exact : int
            Number of characters at the beginning without errors.
        """
        typed = typed.encode("utf-8", "surrogatepass")
        found = self.whole.find(typed, k, skip, skipped, max_errors=1, n_exact=n_exact)
        return self._prefixes.order[found]

    def with_word(self, typed, k, skip, skipped, *, max_errors=0, n_exact=0):
        """Return the most popular labels with a word, not the first, that begins with a text.

        The text may go on over several words. The parameters are those of `with_typing_error`.
        """
        typed = typed.encode("utf-8", "surrogatepass")
        found = self.words.find(typed, k, skip, skipped, max_errors=max_errors, n_exact=n_exact)
        return self._prefixes.order[found]


def _word_starts(texts):
    """Find where the words of texts begin, besides the first ones.

    Returns
    -------
    positions : ndarray of int32
        Position of the text of each word.
    characters, offsets : ndarray of int32
        Where the word begins in the text, in characters and in bytes.
    """
    positions = []
    characters = []
    offsets = []
    for position, text in enumerate(texts):
        starts = [match.start() for match in _WORD_START.finditer(text, 0, _MOST_INDEXED)]
        starts = [at for at in starts if at > 0]
        if not text.isascii():
            starts = [at for at in starts if unicodedata.category(text[at - 1])[0] != "M"]
        positions += [position] * len(starts)
        characters += starts
        offsets += starts if text.isascii() else _byte_offsets(text, starts)
    return tuple(np.array(numbers, dtype=np.int32) for numbers in (positions, characters, offsets))


def _byte_offsets(text, starts):
    return [len(text[:at].encode("utf-8", "surrogatepass")) for at in starts]


class Completion(tuple):
    """A suggested query: a pair ``(query, score)`` that also knows how the query matches.

    `SessionQueryCompleter.complete` returns a list of completions. They are unpacked and compared
    as pairs.

    Parameters
    ----------
    query : str
    score : float
    match : {"prefix", "word", "typing error"}
        "prefix": the query begins with the typed text. "word": another of its words does. "typing
        error": one of both is the case after a typing error is corrected.

    Examples
    --------
    >>> from skxmr.completion import Completion
    >>> completion = Completion("music therapy", 0.5, "word")
    >>> query, score = completion
    >>> completion.query, completion.match
    ('music therapy', 'word')
    >>> completion
    Completion(query='music therapy', score=0.5, match='word')
    """

    def __new__(cls, query, score, match):
        completion = tuple.__new__(cls, (query, score))
        completion.match = match
        return completion

    @property
    def query(self):
        """The query."""
        return self[0]

    @property
    def score(self):
        """The score."""
        return self[1]

    def __getnewargs__(self):
        return (*self, self.match)

    def __repr__(self):
        return f"Completion(query={self[0]!r}, score={self[1]!r}, match={self.match!r})"
