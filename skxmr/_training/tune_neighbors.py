"""Choice of the settings of nearest neighbors on held-out examples."""

from functools import cache, partial
from itertools import product

import numpy as np

from .._ranking.ensemble import NeighborWeighting
from ..metrics._ranking import ndcg_at_k

#: Values to choose from: numbers of neighbors, powers of the similarity and neighbor weights.
#: All combinations are tried, unless the model is trained once and the time counts.
_VALUES = (10, 20, 40), (1.0, 2.0, 3.0, 5.0), (0.1, 0.2, 0.3, 0.4, 0.5)

#: The same for neighbors by embeddings, which are more similar to each other.
_DENSE_VALUES = (25, 50, 100), (4.0, 8.0, 12.0), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

#: Where the search starts if not all combinations are tried: the defaults of the parameters.
_START, _DENSE_START = NeighborWeighting(20, 3.0, 0.2), NeighborWeighting(50, 8.0, 0.4)


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
    return _choose(held_out, options, held_out.ranker, _VALUES, _START)


def choose_dense_weighting(held_out, weighting, options, *, among_all):
    """Choose the settings of the neighbors by embeddings; see `choose_weighting`.

    Parameters
    ----------
    held_out : HeldOut
    weighting : NeighborWeighting or None
        Of the other neighbors.
    options : SearchOptions
    among_all : bool
        Whether all rows are compared with a query.
    """
    ranker_with = partial(held_out.ranker, weighting, among_all=among_all)
    return _choose(held_out, options, ranker_with, _DENSE_VALUES, _DENSE_START)


def _choose(held_out, options, ranker_with, values, start):
    """Choose the weighting with which a ranker is best, or None if it is better without."""
    Y = held_out.Y
    largest = ranker_with(NeighborWeighting(*map(max, values)))
    labels, scores = held_out.rank(held_out.ranker(), largest.n_head, options)
    found = largest.find_neighbors(labels, held_out.view, 0, Y.shape[0])

    @cache
    def quality(weighting):
        ensemble = ranker_with(weighting)
        nearest = _first(found, ensemble)
        weighted = scores * np.float32(ensemble.tree_weight * len(ensemble.trees))
        ranking = ensemble.mixed(labels, weighted, nearest, 5, logarithms=False)
        return ndcg_at_k(Y, ranking[0], k=5)

    if held_out.is_large:
        best = _one_by_one(start, values, quality)
    else:
        best = max((NeighborWeighting(*each) for each in product(*values)), key=quality)
    without = held_out.rank(ranker_with(), 5, options)
    return None if quality(best) <= ndcg_at_k(Y, without[0], k=5) else best


def _one_by_one(best, values, quality):
    """Choose the weight, the power and the number one after another, and the weight again."""
    for name in ("weight", "power", "n_neighbors", "weight"):
        options = values[NeighborWeighting._fields.index(name)]
        best = max((best._replace(**{name: value}) for value in options), key=quality)
    return best


def _first(found, ensemble):
    """Return the neighbors that the ensemble would have found, out of as many or more of them."""
    return [
        [np.ascontiguousarray(array[:, : part.weighting.n_neighbors]) for array in of_part]
        for of_part, part in zip(found, ensemble.neighbor_kinds, strict=True)
    ]
