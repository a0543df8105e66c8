"""Functions of scikit-learn that work with a sparse y but do not accept it."""

import inspect
from functools import wraps
from numbers import Integral

from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import KFold
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from .._utils.named_targets import label_lists

_DOC = """Run :func:`sklearn.{module}.{name}`, also with a sparse `y` or lists of labels.

The parameters and the result are the same. If `y` is sparse, the validation of parameters is
disabled, because it rejects a sparse `y`. This includes the parameters of scikit-learn estimators
inside. As always for an indicator matrix, an integer `cv` stands for consecutive folds. Many data
sets are sorted, so use ``cv=KFold(5, shuffle=True)``. The same holds for lists of labels.
"""


def accepting_sparse_y(function):
    """Return a version of a scikit-learn function that also accepts a sparse y."""
    signature = inspect.signature(function)

    @wraps(function)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        y = bound.arguments.get("y")
        if label_lists(y) is not None:
            _set_folds(bound)
            return function(*bound.args, **bound.kwargs)
        if not sparse.issparse(y):
            return function(*args, **kwargs)
        with config_context(skip_parameter_validation=True):
            return function(*args, **kwargs)

    module = function.__module__.split(".")[1]
    wrapper.__doc__ = _DOC.format(module=module, name=function.__name__)
    wrapper.__module__ = "skxmr.model_selection"
    return wrapper


def _set_folds(bound):
    """Turn the number of folds into folds. scikit-learn looks at y for it and refuses lists."""
    cv = bound.arguments.get("cv")
    has_folds = "cv" in bound.signature.parameters
    if has_folds and (cv is None or isinstance(cv, Integral)):
        bound.arguments["cv"] = KFold(5 if cv is None else cv)


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
