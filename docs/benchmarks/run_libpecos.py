"""One measurement of libpecos: python run_libpecos.py TASK WORK OUT [OPTIONS]."""

import shutil

import numpy as np
import scipy.sparse as sp
from matrices import BEAM, TOP_K, load, ranking_of_scores, sample, save_ranking, single_rows
from measure import call_seconds, run_task, size_on_disk
from pecos.utils.smat_util import CsrEnsembler
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

DEFAULT = "BINARY_SEARCH_CHUNKED"  # weight type


def index(work, watch):
    """Build the tree with the defaults of the library, and save it for other measurements."""
    X, Y = load(work, "X_train"), load(work, "Y_train")
    Z = watch.time("embed", lambda: LabelEmbeddingFactory.create(Y, X, method="pifa", threads=1))
    chain = watch.time("index", lambda: Indexer.gen(Z, threads=1))
    shutil.rmtree(work / "chain", ignore_errors=True)
    (work / "chain").mkdir()
    for level, C in enumerate(chain):
        sp.save_npz(work / "chain" / f"{level}.npz", C)


def train(work, watch):
    """Train the rankers with the defaults of the library, and save the model."""
    X, Y = load(work, "X_train"), load(work, "Y_train")
    chain = [sp.csc_matrix(sp.load_npz(path)) for path in sorted((work / "chain").iterdir())]
    folder = work / "libpecos"
    shutil.rmtree(folder, ignore_errors=True)
    model = watch.time("train", lambda: XLinearModel.train(X, Y, C=chain, threads=1))
    model.save(str(folder))
    return {"model_bytes": size_on_disk(folder)}


def predict(work, watch, kind, n_rows, passes):
    """Rank a sample of the test rows with one weight type."""
    X, model = sample(load(work, "X_test"), int(n_rows)), _model(work, kind)
    for _ in range(int(passes)):
        P = watch.time("predict", lambda: _predict(model, X))
    save_ranking(work, f"libpecos {kind}", ranking_of_scores(P))
    return {"n_queries": X.shape[0]}


def rows(work, watch, kind):
    """Rank one row per call."""
    X, model = load(work, "X_test"), _model(work, kind)
    return {"latency": call_seconds(lambda row: _predict(model, row), single_rows(X))}


def beams(work, watch, kind, n_rows, *widths):
    """Rank with several beam widths."""
    X, model = sample(load(work, "X_test"), int(n_rows)), _model(work, kind)
    latency = {}
    for width in widths:
        P = watch.time(width, lambda width=width: _predict(model, X, int(width)))
        save_ranking(work, f"libpecos beam {width}", ranking_of_scores(P))
        latency[width] = call_seconds(
            lambda row, width=width: _predict(model, row, int(width)), single_rows(X, 300)
        )
    return {"latency": latency, "n_queries": X.shape[0]}


def whole(work, watch, variant, n_trees):
    """Train one or several trees with different seeds, and rank all rows with their mean scores.

    A variant is the kind of negatives, or "names": the names of the labels are additional rows.
    """
    X, Y, X_test = (load(work, name) for name in ("X_train", "Y_train", "X_test"))
    negatives = "tfn" if variant == "names" else variant
    if variant == "names":
        X, Y = _with_names(X, Y, load(work, "X_labels"))
    names = [f"libpecos {variant} {seed}" for seed in range(int(n_trees))]
    for seed, name in enumerate(names):
        watch.time("fit", lambda seed=seed: _fit(X, Y, negatives, seed)).save(str(work / name))
    models = [_model(work, DEFAULT, name) for name in names]
    P = watch.time("predict", lambda: _average(models, X_test))
    save_ranking(work, " ".join(["libpecos", variant, n_trees]), ranking_of_scores(P))
    return {
        "latency": call_seconds(lambda row: _average(models, row), single_rows(X_test)),
        "model_bytes": sum(size_on_disk(work / name) for name in names),
    }


def _with_names(X, Y, names):
    filled = np.flatnonzero(np.diff(names.indptr))
    own = sp.identity(Y.shape[1], dtype=np.float32, format="csr")[filled]
    return sp.vstack((X, names[filled])).tocsr(), sp.vstack((Y, own)).tocsr()


def _fit(X, Y, negatives, seed):
    Z = LabelEmbeddingFactory.create(Y, X, method="pifa", threads=1)
    chain = Indexer.gen(Z, threads=1, seed=seed)
    return XLinearModel.train(X, Y, C=chain, threads=1, negative_sampling_scheme=negatives)


def _average(models, X):
    rankings = [_predict(model, X) for model in models]
    return CsrEnsembler.average(*rankings) if len(rankings) > 1 else rankings[0]


def _model(work, kind, name="libpecos"):
    return XLinearModel.load(str(work / name), is_predict_only=True, weight_matrix_type=kind)


def _predict(model, X, beam=BEAM):
    return model.predict(X, beam_size=beam, only_topk=TOP_K, threads=1)


if __name__ == "__main__":
    tasks = {"index": index, "train": train, "predict": predict, "rows": rows, "beams": beams}
    run_task({**tasks, "whole": whole})
