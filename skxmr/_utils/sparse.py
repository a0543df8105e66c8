"""Pointers to groups of items, and sums of rows by group."""

from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from .._core import AppendableArray, csr_group_sum, indptr_of
from . import parallel
from .mapped_csr import MappedCSR, MappedCSRWriter

#: Number of nonzeros summed per task, unless a group has more. A task takes well below a second.
_TASK_NONZEROS = 1 << 22


def group_pointers(groups, n_groups):
    """Return the row pointers of items that are sorted by group.

    Parameters
    ----------
    groups : ndarray of int, shape (n_items,)
        Group of each item, in any order.
    n_groups : int

    Returns
    -------
    pointers : ndarray of int64, shape (n_groups + 1,)
    """
    return indptr_of(np.bincount(groups, minlength=n_groups))


def group_sums(matrix, group_ptr, member, weight, *, normalize, n_jobs, what):
    """Sum weighted rows of a CSR matrix by group.

    Parameters
    ----------
    matrix : CSR matrix or MappedCSR of float32
        Canonical.
    group_ptr, member, weight, normalize
        See csr_group_sum.
    n_jobs : int or None
    what : str
        Phase of the work, for the progress report.

    Returns
    -------
    sums : csr_matrix or MappedCSR of float32, shape (n_groups, matrix.shape[1])
        Mapped in the same folder if the matrix is mapped.
    """
    lengths = np.diff(matrix.indptr)[member]
    before = indptr_of(lengths)[group_ptr]
    n_parts = max(4 * parallel.n_workers(n_jobs), int(before[-1] // _TASK_NONZEROS))
    parts = _parts(before, n_parts)
    tasks = [(matrix, group_ptr, member, weight, begin, end, normalize) for begin, end in parts]
    costs = [int(before[end] - before[begin]) + 1 for begin, end in parts]
    folder = matrix.folder if isinstance(matrix, MappedCSR) else None
    with (
        parallel.in_order(
            _sum_groups, tasks, costs, n_jobs=n_jobs, what=what, folder=folder
        ) as blocks,
        writer_in(folder) as writer,
    ):
        for block in blocks:
            writer.append(block)
        return writer.take(matrix.shape[1])


def writer_in(folder):
    """Return a MappedCSRWriter of a folder, or a CSRWriter if the folder is None."""
    return CSRWriter() if folder is None else MappedCSRWriter(folder)


class CSRWriter:
    """Joins blocks of rows to a csr_matrix, as MappedCSRWriter does in files."""

    def __init__(self):
        self._data = AppendableArray(np.float32)
        self._indices = AppendableArray(np.int32)
        self._lengths = AppendableArray(np.int64)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def append(self, block):
        """Append the rows of a canonical csr_matrix."""
        self._data.append(block.data)
        self._indices.append(block.indices)
        self._lengths.append(np.diff(block.indptr))

    def take(self, n_columns):
        """Return the matrix. Nothing may be appended afterwards."""
        indptr = indptr_of(self._lengths.take())
        shape = (len(indptr) - 1, n_columns)
        return sp.csr_matrix((self._data.take(), self._indices.take(), indptr), shape=shape)


def _parts(before, n_parts):
    """Split the groups into ranges of similar cost.

    `before` has the number of nonzeros before each group, and of all groups.
    """
    n_groups = len(before) - 1
    inner = np.searchsorted(before, before[-1] * np.arange(1, n_parts) / n_parts)
    edges = np.unique(np.concatenate(([0], np.minimum(inner, n_groups), [n_groups]))).tolist()
    return list(pairwise(edges))


def _sum_groups(matrix, group_ptr, member, weight, begin, end, normalize):
    if isinstance(matrix, MappedCSR):
        # The rows are read once, in the order of the file.
        span = slice(group_ptr[begin], group_ptr[end])
        rows, member = np.unique(member[span], return_inverse=True)
        matrix, member, weight = matrix[rows], member.astype(np.int32), weight[span]
        group_ptr = group_ptr[begin : end + 1] - group_ptr[begin]
        begin, end = 0, len(group_ptr) - 1
    return csr_group_sum(matrix, group_ptr, member, weight, begin, end, normalize=normalize)
