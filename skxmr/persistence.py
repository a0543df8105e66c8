"""Loading of estimators that were saved as folders of plain arrays, memory-mapped if wanted."""

import numpy as np

from ._core import Layer, Model
from ._folder import FolderReader, unpack_strings
from ._state import INDEXERS
from .linear import XRLinearClassifier
from .tree import LabelTree

_CONTAINERS = ("classes", "dense", "spmatrix", "sparray")


def load(folder, *, mmap=False):
    """Load an estimator that was saved as a folder.

    Parameters
    ----------
    folder : str or path
    mmap : bool, default=False
        Whether to map the arrays read-only instead of reading them, so that they take memory only
        as they are used, shared among processes.

    Returns
    -------
    estimator : XRLinearClassifier

    Raises
    ------
    FileNotFoundError
        If the folder holds no model.
    ValueError
        If the model is damaged: every array is checked, its checksum as well as its content.

    See Also
    --------
    XRLinearClassifier.save : The inverse.

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
    reader = FolderReader(folder, mmap=mmap)
    if reader.get("class", str) != "XRLinearClassifier":
        reader.fail(f"unknown class {reader.manifest['class']!r}")
    try:
        return _read_classifier(reader)
    except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
        if str(error).startswith("the saved model"):
            raise
        reader.fail(str(error), error)


def _unpack_labels(reader, name, stored):
    if stored == "numbers":
        return np.array(reader.array(name, "biuf"))
    if stored not in ("object", "strings"):
        reader.fail(f"{name} are stored as {stored!r}")
    data = reader.array(f"{name}.bytes", np.dtype(np.uint8))
    strings = unpack_strings(data, reader.array(f"{name}.pointers", np.dtype(np.int64)))
    return strings if stored == "object" else strings.astype(str)


def _read_classifier(reader):
    params = dict(reader.get("params", dict))
    tree, layers = _read_layers(reader)
    params["indexer"] = _read_indexer(reader, params.get("indexer"), tree)
    estimator = XRLinearClassifier(**params)
    estimator._check_params()
    container = reader.get("container", str)
    if container not in _CONTAINERS:
        reader.fail(f"'container' is {container!r}")
    classes = _unpack_labels(reader, "classes", reader.get("classes", str))
    if classes.shape != (tree.n_labels,):
        reader.fail(f"there are {classes.shape} classes for {tree.n_labels} labels")
    n_features = reader.get("n_features", int)
    model = Model(layers, tree.slot_label, tree.n_labels, n_features)
    estimator._set_fitted(tree, model, classes, container, None, reader.get("n_iter", int))
    estimator.n_features_in_ = n_features
    if "feature_names" in reader.manifest:
        names = _unpack_labels(reader, "feature_names", reader.get("feature_names", str))
        if names.shape != (n_features,):
            reader.fail(f"there are {names.shape} feature names for {n_features} features")
        estimator.feature_names_in_ = names
    return estimator


def _read_layers(reader):
    n_levels, n_features = reader.get("n_levels", int), reader.get("n_features", int)
    if n_levels < 1 or not 1 <= n_features <= np.iinfo(np.int32).max:
        reader.fail(f"{n_levels} levels, {n_features} features")
    weight_dtype = reader.get("weight_dtype", str)
    layers = [
        Layer(
            **{k: reader.array(f"layer.{level}.{k}", d) for k, d in Layer.DTYPES.items()},
            weight_dtype=weight_dtype,
        )
        for level in range(n_levels)
    ]
    slot_label = reader.array("slot_label", np.dtype(np.int32))
    tree = LabelTree([layer.child_ptr for layer in layers], slot_label)
    for layer in layers:
        layer.check(n_features)
    return tree, layers


def _read_indexer(reader, spec, tree):
    if spec is None:
        return None
    if not isinstance(spec, dict) or spec.get("class") not in (*INDEXERS, "LabelTree"):
        reader.fail(f"unknown indexer {spec!r}")
    if spec["class"] == "LabelTree":
        return tree
    return INDEXERS[spec["class"]](**reader.field(spec, "params", dict))
