"""Choice of the settings of nearest neighbors on held-out examples."""

from itertools import product

import numpy as np
import scipy.sparse as sp

from .._core import CSRView
from .._ranking.ensemble import (
    N_NEIGHBOR_LABELS,
    NeighborWeighting,
    TreeEnsemble,
    WeightedNeighbors,
)
from .._ranking.neighbors import make_neighbor_rows
from ..metrics._ranking import ndcg_at_k

#: Every tenth example is held out, or fewer if there would be more than about this many.
_HELD_OUT = 3000

#: Minimum number of held-out examples for a reliable choice.
_FEWEST = 30

#: Values to choose from: numbers of neighbors, powers of the similarity and neighbor weights.
_NUMBERS = (10, 20, 40)
_POWERS = (1.0, 2.0, 3.0, 5.0)
_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)


def choose_weighting(examples, n_rows, train, options, default):
    """Choose the settings of nearest neighbors by nDCG@5 of held-out examples.

    Parameters
    ----------
    examples : Examples
    n_rows : int
        Number of training rows. Examples from later rows are label examples, which are not held
        out.
    train : callable
        Returns a TreeRanker trained on examples.
    options : SearchOptions
        The scores of its post-processor must not be logarithms.
    default : NeighborWeighting
        Returned if there are too few examples to hold any out.

    Returns
    -------
    weighting : NeighborWeighting or None
        None if neighbors do not improve the ranking.
    """
    held, kept = _split(examples, n_rows)
    if len(held) < _FEWEST:
        return default
    others = _take_examples(examples, kept)
    model = train(others)
    rows = make_neighbor_rows(others)
    n = len(held)
    view = CSRView(examples.X[examples.source[held]])
    Y = examples.Y[held]
    labels, scores = model.rank(view, 0, n, N_NEIGHBOR_LABELS, options)
    weightings = [NeighborWeighting(*values) for values in product(_NUMBERS, _POWERS, _WEIGHTS)]
    largest = max(weightings)
    found = TreeEnsemble([model], WeightedNeighbors(rows, largest)).find_neighbors(
        labels, view, 0, n
    )

    def quality(weighting):
        nearest = [np.ascontiguousarray(array[:, : weighting.n_neighbors]) for array in found]
        ensemble = TreeEnsemble([model], WeightedNeighbors(rows, weighting))
        weighted = scores * np.float32(ensemble.tree_weight)
        ranking = ensemble.mixed(labels, weighted, nearest, 5, logarithms=False)
        return ndcg_at_k(Y, ranking[0], k=5)

    qualities = [quality(weighting) for weighting in weightings]
    if max(qualities) <= ndcg_at_k(Y, labels[:, :5], k=5):
        return None
    return weightings[int(np.argmax(qualities))]


def _split(examples, n_rows):
    """Return the numbers of the held-out examples, and of the others."""
    real = np.flatnonzero(examples.source < n_rows)
    held = real[:: max(10, len(real) // _HELD_OUT)]
    return held, np.setdiff1d(np.arange(len(examples.source)), held)


def _take_examples(examples, rows):
    """Return the examples with the given numbers."""

    def part(values):
        selected = None if values is None else values[rows]
        return sp.csr_matrix(selected) if sp.issparse(selected) else selected

    return examples._replace(
        Y=part(examples.Y),
        source=part(examples.source),
        weight=part(examples.weight),
        relevance=part(examples.relevance),
        negatives=part(examples.negatives),
    )
