"""Candidates for the labels of texts, and what is known about them."""

import numpy as np

from .._ranking.wrapped import best_scores, unwrapped
from .._utils.estimators import snapshot
from ..linear import XRLinearClassifier
from ._name_matches import NameMatches

#: Labels whose names occur in a text are candidates as well: this many of them.
_N_MATCHED = 15

#: Rank of labels that a ranker does not rank among the candidates.
_NO_RANK = 1000


class Candidates:
    """Candidates of texts, and what is known about them.

    Parameters
    ----------
    names : ndarray of str, shape (n_labels,)
    n_rows : ndarray of float, shape (n_labels,)
        Number of training rows of each label.
    n_ranked : int
        Number of labels ranked first that are candidates.
    """

    def __init__(self, names, n_rows, n_ranked):
        if names is None or np.asarray(names).dtype.kind not in "UO":
            raise ValueError(
                "y must have names of labels, such as lists of names, or label_names must be given "
                "to fit"
            )
        self.names = np.asarray(names)
        self.n_rows = n_rows
        self.n_ranked = min(n_ranked, len(n_rows))
        self.matches = NameMatches([str(name) for name in self.names])

    def __reduce__(self):
        return Candidates, (self.names, self.n_rows, self.n_ranked)

    def of(self, estimator, texts):
        """Return candidates of texts by a fitted ranker.

        Returns
        -------
        rows, labels : ndarray of int, shape (n_pairs,)
            In increasing order.
        features : ndarray of float32, shape (n_pairs, n_features)
        """
        n_labels = len(self.n_rows)
        last, X = unwrapped(estimator, texts)
        rankings = [best_scores(r, X, self.n_ranked, n_labels) for r in _rankers(last)]
        order = (1 + np.minimum(self.matches.n_words, 4)) * np.log1p(self.n_rows)
        matched = self.matches.candidates(texts, order, min(_N_MATCHED, n_labels))
        listed = [labels for labels, _ in rankings]
        pairs = _distinct_pairs([*listed[:1], matched], n_labels)
        rows, labels = np.divmod(pairs, n_labels)
        features = [np.log1p(self.n_rows[labels])]
        for ranking in rankings:
            features += _scores_and_ranks(ranking, rows, labels, n_labels)
        features += self.matches.features(texts, rows, labels)
        return rows, labels, np.column_stack(features).astype(np.float32)


def _rankers(last):
    """Return a ranker, and the same with its trees and with its nearest neighbors only."""
    if not isinstance(last, XRLinearClassifier) or last.neighbors_ is None:
        return [last]
    if last.n_neighbors is None or last.post_processor == "noop":
        return [last]
    trees, neighbors = snapshot(last), snapshot(last)
    trees.n_neighbors = None
    neighbors.neighbor_weight = 1.0
    if last.n_neighbors == "auto":
        neighbors.n_neighbors, neighbors.neighbor_power, _ = last.neighbors_
    return [last, trees, neighbors]


def _distinct_pairs(lists, n_labels):
    """Return the distinct pairs of a row and one of its labels, as row * n_labels + label."""
    labels = np.concatenate(lists, axis=1).astype(np.int64)
    rows = np.broadcast_to(np.arange(len(labels))[:, np.newaxis], labels.shape)
    listed = labels >= 0
    return np.unique(rows[listed] * n_labels + labels[listed])


def _scores_and_ranks(ranking, rows, labels, n_labels):
    """Return the score and the rank of each pair, and the ratio of the score to the best one.

    A label that is not ranked has the lowest score of its row.
    """
    ranked, scores = ranking
    listed = ranked >= 0
    scores = np.where(listed, scores, np.inf)
    lowest = scores.min(axis=1)
    lowest[~listed.any(axis=1)] = 0
    best = np.where(listed[:, 0], scores[:, 0], 1)
    keys = np.append(np.nonzero(listed)[0] * n_labels + ranked[listed], -1)
    order = np.argsort(keys)
    wanted = rows * n_labels + labels
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    known = keys[place] == wanted
    score = np.where(known, np.append(scores[listed], 0)[place], lowest[rows])
    rank = np.where(known, np.append(np.nonzero(listed)[1], 0)[place], _NO_RANK)
    return score, rank, score / np.where(best == 0, 1, best)[rows]
