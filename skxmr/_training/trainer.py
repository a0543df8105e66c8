"""Training of all rankers of a label tree."""

from itertools import islice

import numpy as np
import scipy.sparse as sp

from .._core import (
    CHUNK_WIDTH,
    CSRView,
    Layer,
    NodeExamples,
    chunk_pointers,
    compile_chunk,
    csr_transpose,
    train_columns,
)
from .._utils import parallel, progress
from . import negatives
from .matching import beams as follow_beams
from .matching import matcher_layer
from .negatives import Sampling, Seen
from .relevance import as_weights

#: Tasks handed out: many per worker, so that they even out, and each long against its overhead.
_TASKS = 200

#: The phase of a fit, and its seconds per unit of `_costs`, roughly: to foresee the time left.
PHASE = "training rankers"
COST = 6e-9

_TEACHER = Sampling("tfn", None)


def train_layers(
    examples, tree, params, *, sampling=_TEACHER, weight_dtype="float32", seed=0, n_jobs=None
):
    """Train one linear ranker per tree node and compile them into layers.

    A node's children are trained on the same examples: those that have a label below the node
    (teacher-forcing negatives), those whose beam holds it (matcher-aware negatives), or either, and
    those that were given as negatives of a label below; the root's children on all.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    params : TrainParams
        Its threshold must not exceed the matcher's, if there is one.
    sampling : Sampling
    weight_dtype : {"float32", "float16"}
        Must be "float32" if there is a matcher.
    seed : int
    n_jobs : int, optional

    Returns
    -------
    layers : list of Layer
    n_iter : int
        The largest number of passes the solver made for any node.
    """
    levels, taught, given = _teacher_forced(examples, tree)
    stages = negatives.stages(sampling.schemes, tree.n_levels)
    foreseen = [sum(_costs(examples, taught, _chunks_of(tree, stage))) for _, stage in stages]
    progress.expect(PHASE, COST * sum(foreseen))
    solver = params, weight_dtype, seed
    layers, matcher, n_iters = [], [], []
    for (scheme, stage), cost in zip(stages, foreseen, strict=True):
        seen, level, n = list(taught), stage[0], len(examples.source)
        if scheme != "tfn":
            new = layers[len(matcher) :]
            matcher += [matcher_layer(layer, examples.X.shape[1], params) for layer in new]
            beams = follow_beams(examples, matcher, params.loss, sampling.width, n_jobs=n_jobs)
            led = Seen(*csr_transpose(beams))
            led = led if given is None else negatives.union(led, given[level], n)
            seen[level] = negatives.with_matched(levels[level], led, scheme, n)
        part = cost / sum(foreseen)
        trained, n_iter = _train_stage(examples, tree, stage, levels, seen, solver, part, n_jobs)
        layers += trained
        n_iters.append(n_iter)
    return layers, max(n_iters)


def train_leaf_chunks(
    examples, tree, chunks, above, params, *, sampling=_TEACHER, weight_dtype, seed, n_jobs=None
):
    """Train some children of leaf clusters alone, as `train_layers` would train them.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    chunks : sequence of tuple (node, first child, end child)
        Children of one leaf cluster each, CHUNK_WIDTH at most.
    above : sequence of Layer
        All layers but the last.
    params : TrainParams
    sampling : Sampling
    weight_dtype : {"float32", "float16"}
    seed : int
    n_jobs : int, optional

    Returns
    -------
    chunks : list of Chunk
    n_iter : int
        The largest number of passes the solver made.
    """
    level, n = tree.n_levels - 1, len(examples.source)
    below = _slot_indicator(examples.Y, tree)
    levels = {level + 1: _by_node(below, False)}
    if level == 0:
        seen = {0: _everyone(n)}
    else:
        n_leaves = tree.n_nodes(level)
        members = _by_node(_parent_indicator(below, tree.parents(level + 1), n_leaves), False)
        scheme = negatives.scheme_of_leaves(sampling.schemes)
        if scheme != "tfn":
            matcher = [matcher_layer(layer, examples.X.shape[1], params) for layer in above]
            beams = follow_beams(examples, matcher, params.loss, sampling.width, n_jobs=n_jobs)
            members = negatives.with_matched(members, Seen(*csr_transpose(beams)), scheme, n)
        seen = {level: members}
    chunks, n_iters = [(level, *chunk) for chunk in chunks], []
    solver = params, weight_dtype, seed
    with _pool(examples, chunks, levels, seen, solver, 1.0, n_jobs) as results:
        return list(_compiled(results, n_iters)), max(n_iters)


def _train_stage(examples, tree, stage, levels, seen, solver, part, n_jobs):
    """Train levels that do not depend on one another: the chunks of all their nodes are one pool.

    They come back in order and join their layer at once, so that they are not held twice.
    """
    n_iters = []
    with _pool(examples, _chunks_of(tree, stage), levels, seen, solver, part, n_jobs) as results:
        trained = _compiled(results, n_iters)
        layers = [
            Layer.from_chunks(pointers, islice(trained, int(chunk_pointers(pointers)[-1])))
            for pointers in (tree.child_ptr[level] for level in stage)
        ]
    return layers, max(n_iters)


def _pool(examples, chunks, levels, seen, solver, part, n_jobs):
    """Train chunks: a context whose value iterates over the results of batches of them."""
    params, weight_dtype, seed = solver
    costs = _costs(examples, seen, chunks)
    batches = _batches(costs, _TASKS)
    X, source, weight = examples.X, examples.source, examples.weight
    tasks = [
        (X, source, weight, params, weight_dtype, _problems(levels, seen, chunks, b, seed))
        for b in batches
    ]
    costs = [sum(costs[i] for i in batch) for batch in batches]
    return parallel.in_order(_train_batch, tasks, costs, n_jobs=n_jobs, what=PHASE, part=part)


def _compiled(results, n_iters):
    """The chunks of all results, whose numbers of iterations are set down on the way."""
    for result in results:
        for chunk, n_iter in result:
            n_iters.append(n_iter)
            yield chunk


def _teacher_forced(examples, tree):
    """What can be said of each level's examples before anything is trained, root first.

    Returns
    -------
    levels : list of Seen
        The examples that have a label below each node; the slots' are positives only.
    taught : list of Seen
        The same and those given as negatives of a label below.
    given : list of Seen or None
        The latter.
    """
    weighed = examples.relevance is not None
    levels = _level_examples(examples.relevance if weighed else examples.Y, tree, weighed)
    if examples.negatives is None:
        return levels, levels, None
    given = _level_examples(examples.negatives, tree, False)
    return levels, negatives.with_given(levels, given, len(examples.source)), given


def _level_examples(labels, tree, weighed):
    """The examples that have a label below each node, for every level, root first."""
    below = _slot_indicator(labels, tree)
    levels = [_by_node(below, weighed)]
    for level in range(tree.n_levels, 1, -1):
        below = _parent_indicator(below, tree.parents(level), tree.n_nodes(level - 1))
        levels.append(_by_node(below, weighed))
    levels.append(_everyone(labels.shape[0]))
    return levels[::-1]


def _everyone(n):
    """The examples that the root sees."""
    return Seen(np.array([0, n], dtype=np.int64), np.arange(n, dtype=np.int32))


def _by_node(below, weighed):
    """The examples of each column, and the entries as costs if they are weighed."""
    if not weighed:
        return Seen(*csr_transpose(below))
    columns = below.tocsc()
    return Seen(
        columns.indptr.astype(np.int64), columns.indices.astype(np.int32), cost=columns.data
    )


def _slot_indicator(Y, tree):
    """Y with a column per slot."""
    below = sp.csr_matrix(Y[:, tree.slot_label])
    below.sort_indices()
    return below


def _parent_indicator(below, parents, n_parents):
    """Y with a column per parent, whose entries add up those of its children.

    Children are in order, so equal parents stand side by side.
    """
    nodes = parents[below.indices]
    first = np.ones(len(nodes), dtype=bool)
    first[1:] = nodes[1:] != nodes[:-1]
    starts = below.indptr[:-1][np.diff(below.indptr) > 0]
    first[starts] = True
    indptr = np.concatenate(([0], np.cumsum(first)))[below.indptr]
    sums = np.add.reduceat(below.data, np.flatnonzero(first)) if len(nodes) else below.data
    return sp.csr_matrix((sums, nodes[first], indptr), shape=(below.shape[0], n_parents))


def _chunks_of(tree, stage):
    """The units of training, (level, node, first child, end child), in the order of layers."""
    return [
        (level, node, first, min(first + CHUNK_WIDTH, int(pointers[node + 1])))
        for level, pointers in ((level, tree.child_ptr[level]) for level in stage)
        for node in range(len(pointers) - 1)
        for first in range(int(pointers[node]), int(pointers[node + 1]), CHUNK_WIDTH)
    ]


def _costs(examples, seen, chunks):
    """Nonzeros of each chunk's examples times its blocks of 16 children: what training takes.

    Times the cube root of the number of examples, because with these grow the passes and the cache
    misses.
    """
    lengths = np.diff(examples.X.indptr)[examples.source] + 1
    totals = {
        level: np.concatenate(([0], np.cumsum(lengths[seen[level].examples])))
        for level in {chunk[0] for chunk in chunks}
    }
    costs = []
    for level, node, first, end in chunks:
        lo, hi = seen[level].pointers[node : node + 2]
        nonzeros = float(totals[level][hi] - totals[level][lo] + 1)
        costs.append(nonzeros * (1 + (end - first) // 16) * (hi - lo + 1) ** (1 / 3))
    return costs


def _batches(costs, n_batches):
    """Group neighbours so that no group costs more than its share, except for single dear items."""
    share = sum(costs) / n_batches
    batches, total = [[]], 0.0
    for i, cost in enumerate(costs):
        if batches[-1] and total + cost > share:
            batches.append([])
            total = 0.0
        batches[-1].append(i)
        total += cost
    return batches


def _problems(levels, seen, chunks, batch, seed):
    """What training needs to know of each chunk: its examples, its positives and its seed."""
    return [_problem(levels[chunks[i][0] + 1], seen[chunks[i][0]], chunks[i], seed) for i in batch]


def _problem(positives, seen, chunk, seed):
    level, node, first, end = chunk
    span = slice(*seen.pointers[node : node + 2])
    lo, hi = positives.pointers[first], positives.pointers[end]
    problem = NodeExamples(
        seen.examples[span],
        positives.pointers[first : end + 1] - lo,
        positives.examples[lo:hi],
        None if seen.role is None else seen.role[span],
    )
    cost = None if positives.cost is None else positives.cost[lo:hi]
    return problem, cost, seed + (level << 40) + first


def _train_batch(X, source, weight, params, weight_dtype, problems):
    """Train and compile chunks: a pure function, so that it may run anywhere."""
    view = CSRView(X)
    out = []
    for problem, cost, seed in problems:
        rows = problem, source, weight
        if cost is not None:
            rows = as_weights(problem, cost, source, weight)
        columns, n_iter = train_columns(view, *rows, params, seed)
        out.append((compile_chunk(columns, X.shape[1], weight_dtype), n_iter))
    return out
