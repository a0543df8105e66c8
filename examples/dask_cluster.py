"""Many machines: a dask cluster
=============================

This example trains and ranks on two local worker processes, or on any number of machines. The model
is bitwise equal to that of a single process. The fit also completes if a worker is killed.

.. code-block:: sh

    pip install ".[dask]" && python examples/dask_cluster.py [--workers N] [--scheduler ADDRESS]
"""

# sphinx_gallery_thumbnail_path = "images/thumbnails/dask_cluster.png"

import argparse
import os
import threading
import time

import joblib
import numpy as np
from dask.distributed import Client
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr import XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import precision_at_k


def kill_a_worker(client, seconds):
    """Kill one worker process, as after a lack of memory or a power cut."""
    pid = next(iter(client.run(os.getpid).values()))

    def kill():
        os.kill(pid, 9)
        print(f"killed worker process {pid}")

    threading.Timer(seconds, kill).start()


def timed(what, function):
    """Call a function and print the time."""
    start = time.perf_counter()
    result = function()
    print(f"{what}: {time.perf_counter() - start:.1f} s")
    return result


def main():
    """Fit on a cluster and in one process, and compare the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="number of local worker processes")
    parser.add_argument("--scheduler", help="address of an existing cluster")
    args = parser.parse_args()
    data = load_catalogue_subjects()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X = vectorizer.fit_transform(data.text_train)
    X_test = vectorizer.transform(data.text_test)
    clf = XRLinearClassifier(random_state=0)
    here = timed("fit in one process", lambda: clf.fit(X, data.Y_train).rank(X_test, 5))
    local = {"n_workers": args.workers, "threads_per_worker": 1, "dashboard_address": None}
    client = Client(args.scheduler) if args.scheduler else Client(**local)
    with client, joblib.parallel_config("dask"):
        if not args.scheduler:
            kill_a_worker(client, 0.5)
        timed("fit on the cluster", lambda: clf.fit(X, data.Y_train))
        there = timed("ranking on the cluster", lambda: clf.rank(X_test, 5))
    same = all(map(np.array_equal, here, there))
    print(f"the same labels and scores: {same}")
    print(f"precision at 1: {precision_at_k(data.Y_test, there, k=1):.3f}")


if __name__ == "__main__":
    main()
