"""Training of the rankers of sibling nodes in C."""

from typing import NamedTuple

import numpy as np

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._layers import SiblingWeights
from ._library import BYTE, FLOAT, INT, KERNELS, LONG, MAX_INT, check, ffi, lib, pointer

FOR_ALL, FOR_POSITIVES, FOR_OTHERS = lib.SKX_FOR_ALL, lib.SKX_FOR_POSITIVES, lib.SKX_FOR_OTHERS

LOSSES = {"squared_hinge": lib.SKX_SQUARED_HINGE, "log_loss": lib.SKX_LOG_LOSS}

#: Weights are emitted into scratch of this many elements at most, unless one block needs more.
_SCRATCH_WEIGHTS = 1 << 24


class TrainParams(NamedTuple):
    """What the solver is told; see XRLinearClassifier for the meaning of each."""

    loss: str
    C: float
    bias: float
    tol: float
    max_iter: int
    threshold: float


class NodeExamples(NamedTuple):
    """Examples of one node (rising) and, per child, which of them are positive (rising).

    The role of an example says which children learn from it: all, only those that it is a positive
    of, or only the others.
    """

    examples: np.ndarray
    positive_ptr: np.ndarray
    positive: np.ndarray
    role: np.ndarray | None = None


def train_columns(view, problem, source, weight, params, seed):
    """Train one linear ranker per child, all on the same examples.

    Parameters
    ----------
    view : CSRView
        The checked training matrix.
    problem : NodeExamples
    source : ndarray of int32
        The row of the matrix that holds each example's features.
    weight : ndarray of float32 or None
        The weight of each example; positive on the problem's.
    params : TrainParams
    seed : int
        Orders the examples.

    Returns
    -------
    columns : Columns
    n_iter : int
        The largest number of passes the solver made.
    """
    width = len(problem.positive_ptr) - 1
    bound = _feature_bound(view, source[problem.examples])
    capacity = max(16 * bound, min(width * bound, _SCRATCH_WEIGHTS))
    scratch = np.empty(capacity, dtype=INT), np.empty(capacity, dtype=FLOAT)
    features = np.empty(bound, dtype=INT)
    parts, done, n_iter = [], 0, 0
    while done < width or not parts:
        part, n_features, done, passes = _train_from(
            view, problem, source, weight, params, seed, done, features, scratch
        )
        parts.append(part)
        n_iter = max(n_iter, passes)
    return _join_parts(features[:n_features].copy(), parts), n_iter


def _feature_bound(view, rows):
    indptr = view.indptr
    return int(min(view.shape[1], (indptr[rows + 1] - indptr[rows]).sum()))


def _train_from(view, problem, source, weight, params, seed, first, features, scratch):
    """Train the children from `first` on, as many as fit into the scratch."""
    width = len(problem.positive_ptr) - 1
    entries, values = scratch
    col_ptr = np.empty(width - first + 1, dtype=LONG)
    bias = np.empty(width - first, dtype=FLOAT)
    buffers = (
        pointer(problem.examples, INT),
        pointer(problem.positive_ptr, LONG),
        pointer(problem.positive, INT),
        pointer(source, INT),
        pointer(weight, FLOAT) if weight is not None else ffi.NULL,
        pointer(problem.role, BYTE) if problem.role is not None else ffi.NULL,
    )
    node = ffi.new("skx_node *", [len(problem.examples), width, *buffers])
    outputs = (
        pointer(features, INT),
        pointer(col_ptr, LONG),
        pointer(entries, INT),
        pointer(values, FLOAT),
        pointer(bias, FLOAT),
    )
    out = ffi.new("skx_weight_buffers *", [len(features), len(entries), *outputs, 0])
    done, n_iter = ffi.new("int64_t *"), ffi.new("int32_t *")
    c_params = _params_struct(params, seed)
    check(
        lib.skx_train_node(KERNELS, view.struct, node, c_params, first, out, done, n_iter),
        too_large=f"the {len(problem.examples)} training rows of one tree node hold too many "
        "nonzeros: they would take more than 256 GiB",
    )
    n = done[0] - first
    part = (
        col_ptr[: n + 1],
        entries[: col_ptr[n]].copy(),
        values[: col_ptr[n]].copy(),
        bias[:n],
    )
    return part, out.n_features, done[0], n_iter[0]


def _params_struct(params, seed):
    return ffi.new(
        "skx_train_params *",
        [
            LOSSES[params.loss],
            min(params.max_iter, MAX_INT),
            params.C,
            params.bias,
            params.tol,
            params.threshold,
            seed,
            cancel_pointer(),
        ],
    )


def _join_parts(features, parts):
    """Join the weights of consecutive children whose entries point into the same features."""
    if len(parts) == 1:
        return SiblingWeights(features, *parts[0])
    counts = np.concatenate([np.diff(part[0]) for part in parts])
    col_ptr = indptr_of(counts)
    joined = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    return SiblingWeights(features, col_ptr, *joined)
