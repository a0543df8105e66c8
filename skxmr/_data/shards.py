"""Matrices in shards: a folder of files with some rows each."""

import os
from pathlib import Path
from typing import NamedTuple

from .._utils import parallel
from .._utils.matrices import canonical_csr, indicator_csr
from .._utils.npz import read_npz_matrix, read_npz_shape
from .._utils.sparse import writer_in

#: The phase of a fit.
PHASE = "reading shards"


class ShardFile(NamedTuple):
    """A file of a shard, as it was when the folder was opened.

    Attributes
    ----------
    path : Path
    shape : tuple of int
    size : int
        Bytes.
    modified : int
        Time of the last change, in nanoseconds.
    """

    path: Path
    shape: tuple
    size: int
    modified: int

    def check_unchanged(self):
        """Raise a ValueError if the file has been changed."""
        status = os.stat(self.path)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise ValueError(f"{self.path} must not change while it is used, but was changed")


class Shards:
    """A sparse matrix in a folder of files, for data that are larger than the memory.

    A shard is a file with some of the rows, as :func:`scipy.sparse.save_npz` writes it. The matrix
    has the rows of all shards, in the order of the names of the files. Only the shapes are read
    when the folder is opened.

    :meth:`skxmr.XRLinearClassifier.fit` takes X and y in this form.

    Parameters
    ----------
    folder : str or os.PathLike
        All its files whose names end in ``.npz`` are shards: CSR or CSC matrices of a boolean,
        integer or real dtype, with the same number of columns. A worker reads a whole shard at a
        time, so a shard should take less than a tenth of its memory.

    Attributes
    ----------
    folder : Path
    shape : tuple of int
        Shape of the whole matrix.
    files : list of ShardFile
        The path and the shape of each shard.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    TypeError
        If `folder` is neither a str nor an ``os.PathLike``.
    ValueError
        If the folder has no shards, if a file is not one, or if shards differ in the number of
        columns.

    See Also
    --------
    load_npz_pair : Load matrices that fit into the memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import scipy.sparse as sp
    >>> from skxmr.datasets import Shards
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i in range(3):
    ...         sp.save_npz(Path(folder, f"part-{i:05}.npz"), sp.csr_matrix([[0.0, 0.5], [i, 0.0]]))
    ...     X = Shards(folder)
    ...     sizes = [block.shape for block in X.blocks()]
    >>> X.shape, sizes
    ((6, 2), [(2, 2), (2, 2), (2, 2)])
    """

    def __init__(self, folder):
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f"folder must be a str or a path, got {folder!r}")
        self.folder = Path(os.fsdecode(folder)).absolute()
        paths = sorted(path for path in self.folder.iterdir() if path.suffix == ".npz")
        if not paths:
            raise ValueError(f"folder must have files *.npz, got none in {str(self.folder)!r}")
        self.files = [_open_file(path) for path in paths]
        first = self.files[0]
        for file in self.files:
            if file.shape[1] != first.shape[1]:
                raise ValueError(
                    f"all shards must have the same number of columns, got {first.shape[1]} in "
                    f"{first.path} and {file.shape[1]} in {file.path}"
                )
        self.shape = (sum(file.shape[0] for file in self.files), first.shape[1])

    def __repr__(self):
        return f"Shards({str(self.folder)!r})"

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "a matrix in Shards is not read as a whole; use XRLinearClassifier.fit with folder, or "
            "the method blocks"
        )

    def blocks(self):
        """Read one shard after the other.

        Yields
        ------
        block : csr_matrix of float32
            Canonical.

        Raises
        ------
        ValueError
            If a file is damaged, or was changed after the folder was opened.
        """
        for file in self.files:
            yield read_shard(file, False)


def _open_file(path):
    status = os.stat(path)
    return ShardFile(path, read_npz_shape(path), status.st_size, status.st_mtime_ns)


def read_shard(file, is_indicator):
    """Read a shard.

    Parameters
    ----------
    file : ShardFile
    is_indicator : bool
        Whether all values must be 0 or 1.

    Returns
    -------
    block : csr_matrix of float32
        Canonical.

    Raises
    ------
    FileNotFoundError
        If the file has been removed.
    ValueError
        If the file is damaged, or has been changed.
    """
    file.check_unchanged()
    matrix = read_npz_matrix(file.path)
    file.check_unchanged()
    return (indicator_csr if is_indicator else canonical_csr)(matrix, str(file.path))


def check_pair(X, y):
    """Raise a ValueError unless two Shards have files of the same names and numbers of rows."""
    names = [[file.path.name for file in shards.files] for shards in (X, y)]
    if names[0] != names[1]:
        only = sorted(set(names[0]) ^ set(names[1]))[0]
        raise ValueError(
            f"X and y must have shards of the same names, got {only!r} in only one of {X.folder} "
            f"and {y.folder}"
        )
    for rows, labels in zip(X.files, y.files, strict=True):
        if rows.shape[0] != labels.shape[0]:
            raise ValueError(
                f"the shards of X and y must have the same numbers of rows, got {rows.shape[0]} in "
                f"{rows.path} and {labels.shape[0]} in {labels.path}"
            )


def read_shards(shards, folder, *, is_indicator, keep, n_jobs):
    """Read all shards, in parallel.

    Parameters
    ----------
    shards : Shards
    folder : path
        Existing folder for files, which all workers have.
    is_indicator : bool
        Whether all values must be 0 or 1.
    keep : bool
        Whether the matrix stays in files of the folder.
    n_jobs : int or None

    Returns
    -------
    matrix : MappedCSR if it stays in files, otherwise csr_matrix
        Canonical.
    """
    tasks = [(file, is_indicator) for file in shards.files]
    costs = [file.size for file in shards.files]
    with (
        parallel.in_order(
            read_shard, tasks, costs, n_jobs=n_jobs, what=PHASE, folder=folder
        ) as blocks,
        writer_in(folder if keep else None) as writer,
    ):
        for block in blocks:
            writer.append(block)
        return writer.take(shards.shape[1])
