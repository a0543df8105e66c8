"""The columns of X: sparse ones, and a block of dense ones after them, such as embeddings."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import MAX_DIMS, csr_split, indptr_of
from .._utils.mapped_csr import MappedCSR
from .._utils.matrices import canonical_csr

#: Least number of columns that are taken for embeddings by themselves.
_FEWEST_COLUMNS = 16

#: Number of rows by which the first dense column is found.
_N_SAMPLED_ROWS = 200

#: Least number of entries that are counted at once.
_BLOCK = 1 << 20

#: Largest relative difference of the norms of embeddings from their median.
_NORM_TOLERANCE = 0.01


#: What dense columns can be used for.
DENSE_USES = ("neighbors", "features", "both")


class DenseColumns(NamedTuple):
    """How the columns of X are used.

    Attributes
    ----------
    n_features : int
        Number of columns.
    n_dense : int
        Number of last columns that are dense.
    use : {"neighbors", "features", "both"}
    """

    n_features: int
    n_dense: int
    use: str

    @property
    def n_sparse(self):
        """Number of columns before the dense ones."""
        return self.n_features - self.n_dense

    @property
    def n_in_trees(self):
        """Number of columns that the trees and rankers use."""
        return self.n_sparse if self.n_dense and self.use == "neighbors" else self.n_features

    @property
    def n_dense_in_trees(self):
        """Number of dense columns that the trees and rankers use. They are the last ones."""
        return 0 if self.use == "neighbors" else self.n_dense

    @property
    def are_embeddings(self):
        """Whether neighbors are found by the dense columns, apart from the others."""
        return self.n_dense > 0 and self.use != "features"

    @property
    def n_of_neighbors(self):
        """Number of columns that the neighbors beside those of embeddings are found by."""
        return self.n_sparse if self.are_embeddings else self.n_features


def dense_columns_of(X, asked, use):
    """Find the dense columns of the X of fit.

    Parameters
    ----------
    X : CSR matrix of float32 or ndarray
        Not canonical yet.
    asked : int or "auto"
        The parameter `dense_columns`.
    use : str
        The parameter `dense_use`.

    Returns
    -------
    X : csr_matrix of float32 or ndarray
        Canonical if there are dense columns.
    columns : DenseColumns

    Raises
    ------
    ValueError
        If X has fewer columns, or none is left for the trees.
    """
    n_features = X.shape[1]
    if isinstance(asked, str):
        X, n_dense = find_dense_columns(X)
        _check_not_mapped(X, n_dense)
        return X, DenseColumns(n_features, n_dense, use)
    if asked > n_features:
        raise ValueError(
            f"dense_columns must be at most {n_features}, the number of columns of X, got {asked}"
        )
    if asked == n_features and use == "neighbors":
        raise ValueError(
            f"dense_columns must leave columns for the trees if dense_use='neighbors', got {asked} "
            f"of {n_features} columns; use dense_use='both' or 'features' if all are dense"
        )
    if asked > MAX_DIMS and use != "features":
        raise ValueError(
            f"dense_columns must be at most {MAX_DIMS} unless dense_use='features', got {asked}"
        )
    _check_not_mapped(X, asked)
    X = canonical_csr(X, "X") if asked else X
    return X, DenseColumns(n_features, int(asked), use)


def _check_not_mapped(X, n_dense):
    if n_dense and isinstance(X, MappedCSR):
        raise ValueError(
            f"X must have no dense columns if it is in shards, got {n_dense}; use dense_columns=0 "
            "to use all columns alike"
        )


def find_dense_columns(X):
    """Find the last columns of a sparse matrix that are embeddings.

    These are the last columns, at least 16, that have a value in over half of the rows each, and in
    which all rows have the same norm, apart from rows of zeros. There must be a column with values
    in fewer rows. A dense array has none.

    Parameters
    ----------
    X : CSR matrix of float32 or ndarray
        Not canonical yet.

    Returns
    -------
    X : CSR matrix of float32 or ndarray
        Canonical if there are such columns.
    n_dense : int
    """
    n_rows, n_features = X.shape
    is_sparse = sp.issparse(X) or isinstance(X, MappedCSR)
    if not is_sparse or n_features <= _FEWEST_COLUMNS:
        return X, 0
    if 2 * _count(X, n_features - 1) <= n_rows:
        return X, 0  # the case of most matrices, found in one pass
    canonical = X if isinstance(X, MappedCSR) else canonical_csr(X, "X")
    n_dense = _find_in_canonical(canonical)
    return canonical if n_dense else X, n_dense


def _count(X, column):
    """Count the entries of a column, in blocks: NumPy makes a copy of each."""
    count = 0
    for begin in range(0, X.nnz, _BLOCK):
        count += np.count_nonzero(X.indices[begin : begin + _BLOCK] == column)
        if isinstance(X, MappedCSR):
            X.drop_pages()
    return count


def _find_in_canonical(X):
    n_rows, n_features = X.shape
    rare = np.flatnonzero(2 * _column_counts(X) <= n_rows)
    if len(rare) == 0:
        return 0
    n_frequent = min(n_features - 1 - int(rare[-1]), MAX_DIMS)
    step = -(-n_rows // _N_SAMPLED_ROWS)
    sampled = X[::step][:, n_features - n_frequent :].toarray().astype(np.float64)
    squares = np.cumsum(np.square(sampled)[:, ::-1], axis=1)
    for n_dense in range(n_frequent, _FEWEST_COLUMNS - 1, -1):
        if _are_equal(np.sqrt(squares[:, n_dense - 1])):
            norms = csr_split(X, n_features - n_dense, norms=True)[1]
            return n_dense if _are_equal(norms) else 0
    return 0


def _column_counts(X):
    """Count the entries of each column, in blocks: NumPy makes a copy of int64 of each."""
    counts = np.zeros(X.shape[1], dtype=np.int64)
    step = max(_BLOCK, X.shape[1])
    for begin in range(0, X.nnz, step):
        counts += np.bincount(X.indices[begin : begin + step], minlength=X.shape[1])
    return counts


def _are_equal(norms):
    """Return whether norms that are not 0 differ by no more than the tolerance."""
    norms = norms[norms > 0]
    if len(norms) == 0:
        return False
    median = np.median(norms)
    return bool((np.abs(norms - median) <= _NORM_TOLERANCE * median).all())


def leading_columns(X, n):
    """Return the first n columns of a canonical matrix.

    Parameters
    ----------
    X : csr_matrix of float32
    n : int

    Returns
    -------
    part : csr_matrix of float32, shape (n_rows, n)
        X itself if it has n columns.
    """
    if n == X.shape[1]:
        return X
    begin = X.indptr[:-1]
    pointers = indptr_of(csr_split(X, n)[0] - begin)
    kept = np.arange(pointers[-1]) + np.repeat(begin - pointers[:-1], np.diff(pointers))
    return sp.csr_matrix((X.data[kept], X.indices[kept], pointers), shape=(X.shape[0], n))


def with_leading_columns(examples, n):
    """Return the Examples with the first n columns of their features."""
    return examples._replace(X=leading_columns(examples.X, n))
