"""One measurement of LibMultiLabel's linear tree: python run_libmultilabel.py TASK WORK OUT."""

import os
import pickle

import numpy as np
import scipy.sparse as sp
from libmultilabel.linear import train_tree
from matrices import BEAM, TOP_K, load, sample, save_ranking, single_rows
from measure import call_seconds, run_task

BATCH = 256  # rows: the scores are dense, for all labels


def train(work, watch):
    """Train a tree with the defaults of the library."""
    X, Y = sp.csr_matrix(load(work, "X_train"), dtype=float), load(work, "Y_train")
    np.random.seed(0)  # noqa: NPY002, the library uses this generator
    path = work / "libmultilabel.pickle"
    path.unlink(missing_ok=True)
    model = watch.time("train", lambda: train_tree(Y, X, verbose=False))
    with open(path, "wb") as file:
        pickle.dump(model, file)
    return {"model_bytes": path.stat().st_size}


def predict(work, watch, n_rows):
    """Rank a sample of the test rows."""
    X, model = sample(load(work, "X_test"), int(n_rows)), _model(work)
    _scores(model, X[:1])  # the first call rearranges the weights
    save_ranking(work, "libmultilabel", watch.time("predict", lambda: _rank(model, X)))
    return {"n_queries": X.shape[0]}


def rows(work, watch):
    """Rank one row per call."""
    model, queries = _model(work), single_rows(load(work, "X_test"), 300)
    return {"latency": call_seconds(lambda row: _scores(model, row), queries)}


def _rank(model, X):
    parts = [X[start : start + BATCH] for start in range(0, X.shape[0], BATCH)]
    return np.vstack([_best(_scores(model, part)) for part in parts])


def _best(scores):
    best = np.argpartition(-scores, TOP_K, axis=1)[:, :TOP_K]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
    return np.take_along_axis(best, order, axis=1)


def _model(work):
    with open(work / "libmultilabel.pickle", "rb") as file:
        return pickle.load(file)


def _scores(model, X):
    return model.predict_values(X, beam_width=BEAM)


if __name__ == "__main__":
    # The library always starts one thread per core.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run_task({"train": train, "predict": predict, "rows": rows})
