"""Functions of scikit-learn that work with a sparse y but do not accept it."""

import inspect
from functools import wraps

from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

_DOC = """Run :func:`sklearn.{module}.{name}`, also with a sparse `y`.

The parameters and the result are the same. If `y` is sparse, the validation of parameters is
disabled, because it rejects a sparse `y`. This includes the parameters of scikit-learn estimators
inside. As always for an indicator matrix, an integer `cv` stands for consecutive folds. Many data
sets are sorted, so use ``cv=KFold(5, shuffle=True)``.
"""


def accepting_sparse_y(function):
    """Return a version of a scikit-learn function that also accepts a sparse y."""
    signature = inspect.signature(function)

    @wraps(function)
    def wrapper(*args, **kwargs):
        if not sparse.issparse(signature.bind(*args, **kwargs).arguments.get("y")):
            return function(*args, **kwargs)
        with config_context(skip_parameter_validation=True):
            return function(*args, **kwargs)

    module = function.__module__.split(".")[1]
    wrapper.__doc__ = _DOC.format(module=module, name=function.__name__)
    wrapper.__module__ = "skxmr.model_selection"
    return wrapper


class PredictsBy(BaseEstimator):
    """Estimator whose `predict` calls another method, so that its result may be sparse.

    Parameters
    ----------
    estimator : estimator
    method : str

    Attributes
    ----------
    estimator_ : estimator
        Fitted clone.
    """

    def __init__(self, estimator, method):
        self.estimator = estimator
        self.method = method

    def fit(self, X, y, **params):
        """Fit a clone of the estimator."""
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        return self

    def predict(self, X):
        """Return the result of the method."""
        return getattr(self.estimator_, self.method)(X)

    def get_metadata_routing(self):
        """Return the metadata routing of the estimator."""
        return get_routing_for_object(self.estimator)

    def __sklearn_tags__(self):
        return get_tags(self.estimator)
