"""Fit and ranking on a local dask cluster and in one process: python run_dask.py N_LABELS.

Prints the peak memory of every process, and whether both models are equal. --kill kills one worker
during training.
"""

import argparse
import os
import threading
import time
from pathlib import Path

import joblib
import numpy as np
from power_law import power_law

from skxmr import XRLinearClassifier


def memory(field="VmHWM"):
    """Return the resident memory of this process in MB, by default at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[field].split()[0]) / 1024


def kill_one(client, seconds):
    """Kill a worker after some seconds."""
    pids = list(client.run(os.getpid).values())
    timer = threading.Timer(seconds, lambda: os.kill(pids[0], 9))
    timer.start()
    return timer


def same(left, right):
    """Return whether two models are bitwise equal."""
    arrays = [
        [
            *(
                getattr(layer, name)
                for layer in clf._fitted.rankers[0].layers
                for name in layer.DTYPES
            ),
            *clf._fitted.neighbors.arrays.values(),
        ]
        for clf in (left, right)
    ]
    equal = (np.array_equal(a, b) for a, b in zip(*arrays, strict=True))
    return left.tree_ == right.tree_ and all(equal)


def timed(what, function):
    """Call a function and print its wall seconds."""
    start = time.perf_counter()
    result = function()
    print(f"{what}: {time.perf_counter() - start:.1f} s wall", flush=True)
    return result


def main():
    """Fit and rank on a cluster, then in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n_labels", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill", type=float, metavar="SECONDS")
    args = parser.parse_args()
    from dask.distributed import Client

    X, X_test, Y, _ = power_law(args.n_labels)
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20
    print(f"{X.shape[0]} rows, X takes {size:.0f} MB; this process {memory('VmRSS'):.0f} MB")
    options = {"threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with Client(n_workers=args.workers, **options) as client:
        client.run(lambda: __import__("skxmr"))
        print("workers at rest:", _megabytes(client), flush=True)
        timer = None if args.kill is None else kill_one(client, args.kill)
        with joblib.parallel_config("dask"):
            there = timed("fit, dask", lambda: XRLinearClassifier(random_state=0).fit(X, Y))
            if timer is not None:
                timer.cancel()
            print("workers at their peak:", _megabytes(client), flush=True)
            ranked = timed("rank, dask", lambda: there.rank(X_test))
        print("workers at their peak:", _megabytes(client), flush=True)
    model = (there._fitted.rankers[0].nbytes + there._fitted.neighbors.nbytes) / 2**20
    print(f"this process at its peak: {memory():.0f} MB; model and training rows {model:.0f} MB")
    here = timed("fit, one process", lambda: XRLinearClassifier(random_state=0).fit(X, Y))
    agree = np.array_equal(here.rank(X_test)[1], ranked[1])
    print(f"the same model: {same(here, there)}; the same ranking: {agree}")


def _megabytes(client):
    return ", ".join(f"{mb:.0f} MB" for mb in client.run(memory).values())


if __name__ == "__main__":
    main()
