"""Clustering of label embeddings in C."""

import numpy as np

from ._library import INT, KERNELS, check, ffi, lib, pointer


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
        Whether centres are divided by their norm.
    max_iter : int
    seed : int

    Returns
    -------
    cluster : ndarray of int32, shape (n,)
    """
    params = ffi.new("skx_kmeans_params *", [n_clusters, max_iter, spherical, seed])
    cluster = np.empty(len(rows), dtype=INT)
    function = lib.skx_kmeans_balanced if balanced else lib.skx_kmeans_lloyd
    check(
        function(
            KERNELS, view.struct, pointer(rows, INT), len(rows), params, pointer(cluster, INT)
        )
    )
    return cluster
