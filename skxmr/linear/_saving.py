"""What of a fitted classifier is saved: JSON content and arrays."""

import json
import numbers
import warnings

import numpy as np

from .._core import Layer
from .._utils.folder import VERSION
from .._utils.texts import pack_strings
from ..indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from ..tree import LabelTree
from ._params import check_params

#: Indexers that are saved by their parameters.
INDEXERS = {cls.__name__: cls for cls in (KMeansIndexer, TrieHybridIndexer, TrieIndexer)}

#: What a manifest may have, and what each of its trees has.
KEYS = frozenset(
    "format version skxmr crc32 arrays_in arrays class params n_features n_labels n_iter container "
    "trees neighbors has_neighbor_rows n_rows_given threshold classes feature_names".split()
)
TREE_KEYS = frozenset(["n_levels", "max_copies", "weight_dtype"])

#: Parameters that hold objects, which are left out without a word.
_NOT_SAVED = ("memory", "random_state")


#: Names that arrays of NeighborRows have in folders before format 6.
_EARLIER_NEIGHBOR_FILES = {"posting_ptr": "carrier_ptr", "postings": "carriers"}


def neighbor_file(name, version=VERSION):
    """Return the name that an array of NeighborRows has in a folder of this format version."""
    if version < 6:
        return f"voters.{_EARLIER_NEIGHBOR_FILES.get(name, name)}"
    return f"neighbors.{name}"


def classifier_state(estimator):
    """Content of the manifest and arrays of a fitted XRLinearClassifier.

    Returns
    -------
    content : dict
    arrays : dict of str to ndarray
    checksums : dict of str to int
        Those that arrays must have which were mapped and that nobody has looked at.

    Raises
    ------
    TypeError, ValueError
        If its classes are neither numbers nor strings, or if `load` would refuse a parameter.
    """
    check_params(estimator)
    arrays, checksums, fitted = {}, {}, estimator._fitted
    trees = [_pack_tree(arrays, checksums, t, m) for t, m in enumerate(fitted.rankers)]
    params = _plain_params(estimator)
    if isinstance(estimator.indexer, LabelTree):
        params["indexer"] = _pack_indexer(arrays, estimator.indexer, fitted.trees[0])
    content = {
        "class": "XRLinearClassifier",
        "params": params,
        "n_features": int(fitted.n_features),
        "trees": trees,
        "n_labels": int(fitted.n_labels),
        "neighbors": None if fitted.weighting is None else list(fitted.weighting),
        "has_neighbor_rows": fitted.neighbors is not None,
        "threshold": fitted.threshold,
        "n_iter": int(fitted.n_iter),
        "container": fitted.container,
        "classes": _pack_labels(arrays, "classes", fitted.classes.values),
    }
    neighbors = fitted.neighbors
    if neighbors is not None:
        arrays |= {neighbor_file(name): array for name, array in neighbors.arrays.items()}
        checksums |= {neighbor_file(name): crc for name, crc in neighbors.checksums.items()}
        if neighbors.source is not None:
            arrays[neighbor_file("source")] = neighbors.source
            content["n_rows_given"] = int(neighbors.n_given)
    if fitted.feature_names is not None:
        names = fitted.feature_names.values
        content["feature_names"] = _pack_labels(arrays, "feature_names", names)
    return content, arrays, checksums


def _pack_tree(arrays, checksums, t, model):
    """Put a tree and its rankers among the arrays; returns what the manifest says of them."""
    arrays[f"tree.{t}.slot_label"] = model.slot_label
    checksums |= {f"tree.{t}.{name}": crc for name, crc in model.checksums.items()}
    for level, layer in enumerate(model.layers):
        prefix = f"tree.{t}.layer.{level}"
        arrays |= {f"{prefix}.{name}": getattr(layer, name) for name in Layer.DTYPES}
        checksums |= {f"{prefix}.{name}": crc for name, crc in layer.checksums.items()}
    return {
        "n_levels": len(model.layers),
        "max_copies": int(model.max_copies),
        "weight_dtype": model.layers[0].weight_dtype,
    }


def _pack_indexer(arrays, tree, first):
    """Put a tree that was given as the indexer among the arrays, if it is not the first one."""
    if tree == first:
        return {"class": "LabelTree"}
    arrays |= {f"indexer.child_ptr.{i}": pointers for i, pointers in enumerate(tree.child_ptr)}
    arrays["indexer.slot_label"] = tree.slot_label
    return {"class": "LabelTree", "n_levels": tree.n_levels}


def _pack_labels(arrays, name, labels):
    """Put labels among the arrays; returns how they are stored."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "biuf":
        arrays[name] = labels
        return "numbers"
    if labels.dtype.kind not in "UO" or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"only numbers and strings can be saved as {name}, got {labels.dtype}")
    arrays[f"{name}.bytes"], arrays[f"{name}.pointers"] = pack_strings(labels)
    return "object" if labels.dtype.kind == "O" else labels.dtype.str


def _plain_params(estimator):
    """All parameters as JSON types. For those that have no such form, the default and a warning."""
    defaults = type(estimator)().get_params(deep=False)
    out = {}
    for name, value in estimator.get_params(deep=False).items():
        out[name], ok = _plain(value)
        if not ok:
            out[name] = defaults[name]
        elif not _survives(out[name]):
            kind = type(value).__name__  # the value itself may have too many digits to be shown
            raise ValueError(
                f"{name} must be a value that JSON can hold, to be saved, got a {kind}"
            )
        if not ok and name not in _NOT_SAVED:
            warnings.warn(
                f"parameter {name}={value!r} cannot be saved; the loaded estimator has its default",
                stacklevel=4,
            )
    return out


def _survives(plain):
    """Whether a value is the same after it was written to a manifest and read."""
    try:
        return json.loads(json.dumps(plain, allow_nan=False)) == plain
    except (ValueError, RecursionError):  # no number of JSON, or one of too many digits
        return False


def _plain(value):
    """The value as JSON types, and whether it has such a form."""
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
        value._check_params()
        return {"class": type(value).__name__, "params": _plain_params(value)}, True
    return None, False
