"""Saves small models of several kinds, and what they rank, with the skxmr that is installed.

    python tests/data/saved/make.py FOLDER

What lies beside this file was written by skxmr 0.1.0, format version 4. Do not make it again: it
stands for models that users have.
"""

import pickle
import shutil
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from scipy import sparse as sp

from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    PropensityReranker,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr.completion import SessionQueryCompleter
from skxmr.metrics import join_ranking_scorers, ndcg_at_5_scorer, precision_at_1_scorer

N_ROWS, N_FEATURES, N_LABELS = 60, 14, 9
WORDS = np.array("oak elm ash élan birch beech alder aspen larch".split())


def models():
    """The features, and one fitted classifier of each kind."""
    rng = np.random.default_rng(0)
    X = sp.random(N_ROWS, N_FEATURES, 0.4, "csr", dtype=np.float32, random_state=0)
    Y = (rng.random((N_ROWS, N_LABELS)) < 0.2).astype(np.float32)
    Y[np.arange(N_LABELS), np.arange(N_LABELS)] = 1
    codes = Y.argmax(axis=1)
    frame = pd.DataFrame(X.toarray(), columns=[f"f{j}" for j in range(N_FEATURES)])
    clusters = KMeansIndexer(branching=2, max_leaf_size=3)
    return X, {
        "trees": XRLinearClassifier(clusters, n_trees=2, n_neighbors=3, random_state=0).fit(
            frame, WORDS[codes]
        ),
        "float16": XRLinearClassifier(
            TrieIndexer(max_leaf_size=2), weight_dtype="float16", n_neighbors=None, random_state=0
        ).fit(X, WORDS.astype(object)[codes]),
        "sparse": XRLinearClassifier(
            clusters, max_clusters_per_label=2, loss="log_loss", n_neighbors=2, random_state=0
        ).fit(X, sp.csr_array(Y)),
        "hybrid": XRLinearClassifier(
            TrieHybridIndexer(trie_depth=1, max_leaf_size=3), random_state=0
        ).fit(X, WORDS[codes]),
    }


def others():
    """Scorers, wrappers and an explanation."""
    X, y = np.eye(4, dtype=np.float32).repeat(5, axis=0), np.arange(20) // 5
    clf = XRLinearClassifier(random_state=0)
    joined = {"p": precision_at_1_scorer, "n": ndcg_at_5_scorer}
    return {
        "scorers": [precision_at_1_scorer, join_ranking_scorers(joined)],
        "calibrated": CalibratedRanker(clf, cv=2, random_state=0, method="sigmoid").fit(X, y),
        "reranker": PropensityReranker(clf).fit(X, y),
        "explanation": clf.fit(X, y).explain(X[:1], 2),
    }


def main():
    out = Path(sys.argv[1])
    X, fitted = models()
    expected = {"X": X.toarray()}
    for name, clf in fitted.items():
        with tempfile.TemporaryDirectory() as folder:
            clf.save(folder)
            shutil.make_archive(str(out / name), "zip", folder)
        (out / f"{name}.pickle").write_bytes(pickle.dumps(clf))
        rows = pd.DataFrame(expected["X"], columns=clf.feature_names_in_) if name == "trees" else X
        expected[f"{name}.labels"], expected[f"{name}.scores"] = clf.rank(rows, 5)
    joblib.dump(fitted["trees"], out / "trees.joblib")
    pairs = [("oak tree", "e"), ("oak tree", "b"), ("elm", "as"), ("", "la"), ("oak", "bee")]
    queries = ["elm leaf", "birch", "ash", "larch", "beech"]
    completer = SessionQueryCompleter(random_state=0).fit(pairs, queries)
    (out / "completer.pickle").write_bytes(pickle.dumps(completer))
    expected["completer.labels"], expected["completer.scores"] = completer.rank(pairs, 3)
    np.savez_compressed(out / "expected.npz", **expected)
    (out / "others.pickle").write_bytes(pickle.dumps(others()))


if __name__ == "__main__":
    main()
