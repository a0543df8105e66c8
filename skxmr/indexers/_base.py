"""The contract of an indexer, and the checks of objects that are used as one."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from .._utils.estimators import consistent, fitted_in_one_step
from ..tree import LabelTree

#: The name of the phase of a fit in which an indexer works.
CLUSTERING_PHASE = "clustering labels"

#: Seconds per nonzero of the label embeddings and level of the tree, to estimate the time left.
CLUSTERING_COST = 250e-9


class BaseIndexer(ClusterMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of the indexers: estimators that group labels into a tree.

    A row of X is a label. Depending on the indexer, X is a matrix of label embeddings of shape
    (n_labels, n_features) or a sequence of n_labels strings. The scikit-learn tags of the indexer
    say which: see `takes_text`.

    `XRLinearClassifier` accepts any object with a method `fit` that sets `tree_`. It does not need
    to inherit from this class. If the object also has `predict`, labels can be added with
    ``add_labels(placement="indexer")``.

    A subclass defines `_check_params`, `_fit` and `_assign`.

    Attributes
    ----------
    tree_ : LabelTree
        The tree. Label i is row i of the X of `fit`. ``tree_.n_labels`` is n_labels.
    labels_ : ndarray of int32, shape (n_labels,)
        Leaf cluster of each label, in [0, n_clusters). Cluster j is node j of the last level above
        the slots, ``tree_.n_levels - 1``. If a label has several slots, it is the cluster of the
        first one.
    """

    tree_: LabelTree
    labels_: np.ndarray

    def fit(self, X: Any, y: Any = None) -> BaseIndexer:
        """Build the tree.

        The indexer is unchanged if an exception is raised.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_labels, n_features)
            Embedding of each label. An indexer of texts takes a sequence of str of length n_labels.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or X is invalid. The message names it.
        """
        return self._fit_in_one_step(X)

    @consistent
    def predict(self, X: Any) -> np.ndarray:
        """Find the leaf cluster of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            Embeddings of known or new labels, with the features of `fit`. An indexer of texts takes
            a sequence of str of length n.

        Returns
        -------
        clusters : ndarray of int32, shape (n,)
            Numbers as in `labels_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the indexer is not fitted.
        TypeError, ValueError
            If X is invalid.
        """
        check_is_fitted(self)
        return self._assign(X, with_distances=False)[0]

    @consistent
    def score(self, X: Any, y: Any = None) -> float:
        """Return the negative sum of the distances of labels to their leaf clusters.

        The class docstring says what the distance is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n, n_features)
            As for `predict`.
        y : ignored

        Returns
        -------
        score : float
            At most 0. Larger is better.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the indexer is not fitted.
        TypeError, ValueError
            If X is invalid.
        """
        check_is_fitted(self)
        return -float(self._assign(X, with_distances=True)[1].sum())

    def _fit_in_one_step(self, *args: Any) -> BaseIndexer:
        """Check the parameters and call `_fit`. Set all attributes at once, or none."""
        self._check_params()
        with fitted_in_one_step(self) as fresh:
            fresh._fit(*args)
        return self

    def _set_tree(self, tree: LabelTree) -> None:
        """Set `tree_` and `labels_`."""
        self.tree_ = tree
        self.labels_ = tree.leaf_clusters

    @abstractmethod
    def _check_params(self) -> None:
        """Raise TypeError or ValueError if a constructor parameter is invalid."""

    @abstractmethod
    def _fit(self, X: Any) -> None:
        """Validate X, build the tree, call `_set_tree` and set all other fitted attributes."""

    @abstractmethod
    def _assign(self, X: Any, *, with_distances: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Find the leaf cluster of each label, and the distance to it.

        Parameters
        ----------
        X : {array-like, sparse matrix} or sequence of str
            As for `predict`. It is not validated.
        with_distances : bool
            Whether the distances are used. They may be None otherwise, to save time.

        Returns
        -------
        clusters : ndarray of int32, shape (n,)
        distances : ndarray, shape (n,), or None
            Not negative.
        """


def check_indexer(indexer: Any) -> None:
    """Raise TypeError unless an indexer is None, a LabelTree or an object with a fit method."""
    fits = callable(getattr(indexer, "fit", None)) and not isinstance(indexer, type)
    if not (indexer is None or isinstance(indexer, LabelTree) or fits):
        raise TypeError(f"indexer must have a fit method or be a LabelTree, got {indexer!r}")


def takes_text(indexer: Any) -> bool:
    """Return whether an indexer takes texts of labels, according to its scikit-learn tags."""
    tags = getattr(indexer, "__sklearn_tags__", None)
    inputs = tags().input_tags if callable(tags) else None
    return inputs is not None and inputs.string and not inputs.two_d_array


def tree_depth(n_labels: int, branching: int, max_leaf_size: int) -> int:
    """Return the number of levels of clusters above leaf clusters of the given size.

    Every node has `branching` children. The depth is 0 if one leaf cluster holds all labels.
    """
    depth = 0
    capacity = max_leaf_size
    while capacity < n_labels:
        depth += 1
        capacity *= branching
    return depth
