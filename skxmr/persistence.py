"""Loading of estimators that were saved as folders of plain arrays, memory-mapped if wanted."""

from contextlib import contextmanager
from functools import partial

import numpy as np

from ._core import Layer, Model, NeighborRows
from ._fitted import FittedState, Names
from ._folder import FolderReader, unpack_strings
from ._forest import ForestCache, Mixture
from ._state import INDEXERS, neighbor_file
from .linear import XRLinearClassifier
from .tree import LabelTree

_CONTAINERS = ("classes", "dense", "spmatrix", "sparray")


def load(folder, *, mmap=False, verify=None):
    """Load an estimator that was saved as a folder.

    Parameters
    ----------
    folder : str or path
    mmap : bool, default=False
        Whether to map the arrays read-only instead of reading them, so that they take memory only
        as they are used, shared among processes.
    verify : bool, default=None
        Whether to check every array, its checksum as well as its content, which means to read all
        of it. If False, only what decides where ranking looks for weights is checked. By default
        what is mapped is not verified, so that opening takes milliseconds whatever the size, and
        what is read is.

    Returns
    -------
    estimator : XRLinearClassifier

    Raises
    ------
    FileNotFoundError
        If the folder holds no model.
    ValueError
        If the model is damaged.

    See Also
    --------
    XRLinearClassifier.save : The inverse.

    Notes
    -----
    Damage that is not looked for may change rankings or raise an error later, but does no more
    than that. Classes and feature names that are strings are then decoded, and checked, when they
    are first asked for.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, skxmr
    >>> X, y = np.eye(3, dtype="float32"), ["a", "b", "c"]
    >>> clf = skxmr.XRLinearClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     clf.save(folder)
    ...     skxmr.load(folder).predict(X).tolist()
    ['a', 'b', 'c']
    """
    verify = not mmap if verify is None else bool(verify)
    while True:
        reader = FolderReader(folder, mmap=mmap, verify=verify)
        try:
            return _load(reader)
        except ValueError:
            if not reader.was_replaced():
                raise


def _load(reader):
    if reader.get("class", str) != "XRLinearClassifier":
        reader.fail(f"unknown class {reader.manifest['class']!r}")
    with _as_damage(reader):
        return _read_classifier(reader)


@contextmanager
def _as_damage(reader):
    """Turn what reading a damaged model raises into the error that says so."""
    try:
        yield
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
        if str(error).startswith("the saved model"):
            raise
        reader.fail(str(error), error)


def _open_labels(reader, name, n):
    """Open stored labels, of which there must be n; returns a function that makes them."""
    stored = reader.get(name, str)
    if stored == "numbers":
        labels = reader.array(name, "biuf")
        _check_count(reader, name, labels.shape, n)
        return lambda: labels
    if stored not in ("object", "strings"):
        reader.fail(f"{name} are stored as {stored!r}")
    data = reader.array(f"{name}.bytes", np.dtype(np.uint8))
    pointers = reader.array(f"{name}.pointers", np.dtype(np.int64))
    _check_count(reader, name, (len(pointers) - 1,), n)
    return partial(_unpack_labels, reader, data, pointers, stored)


def _check_count(reader, name, shape, n):
    if shape != (n,):
        reader.fail(f"{name} have shape {shape}, expected {(n,)}")


def _unpack_labels(reader, data, pointers, stored):
    with _as_damage(reader):
        strings = unpack_strings(data, pointers)
    return strings if stored == "object" else strings.astype(str)


def _read_classifier(reader):
    params = dict(reader.get("params", dict))
    n_features, n_labels = reader.get("n_features", int), reader.get("n_labels", int)
    specs = reader.get("trees", list)
    if not specs or not 1 <= n_features <= np.iinfo(np.int32).max:
        reader.fail(f"{len(specs)} trees, {n_features} features")
    read = [_read_tree(reader, t, n_features, n_labels) for t in range(len(specs))]
    trees, models = zip(*read, strict=True)
    voters = _read_voters(reader, n_features, n_labels) if reader.get("has_voters", bool) else None
    votes = _read_votes(reader)
    params["indexer"] = _read_indexer(reader, params.get("indexer"), trees[0])
    estimator = XRLinearClassifier(**params)
    estimator._check_params()
    container = reader.get("container", str)
    if container not in _CONTAINERS:
        reader.fail(f"'container' is {container!r}")
    classes = _open_labels(reader, "classes", n_labels)
    n_iter = reader.get("n_iter", int)
    names = None
    if "feature_names" in reader.manifest:
        names = Names(_open_labels(reader, "feature_names", n_features))
    estimator._fitted = FittedState(
        trees=trees,
        models=models,
        indexer=None,
        voters=voters,
        votes=votes,
        classes=Names(classes),
        container=container,
        n_iter=n_iter,
        n_features=n_features,
        feature_names=names,
        forests=ForestCache(),
    )
    if reader.verify:
        for packed in filter(None, (estimator._fitted.classes, names)):
            packed.values  # noqa: B018 (decodes them, and so checks them)
    return estimator


def _read_tree(reader, t, n_features, n_labels):
    """Read a tree and what searches it."""
    spec = reader.manifest["trees"][t]
    if not isinstance(spec, dict):
        reader.fail(f"'trees' holds {spec!r}")
    n_levels, max_copies = (reader.field(spec, name, int) for name in ("n_levels", "max_copies"))
    weight_dtype = reader.field(spec, "weight_dtype", str)
    if n_levels < 1:
        reader.fail(f"{n_levels} levels")
    layers = [_read_layer(reader, f"tree.{t}.layer.{i}", weight_dtype) for i in range(n_levels)]
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
        tree = LabelTree.from_checked(child_ptr, slot_label, n_labels)
    return tree, Model(layers, slot_label, n_labels, n_features, max_copies)


def _read_votes(reader):
    """How votes count, or None."""
    if reader.manifest.get("votes") is None:
        return None
    votes = reader.get("votes", list)
    plain = len(votes) == 3 and type(votes[0]) is int and all(type(v) is float for v in votes[1:])
    if not plain or votes[0] < 1 or not 0 <= votes[1] < np.inf or not 0 <= votes[2] <= 1:
        reader.fail(f"'votes' is {votes!r}")
    return Mixture(*votes)


def _read_voters(reader, n_features, n_labels):
    arrays = {name: reader.array(neighbor_file(name), t) for name, t in NeighborRows.DTYPES.items()}
    told = {}
    if "n_voters_given" in reader.manifest:  # absent where an earlier release saved
        told["source"] = reader.array("voters.source", np.dtype(np.int32))
        told["n_given"] = reader.get("n_voters_given", int)
    voters = NeighborRows(n_features, n_labels, **told, **arrays)
    if reader.verify:
        voters.check()
    return voters


def _read_layer(reader, prefix, weight_dtype):
    arrays = {
        name: reader.array(f"{prefix}.{name}", dtype, small=name.endswith("_ptr"))
        for name, dtype in Layer.DTYPES.items()
    }
    layer = Layer(**arrays, weight_dtype=weight_dtype)
    layer.check_pointers()
    return layer


def _read_indexer(reader, spec, tree):
    if spec is None:
        return None
    if not isinstance(spec, dict) or spec.get("class") not in (*INDEXERS, "LabelTree"):
        reader.fail(f"unknown indexer {spec!r}")
    if spec["class"] == "LabelTree":
        return tree
    return INDEXERS[spec["class"]](**reader.field(spec, "params", dict))
