"""Fit to data that are larger than a worker: python run_shards.py WORK [OPTIONS].

Writes rows of a power law with additional noise to shards in WORK, unless they are there. Two dask
workers with a memory limit train on them. Prints the peaks of the memory and the precision. --kill
kills one worker, and --check compares the model with that of one process that has all rows in
memory.
"""

import argparse
import json
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import scipy.sparse as sp
from measure import MemoryPeaks
from power_law import _draw_labels, _draw_words, _label_words, _sums
from run_dask import kill_one

from skxmr import KMeansIndexer, XRLinearClassifier, load
from skxmr.datasets import Shards
from skxmr.metrics import precision_at_k

_N_TEST = 10_000


def write_shards(folder, n_labels, n_rows, n_noise, rows_per_shard, seed=0):
    """Write shards of X and Y, and X_test.npz and Y_test.npz, unless the folder has them.

    Rows are those of `power_law` with `n_noise` more words, which are drawn uniformly.
    """
    if (folder / "done.json").exists():
        return
    for name in ("X", "Y"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, n_labels, n_rows])
    n_features = int(40_000 * (n_labels / 10_000) ** np.log10(2))
    n_all = n_rows + _N_TEST
    rows, labels = _draw_labels(rng, n_labels, n_all)
    order = np.argsort(rows, kind="stable")
    rows, labels = rows[order], labels[order]
    words = _label_words(rng, n_labels, n_features)
    edges = [*range(0, n_rows, rows_per_shard), n_rows, n_all]
    for i, (begin, end) in enumerate(pairwise(edges)):
        rng = np.random.default_rng([seed, i])
        span = slice(*np.searchsorted(rows, [begin, end]))
        of_row = rows[span] - begin
        X = _draw_words(rng, of_row, labels[span], words, end - begin, n_features)
        X = X + _noise(rng, end - begin, n_noise, n_features)
        X.data /= np.repeat(np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1])), np.diff(X.indptr))
        Y = _sums(np.ones(len(of_row)), of_row, labels[span], (end - begin, n_labels))
        Y.data[:] = 1
        is_test = begin == n_rows
        for name, matrix in (("X", X), ("Y", Y)):
            path = folder / (f"{name}_test.npz" if is_test else f"{name}/part-{i:05}.npz")
            sp.save_npz(path, matrix, compressed=False)
    (folder / "done.json").write_text(json.dumps(edges))


def _noise(rng, n_rows, n_words, n_features):
    """Return rows of small values in distinct columns."""
    steps = rng.integers(1, n_features // n_words, size=(n_rows, n_words), dtype=np.int32)
    columns = steps.cumsum(axis=1, dtype=np.int32)
    values = np.full(columns.size, 0.1, dtype=np.float32)
    pointers = np.arange(n_rows + 1) * n_words
    return sp.csr_matrix((values, columns.ravel(), pointers), shape=(n_rows, n_features))


def start_peaks(dask_worker):
    """Read the memory of a worker."""
    dask_worker.peaks = MemoryPeaks()
    dask_worker.peaks.start()


def peaks_of(dask_worker):
    """Return the peaks of a worker as text."""
    return str(dask_worker.peaks) if hasattr(dask_worker, "peaks") else "started later"


def size_in_memory(shards):
    """Return the bytes of the arrays of a matrix in shards."""
    return sum(
        block.data.nbytes + block.indices.nbytes + block.indptr.nbytes for block in shards.blocks()
    )


def arrays_of(folder):
    """Return the checksums of the arrays of a saved model."""
    return {
        name: spec["crc32"]
        for name, spec in json.loads((folder / "skxmr.json").read_text())["arrays"].items()
    }


def fit_on_cluster(args, X, Y, folder, classifier):
    """Fit on a local cluster, and print the time and the peaks."""
    from dask.distributed import Client

    options = {
        "n_workers": args.workers,
        "threads_per_worker": 1,
        "memory_limit": args.memory_limit,
        "dashboard_address": None,
        "local_directory": str(args.work / "dask"),
    }
    with Client(**options) as client:
        client.run(lambda: __import__("skxmr"))
        client.run(start_peaks)
        timer = None if args.kill is None else kill_one(client, args.kill)
        start = time.perf_counter()
        with joblib.parallel_config("dask"):
            classifier.fit(X, Y, folder=folder)
        print(f"fit on the cluster: {time.perf_counter() - start:.0f} s wall")
        if timer is not None:
            timer.cancel()
        for address, peaks in client.run(peaks_of).items():
            print(f"worker {address}: peak {peaks}", flush=True)


def main():
    """Make the data, fit, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--labels", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=350_000)
    parser.add_argument("--noise", type=int, default=600, help="additional words per row")
    parser.add_argument("--rows-per-shard", type=int, default=10_000)
    parser.add_argument("--leaf-size", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="1.5GB")
    parser.add_argument("--neighbors", type=int)
    parser.add_argument("--kill", type=float, metavar="SECONDS")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    args.work = args.work.absolute()
    data = args.work / f"shards-{args.labels}-{args.rows}-{args.noise}"
    write_shards(data, args.labels, args.rows, args.noise, args.rows_per_shard)
    X, Y = Shards(data / "X"), Shards(data / "Y")
    n_bytes = [size_in_memory(shards) for shards in (X, Y)]
    print(f"{X.shape[0]:,} rows in {len(X.files)} shards, {Y.shape[1]:,} labels; X and Y take")
    print(f"{n_bytes[0] / 1e9:.2f} and {n_bytes[1] / 1e9:.2f} GB in memory", flush=True)
    indexer = KMeansIndexer(max_leaf_size=args.leaf_size)
    make = partial(XRLinearClassifier, indexer, n_neighbors=args.neighbors, random_state=0)
    peaks = MemoryPeaks()
    peaks.start()
    fit_on_cluster(args, X, Y, args.work / "model", make())
    print(f"calling process: peak {peaks}")
    model = load(args.work / "model", mmap=True)
    print(f"tree: {model.tree_}", flush=True)
    X_test, Y_test = (sp.load_npz(data / f"{name}_test.npz") for name in ("X", "Y"))
    precision = 100 * np.mean(precision_at_k(Y_test, model.rank(X_test, 5).labels, 1))
    print(f"P@1: {precision:.2f}", flush=True)
    if args.check:
        whole = [sp.vstack(list(shards.blocks()), format="csr") for shards in (X, Y)]
        start = time.perf_counter()
        make().fit(*whole, folder=args.work / "model-whole")
        print(f"fit in one process, on one thread: {time.perf_counter() - start:.0f} s wall")
        models = [arrays_of(args.work / name) for name in ("model", "model-whole")]
        print(f"the same model: {models[0] == models[1]}")


if __name__ == "__main__":
    main()
