"""The saved content of a fitted classifier: JSON and arrays."""

import json
import numbers
import warnings

import numpy as np

from .._saving.labels import pack_labels
from .._utils.folder import DENSE_COLUMNS, LATEST, VERSION
from ..indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from ..tree import LabelTree
from ._fitted import check_loss_of_fit
from ._params import check_params

#: Indexers that are saved by their parameters.
INDEXERS = {cls.__name__: cls for cls in (KMeansIndexer, TrieHybridIndexer, TrieIndexer)}

#: Keys of a manifest, and of each of its trees.
KEYS = frozenset(
    "format version skxmr crc32 arrays_in arrays class params n_features n_labels n_iter container "
    "trees neighbors has_neighbor_rows n_rows_given threshold classes feature_names "
    "dense_columns dense_use dense_neighbors has_embeddings n_embedded_given".split()
)
TREE_KEYS = frozenset(["n_levels", "max_copies", "weight_dtype", "n_dense"])

#: Parameters that are missing where all of them have their defaults and no column is dense.
DENSE_PARAMETERS = (
    "dense_columns",
    "dense_use",
    "n_dense_neighbors",
    "dense_neighbor_weight",
    "dense_neighbor_power",
    "dense_candidates",
    "label_example_weight",
)

#: Parameters that are objects. They are not saved, and there is no warning.
_NOT_SAVED = ("memory", "random_state")

#: Names of arrays of NeighborRows in folders before format 6.
_EARLIER_NEIGHBOR_FILES = {"posting_ptr": "carrier_ptr", "postings": "carriers"}


def neighbor_file(name, version=VERSION):
    """Return the name of an array of NeighborRows in a folder of the given format version."""
    if version < 6:
        return f"voters.{_EARLIER_NEIGHBOR_FILES.get(name, name)}"
    return f"neighbors.{name}"


def classifier_state(estimator):
    """Return the saved content of a fitted XRLinearClassifier.

    Parameters
    ----------
    estimator : XRLinearClassifier

    Returns
    -------
    content : dict
        Content of the manifest.
    arrays : dict of str to ndarray
    checksums : dict of str to int
        Expected checksums of mapped arrays that are not verified yet.

    Raises
    ------
    TypeError, ValueError
        If the classes are neither numbers nor strings, if `load` would reject a parameter, or if
        the loss has changed after fit.
    """
    check_params(estimator)
    check_loss_of_fit(estimator)
    fitted = estimator._fitted
    arrays = {}
    checksums = {}
    trees = [_pack_tree(arrays, checksums, t, ranker) for t, ranker in enumerate(fitted.rankers)]
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
        "classes": pack_labels(arrays, "classes", fitted.classes.values),
    }
    if fitted.neighbors is not None:
        _pack_rows(arrays, checksums, fitted.neighbors, neighbor_file)
        if fitted.neighbors.source is not None:
            content["n_rows_given"] = int(fitted.neighbors.n_given)
    content |= _pack_dense_columns(arrays, checksums, estimator, params)
    if fitted.feature_names is not None:
        names = fitted.feature_names.values
        content["feature_names"] = pack_labels(arrays, "feature_names", names)
    return content, arrays, checksums


def _pack_rows(arrays, checksums, rows, file_of):
    """Add the arrays of StoredRows to the arrays."""
    arrays |= {file_of(name): array for name, array in rows.arrays.items()}
    checksums |= {file_of(name): crc for name, crc in rows.checksums.items()}
    if rows.source is not None:
        arrays[file_of("source")] = rows.source


def embedding_file(name):
    """Return the name of an array of EmbeddingRows in a folder."""
    return f"embeddings.{name}"


def without_dense_defaults(params, defaults):
    """Remove the parameters of dense columns if all are the defaults; return whether they are."""
    are_defaults = all(params[name] == defaults[name] for name in DENSE_PARAMETERS)
    if are_defaults:
        for name in DENSE_PARAMETERS:
            del params[name]
    return are_defaults


def _pack_dense_columns(arrays, checksums, estimator, params):
    """Add embeddings to the arrays; return what the manifest has of dense columns.

    Without any, and if the parameters are the defaults, these are left out, so that the folder has
    the earlier format. Otherwise, the content has the "version" of the format that it needs.
    """
    fitted = estimator._fitted
    defaults = type(estimator)().get_params(deep=False)
    if fitted.columns is None and without_dense_defaults(params, defaults):
        return {}
    embeddings = fitted.embeddings
    if embeddings is not None:
        _pack_rows(arrays, checksums, embeddings, embedding_file)
    return {
        "version": LATEST if any(ranker.n_dense for ranker in fitted.rankers) else DENSE_COLUMNS,
        "dense_columns": int(fitted.n_dense_columns),
        "dense_use": estimator.dense_use if fitted.columns is None else fitted.columns.use,
        "dense_neighbors": None if embeddings is None else list(fitted.dense_weighting),
        "has_embeddings": embeddings is not None,
        "n_embedded_given": 0 if embeddings is None else int(embeddings.n_given),
    }


def _pack_tree(arrays, checksums, t, ranker):
    """Add a tree and its layers to the arrays; return their entry in the manifest."""
    arrays[f"tree.{t}.slot_label"] = ranker.slot_label
    checksums |= {f"tree.{t}.{name}": crc for name, crc in ranker.checksums.items()}
    for level, layer in enumerate(ranker.layers):
        prefix = f"tree.{t}.layer.{level}"
        arrays |= {f"{prefix}.{name}": array for name, array in layer.arrays.items()}
        checksums |= {f"{prefix}.{name}": crc for name, crc in layer.checksums.items()}
    spec = {
        "n_levels": len(ranker.layers),
        "max_copies": int(ranker.max_copies),
        "weight_dtype": ranker.layers[0].weight_dtype,
    }
    return {**spec, "n_dense": int(ranker.n_dense)} if ranker.n_dense else spec


def _pack_indexer(arrays, tree, first):
    """Add a tree that is the parameter `indexer` to the arrays, unless it is the first tree."""
    if tree == first:
        return {"class": "LabelTree"}
    arrays |= {f"indexer.child_ptr.{i}": pointers for i, pointers in enumerate(tree.child_ptr)}
    arrays["indexer.slot_label"] = tree.slot_label
    return {"class": "LabelTree", "n_levels": tree.n_levels}


def _plain_params(estimator):
    """Return all parameters as JSON types.

    A parameter without such a form is replaced by its default, with a warning.
    """
    defaults = type(estimator)().get_params(deep=False)
    out = {}
    for name, value in estimator.get_params(deep=False).items():
        plain, has_form = _plain(value)
        out[name] = plain if has_form else defaults[name]
        if has_form and not _survives(plain):
            kind = type(value).__name__  # the value itself may have too many digits for a message
            raise ValueError(
                f"{name} must be a value that JSON can hold, to be saved, got a {kind}"
            )
        if not has_form and name not in _NOT_SAVED:
            warnings.warn(
                f"parameter {name}={value!r} cannot be saved; the loaded estimator has its default",
                stacklevel=4,
            )
    return out


def _survives(plain):
    """Return whether a value is the same after it is written to a manifest and read."""
    try:
        return json.loads(json.dumps(plain, allow_nan=False)) == plain
    except (ValueError, RecursionError):  # not a number in JSON, or too many digits
        return False


def _plain(value):
    """Return the value as JSON types, and whether it has such a form."""
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
