"""Fit of a model that is larger than the memory it may take: python run_large.py WORK [OPTIONS].

Writes made-up rows of a power law to files in WORK, unless they are there, and fits to the mapped
files. The model is written to WORK while it is trained, and rows are ranked from the mapped folder.
Prints CPU times, the peaks of the memory, sizes on disk and the precision.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from measure import MemoryPeaks, Stopwatch, size_on_disk
from power_law_files import open_power_law, write_power_law

from skxmr import KMeansIndexer, XRLinearClassifier, load
from skxmr.metrics import precision_at_k


def main():
    """Make the data, fit and rank."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--labels", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=12_500_000)
    parser.add_argument("--tree", choices=["default", "balanced"], default="default")
    parser.add_argument("--weight-dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    watch = Stopwatch()
    data = args.work / f"data-{args.labels}-{args.rows}"
    watch.time("data", lambda: write_power_law(data, args.labels, args.rows))
    X, X_test, Y, Y_test = open_power_law(data)
    print(f"{X.shape[0]:,} rows, {Y.shape[1]:,} labels, {X.nnz / X.shape[0]:.1f} nonzeros a row;")
    print(f"files of {size_on_disk(data) / 1e9:.2f} GB", flush=True)
    peaks = MemoryPeaks()
    peaks.start()
    folder = args.work / f"model-{args.labels}-{args.tree}-{args.weight_dtype}"
    indexer = KMeansIndexer(max_leaf_size=100) if args.tree == "balanced" else None
    clf = XRLinearClassifier(
        indexer,
        n_neighbors=None,
        weight_dtype=args.weight_dtype,
        n_jobs=args.jobs,
        random_state=0,
    )
    watch.time("fit", partial(clf.fit, X, Y, folder=folder))
    print(f"fit: peak of the memory: {peaks.stop()}")
    print(f"tree: {clf.tree_}; model on disk: {size_on_disk(folder) / 1e9:.2f} GB", flush=True)
    peaks = MemoryPeaks()
    peaks.start()
    start = time.perf_counter()
    loaded = load(folder, mmap=True)
    print(f"open the folder: {1e3 * (time.perf_counter() - start):.1f} ms")
    loaded.set_params(n_jobs=1)
    loaded.rank(X_test, 5)  # reads the pages of the files
    labels = watch.time("rank", lambda: loaded.rank(X_test, 5)).labels
    print(f"rank: peak of the memory: {peaks.stop()}")
    for step, runs in watch.seconds.items():
        print(f"{step}: {runs[0]['cpu']:.1f} CPU s, {runs[0]['wall']:.1f} s wall")
    print(f"rank: {1e6 * watch.seconds['rank'][0]['cpu'] / X_test.shape[0]:.1f} CPU us a row")
    precision = [100 * np.mean(precision_at_k(Y_test, labels, k)) for k in (1, 3, 5)]
    print("P@1 / P@3 / P@5: " + " / ".join(f"{p:.2f}" for p in precision))


if __name__ == "__main__":
    main()
