"""Cloning of estimators with parameters of their owner."""

import numpy as np
from sklearn.base import clone


def clone_with(estimator, **params):
    """Clone an estimator and set those of the parameters that it has and that are None."""
    estimator = clone(estimator, safe=False)
    own = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    unset = {name: params[name] for name in own.keys() & params if own[name] is None}
    return estimator.set_params(**unset) if unset else estimator


def draw_seed(rng):
    """Draw the seed of an estimator, an int, from a RandomState."""
    return int(rng.randint(np.iinfo(np.int32).max))
