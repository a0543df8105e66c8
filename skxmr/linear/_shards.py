"""Training data in shards."""

from .._data.shards import Shards, check_pair, read_shards


def check_shards(X, y, given, folder):
    """Check what can be checked before any shard is read.

    Parameters
    ----------
    X, y : as fit takes them
    given : FitInput
    folder : str, path or None
        Folder of the model.

    Raises
    ------
    ValueError, TypeError
        If `y` is in shards and `X` is not, if there is no folder, if the shards do not belong
        together, or if there are label examples.
    """
    if isinstance(y, Shards) and not isinstance(X, Shards):
        raise TypeError(f"X must be Shards if y is, got a {type(X).__name__}")
    if not isinstance(X, Shards):
        return
    if folder is None:
        raise ValueError("folder must be the folder of the model if X is in shards, got None")
    if given.label_examples is not None:
        raise ValueError("label_examples must be None if X is in shards")
    if isinstance(y, Shards):
        check_pair(X, y)


def opened(X, y, scratch, n_jobs):
    """Read X and y if they are in shards.

    Parameters
    ----------
    X, y : as fit takes them
    scratch : path
        Folder for the files of X.
    n_jobs : int or None

    Returns
    -------
    X : MappedCSR if it was in shards, otherwise the same
    y : csr_matrix if it was in shards, otherwise the same
    """
    scratch = scratch.absolute()  # workers may have other working directories
    if isinstance(y, Shards):
        y = read_shards(y, scratch, is_indicator=True, keep=False, n_jobs=n_jobs)
    if isinstance(X, Shards):
        X = read_shards(X, scratch, is_indicator=False, keep=True, n_jobs=n_jobs)
    return X, y
