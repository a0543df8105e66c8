"""How well the names of labels match texts."""

import re

import numpy as np
from scipy import sparse

from .._core import csr_top_k
from .._utils.pairs import is_true, row_of_entries
from ..text import NGramTfidfVectorizer

#: Number of words at the beginning of a text that are compared separately, as a title would be.
LEAD = 12

#: Number of texts that are compared with all names at once.
_BLOCK = 500

#: Share of a name from which on it counts as whole, despite rounding.
_WHOLE = 0.999

#: An explanation in a name, as in "Organ (Instrument)". It rarely occurs in texts.
_QUALIFIER = re.compile(r"\s*(\([^)]*\)|<[^>]*>)")


class NameMatches:
    """The names of labels, and how much of them occurs in texts.

    Words and n-grams of five characters are compared. The latter find inflected words and parts of
    compounds. Rare words and n-grams of the names count more.

    Parameters
    ----------
    names : sequence of str
    """

    def __init__(self, names):
        names = [_QUALIFIER.sub("", name).strip() or name for name in names]
        self.n_characters = np.array([len(name) for name in names])
        self._parts = [_Part(names, "word", (1, 1)), _Part(names, "char_wb", (5, 5))]
        self.n_words = np.diff(self._parts[0].shares.indptr)

    def candidates(self, texts, order, n):
        """Return the labels whose names occur in the texts with all their words.

        Parameters
        ----------
        texts : list of str
        order : ndarray of float, shape (n_labels,)
            Labels with a larger value come first.
        n : int
            Number of labels of each text.

        Returns
        -------
        labels : ndarray of int32, shape (n_texts, n)
            Padded with -1.
        """
        words = self._parts[0]
        found = words.present(texts)
        blocks = []
        for begin in range(0, len(texts), _BLOCK):
            shares = (found[begin : begin + _BLOCK] @ words.shares.T).tocsr()
            shares.data[shares.data < _WHOLE] = 0
            shares.eliminate_zeros()
            shares.sort_indices()
            shares.data = order[shares.indices].astype(np.float32)
            blocks.append(csr_top_k(shares, n)[0])
        return np.concatenate(blocks)

    def features(self, texts, rows, labels):
        """Return what a name has in common with a text.

        Parameters
        ----------
        texts : list of str
        rows, labels : ndarray of int, shape (n_pairs,)
            Pairs of a text and a label.

        Returns
        -------
        columns : list of ndarray, shape (n_pairs,)
            The shares of words and of n-grams in the text and in its first words, the number of
            words of the name and its length.
        """
        leads = [" ".join(text.split(None, LEAD)[:LEAD]) for text in texts]
        shares = [
            part.share(part.present(some), rows, labels)
            for part in self._parts
            for some in (texts, leads)
        ]
        return [*shares, self.n_words[labels], self.n_characters[labels]]


class _Part:
    """The words or n-grams of names.

    Attributes
    ----------
    shares : csr_matrix of float32, shape (n_names, n_columns)
        Share of each word or n-gram in its name. A row sums to 1, or to 0 if it is empty.
    """

    def __init__(self, names, analyzer, ngram_range):
        self._vectorizer = NGramTfidfVectorizer(analyzer, ngram_range, binary=True, norm="l1")
        try:
            self.shares = self._vectorizer.fit_transform(names)
        except ValueError:  # no name has one
            self._vectorizer = None
            self.shares = sparse.csr_matrix((len(names), 1), dtype=np.float32)

    def present(self, texts):
        """Return which columns occur in texts, as CSR of ones."""
        if self._vectorizer is None:
            return sparse.csr_matrix((len(texts), 1), dtype=np.float32)
        found = self._vectorizer.transform(texts)
        found.data[:] = 1
        return found

    def share(self, present, rows, labels):
        """Return the share of the name of each label that occurs in a row of `present`."""
        names = self.shares[labels]
        pair = row_of_entries(names)
        occurs = is_true(present, rows[pair], names.indices)
        return np.bincount(pair, names.data * occurs, minlength=len(rows))
