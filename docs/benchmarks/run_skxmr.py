"""One measurement of skxmr: python run_skxmr.py TASK WORK OUT [OPTIONS].

The model of a task is one of VARIANTS, or "libpecos": the model that libpecos trained.
"""

import shutil

import scipy.sparse as sp
from matrices import BEAM, TOP_K, load, sample, save_ranking, single_rows
from measure import call_seconds, run_task, size_on_disk

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.embeddings import pifa

OPENINGS = 11  # the first one fills the page cache

#: Settings of the trees of libpecos.
BALANCED = KMeansIndexer(branching=16, max_leaf_size=100, balanced=True)

VARIANTS = {
    "same tree": lambda work: {"indexer": _libpecos_tree(work)},
    "defaults": lambda work: {},
    "balanced": lambda work: {"indexer": BALANCED},
    "wide": lambda work: {"indexer": KMeansIndexer(branching=32, balanced=False)},
    "half": lambda work: {"weight_dtype": "float16"},
}


def index(work, watch):
    """Build a tree with the settings of libpecos."""
    X, Y = load(work, "X_train"), load(work, "Y_train")
    Z = watch.time("embed", lambda: pifa(X, Y, n_jobs=1))
    indexer = KMeansIndexer(**BALANCED.get_params()).set_params(random_state=0, n_jobs=1)
    watch.time("index", lambda: indexer.fit(Z))


def train(work, watch, variant, n_jobs):
    """Fit, and save the model for the ranking."""
    X, Y = load(work, "X_train"), load(work, "Y_train")
    clf = XRLinearClassifier(
        **VARIANTS[variant](work), n_neighbors=None, random_state=0, n_jobs=int(n_jobs)
    )
    watch.time("train", lambda: clf.fit(X, Y))
    folder = _folder(work, variant)
    shutil.rmtree(folder, ignore_errors=True)
    clf.save(folder)
    return {"model_bytes": size_on_disk(folder), "tree": repr(clf.tree_)}


def predict(work, watch, variant, n_jobs, passes):
    """Rank all test rows."""
    X, clf = load(work, "X_test"), _model(work, variant).set_params(n_jobs=int(n_jobs))
    for _ in range(int(passes)):
        labels, _ = watch.time("predict", lambda: clf.rank(X, TOP_K))
    save_ranking(work, f"skxmr {variant}", labels)
    return {"n_queries": X.shape[0]}


def rows(work, watch, variant):
    """Rank one row per call."""
    X, clf = load(work, "X_test"), _model(work, variant)
    return {"latency": call_seconds(lambda row: clf.rank(row, TOP_K), single_rows(X))}


def beams(work, watch, variant, n_rows, *widths):
    """Rank with several beam widths."""
    X, clf = sample(load(work, "X_test"), int(n_rows)), _model(work, variant)
    latency = {}
    for width in widths:
        clf.set_params(beam_width=int(width))
        labels, _ = watch.time(width, lambda: clf.rank(X, TOP_K))
        save_ranking(work, f"skxmr {variant} beam {width}", labels)
        latency[width] = call_seconds(lambda row: clf.rank(row, TOP_K), single_rows(X, 300))
    return {"latency": latency, "n_queries": X.shape[0]}


def opening(work, watch, variant):
    """Open a saved model with mmap, several times."""
    folder = _folder(work, variant)
    for _ in range(OPENINGS):
        watch.time("open", lambda: skxmr.load(folder, mmap=True))


def _libpecos_tree(work):
    """Read the cluster matrices of libpecos, where the children of a node are contiguous."""
    chain = [sp.csc_matrix(sp.load_npz(path)) for path in sorted((work / "chain").iterdir())]
    return skxmr.LabelTree([C.indptr for C in chain], chain[-1].indices)


def _folder(work, variant):
    return work / f"skxmr {variant}"


def _model(work, variant):
    if variant == "libpecos":
        clf = skxmr.pecos.load(work / "libpecos")
    else:
        clf = skxmr.load(_folder(work, variant))
    return clf.set_params(beam_width=BEAM, n_jobs=1)


if __name__ == "__main__":
    tasks = {"index": index, "train": train, "predict": predict, "rows": rows, "beams": beams}
    run_task({**tasks, "open": opening})
