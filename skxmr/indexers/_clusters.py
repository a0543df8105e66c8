"""Division of labels into clusters by k-means, and what indexers do with the clusters."""

import numpy as np

from .._core import CSRView, kmeans
from .._utils import parallel, progress
from .._utils.sparse import group_sums
from ..tree import LabelTree, group_pointers

#: The phase of a fit, and its seconds per nonzero and level, roughly: to foresee the time left.
PHASE = "clustering labels"
COST = 250e-9

#: Dense scores of this many elements at most are held while predicting.
_SCORE_BLOCK = 1 << 24


def foresee(Z, indexer):
    """Tell those who wait how long the clustering of all labels may take."""
    progress.expect(PHASE, COST * Z.nnz * depth(Z.shape[0], indexer))


def nearest_centres(Z, centres):
    """Find the centre closest to each row.

    Returns
    -------
    nearest : ndarray of int32, shape (n,)
    distances : ndarray of float64, shape (n,)
        The squared distances.
    """
    half_squares = 0.5 * row_squares(centres)
    nearest = np.empty(Z.shape[0], dtype=np.int32)
    best = np.empty(Z.shape[0], dtype=np.float64)
    step = max(1, _SCORE_BLOCK // centres.shape[0])
    for lo in range(0, Z.shape[0], step):
        scores = (Z[lo : lo + step] @ centres.T).toarray() - half_squares
        nearest[lo : lo + step] = scores.argmax(axis=1)
        best[lo : lo + step] = scores.max(axis=1)
    return nearest, np.maximum(0, row_squares(Z) - 2 * best)


def row_squares(matrix):
    """Squared norm of each row of a sparse matrix, ndarray of float64."""
    matrix = matrix.astype(np.float64)
    return np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()


def centres_of(Z, clusters, tree, indexer):
    """Centres of a tree's leaf clusters: means of their rows, or sums scaled to norm one."""
    pointers = group_pointers(clusters, tree.n_nodes(tree.n_levels - 1))
    member = np.argsort(clusters, kind="stable").astype(np.int32)
    sizes = np.maximum(np.diff(pointers), 1)
    weight = np.ones(len(member)) if indexer.spherical else 1 / sizes[clusters[member]]
    weight = weight.astype(np.float32)
    options = {"normalize": bool(indexer.spherical), "n_jobs": indexer.n_jobs, "what": "centres"}
    return group_sums(Z, pointers, member, weight, **options)


def _kmeans_rows(Z, rows, n_clusters, seed, options):
    return kmeans(CSRView(Z), rows, n_clusters, seed=seed, **options)


def divide_groups(Z, groups, counts, seed, indexer, balanced, part):
    """Cluster each group of rows into its number of clusters.

    Returns an array of clusters per group, and the largest number of iterations. This is said to be
    a certain part of all the clustering.
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
    results = parallel.run(_kmeans_rows, tasks, costs, n_jobs=indexer.n_jobs, what=PHASE, part=part)
    return [clusters for clusters, _ in results], max(n_iter for _, n_iter in results)


def split(rows, clusters, n_clusters):
    """The rows of each cluster, in order."""
    order = np.argsort(clusters, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(clusters, minlength=n_clusters))[:-1])


def join_tree(child_ptr, leaves):
    """A tree from the pointers of its inner levels and the labels of each leaf cluster."""
    sizes = np.cumsum([0] + [len(leaf) for leaf in leaves])
    return LabelTree([*child_ptr, sizes], np.concatenate(leaves))


def balanced_sizes(n_labels, branching, max_leaf_size):
    """Children per node of each inner level of a balanced tree, from the root down.

    Enough leaves for the labels, all levels but the first with `branching` children, and no level
    that the root, with up to 4 * branching children, can make superfluous: a level saved is a
    pass over the training rows and a chance of error saved.
    """
    n_leaves = -(-n_labels // max_leaf_size)
    sizes = []
    while n_leaves > 4 * branching:
        sizes.append(branching)
        n_leaves = -(-n_leaves // branching)
    return [n_leaves, *sizes] if n_leaves > 1 else sizes


def divide_unbalanced(Z, groups, seed, indexer):
    """Divide what is too large; what is not is handed down as an only child.

    Lloyd's algorithm gets as many levels as a balanced tree would have. What is too large even
    then, mostly labels that resemble nothing, is bisected, so that the tree stays shallow.

    Parameters
    ----------
    Z : csr_matrix of shape (n_labels, n_features)
    groups : list of ndarray of int32
        The labels of each node that there is.
    seed : int
    indexer : KMeansIndexer or TrieHybridIndexer

    Returns
    -------
    groups : list of ndarray of int32
        The labels of each leaf cluster.
    child_ptr : list of ndarray of int64
        Pointers from each level to the next.
    n_iter : int
        The largest number of iterations.
    """
    child_ptr, most = [], 1
    n_lloyd = depth(max(map(len, groups)), indexer)
    while any(len(rows) > indexer.max_leaf_size for rows in groups):
        balanced = len(child_ptr) >= n_lloyd
        part = 0 if balanced else 1 / n_lloyd
        counts = _bisected if balanced else _branched
        groups, pointers, n_iter = _divide_large(Z, groups, seed, indexer, counts, balanced, part)
        child_ptr.append(pointers)
        seed += len(groups)
        most = max(most, n_iter)
    return groups, child_ptr, most


def divide_evenly(Z, groups, seed, indexer):
    """Divide what is too large into clusters whose sizes differ by one; see divide_unbalanced."""
    child_ptr, most = [], 1
    n_levels = max(1, depth(max(map(len, groups)), indexer))
    while any(len(rows) > indexer.max_leaf_size for rows in groups):
        groups, pointers, n_iter = _divide_large(
            Z, groups, seed, indexer, _even, True, 1 / n_levels
        )
        child_ptr.append(pointers)
        seed += len(groups)
        most = max(most, n_iter)
    return groups, child_ptr, most


def _branched(size, indexer):
    return min(indexer.branching, size)


def _bisected(size, indexer):
    return -(-size // indexer.max_leaf_size)


def _even(size, indexer):
    return balanced_sizes(size, indexer.branching, indexer.max_leaf_size)[0]


def depth(n_labels, indexer):
    """Levels of a tree with `branching` children per node down to leaves of the largest size."""
    levels, reach = 0, indexer.max_leaf_size
    while reach < n_labels:
        levels, reach = levels + 1, reach * indexer.branching
    return levels


def _divide_large(Z, groups, seed, indexer, counts, balanced, part):
    """Divide the groups that are too large, each into as many clusters as `counts` says.

    Returns the next level's groups, the pointers to them, and the largest number of iterations.
    """
    limit = indexer.max_leaf_size
    large = [rows for rows in groups if len(rows) > limit]
    counts = [counts(len(rows), indexer) for rows in large]
    parts, n_iter = divide_groups(Z, large, counts, seed, indexer, balanced, part)
    divided = zip(large, parts, counts, strict=True)
    pieces = [
        [p for p in split(*next(divided)) if len(p)] if len(rows) > limit else [rows]
        for rows in groups
    ]
    pointers = np.cumsum([0] + [len(p) for p in pieces])
    return [piece for p in pieces for piece in p], pointers, n_iter
