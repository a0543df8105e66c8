"""Which nodes of a level the search through the layers above reaches for the training rows."""

import numpy as np

from .._ranking.base import SearchOptions
from .._ranking.batch import rank_all
from .._ranking.post_processors import POST_PROCESSORS
from .._ranking.tree_ranker import TreeRanker
from .._utils.pairs import ranking_csr

#: The phase of a fit, and its seconds per nonzero of X, level and node kept, roughly.
PHASE = "matching rows"
COST = 40e-9

#: Weights below this are left out while matching. Fixed, as are the post-processors: what is
#: trained must not depend on parameters that only matter for ranking.
THRESHOLD = 0.1

_POST_PROCESSORS = {
    "squared_hinge": POST_PROCESSORS["l3-hinge"],
    "log_loss": POST_PROCESSORS["sigmoid"],
}


def matcher_layer(layer, n_features, params):
    """The weights of a layer that matching goes by."""
    if params.threshold == THRESHOLD and layer.weight_dtype == "float32":
        return layer
    return layer.prune(n_features, THRESHOLD, params.bias)


def beams(examples, layers, loss, width, *, n_jobs=None, what=""):
    """Follow the beam of every example through layers.

    Parameters
    ----------
    examples : Examples
    layers : sequence of Layer
        From the root down, at least one, as of `matcher_layer`.
    loss : str
    width : int
        Nodes kept per level.
    n_jobs : int, optional
    what : str
        The phase of the work, where it is one.

    Returns
    -------
    beams : csr_matrix of float32, shape (n_examples, n_nodes)
        Scores of the nodes in the beam at the level below the last layer, by rising node. A score
        may be a stored zero.
    """
    n_nodes = len(layers[-1].bias)
    width = min(width, n_nodes)
    nodes = np.arange(n_nodes, dtype=np.int32)
    ranker = TreeRanker(layers, nodes, n_nodes, examples.X.shape[1])
    options = SearchOptions(width, _POST_PROCESSORS[loss])
    kept, scores = rank_all(ranker, examples.X, width, options, n_jobs=n_jobs, what=what)
    return ranking_csr(kept[examples.source], scores[examples.source], n_nodes)
