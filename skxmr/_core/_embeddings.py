"""Embeddings of training rows among which nearest neighbors are found, in C."""

from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ._arrays import aligned_empty
from ._library import FLOAT, INT, KERNELS, SIGNED_BYTE, check, ffi, lib, pointer
from ._neighbors import StoredRows
from ._sparse import CSRView

#: Maximum number of dimensions.
MAX_DIMS = lib.SKX_MAX_DIMS


class EmbeddingRows(StoredRows):
    """Training rows that are stored as embeddings of one byte per dimension.

    The embedding of a row, or of a query, consists of the last columns of its features.

    Parameters
    ----------
    n_features, n_labels, source, n_given, checksums
        As of StoredRows.
    n_dims : int
        Number of dimensions.
    **arrays
        Those of StoredRows, and vectors, scales : the rows, from `pack_embeddings`.
    """

    ROW_DTYPES: ClassVar[dict[str, np.dtype]] = {"vectors": SIGNED_BYTE, "scales": FLOAT}

    def __init__(self, n_features: int, n_labels: int, *, n_dims: int, **others: Any):
        self.n_dims = n_dims
        super().__init__(n_features, n_labels, **others)

    @property
    def stride(self) -> int:
        """Bytes of an embedding."""
        return stride_of(self.n_dims)

    def _rows_fit(self, length: dict[str, int]) -> bool:
        n_rows = length["weight"]
        dims_fit = 1 <= self.n_dims <= min(self.n_features, MAX_DIMS)
        return dims_fit and length["scales"] == n_rows and length["vectors"] == n_rows * self.stride

    def _check_rows(self) -> None:
        if not np.isfinite(self.arrays["scales"]).all() or (self.arrays["scales"] < 0).any():
            raise ValueError("the neighbors have scales that are negative or not finite")
        if self._matrix()[:, self.n_dims :].any():
            raise ValueError("the neighbors have embeddings of too many dimensions")

    def find(
        self,
        view: CSRView,
        begin: int,
        end: int,
        labels: np.ndarray | None,
        n_neighbors: int,
        n_candidates: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows with the most similar embeddings; see StoredRows.

        If `labels` is None, all rows are compared with every query.
        """
        neighbors = np.empty((end - begin, n_neighbors), INT)
        similarity = np.empty((end - begin, n_neighbors), FLOAT)
        params = ffi.new("skx_neighbor_params *", [n_neighbors, n_candidates])
        check(
            lib.skx_find_similar(
                KERNELS,
                self._c_view().struct,
                view.struct,
                params,
                begin,
                end,
                0 if labels is None else labels.shape[1],
                ffi.NULL if labels is None else pointer(labels, INT),
                pointer(neighbors, INT),
                pointer(similarity, FLOAT),
            )
        )
        return neighbors, similarity

    def row_arrays(self, kept: np.ndarray) -> dict[str, np.ndarray]:
        """Return the arrays of some rows; see StoredRows."""
        vectors = aligned_empty(int(kept.sum()) * self.stride, SIGNED_BYTE)
        vectors.reshape(-1, self.stride)[:] = self._matrix()[kept]
        return {"vectors": vectors, "scales": self.arrays["scales"][kept]}

    def joined_row_arrays(self, kept: np.ndarray, others: "EmbeddingRows") -> dict[str, np.ndarray]:
        """Return the arrays of some rows and of others; see StoredRows."""
        n_kept = int(kept.sum())
        vectors = aligned_empty((n_kept + others.n_rows) * self.stride, SIGNED_BYTE)
        rows = vectors.reshape(-1, self.stride)
        rows[:n_kept] = self._matrix()[kept]
        rows[n_kept:] = others._matrix()
        scales = np.concatenate((self.arrays["scales"][kept], others.arrays["scales"]))
        return {"vectors": vectors, "scales": scales}

    def content(self) -> sp.csr_matrix:
        """Return the vectors of the rows."""
        return sp.csr_matrix(self._matrix(), dtype=FLOAT)

    def _matrix(self) -> np.ndarray:
        return self.arrays["vectors"].reshape(self.n_rows, self.stride)

    def _set_rows(self, struct: Any, pointers: dict[str, Any]) -> None:
        struct.n_dims = self.n_dims
        struct.first_dim = self.n_features - self.n_dims
        struct.scale = pointers["scales"]
        struct.vector = pointers["vectors"]


def stride_of(n_dims: int) -> int:
    """Return the bytes of an embedding with that many dimensions."""
    return lib.skx_embedding_stride(n_dims)


def pack_embeddings(X: sp.csr_matrix, rows: np.ndarray, n_dims: int) -> dict[str, np.ndarray]:
    """Round the embeddings of some rows to one byte per dimension.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)
        Canonical. Its last `n_dims` columns are the embeddings.
    rows : ndarray of int32
    n_dims : int

    Returns
    -------
    arrays : dict
        vectors : the values of each row times 127, divided by the largest one and rounded; padded
        by zeros to a multiple of 64. scales : 1 over the norm of each vector, and 0 for a vector of
        zeros.
    """
    view = CSRView(X)
    vectors = aligned_empty(len(rows) * stride_of(n_dims), SIGNED_BYTE)
    scales = np.empty(len(rows), dtype=FLOAT)
    check(
        lib.skx_pack_embeddings(
            view.struct,
            pointer(np.ascontiguousarray(rows, dtype=INT), INT),
            len(rows),
            n_dims,
            pointer(vectors, SIGNED_BYTE),
            pointer(scales, FLOAT),
        )
    )
    return {"vectors": vectors, "scales": scales}
