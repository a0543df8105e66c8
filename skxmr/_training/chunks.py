"""Training of chunks of sibling nodes, in any thread or process."""

from .._core import CSRView, compile_chunk, train_columns
from .._utils.mapped_csr import MappedCSR
from .._utils.task_memory import scratch_of_task
from .relevance import as_weights


def train_chunks(X, source, weight, params, weight_dtype, chunk_data):
    """Train and compile chunks.

    Parameters
    ----------
    X : csr_matrix or MappedCSR of float32
        Canonical.
    source, weight
        As of Examples.
    params : TrainParams
    weight_dtype : {"float32", "float16"}
    chunk_data : list of tuple (NodeExamples, costs or None, seed)
        One for each chunk.

    Returns
    -------
    chunks : list of tuple (Chunk, int)
        Each chunk, and the number of passes of the solver.
    """
    view = CSRView(X)
    scratch = scratch_of_task() if isinstance(X, MappedCSR) else None
    out = []
    for examples, cost, seed in chunk_data:
        rows = (examples, source, weight)
        if cost is not None:
            rows = as_weights(examples, cost, source, weight)
        columns, n_iter = train_columns(view, *rows, params, seed, scratch)
        out.append((compile_chunk(columns, X.shape[1], weight_dtype), n_iter))
    return out
