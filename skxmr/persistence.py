"""Loading of estimators that were saved as folders of plain arrays, memory-mapped if wanted."""

from ._utils.folder import FolderReader
from .linear._loading import read_classifier


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
        If the model is damaged, or was saved by a later version of skxmr, or `folder` is no name.

    See Also
    --------
    XRLinearClassifier.save : The inverse.

    Notes
    -----
    Damage that is not looked for may change rankings or raise an error later, but does no more
    than that. Classes, feature names and the slots of trees are then checked when they are first
    asked for, and all else when it is copied: a damaged model cannot be saved again as a sound one.

    Arrays may be symbolic links to regular files, as in caches that store each file once.

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
