"""Training of the rankers of sibling nodes in C."""

from typing import Any, NamedTuple

import numpy as np

from ._arrays import indptr_of
from ._cancel import cancel_pointer
from ._layers import SiblingWeights
from ._library import BYTE, FLOAT, INT, KERNELS, LONG, MAX_INT, check, ffi, lib, pointer
from ._scratch import Scratch, scratch_fields
from ._sparse import CSRView
from ._view import CStruct

FOR_ALL = lib.SKX_FOR_ALL
FOR_POSITIVES = lib.SKX_FOR_POSITIVES
FOR_OTHERS = lib.SKX_FOR_OTHERS

LOSSES = {"squared_hinge": lib.SKX_SQUARED_HINGE, "log_loss": lib.SKX_LOG_LOSS}

#: Capacity of the scratch arrays for weights, unless one block needs more.
_SCRATCH_WEIGHTS = 1 << 24


class TrainParams(NamedTuple):
    """Parameters of the solver; XRLinearClassifier describes them."""

    loss: str
    C: float
    bias: float
    tol: float
    max_iter: int
    threshold: float
    #: Number of last features with dense weights.
    n_dense: int = 0


class NodeExamples(NamedTuple):
    """The training examples of one node.

    Parameters
    ----------
    examples : ndarray of int32
        Numbers of the examples, in increasing order.
    positive_ptr : ndarray of int64, shape (n_children + 1,)
    positive : ndarray of int32
        The positives of child c are ``positive[positive_ptr[c]:positive_ptr[c + 1]]``, in
        increasing order.
    role : ndarray of uint8, optional
        Which children learn from each example: all (FOR_ALL), those that it is a positive of
        (FOR_POSITIVES), or the others (FOR_OTHERS). Default: all.
    """

    examples: np.ndarray
    positive_ptr: np.ndarray
    positive: np.ndarray
    role: np.ndarray | None = None


def train_columns(
    view: CSRView,
    problem: NodeExamples,
    source: np.ndarray,
    weight: np.ndarray | None,
    params: TrainParams,
    seed: int,
    scratch: Scratch | None = None,
) -> tuple[SiblingWeights, int]:
    """Train one linear ranker per child, all on the same examples.

    Parameters
    ----------
    view : CSRView
        The checked training matrix.
    problem : NodeExamples
    source : ndarray of int32
        The row of the matrix with the features of each example.
    weight : ndarray of float32 or None
        The weight of each example; positive for those of the problem.
    params : TrainParams
    seed : int
        Seed of the order of the examples.
    scratch : Scratch, optional
        For the copy of the examples. By default, it is always in memory.

    Returns
    -------
    weights : SiblingWeights
    n_iter : int
        The largest number of passes of the solver.
    """
    node = _node_struct(problem, source, weight)
    n_bytes = 0
    if scratch is not None:
        n_bytes = lib.skx_train_bytes(view.struct, node.struct, params.n_dense)
    with scratch_fields(scratch, n_bytes) as memory:
        c_params = _params_struct(params, seed, memory)
        return _train_in_blocks(view, problem, source, node, params.n_dense, c_params)


def _train_in_blocks(
    view: CSRView,
    problem: NodeExamples,
    source: np.ndarray,
    node: CStruct,
    n_dense: int,
    c_params: Any,
) -> tuple[SiblingWeights, int]:
    """Train as many children at a time as fit into the scratch arrays for weights."""
    width = len(problem.positive_ptr) - 1
    bound = _feature_bound(view, source[problem.examples])
    capacity = max(16 * bound, min(width * bound, _SCRATCH_WEIGHTS))
    features = np.empty(bound, dtype=INT)
    entries = np.empty(capacity, dtype=INT)
    values = np.empty(capacity, dtype=FLOAT)
    done = ffi.new("int64_t *")
    passes = ffi.new("int32_t *")
    parts: list[tuple[np.ndarray, ...]] = []
    n_iter = 0
    while done[0] < width or not parts:
        begin = done[0]
        col_ptr = np.empty(width - begin + 1, dtype=LONG)
        bias = np.empty(width - begin, dtype=FLOAT)
        dense = np.empty((width - begin, n_dense), dtype=FLOAT) if n_dense else None
        out = ffi.new(
            "skx_weight_buffers *",
            [
                len(features),
                len(entries),
                pointer(features, INT),
                pointer(col_ptr, LONG),
                pointer(entries, INT),
                pointer(values, FLOAT),
                pointer(bias, FLOAT),
                0,
                ffi.NULL if dense is None else pointer(dense.reshape(-1), FLOAT),
            ],
        )
        check(
            lib.skx_train_node(
                KERNELS, view.struct, node.struct, c_params, begin, out, done, passes
            ),
            too_large=f"the {len(problem.examples)} training rows of one tree node hold too many "
            "nonzeros: they would take more than 256 GiB",
        )
        n = done[0] - begin
        used = col_ptr[n]
        weights = (entries[:used].copy(), values[:used].copy(), bias[:n])
        parts.append((col_ptr[: n + 1], *weights, None if dense is None else dense[:n]))
        n_iter = max(n_iter, passes[0])
    return _join_parts(features[: out.n_features].copy(), parts), n_iter


def _feature_bound(view: CSRView, rows: np.ndarray) -> int:
    """Bound the number of features of some rows."""
    indptr = view.indptr
    return int(min(view.shape[1], (indptr[rows + 1] - indptr[rows]).sum()))


def _node_struct(problem: NodeExamples, source: np.ndarray, weight: np.ndarray | None) -> CStruct:
    """Make an `skx_node`."""
    arrays = (
        pointer(problem.examples, INT),
        pointer(problem.positive_ptr, LONG),
        pointer(problem.positive, INT),
        pointer(source, INT),
        pointer(weight, FLOAT) if weight is not None else ffi.NULL,
        pointer(problem.role, BYTE) if problem.role is not None else ffi.NULL,
    )
    n_children = len(problem.positive_ptr) - 1
    return CStruct(ffi.new("skx_node *", [len(problem.examples), n_children, *arrays]), arrays)


def _params_struct(params: TrainParams, seed: int, scratch: list[Any]) -> Any:
    """Make an `skx_train_params`."""
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
            params.n_dense,
            scratch,
        ],
    )


def _join_parts(features: np.ndarray, parts: list[tuple[np.ndarray, ...]]) -> SiblingWeights:
    """Join the weights of consecutive children whose entries point into the same features."""
    if len(parts) == 1:
        return SiblingWeights(features, *parts[0])
    counts = np.concatenate([np.diff(part[0]) for part in parts])
    entries, values, bias = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
    dense = None if parts[0][4] is None else np.concatenate([part[4] for part in parts])
    return SiblingWeights(features, indptr_of(counts), entries, values, bias, dense)
