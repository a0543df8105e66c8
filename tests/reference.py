"""Slow float64 references, written from the definitions, and the data that tests share."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special
from scipy import sparse as sp

from skxmr._core import CHUNK_WIDTH, Columns, Layer, Model, NodeProblem, compile_chunk

# ---- sparse matrices ----


def random_csr(rng, n_rows, n_columns, density=0.3):
    """Normal values at random places; canonical."""
    values = rng.standard_normal((n_rows, n_columns)).astype(np.float32)
    return sp.csr_matrix(np.where(rng.random(values.shape) < density, values, np.float32(0)))


def quantised_csr(rng, n_rows, n_columns, per_row):
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
    return NodeProblem(
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
    """The minimiser of the objective; its small gradient proves it, the objective being convex."""
    result = optimize.minimize(
        lambda w: objective(loss, A, sign, cost, w),
        np.zeros(A.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10000, "maxfun": 100000, "ftol": 0, "gtol": 1e-8},
    )
    assert np.abs(result.jac).max() < 1e-5
    return result.x


def dense_weights(columns, n_features):
    """Columns as a float32 matrix (n_features, n_children)."""
    W = np.zeros((n_features, len(columns.col_ptr) - 1), dtype=np.float32)
    for c, (lo, hi) in enumerate(zip(columns.col_ptr[:-1], columns.col_ptr[1:], strict=True)):
        W[columns.features[columns.entries[lo:hi]], c] = columns.values[lo:hi]
    return W


# ---- layers and search ----


def columns_of(W, bias, features=None):
    """The nonzeros of a dense (n_features, n_children) as Columns."""
    features = np.flatnonzero(W.any(axis=1)) if features is None else features
    children, entries = np.nonzero(W[features].T)
    pointers = np.concatenate(([0], np.cumsum(np.bincount(children, minlength=W.shape[1]))))
    return Columns(
        features.astype(np.int32),
        pointers.astype(np.int64),
        entries.astype(np.int32),
        W[features].T[children, entries].astype(np.float32),
        np.asarray(bias, dtype=np.float32),
    )


def layer_of(child_ptr, W, bias):
    """Compile the rankers of a level, given as a dense (n_features, n_children)."""
    chunks = []
    for lo, hi in zip(child_ptr[:-1], child_ptr[1:], strict=True):
        for first in range(lo, hi, CHUNK_WIDTH):
            part = slice(first, min(first + CHUNK_WIDTH, hi))
            chunks.append(compile_chunk(columns_of(W[:, part], bias[part]), W.shape[0]))
    return Layer.from_chunks(np.asarray(child_ptr, dtype=np.int64), chunks)


@dataclass
class DenseModel:
    """A label tree with the weights of every node, as dense as it gets."""

    tree: object
    weights: list
    biases: list

    def compile(self):
        n_features = self.weights[0].shape[0]
        layers = map(layer_of, self.tree.child_ptr, self.weights, self.biases)
        return Model(layers, self.tree.slot_label, self.tree.n_labels, n_features)


def quantised_model(rng, tree, n_features, density=0.5):
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


def is_product(post_processor):
    """Whether a child's score is multiplied with its parent's."""
    return (
        post_processor == "sigmoid"
        or post_processor.startswith("l")
        and post_processor[1] in "1234"
    )


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


def beam_search(model, x, *, k, beam_width, post_processor, floor=-np.inf, start=None):
    """Rank the labels of one dense query.

    start is (level, [(node, score), ...]). Returns [(label, score), ...], and how close a call the
    beam made: the smallest gap between a node kept and one dropped, relative where scores are
    products.
    """
    x = x.astype(np.float64)
    product = is_product(post_processor)
    level, beam = start or (0, [(0, 1.0 if product else 0.0)])
    closest = np.inf
    for l in range(level, model.tree.n_levels):
        pointers, W, bias = model.tree.child_ptr[l], model.weights[l], model.biases[l]
        beam = [
            (child, joined(post_processor, x @ W[:, child] + bias[child], score))
            for node, score in beam
            for child in range(pointers[node], pointers[node + 1])
        ]
        if l < model.tree.n_levels - 1:
            beam = best_first(beam)
            if len(beam) > beam_width:
                kept, dropped = beam[beam_width - 1][1], beam[beam_width][1]
                closest = min(closest, (kept - dropped) / (abs(kept) if product else 1))
            beam = beam[:beam_width]
    best = {}
    for slot, score in beam:
        label = int(model.tree.slot_label[slot])
        if score >= floor:
            best[label] = max(score, best.get(label, -np.inf))
    return best_first(best.items())[:k], closest
