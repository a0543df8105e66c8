"""Normalization of queries and prefixes, and the features of both."""

import unicodedata

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from .._utils.matrices import canonical_csr
from .._utils.text_batches import without_accents
from ..text import NGramTfidfVectorizer

#: Maximum number of consecutive marks of a letter, as in the stream-safe text format of Unicode.
_MOST_MARKS = 30

#: The code point that is inserted after so many marks.
_END_OF_LETTER = "\u034f"

#: Code points that consist of marks, although their own combining class is 0.
_COMPOSED_MARKS = "\u0f73\u0f75\u0f81"

#: Number of characters of a query in which `QueryNormalizer.partial_letters` looks for marks.
_MOST_TYPED = 1000


class QueryNormalizer:
    """Normalization of queries and prefixes before they are compared.

    Case is folded character by character, independently of the next character. (The lower case of a
    capital sigma depends on it.) A sharp s becomes two letters, as in upper case. Whitespace
    becomes single spaces, and whitespace at the beginning is removed.

    Parameters
    ----------
    lowercase : bool
        Whether case is folded.
    strip_accents : {"ascii", "unicode"} or None
        As in NGramTfidfVectorizer.
    """

    def __init__(self, lowercase, strip_accents):
        self.lowercase = lowercase
        self.strip_accents = strip_accents

    def prefix(self, text):
        """Normalize a prefix. It keeps a space at its end."""
        if not text.isascii():
            text = self._folded(text)
        else:
            text = text.lower() if self.lowercase else text
            if text.isprintable() and "  " not in text:
                return text.lstrip()  # a fast path with the same result
        words = without_blanks(text)
        return f"{words} " if words and text[-1].isspace() else words

    def query(self, text):
        """Normalize a whole query."""
        return self.prefix(text).rstrip()

    def partial_letters(self, query):
        """Find the beginnings of a query with which the normalized query does not begin.

        They end within a letter: before one of its marks that is a separate code point.

        Yields
        ------
        beginning : str
            Such a beginning, normalized.
        end : str
            The normalized beginning of the query up to the end of this letter.
        """
        marks = [] if query.isascii() else list(_offsets_of_marks(query))
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
            # First upper case, in which both kinds of i are equal.
            text = text.upper().casefold().replace("i\u0307", "i")
        if self.strip_accents == "ascii":
            text = text.encode("ascii", "ignore").decode()
        return unicodedata.normalize("NFC", text)


#: The normalizer of a SessionQueryCompleter with default parameters.
DEFAULT_NORMALIZER = QueryNormalizer(lowercase=True, strip_accents=None)


def composed(text):
    """Compose letters with their marks (NFC), so that equal texts have equal code points."""
    return text if text.isascii() else unicodedata.normalize("NFC", _with_ends_of_letters(text))


def without_blanks(text):
    """Put single spaces between words, and none around them."""
    return " ".join(text.split())


def _with_ends_of_letters(text):
    """Divide letters with many marks: the time to sort marks is quadratic in their number."""
    if len(text) <= _MOST_MARKS:
        return text
    parts = []
    n_marks = 0
    for character in text:
        is_mark = unicodedata.combining(character) or character in _COMPOSED_MARKS
        n_marks = n_marks + 1 if is_mark else 0
        if n_marks > _MOST_MARKS:
            parts.append(_END_OF_LETTER)
            n_marks = 1
        parts.append(character)
    return "".join(parts)


def _offsets_of_marks(text):
    """Yield the offset of each mark, or later part of a Korean syllable, and the end of its letter.

    Both are offsets in the text.
    """
    end = len(text)
    for at in range(min(len(text), _MOST_TYPED) - 1, 0, -1):
        character = text[at]
        is_vowel_or_final = "\u1160" <= character <= "\u11ff"
        if is_vowel_or_final or unicodedata.category(character)[0] == "M":
            yield at, end
        else:
            end = at


class QueryFeatures:
    """Features of pairs of a previous query and a prefix, scaled to unit norm.

    The columns of the prefix come first.

    Parameters
    ----------
    previous_vectorizer : transformer or None
        Fitted. With None, previous queries have no features.
    prefix_vectorizer : transformer
        Fitted.
    n_prefix_features : int
        Number of columns of the output of `prefix_vectorizer`.
    previous_weight : float
        Factor of the features of the previous query.
    """

    def __init__(self, previous_vectorizer, prefix_vectorizer, n_prefix_features, previous_weight):
        self._previous = previous_vectorizer
        self._prefix = prefix_vectorizer
        self._offset = np.int32(n_prefix_features)
        self._weight = np.float32(previous_weight)

    def has_previous(self, indices):
        """Return whether a row with these columns, in increasing order, has a previous query."""
        return bool(self._weight > 0 and len(indices) and indices[-1] >= self._offset)

    def of_previous(self, indices, values):
        """Return the features of the same row without those of the prefix."""
        at = np.searchsorted(indices, self._offset)
        return indices[at:], _unit(values[at:])

    def rows(self, previous, prefixes):
        """Return the features of pairs as a canonical CSR matrix."""
        blocks = [_transform(self._prefix, prefixes)]
        if self._previous is not None:
            blocks.append(self._weight * _transform(self._previous, previous))
        return normalize(sp.hstack(blocks, format="csr", dtype=np.float32), copy=False)

    def row(self, previous, prefix):
        """Return the features of one pair: increasing columns of the nonzeros, and their values."""
        indices, values = _transform_one(self._prefix, prefix)
        if self._previous is not None:
            more, weights = _transform_one(self._previous, previous)
            indices = np.concatenate((indices, more + self._offset))
            values = np.concatenate((values, self._weight * weights))
        return indices, _unit(values)


def _unit(values):
    norm = np.sqrt(values @ values)
    return values / norm if norm > 0 else values


def _transform(vectorizer, texts):
    return canonical_csr(vectorizer.transform(texts), type(vectorizer).__name__)


def _transform_one(vectorizer, text):
    if type(vectorizer) is NGramTfidfVectorizer:
        return vectorizer.transform_one(text)
    row = _transform(vectorizer, [text])
    return row.indices, row.data
