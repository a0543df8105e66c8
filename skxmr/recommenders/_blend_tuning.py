"""Weights of a blend, found on held-out rows."""

import numpy as np

from .._core import CSRView, dense_top_k
from .._utils.pairs import row_of_entries

#: Number of best items of each ranker that are candidates of the blend.
_N_BEST = 30

#: Number of recommendations whose hits are counted.
_N_RECOMMENDED = 6

#: Weights that are tried for each ranker. The best ranker has the weight 1 at first.
_GRID = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)

#: Most changes of a weight.
_MAX_STEPS = 20


class HeldOutCandidates:
    """The scores of the rankers for their best new items, and which of them are targets.

    Parameters
    ----------
    scores : ndarray of float32, shape (n_rankers, n, n_items)
        At least 0. They are overwritten.
    X, y : csr_matrix of shape (n, n_items)
        Histories and targets.
    repeat : bool
        Whether the entries of X are candidates.

    Attributes
    ----------
    scores : ndarray of float32, shape (n_rankers, n, n_candidates)
        -1 for items that may not be recommended.
    hits : ndarray of bool, shape (n, n_candidates)
    """

    def __init__(self, scores, X, y, repeat):
        if not repeat:
            scores[:, row_of_entries(X), X.indices] = -1
        n_best = min(_N_BEST, scores.shape[2])
        view = CSRView(X)
        # With the order of equal scores that `rank` has: the lower item is first.
        best = [dense_top_k(part, view, 0, n_best, exclude_stored=False)[0] for part in scores]
        items = np.sort(np.concatenate(best, axis=1), axis=1)
        self.scores = np.take_along_axis(scores, items[np.newaxis], axis=2)
        rows, columns = np.nonzero(items[:, 1:] == items[:, :-1])
        self.scores[:, rows, columns + 1] = -1
        is_target = np.zeros(y.shape, dtype=bool)
        is_target[row_of_entries(y), y.indices] = y.data > 0
        self.hits = np.take_along_axis(is_target, items, axis=1) & (self.scores[0] >= 0)

    def hit_rows(self, weights):
        """Return whether each row has a target among the first six items of the blend."""
        total = np.tensordot(np.asarray(weights, dtype=np.float32), self.scores, axes=1)
        k = min(_N_RECOMMENDED, total.shape[1])
        best = np.argsort(-total, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.hits, best, axis=1).any(axis=1)


def tuned_weights(parts):
    """Search for weights, from the best ranker on.

    One weight is changed at a time, the one with the largest gain, as long as the gain is larger
    than the standard error of the paired difference.

    Parameters
    ----------
    parts : list of HeldOutCandidates

    Returns
    -------
    weights : ndarray of float64, shape (n_rankers,)
    hit_rates : ndarray of float64, shape (n_rankers,)
        Held-out hit rate of each ranker alone.
    hit_rate : float
        That of the blend.
    """

    def hits_of(weights):
        return np.concatenate([part.hit_rows(weights) for part in parts]).astype(np.float64)

    alone = np.array([hits_of(weights).mean() for weights in np.eye(len(parts[0].scores))])
    weights = np.eye(len(alone))[alone.argmax()]
    hits = hits_of(weights)
    for _ in range(_MAX_STEPS):
        changed = _changed_weights(weights)
        gains = [hits_of(other) - hits for other in changed]
        best = int(np.argmax([gain.mean() for gain in gains]))
        if gains[best].mean() <= gains[best].std() / np.sqrt(len(hits)):
            break
        weights = changed[best]
        hits = hits + gains[best]
    return weights, alone, float(hits.mean())


def _changed_weights(weights):
    """Return the weights with one of them changed, unless all would be 0."""
    changed = []
    for i in range(len(weights)):
        for value in _GRID:
            other = weights.copy()
            other[i] = value
            if other.any():
                changed.append(other)
    return changed
