"""Clustering of label embeddings in C."""

import numpy as np

from ._cancel import cancel_pointer
from ._library import INT, KERNELS, MAX_INT, check, ffi, lib, pointer


def kmeans(view, rows, n_clusters, *, balanced, spherical, max_iter, seed):
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
        Sizes that differ by one at the most (recursive bisection), or Lloyd's iterations.
    spherical : bool
        Whether centers are divided by their norm.
    max_iter : int
    seed : int

    Returns
    -------
    cluster : ndarray of int32, shape (n,)
    n_iter : int
        The largest number of iterations a division took.
    """
    limits = (n_clusters, min(max_iter, MAX_INT), spherical, seed)
    params = ffi.new("skx_kmeans_params *", [*limits, cancel_pointer()])
    cluster = np.empty(len(rows), dtype=INT)
    n_iter = ffi.new("int32_t *")
    function = lib.skx_kmeans_balanced if balanced else lib.skx_kmeans_lloyd
    rows, out = pointer(rows, INT), pointer(cluster, INT)
    check(function(KERNELS, view.struct, rows, len(cluster), params, out, n_iter))
    return cluster, n_iter[0]
