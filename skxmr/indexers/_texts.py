"""Texts as code points, and as features of their n-grams."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize

#: Bits that a code point takes in the code of an n-gram, of which three fit into 64 bits.
_BITS = np.uint64(21)

_SIZES = (1, 2, 3)


def code_points(texts):
    """Put the code points of strings one after the other.

    Returns
    -------
    pointers : ndarray of int64, shape (n + 1,)
        String i has the code points from ``pointers[i]`` up to ``pointers[i + 1]``.
    points : ndarray of uint32
        Surrogates that stand alone are code points like others.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return np.concatenate(([0], np.cumsum(lengths))), points.astype(np.uint32, copy=False)


def default_vectorizer():
    """What embeds label texts unless told otherwise: a transformer of strings."""
    return PositionalTfidf()


class PositionalTfidf(TransformerMixin, BaseEstimator):
    """tf-idf of character n-grams (1 to 3), in which those near the beginning count more.

    An n-gram's term frequency is the sum over its occurrences of 1 / (1 + position), positions
    counted among the n-grams of its length. Rows are scaled to unit norm.
    """

    def fit(self, X, y=None):
        """Learn the n-grams of a list of strings and how rare they are."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X, y=None):
        """Learn the n-grams of a list of strings and return the strings' features."""
        pointers, points = code_points(X)
        grams = [_grams(pointers, points, size) for size in _SIZES]
        found = [np.unique(codes, return_inverse=True) for codes, _, _ in grams]
        self.vocabulary_ = [vocabulary for vocabulary, _ in found]
        columns = [column.astype(np.int32) for _, column in found]
        counts = self._counts(len(X), grams, columns)
        seen = np.bincount(counts.indices, minlength=counts.shape[1])
        self.idf_ = (np.log((1 + len(X)) / (1 + seen)) + 1).astype(np.float32)
        return self._weigh(counts)

    def transform(self, X):
        """Features of a list of strings; n-grams not seen in fit are left out."""
        pointers, points = code_points(X)
        grams, columns = [], []
        for size, vocabulary in zip(_SIZES, self.vocabulary_, strict=True):
            codes, texts, weight = _grams(pointers, points, size)
            column = np.searchsorted(vocabulary, codes)
            known = column < len(vocabulary)
            known[known] = vocabulary[column[known]] == codes[known]
            grams.append((codes[known], texts[known], weight[known]))
            columns.append(column[known].astype(np.int32))
        return self._weigh(self._counts(len(X), grams, columns))

    def _counts(self, n_texts, grams, columns):
        """Term frequencies; there is a column even where there is no n-gram at all."""
        blocks = [
            _matrix(texts, column, weight, (n_texts, len(vocabulary)))
            for (_, texts, weight), column, vocabulary in zip(
                grams, columns, self.vocabulary_, strict=True
            )
        ]
        counts = sp.hstack(blocks, format="csr")
        return counts if counts.shape[1] else sp.csr_matrix((n_texts, 1), dtype=np.float32)

    def _weigh(self, counts):
        counts.data *= self.idf_[counts.indices]
        return normalize(counts, copy=False)


def _grams(pointers, points, size):
    """Every n-gram of one size: its code, its text and its weight."""
    lengths = np.maximum(np.diff(pointers) - (size - 1), 0)
    texts = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    first = np.cumsum(lengths) - lengths
    position = np.arange(len(texts)) - first[texts]
    places = pointers[:-1][texts] + position
    codes = np.zeros(len(texts), dtype=np.uint64)
    for i in range(size):
        codes = codes << _BITS | points[places + i]
    return codes, texts, (1 / (1 + position)).astype(np.float32)


def _matrix(texts, columns, weight, shape):
    """A canonical matrix of entries that are sorted by text."""
    indptr = np.concatenate(([0], np.cumsum(np.bincount(texts, minlength=shape[0]))))
    matrix = sp.csr_matrix((weight, columns, indptr), shape=shape)
    matrix.sum_duplicates()
    return matrix
