"""Rows of unit norm, also of weights whose squares single precision cannot hold."""

import numpy as np
import scipy.sparse as sp


def scaled_rows(X):
    """Multiply each row by a power of 2, so that its largest weight is in [0.5, 1).

    This changes no digit of the weights, and the squares neither overflow nor all become 0.

    Parameters
    ----------
    X : csr_matrix of float32
        Weights of at least 0.

    Returns
    -------
    scaled : csr_matrix of float32
    norms : ndarray of float32, shape (n,)
        Norms of the scaled rows: at least 0.5, or 0 if a row has no positive weight.
    """
    filled = np.flatnonzero(np.diff(X.indptr))
    exponents = np.zeros(X.shape[0], dtype=np.int32)
    if len(filled):
        exponents[filled] = np.frexp(np.maximum.reduceat(X.data, X.indptr[filled]))[1]
    data = np.ldexp(X.data, -np.repeat(exponents, np.diff(X.indptr)))
    scaled = sp.csr_matrix((data, X.indices, X.indptr), shape=X.shape)
    squares = np.asarray(scaled.multiply(scaled).sum(axis=1), dtype=np.float32)
    return scaled, np.sqrt(squares.ravel())
