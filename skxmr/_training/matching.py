"""Matching: search for the nodes of a level that training rows reach."""

import numpy as np

from .._ranking.base import SearchOptions
from .._ranking.batch import rank_all
from .._ranking.post_processors import POST_PROCESSORS
from .._ranking.tree_ranker import TreeRanker
from .._utils.pairs import ranking_csr

#: The phase of a fit.
PHASE = "matching rows"

#: Approximate seconds of this phase per nonzero of X, level and node kept.
COST = 40e-9

#: Pruning threshold of the layers while matching. It is constant, as are the post-processors,
#: because training must not depend on parameters that only affect ranking.
THRESHOLD = 0.1

_POST_PROCESSORS = {
    "squared_hinge": POST_PROCESSORS["l3-hinge"],
    "log_loss": POST_PROCESSORS["sigmoid"],
}


def matcher_layer(layer, n_features, params):
    """Return a layer with the weights used for matching."""
    if params.threshold == THRESHOLD and layer.weight_dtype == "float32":
        return layer
    return layer.prune(n_features, THRESHOLD, params.bias)


def beams(examples, layers, loss, width, *, n_jobs=None, what=""):
    """Compute the beam of every example at the level below the given layers.

    Parameters
    ----------
    examples : Examples
    layers : sequence of Layer
        From the root down, at least one, as returned by `matcher_layer`.
    loss : str
    width : int
        Number of nodes kept per level.
    n_jobs : int, optional
    what : str
        The phase for the progress report, if any.

    Returns
    -------
    beams : csr_matrix of float32, shape (n_examples, n_nodes)
        Scores of the nodes in the beam, sorted by node. A score may be a stored zero.
    """
    n_nodes = len(layers[-1].bias)
    width = min(width, n_nodes)
    nodes = np.arange(n_nodes, dtype=np.int32)
    ranker = TreeRanker(layers, nodes, n_nodes, examples.X.shape[1])
    options = SearchOptions(width, _POST_PROCESSORS[loss])
    kept, scores = rank_all(ranker, examples.X, width, options, n_jobs=n_jobs, what=what)
    return ranking_csr(kept[examples.source], scores[examples.source], n_nodes)
