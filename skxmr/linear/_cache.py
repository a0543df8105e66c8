"""What a memory caches of a fit, and the keys it is found by."""

from functools import cache
from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from .._ranking.ensemble import NeighborWeighting
from .._utils import caching
from ._params import PARAMETERS, Affects, is_auto, names_affecting

#: With a memory, weights down to this size are cached (all of them, if a smaller threshold is
#: asked for). A search over thresholds thus trains once.
CACHED_THRESHOLD = 0.01


class FitResult(NamedTuple):
    """Everything that a fit yields except the rows for nearest neighbors.

    Attributes
    ----------
    trees : list of LabelTree
    rankers : list of TreeRanker
        One for each tree.
    weighting : NeighborWeighting or None
    dense_weighting : NeighborWeighting or None
        Of the neighbors by embeddings.
    threshold : float or None
        The one that fit chose.
    classes : ndarray
    container : str
        As of Targets.
    n_iter : int
    indexer : estimator or None
    """

    trees: list
    rankers: list
    weighting: NeighborWeighting | None
    dense_weighting: NeighborWeighting | None
    threshold: float | None
    classes: np.ndarray
    container: str
    n_iter: int
    indexer: object


class Keys(NamedTuple):
    """Keys of the parts of a fit in a memory.

    They are None without a memory, and if an input cannot be hashed.

    Attributes
    ----------
    data : str or None
        Of what fit is given.
    training : str or None
        Of the training that the fit needs.
    result : str or None
        Of the FitResult.
    embeddings : str or None
        Of the rows with embeddings.
    """

    data: str | None
    training: str | None
    result: str | None
    embeddings: str | None


def keys_of(classifier, given, columns):
    """Return the keys of a fit.

    Parameters
    ----------
    classifier : XRLinearClassifier
    given : sequence
        Everything that fit is given, X and y included.
    columns : DenseColumns

    Returns
    -------
    keys : Keys
    """
    if classifier.memory is None:
        return Keys(None, None, None, None)
    data = caching.key_of(given, {})
    if data is None:
        return Keys(None, None, None, None)
    if columns.n_dense:
        data = caching.key_of([], {"data": data, "columns": tuple(columns)})
    params = classifier.get_params(deep=False)

    def key(without):
        held = {name: params[name] for name in params.keys() - without}
        return caching.key_of([], {"data": data, "library": _library_version(), **held})

    after_pruning = names_affecting(Affects.RANKING, Affects.RUNNING)
    after_training = after_pruning | names_affecting(Affects.PRUNING)
    without_effect = after_pruning
    if is_auto(classifier.threshold):  # it is chosen by ranking
        without_effect = names_affecting(Affects.RUNNING)
    elif is_auto(classifier.n_neighbors) or is_auto(classifier.n_dense_neighbors):
        # As above, but the threshold plays no part.
        without_effect = names_affecting(Affects.RUNNING) | {"threshold"}
    embeddings = caching.key_of(
        [], {"data": data, "label_example_weight": float(classifier.label_example_weight)}
    )
    return Keys(key(PARAMETERS.keys()), key(after_training), key(without_effect), embeddings)


@cache
def _library_version():
    """Return the version of skxmr. Reading its metadata takes as long as hashing the rows."""
    return version("skxmr")
