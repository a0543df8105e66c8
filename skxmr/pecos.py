"""Loading of model folders of PECOS XR-Linear [1]_.

References
----------
.. [1] H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang and I. S. Dhillon, "PECOS: Prediction for enormous
   and correlated output spaces", Journal of Machine Learning Research 23 (2022).
"""

import json
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ._core import (
    CHUNK_WIDTH,
    WEIGHT_DTYPES,
    Layer,
    SiblingWeights,
    compile_chunk,
)
from ._ranking.post_processors import POST_PROCESSORS
from ._ranking.tree_ranker import TreeRanker
from ._utils.files import read_text
from ._utils.folder import check_folder
from ._utils.matrices import canonical_csr
from ._utils.npz import read_npz_matrix
from ._utils.params import check_option
from ._utils.sparse import group_pointers
from .linear import XRLinearClassifier
from .linear._fitted import Names, set_fitted
from .tree import LabelTree

#: Bias of a label without a path in the PECOS tree. Its score is the lowest, and the fourth power
#: of the bias is still finite.
_UNREACHABLE = np.float32(-1e9)

#: Maximum number of columns of a matrix: a constant plus a multiple of its number of entries. A
#: small file must not declare so many columns that they fill the memory.
_MAX_EMPTY_COLUMNS = 1 << 20
_MAX_COLUMNS_PER_ENTRY = 64


class _Level(NamedTuple):
    """A level of a PECOS model.

    Attributes
    ----------
    W : csr_matrix of shape (n_children, n_features) or (n_children, n_features + 1)
        Weights. The last column is that of the bias if `bias` is above 0.
    C : csr_matrix of shape (n_parents, n_children)
        The children of each parent.
    bias : float
    post_processor : str
    beam_width : int
    """

    W: sp.csr_matrix
    C: sp.csr_matrix
    bias: float
    post_processor: str
    beam_width: int


def load(folder, *, weight_dtype="float32"):
    """Load a model that was saved by PECOS as a fitted XRLinearClassifier.

    The scores are equal to those of PECOS with the same post-processor and beam width. The
    parameters `post_processor` and `beam_width` are set to the values of the saved model.

    Parameters
    ----------
    folder : str or path
        The folder that ``XLinearModel.save`` wrote. It contains ``param.json`` and the folder
        ``ranker``.
    weight_dtype : {"float32", "float16"}, default="float32"
        Data type of the weights. With "float16", the weights are rounded.

    Returns
    -------
    estimator : XRLinearClassifier
        A fitted classifier for a sparse indicator y. Its `indexer_` is None.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged or is not a regular file, if the model is of another kind, or if the
        levels contradict each other.

    Notes
    -----
    Ties between nodes of an inner level are broken by the lower node of `tree_`. The nodes have the
    same order as in PECOS if the children of each node are contiguous, as in the trees of PECOS's
    indexer. A label without a path in the PECOS tree is added to the last cluster, with the lowest
    possible score.
    """
    check_option(weight_dtype, "weight_dtype", tuple(WEIGHT_DTYPES))
    folder = check_folder(folder)
    if not (folder / "ranker" / "param.json").exists():
        raise FileNotFoundError(
            f"{folder} is not a model folder of PECOS: XLinearModel.save writes param.json and a "
            "folder ranker, which holds param.json and a folder 0.model, 1.model, ... per level"
        )
    ranker = _read_json(folder / "ranker" / "param.json")
    if ranker.get("model") != "HierarchicalMLModel":
        raise ValueError(f"{folder} holds a {ranker.get('model')!r}, not a HierarchicalMLModel")
    depth = _integer(ranker, "depth", folder)
    levels = [_read_level(folder / "ranker" / f"{d}.model") for d in range(depth)]
    n_features = _integer(ranker, "nr_features", folder)
    n_labels = _integer(ranker, "nr_labels", folder)
    _check_levels(levels, n_features, n_labels, folder)
    return _to_estimator(levels, n_features, n_labels, weight_dtype)


def _read_json(path):
    try:
        content = json.loads(read_text(path).decode("utf-8-sig"))  # may have a BOM
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def _integer(content, key, path):
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"{path}: {key} must be a positive integer, got {value!r}")
    return value


def _read_level(folder):
    params = _read_json(folder / "param.json")
    W = _transposed(folder / "W.npz")
    C = sp.csr_matrix(np.ones((1, W.shape[0]), dtype=np.float32))
    if (folder / "C.npz").exists():
        C = _transposed(folder / "C.npz")
    options = params.get("pred_kwargs")
    if not isinstance(options, dict):
        options = {}
    post_processor = options.get("post_processor", "l3-hinge")
    if not isinstance(post_processor, str) or post_processor not in POST_PROCESSORS:
        raise ValueError(f"{folder}: unknown post_processor {post_processor!r}")
    bias = params.get("bias", -1.0)
    if isinstance(bias, bool) or not isinstance(bias, (int, float)) or not np.isfinite(bias):
        raise ValueError(f"{folder}: bias must be a finite number, got {bias!r}")
    return _Level(W, C, float(bias), post_processor, _beam_width(options, folder))


def _beam_width(options, folder):
    return _integer(options, "only_topk", folder) if "only_topk" in options else 10


def _transposed(path):
    """Read the transpose of a matrix. The memory for a CSC matrix does not depend on its rows."""
    matrix = read_npz_matrix(path)
    if matrix.shape[1] > _MAX_EMPTY_COLUMNS + _MAX_COLUMNS_PER_ENTRY * matrix.nnz:
        raise ValueError(f"{path} claims {matrix.shape[1]} columns for {matrix.nnz} entries")
    return canonical_csr(matrix.T, str(path))


def _check_levels(levels, n_features, n_labels, folder):
    n_nodes = 1
    for d, level in enumerate(levels):
        rows = n_features + (level.bias > 0)
        n_children = level.W.shape[0]
        if level.W.shape[1] != rows or level.C.shape != (n_nodes, n_children):
            raise ValueError(
                f"{folder}: level {d} has W of shape {level.W.shape[::-1]} and C of "
                f"{level.C.shape[::-1]}, expected {rows} rows and ({n_children}, {n_nodes})"
            )
        if d < len(levels) - 1 and np.bincount(level.C.indices).max(initial=0) > 1:
            raise ValueError(f"{folder}: a node of level {d} has several parents; only labels may")
        if level.post_processor != levels[0].post_processor:
            raise ValueError(f"{folder}: the levels have different values of post_processor")
        n_nodes = n_children
    if n_nodes != n_labels:
        raise ValueError(f"{folder}: the last level has {n_nodes} labels, expected {n_labels}")


def _to_estimator(levels, n_features, n_labels, weight_dtype):
    child_ptr = []
    layers = []
    nodes = np.zeros(1, dtype=np.int32)
    for d, level in enumerate(levels):
        pointers, children = _children(level.C, nodes)
        weights, bias = _weights(level, n_features, children)
        if d == len(levels) - 1:
            missing = np.setdiff1d(np.arange(n_labels, dtype=np.int32), children)
            pointers, children, weights, bias = _append(missing, pointers, children, weights, bias)
        layers.append(_compile(pointers, weights, bias, n_features, weight_dtype))
        child_ptr.append(pointers)
        nodes = children
    tree = LabelTree(child_ptr, nodes)
    estimator = XRLinearClassifier(
        bias=max(0.0, levels[-1].bias),
        weight_dtype=weight_dtype,
        post_processor=levels[-1].post_processor,
        beam_width=levels[0].beam_width,
        n_neighbors=None,
    )
    set_fitted(
        estimator,
        trees=(tree,),
        rankers=(TreeRanker(layers, tree.slot_label, n_labels, n_features),),
        indexer=None,
        neighbors=None,
        weighting=None,
        classes=Names(values=np.arange(n_labels)),
        container="spmatrix",
        n_iter=1,
        n_features=n_features,
        feature_names=None,
    )
    return estimator


def _children(C, nodes):
    """Return the pointers and the PECOS numbers of the children of the given nodes."""
    chosen = C[nodes]
    return chosen.indptr.astype(np.int64), chosen.indices.astype(np.int32)


def _weights(level, n_features, children):
    """Return the weights of the children, one row per child, and their biases."""
    W = level.W[children]
    rows = np.repeat(np.arange(len(children)), np.diff(W.indptr))
    is_bias = W.indices == n_features
    bias = np.zeros(len(children), dtype=np.float32)
    bias[rows[is_bias]] = W.data[is_bias] * np.float32(level.bias)
    indptr = group_pointers(rows[~is_bias], len(children))
    parts = (W.data[~is_bias], W.indices[~is_bias], indptr)
    return sp.csr_matrix(parts, shape=(len(children), n_features)), bias


def _append(missing, pointers, children, weights, bias):
    """Append labels without a slot to the last cluster."""
    pointers[-1] += len(missing)
    empty = sp.csr_matrix((len(missing), weights.shape[1]), dtype=np.float32)
    return (
        pointers,
        np.concatenate([children, missing]),
        sp.vstack([weights, empty], format="csr", dtype=np.float32),
        np.concatenate([bias, np.full(len(missing), _UNREACHABLE)]),
    )


def _compile(pointers, weights, bias, n_features, weight_dtype):
    chunks = []
    for first, last in pairwise(pointers.tolist()):
        for begin in range(first, last, CHUNK_WIDTH):
            siblings = _sibling_weights(weights, bias, begin, min(begin + CHUNK_WIDTH, last))
            chunks.append(compile_chunk(siblings, n_features, weight_dtype))
    return Layer.from_chunks(pointers, chunks)


def _sibling_weights(weights, bias, begin, end):
    first = weights.indptr[begin]
    entries = slice(first, weights.indptr[end])
    features, positions = np.unique(weights.indices[entries], return_inverse=True)
    return SiblingWeights(
        features.astype(np.int32),
        (weights.indptr[begin : end + 1] - first).astype(np.int64),
        positions.astype(np.int32),
        np.ascontiguousarray(weights.data[entries], dtype=np.float32),
        bias[begin:end],
    )
