"""Validated reading of matrices written by ``scipy.sparse.save_npz``."""

import numpy as np
import scipy.sparse as sp

from .npy import read_archive

_WRITER = "scipy.sparse.save_npz"
_MEMBERS = ("format", "shape", "data", "indices", "indptr")
_CLASSES = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}
_MAX_INT32 = np.iinfo(np.int32).max


def read_npz_matrix(path):
    """Read a CSR or CSC matrix.

    The arrays are validated before a matrix is made of them, because SciPy does not check the
    indices in such a file. Pickled content is rejected.

    Parameters
    ----------
    path : path

    Returns
    -------
    matrix : csr_matrix or csc_matrix
        Values are float32 or float64. Indices are in range, but may be unsorted or repeated.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, not a regular file, or has other content.
    """
    members = read_archive(path, _MEMBERS, _WRITER)
    matrix_format = _matrix_format(members["format"], path)
    shape = _shape(members["shape"], path)
    data, indices, indptr = (members[name] for name in ("data", "indices", "indptr"))
    _check_dtypes(data, indices, indptr, path)
    n_major, n_minor = shape if matrix_format == "csr" else shape[::-1]
    _check_structure(data, indices, indptr, n_major, n_minor, path)
    # The arrays of SciPy may have unused entries at the end, which are saved as well.
    nnz = int(indptr[-1])
    # In float64, sums of repeated entries of any narrower dtype do not overflow.
    dtype = np.float32 if data.dtype == np.float32 else np.float64
    with np.errstate(over="ignore"):
        data = data[:nnz].astype(dtype)
    index_dtype = np.int32 if max(nnz, *shape) <= _MAX_INT32 else np.int64
    parts = (data, indices[:nnz].astype(index_dtype), indptr.astype(index_dtype))
    return _CLASSES[matrix_format](parts, shape=shape)


def read_npz_shape(path):
    """Read the shape of a CSR or CSC matrix, without its arrays.

    Parameters
    ----------
    path : path

    Returns
    -------
    shape : tuple of int

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, not a regular file, or has other content.
    """
    members = read_archive(path, ("format", "shape"), _WRITER)
    _matrix_format(members["format"], path)
    return _shape(members["shape"], path)


def _matrix_format(member, path):
    """Return "csr" or "csc"."""
    found = member.item() if member.ndim == 0 else member
    if isinstance(found, bytes):
        found = found.decode("ascii", "replace")
    if not isinstance(found, str) or found not in _CLASSES:
        raise ValueError(f"{path}: format must be 'csr' or 'csc', got {found!r}")
    return found


def _shape(member, path):
    """Return the shape as two ints."""
    if member.dtype.kind not in "iu" or member.shape != (2,):
        raise ValueError(f"{path}: shape must hold two integers, got {member!r}")
    shape = tuple(int(size) for size in member)
    if not all(0 <= size <= _MAX_INT32 for size in shape):
        raise ValueError(f"{path}: both sizes of shape must be in 0..{_MAX_INT32}, got {shape}")
    return shape


def _check_dtypes(data, indices, indptr, path):
    """Raise ValueError unless the arrays are vectors of real numbers, integers and integers."""
    expected = (("data", data, "biuf"), ("indices", indices, "iu"), ("indptr", indptr, "iu"))
    for name, array, kinds in expected:
        if array.ndim != 1 or array.dtype.kind not in kinds:
            what = "real numbers" if name == "data" else "integers"
            raise ValueError(
                f"{path}: {name} must be a vector of {what}, got {array.ndim}-d {array.dtype}"
            )


def _check_structure(data, indices, indptr, n_major, n_minor, path):
    """Raise ValueError unless the vectors form an (n_major, n_minor) compressed matrix."""
    if len(indptr) != n_major + 1 or indptr[0] != 0:
        raise ValueError(
            f"{path}: indptr must start at 0 and have {n_major + 1} entries, got {len(indptr)}"
        )
    if (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"{path}: indptr must not decrease")
    if len(indices) != len(data) or indptr[-1] > len(indices):
        raise ValueError(
            f"{path}: indices and data must have the same length, at least indptr[-1] = "
            f"{indptr[-1]}, got {len(indices)} and {len(data)}"
        )
    used = indices[: int(indptr[-1])]
    if used.size and (used.min() < 0 or used.max() >= n_minor):
        raise ValueError(
            f"{path}: indices must be in 0..{n_minor - 1}, got {used.min()}..{used.max()}"
        )
