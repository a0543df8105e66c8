"""Reading of a saved XRLinearClassifier."""

from functools import partial

import numpy as np

from .._core import EmbeddingRows, Layer, NeighborRows
from .._data.features import DENSE_USES, DenseColumns
from .._ranking.ensemble import NeighborWeighting
from .._ranking.tree_ranker import TreeRanker
from .._saving.labels import open_labels
from .._utils.folder import check_unread
from .._utils.params import check_real
from ..tree import LabelTree
from ._classifier import XRLinearClassifier
from ._fitted import Names, set_fitted
from ._params import check_params, is_auto
from ._saving import (
    DENSE_PARAMETERS,
    INDEXERS,
    KEYS,
    TREE_KEYS,
    embedding_file,
    neighbor_file,
)

#: Containers of y.
CONTAINERS = ("classes", "dense", "spmatrix", "sparray", "lists", "arrays", "frame")


def read_classifier(reader):
    """Read a classifier from an open folder.

    Parameters
    ----------
    reader : FolderReader

    Returns
    -------
    classifier : XRLinearClassifier

    Raises
    ------
    ValueError
        If the model is damaged, or was saved by a later version of skxmr.
    """
    _rename_keys(reader.manifest)
    _refuse_later(reader)
    reader.check_manifest()
    with reader.as_damage():
        return _read_classifier(reader)


def _rename_keys(manifest):
    """Rename the keys of a manifest before format 6 to their current names."""
    if manifest["version"] < 6:
        for old, new in _EARLIER_KEYS.items():
            if old in manifest:
                manifest[new] = manifest.pop(old)


_EARLIER_KEYS = {
    "votes": "neighbors",
    "has_voters": "has_neighbor_rows",
    "n_voters_given": "n_rows_given",
}


def _refuse_later(reader):
    """Raise ValueError for unknown names, which a later version may have written."""
    reader.check_known(reader.manifest, KEYS, "field")
    for spec in reader.get("trees", list):
        if not isinstance(spec, dict):
            reader.fail(f"'trees' holds {spec!r:.80}")
        reader.check_known(spec, TREE_KEYS, "field")
    params = reader.get("params", dict)
    _check_names(reader, params, XRLinearClassifier(), "parameter")
    indexer = params.get("indexer")
    if indexer is None:
        return
    if not isinstance(indexer, dict):
        reader.fail(f"its indexer is {indexer!r:.80}")
    name = reader.field(indexer, "class", str)
    if name == "LabelTree":
        return
    if name not in INDEXERS:
        reader.fail_as_later(f"its indexer is a {name!r:.80}")
    reader.check_known(indexer, ("class", "params"), "field of the indexer")
    indexer_params = reader.field(indexer, "params", dict)
    _check_names(reader, indexer_params, INDEXERS[name](), f"parameter of {name}")


def _check_names(reader, params, estimator, what):
    """Raise ValueError if there are unknown or missing parameters of an estimator."""
    names = estimator.get_params(deep=False).keys()
    reader.check_known(params, names, what)
    optional = () if "dense_columns" in reader.manifest else DENSE_PARAMETERS
    missing = sorted(names - params.keys() - set(optional))
    if missing and reader.is_complete:
        reader.fail(f"the {what} {missing[0]!r} is missing")


def _read_classifier(reader):
    params = dict(reader.get("params", dict))
    n_features = reader.get("n_features", int)
    n_labels = reader.get("n_labels", int)
    specs = reader.get("trees", list)
    if not specs or not 1 <= n_features <= np.iinfo(np.int32).max:
        reader.fail(f"{len(specs)} trees, {n_features} features")
    columns = _read_columns(reader, n_features)
    read = [_read_tree(reader, t, columns.n_in_trees, n_labels) for t in range(len(specs))]
    trees, rankers = zip(*read, strict=True)
    neighbors = None
    if reader.get("has_neighbor_rows", bool):
        neighbors = _read_neighbors(reader, columns.n_of_neighbors, n_labels)
    weighting = _read_weighting(reader, "neighbors")
    embeddings = None
    dense_weighting = None
    if "dense_columns" in reader.manifest and reader.get("has_embeddings", bool):
        if not columns.are_embeddings:
            reader.fail("it has embeddings, but no dense columns that are")
        embeddings = _read_embeddings(reader, columns, n_labels)
        dense_weighting = _read_weighting(reader, "dense_neighbors")
        if dense_weighting is None:
            reader.fail("'dense_neighbors' is missing")
    params["indexer"] = _read_indexer(reader, params.get("indexer"), trees[0])
    classifier = XRLinearClassifier(**params)
    check_params(classifier)
    container = reader.get("container", str)
    if container not in CONTAINERS:
        reader.fail(f"'container' is {container!r}")
    classes = Names(open_labels(reader, "classes", n_labels))
    threshold = _read_threshold(reader, classifier.threshold)
    n_iter = reader.get("n_iter", int)
    feature_names = None
    if "feature_names" in reader.manifest:
        feature_names = Names(open_labels(reader, "feature_names", n_features))
    set_fitted(
        classifier,
        trees=trees,
        rankers=rankers,
        indexer=None,
        neighbors=neighbors,
        weighting=weighting,
        classes=classes,
        container=container,
        n_iter=n_iter,
        n_features=n_features,
        feature_names=feature_names,
        threshold=threshold,
        embeddings=embeddings,
        dense_weighting=dense_weighting,
        columns=columns if columns.n_dense else None,
        loss=classifier.loss,
    )
    if reader.verify:
        classes.decode()
        if feature_names is not None:
            feature_names.decode()
    return classifier


def _read_tree(reader, t, n_features, n_labels):
    """Read a tree and its ranker."""
    spec = reader.manifest["trees"][t]
    n_levels = reader.field(spec, "n_levels", int)
    max_copies = reader.field(spec, "max_copies", int)
    weight_dtype = reader.field(spec, "weight_dtype", str)
    if n_levels < 1:
        reader.fail(f"{n_levels} levels")
    n_dense = 0
    if "n_dense" in spec:
        n_dense = reader.field(spec, "n_dense", int)
        if not 1 <= n_dense <= n_features:
            reader.fail(f"{n_dense} dense features of {n_features}")
    layers = [
        _read_layer(reader, f"tree.{t}.layer.{i}", weight_dtype, n_dense) for i in range(n_levels)
    ]
    slot_label = reader.array(f"tree.{t}.slot_label", np.dtype(np.int32))
    if not (1 <= n_labels <= len(slot_label) and 1 <= max_copies <= len(slot_label)):
        reader.fail(f"{n_labels} labels, {max_copies} copies, {len(slot_label)} slots")
    child_ptr = [layer.child_ptr for layer in layers]
    if reader.verify:
        tree = LabelTree(child_ptr, slot_label)
        if (tree.n_labels, tree.max_copies) != (n_labels, max_copies):
            reader.fail(f"there are {tree.n_labels} labels with {tree.max_copies} copies at most")
        for layer in layers:
            layer.check(n_features)
    else:
        check = partial(_check_slots, reader, t, child_ptr, slot_label, n_labels)
        tree = LabelTree.from_checked(child_ptr, slot_label, n_labels, check)
    checksums = reader.unverified(f"tree.{t}.", ["slot_label"])
    ranker = TreeRanker(layers, slot_label, n_labels, n_features, max_copies, checksums=checksums)
    return tree, ranker


def _check_slots(reader, t, child_ptr, slot_label, n_labels):
    """Check the slots of a tree that was not verified."""
    with reader.as_damage():
        arrays = {"slot_label": slot_label}
        check_unread(arrays, reader.unverified(f"tree.{t}.", arrays))
        found = LabelTree(child_ptr, slot_label).n_labels
    if found != n_labels:
        reader.fail(f"there are {found} labels, expected {n_labels}")


def _read_columns(reader, n_features):
    """Read which columns are dense. Without the field, there are none."""
    if "dense_columns" not in reader.manifest:
        return DenseColumns(n_features, 0, "features")
    columns = DenseColumns(
        n_features, reader.get("dense_columns", int), reader.get("dense_use", str)
    )
    is_known = columns.use in DENSE_USES
    if not is_known or not 0 <= columns.n_dense <= n_features or columns.n_in_trees < 1:
        reader.fail(f"{columns.n_dense} of {n_features} columns are dense, used {columns.use!r}")
    return columns


def _read_weighting(reader, key):
    """Read the settings of nearest neighbors, or None."""
    if reader.manifest.get(key) is None:
        return None
    values = reader.get(key, list)
    if [type(value) for value in values] != [int, float, float]:
        reader.fail(f"{key!r} is {values!r}")
    weighting = NeighborWeighting(*values)
    power_valid = 0 <= weighting.power < np.inf
    weight_valid = 0 <= weighting.weight <= 1
    if weighting.n_neighbors < 1 or not power_valid or not weight_valid:
        reader.fail(f"{key!r} is {values!r}")
    return weighting


def _read_threshold(reader, asked):
    """Read the threshold of `predict`, or None. Earlier releases saved the parameter only."""
    threshold = reader.manifest.get("threshold", None if is_auto(asked) else asked)
    if threshold is not None:
        check_real(threshold, "threshold", -np.inf)
    return threshold


def _read_neighbors(reader, n_features, n_labels):
    version = reader.manifest["version"]
    dtypes = NeighborRows.dtypes()
    files = {name: neighbor_file(name, version) for name in (*dtypes, "source")}
    arrays = {name: reader.array(files[name], t) for name, t in dtypes.items()}
    source = None
    n_given = 0
    if "n_rows_given" in reader.manifest:  # absent in models of early releases
        source = reader.array(files["source"], np.dtype(np.int32))
        n_given = reader.get("n_rows_given", int)
    others = {"source": source, "n_given": n_given, "checksums": _checksums_of(reader, files)}
    neighbors = NeighborRows(n_features, n_labels, **others, **arrays)
    if reader.verify:
        neighbors.check()
    return neighbors


def _checksums_of(reader, files):
    """Return the checksums of the arrays that were not verified, by their names."""
    unverified = reader.unverified("", files.values())
    return {name: unverified[file] for name, file in files.items() if file in unverified}


def _read_embeddings(reader, columns, n_labels):
    dtypes = {**EmbeddingRows.dtypes(), "source": np.dtype(np.int32)}
    files = {name: embedding_file(name) for name in dtypes}
    arrays = {name: reader.array(files[name], dtype) for name, dtype in dtypes.items()}
    embeddings = EmbeddingRows(
        columns.n_features,
        n_labels,
        n_dims=columns.n_dense,
        n_given=reader.get("n_embedded_given", int),
        checksums=_checksums_of(reader, files),
        **arrays,
    )
    if reader.verify:
        embeddings.check()
    return embeddings


def _read_layer(reader, prefix, weight_dtype, n_dense):
    arrays = {
        name: reader.array(f"{prefix}.{name}", dtype, small=name.endswith("_ptr"))
        for name, dtype in Layer.dtypes(n_dense).items()
    }
    checksums = reader.unverified(f"{prefix}.", arrays)
    layer = Layer(**arrays, weight_dtype=weight_dtype, checksums=checksums, n_dense=n_dense)
    layer.check_pointers()
    return layer


def _read_indexer(reader, spec, tree):
    if spec is None:
        return None
    if spec["class"] != "LabelTree":
        return INDEXERS[spec["class"]](**spec["params"])
    if "n_levels" not in spec:  # it is the first tree
        return tree
    n_levels = reader.field(spec, "n_levels", int)
    child_ptr = [
        reader.array(f"indexer.child_ptr.{i}", np.dtype(np.int64), small=True)
        for i in range(n_levels)
    ]
    slot_label = reader.array("indexer.slot_label", np.dtype(np.int32), small=True)
    return LabelTree(child_ptr, slot_label)
