"""Compare neighbors with one of the best labels with neighbors among all rows; write NEIGHBORS.md.

    python docs/benchmarks/run_neighbors.py --work WORK [--corpora CORPORA] [--data NAME ...]

"All rows" uses exact cosines of a query with all training rows, computed by SciPy. The scores of
the neighbors are combined in the same way.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from data import prepare
from matrices import load, sample
from sklearn.preprocessing import normalize

from skxmr import XRLinearClassifier
from skxmr._core import NeighborList, combine
from skxmr._ranking import ensemble
from skxmr.metrics import precision_at_k

N_ROWS = 2000  # test rows, at equal distances
BLOCK = 100  # number of queries that are compared with all rows at once
N_NEIGHBOR_LABELS = (5, 10, 20, 50)


def exact_neighbors(clf, X, queries, n_neighbors):
    """Return the most similar of all rows, and the time per query in microseconds."""
    rows = normalize(X[clf._fitted.neighbors.source]).T.tocsr()
    queries = normalize(queries)
    parts = []
    start = time.process_time()
    for lo in range(0, queries.shape[0], BLOCK):
        similarity = (queries[lo : lo + BLOCK] @ rows).toarray()
        best = np.argpartition(-similarity, n_neighbors, axis=1)[:, :n_neighbors]
        order = np.argsort(-np.take_along_axis(similarity, best, axis=1), axis=1)
        best = np.take_along_axis(best, order, axis=1)
        parts.append((best.astype(np.int32), np.take_along_axis(similarity, best, axis=1)))
    seconds = time.process_time() - start
    neighbors, similarity = map(np.vstack, zip(*parts, strict=True))
    neighbors[similarity <= 0] = -1
    return neighbors, np.maximum(similarity, 0), 1e6 * seconds / queries.shape[0]


def measure(work):
    """Return table rows: candidate rows, precision at 1, 3 and 5, and microseconds per query."""
    X, Y = load(work, "X_train"), load(work, "Y_train")
    queries, Y_test = (sample(load(work, name), N_ROWS) for name in ("X_test", "Y_test"))
    clf = XRLinearClassifier(random_state=0, n_jobs=1).fit(X, Y)
    bytes_held = clf._fitted.neighbors.nbytes
    found = {}

    def rank():
        clf._fitted = clf._fitted._replace(ensembles=ensemble.EnsembleCache())
        start = time.process_time()
        labels, _ = clf.rank(queries, 5)
        return labels, 1e6 * (time.process_time() - start) / queries.shape[0]

    for n in N_NEIGHBOR_LABELS:
        ensemble.N_NEIGHBOR_LABELS = n
        found[f"rows with one of the {n} labels ranked highest"] = rank()
    weighting = clf.neighbors_
    clf.set_params(n_neighbors=None)
    found["none (no neighbors)"] = rank()
    start = time.process_time()
    labels, scores = clf.rank(queries, 50)
    ranking_us = 1e6 * (time.process_time() - start) / queries.shape[0]
    *exact, us = exact_neighbors(clf, X, queries, weighting.n_neighbors)
    neighbors = [NeighborList(clf._fitted.neighbors, *weighting, exact)]
    weighted = scores * np.float32(1 - weighting.weight)
    mixed, _ = combine(
        labels, weighted, 5, Y.shape[1], n_head=ensemble.N_NEIGHBOR_LABELS, neighbors=neighbors
    )
    found["all rows"] = mixed, us + ranking_us
    lines = []
    for name, (ranking, us) in found.items():
        p = [f"{100 * precision_at_k(Y_test, ranking, k=k):.2f}" for k in (1, 3, 5)]
        lines.append(f"| {name} | {' | '.join(p)} | {us:,.0f} |")
    return lines, bytes_held / 1e6, X.shape[0]


def main():
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpora", type=Path)
    parser.add_argument("--data", nargs="*", default=["sample"])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "NEIGHBORS.md")
    options = parser.parse_args()
    text = (
        options.out.read_text().split("\n## ")[0]
        if options.out.exists()
        else "# Nearest neighbors\n"
    )
    for name in options.data:
        prepare(name, options.work / name, options.corpora)
        lines, megabytes, n_rows = measure(options.work / name)
        text = text.rstrip("\n") + "\n\n" + "\n".join(
            [
                f"## {name}\n",
                f"{n_rows:,} training rows are stored. They take {megabytes:.0f} MB.\n",
                "| candidate rows | P@1 | P@3 | P@5 | CPU µs per query |",
                "| --- | ---: | ---: | ---: | ---: |",
                *lines,
            ]
        )  # fmt: skip
        print(text[text.rindex("## ") :], flush=True)
    options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
