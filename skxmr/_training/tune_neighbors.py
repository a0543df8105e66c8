"""Choice of the settings of nearest neighbors on held-out examples."""

from itertools import product

import numpy as np

from .._ranking.ensemble import (
    N_NEIGHBOR_LABELS,
    NeighborWeighting,
    TreeEnsemble,
    WeightedNeighbors,
)
from ..metrics._ranking import ndcg_at_k

#: Values to choose from: numbers of neighbors, powers of the similarity and neighbor weights.
_NUMBERS = (10, 20, 40)
_POWERS = (1.0, 2.0, 3.0, 5.0)
_WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5)


def choose_weighting(held_out, options):
    """Choose the settings of nearest neighbors by nDCG@5 of held-out examples.

    Parameters
    ----------
    held_out : HeldOut
    options : SearchOptions
        The scores of its post-processor must not be logarithms.

    Returns
    -------
    weighting : NeighborWeighting or None
        None if neighbors do not improve the ranking.
    """
    model = held_out.tree
    rows = held_out.neighbor_rows
    Y = held_out.Y
    labels, scores = held_out.rank(model, N_NEIGHBOR_LABELS, options)
    weightings = [NeighborWeighting(*values) for values in product(_NUMBERS, _POWERS, _WEIGHTS)]
    largest = max(weightings)
    found = TreeEnsemble([model], WeightedNeighbors(rows, largest)).find_neighbors(
        labels, held_out.view, 0, Y.shape[0]
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
