"""Clustering of label embeddings in C."""

import numpy as np

from ._cancel import cancel_pointer
from ._library import INT, KERNELS, MAX_INT, check, ffi, lib, pointer
from ._scratch import Scratch, scratch_fields
from ._sparse import CSRView

#: Size of an entry in the copy of the rows.
_BYTES_PER_ENTRY = 8


def kmeans(
    view: CSRView,
    rows: np.ndarray,
    n_clusters: int,
    *,
    balanced: bool,
    spherical: bool,
    max_iter: int,
    seed: int,
    scratch: Scratch | None = None,
) -> tuple[np.ndarray, int]:
    """Cluster some rows of a matrix.

    Parameters
    ----------
    view : CSRView
        A checked matrix; rows of norm 1 for spherical clustering.
    rows : ndarray of int32, shape (n,)
        The rows to cluster.
    n_clusters : int
        At most n.
    balanced : bool
        Whether sizes differ by at most one. True: recursive bisection; False: Lloyd's iterations.
    spherical : bool
        Whether centers are divided by their norm.
    max_iter : int
    seed : int
    scratch : Scratch, optional
        For the copy of the rows. By default, it is always in memory.

    Returns
    -------
    cluster : ndarray of int32, shape (n,)
    n_iter : int
        The largest number of iterations of any bisection, or of Lloyd's algorithm.
    """
    n_bytes = 0
    if scratch is not None:
        n_bytes = _BYTES_PER_ENTRY * int((view.indptr[rows + 1] - view.indptr[rows]).sum())
    cluster = np.empty(len(rows), dtype=INT)
    n_iter = ffi.new("int32_t *")
    function = lib.skx_kmeans_balanced if balanced else lib.skx_kmeans_lloyd
    with scratch_fields(scratch, n_bytes) as memory:
        fields = [n_clusters, min(max_iter, MAX_INT), spherical, seed, cancel_pointer(), memory]
        params = ffi.new("skx_kmeans_params *", fields)
        check(
            function(
                KERNELS,
                view.struct,
                pointer(rows, INT),
                len(rows),
                params,
                pointer(cluster, INT),
                n_iter,
            )
        )
    return cluster, n_iter[0]
