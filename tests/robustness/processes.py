"""What processes do to a model while it is saved, mapped and used, over and over.

    python tests/robustness/processes.py kill --rounds 200      # a save is killed at any moment
    python tests/robustness/processes.py full --rounds 60       # the disk fills up at any byte
    python tests/robustness/processes.py replace --rounds 200   # two map what a third replaces
    python tests/robustness/processes.py contend --rounds 200   # three save in one folder at once
    python tests/robustness/processes.py fork --rounds 50       # children of one that has trained

Of two models one is saved again and again; whatever happens, what is there must load, verified,
and rank as one of the two does. A save waits for the disk many times; `--no-sync`, or a disk in
memory (TMPDIR=/dev/shm), makes it faster.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
from scipy import sparse as sp
from sklearn.base import clone

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier

N_ROWS, N_FEATURES, N_LABELS = 200, 300, 60


def models():
    """The rows, two models of them, of which the second one is much larger, and the labels."""
    rng = np.random.default_rng(0)
    X = sp.random(N_ROWS, N_FEATURES, 0.1, "csr", dtype=np.float32, random_state=0)
    Y = sp.csr_matrix((rng.random((N_ROWS, N_LABELS)) < 0.05).astype(np.float32))
    options = {"random_state": 0, "n_jobs": 1, "indexer": KMeansIndexer(max_leaf_size=5)}
    small = XRLinearClassifier(prune_threshold=0.2, **options)
    large = XRLinearClassifier(prune_threshold=0.0, n_neighbors=5, **options)
    return X, [small.fit(X, Y), large.fit(X, Y)], Y


def which_model(clf, X, rankings):
    """The number of the model that ranks like this one.

    Raises
    ------
    AssertionError
        If it is neither.
    """
    labels, scores = clf.rank(X, 5)
    for i, (known_labels, known_scores) in enumerate(rankings):
        if np.array_equal(labels, known_labels) and np.array_equal(scores, known_scores):
            return i
    raise AssertionError("what was loaded is neither of the two models")


class Child:
    """A forked process that calls a function; what this returns is sent back as JSON."""

    def __init__(self, function, *args):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            self._call(function, args, writing)
        os.close(writing)
        self._pipe = os.fdopen(reading)

    @staticmethod
    def _call(function, args, writing):
        status = 1
        try:
            os.write(writing, json.dumps(function(*args)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def kill(self):
        """End it, whatever it does."""
        os.kill(self.pid, signal.SIGKILL)
        self._pipe.close()
        os.waitpid(self.pid, 0)

    def result(self):
        """Wait for what it returns."""
        with self._pipe:
            said = self._pipe.read()
        status = os.waitpid(self.pid, 0)[1]
        assert status == 0, f"a process ended with status {status}"
        return json.loads(said)


def save_all(folder, both, n_saves):
    """Save the models by turns."""
    for i in range(n_saves):
        both[i % 2].save(folder)


def kill(folder, rounds):
    """Kill a process at any moment while it saves; the model stays whole and can be replaced."""
    X, both, _ = models()
    rankings = [clf.rank(X, 5) for clf in both]
    both[0].save(folder)
    found, left_over, longest = [0, 0], 0, 0.2
    for _ in range(rounds):
        child = Child(save_all, folder, both[::-1], 10**9)
        time.sleep(random.uniform(0.0, longest))
        child.kill()
        left_over += len(os.listdir(folder)) > 2
        there = which_model(skxmr.load(folder), X, rankings)
        found[there] += 1
        both, rankings = (both, rankings) if there == 0 else (both[::-1], rankings[::-1])
    both[1].save(folder)  # removes what was left over
    assert len(os.listdir(folder)) == 2
    before, after = found
    return {"kills": rounds, "old": before, "new": after, "with files left over": left_over}


def limited_save(clf, folder, most_bytes):
    """Save while files cannot grow beyond a size; returns the name of the error, or None."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        clf.save(folder)
    except Exception as error:
        return type(error).__name__
    return None


def full(folder, rounds):
    """Let files end at any byte while a model is saved: an OSError, and the old model stays."""
    X, both, _ = models()
    rankings = [clf.rank(X, 5) for clf in both]
    both[0].save(folder)
    files = sorted(os.listdir(folder))
    both[1].save(Path(folder).parent / "other")
    sizes = [p.stat().st_size for p in (Path(folder).parent / "other").rglob("*") if p.is_file()]
    largest = max(sizes)
    for most in [largest - 1, *(random.randrange(largest) for _ in range(rounds - 1))]:
        assert Child(limited_save, both[1], folder, most).result() == "OSError", most
        assert sorted(os.listdir(folder)) == files
    assert which_model(skxmr.load(folder), X, rankings) == 0
    assert Child(limited_save, both[1], folder, 2 * largest).result() is None
    assert which_model(skxmr.load(folder), X, rankings) == 1
    return {"saves that failed": rounds}


def read_until(stop, folder, X, rankings):
    """Map the model that is there and rank with it, until a file says stop; count which it was."""
    found = [0, 0]
    clf = skxmr.load(folder, mmap=True)
    while not stop.exists():
        old, clf = clf, skxmr.load(folder, mmap=True)
        found[which_model(clf, X, rankings)] += 1
        which_model(old, X, rankings)  # what it maps may be gone from the folder
    return found


def replace(folder, rounds):
    """Let two processes map and rank what a third one replaces."""
    X, both, _ = models()
    rankings = [clf.rank(X, 5) for clf in both]
    both[0].save(folder)
    stop = Path(folder).parent / "stop"
    readers = [Child(read_until, stop, folder, X, rankings) for _ in range(2)]
    Child(save_all, folder, both, rounds).result()
    stop.touch()
    return {"replacements": rounds, "loads": [reader.result() for reader in readers]}


def contend(folder, rounds):
    """Let three processes save in the same folder at once; what is left is one of the models."""
    X, both, _ = models()
    rankings = [clf.rank(X, 5) for clf in both]
    children = [Child(save_all, folder, both, rounds) for _ in range(3)]
    for child in children:
        child.result()
    assert len(os.listdir(folder)) == 2
    return {"saves": 3 * rounds, "found": which_model(skxmr.load(folder), X, rankings)}


def use(clf, X, expected):
    """Rank and train where the parent did before; returns whether all is as it was there."""
    again = clone(clf).set_params(n_jobs=2)
    again.fit(X, models()[2])
    return [which_model(ranker, X, [expected]) for ranker in (clf, again)] == [0, 0]


def fork(folder, rounds):
    """Fork processes that rank and train after their parent did, in several threads."""
    X, both, _ = models()
    rankings = [clf.set_params(n_jobs=2).rank(X, 5) for clf in both]
    for i in range(rounds):
        assert Child(use, both[i % 2], X, rankings[i % 2]).result()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pooled = pool.starmap(use, [(both[i % 2], X, rankings[i % 2]) for i in range(4)])
    assert pooled == [True] * 4
    return {"forks": rounds, "in a pool": len(pooled)}


COMMANDS = {"kill": kill, "full": full, "replace": replace, "contend": contend, "fork": fork}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disk")
    args = parser.parse_args()
    if args.no_sync:
        os.fsync = lambda handle: None
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(COMMANDS[args.what](Path(scratch) / "model", args.rounds)))


if __name__ == "__main__":
    main()
