"""Training of all rankers of a label tree."""

import numpy as np
import scipy.sparse as sp

from . import _parallel
from ._core import (
    CHUNK_WIDTH,
    CSRView,
    Layer,
    NodeProblem,
    compile_chunk,
    csr_transpose,
    train_columns,
)

#: Tasks handed out: many per worker, so that they even out, and each long against its overhead.
_TASKS = 200


def train_layers(X, Y, tree, params, *, sample_weight=None, seed=0, n_jobs=None, verbose=0):
    """Train one linear ranker per tree node and compile them into layers.

    A node's children are trained on the rows that have a label below the node (teacher-forcing
    negatives); the root's children on all rows.

    Parameters
    ----------
    X : csr_matrix of float32, shape (n, n_features)
        Canonical.
    Y : csr_matrix of float32, shape (n, n_labels)
        0/1 indicator, canonical.
    tree : LabelTree
    params : TrainParams
    sample_weight : ndarray of float32, shape (n,), optional
    seed : int
    n_jobs : int, optional
    verbose : int

    Returns
    -------
    layers : list of Layer

    Notes
    -----
    Levels do not depend on one another, so the chunks of all nodes of all levels are one pool.
    """
    Y = _without_idle_rows(Y, sample_weight)
    levels = _level_rows(Y, tree, sample_weight)
    chunks = [c for level in range(tree.n_levels) for c in _chunks_of_level(tree, level)]
    costs = [_cost(X, levels, chunk) for chunk in chunks]
    batches = _batches(costs, _TASKS)
    parts = _parallel.run(
        _train_batch,
        [(X, sample_weight, params, _problems(levels, chunks, b, seed)) for b in batches],
        [sum(costs[i] for i in batch) for batch in batches],
        n_jobs=n_jobs,
        verbose=verbose,
        what="training rankers",
    )
    compiled = dict(zip(sum(batches, []), [c for part in parts for c in part], strict=True))
    return _join_layers(tree, chunks, compiled)


def _without_idle_rows(Y, sample_weight):
    """Rows of weight zero take no part: as if they had no labels."""
    if sample_weight is None or sample_weight.all():
        return Y
    Y = sp.diags_array((sample_weight > 0).astype(np.float32)) @ Y
    Y = sp.csr_matrix(Y)
    Y.eliminate_zeros()
    return Y


def _level_rows(Y, tree, sample_weight):
    """The rows below each node of every level, as pairs (pointers, rows) from the root down."""
    n = Y.shape[0]
    below = _slot_indicator(Y, tree)
    levels = [csr_transpose(below)]
    for level in range(tree.n_levels, 1, -1):
        below = _parent_indicator(below, tree.parents(level), tree.n_nodes(level - 1))
        levels.append(csr_transpose(below))
    idle = sample_weight is not None and not sample_weight.all()
    everyone = np.flatnonzero(sample_weight) if idle else np.arange(n)
    levels.append((np.array([0, len(everyone)], dtype=np.int64), everyone.astype(np.int32)))
    return levels[::-1]


def _slot_indicator(Y, tree):
    """Y with a column per slot."""
    below = sp.csr_matrix(Y[:, tree.slot_label])
    below.sort_indices()
    return below


def _parent_indicator(below, parents, n_parents):
    """Y with a column per parent. Children are in order, so equal parents stand side by side."""
    nodes = parents[below.indices]
    first = np.ones(len(nodes), dtype=bool)
    first[1:] = nodes[1:] != nodes[:-1]
    starts = below.indptr[:-1][np.diff(below.indptr) > 0]
    first[starts] = True
    indptr = np.concatenate(([0], np.cumsum(first)))[below.indptr]
    ones = np.ones(int(indptr[-1]), dtype=np.float32)
    return sp.csr_matrix((ones, nodes[first], indptr), shape=(below.shape[0], n_parents))


def _chunks_of_level(tree, level):
    """The units of training, (level, node, first child, end child), in the order of a layer."""
    pointers = tree.child_ptr[level]
    return [
        (level, node, first, min(first + CHUNK_WIDTH, int(pointers[node + 1])))
        for node in range(len(pointers) - 1)
        for first in range(int(pointers[node]), int(pointers[node + 1]), CHUNK_WIDTH)
    ]


def _cost(X, levels, chunk):
    """Nonzeros of the rows times blocks of 16 children, about what training takes."""
    level, node, first, end = chunk
    pointers, rows = levels[level]
    rows = rows[pointers[node] : pointers[node + 1]]
    nnz = int((X.indptr[rows + 1] - X.indptr[rows]).sum()) + len(rows)
    return (nnz + 1) * (1 + (end - first) // 16)


def _batches(costs, n_batches):
    """Group items so that no group costs more than its share, except for single dear items."""
    share = sum(costs) / n_batches
    batches, total = [[]], 0.0
    for i in np.argsort(costs)[::-1]:
        if batches[-1] and total + costs[i] > share:
            batches.append([])
            total = 0.0
        batches[-1].append(int(i))
        total += costs[i]
    return batches


def _problems(levels, chunks, batch, seed):
    """What training needs to know of each chunk: its rows, its positives and its seed."""
    return [_problem(levels, chunks[i], seed) for i in batch]


def _problem(levels, chunk, seed):
    level, node, first, end = chunk
    pointers, rows = levels[level]
    child_pointers, child_rows = levels[level + 1]
    lo, hi = child_pointers[first], child_pointers[end]
    problem = NodeProblem(
        rows[pointers[node] : pointers[node + 1]],
        child_pointers[first : end + 1] - lo,
        child_rows[lo:hi],
    )
    return problem, seed + (level << 40) + first


def _train_batch(X, sample_weight, params, problems):
    """Train and compile chunks: a pure function, so that it may run anywhere."""
    view = CSRView(X)
    return [
        compile_chunk(train_columns(view, problem, sample_weight, params, seed), X.shape[1])
        for problem, seed in problems
    ]


def _join_layers(tree, chunks, compiled):
    by_level = [[] for _ in range(tree.n_levels)]
    for i, chunk in enumerate(chunks):
        by_level[chunk[0]].append(compiled[i])
    return [Layer.from_chunks(p, c) for p, c in zip(tree.child_ptr, by_level, strict=True)]
