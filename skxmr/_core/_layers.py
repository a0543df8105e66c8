"""Compiled layers: the rankers of one level of the tree, as arrays in the format of the search."""

import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ._arrays import AppendableArray, indptr_of
from ._library import (
    BYTE,
    FLOAT,
    INT,
    LONG,
    MAX_INT,
    check,
    check_array,
    check_offsets,
    ffi,
    lib,
    pointer,
)

CHUNK_WIDTH = lib.SKX_CHUNK_WIDTH

#: dtypes of stored weights -> bytes of each.
WEIGHT_DTYPES = {"float32": lib.SKX_FLOAT32, "float16": lib.SKX_FLOAT16}

#: The largest finite float16.
_MAX_FLOAT16 = 65504.0

#: Number of children of a panel of dense weights.
_PANEL = lib.SKX_PANEL

#: One slot of the index of a chunk: skx_slot in the C header.
SLOT = np.dtype([("bits", "<u8"), ("base", "<u4"), ("key", "<u4")])


#: The dense weights of a chunk without dense features.
_NO_BYTES = np.empty(0, dtype=BYTE)


class SiblingWeights(NamedTuple):
    """The weights of some children of one node, one column per child.

    Parameters
    ----------
    features : ndarray of int32
        In increasing order, without repetitions.
    col_ptr : ndarray of int64, shape (n_children + 1,)
    entries : ndarray of int32
        Positions in `features`, in increasing order within a column.
    values : ndarray of float32
        The weights of child c are ``values[col_ptr[c]:col_ptr[c + 1]]``.
    bias : ndarray of float32, shape (n_children,)
    dense : ndarray of float32, shape (n_children, n_dense), optional
        The weights of the dense features, which are the last ones of the model. They are not in
        `features`.
    """

    features: np.ndarray
    col_ptr: np.ndarray
    entries: np.ndarray
    values: np.ndarray
    bias: np.ndarray
    dense: np.ndarray | None = None

    @property
    def n_dense(self) -> int:
        """Number of dense features."""
        return 0 if self.dense is None else self.dense.shape[1]


class Chunk(NamedTuple):
    """The compiled weights of at most CHUNK_WIDTH sibling nodes."""

    index: np.ndarray  # type: ignore[assignment]  # hides tuple.index
    payload: np.ndarray
    bias: np.ndarray
    weight_dtype: str
    n_dense: int = 0
    dense: np.ndarray = _NO_BYTES


def compile_chunk(columns: SiblingWeights, n_features: int, weight_dtype: str = "float32") -> Chunk:
    """Compile weights into a chunk.

    Raises
    ------
    ValueError
        If a weight is too large for the dtype, or the chunk for its format.
    """
    if weight_dtype == "float16":
        _check_float16(columns.values)
        _check_float16(columns.dense)
    n_features -= columns.n_dense
    n_siblings = len(columns.col_ptr) - 1
    struct = ffi.new(
        "skx_sibling_weights *",
        [
            n_siblings,
            len(columns.features),
            pointer(columns.features, INT),
            pointer(columns.col_ptr, LONG),
            pointer(columns.entries, INT),
            pointer(columns.values, FLOAT),
        ],
    )
    n_slots = ffi.new("int64_t *")
    n_bytes = ffi.new("int64_t *")
    value_bytes = WEIGHT_DTYPES[weight_dtype]
    check(
        lib.skx_chunk_size(struct, n_features, value_bytes, n_slots, n_bytes),
        too_large=f"the weights of {n_siblings} siblings would take more than 16 GiB; a larger "
        "threshold keeps fewer of them",
    )
    index = np.empty(n_slots[0], dtype=SLOT)
    payload = np.empty(n_bytes[0], dtype=BYTE)
    check(
        lib.skx_chunk_write(
            struct,
            n_features,
            value_bytes,
            n_slots[0],
            n_bytes[0],
            pointer(index, SLOT, "skx_slot[]"),
            pointer(payload, BYTE),
        )
    )
    dense = _NO_BYTES if columns.dense is None else _panels(columns.dense, weight_dtype)
    return Chunk(index, payload, columns.bias, weight_dtype, columns.n_dense, dense)


def _padded(n: np.ndarray) -> np.ndarray:
    """Return numbers of children, rounded up to the capacity of their rows in a panel."""
    return (n + 3) // 4 * 4


def _panels(dense: np.ndarray, weight_dtype: str) -> np.ndarray:
    """Return the weights of dense features in the format of a chunk."""
    n_children, n_dense = dense.shape
    padded = np.zeros((_padded(n_children), n_dense), dtype=weight_dtype)
    padded[:n_children] = dense
    panels = [padded[c : c + _PANEL].T.ravel() for c in range(0, len(padded), _PANEL)]
    return np.concatenate(panels).view(BYTE)


def _from_panels(chunk: Chunk) -> np.ndarray | None:
    """Undo `_panels`."""
    if chunk.n_dense == 0:
        return None
    n_children = len(chunk.bias)
    values = chunk.dense.view(chunk.weight_dtype).astype(FLOAT)
    n_padded = _padded(n_children)
    dense = np.empty((n_padded, chunk.n_dense), dtype=FLOAT)
    for c in range(0, n_padded, _PANEL):
        panel = values[c * chunk.n_dense : (c + _PANEL) * chunk.n_dense]
        dense[c : c + _PANEL] = panel.reshape(chunk.n_dense, -1).T
    return dense[:n_children]


def _check_float16(values: np.ndarray | None) -> None:
    if values is None:
        return
    largest = np.abs(values).max(initial=0)
    if largest > _MAX_FLOAT16:
        raise ValueError(
            f"weight_dtype='float16' holds weights up to {_MAX_FLOAT16:.0f}, but one is "
            f"{largest:.6g}; use 'float32', or scale X up"
        )


def read_chunk(chunk: Chunk, n_features: int, threshold: float = 0.0) -> SiblingWeights:
    """Return the weights of a chunk, without those below a threshold. Dense ones all stay.

    Raises
    ------
    ValueError
        If the chunk is malformed.
    """
    width = len(chunk.bias)
    struct, n_weights, n_rows = _checked_chunk(chunk, n_features)
    features = np.empty(n_rows, dtype=INT)
    col_ptr = np.empty(width + 1, dtype=LONG)
    entries = np.empty(n_weights, dtype=INT)
    values = np.empty(n_weights, dtype=FLOAT)
    out = ffi.new(
        "skx_weight_buffers *",
        [
            n_rows,
            n_weights,
            pointer(features, INT),
            pointer(col_ptr, LONG),
            pointer(entries, INT),
            pointer(values, FLOAT),
            ffi.NULL,
            0,
            ffi.NULL,
        ],
    )
    check(lib.skx_chunk_read(struct, n_features - chunk.n_dense, threshold, out))
    kept = col_ptr[-1]
    return SiblingWeights(
        features[: out.n_features].copy(),
        col_ptr,
        entries[:kept].copy(),
        values[:kept].copy(),
        chunk.bias,
        _from_panels(chunk),
    )


def divide_into_chunks(weights: Sequence[SiblingWeights]) -> list[SiblingWeights]:
    """Join the weights of consecutive siblings, and divide them into chunks.

    Parameters
    ----------
    weights : list of SiblingWeights

    Returns
    -------
    weights : list of SiblingWeights
        CHUNK_WIDTH siblings each, and the rest in the last one.
    """
    features = np.unique(np.concatenate([part.features for part in weights]))
    positions = [np.searchsorted(features, part.features).astype(INT) for part in weights]
    entries = np.concatenate([p[w.entries] for p, w in zip(positions, weights, strict=True)])
    pointers = indptr_of(np.concatenate([np.diff(part.col_ptr) for part in weights]))
    values = np.concatenate([part.values for part in weights])
    bias = np.concatenate([part.bias for part in weights])
    dense = None
    if weights[0].dense is not None:
        dense = np.concatenate([part.dense for part in weights])
    groups = []
    for first in range(0, len(bias), CHUNK_WIDTH):
        col_ptr = pointers[first : first + CHUNK_WIDTH + 1]
        part = slice(col_ptr[0], col_ptr[-1])
        groups.append(
            SiblingWeights(
                features,
                col_ptr - col_ptr[0],
                entries[part],
                values[part],
                bias[first : first + CHUNK_WIDTH],
                None if dense is None else dense[first : first + CHUNK_WIDTH],
            )
        )
    return groups


def prune_chunk(chunk: Chunk, n_features: int, threshold: float) -> Chunk:
    """Drop the weights below a threshold. Biases and dense weights stay.

    Raises
    ------
    ValueError
        If the chunk is malformed.
    """
    struct, _, _ = _checked_chunk(chunk, n_features)
    index = np.empty_like(chunk.index)
    payload = np.empty_like(chunk.payload)
    n_slots = ffi.new("int64_t *")
    n_bytes = ffi.new("int64_t *")
    check(
        lib.skx_chunk_prune(
            struct,
            n_features - chunk.n_dense,
            threshold,
            n_slots,
            n_bytes,
            pointer(index, SLOT, "skx_slot[]"),
            pointer(payload, BYTE),
        )
    )
    return chunk._replace(index=index[: n_slots[0]], payload=payload[: n_bytes[0]])


def _checked_chunk(chunk: Chunk, n_features: int) -> tuple[Any, int, int]:
    """Check a chunk; return its `skx_chunk` and its numbers of weights and rows.

    The struct borrows the arrays of the chunk.
    """
    struct = ffi.new(
        "skx_chunk *",
        [
            len(chunk.index),
            len(chunk.payload),
            len(chunk.bias),
            WEIGHT_DTYPES[chunk.weight_dtype],
            pointer(chunk.index, SLOT, "skx_slot[]"),
            pointer(chunk.payload, BYTE),
        ],
    )
    n_weights = ffi.new("int64_t *")
    n_rows = ffi.new("int64_t *")
    n_sparse = n_features - chunk.n_dense
    if lib.skx_chunk_check(struct, n_sparse, n_weights, n_rows) != lib.SKX_OK:
        raise ValueError("the saved model is damaged: weights are malformed")
    return struct, n_weights[0], n_rows[0]


@dataclass(frozen=True, eq=False)
class Layer:
    """The compiled rankers of all children of one level of the tree.

    Attributes
    ----------
    child_ptr : ndarray of int64, shape (n_nodes + 1,)
        As in LabelTree.
    chunk_ptr : ndarray of int64, shape (n_nodes + 1,)
        The chunks of each node; all but a node's last have CHUNK_WIDTH children.
    index_ptr, payload_ptr : ndarray of int64, shape (n_chunks + 1,)
        The part of each chunk in index, and in payload (in bytes).
    index : structured ndarray (bits, base, key)
    payload : ndarray of uint8
    bias : ndarray of float32, shape (n_children,)
        Bias weight times the value of the constant feature.
    weight_dtype : {"float32", "float16"}
        The dtype of the values in the payload.
    checksums : dict of str to int
        The expected CRC-32 of each mapped array that was not read yet. It is checked when such an
        array is copied.
    n_dense : int
        Number of dense features, the last ones of the model.
    dense : ndarray of uint8
        Weights of the dense features, chunk by chunk.
    """

    child_ptr: np.ndarray
    chunk_ptr: np.ndarray
    index_ptr: np.ndarray
    payload_ptr: np.ndarray
    index: np.ndarray
    payload: np.ndarray
    bias: np.ndarray
    weight_dtype: str = "float32"
    checksums: dict[str, int] = field(default_factory=dict)
    n_dense: int = 0
    dense: np.ndarray = field(default_factory=lambda: _NO_BYTES)

    DTYPES: ClassVar[dict[str, np.dtype]] = {
        "child_ptr": LONG,
        "chunk_ptr": LONG,
        "index_ptr": LONG,
        "payload_ptr": LONG,
        "index": SLOT,
        "payload": BYTE,
        "bias": FLOAT,
    }

    def __getstate__(self) -> dict[str, Any]:
        # A copy, because another thread may set an attribute meanwhile.
        return {name: value for name, value in vars(self).copy().items() if name != "_dense_ptr"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        missing = {"checksums": {}, "n_dense": 0, "dense": _NO_BYTES}  # in earlier pickles
        vars(self).update({**missing, **state})
        self.check_pointers()

    @classmethod
    def from_chunks(
        cls,
        child_ptr: np.ndarray,
        chunks: Iterable[Chunk],
        make_array: Callable[[np.dtype], Any] = AppendableArray,
    ) -> "Layer":
        """Join the chunks of a level, in order. An iterator is read chunk by chunk.

        `make_array` makes the arrays that are as large as the weights.
        """
        index = make_array(SLOT)
        payload = make_array(BYTE)
        bias = AppendableArray(FLOAT)
        dense = make_array(BYTE)
        weight_dtype = "float32"
        n_dense = 0
        for chunk in chunks:
            weight_dtype = chunk.weight_dtype
            n_dense = chunk.n_dense
            dense.append(chunk.dense)
            index.append(chunk.index)
            payload.append(chunk.payload)
            bias.append(chunk.bias)
        return cls(
            child_ptr=child_ptr,
            chunk_ptr=chunk_pointers(child_ptr),
            index_ptr=index.pointers(),
            payload_ptr=payload.pointers(),
            index=index.take(),
            payload=payload.take(),
            bias=bias.take(),
            weight_dtype=weight_dtype,
            n_dense=n_dense,
            dense=dense.take(),
        )

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return len(self.index_ptr) - 1

    @classmethod
    def dtypes(cls, n_dense: int) -> dict[str, np.dtype]:
        """Return the dtypes of the arrays of a layer with some number of dense features."""
        return {**cls.DTYPES, "dense": BYTE} if n_dense else cls.DTYPES

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays that are saved, by name."""
        return {name: getattr(self, name) for name in self.dtypes(self.n_dense)}

    @property
    def nbytes(self) -> int:
        """Bytes in all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def dense_ptr(self) -> np.ndarray:
        """The part of each chunk in `dense`, in bytes, as pointers of int64."""
        found = vars(self).get("_dense_ptr")
        if found is None:
            found = self._make_dense_ptr()
            vars(self)["_dense_ptr"] = found
        return found

    def _make_dense_ptr(self) -> np.ndarray:
        n_chunks = np.diff(self.chunk_ptr)
        node = np.repeat(np.arange(len(n_chunks)), n_chunks)
        before = CHUNK_WIDTH * (np.arange(self.n_chunks) - self.chunk_ptr[:-1][node])
        widths = np.minimum(np.diff(self.child_ptr)[node] - before, CHUNK_WIDTH)
        return indptr_of(_padded(widths) * (self.n_dense * WEIGHT_DTYPES[self.weight_dtype]))

    def children_of_chunk(self, c: int) -> tuple[int, int]:
        """Return the range (begin, end) of the children of chunk c."""
        node = int(np.searchsorted(self.chunk_ptr, c, side="right")) - 1
        begin = int(self.child_ptr[node]) + CHUNK_WIDTH * (c - int(self.chunk_ptr[node]))
        return begin, min(begin + CHUNK_WIDTH, int(self.child_ptr[node + 1]))

    def chunk(self, c: int) -> Chunk:
        """Return chunk c, as views."""
        begin, end = self.children_of_chunk(c)
        return Chunk(
            self.index[self.index_ptr[c] : self.index_ptr[c + 1]],
            self.payload[self.payload_ptr[c] : self.payload_ptr[c + 1]],
            self.bias[begin:end],
            self.weight_dtype,
            self.n_dense,
            self.dense[self.dense_ptr[c] : self.dense_ptr[c + 1]] if self.n_dense else _NO_BYTES,
        )

    def columns(self, c: int, n_features: int, threshold: float = 0.0) -> SiblingWeights:
        """Return the weights of chunk c, without those below a threshold."""
        return read_chunk(self.chunk(c), n_features, threshold)

    def child(self, child: int, n_features: int) -> SiblingWeights:
        """Return the weights of one child, as SiblingWeights of one column without dense features.

        Raises
        ------
        ValueError
            If the chunk is malformed, which is possible in a mapped model.
        """
        node = int(np.searchsorted(self.child_ptr, child, side="right")) - 1
        c = int(self.chunk_ptr[node]) + (child - int(self.child_ptr[node])) // CHUNK_WIDTH
        columns = self.columns(c, n_features)
        column = child - self.children_of_chunk(c)[0]
        part = slice(columns.col_ptr[column], columns.col_ptr[column + 1])
        features = columns.features[columns.entries[part]]
        values = columns.values[part]
        if columns.dense is not None:
            which = np.flatnonzero(columns.dense[column]).astype(INT)
            features = np.concatenate((features, which + INT.type(n_features - self.n_dense)))
            values = np.concatenate((values, columns.dense[column, which]))
        return SiblingWeights(
            features,
            np.array([0, len(features)], dtype=LONG),
            np.arange(len(features), dtype=INT),
            values,
            self.bias[child : child + 1],
        )

    def prune(
        self,
        n_features: int,
        threshold: float,
        bias_scale: float,
        weight_dtype: str = "float32",
        make_array: Callable[[np.dtype], Any] = AppendableArray,
    ) -> "Layer":
        """Return the layer without weights below a threshold, with weights of the given dtype.

        The weights of dense features all stay.

        A bias is dropped if its weight, which is the bias divided by ``bias_scale``, is below the
        threshold.
        """
        limit = np.float32(threshold) * np.float32(abs(bias_scale))

        def pruned(c: int) -> Chunk:
            chunk = self.chunk(c)
            bias = np.where(np.abs(chunk.bias) >= limit, chunk.bias, np.float32(0))
            if weight_dtype == self.weight_dtype:
                return prune_chunk(chunk, n_features, threshold)._replace(bias=bias)
            columns = read_chunk(chunk, n_features, threshold)
            return compile_chunk(columns._replace(bias=bias), n_features, weight_dtype)

        return Layer.from_chunks(self.child_ptr, map(pruned, range(self.n_chunks)), make_array)

    def check(self, n_features: int) -> None:
        """Raise a ValueError if an array has another dtype, or the layer is malformed."""
        self.check_pointers()
        if not 0 <= self.n_dense <= n_features:
            raise ValueError(f"the layer has {self.n_dense} dense features of {n_features}")
        if not np.isfinite(self.dense.view(self.weight_dtype)).all():
            raise ValueError("the layer's dense weights contain NaN or infinity")
        n_features -= self.n_dense
        where = ffi.new("int64_t *")
        view = LayerView(self)
        n_slots = len(self.index)
        n_bytes = len(self.payload)
        if lib.skx_layer_check(view.struct, n_features, n_slots, n_bytes, where) != lib.SKX_OK:
            raise ValueError(f"the layer's weights are malformed (node {where[0]})")

    def check_pointers(self) -> None:
        """Check what a search relies on: the pointers, and the lengths of the arrays.

        Takes time in proportion to the number of nodes, not of weights.

        Raises
        ------
        ValueError
            If an array has another dtype, or pointers contradict each other.
        """
        for name, dtype in self.dtypes(True).items():
            check_array(getattr(self, name), dtype, name)
        if self.weight_dtype not in WEIGHT_DTYPES:
            raise ValueError(f"weight_dtype is {self.weight_dtype!r:.80}")
        n_nodes = len(self.child_ptr) - 1
        if n_nodes < 0 or len(self.chunk_ptr) != n_nodes + 1 or len(self.index_ptr) < 1:
            raise ValueError("the layer's pointers have other lengths than its nodes ask for")
        if len(self.payload_ptr) != self.n_chunks + 1:
            raise ValueError("index_ptr and payload_ptr have different lengths")
        ends = {"child_ptr": self.bias, "index_ptr": self.index, "payload_ptr": self.payload}
        for name, array in ends.items():
            check_offsets(getattr(self, name), len(array), f"the layer's {name}")
        chunk_ptr = chunk_pointers(self.child_ptr)
        if chunk_ptr[-1] != self.n_chunks or not np.array_equal(self.chunk_ptr, chunk_ptr):
            raise ValueError("the layer's chunk_ptr does not give every node its chunks")
        if not isinstance(self.n_dense, numbers.Integral) or not 0 <= self.n_dense <= MAX_INT:
            raise ValueError(f"the layer's n_dense is {self.n_dense!r:.80}")
        # A product of int64 numbers could overflow.
        n_values = int(_padded(np.diff(self.child_ptr)).sum()) * int(self.n_dense)
        if len(self.dense) != n_values * WEIGHT_DTYPES[self.weight_dtype]:
            raise ValueError("the layer's dense weights have another length than its children ask")


class LayerView:
    """An `skx_layer` over the arrays of a layer, and their buffers."""

    def __init__(self, layer: Layer):
        self._buffers = [
            pointer(layer.child_ptr, LONG),
            pointer(layer.chunk_ptr, LONG),
            pointer(layer.index_ptr, LONG),
            pointer(layer.payload_ptr, LONG),
            pointer(layer.index, SLOT, "skx_slot[]"),
            pointer(layer.payload, BYTE),
            pointer(layer.bias, FLOAT),
            pointer(layer.dense_ptr, LONG) if layer.n_dense else ffi.NULL,
            pointer(layer.dense, BYTE),
        ]
        self.struct = ffi.new(
            "skx_layer *",
            [
                len(layer.child_ptr) - 1,
                layer.n_chunks,
                WEIGHT_DTYPES[layer.weight_dtype],
                *self._buffers,
            ],
        )


def chunk_pointers(child_ptr: np.ndarray) -> np.ndarray:
    """Return the pointers of the chunks of each node, given those of its children."""
    return indptr_of(-(-np.diff(child_ptr) // CHUNK_WIDTH))
