"""The base class of rankers that change the scores of another ranker."""

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._ranking.classifier import RankingClassifierMixin
from .._ranking.ranking import Ranking, library_of
from .._ranking.wrapped import last_ranker, names_of_labels, reached_scores, take_rows
from .._utils.matrices import widened
from .._utils.named_targets import SPARSE_CONTAINERS, named_targets, names_in, targets_for
from .._utils.targets import encode_targets, target_array

#: Attributes that a wrapper copies from its estimator. They must not change after the fit.
_COPIED = ("n_features_in_", "feature_names_in_", "classes_")


class RankerWrapper(MetaEstimatorMixin, RankingClassifierMixin, BaseEstimator):
    """A ranker that changes the scores of `estimator_`.

    Subclasses have the parameters `estimator` and `threshold`. They implement `rank` and
    ``_changed(scores, labels)``, which returns the new scores of labels.
    """

    def _take_targets(self, X, y):
        """Validate y, set the attributes that depend on it, and return y for the fit."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        if not hasattr(self.estimator, "fit"):
            raise TypeError(f"estimator must be an estimator with fit, got {self.estimator!r}")
        for name in _COPIED:  # an earlier fit may have set them
            vars(self).pop(name, None)
        named = self._named_targets(y)
        y = check_array(
            widened(target_array(named.y, "y")),
            accept_sparse="csr",
            ensure_2d=False,
            dtype=None,
            input_name="y",
        )
        if y.shape[0] != _num_samples(X):
            raise ValueError(f"y must have {_num_samples(X)} rows as X, got {y.shape[0]}")
        targets = encode_targets(y, named.names, named.container)
        self._container = targets.container
        self.multilabel_ = targets.container != "classes"
        self.n_labels_ = targets.indicator.shape[1]
        self.classes_ = targets.classes
        if targets.classes is None:
            self.classes_ = np.arange(self.n_labels_)
        return y if self.multilabel_ else np.ravel(y)

    def _named_targets(self, y):
        """Return y with its names, in the order of a fitted estimator's classes if there are any.

        An estimator that is yet to be fitted gets the matrix.
        """
        if isinstance(self.estimator, FrozenEstimator) or self._uses_fitted_estimator:
            return targets_for(last_ranker(self.estimator), y)
        return named_targets(y)

    @property
    def _uses_fitted_estimator(self):
        """Whether fit uses the estimator as it is."""
        return False

    def _take_estimator(self, fitted):
        """Set `estimator_`, and copy its attributes of features and classes."""
        self.estimator_ = fitted
        self._copied = {name: getattr(fitted, name) for name in _COPIED if hasattr(fitted, name)}
        has_names = self.multilabel_ and names_in(self) is not None
        for name, value in self._copied.items():
            if name != "classes_" or not has_names:
                setattr(self, name, value)
        n_labels = len(self._copied.get("classes_", self.classes_))
        if self.multilabel_ and n_labels != self.n_labels_:
            raise ValueError(f"y must have {n_labels} columns as in fit, got {self.n_labels_}")
        self.n_labels_ = n_labels

    def _check_fitted(self):
        """Raise NotFittedError if the estimator has changed since the fit.

        Labels may have been added to it, or it was fitted again on its own. Names, columns and
        propensities would then belong to other labels.
        """
        check_is_fitted(self)
        # Earlier releases kept only the attributes themselves.
        attributes = vars(self).get("_copied", vars(self))
        for name in _COPIED:
            copied = attributes.get(name)
            current = getattr(self.estimator_, name, copied)
            if current is not copied and not _are_equal(current, copied):
                raise NotFittedError(
                    f"{type(self).__name__} was fitted to an estimator whose {name} has changed "
                    "since, as by add_labels or another fit: fit again"
                )

    def _check_rows(self, X):
        self._check_fitted()
        return X

    def _reached_scores(self, X):
        scores = self._estimated_scores(X)
        changed = self._changed(scores.data, scores.indices)
        return sparse.csr_matrix((changed, scores.indices, scores.indptr), shape=scores.shape)

    def _estimated_scores(self, X):
        sparse_y = self._container in SPARSE_CONTAINERS
        return reached_scores(self.estimator_, X, self.n_labels_, sparse_y=sparse_y)

    def _best_labels(self, X):
        best = self.rank(X, 1)[0][:, 0]
        unreached = np.flatnonzero(best < 0)
        if len(unreached) and not self.multilabel_:
            predicted = self.estimator_.predict(take_rows(X, unreached))
            best[unreached] = np.searchsorted(self.classes_, predicted)
        return best

    def _ranking(self, X, labels, scores):
        return Ranking(labels, scores, names_of_labels(self), library_of(X))

    def _take_rows(self, X, rows):
        return take_rows(X, rows)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.input_tags = own.input_tags
        tags.classifier_tags.multi_label = True
        return tags


def _are_equal(first, second):
    """Return whether two attributes are equal: arrays, or lists of one array per label."""
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(np.array_equal, first, second))
    return np.array_equal(first, second)


def weight_params(estimator, sample_weight):
    """Return sample weights, if given, as keyword arguments for the fit of an estimator."""
    if sample_weight is None or isinstance(estimator, FrozenEstimator):
        return {}
    if get_config()["enable_metadata_routing"]:
        return {"sample_weight": sample_weight}
    if isinstance(estimator, BaseSearchCV):
        return weight_params(estimator.estimator, sample_weight)
    if hasattr(estimator, "steps"):
        name, last = estimator.steps[-1]
        params = weight_params(last, sample_weight)
        return {f"{name}__{key}": value for key, value in params.items()}
    return {"sample_weight": sample_weight}
