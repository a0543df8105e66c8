"""Division of labels into clusters by k-means.

The functions read the parameters of a KMeansIndexer or a TrieHybridIndexer, their argument
`indexer`: branching, max_leaf_size, balanced, spherical, max_iter, n_jobs and random_state.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state

from .._core import CSRView, indptr_of, kmeans
from .._utils import parallel, progress
from .._utils.cloning import draw_seed
from .._utils.mapped_csr import MappedCSR, MappedCSRWriter
from .._utils.params import check_boolean, check_integer, check_n_jobs, check_seed
from .._utils.sparse import group_pointers, group_sums
from .._utils.task_memory import scratch_of_task
from ..tree import LabelTree
from ._base import CLUSTERING_COST, CLUSTERING_PHASE, tree_depth

#: Maximum number of elements of the dense scores that `nearest_centers` holds at a time.
_SCORE_BLOCK = 1 << 24

#: Number of clusters that a group is bisected into at most. Training the children of a node takes
#: a time proportional to their number, for all training rows of the node.
_MOST_BISECTED = 512


def check_clustering_params(indexer):
    """Raise TypeError or ValueError if a parameter of the clustering is invalid."""
    check_integer(indexer.branching, "branching", 2)
    check_integer(indexer.max_leaf_size, "max_leaf_size", 1)
    check_integer(indexer.max_iter, "max_iter", 1)
    check_n_jobs(indexer.n_jobs)
    check_boolean(indexer.balanced, "balanced")
    check_boolean(indexer.spherical, "spherical")
    check_seed(indexer.random_state, "random_state")


def scaled(Z, indexer):
    """Return the rows of Z scaled to unit norm if the indexer is spherical, and Z otherwise."""
    if not indexer.spherical:
        return Z
    if isinstance(Z, MappedCSR):
        with MappedCSRWriter(Z.folder) as writer:
            for block in Z.blocks(np.arange(Z.shape[0])):
                writer.append(normalize(block, copy=False))
            return writer.take(Z.shape[1])
    copy = sp.csr_matrix((Z.data.copy(), Z.indices, Z.indptr), shape=Z.shape)
    return normalize(copy, copy=False)  # a full copy would have the indices, too


def begin_clustering(Z, indexer):
    """Draw the seed of a clustering of all rows of Z, and estimate its time for the progress bar.

    Returns
    -------
    seed : int
    """
    progress.expect(CLUSTERING_PHASE, CLUSTERING_COST * Z.nnz * _depth(Z.shape[0], indexer))
    return draw_seed(check_random_state(indexer.random_state))


def nearest_centers(Z, centers):
    """Find the center closest to each row.

    Returns
    -------
    nearest : ndarray of int32, shape (n,)
    distances : ndarray of float64, shape (n,)
        Squared distances.
    """
    half_squares = 0.5 * _row_squares(centers)
    nearest = np.empty(Z.shape[0], dtype=np.int32)
    best = np.empty(Z.shape[0], dtype=np.float64)
    step = max(1, _SCORE_BLOCK // centers.shape[0])
    for lo in range(0, Z.shape[0], step):
        scores = (Z[lo : lo + step] @ centers.T).toarray() - half_squares
        nearest[lo : lo + step] = scores.argmax(axis=1)
        best[lo : lo + step] = scores.max(axis=1)
    return nearest, np.maximum(0, _row_squares(Z) - 2 * best)


def _row_squares(matrix):
    """Return the squared norm of each row of a sparse matrix, as an ndarray of float64."""
    matrix = matrix.astype(np.float64)
    return np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()


def centers_of(Z, clusters, tree, indexer):
    """Return the centers of the leaf clusters: means of rows, or sums scaled to unit norm."""
    pointers = group_pointers(clusters, tree.n_nodes(tree.n_levels - 1))
    members = np.argsort(clusters, kind="stable").astype(np.int32)
    sizes = np.maximum(np.diff(pointers), 1)
    weight = np.ones(len(members)) if indexer.spherical else 1 / sizes[clusters[members]]
    return group_sums(
        Z,
        pointers,
        members,
        weight.astype(np.float32),
        normalize=bool(indexer.spherical),
        n_jobs=indexer.n_jobs,
        what="centers",
    )


def _kmeans_rows(Z, rows, n_clusters, seed, options):
    scratch = scratch_of_task() if isinstance(Z, MappedCSR) else None
    return kmeans(CSRView(Z), rows, n_clusters, seed=seed, scratch=scratch, **options)


def _cluster_groups(Z, groups, counts, seed, indexer, *, balanced, part):
    """Cluster each group of rows into the given number of clusters.

    Parameters
    ----------
    Z : csr_matrix of shape (n_labels, n_features)
    groups : list of ndarray of int32
        Rows of each group.
    counts : list of int
        Number of clusters of each group.
    seed : int
        Group i is clustered with ``seed + i``.
    indexer : KMeansIndexer or TrieHybridIndexer
    balanced : bool
    part : float
        Fraction of the whole clustering, for the progress bar.

    Returns
    -------
    clusters : list of ndarray of int32
        Cluster of each row of each group.
    n_iter : int
        Largest number of iterations.
    """
    options = {
        "balanced": balanced,
        "spherical": bool(indexer.spherical),
        "max_iter": indexer.max_iter,
    }
    tasks = [
        (Z, rows, count, seed + i, options)
        for i, (rows, count) in enumerate(zip(groups, counts, strict=True))
    ]
    costs = [len(rows) for rows in groups]
    results = parallel.run(
        _kmeans_rows, tasks, costs, n_jobs=indexer.n_jobs, what=CLUSTERING_PHASE, part=part
    )
    return [clusters for clusters, _ in results], max(n_iter for _, n_iter in results)


def split(rows, clusters, n_clusters):
    """Return the rows of each cluster, in their order."""
    order = np.argsort(clusters, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(clusters, minlength=n_clusters))[:-1])


def join_tree(child_ptr, leaves):
    """Make a tree from the pointers of its inner levels and the labels of each leaf cluster."""
    leaf_ptr = indptr_of([len(leaf) for leaf in leaves])
    return LabelTree([*child_ptr, leaf_ptr], np.concatenate(leaves))


def divide_balanced(Z, seed, indexer):
    """Divide all labels level by level into clusters whose sizes differ by one at most.

    Parameters
    ----------
    Z : csr_matrix of shape (n_labels, n_features)
    seed : int
    indexer : KMeansIndexer

    Returns
    -------
    groups : list of ndarray of int32
        Labels of each leaf cluster.
    child_ptr : list of ndarray of int64
        Pointers from each level to the next.
    n_iter : int
        Largest number of iterations.
    """
    n_labels = Z.shape[0]
    groups = [np.arange(n_labels, dtype=np.int32)]
    child_ptr = []
    most_iter = 1
    sizes = _balanced_sizes(n_labels, indexer.branching, indexer.max_leaf_size)
    for level, size in enumerate(sizes):
        counts = [min(size, len(rows)) for rows in groups]
        clusters, n_iter = _cluster_groups(
            Z,
            groups,
            counts,
            seed + level * n_labels,
            indexer,
            balanced=True,
            part=1 / len(sizes),
        )
        most_iter = max(most_iter, n_iter)
        groups = [
            part
            for divided in zip(groups, clusters, counts, strict=True)
            for part in split(*divided)
        ]
        child_ptr.append(indptr_of(counts))
    return groups, child_ptr, most_iter


def _balanced_sizes(n_labels, branching, max_leaf_size):
    """Return the number of children per node of each inner level of a balanced tree, root first.

    There are enough leaves for the labels. All levels but the first have `branching` children. The
    root has up to 4 * branching children, so that the tree has as few levels as possible: each
    level costs a pass over the training rows and adds search errors.
    """
    n_leaves = -(-n_labels // max_leaf_size)
    sizes = []
    while n_leaves > 4 * branching:
        sizes.append(branching)
        n_leaves = -(-n_leaves // branching)
    return [n_leaves, *sizes] if n_leaves > 1 else sizes


def divide_unbalanced(Z, groups, seed, indexer):
    """Divide groups by Lloyd's algorithm until none exceeds `max_leaf_size`.

    Lloyd's algorithm gets as many levels as a balanced tree would have. Groups that are still too
    large after these levels, mostly labels that resemble no other, are bisected, so that the tree
    stays shallow: it has one more level, or a few if a group has hundreds of thousands of labels.
    A group that is small enough becomes an only child on every further level.

    Parameters
    ----------
    Z : csr_matrix of shape (n_labels, n_features)
    groups : list of ndarray of int32
        Labels of each existing node.
    seed : int
    indexer : KMeansIndexer or TrieHybridIndexer

    Returns
    -------
    groups : list of ndarray of int32
        Labels of each leaf cluster.
    child_ptr : list of ndarray of int64
        Pointers from each level to the next.
    n_iter : int
        Largest number of iterations.
    """
    n_lloyd = _depth(max(map(len, groups)), indexer)
    child_ptr = []
    most_iter = 1
    while any(len(rows) > indexer.max_leaf_size for rows in groups):
        bisects = len(child_ptr) >= n_lloyd
        groups, pointers, n_iter = _divide_large(
            Z,
            groups,
            seed,
            indexer,
            _bisected if bisects else _branched,
            balanced=bisects,
            part=0 if bisects else 1 / n_lloyd,
        )
        child_ptr.append(pointers)
        seed += len(groups)
        most_iter = max(most_iter, n_iter)
    return groups, child_ptr, most_iter


def divide_evenly(Z, groups, seed, indexer):
    """Divide groups into clusters whose sizes differ by one until none exceeds `max_leaf_size`.

    Parameters and results are those of `divide_unbalanced`.
    """
    n_levels = max(1, _depth(max(map(len, groups)), indexer))
    child_ptr = []
    most_iter = 1
    while any(len(rows) > indexer.max_leaf_size for rows in groups):
        groups, pointers, n_iter = _divide_large(
            Z, groups, seed, indexer, _even, balanced=True, part=1 / n_levels
        )
        child_ptr.append(pointers)
        seed += len(groups)
        most_iter = max(most_iter, n_iter)
    return groups, child_ptr, most_iter


def _branched(size, indexer):
    return min(indexer.branching, size)


def _bisected(size, indexer):
    return min(-(-size // indexer.max_leaf_size), _MOST_BISECTED)


def _even(size, indexer):
    return _balanced_sizes(size, indexer.branching, indexer.max_leaf_size)[0]


def _depth(n_labels, indexer):
    return tree_depth(n_labels, indexer.branching, indexer.max_leaf_size)


def _divide_large(Z, groups, seed, indexer, count_of, *, balanced, part):
    """Divide the groups that are too large into ``count_of(size, indexer)`` clusters each.

    Returns
    -------
    groups : list of ndarray of int32
        Groups of the next level, without empty ones.
    pointers : ndarray of int64
        Pointers from the given groups to those of the next level.
    n_iter : int
        Largest number of iterations.
    """
    large = [i for i, rows in enumerate(groups) if len(rows) > indexer.max_leaf_size]
    large_groups = [groups[i] for i in large]
    counts = [count_of(len(rows), indexer) for rows in large_groups]
    clusters, n_iter = _cluster_groups(
        Z, large_groups, counts, seed, indexer, balanced=balanced, part=part
    )
    children = [[rows] for rows in groups]
    for i, divided, count in zip(large, clusters, counts, strict=True):
        children[i] = [rows for rows in split(groups[i], divided, count) if len(rows)]
    pointers = indptr_of([len(below) for below in children])
    return [rows for below in children for rows in below], pointers, n_iter
