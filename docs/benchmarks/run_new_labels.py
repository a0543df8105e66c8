"""Compare labels added to a model with a new fit, and write the tables of NEW_LABELS.md.

    python docs/benchmarks/run_new_labels.py --work WORK [--corpora CORPORA] [--data NAME ...]

The data sets are those of compare.py. They are created in WORK if they do not exist. Labels drawn
at random are omitted from a fit and then added. All test rows are ranked, with one thread. Nearest
neighbors are disabled, because they include new labels without any training.
"""

import argparse
import copy
import gc
import json
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from data import prepare
from matrices import TOP_K, load
from measure import Stopwatch

from skxmr import XRLinearClassifier
from skxmr.metrics import precision_at_k

FRACTIONS = (0.01, 0.1)

#: name -> options of add_labels, and its rows
SETTINGS = {
    "add_labels": ({}, "all"),
    "1 cluster": ({"clusters_per_label": 1}, "all"),
    "6 clusters": ({"clusters_per_label": 6}, "all"),
    "retrain_siblings=True": ({"retrain_siblings": True}, "all"),
    "cluster of the indexer": ({"placement": "indexer"}, "all"),
    "new rows and a tenth of the others": ({}, "some"),
    "new rows only": ({}, "new"),
}
MEASURES = ("P@1", "P@3", "P@5", "new R@5", "new R@10", "old R@5")


class Task:
    """Matrices of a data set; the last columns of Y are the labels to be added."""

    def __init__(self, work, fraction):
        X, Y, X_test, Y_test = (load(work, n) for n in ("X_train", "Y_train", "X_test", "Y_test"))
        rng = np.random.default_rng(0)
        order = rng.permutation(Y.shape[1])
        self.n_known = Y.shape[1] - max(1, round(fraction * Y.shape[1]))
        self.X, self.Y, self.X_test, self.Y_test = X, Y[:, order], X_test, Y_test[:, order]
        is_new = np.diff(self.Y[:, self.n_known :].indptr) > 0
        some = is_new | (rng.random(len(is_new)) < 0.1)
        everyone = np.ones(len(is_new), dtype=bool)
        self.rows = {"all": everyone, "some": some, "new": is_new}
        self.rows = {name: np.flatnonzero(rows) for name, rows in self.rows.items()}

    def quality(self, clf):
        labels, _ = clf.rank(self.X_test, TOP_K)
        found = {f"P@{k}": precision_at_k(self.Y_test, labels, k=k) for k in (1, 3, 5)}
        for k in (5, 10):
            old, new = self.recalls(labels[:, :k])
            found |= {f"old R@{k}": old, f"new R@{k}": new}
        return found

    def recalls(self, labels):
        """Return the fractions of the occurrences of old and of new labels that are ranked."""
        pointers = np.arange(0, labels.size + 1, labels.shape[1])
        ones = np.ones(labels.size, dtype=np.float32)
        ranked = sp.csr_matrix((ones, labels.ravel().clip(0), pointers), shape=self.Y_test.shape)
        hits = self.Y_test.multiply(ranked).tocsc()
        parts = slice(None, self.n_known), slice(self.n_known, None)
        return [float(hits[:, part].nnz / self.Y_test[:, part].nnz) for part in parts]


def measured(task, name, step, make):
    gc.collect()
    watch = Stopwatch()
    clf = watch.time(step, make)
    found = task.quality(clf) | {"cpu_s": watch.seconds[step][0]["cpu"]}
    print(name, {k: round(v, 4) for k, v in found.items()}, flush=True)
    return clf, found


def measure(work, fraction):
    task = Task(work, fraction)
    params = {"random_state": 0, "n_jobs": 1, "n_neighbors": None}
    n_rows = {name: len(rows) for name, rows in task.rows.items()}
    found = {"n_labels": task.Y.shape[1], "n_new": task.Y.shape[1] - task.n_known, "rows": n_rows}

    def fit(n_labels):
        return XRLinearClassifier(**params).fit(task.X, task.Y[:, :n_labels])

    _, found["new fit"] = measured(task, "new fit", "fit", lambda: fit(None))
    old, found["fit without them"] = measured(
        task, "fit without them", "fit", lambda: fit(task.n_known)
    )
    for name, (options, which) in SETTINGS.items():
        rows = task.rows[which]
        add = partial(copy.deepcopy(old).add_labels, task.X[rows], task.Y[rows], **options)
        _, found[name] = measured(task, name, "add", add)
    return found


def table(name, fraction, found):
    rows = found["rows"]
    lines = [
        f"\n## {name}, {100 * fraction:g} % of the labels\n",
        f"{found['n_new']:,} of {found['n_labels']:,} labels are new; {rows['new']:,} of "
        f"{rows['all']:,} training rows have one.\n",
        "| | " + " | ".join(MEASURES) + " | CPU s |",
        "| --- |" + " ---: |" * (len(MEASURES) + 1),
    ]
    for setting in ("new fit", "fit without them", *SETTINGS):
        values = found[setting]
        cells = [f"{100 * values[m]:.2f}" for m in MEASURES]
        lines.append(f"| {setting} | " + " | ".join([*cells, f"{values['cpu_s']:.2f}"]) + " |")
    return lines


def write_report(results, path):
    """Replace the tables after the text of the page."""
    text = path.read_text().split("\n## ")[0] if path.exists() else "# New labels\n"
    tables = [
        line
        for name, fractions in results.items()
        for fraction, found in fractions.items()
        for line in table(name, float(fraction), found)
    ]
    path.write_text(text.rstrip("\n") + "\n" + "\n".join(tables) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", nargs="*", default=["sample"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # rows are omitted on purpose
    path = options.out / "new_labels.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in options.data:
        prepare(name, options.work / name, options.corpora)
        for fraction in FRACTIONS:
            print(name, fraction)
            results.setdefault(name, {})[str(fraction)] = measure(options.work / name, fraction)
            path.write_text(json.dumps(results, indent=1) + "\n")
    write_report(results, options.out / "NEW_LABELS.md")


if __name__ == "__main__":
    main()
