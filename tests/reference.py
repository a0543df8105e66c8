"""Slow float64 references, written from the definitions, and the data that tests share."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from scipy import special

from skxmr import LabelTree
from skxmr._core import (
    CHUNK_WIDTH,
    CSRView,
    Frontier,
    Layer,
    NodeExamples,
    SiblingWeights,
    compile_chunk,
)
from skxmr._ranking.base import SearchOptions
from skxmr._ranking.post_processors import POST_PROCESSORS
from skxmr._ranking.restriction import LabelOrder, Restriction
from skxmr._ranking.tree_ranker import TreeRanker

HALVES = np.arange(-4, 5) / 2

# ---- sparse matrices ----


def random_csr(rng, n_rows, n_columns, density=0.3):
    """Normal values at random positions; canonical."""
    values = rng.standard_normal((n_rows, n_columns)).astype(np.float32)
    return sp.csr_matrix(np.where(rng.random(values.shape) < density, values, np.float32(0)))


def quantized_csr(rng, n_rows, n_columns, per_row):
    """Values 1/2, 1 and their negatives, so that products and sums of a few are exact."""
    dense = np.zeros((n_rows, n_columns), dtype=np.float32)
    for row in dense:
        columns = rng.choice(n_columns, size=min(per_row, n_columns), replace=False)
        row[columns] = rng.choice([-1, -0.5, 0.5, 1], size=len(columns))
    return sp.csr_matrix(dense)


def stored_entries(matrix, row):
    """Pairs (column, value) of a row, stored zeros included."""
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return list(zip(matrix.indices[part].tolist(), matrix.data[part].tolist(), strict=True))


def padded(pairs, k):
    """The first k of (label, score), padded as rankings are."""
    pairs = (pairs + [(-1, -np.inf)] * k)[:k]
    return [label for label, _ in pairs], [score for _, score in pairs]


def best_first(pairs):
    """Sort (label, score): higher score, then lower label."""
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


# ---- training ----


def node_problem(positive):
    """All rows as examples; positive is a boolean matrix (n_rows, n_children)."""
    rows = [np.flatnonzero(column) for column in positive.T]
    pointers = np.concatenate(([0], np.cumsum([len(r) for r in rows])))
    return NodeExamples(
        np.arange(len(positive), dtype=np.int32),
        pointers.astype(np.int64),
        np.concatenate(rows).astype(np.int32),
    )


def with_constant(X, bias):
    """X as float64 with the constant feature in the last column."""
    return np.hstack([X.toarray().astype(np.float64), np.full((X.shape[0], 1), float(bias))])


def objective(loss, A, sign, cost, w):
    """0.5 ||w||^2 + sum_i cost_i loss(sign_i <w, A_i>), and its gradient."""
    margin = sign * (A @ w)
    if loss == "squared_hinge":
        slack = np.maximum(0, 1 - margin)
        value, slope = slack**2, -2 * slack
    else:
        value, slope = np.logaddexp(0, -margin), -special.expit(-margin)
    return 0.5 * w @ w + cost @ value, w + A.T @ (cost * slope * sign)


def dual_objective(loss, A, sign, cost, w):
    """The dual objective at the dual variables that the margins under w stand for."""
    margin = sign * (A @ w)
    if loss == "squared_hinge":
        alpha = 2 * cost * np.maximum(0, 1 - margin)
        conjugate = alpha - alpha**2 / (4 * cost)
    else:
        share = special.expit(-margin)
        alpha = cost * share
        conjugate = cost * (special.entr(share) + special.entr(1 - share))
    v = A.T @ (alpha * sign)
    return conjugate.sum() - 0.5 * v @ v


def solve(loss, A, sign, cost):
    """The minimizer of the objective, by Newton's method with halved steps.

    The objective is 1-strongly convex, so a gradient of norm e proves an error of e at most.
    """
    w = np.zeros(A.shape[1])
    for _ in range(200):
        value, gradient = objective(loss, A, sign, cost, w)
        if np.linalg.norm(gradient) < 1e-8 * (1 + cost.sum()):
            return w
        margin = sign * (A @ w)
        sigmoid = special.expit(margin)
        curvature = 2 * (margin < 1) if loss == "squared_hinge" else sigmoid * (1 - sigmoid)
        hessian = np.eye(len(w)) + A.T @ ((cost * curvature)[:, None] * A)
        step = -np.linalg.solve(hessian, gradient)
        size = 1.0
        while objective(loss, A, sign, cost, w + size * step)[0] > value and size > 1e-10:
            size /= 2
        w = w + size * step
    raise AssertionError("the reference solver did not converge")


def dense_weights(columns, n_features):
    """Columns as a float32 matrix (n_features, n_children)."""
    W = np.zeros((n_features, len(columns.col_ptr) - 1), dtype=np.float32)
    for c, (lo, hi) in enumerate(pairwise(columns.col_ptr)):
        W[columns.features[columns.entries[lo:hi]], c] = columns.values[lo:hi]
    if columns.dense is not None:
        W[n_features - columns.n_dense :] = columns.dense.T
    return W


# ---- layers and search ----


def rounded(values, weight_dtype):
    """What a type stores of float32 values: the nearest, but of nothing but zero a zero."""
    values = np.asarray(values, dtype=np.float32)
    if weight_dtype == "float32":
        return values
    half = values.astype(np.float16).astype(np.float32)
    return np.where((half == 0) & (values != 0), np.copysign(np.float32(2**-24), values), half)


def columns_of(W, bias, features=None, n_dense=0):
    """The nonzeros of a dense (n_features, n_children) as SiblingWeights."""
    dense = None
    if n_dense:
        n_sparse = W.shape[0] - n_dense
        dense = np.ascontiguousarray(W[n_sparse:].T, dtype=np.float32)
        W = W[:n_sparse]
    features = np.flatnonzero(W.any(axis=1)) if features is None else features
    children, entries = np.nonzero(W[features].T)
    pointers = np.concatenate(([0], np.cumsum(np.bincount(children, minlength=W.shape[1]))))
    return SiblingWeights(
        features.astype(np.int32),
        pointers.astype(np.int64),
        entries.astype(np.int32),
        W[features].T[children, entries].astype(np.float32),
        np.asarray(bias, dtype=np.float32),
        dense,
    )


def layer_of(child_ptr, W, bias, weight_dtype="float32", n_dense=0):
    """Compile the rankers of a level, given as a dense (n_features, n_children)."""
    chunks = []
    for lo, hi in pairwise(child_ptr):
        for first in range(lo, hi, CHUNK_WIDTH):
            part = slice(first, min(first + CHUNK_WIDTH, hi))
            columns = columns_of(W[:, part], bias[part], n_dense=n_dense)
            chunks.append(compile_chunk(columns, W.shape[0], weight_dtype))
    return Layer.from_chunks(np.asarray(child_ptr, dtype=np.int64), chunks)


@dataclass
class DenseModel:
    """A label tree with the weights of every node, as dense as it gets."""

    tree: object
    weights: list
    biases: list

    def compile(self, weight_dtype="float32", n_dense=0):
        n_features = self.weights[0].shape[0]
        levels = zip(self.tree.child_ptr, self.weights, self.biases, strict=True)
        layers = [layer_of(*level, weight_dtype, n_dense) for level in levels]
        return TreeRanker(layers, self.tree.slot_label, self.tree.n_labels, n_features)


def quantized_model(rng, tree, n_features, density=0.5):
    """Weights in halves from -1 to 1: many ties, and sums that are exact in float32."""

    def draw(*shape):
        values = rng.integers(-2, 3, size=shape) / 2
        return np.where(rng.random(shape) < density, values, 0).astype(np.float32)

    sizes = [tree.n_nodes(level) for level in range(1, tree.n_levels + 1)]
    weights = [draw(n_features, size) for size in sizes]
    return DenseModel(tree, weights, [draw(size) for size in sizes])


def random_model(rng, tree, n_features, density=0.5):
    """Normal weights, small enough that no score underflows."""
    sizes = [tree.n_nodes(level) for level in range(1, tree.n_levels + 1)]

    def draw(size):
        values = 0.3 * rng.standard_normal((n_features, size))
        return np.where(rng.random(values.shape) < density, values, 0).astype(np.float32)

    biases = [0.3 * rng.standard_normal(size).astype(np.float32) for size in sizes]
    return DenseModel(tree, [draw(size) for size in sizes], biases)


def saturated_model(rng, tree, n_features, unit):
    """For rows of at most two ones: margins of 1, 2, 3, -2, -3 or -7 units.

    If a unit is 1000, the factors of products are exactly 1 or 0, and scores those of parents or 0.
    """
    sizes = [tree.n_nodes(level) for level in range(1, tree.n_levels + 1)]
    weights = [rng.choice([0, 0, 1, -4], (n_features, size)) for size in sizes]
    return DenseModel(
        tree,
        [(unit * W).astype(np.float32) for W in weights],
        [np.full(size, unit, dtype=np.float32) for size in sizes],
    )


def fixed_tree(seed=0, sizes=(6, 40, 150), n_labels=120):
    """A tree of these level sizes, with empty nodes and labels of several slots."""
    rng = np.random.default_rng(seed)
    pointers, above = [], 1
    for size in sizes:
        inner = np.sort(rng.integers(0, size + 1, above - 1))
        pointers.append(np.concatenate(([0], inner, [size])))
        above = size
    copies = rng.integers(0, n_labels, sizes[-1] - n_labels)
    return LabelTree(pointers, rng.permutation(np.concatenate((np.arange(n_labels), copies))))


def is_product(post_processor):
    """Whether a child's score is multiplied with its parent's, and not added."""
    return post_processor in ("sigmoid", "l1-hinge", "l2-hinge", "l3-hinge", "l4-hinge")


def joined(post_processor, margin, parent):
    """The score of a child from its margin and its parent's score."""
    hinge = max(0.0, 1 - margin)
    match post_processor.split("-"):
        case ["noop"]:
            return margin
        case ["sigmoid"]:
            return parent * special.expit(margin)
        case ["log", "sigmoid"]:
            return parent - np.logaddexp(0, -margin)
        case ["log", power, "hinge"]:
            return parent - hinge ** int(power[1])
        case [power, "hinge"]:
            return parent * np.exp(-(hinge ** int(power[1])))
    raise ValueError(post_processor)


def nodes_above(tree, labels):
    """For each level the set of nodes that lead to some of these labels."""
    nodes = {slot for slot, label in enumerate(tree.slot_label.tolist()) if label in labels}
    levels = [nodes]
    for level in range(tree.n_levels, 0, -1):
        parents = tree.parents(level)
        levels.append({int(parents[node]) for node in levels[-1]})
    return levels[::-1]


def beam_search(
    model,
    x,
    *,
    k,
    beam_width,
    post_processor,
    floor=-np.inf,
    start=None,
    permitted=None,
    entered=None,
):
    """Rank the labels of one dense query.

    start is (level, [(node, score), ...]). Where there is a set of permitted labels, only nodes
    that lead to one are entered; or those of `entered`, a set for each level. Returns
    [(label, score), ...], and how close a call the beam made: the smallest gap between a node kept
    and one dropped, relative where scores are products.
    """
    x = x.astype(np.float64)
    product = is_product(post_processor)
    first, beam = start or (0, [(0, 1.0 if product else 0.0)])
    closest = np.inf
    above = entered if permitted is None else nodes_above(model.tree, permitted)
    for level in range(first, model.tree.n_levels):
        pointers, W, bias = model.tree.child_ptr[level], model.weights[level], model.biases[level]
        beam = [
            (child, joined(post_processor, x @ W[:, child] + bias[child], score))
            for node, score in beam
            for child in range(pointers[node], pointers[node + 1])
            if above is None or child in above[level + 1]
        ]
        if level < model.tree.n_levels - 1:
            beam = best_first(beam)
            if len(beam) > beam_width:
                kept, dropped = beam[beam_width - 1][1], beam[beam_width][1]
                closest = min(closest, (kept - dropped) / ((abs(kept) or 1) if product else 1))
            beam = beam[:beam_width]
    best = {}
    for slot, score in beam:
        label = int(model.tree.slot_label[slot])
        if score >= floor:
            best[label] = max(score, best.get(label, -np.inf))
    return best_first(best.items())[:k], closest


def rank_block(ranker, view, begin, end, *, k, within=None, frontier=None, **options):
    """Rank rows with options by name. `within` may be a pair (SortedPositions, ranges)."""
    restriction = within if isinstance(within, Restriction) else None
    if restriction is None and within is not None:
        positions, ranges = within
        order = LabelOrder.from_sorted(np.zeros(ranker.n_labels, np.int32), [positions])
        restriction = order.restricted_to(ranges)
    search = SearchOptions(
        options["beam_width"],
        POST_PROCESSORS[options["post_processor"]],
        options.get("floor", -np.inf),
        None if frontier is None else (frontier,),
        restriction,
        options.get("constraint"),
    )
    return ranker.rank(view, begin, end, k, search)


def rank_all(model, X, **options):
    return rank_block(model, CSRView(X), 0, X.shape[0], **options)


def frontier_of(starts):
    """One (level, [(node, score), ...]) per row as a Frontier."""
    level = starts[0][0]
    assert all(start[0] == level for start in starts)
    pairs = [pair for _, beam in starts for pair in beam]
    return Frontier(
        level,
        np.concatenate(([0], np.cumsum([len(beam) for _, beam in starts]))).astype(np.int64),
        np.array([node for node, _ in pairs], dtype=np.int32),
        np.array([score for _, score in pairs], dtype=np.float32),
    )


def draw_beam(rng, n_nodes, beam_width, scores=HALVES):
    """At most beam_width different nodes with some of these scores."""
    size = rng.integers(0, min(n_nodes, beam_width) + 1)
    nodes = rng.choice(n_nodes, size=size, replace=False).tolist()
    return [(node, float(rng.choice(scores))) for node in nodes]


def assert_ranks_exactly(dense_model, X, starts=None, within=None, permitted=None, **options):
    """Compare labels and scores, ties included, with the reference search.

    permitted has a set of labels for each row, and within is what restricts the search to them.
    """
    frontier = frontier_of(starts) if starts else None
    labels, scores = rank_all(dense_model.compile(), X, frontier=frontier, within=within, **options)
    assert labels.dtype == np.int32
    assert scores.dtype == np.float32
    for i, x in enumerate(X.toarray()):
        start = starts[i] if starts else None
        allowed = permitted[i] if permitted else None
        expected, _ = beam_search(dense_model, x, start=start, permitted=allowed, **options)
        assert (labels[i].tolist(), scores[i].tolist()) == padded(expected, options["k"])


# ---- comparisons ----


def assert_same_ranking(left, right):
    for a, b in zip(left, right, strict=True):
        assert_array_equal(a, b)


def assert_same_model(left, right):
    """Bit by bit."""
    assert left.tree_ == right.tree_
    for a, b in zip(left._fitted.rankers[0].layers, right._fitted.rankers[0].layers, strict=True):
        assert a.weight_dtype == b.weight_dtype
        for name in a.DTYPES:
            assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
