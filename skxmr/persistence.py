"""Loading of estimators that are saved as folders of arrays."""

from ._utils.folder import FolderReader
from .linear._loading import read_classifier


def load(folder, *, mmap=False, verify=None):
    """Load an estimator from a folder.

    Parameters
    ----------
    folder : str or path
        The folder that ``save`` wrote.
    mmap : bool, default=False
        Whether to map the arrays read-only instead of reading them. Mapped arrays only take memory
        for the parts in use, and processes share this memory.
    verify : bool, default=None
        Whether to check the checksum and the content of every array. This reads all arrays. If
        False, only the arrays that determine where ranking reads weights are checked. By default,
        arrays are verified unless `mmap` is true. A mapped model thus opens in milliseconds,
        whatever its size.

    Returns
    -------
    estimator : XRLinearClassifier
        The fitted estimator.

    Raises
    ------
    FileNotFoundError
        If the folder does not contain a model.
    ValueError
        If the model is damaged or was saved by a later version of skxmr, or if `folder` is not a
        valid path.

    See Also
    --------
    XRLinearClassifier.save : Save a fitted estimator.

    Notes
    -----
    Without verification, a damaged array may change rankings or raise an error later. It cannot
    cause invalid memory accesses. Classes, feature names and the slots of trees are then checked
    on first use, and the other arrays when they are copied. A damaged model can thus not be saved
    as a valid one.

    Arrays may be symbolic links to regular files. Some caches store each file once in this way.

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
    """Read the estimator of the class that the manifest names."""
    if reader.get("class", str) != "XRLinearClassifier":
        reader.fail_as_later(f"it is a {reader.manifest['class']!r:.80}")
    return read_classifier(reader)
