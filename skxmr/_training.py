"""Training of all rankers of a label tree."""

from itertools import chain

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


def train_layers(examples, tree, params, *, weight_dtype="float32", seed=0, n_jobs=None, verbose=0):
    """Train one linear ranker per tree node and compile them into layers.

    A node's children are trained on the examples that have a label below the node
    (teacher-forcing negatives); the root's children on all.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    params : TrainParams
    weight_dtype : {"float32", "float16"}
    seed : int
    n_jobs : int, optional
    verbose : int

    Returns
    -------
    layers : list of Layer
    n_iter : int
        The largest number of passes the solver made for any node.

    Notes
    -----
    Levels do not depend on one another, so the chunks of all nodes of all levels are one pool.
    """
    levels = _level_examples(examples.Y, tree)
    chunks = [c for level in range(tree.n_levels) for c in _chunks_of_level(tree, level)]
    costs = _costs(examples, levels, chunks)
    batches = _batches(costs, _TASKS)
    X, source, weight = examples.X, examples.source, examples.weight
    parts = _parallel.run(
        _train_batch,
        [
            (X, source, weight, params, weight_dtype, _problems(levels, chunks, b, seed))
            for b in batches
        ],
        [sum(costs[i] for i in batch) for batch in batches],
        n_jobs=n_jobs,
        verbose=verbose,
        what="training rankers",
    )
    results = dict(zip(chain(*batches), [r for part in parts for r in part], strict=True))
    by_level = [[] for _ in range(tree.n_levels)]
    for i, chunk in enumerate(chunks):
        by_level[chunk[0]].append(results[i][0])
    layers = [Layer.from_chunks(p, c) for p, c in zip(tree.child_ptr, by_level, strict=True)]
    return layers, max(n_iter for _, n_iter in results.values())


def _level_examples(Y, tree):
    """The examples below each node of every level, as pairs (pointers, examples), root first."""
    below = _slot_indicator(Y, tree)
    levels = [csr_transpose(below)]
    for level in range(tree.n_levels, 1, -1):
        below = _parent_indicator(below, tree.parents(level), tree.n_nodes(level - 1))
        levels.append(csr_transpose(below))
    everyone = np.arange(Y.shape[0], dtype=np.int32)
    levels.append((np.array([0, len(everyone)], dtype=np.int64), everyone))
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


def _costs(examples, levels, chunks):
    """Nonzeros of each chunk's examples times its blocks of 16 children: what training takes."""
    lengths = np.diff(examples.X.indptr)[examples.source] + 1
    totals = [np.concatenate(([0], np.cumsum(lengths[rows]))) for _, rows in levels]
    costs = []
    for level, node, first, end in chunks:
        lo, hi = levels[level][0][node : node + 2]
        costs.append(int(totals[level][hi] - totals[level][lo] + 1) * (1 + (end - first) // 16))
    return costs


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
    """What training needs to know of each chunk: its examples, its positives and its seed."""
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


def _train_batch(X, source, weight, params, weight_dtype, problems):
    """Train and compile chunks: a pure function, so that it may run anywhere."""
    view = CSRView(X)
    out = []
    for problem, seed in problems:
        columns, n_iter = train_columns(view, problem, source, weight, params, seed)
        out.append((compile_chunk(columns, X.shape[1], weight_dtype), n_iter))
    return out
