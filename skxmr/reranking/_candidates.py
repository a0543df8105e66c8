"""Candidates for the labels of texts, and what is known about them."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from .._core import csr_top_k
from .._ranking.wrapped import best_scores, last_ranker, unwrapped
from .._utils.estimators import snapshot
from .._utils.pairs import is_true, ranking_csr, values_at
from ..linear import XRLinearClassifier
from ._name_matches import N_FEATURES

#: Largest number of candidates of a text because of their names.
_N_NAMED = 15

#: Number of texts that are compared with the names at once.
_BLOCK = 1000


class LabelCounts(NamedTuple):
    """How often labels and their names occur in training texts. Arrays of the shape (n_labels,).

    Attributes
    ----------
    n_rows : ndarray of int64
        Number of texts with the label.
    n_named : ndarray of int64
        Number of texts in which its whole name occurs.
    n_confirmed : ndarray of int64
        Number of texts with both.
    """

    n_rows: np.ndarray
    n_named: np.ndarray
    n_confirmed: np.ndarray

    @classmethod
    def of(cls, matches, texts, truth):
        """Count in texts, whose labels are the rows of a canonical CSR matrix."""
        n_labels = truth.shape[1]
        n_named = np.zeros(n_labels, dtype=np.int64)
        n_confirmed = np.zeros(n_labels, dtype=np.int64)
        for block in gen_batches(len(texts), _BLOCK):
            rows, labels = matches.whole_names(matches.found(texts[block]))
            n_named += np.bincount(labels, minlength=n_labels)
            confirmed = labels[is_true(truth[block], rows, labels)]
            n_confirmed += np.bincount(confirmed, minlength=n_labels)
        n_rows = np.bincount(truth.indices, minlength=n_labels).astype(np.int64)
        return cls(n_rows, n_named, n_confirmed)


class Candidates:
    """Candidates of texts, and what is known about them.

    Parameters
    ----------
    matches : NameMatches
    counts : LabelCounts
    n_ranked : int
        Number of labels ranked first that are candidates.
    has_neighbors : bool
        Whether the rankings by the trees and by the nearest neighbors alone are features.
    """

    def __init__(self, matches, counts, n_ranked, has_neighbors):
        self.matches = matches
        self.counts = counts
        self.n_ranked = n_ranked
        self.has_neighbors = has_neighbors
        # Share of the texts with the name of a label that have the label, smoothed.
        self._confirmed = (counts.n_confirmed + 0.5) / (counts.n_named + 5.0)

    @property
    def n_features(self):
        """Number of features of a candidate: counts, scores and ranks, and those of its name."""
        return 3 + 3 * (3 if self.has_neighbors else 1) + N_FEATURES

    def of(self, estimator, texts):
        """Return candidates of texts by a fitted ranker.

        Returns
        -------
        rows, labels : ndarray of int64, shape (n_pairs,)
            In increasing order.
        features : ndarray of float64, shape (n_pairs, n_features)
        """
        n_labels = len(self.counts.n_rows)
        last, X = unwrapped(estimator, texts)
        k = min(self.n_ranked, n_labels)
        rankings = [best_scores(last, X, k, n_labels)]
        if self.has_neighbors:
            rankings += _rankings_of_parts(last, X, k, n_labels)
        found = self.matches.found(texts)
        pairs = _distinct_pairs([rankings[0][0], self._named(found, len(texts))], n_labels)
        rows, labels = np.divmod(pairs, n_labels)
        features = [
            np.log1p(self.counts.n_rows[labels]),
            np.log1p(self.counts.n_named[labels]),
            self._confirmed[labels],
        ]
        for ranking in rankings:
            features += _scores_and_ranks(ranking, rows, labels, n_labels)
        features += self.matches.features(found, rows, labels)
        return rows, labels, np.column_stack(features).astype(np.float64)

    def _named(self, found, n_texts):
        """Return labels whose whole names occur in texts, padded with -1."""
        rows, labels = self.matches.whole_names(found)
        n_labels = len(self._confirmed)
        entries = (self._confirmed[labels].astype(np.float32), (rows, labels))
        matrix = sparse.csr_matrix(entries, shape=(n_texts, n_labels))
        return csr_top_k(matrix, min(_N_NAMED, n_labels))[0]


def has_neighbors(estimator):
    """Return whether a fitted ranker has trees and neighbors that can rank on their own."""
    last = last_ranker(estimator)
    if not isinstance(last, XRLinearClassifier) or last.post_processor == "noop":
        return False
    return last.n_neighbors is not None and last.neighbors_ is not None


def _rankings_of_parts(last, X, k, n_labels):
    """Return the rankings of the trees and of the nearest neighbors alone."""
    trees = snapshot(last)
    trees.n_neighbors = trees.n_dense_neighbors = None
    rankings = [best_scores(trees, X, k, n_labels)]
    if not has_neighbors(last):  # n_neighbors="auto" has chosen none in the last fit
        empty = np.full(rankings[0][0].shape, -1, dtype=np.int32)
        return [*rankings, (empty, np.full(empty.shape, -np.inf, dtype=np.float32))]
    neighbors = snapshot(last)
    neighbors.n_neighbors, neighbors.neighbor_power, _ = last.neighbors_
    neighbors.neighbor_weight = 1.0
    neighbors.n_dense_neighbors = None
    return [*rankings, best_scores(neighbors, X, k, n_labels)]


def _distinct_pairs(lists, n_labels):
    """Return the distinct pairs of a row and one of its labels, as row * n_labels + label."""
    labels = np.concatenate(lists, axis=1).astype(np.int64)
    rows = np.broadcast_to(np.arange(len(labels))[:, np.newaxis], labels.shape)
    listed = labels >= 0
    return np.unique(rows[listed] * n_labels + labels[listed])


def _scores_and_ranks(ranking, rows, labels, n_labels):
    """Return the score and the rank of each pair, and the ratio of the score to the best one.

    A label that is not ranked has the lowest score of its row and the rank after the last one.
    """
    ranked, scores = ranking
    k = ranked.shape[1]
    positions = np.broadcast_to(np.arange(1, k + 1), ranked.shape)
    position = values_at(ranking_csr(ranked, positions, n_labels), rows, labels)
    listed = ranked >= 0
    lowest = np.where(listed, scores, np.inf).min(axis=1)
    lowest[~listed[:, 0]] = 0
    score = np.where(position > 0, scores[rows, position - 1], lowest[rows])
    best = np.where(listed[:, 0] & (scores[:, 0] != 0), scores[:, 0], 1)
    return score, np.where(position > 0, position, k + 1), score / best[rows]
