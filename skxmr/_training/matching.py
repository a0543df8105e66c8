"""Which nodes of a level the search through the layers above reaches for the training rows."""

import numpy as np

from .._core import CSRView, Model
from .._ranking.wrapped import ranking_csr
from .._utils import parallel

#: The phase of a fit, and its seconds per nonzero of X, level and node kept, roughly.
PHASE = "matching rows"
COST = 40e-9

#: Weights below this are left out while matching. Fixed, as are the post-processors: what is
#: trained must not depend on parameters that only matter for ranking.
THRESHOLD = 0.1

_POST_PROCESSORS = {"squared_hinge": "l3-hinge", "log_loss": "sigmoid"}

#: Rows times nodes kept of what is matched at a time: an interruption waits for its end.
_BRIEF = 1 << 18


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
    X, n_nodes = examples.X, len(layers[-1].bias)
    width = min(width, n_nodes)
    model = Model(layers, np.arange(n_nodes, dtype=np.int32), n_nodes, X.shape[1])
    options = {"k": width, "beam_width": width, "post_processor": _POST_PROCESSORS[loss]}
    n_parts = max(X.shape[0] * width // _BRIEF + 1, 4 * parallel.n_workers(n_jobs))
    parts = parallel.ranges(X.shape[0], n_parts)
    tasks = [(model, X, lo, hi, options) for lo, hi in parts]
    costs = [hi - lo for lo, hi in parts]
    results = parallel.run(rank_rows, tasks, costs, n_jobs=n_jobs, what=what, brief=True)
    nodes, scores = (np.concatenate(arrays) for arrays in zip(*results, strict=True))
    return ranking_csr(nodes[examples.source], scores[examples.source], n_nodes)


def rank_rows(model, X, lo, hi, options):
    """Rank some rows of a matrix: a task for any worker."""
    return model.rank(CSRView(X), lo, hi, **options)
