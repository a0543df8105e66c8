"""Features of what was asked before and what was typed, side by side."""

import unicodedata

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from ._validation import canonical_csr
from .text import STRIP_ACCENTS, NGramTfidfVectorizer


class Spelling:
    """How queries and prefixes are written when they are compared.

    Parameters
    ----------
    lowercase : bool
    strip_accents : {"ascii", "unicode"} or None
    """

    def __init__(self, lowercase, strip_accents):
        self.lowercase, self.strip_accents = lowercase, strip_accents

    def prefix(self, text):
        """Rewrite what was typed, which may go on after a blank."""
        text = text.lower() if self.lowercase else text
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
            text = text if self.strip_accents is None else STRIP_ACCENTS[self.strip_accents](text)
        return text.lstrip()

    def query(self, text):
        """Rewrite a whole query."""
        return self.prefix(text).rstrip()


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
