"""One measurement of libpecos: python run_pecos.py train|predict WORK OUT [repeats]."""

import shutil
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from measure import Stopwatch, write_result
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

WEIGHT_TYPES = ("BINARY_SEARCH_CHUNKED", "HASH_CHUNKED")


def load(work, name):
    """Read a matrix as libpecos wants it."""
    return sp.csr_matrix(sp.load_npz(work / f"{name}.npz"), dtype=np.float32)


def train(work, out):
    """Train with the library's defaults, and leave the model and its tree for the others."""
    X, Y, watch = load(work, "X_train"), load(work, "Y_train"), Stopwatch()
    Z = watch.time("embed", lambda: LabelEmbeddingFactory.create(Y, X, method="pifa", threads=1))
    chain = watch.time("index", lambda: Indexer.gen(Z, threads=1))
    model = watch.time("train", lambda: XLinearModel.train(X, Y, C=chain, threads=1))
    shutil.rmtree(work / "pecos_model", ignore_errors=True)
    model.save(str(work / "pecos_model"))
    for level, C in enumerate(chain):
        sp.save_npz(work / f"chain_{level}.npz", C)
    size = sum(p.stat().st_size for p in (work / "pecos_model").rglob("*") if p.is_file())
    write_result(out, seconds=watch.seconds, model_bytes=size)


def predict(work, out, repeats):
    """Rank the test rows with each weight type, beam 10, 10 labels."""
    X, watch = load(work, "X_test"), Stopwatch()
    for kind in WEIGHT_TYPES:
        model = XLinearModel.load(
            str(work / "pecos_model"), is_predict_only=True, weight_matrix_type=kind
        )
        for i in range(repeats):
            P = watch.time(
                f"{kind}/{i}",
                lambda model=model: model.predict(X, beam_size=10, only_topk=10, threads=1),
            )
    np.save(work / "ranking_pecos.npy", top_labels(P, 10))
    write_result(out, seconds=watch.seconds)


def top_labels(P, k):
    """Rankings of a score matrix, padded with -1, ties by lower label."""
    labels = np.full((P.shape[0], k), -1, dtype=np.int32)
    for i in range(P.shape[0]):
        row = slice(P.indptr[i], P.indptr[i + 1])
        order = np.lexsort((P.indices[row], -P.data[row]))[:k]
        labels[i, : len(order)] = P.indices[row][order]
    return labels


if __name__ == "__main__":
    step, work, out, *rest = sys.argv[1:]
    if step == "train":
        train(Path(work), out)
    else:
        predict(Path(work), out, int(rest[0]))
