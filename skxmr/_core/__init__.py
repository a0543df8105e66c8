"""The only place that touches C: checked pointers in, status codes out as exceptions."""

from ._cancel import CancelFlag, stop_if_cancelled
from ._clustering import kmeans
from ._growing import GrowingArray
from ._layers import (
    CHUNK_WIDTH,
    WEIGHT_DTYPES,
    Chunk,
    Columns,
    Layer,
    chunk_pointers,
    compile_chunk,
    read_chunk,
    regroup,
)
from ._library import ISA, Cancelled
from ._ngrams import (
    ANALYZERS,
    MOST_TEXT,
    NORMS,
    Learner,
    NGramBlock,
    NGramModel,
    NGramWeights,
    joined_rows,
)
from ._places import Places, Restriction
from ._search import POST_PROCESSORS, Frontier, KeepsRowRankers, Model
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
    NodeProblem,
    TrainParams,
    train_columns,
)
from ._voters import RowMixer, Voters, combine, pack_rows

__all__ = [
    "ANALYZERS",
    "CHUNK_WIDTH",
    "FOR_ALL",
    "FOR_OTHERS",
    "FOR_POSITIVES",
    "ISA",
    "LOSSES",
    "MOST_TEXT",
    "NORMS",
    "POST_PROCESSORS",
    "WEIGHT_DTYPES",
    "CSRView",
    "CancelFlag",
    "Cancelled",
    "Chunk",
    "Columns",
    "Frontier",
    "GrowingArray",
    "KeepsRowRankers",
    "Layer",
    "Learner",
    "Model",
    "NGramBlock",
    "NGramModel",
    "NGramWeights",
    "NodeProblem",
    "Places",
    "Restriction",
    "RowMixer",
    "Texts",
    "TrainParams",
    "Voters",
    "chunk_pointers",
    "combine",
    "compile_chunk",
    "csr_check",
    "csr_group_sum",
    "csr_hash_rows",
    "csr_rows_equal",
    "csr_top_k",
    "csr_transpose",
    "find_prefixes",
    "joined_rows",
    "kmeans",
    "pack_rows",
    "read_chunk",
    "regroup",
    "sort_texts",
    "stop_if_cancelled",
    "train_columns",
]
