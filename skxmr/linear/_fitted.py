"""The fitted state of a classifier, as one immutable object."""

import copy
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._core import EmbeddingRows, NeighborRows
from .._data.features import DenseColumns
from .._ranking.ensemble import EnsembleCache, NeighborWeighting
from .._ranking.tree_ranker import TreeRanker


class Names:
    """Classes or names of features, which may be decoded on first use.

    Parameters
    ----------
    make : callable, optional
        Returns the array.
    values : ndarray, optional
        The array, if it is already decoded.
    """

    def __init__(self, make=None, values=None):
        self._make = make
        self._values = values
        self._order = None

    @property
    def are_made(self):
        """Whether the array is already decoded."""
        return self._values is not None

    @property
    def values(self):
        """The array."""
        if self._values is None:  # threads that decode it at once get equal arrays
            self._values = self._make()
        return self._values

    def find(self, names):
        """Find the positions of some names.

        Parameters
        ----------
        names : ndarray of str

        Returns
        -------
        positions : ndarray of int64
            All positions of these names, which may occur several times.
        unknown : ndarray of str
            Names without a position.
        """
        values = self.values
        if self._order is None:
            self._order = np.argsort(values, kind="stable")
        begins = np.searchsorted(values, names, side="left", sorter=self._order)
        ends = np.searchsorted(values, names, side="right", sorter=self._order)
        found = [self._order[begin:end] for begin, end in zip(begins, ends, strict=True)]
        return np.concatenate(found), names[begins == ends]

    def decode(self):
        """Decode the array now, so that damage raises an error now."""
        return self.values

    def __reduce__(self):
        return Names, (None, self.values)


class FittedState(NamedTuple):
    """The fitted state of a classifier. A change replaces the whole object.

    Attributes
    ----------
    trees : tuple of LabelTree
    rankers : tuple of TreeRanker
        One for each tree.
    indexer : estimator or None
    neighbors : NeighborRows or None
    weighting : NeighborWeighting or None
    classes : Names
    container : str
        Container of predictions: "classes", "dense", "spmatrix" or "sparray".
    n_iter : int
    n_features : int
    feature_names : Names or None
    ensembles : EnsembleCache
    threshold : float or None
        Threshold of `predict`, the chosen one if fit chose it.
    embeddings : EmbeddingRows or None
    dense_weighting : NeighborWeighting or None
        Of the neighbors by embeddings.
    columns : DenseColumns or None
        None without dense columns.
    loss : str or None
        Loss that the rankers were trained with. None if it is not known.
    """

    trees: tuple
    rankers: tuple
    indexer: BaseEstimator | None
    neighbors: NeighborRows | None
    weighting: NeighborWeighting | None
    classes: Names
    container: str
    n_iter: int
    n_features: int
    feature_names: Names | None
    ensembles: EnsembleCache
    threshold: float | None = None
    embeddings: EmbeddingRows | None = None
    dense_weighting: NeighborWeighting | None = None
    columns: DenseColumns | None = None
    loss: str | None = None

    @property
    def neighbors_by_kind(self):
        """The rows among which neighbors are found, by the name of the field."""
        kinds = {"neighbors": self.neighbors, "embeddings": self.embeddings}
        return {kind: rows for kind, rows in kinds.items() if rows is not None}

    @property
    def n_dense_columns(self):
        """Number of last columns of X that are dense."""
        return 0 if self.columns is None else self.columns.n_dense

    @property
    def n_labels(self):
        """Number of labels."""
        return self.trees[0].n_labels

    @property
    def multilabel(self):
        """Whether y is an indicator matrix."""
        return self.container != "classes"

    def check(self):
        """Check that the parts fit together, which they may not do in a damaged pickle.

        Raises
        ------
        ValueError
            If the parts differ in the number of labels or features.
        """
        if not self.rankers or len(self.rankers) != len(self.trees):
            raise ValueError(f"there are {len(self.rankers)} rankers and {len(self.trees)} trees")
        sizes = {part.n_labels for part in (*self.rankers, *self.trees)}
        columns = self.columns or DenseColumns(self.n_features, 0, "features")
        features = [(ranker.n_features, columns.n_in_trees) for ranker in self.rankers]
        features.append((columns.n_features, self.n_features))
        if self.neighbors is not None:
            sizes.add(self.neighbors.n_labels)
            features.append((self.neighbors.n_features, columns.n_of_neighbors))
        if self.embeddings is not None:
            sizes.add(self.embeddings.n_labels)
            features.append((self.embeddings.n_features, self.n_features))
            features.append((self.embeddings.n_dims, columns.n_dense))
        if self.classes.are_made:
            sizes.add(len(self.classes.values))
        if len(sizes) > 1 or any(found != expected for found, expected in features):
            raise ValueError(
                f"the parts of the model have {sorted(sizes)} labels and "
                f"{sorted({found for found, _ in features})} features"
            )


class FittedAttribute:
    """A public attribute that only exists after the fit.

    Parameters
    ----------
    read : callable
        Returns the value for a FittedState, or raises an AttributeError.
    """

    def __init__(self, read):
        self._read = read

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self
        fitted = vars(estimator).get("_fitted")
        if fitted is None:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")
        return self._read(fitted)


def pruned(classifier, threshold):
    """Return a copy of a fitted classifier without the weights below a threshold.

    The copy shares all other data.
    """
    pruned = copy.copy(classifier)
    if threshold > classifier.prune_threshold:
        fitted = classifier._fitted
        rankers = tuple(_pruned_ranker(r, threshold, classifier.bias) for r in fitted.rankers)
        pruned._fitted = fitted._replace(rankers=rankers, ensembles=EnsembleCache())
    return pruned


def _pruned_ranker(ranker, threshold, bias):
    layers = [
        layer.prune(ranker.n_features, threshold, bias, layer.weight_dtype)
        for layer in ranker.layers
    ]
    return TreeRanker(
        layers, ranker.slot_label, ranker.n_labels, ranker.n_features, ranker.max_copies
    )


def loss_of_fit(classifier):
    """Return the loss that the rankers were trained with, or the parameter if it is not known."""
    trained = classifier._fitted.loss
    return classifier.loss if trained is None else trained


def check_loss_of_fit(classifier):
    """Raise a ValueError if the loss of a fitted classifier is no longer that of its rankers."""
    trained = loss_of_fit(classifier)
    if trained != classifier.loss:
        raise ValueError(
            f"loss must be {trained!r}, as in fit, or the classifier must be fitted again, "
            f"got {classifier.loss!r}"
        )


def set_fitted(classifier, **parts):
    """Set the fitted state of a classifier.

    Parameters
    ----------
    classifier : XRLinearClassifier
    **parts
        The fields of FittedState except `ensembles`; `threshold` is optional.
    """
    classifier._fitted = FittedState(**parts, ensembles=EnsembleCache())


def weight_bytes(classifier):
    """Return the size in bytes of the weights of a fitted classifier."""
    return sum(ranker.nbytes for ranker in classifier._fitted.rankers)


def names_of_features(fitted):
    """Return the value of `feature_names_in_`."""
    if fitted.feature_names is None:
        raise AttributeError("feature_names_in_ is not defined: X of fit had no column names")
    return fitted.feature_names.values


def converted_state(state):
    """Return pickled attributes, with those of an earlier release combined in a FittedState."""
    if "_models" not in state:
        return state
    state = dict(state)
    earlier = {name: state.pop(name) for name in _EARLIER_ATTRIBUTES & state.keys()}
    feature_names = None
    if "feature_names_in_" in earlier:
        feature_names = Names(values=earlier["feature_names_in_"])
    state["_fitted"] = FittedState(
        trees=tuple(earlier["trees_"]),
        rankers=tuple(earlier["_models"]),
        indexer=earlier.get("indexer_"),
        neighbors=earlier["_voters"],
        weighting=earlier["votes_"],
        classes=Names(values=np.asarray(earlier["classes_"])),
        container=earlier["_container"],
        n_iter=earlier["n_iter_"],
        n_features=earlier["n_features_in_"],
        feature_names=feature_names,
        ensembles=EnsembleCache(),
        threshold=state.get("threshold"),
    )
    return state


_EARLIER_ATTRIBUTES = {
    "trees_",
    "tree_",
    "n_iter_",
    "n_levels_",
    "n_labels_",
    "multilabel_",
    "classes_",
    "_container",
    "votes_",
    "_models",
    "_voters",
    "_forests",
    "indexer_",
    "n_features_in_",
    "feature_names_in_",
}
