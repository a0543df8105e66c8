"""Ranks for hours at a low load, and watches memory and latency.

Several threads rank single rows and batches with the same estimator, a tree or an ensemble.
Every few seconds a model is saved, loaded or mapped, compared with the one before, and takes its
place; now and then one is trained.

    python tests/robustness/soak.py --seconds 3600 --load 0.25 --report soak.json
"""

import argparse
import json
import math
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import skxmr
from skxmr.datasets import load_catalogue_subjects
from skxmr.text import NGramTfidfVectorizer

#: Rows of a batch, and of what is trained now and then.
BATCH, SMALL_FIT = 64, 400


class Served:
    """The estimators that all threads rank with, and what they have to say of the rows."""

    def __init__(self, n_rows):
        data = load_catalogue_subjects()
        texts, Y = data.text_train[::7][:n_rows], data.Y_train[::7][:n_rows]
        self.vectorizer = NGramTfidfVectorizer(min_df=2).fit(texts)
        self.X, self.Y = self.vectorizer.transform(texts), Y
        self.texts = texts
        ensemble = {"n_trees": 2, "n_neighbors": 10}
        self.models = [self.trained(), self.trained(**ensemble)]
        self.expected = [model.rank(self.X, 5) for model in self.models]

    def trained(self, n_rows=None, **params):
        """Train a model on the first rows."""
        clf = skxmr.XRLinearClassifier(random_state=0, n_jobs=1, **params)
        return clf.fit(self.X[:n_rows], self.Y[:n_rows])

    def check(self, which, rows, ranking):
        """Compare a ranking of rows with what the first model of the kind said."""
        for found, expected in zip(ranking, self.expected[which], strict=True):
            np.testing.assert_array_equal(found, expected[rows])


class Latencies:
    """Counts calls by how long they took, in buckets of a percent, so that memory stays flat."""

    def __init__(self):
        self.counts = np.zeros(2000, dtype=np.int64)
        self.longest = 0.0

    def add(self, seconds):
        """Count a call."""
        bucket = int(230 * math.log10(max(1.0, 1e6 * seconds)))
        self.counts[min(bucket, len(self.counts) - 1)] += 1
        self.longest = max(self.longest, seconds)

    @staticmethod
    def report(parts):
        """Percentiles of several threads' calls, in microseconds."""
        total = np.cumsum(sum(part.counts for part in parts))
        quantiles = {"median": 0.5, "p99": 0.99, "p99.9": 0.999}
        found = {
            name: round(10 ** ((np.searchsorted(total, q * total[-1]) + 0.5) / 230), 1)
            for name, q in quantiles.items()
        }
        longest = 1e6 * max(part.longest for part in parts)
        return {"calls": int(total[-1]), **found, "longest": round(longest, 1)}


class Pace:
    """Keeps a thread to its share of a core."""

    def __init__(self, share):
        self.share = share

    def rest(self, began, stop):
        """Sleep for as long as the CPU time since `began` asks for."""
        stop.wait((time.thread_time() - began) * (1 / self.share - 1))


def rank_forever(served, pace, latencies, stop, seed):
    """Rank rows and batches, from text and from features, until a flag is set."""
    rng = np.random.default_rng(seed)
    while not stop.is_set():
        began = time.thread_time()
        which = int(rng.integers(len(served.models)))
        for i in rng.integers(served.X.shape[0], size=20):
            row = served.X[i]
            start = time.perf_counter()
            ranking = served.models[which].rank(row, 5)
            latencies[which].add(time.perf_counter() - start)
            served.check(which, slice(i, i + 1), ranking)
        i = int(rng.integers(served.X.shape[0] - BATCH))
        rows = slice(i, i + BATCH)
        X = served.vectorizer.transform(served.texts[rows])
        served.check(which, rows, served.models[which].rank(X, 5))
        pace.rest(began, stop)


def replace_forever(served, pace, counts, stop, folder, every):
    """Save, load and swap models, and train small ones, until a flag is set."""
    turn = 0
    while not stop.wait(every):
        began = time.thread_time()
        which, mmap = turn % 2, turn % 4 < 2
        path = Path(folder) / f"model{which}"
        served.models[which].save(path)
        loaded = skxmr.load(path, mmap=mmap)
        served.check(which, slice(0, BATCH), loaded.rank(served.X[:BATCH], 5))
        served.models[which] = loaded
        counts["saved and loaded"] += 1
        turn += 1
        if turn % 8 == 0:
            served.trained(SMALL_FIT, n_neighbors=5)
            counts["trained"] += 1
        pace.rest(began, stop)


def memory():
    """Resident memory in MB (all of it, and what is no file's) and open files."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    sizes = [int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")]
    return [*sizes, len(os.listdir("/proc/self/fd")), threading.active_count()]


def watch(seconds, threads, stop):
    """Sample the process once a second; stops early if a thread died."""
    samples, start = [], time.monotonic()
    while (passed := time.monotonic() - start) < seconds and all(t.is_alive() for t in threads):
        samples.append([passed, *memory()])
        time.sleep(min(1.0, seconds / 10))
    stop.set()
    return np.array(samples)


def summary(samples, latencies, counts, used):
    """The report: memory by tenths of the run, latencies, counts."""
    tenths = [
        {
            "minutes": round(float(part[-1, 0]) / 60, 2),
            "rss_mb": [round(float(f(part[:, 1])), 1) for f in (np.min, np.median, np.max)],
            "anonymous_mb": [round(float(f(part[:, 2])), 1) for f in (np.min, np.median, np.max)],
            "files": int(part[:, 3].max()),
            "threads": int(part[:, 4].max()),
        }
        for part in np.array_split(samples, min(10, len(samples)))
    ]
    return {
        "seconds": round(float(samples[-1, 0]), 1),
        "cpu_seconds": round(used, 1),
        "samples": len(samples),
        "tenths": tenths,
        "one row, a tree": Latencies.report([pair[0] for pair in latencies]),
        "one row, two trees and neighbors": Latencies.report([pair[1] for pair in latencies]),
        **counts,
    }


def soak(seconds, *, load, n_threads, n_rows, every):
    """Run it all; returns the report.

    Raises
    ------
    RuntimeError
        If a thread failed, as its traceback shows.
    """
    served, stop = Served(n_rows), threading.Event()
    latencies = [(Latencies(), Latencies()) for _ in range(n_threads)]
    counts = {"saved and loaded": 0, "trained": 0}
    pace = Pace(load / (n_threads + 1))
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    with tempfile.TemporaryDirectory() as folder:
        ranking = [(served, pace, latencies[i], stop, i) for i in range(n_threads)]
        threads = [threading.Thread(target=rank_forever, args=args) for args in ranking]
        arguments = served, pace, counts, stop, folder, every
        threads.append(threading.Thread(target=replace_forever, args=arguments))
        for thread in threads:
            thread.start()
        samples = watch(seconds, threads, stop)
        died = not all(thread.is_alive() for thread in threads) and samples[-1, 0] < 0.9 * seconds
        for thread in threads:
            thread.join()
    if died:
        raise RuntimeError("a thread of the soak failed; see its traceback")
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
    return summary(samples, latencies, counts, used)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--load", type=float, default=0.25, help="of one core")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--every", type=float, default=5, help="seconds between saves")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disk")
    args = parser.parse_args()
    if args.no_sync:
        os.fsync = lambda handle: None
    options = {"load": args.load, "n_threads": args.threads, "n_rows": args.rows}
    report = json.dumps(soak(args.seconds, **options, every=args.every), indent=1)
    print(report)
    if args.report:
        args.report.write_text(report + "\n")


if __name__ == "__main__":
    main()
