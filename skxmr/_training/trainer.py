"""Training of all rankers of a label tree."""

from itertools import islice

import numpy as np
import scipy.sparse as sp

from .._core import (
    CHUNK_WIDTH,
    AppendableArray,
    Layer,
    NodeExamples,
    chunk_pointers,
    csr_transpose,
    indptr_of,
)
from .._utils import parallel, progress
from .._utils.mapped_csr import MappedCSR
from . import negatives
from .chunks import train_chunks
from .matching import beams as follow_beams
from .matching import matcher_layer
from .negatives import LevelExamples, Sampling

#: Number of tasks: many per worker, to balance the load, and each long compared to its overhead.
_TASKS = 200

#: The phase of a fit.
PHASE = "training rankers"

#: Approximate seconds of this phase per unit of `_costs`, to estimate the time left.
COST = 6e-9

_TEACHER = Sampling("tfn", None)


def train_layers(
    examples,
    tree,
    params,
    *,
    sampling=_TEACHER,
    weight_dtype="float32",
    seed=0,
    n_jobs=None,
    make_array=AppendableArray,
):
    """Train one linear ranker per tree node and compile them into layers.

    The children of a node are trained on the same examples. These are the examples with a label
    below the node (teacher-forcing negatives), the examples with the node in their beam
    (matcher-aware negatives), or both, and the given negatives of labels below the node. The
    children of the root are trained on all examples.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    params : TrainParams
        Its threshold must not exceed that of the matcher, if there is one.
    sampling : Sampling
    weight_dtype : {"float32", "float16"}
        Must be "float32" if there is a matcher.
    seed : int
    n_jobs : int, optional
    make_array : callable, optional
        Makes the arrays of the layers that are as large as the weights.

    Returns
    -------
    layers : list of Layer
    n_iter : int
        Largest number of passes of the solver for any node.
    """
    levels, teacher_forced, given = _teacher_forced(examples, tree)
    stages = negatives.stages(sampling.schemes, tree.n_levels)
    estimated = [
        sum(_costs(examples, teacher_forced, _chunks_of(tree, stage))) for _, stage in stages
    ]
    progress.expect(PHASE, COST * sum(estimated))
    solver = (params, weight_dtype, seed)
    n = len(examples.source)
    layers = []
    matcher = []
    n_iters = []
    for (scheme, stage), cost in zip(stages, estimated, strict=True):
        node_examples = list(teacher_forced)
        level = stage[0]
        if scheme != "tfn":
            new = layers[len(matcher) :]
            matcher += [matcher_layer(layer, examples.X.shape[1], params) for layer in new]
            beams = follow_beams(examples, matcher, params.loss, sampling.width, n_jobs=n_jobs)
            matched = LevelExamples(*csr_transpose(beams))
            if given is not None:
                matched = negatives.union(matched, given[level], n)
            node_examples[level] = negatives.with_matched(levels[level], matched, scheme, n)
        part = cost / sum(estimated)
        trained, n_iter = _train_stage(
            examples, tree, stage, levels, node_examples, solver, part, n_jobs, make_array
        )
        layers += trained
        n_iters.append(n_iter)
    return layers, max(n_iters)


def train_leaf_chunks(
    examples, tree, chunks, above, params, *, sampling=_TEACHER, weight_dtype, seed, n_jobs=None
):
    """Train only some children of leaf clusters, as `train_layers` trains them.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    chunks : sequence of tuple (node, first child, end child)
        Each has children of one leaf cluster, at most CHUNK_WIDTH.
    above : sequence of Layer
        All layers except the last one.
    params : TrainParams
    sampling : Sampling
    weight_dtype : {"float32", "float16"}
    seed : int
    n_jobs : int, optional

    Returns
    -------
    chunks : list of Chunk
    n_iter : int
        Largest number of passes of the solver.
    """
    level = tree.n_levels - 1
    n = len(examples.source)
    below = _slot_indicator(examples.Y, tree)
    levels = {level + 1: _by_node(below, False)}
    if level == 0:
        node_examples = {0: _all_examples(n)}
    else:
        n_leaves = tree.n_nodes(level)
        members = _by_node(_parent_indicator(below, tree.parents(level + 1), n_leaves), False)
        scheme = negatives.scheme_of_leaves(sampling.schemes)
        if scheme != "tfn":
            matcher = [matcher_layer(layer, examples.X.shape[1], params) for layer in above]
            beams = follow_beams(examples, matcher, params.loss, sampling.width, n_jobs=n_jobs)
            matched = LevelExamples(*csr_transpose(beams))
            members = negatives.with_matched(members, matched, scheme, n)
        node_examples = {level: members}
    chunks = [(level, *chunk) for chunk in chunks]
    n_iters = []
    solver = (params, weight_dtype, seed)
    with _pool(examples, chunks, levels, node_examples, solver, 1.0, n_jobs) as results:
        return list(_compiled(results, n_iters)), max(n_iters)


def _train_stage(examples, tree, stage, levels, node_examples, solver, part, n_jobs, make_array):
    """Train levels that do not depend on one another, with one pool for all their chunks.

    The chunks return in order. Each is added to its layer at once, so that memory never holds it
    twice.
    """
    chunks = _chunks_of(tree, stage)
    n_iters = []
    with _pool(examples, chunks, levels, node_examples, solver, part, n_jobs) as results:
        trained = _compiled(results, n_iters)
        layers = [
            Layer.from_chunks(
                pointers, islice(trained, int(chunk_pointers(pointers)[-1])), make_array
            )
            for pointers in (tree.child_ptr[level] for level in stage)
        ]
    return layers, max(n_iters)


def _pool(examples, chunks, levels, node_examples, solver, part, n_jobs):
    """Train chunks in batches; return a context that yields an iterator over their results."""
    params, weight_dtype, seed = solver
    costs = _costs(examples, node_examples, chunks)
    batches = _batches(costs, _TASKS)
    tasks = []
    for batch in batches:
        data = [_chunk_data(levels, node_examples, chunks[i], seed) for i in batch]
        tasks.append((examples.X, examples.source, examples.weight, params, weight_dtype, data))
    costs = [sum(costs[i] for i in batch) for batch in batches]
    folder = examples.X.folder if isinstance(examples.X, MappedCSR) else None
    return parallel.in_order(
        train_chunks, tasks, costs, n_jobs=n_jobs, what=PHASE, part=part, folder=folder
    )


def _compiled(results, n_iters):
    """Yield the chunks of all results, and append their numbers of passes to `n_iters`."""
    for result in results:
        for chunk, n_iter in result:
            n_iters.append(n_iter)
            yield chunk


def _teacher_forced(examples, tree):
    """Return the examples of each level that are known before any training, root first.

    Returns
    -------
    levels : list of LevelExamples
        Examples with a label below each node. Those of the slots are positives.
    teacher_forced : list of LevelExamples
        These examples, and those with a given negative below each node.
    given : list of LevelExamples or None
        Examples with a given negative below each node. None without given negatives.
    """
    if examples.relevance is None:
        levels = _level_examples(examples.Y, tree, False)
    else:
        levels = _level_examples(examples.relevance, tree, True)
    if examples.negatives is None:
        return levels, levels, None
    given = _level_examples(examples.negatives, tree, False)
    return levels, negatives.with_given(levels, given, len(examples.source)), given


def _level_examples(labels, tree, weighted):
    """Return the examples with a label below each node, for every level, root first."""
    below = _slot_indicator(labels, tree)
    levels = [_by_node(below, weighted)]
    for level in range(tree.n_levels, 1, -1):
        below = _parent_indicator(below, tree.parents(level), tree.n_nodes(level - 1))
        levels.append(_by_node(below, weighted))
    levels.append(_all_examples(labels.shape[0]))
    return levels[::-1]


def _all_examples(n):
    """Return the examples of the root: all of them."""
    return LevelExamples(np.array([0, n], dtype=np.int64), np.arange(n, dtype=np.int32))


def _by_node(below, weighted):
    """Return the examples of each column, and the entries as costs if they are weighted."""
    if not weighted:
        return LevelExamples(*csr_transpose(below))
    columns = below.tocsc()
    return LevelExamples(
        columns.indptr.astype(np.int64), columns.indices.astype(np.int32), cost=columns.data
    )


def _slot_indicator(Y, tree):
    """Return Y with one column per slot."""
    below = sp.csr_matrix(Y[:, tree.slot_label])
    below.sort_indices()
    return below


def _parent_indicator(below, parents, n_parents):
    """Return Y with one column per parent: the sum of the columns of its children.

    Children are sorted by parent, so entries of the same parent are adjacent.
    """
    nodes = parents[below.indices]
    first = np.ones(len(nodes), dtype=bool)
    first[1:] = nodes[1:] != nodes[:-1]
    starts = below.indptr[:-1][np.diff(below.indptr) > 0]
    first[starts] = True
    indptr = indptr_of(first)[below.indptr]
    sums = np.add.reduceat(below.data, np.flatnonzero(first)) if len(nodes) else below.data
    return sp.csr_matrix((sums, nodes[first], indptr), shape=(below.shape[0], n_parents))


def _chunks_of(tree, stage):
    """Return the units of training, (level, node, first child, end child), by level and node."""
    return [
        (level, node, first, min(first + CHUNK_WIDTH, int(pointers[node + 1])))
        for level, pointers in ((level, tree.child_ptr[level]) for level in stage)
        for node in range(len(pointers) - 1)
        for first in range(int(pointers[node]), int(pointers[node + 1]), CHUNK_WIDTH)
    ]


def _costs(examples, node_examples, chunks):
    """Return the relative training time of each chunk.

    It is the product of the number of nonzeros of its examples, the number of blocks of 16
    children, and the cube root of the number of examples. The last factor accounts for passes and
    cache misses, which become more numerous with more examples.
    """
    lengths = np.diff(examples.X.indptr)[examples.source] + 1
    totals = {
        level: indptr_of(lengths[node_examples[level].examples])
        for level in {chunk[0] for chunk in chunks}
    }
    costs = []
    for level, node, first, end in chunks:
        pointers = node_examples[level].pointers
        n_examples = pointers[node + 1] - pointers[node]
        total = totals[level]
        nonzeros = float(total[pointers[node + 1]] - total[pointers[node]] + 1)
        costs.append(nonzeros * (1 + (end - first) // 16) * (n_examples + 1) ** (1 / 3))
    return costs


def _batches(costs, n_batches):
    """Group consecutive items so that the cost of a group is at most the total over n_batches.

    An item of a higher cost is a group of its own.
    """
    limit = sum(costs) / n_batches
    batches = [[]]
    total = 0.0
    for i, cost in enumerate(costs):
        if batches[-1] and total + cost > limit:
            batches.append([])
            total = 0.0
        batches[-1].append(i)
        total += cost
    return batches


def _chunk_data(levels, node_examples, chunk, seed):
    """Return the examples of a chunk, the costs of its positives or None, and its seed."""
    level, node, first, end = chunk
    of_level = node_examples[level]
    positives = levels[level + 1]
    span = slice(of_level.pointers[node], of_level.pointers[node + 1])
    begin = positives.pointers[first]
    positive_span = slice(begin, positives.pointers[end])
    examples = NodeExamples(
        of_level.examples[span],
        positives.pointers[first : end + 1] - begin,
        positives.examples[positive_span],
        None if of_level.role is None else of_level.role[span],
    )
    cost = None if positives.cost is None else positives.cost[positive_span]
    return examples, cost, seed + (level << 40) + first
