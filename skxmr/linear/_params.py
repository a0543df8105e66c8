"""The parameters of XRLinearClassifier: what checks each of them, and what it affects."""

import numbers
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .._core import LOSSES, WEIGHT_DTYPES, TrainParams
from .._data.features import DENSE_USES
from .._data.label_embeddings import split_kind
from .._ranking.ensemble import NeighborWeighting
from .._ranking.post_processors import POST_PROCESSORS
from .._training.disentangle import MOST_CLUSTERS
from .._training.negatives import check_negative_sampling
from .._utils.cloning import draw_seed
from .._utils.params import check_integer, check_n_jobs, check_option, check_real, check_seed
from ..indexers import KMeansIndexer
from ..indexers._base import check_indexer

#: Ranks better than a balanced tree, for a third more training time. Leaves of 400 labels rank
#: hardly better, for another third.
DEFAULT_INDEXER = KMeansIndexer(max_leaf_size=200, balanced=False)


class Affects(Enum):
    """What a parameter affects. The affected step and all later ones depend on it."""

    TRAINING = 1
    PRUNING = 2
    RANKING = 3
    RUNNING = 4  # no result


class Parameter(NamedTuple):
    """Facts about a parameter.

    Attributes
    ----------
    affects : Affects
    check : callable
        Takes the value and the name, and raises a TypeError or a ValueError.
    """

    affects: Affects
    check: Callable


def _accept(value, name):
    """Accept any value. It is checked where it is used."""


def _integer(least, most=None):
    return lambda value, name: check_integer(value, name, least, most)


def _real(least, *, above=False, most=None):
    return lambda value, name: check_real(value, name, least, above=above, most=most)


def _option(options):
    return lambda value, name: check_option(value, name, tuple(options))


def _check_n_neighbors(value, name):
    if value is None or is_auto(value):
        return
    if not isinstance(value, bool) and isinstance(value, numbers.Integral) and value < 1:
        raise ValueError(f"{name} must be at least 1, or None for no neighbors, got {value!r}")
    check_integer(value, name, 1)


def _check_dense_columns(value, name):
    if is_auto(value):
        return
    if isinstance(value, str):
        raise ValueError(f"{name} must be 'auto' or a number of columns, got {value!r}")
    check_integer(value, name, 0)


def _check_verbose(value, name):
    if not isinstance(value, (bool, np.bool_)):
        check_integer(value, name, 0)


def _check_threshold(value, name):
    if value is not None and not is_auto(value):
        check_real(value, name, -np.inf)


#: All parameters. A new one is entered here and in the signature and docstring of the classifier.
PARAMETERS = {
    "indexer": Parameter(Affects.TRAINING, lambda value, name: check_indexer(value)),
    "label_embedding": Parameter(Affects.TRAINING, lambda value, name: split_kind(value)),
    "C": Parameter(Affects.TRAINING, _real(0, above=True)),
    "loss": Parameter(Affects.TRAINING, _option(LOSSES)),
    "negative_sampling": Parameter(
        Affects.TRAINING, lambda value, name: check_negative_sampling(value)
    ),
    "bias": Parameter(Affects.TRAINING, _real(0)),
    "tol": Parameter(Affects.TRAINING, _real(0, above=True)),
    "max_iter": Parameter(Affects.TRAINING, _integer(1)),
    "prune_threshold": Parameter(Affects.PRUNING, _real(0)),
    "weight_dtype": Parameter(Affects.PRUNING, _option(WEIGHT_DTYPES)),
    "beam_width": Parameter(Affects.RANKING, _integer(1)),
    "post_processor": Parameter(Affects.RANKING, _option(POST_PROCESSORS)),
    "threshold": Parameter(Affects.RANKING, _check_threshold),
    "n_trees": Parameter(Affects.TRAINING, _integer(1)),
    "n_neighbors": Parameter(Affects.RANKING, _check_n_neighbors),
    "neighbor_weight": Parameter(Affects.RANKING, _real(0, most=1)),
    "neighbor_power": Parameter(Affects.RANKING, _real(0)),
    "dense_columns": Parameter(Affects.TRAINING, _check_dense_columns),
    "dense_use": Parameter(Affects.TRAINING, _option(DENSE_USES)),
    "n_dense_neighbors": Parameter(Affects.RANKING, _check_n_neighbors),
    "dense_neighbor_weight": Parameter(Affects.RANKING, _real(0, most=1)),
    "dense_neighbor_power": Parameter(Affects.RANKING, _real(0)),
    "dense_candidates": Parameter(Affects.RANKING, _option(("ranked", "all"))),
    "label_example_weight": Parameter(Affects.RANKING, _real(0)),
    "max_clusters_per_label": Parameter(Affects.TRAINING, _integer(1, MOST_CLUSTERS)),
    "n_reassignments": Parameter(Affects.TRAINING, _integer(1)),
    "training_beam_width": Parameter(Affects.TRAINING, _integer(1)),
    "memory": Parameter(Affects.RUNNING, _accept),
    "n_jobs": Parameter(Affects.RUNNING, lambda value, name: check_n_jobs(value)),
    "random_state": Parameter(Affects.TRAINING, check_seed),
    "verbose": Parameter(Affects.RUNNING, _check_verbose),
}


def names_affecting(*steps):
    """Return the names of the parameters that affect one of these steps first."""
    return {name for name, parameter in PARAMETERS.items() if parameter.affects in steps}


def check_params(classifier):
    """Check all parameters.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as documented. The message names it.
    """
    _check_each(classifier, PARAMETERS)
    _check_combination(classifier)


def check_search_params(classifier):
    """Check the parameters that matter for ranking; see `check_params`."""
    _check_each(classifier, _SEARCH_PARAMETERS)
    _check_combination(classifier)


def check_weighting(classifier):
    """Check the parameters of the nearest neighbors; see `check_params`."""
    _check_each(classifier, _WEIGHTING_PARAMETERS)
    _check_combination(classifier)


_WEIGHTING_PARAMETERS = (
    "n_neighbors",
    "neighbor_weight",
    "neighbor_power",
    "n_dense_neighbors",
    "dense_neighbor_weight",
    "dense_neighbor_power",
    "dense_candidates",
)

_SEARCH_PARAMETERS = tuple(
    name
    for name, parameter in PARAMETERS.items()
    if parameter.affects in (Affects.RANKING, Affects.RUNNING)
)


def _check_each(classifier, names):
    for name in names:
        PARAMETERS[name].check(getattr(classifier, name), name)


def _check_combination(classifier):
    if classifier.n_trees > 1 and classifier.post_processor == "noop":
        raise ValueError(
            "n_trees above 1 needs a post_processor whose scores can be averaged, unlike margins, "
            "got 'noop'"
        )


def is_auto(value):
    """Return whether a parameter is to be chosen by fit."""
    return isinstance(value, str) and value == "auto"


def train_params(classifier, threshold, n_dense):
    """Return the parameters of the solver.

    Weights below the threshold are not kept, except those of the n_dense last features.
    """
    # One type per number: a memory tells 1 from 1.0.
    return TrainParams(
        classifier.loss,
        float(classifier.C),
        float(classifier.bias),
        float(classifier.tol),
        int(classifier.max_iter),
        float(threshold),
        n_dense,
    )


def given_weighting(classifier):
    """Return the settings of the nearest neighbors that the parameters give, or None."""
    if not isinstance(classifier.n_neighbors, numbers.Integral):
        return None
    return NeighborWeighting(
        int(classifier.n_neighbors),
        float(classifier.neighbor_power),
        float(classifier.neighbor_weight),
    )


def given_dense_weighting(classifier):
    """Return the settings of the neighbors by embeddings that the parameters give, or None."""
    if not isinstance(classifier.n_dense_neighbors, numbers.Integral):
        return None
    return NeighborWeighting(
        int(classifier.n_dense_neighbors),
        float(classifier.dense_neighbor_power),
        float(classifier.dense_neighbor_weight),
    )


def tree_seeds(random_state, n_trees):
    """Return the random state of each tree. The first one's is that of a single tree."""
    if n_trees == 1:
        return [random_state]
    seed = random_state
    if not isinstance(seed, numbers.Integral):
        seed = draw_seed(check_random_state(seed))
    others = np.random.SeedSequence(int(seed)).generate_state(n_trees - 1)
    return [seed, *map(int, others)]


def n_reassignments(classifier):
    """Return how often labels are moved to other clusters."""
    return int(classifier.n_reassignments) if classifier.max_clusters_per_label > 1 else 0
