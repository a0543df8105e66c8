"""The interface to C: checks the arguments, and raises exceptions for status codes."""

from ._arrays import AppendableArray, indptr_of
from ._cancel import CancelFlag, stop_if_cancelled
from ._clustering import kmeans
from ._layers import (
    CHUNK_WIDTH,
    WEIGHT_DTYPES,
    Chunk,
    Layer,
    SiblingWeights,
    chunk_pointers,
    compile_chunk,
    divide_into_chunks,
    read_chunk,
)
from ._library import ISA, Cancelled, check_array
from ._neighbors import NeighborRows, RowCombiner, combine, pack_rows
from ._ngrams import (
    ANALYZERS,
    MAX_TEXT_BYTES,
    NORMS,
    Learner,
    NGramBlock,
    NGramModel,
    NGramWeights,
    joined_rows,
)
from ._restriction import Restriction, SortedPositions
from ._search import POST_PROCESSORS, PRODUCTS, Frontier, Model, SingleRowRankerCache
from ._sparse import (
    CSRView,
    csr_check,
    csr_group_sum,
    csr_hash_rows,
    csr_rows_equal,
    csr_top_k,
    csr_transpose,
)
from ._texts import Texts, find_prefixes, sort_texts
from ._training import (
    FOR_ALL,
    FOR_OTHERS,
    FOR_POSITIVES,
    LOSSES,
    NodeExamples,
    TrainParams,
    train_columns,
)

__all__ = [
    "ANALYZERS",
    "CHUNK_WIDTH",
    "FOR_ALL",
    "FOR_OTHERS",
    "FOR_POSITIVES",
    "ISA",
    "LOSSES",
    "MAX_TEXT_BYTES",
    "NORMS",
    "POST_PROCESSORS",
    "PRODUCTS",
    "WEIGHT_DTYPES",
    "AppendableArray",
    "CSRView",
    "CancelFlag",
    "Cancelled",
    "Chunk",
    "Frontier",
    "Layer",
    "Learner",
    "Model",
    "NGramBlock",
    "NGramModel",
    "NGramWeights",
    "NeighborRows",
    "NodeExamples",
    "Restriction",
    "RowCombiner",
    "SiblingWeights",
    "SingleRowRankerCache",
    "SortedPositions",
    "Texts",
    "TrainParams",
    "check_array",
    "chunk_pointers",
    "combine",
    "compile_chunk",
    "csr_check",
    "csr_group_sum",
    "csr_hash_rows",
    "csr_rows_equal",
    "csr_top_k",
    "csr_transpose",
    "divide_into_chunks",
    "find_prefixes",
    "indptr_of",
    "joined_rows",
    "kmeans",
    "pack_rows",
    "read_chunk",
    "sort_texts",
    "stop_if_cancelled",
    "train_columns",
]
