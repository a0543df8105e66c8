"""Features of what was asked before and what was typed, side by side."""

import unicodedata

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from .._utils.matrices import canonical_csr
from ..text import NGramTfidfVectorizer, without_accents

#: Marks in a row after which a letter is taken to end, as in the stream-safe text of Unicode, and
#: what is put there.
_MOST_MARKS, _END_OF_LETTER = 30, "\u034f"

#: Code points that Unicode calls no marks, although they consist of marks.
_MARKS_IN_DISGUISE = "\u0f73\u0f75\u0f81"

#: How many characters of a known query are looked at for beginnings that change what they end in.
_MOST_TYPED = 1000


class QueryNormalizer:
    """How queries and prefixes are written when they are compared.

    Case is folded character by character, so that it does not matter what comes next: the lower
    case of a capital sigma depends on that. Folding makes two letters of a sharp s, as upper case
    does. Runs of blanks count as one, and those at the beginning as none.

    Parameters
    ----------
    lowercase : bool
    strip_accents : {"ascii", "unicode"} or None
    """

    def __init__(self, lowercase, strip_accents):
        self.lowercase, self.strip_accents = lowercase, strip_accents

    def prefix(self, text):
        """Rewrite what was typed, which may go on after a blank."""
        if not text.isascii():
            text = self._folded(text)
        else:
            text = text.lower() if self.lowercase else text
            if text.isprintable() and "  " not in text:
                return text.lstrip()  # nothing else to do, and this is quick
        words = without_blanks(text)
        return f"{words} " if words and text[-1].isspace() else words

    def query(self, text):
        """Rewrite a whole query."""
        return self.prefix(text).rstrip()

    def partial_letters(self, query):
        """Find the beginnings of a query that the rewritten query does not begin with.

        They end within a letter, that is before a mark of it that is a code point of its own.

        Yields
        ------
        beginning, end : str
            Such a beginning, rewritten, and what the rewritten query begins with at the end of
            the letter.
        """
        marks = [] if query.isascii() else list(_places_of_marks(query))
        whole = self.prefix(query) if marks else ""
        for at, end in marks:
            beginning = self.prefix(query[:at])
            if not whole.startswith(beginning):
                yield beginning, self.prefix(query[:end])

    def _folded(self, text):
        if self.strip_accents is None:
            text = unicodedata.normalize("NFD", _with_ends_of_letters(text))
        else:
            text = without_accents(text, "unicode")
        if self.lowercase:
            # The upper case first: a dotless i has one that it shares with the other i.
            text = text.upper().casefold().replace("i\u0307", "i")
        if self.strip_accents == "ascii":
            text = text.encode("ascii", "ignore").decode()
        return unicodedata.normalize("NFC", text)


#: The normalizer of a SessionQueryCompleter with default parameters.
DEFAULT_NORMALIZER = QueryNormalizer(lowercase=True, strip_accents=None)


def composed(text):
    """Compose letters with their marks, so that it does not matter how a text was typed."""
    return text if text.isascii() else unicodedata.normalize("NFC", _with_ends_of_letters(text))


def without_blanks(text):
    """Put one blank between words, and none around them."""
    return " ".join(text.split())


def _with_ends_of_letters(text):
    """End letters that have many marks. To sort marks takes the square of their number."""
    if len(text) <= _MOST_MARKS:
        return text
    parts, n_marks = [], 0
    for character in text:
        is_mark = unicodedata.combining(character) or character in _MARKS_IN_DISGUISE
        n_marks = n_marks + 1 if is_mark else 0
        if n_marks > _MOST_MARKS:
            parts.append(_END_OF_LETTER)
            n_marks = 1
        parts.append(character)
    return "".join(parts)


def _places_of_marks(text):
    """Yield where a mark is, or a later part of a Korean syllable, and where its letter ends."""
    end = len(text)
    for at in range(min(len(text), _MOST_TYPED) - 1, 0, -1):
        character = text[at]
        is_vowel_or_final = "\u1160" <= character <= "\u11ff"
        if is_vowel_or_final or unicodedata.category(character)[0] == "M":
            yield at, end
        else:
            end = at


class QueryFeatures:
    """Two fitted vectorisers whose rows are put side by side and scaled to unit norm.

    Parameters
    ----------
    previous_vectorizer : transformer or None
        With None, the previous query has no features.
    prefix_vectorizer : transformer
    n_prefix_features : int
        How many columns the second one makes. They come first.
    previous_weight : float
        What the rows of the first one are multiplied by.
    """

    def __init__(self, previous_vectorizer, prefix_vectorizer, n_prefix_features, previous_weight):
        self._previous = previous_vectorizer
        self._prefix = prefix_vectorizer
        self._offset = np.int32(n_prefix_features)
        self._weight = np.float32(previous_weight)

    def rows(self, previous, prefixes):
        """Features of many pairs, as a canonical CSR matrix."""
        blocks = [_transform(self._prefix, prefixes)]
        if self._previous is not None:
            blocks.append(self._weight * _transform(self._previous, previous))
        return normalize(sp.hstack(blocks, format="csr", dtype=np.float32), copy=False)

    def row(self, previous, prefix):
        """Features of one pair: the nonzeros' columns, rising, and their values."""
        indices, values = _transform_one(self._prefix, prefix)
        if self._previous is not None:
            more, weights = _transform_one(self._previous, previous)
            indices = np.concatenate((indices, more + self._offset))
            values = np.concatenate((values, self._weight * weights))
        norm = np.sqrt(values @ values)
        return indices, values / norm if norm > 0 else values


def _transform(vectorizer, texts):
    return canonical_csr(vectorizer.transform(texts), type(vectorizer).__name__)


def _transform_one(vectorizer, text):
    if type(vectorizer) is NGramTfidfVectorizer:
        return vectorizer.transform_one(text)
    row = _transform(vectorizer, [text])
    return row.indices, row.data
