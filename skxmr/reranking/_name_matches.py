"""How well the names of labels match texts."""

import re

import numpy as np
from scipy import sparse

from .._utils.pairs import row_of_entries, values_at
from ..text import NGramTfidfVectorizer

#: An explanation in a name, as in "Organ (Instrument)". It rarely occurs in texts.
_QUALIFIER = re.compile(r"\s*(\([^)]*\)|<[^>]*>)")

#: Number of columns that `NameMatches.features` returns.
N_FEATURES = 8

#: Share of a name from which on it counts as whole, despite rounding.
_WHOLE = 1 - 1e-6


class NameMatches:
    """The names of labels, and how much of them occurs in texts.

    Words, pairs of consecutive words and n-grams of five characters are compared. The n-grams of
    characters find inflected words and parts of compounds. Rare parts of names count more.

    Parameters
    ----------
    names : sequence of str
    """

    def __init__(self, names):
        names = [_QUALIFIER.sub("", name).strip() or name for name in names]
        words = _Part(names, "word", 1)
        self._parts = [words, _Part(names, "word", 2), _Part(names, "char_wb", 5)]
        self._n_characters = np.array([len(name) for name in names])
        self._n_words = np.diff(words.shares.indptr)
        self._labels_of_words = _rarest_columns(words.shares)

    def found(self, texts):
        """Return the parts of names in texts, as `whole_names` and `features` take them."""
        return [part.found(texts) for part in self._parts]

    def whole_names(self, found):
        """Return the labels whose names occur in the texts with all their words.

        Returns
        -------
        rows, labels : ndarray of int, shape (n_pairs,)
            Pairs of a text and a label, by increasing rows.
        """
        words = found[0]
        pairs = (words @ self._labels_of_words).tocsr()
        pairs.sort_indices()
        rows = row_of_entries(pairs)
        share, _ = self._parts[0].compare(words, rows, pairs.indices)
        whole = share >= _WHOLE
        return rows[whole], pairs.indices[whole].astype(np.int64)

    def features(self, found, rows, labels):
        """Return what names have in common with texts.

        Parameters
        ----------
        found : as `found` returns it
        rows, labels : ndarray of int, shape (n_pairs,)
            Pairs of a text and a label.

        Returns
        -------
        columns : list of ndarray, shape (n_pairs,)
            For words, pairs of words and n-grams, the share of the name that occurs in the text,
            and the same weighted by the position in the text. Then the number of words of the name,
            and its length.
        """
        columns = []
        for part, present in zip(self._parts, found, strict=True):
            columns += part.compare(present, rows, labels)
        return [*columns, self._n_words[labels], self._n_characters[labels]]


class _Part:
    """The n-grams of names of one kind.

    Attributes
    ----------
    shares : csr_matrix of float64, shape (n_names, n_columns)
        Share of each n-gram in its name. A row sums to 1, or to 0 if it is empty.
    """

    def __init__(self, names, analyzer, n):
        self._vectorizer = NGramTfidfVectorizer(
            analyzer,
            (n, n),
            min_token_length=1,
            position_weighted=True,
            use_idf=False,
            norm=None,
        )
        try:
            columns = self._vectorizer.fit_transform(names)
        except ValueError:  # no name has one
            self._vectorizer = None
            columns = sparse.csr_matrix((len(names), 1), dtype=np.float32)
        n_names_with = np.bincount(columns.indices, minlength=columns.shape[1])
        idf = 1 + np.log((1 + len(names)) / (1 + n_names_with))
        rows = row_of_entries(columns)
        weights = idf[columns.indices]
        sums = np.bincount(rows, weights, minlength=len(names))
        self.shares = sparse.csr_matrix(
            (weights / sums[rows], columns.indices, columns.indptr), columns.shape
        )

    def found(self, texts):
        """Return the n-grams of texts that names have, as CSR.

        The value of an n-gram is the sum of 1 / (1 + position) over its occurrences.
        """
        if self._vectorizer is None:
            return sparse.csr_matrix((len(texts), 1), dtype=np.float32)
        return self._vectorizer.transform(texts)

    def compare(self, found, rows, labels):
        """Return the share of the name of each label that occurs in a text, and that by position.

        Parameters
        ----------
        found : csr_matrix of shape (n_texts, n_columns)
            As the method `found` returns it.
        rows, labels : ndarray of int, shape (n_pairs,)
        """
        names = self.shares[labels]
        pair = row_of_entries(names)
        values = values_at(found, rows[pair], names.indices)
        share = np.bincount(pair, names.data * (values > 0), minlength=len(rows))
        early = np.bincount(pair, names.data * values, minlength=len(rows))
        return share, early


def _rarest_columns(shares):
    """Return the labels of each word that is the rarest one of their names, the first if tied.

    Returns
    -------
    labels : csr_matrix of shape (n_columns, n_names)
    """
    rows = row_of_entries(shares)
    order = np.lexsort((shares.indices, -shares.data, rows))
    named, first = np.unique(rows[order], return_index=True)
    rarest = shares.indices[order[first]]
    ones = np.ones(len(named), dtype=np.float32)
    return sparse.csr_matrix((ones, (rarest, named)), shape=shares.shape[::-1])
