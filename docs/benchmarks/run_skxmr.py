"""One measurement of skxmr: python run_skxmr.py train TREE|predict TREE WORK OUT [repeats].

TREE is "default", the classifier's own defaults, or "pecos", the tree that libpecos built.
"predict pecos" ranks with the model that libpecos trained.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from measure import Stopwatch, write_result

import skxmr


def load(work, name):
    """Read a matrix."""
    return sp.load_npz(work / f"{name}.npz")


def pecos_tree(work):
    """Read the chain of cluster matrices that libpecos made; children are contiguous there."""
    paths = sorted(work.glob("chain_*.npz"))
    chain = [sp.csc_matrix(sp.load_npz(path)) for path in paths]
    return skxmr.LabelTree([C.indptr for C in chain], chain[-1].indices)


def train(tree, work, out):
    """Train and leave the model for prediction."""
    X, Y, watch = load(work, "X_train"), load(work, "Y_train"), Stopwatch()
    indexer = pecos_tree(work) if tree == "pecos" else None
    clf = skxmr.XRLinearClassifier(indexer, random_state=0, n_jobs=1)
    watch.time("fit", lambda: clf.fit(X, Y))
    folder = work / f"skxmr_{tree}"
    clf.save(folder)
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    np.save(work / f"ranking_skxmr_{tree}.npy", clf.rank(load(work, "X_test"), 10)[0])
    write_result(out, seconds=watch.seconds, model_bytes=size, tree=repr(clf.tree_))


def predict(tree, work, out, repeats):
    """Rank the test rows, beam 10, 10 labels."""
    X, watch = load(work, "X_test"), Stopwatch()
    clf = skxmr.pecos.load(work / "pecos_model") if tree == "pecos" else None
    clf = clf or skxmr.load(work / f"skxmr_{tree}")
    clf.set_params(beam_width=10, n_jobs=1)
    for i in range(repeats):
        labels, _ = watch.time(f"{tree}/{i}", lambda: clf.rank(X, 10))
    name = "ranking_pecos_model_in_skxmr" if tree == "pecos" else f"ranking_skxmr_{tree}"
    np.save(work / f"{name}.npy", labels)
    write_result(out, seconds=watch.seconds)


if __name__ == "__main__":
    step, tree, work, out, *rest = sys.argv[1:]
    if step == "train":
        train(tree, Path(work), out)
    else:
        predict(tree, Path(work), out, int(rest[0]))
