"""Clones that take over what their owner was given."""

import numpy as np
from sklearn.base import clone


def clone_with(estimator, **params):
    """Clone an estimator; of these parameters it gets those that it has and leaves at None."""
    estimator = clone(estimator, safe=False)
    own = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    open_ones = {name: params[name] for name in own.keys() & params if own[name] is None}
    return estimator.set_params(**open_ones) if open_ones else estimator


def draw_seed(rng):
    """Draw a seed for estimators from a RandomState."""
    return int(rng.randint(np.iinfo(np.int32).max))
