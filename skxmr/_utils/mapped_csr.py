"""CSR matrices in files that are mapped, and the writing of such files."""

import mmap
import secrets
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from .._core import csr_group_sum, indptr_of
from .array_files import AppendableFile
from .npy import map_array

#: Approximate number of entries of a block of rows.
_BLOCK_ENTRIES = 1 << 20

_DTYPES = {"data": np.float32, "indices": np.int32, "indptr": np.int64}


class MappedCSR:
    """A canonical CSR matrix whose arrays are mapped from files.

    It is pickled as the name of the files, so that any process that has the folder reads only the
    rows that it needs. It is no SciPy matrix, as dask would send and measure its content.

    Parameters
    ----------
    folder : path
        Folder of the files. Files of the same training may be added to it.
    name : str
        First part of the names of the files.
    shape : tuple of int

    Attributes
    ----------
    data : ndarray of float32
    indices : ndarray of int32
    indptr : ndarray of int64
    """

    is_mapped = True

    def __init__(self, folder, name, shape):
        self.folder = Path(folder)
        self.shape = shape
        self._name = name
        for part in _DTYPES:
            setattr(self, part, map_array(self._path(part)))

    def __reduce__(self):
        return MappedCSR, (self.folder, self._name, self.shape)

    def __getitem__(self, rows):
        """Return a copy of some rows, given by a slice or by their numbers, as a csr_matrix."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        rows = rows.astype(np.int32)
        groups = np.arange(len(rows) + 1)  # a row each, so that the sums are the rows
        ones = np.ones(len(rows), dtype=np.float32)
        return csr_group_sum(self, groups, rows, ones, 0, len(rows), normalize=False)

    def blocks(self, rows):
        """Yield copies of the rows with these numbers as csr_matrices of limited size."""
        ends = indptr_of(self.indptr[rows + 1] - self.indptr[rows] + 1)
        edges = np.searchsorted(ends, np.arange(0, ends[-1], _BLOCK_ENTRIES))
        for begin, end in pairwise([*np.unique(edges).tolist(), len(rows)]):
            yield self[rows[begin:end]]

    @property
    def nnz(self):
        """Number of stored entries."""
        return len(self.data)

    def matrix(self):
        """Return a csr_matrix with the mapped arrays."""
        matrix = sp.csr_matrix(self.shape, dtype=np.float32)
        fits = self.nnz <= np.iinfo(np.int32).max
        # The constructor would convert the indices if there are more entries.
        matrix.data = np.asarray(self.data)
        matrix.indices = np.asarray(self.indices)
        matrix.indptr = self.indptr.astype(np.int32 if fits else np.int64)
        return matrix

    def drop_pages(self):
        """Drop the pages of the files from the memory of this process."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        for part in _DTYPES:
            array = getattr(self, part)
            if isinstance(array, np.memmap):
                array._mmap.madvise(mmap.MADV_DONTNEED)

    def remove(self):
        """Remove the files. The arrays must not be used by other processes afterwards."""
        for part in _DTYPES:
            self._path(part).unlink()

    def _path(self, part):
        return self.folder / f"{self._name}.{part}.npy"


class MappedCSRWriter:
    """Writes a MappedCSR block by block; a context that closes the files.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        self._name = f"matrix-{secrets.token_hex(8)}"
        self._files = {
            part: AppendableFile(self._folder / f"{self._name}.{part}.npy", dtype)
            for part, dtype in _DTYPES.items()
        }
        self._files["indptr"].append([0])
        self._nnz = 0
        self._n_rows = 0

    def append(self, block):
        """Write the rows of a canonical csr_matrix to the end."""
        self._files["data"].append(block.data)
        self._files["indices"].append(block.indices)
        self._files["indptr"].append(block.indptr[1:].astype(np.int64) + self._nnz)
        self._nnz += len(block.data)
        self._n_rows += block.shape[0]

    def take(self, n_columns):
        """Return the matrix. Nothing may be appended afterwards."""
        for file in self._files.values():
            file.take(durable=False)
        return MappedCSR(self._folder, self._name, (self._n_rows, n_columns))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for file in self._files.values():
            file.close()
