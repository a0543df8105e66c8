"""One measurement of omikuji: python run_omikuji.py TASK WORK OUT [OPTIONS]."""

import shutil

import omikuji
from matrices import BEAM, TOP_K, load, sample, save_ranking, single_rows
from measure import call_seconds, run_task, size_on_disk

N_ROWS = 20_000  # maximum number of test rows


def train(work, watch):
    """Train one tree with the defaults of the library, which reads a text file."""
    params = omikuji.Model.default_hyper_param()
    params.n_trees = 1
    path, folder = str(work / "train.txt"), work / "omikuji"
    shutil.rmtree(folder, ignore_errors=True)
    model = watch.time("train", lambda: omikuji.Model.train_on_data(path, params, n_threads=1))
    model.save(str(folder))
    return {"model_bytes": size_on_disk(folder)}


def whole(work, watch, n_trees, k):
    """Train balanced trees with two children per node or unbalanced with k; rank all rows."""
    params = omikuji.Model.default_hyper_param()
    params.n_trees = int(n_trees)
    if int(k):
        params.cluster_k, params.cluster_balanced = int(k), False
    name = " ".join(["omikuji", n_trees, k])
    path, folder = str(work / "train.txt"), work / name
    shutil.rmtree(folder, ignore_errors=True)
    model = watch.time("fit", lambda: omikuji.Model.train_on_data(path, params, n_threads=1))
    model.save(str(folder))
    model.init_prediction_thread_pool(1)
    X = load(work, "X_test")
    queries = _pairs(sample(X, N_ROWS))
    save_ranking(work, name, watch.time("predict", lambda: [_predict(model, q) for q in queries]))
    singles = [query for row in single_rows(X, 300) for query in _pairs(row)]
    latency = call_seconds(lambda query: _predict(model, query), singles)
    return {"latency": latency, "model_bytes": size_on_disk(folder)}


def predict(work, watch, n_rows):
    """Rank a sample of the test rows. The library accepts one row at a time."""
    queries = _pairs(sample(load(work, "X_test"), int(n_rows)))
    model = _model(work)
    labels = watch.time("predict", lambda: [_predict(model, query) for query in queries])
    save_ranking(work, "omikuji", labels)
    return {"n_queries": len(queries)}


def rows(work, watch):
    """Rank one row per call."""
    model = _model(work)
    queries = [query for row in single_rows(load(work, "X_test")) for query in _pairs(row)]
    return {"latency": call_seconds(lambda query: _predict(model, query), queries)}


def _model(work):
    model = omikuji.Model.load(str(work / "omikuji"))
    model.init_prediction_thread_pool(1)
    return model


def _pairs(X):
    """Return the features of each row in the format of the library."""
    rows = (slice(*X.indptr[i : i + 2]) for i in range(X.shape[0]))
    return [list(zip(X.indices[r].tolist(), X.data[r].tolist(), strict=True)) for r in rows]


def _predict(model, query):
    return [label for label, _ in model.predict(query, beam_size=BEAM, top_k=TOP_K)]


if __name__ == "__main__":
    run_task({"train": train, "predict": predict, "rows": rows, "whole": whole})
