"""Lets every allocation of the C core fail in turn, in a process into which shim.c is preloaded.

    cc -shared -fPIC -O1 tests/robustness/shim.c -o shim.so
    LD_PRELOAD=./shim.so python tests/robustness/allocations.py --most 200

Each call must raise MemoryError, leave nothing allocated, and give the same result as ever when it
is made again.
"""

import argparse
import ctypes
import json
import re
from pathlib import Path

import numpy as np
from scipy import sparse as sp

from skxmr import KMeansIndexer, TrieIndexer, XRLinearClassifier
from skxmr.completion import SessionQueryCompleter
from skxmr.text import NGramTfidfVectorizer

N_ROWS, N_FEATURES, N_LABELS = 40, 70, 12


class Shim:
    """What is preloaded, set to watch the extension module."""

    def __init__(self):
        self.library = ctypes.CDLL(None)
        ranges = re.findall(
            r"^([0-9a-f]+)-([0-9a-f]+) .*/_native[^/]*$",
            Path("/proc/self/maps").read_text(),
            re.MULTILINE,
        )
        self.range = min(int(lo, 16) for lo, _ in ranges), max(int(hi, 16) for _, hi in ranges)

    def arm(self, n):
        """Let the n-th allocation from now on fail; 0: none."""
        lo, hi = (ctypes.c_uint64(address) for address in self.range)
        self.library.shim_arm(lo, hi, ctypes.c_long(n))

    @property
    def made(self):
        """Allocations since then."""
        return self.library.shim_made()

    @property
    def alive(self):
        """Those that are not freed."""
        return self.library.shim_alive()


def problem():
    rng = np.random.default_rng(0)
    X = sp.random(N_ROWS, N_FEATURES, 0.2, "csr", dtype=np.float32, random_state=0)
    Y = sp.csr_matrix((rng.random((N_ROWS, N_LABELS)) < 0.2).astype(np.float32))
    return X, Y


def calls():
    """Everything that allocates in C: name -> a function whose result can be compared."""
    X, Y = problem()
    options = {"random_state": 0, "n_jobs": 1, "max_iter": 3}
    balanced = KMeansIndexer(branching=2, max_leaf_size=3, balanced=True)
    lloyd = KMeansIndexer(branching=2, max_leaf_size=3, balanced=False)
    tree = XRLinearClassifier(lloyd, **options).fit(X, Y)
    ensemble = XRLinearClassifier(lloyd, n_trees=2, n_neighbors=5, **options).fit(X, Y)
    texts = [f"word{i % 7} of text {i} é" for i in range(30)]
    vectorizer = NGramTfidfVectorizer(ngram_range=(1, 2)).fit(texts)
    completer = SessionQueryCompleter().fit([("", t[:3]) for t in texts], texts)

    def fitted(indexer, **more):
        return XRLinearClassifier(indexer, **options, **more).fit(X, Y).rank(X, 3)

    def one_row(clf):
        clf.rank(X[0], 3)  # what it prepares is kept
        return clf.rank(X[0], 3)

    return {
        "fit, balanced": lambda: fitted(balanced),
        "fit, Lloyd": lambda: fitted(lloyd),
        "fit, log loss": lambda: fitted(lloyd, loss="log_loss"),
        "fit, a tree by texts": lambda: TrieIndexer().fit(texts).tree_.slot_label,
        "rank": lambda: tree.rank(X, 3),
        "rank, one row": lambda: one_row(tree),
        "rank, one dense row": lambda: one_row_dense(tree, X),
        "rank, two trees and neighbors": lambda: ensemble.rank(X, 3),
        "rank, one row by these": lambda: one_row(ensemble),
        "learn n-grams": lambda: NGramTfidfVectorizer().fit_transform(texts).toarray(),
        "transform n-grams": lambda: vectorizer.transform(texts).toarray(),
        "complete": lambda: completer.complete("wo"),
    }


def one_row_dense(clf, X):
    row = X[:1].toarray()
    return clf.rank(row, 3), clf.rank(row, 3)


def flat(result):
    """What is compared of a result."""
    return json.dumps(result, default=lambda array: np.asarray(array).tolist())


def fail_each(shim, call, most):
    """Let up to `most` allocations of a call fail in turn; returns how many did."""
    call()
    shim.arm(0)
    expected, alive = flat(call()), shim.alive
    n = min(most, shim.made)
    for i in range(1, n + 1):
        shim.arm(i)
        try:
            call()
        except MemoryError:
            pass
        else:
            raise AssertionError(f"allocation {i} failed without an error")
        shim.arm(0)
        assert shim.alive == alive, f"allocation {i}: {shim.alive - alive} are not freed"
    assert flat(call()) == expected
    return n


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=1000, help="failures per call")
    most = parser.parse_args().most
    shim = Shim()
    report = {name: fail_each(shim, call, most) for name, call in calls().items()}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
