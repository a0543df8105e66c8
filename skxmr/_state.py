"""What of a fitted classifier is saved: JSON content and arrays."""

import numbers
import warnings

import numpy as np

from ._core import Layer
from ._folder import pack_strings
from .indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from .tree import LabelTree

#: Indexers that are saved by their parameters.
INDEXERS = {cls.__name__: cls for cls in (KMeansIndexer, TrieHybridIndexer, TrieIndexer)}


def classifier_state(estimator):
    """Content of the manifest and arrays of a fitted XRLinearClassifier.

    Raises
    ------
    TypeError
        If its classes are neither numbers nor strings.
    """
    arrays = {}
    trees = [_pack_tree(arrays, t, model) for t, model in enumerate(estimator._models)]
    content = {
        "class": "XRLinearClassifier",
        "params": _plain_params(estimator),
        "n_features": int(estimator.n_features_in_),
        "trees": trees,
        "n_labels": int(estimator.n_labels_),
        "votes": None if estimator.votes_ is None else list(estimator.votes_),
        "has_voters": estimator._voters is not None,
        "n_iter": int(estimator.n_iter_),
        "container": estimator._container,
        "classes": _pack_labels(arrays, "classes", estimator.classes_),
    }
    if estimator._voters is not None:
        arrays |= {f"voters.{name}": array for name, array in estimator._voters.arrays.items()}
        if estimator._voters.source is not None:
            arrays["voters.source"] = estimator._voters.source
            content["n_voters_given"] = int(estimator._voters.n_given)
    if hasattr(estimator, "feature_names_in_"):
        names = estimator.feature_names_in_
        content["feature_names"] = _pack_labels(arrays, "feature_names", names)
    return content, arrays


def _pack_tree(arrays, t, model):
    """Put a tree and its rankers among the arrays; returns what the manifest says of them."""
    arrays[f"tree.{t}.slot_label"] = model.slot_label
    for level, layer in enumerate(model.layers):
        for name in Layer.DTYPES:
            arrays[f"tree.{t}.layer.{level}.{name}"] = getattr(layer, name)
    return {
        "n_levels": len(model.layers),
        "max_copies": int(model.max_copies),
        "weight_dtype": model.layers[0].weight_dtype,
    }


def _pack_labels(arrays, name, labels):
    """Put labels among the arrays; returns how they are stored."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "biuf":
        arrays[name] = labels
        return "numbers"
    if not all(isinstance(label, str) for label in labels):
        raise TypeError(f"only numbers and strings can be saved as {name}, got {labels.dtype}")
    arrays[f"{name}.bytes"], arrays[f"{name}.pointers"] = pack_strings(labels)
    return "object" if labels.dtype.kind == "O" else "strings"


def _plain_params(estimator):
    """Parameters as JSON types. Those that have no such form are left out, with a warning."""
    out = {}
    for name, value in estimator.get_params(deep=False).items():
        plain, ok = _plain(value)
        if ok:
            out[name] = plain
        elif name not in ("memory", "random_state"):
            warnings.warn(
                f"parameter {name}={value!r} cannot be saved; the loaded estimator has its default",
                stacklevel=4,
            )
    return out


def _plain(value):
    if value is None or isinstance(value, (bool, str)):
        return value, True
    if isinstance(value, np.bool_):
        return bool(value), True
    if isinstance(value, numbers.Integral):
        return int(value), True
    if isinstance(value, numbers.Real):
        return float(value), True
    if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return list(value), True
    if isinstance(value, LabelTree):
        return {"class": "LabelTree"}, True
    if type(value).__name__ in INDEXERS and type(value) is INDEXERS[type(value).__name__]:
        return {"class": type(value).__name__, "params": _plain_params(value)}, True
    return None, False
