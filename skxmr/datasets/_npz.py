"""Pairs of matrices saved by ``scipy.sparse.save_npz``."""

from .._utils.matrices import canonical_csr, indicator_csr
from .._utils.npz import read_npz_matrix
from ._files import as_path


def load_npz_pair(x_path, y_path):
    """Load a feature matrix and an indicator matrix saved by ``scipy.sparse.save_npz``.

    The arrays are validated before a matrix is made of them, because SciPy does not check the
    indices in such a file. Pickled content is rejected.

    Parameters
    ----------
    x_path : str or os.PathLike
        File of the features, a CSR or CSC matrix of shape (n, d) of a boolean, integer or real
        dtype.
    y_path : str or os.PathLike
        File of the labels, a CSR or CSC matrix of shape (n, L) with the values 0 and 1.

    Returns
    -------
    X : csr_matrix of shape (n, d), float32
        Canonical: the indices are sorted, and repeated entries are summed.
    Y : csr_matrix of shape (n, L), float32
        Canonical; stores only ones.

    Raises
    ------
    FileNotFoundError
        If one of the files does not exist.
    TypeError
        If a path is neither a str nor an ``os.PathLike``.
    ValueError
        If a file was not written by ``save_npz`` or is damaged, if the arrays do not form a matrix
        (decreasing `indptr`, index out of range, unequal lengths), if a value of X is not finite
        as float32 or a value of Y is neither 0 nor 1, or if X and Y differ in the number of rows.

    See Also
    --------
    load_xc_text : Read the text format of the Extreme Classification Repository.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import scipy.sparse as sp
    >>> from skxmr.datasets import load_npz_pair
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x_path, y_path = Path(folder, "X.npz"), Path(folder, "Y.npz")
    ...     sp.save_npz(x_path, sp.csr_matrix([[0.0, 0.5], [1.5, 0.0]]))
    ...     sp.save_npz(y_path, sp.csc_matrix([[1, 0, 1], [0, 1, 0]]))
    ...     X, Y = load_npz_pair(x_path, y_path)
    >>> X.shape, Y.shape, Y.indices
    ((2, 2), (2, 3), array([0, 2, 1], dtype=int32))
    """
    x_path = as_path(x_path, "x_path")
    y_path = as_path(y_path, "y_path")
    X = read_npz_matrix(x_path)
    Y = read_npz_matrix(y_path)
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            f"x_path and y_path must have the same number of rows, got {X.shape[0]} in {x_path} "
            f"and {Y.shape[0]} in {y_path}"
        )
    return canonical_csr(X, x_path), indicator_csr(Y, y_path)
