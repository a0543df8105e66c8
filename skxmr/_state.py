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


#: Arrays of NeighborRows that have other names in model folders.
_NEIGHBOR_FILES = {"posting_ptr": "carrier_ptr", "postings": "carriers"}


def neighbor_file(name):
    """Under what name an array of NeighborRows is saved."""
    return f"voters.{_NEIGHBOR_FILES.get(name, name)}"


def classifier_state(estimator):
    """Content of the manifest and arrays of a fitted XRLinearClassifier.

    Raises
    ------
    TypeError
        If its classes are neither numbers nor strings.
    """
    arrays, fitted = {}, estimator._fitted
    trees = [_pack_tree(arrays, t, model) for t, model in enumerate(fitted.models)]
    content = {
        "class": "XRLinearClassifier",
        "params": _plain_params(estimator),
        "n_features": int(fitted.n_features),
        "trees": trees,
        "n_labels": int(fitted.n_labels),
        "votes": None if fitted.votes is None else list(fitted.votes),
        "has_voters": fitted.voters is not None,
        "n_iter": int(fitted.n_iter),
        "container": fitted.container,
        "classes": _pack_labels(arrays, "classes", fitted.classes.values),
    }
    if fitted.voters is not None:
        arrays |= {neighbor_file(name): array for name, array in fitted.voters.arrays.items()}
        if fitted.voters.source is not None:
            arrays["voters.source"] = fitted.voters.source
            content["n_voters_given"] = int(fitted.voters.n_given)
    if fitted.feature_names is not None:
        names = fitted.feature_names.values
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
