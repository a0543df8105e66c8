"""Functions of scikit-learn that work with sparse y but refuse to be given one."""

import inspect
from functools import wraps

from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

_DOC = """Do what :func:`sklearn.{module}.{name}` does, for sparse `y` as well.

Takes and returns the same. scikit-learn's function itself works with a sparse `y`, but refuses it
where it checks its parameters; these go unchecked if `y` is sparse, and so do those of scikit-learn
estimators inside. Folds of a number are consecutive, as always for an indicator matrix: corpora
tend to be sorted, so give ``cv=KFold(5, shuffle=True)``.
"""


def taking_sparse_y(function):
    """Return a function of scikit-learn, for sparse y as well."""
    signature = inspect.signature(function)

    @wraps(function)
    def wrapper(*args, **kwargs):
        unchecked = sparse.issparse(signature.bind(*args, **kwargs).arguments.get("y"))
        with config_context(**({"skip_parameter_validation": True} if unchecked else {})):
            return function(*args, **kwargs)

    module = function.__module__.split(".")[1]
    wrapper.__doc__ = _DOC.format(module=module, name=function.__name__)
    wrapper.__module__ = "skxmr.model_selection"
    return wrapper


class Answering(BaseEstimator):
    """An estimator whose `predict` is another method: that may be sparse wherever `predict` may."""

    def __init__(self, estimator, method):
        self.estimator = estimator
        self.method = method

    def fit(self, X, y, **params):
        """Fit a clone of the estimator."""
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        return self

    def predict(self, X):
        """Return what the method says."""
        return getattr(self.estimator_, self.method)(X)

    def get_metadata_routing(self):
        """Ask for what the estimator asks for."""
        return get_routing_for_object(self.estimator)

    def __sklearn_tags__(self):
        return get_tags(self.estimator)
