"""One measurement of napkinXC: python run_napkinxc.py TASK WORK OUT [OPTIONS]."""

import shutil

from matrices import TOP_K, load, sample, save_ranking, single_rows
from measure import call_seconds, run_task, size_on_disk
from napkinxc.models import PLT

N_ROWS = 20_000  # maximum number of test rows


def train(work, watch):
    """Train a probabilistic label tree with the defaults of the library."""
    X, Y, folder = load(work, "X_train"), load(work, "Y_train"), work / "napkinxc"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    labels = [Y.indices[slice(*Y.indptr[i : i + 2])].tolist() for i in range(Y.shape[0])]
    model = PLT(str(folder), threads=1, verbose=False)
    watch.time("train", lambda: model.fit(X, labels))
    return {"model_bytes": size_on_disk(folder)}


def whole(work, watch):
    """Train with the defaults of the library, and rank all rows."""
    size = train(work, watch)
    X, model = load(work, "X_test"), _model(work)
    few = sample(X, N_ROWS)
    save_ranking(
        work, "napkinxc whole", watch.time("predict", lambda: model.predict(few, top_k=TOP_K))
    )
    queries = single_rows(X, 300)
    return size | {"latency": call_seconds(lambda row: model.predict(row, top_k=TOP_K), queries)}


def predict(work, watch, n_rows):
    """Rank a sample of the test rows."""
    X, model = sample(load(work, "X_test"), int(n_rows)), _model(work)
    save_ranking(work, "napkinxc", watch.time("predict", lambda: model.predict(X, top_k=TOP_K)))
    return {"n_queries": X.shape[0]}


def rows(work, watch):
    """Rank one row per call."""
    model, queries = _model(work), single_rows(load(work, "X_test"))
    return {"latency": call_seconds(lambda row: model.predict(row, top_k=TOP_K), queries)}


def _model(work):
    model = PLT(str(work / "napkinxc"), threads=1, verbose=False)
    model.load()
    return model


if __name__ == "__main__":
    run_task({"train": train, "predict": predict, "rows": rows, "whole": whole})
