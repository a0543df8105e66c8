"""One model, ranked with by many threads at once."""

import os
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse as sp

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"
N_THREADS = 8


def example():
    rng = np.random.default_rng(0)
    X = sp.random(120, 60, 0.2, "csr", dtype=np.float32, random_state=0)
    names = np.array([f"class {i}" for i in range(25)])
    return X, names[rng.integers(0, 25, 120)]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def all_at_once(function):
    """Call a function in several threads that wait for each other first; the results."""
    barrier = threading.Barrier(N_THREADS)

    def call(i):
        barrier.wait(timeout=60)
        return function(i)

    with ThreadPoolExecutor(N_THREADS) as pool:
        return list(pool.map(call, range(N_THREADS)))


MODELS = {
    "a tree": {},
    "trees and neighbors": {"n_trees": 2, "n_neighbors": 3},
    "log loss": {"loss": "log_loss", "post_processor": "sigmoid"},
}


@pytest.mark.parametrize("fresh", ["fitted", "loaded", "mapped"])
@pytest.mark.parametrize("name", MODELS)
def test_first_calls_at_once_give_what_one_thread_gets(tmp_path, name, fresh):
    """Whatever a first call prepares is prepared by all of them."""
    X, y = example()
    indexer = KMeansIndexer(branching=3, max_leaf_size=4)
    clf = XRLinearClassifier(indexer, random_state=0, **MODELS[name]).fit(X, y)
    clf.save(tmp_path)
    expected = clf.rank(X, 4)
    for _ in range(2):
        if fresh == "fitted":
            clf.fit(X, y)
        else:
            clf = skxmr.load(tmp_path, mmap=fresh == "mapped")

        def use(i, clf=clf):
            rows = [clf.rank(X[j], 1 + (i + j) % 4) for j in range(i, 120, 9)]
            return rows, clf.rank(X, 4), clf.predict(X[i : i + 3]), clf.classes_

        for i, (rows, ranking, predicted, classes) in enumerate(all_at_once(use)):
            for found, right in zip(ranking, expected, strict=True):
                assert_array_equal(found, right)
            for j, row in zip(range(i, 120, 9), rows, strict=True):
                k = 1 + (i + j) % 4
                assert_array_equal(row[0][0], expected[0][j, :k])
                if (
                    name != "trees and neighbors"
                ):  # more labels are listed, and sums differ in rounding
                    assert_array_equal(row[1][0], expected[1][j, :k])
            assert_array_equal(predicted, classes[expected[0][i : i + 3, 0]])


SANITIZED = ["-std=gnu11", "-g", "-fsanitize=thread", "-ffp-contract=off", "-DSKX_ISA=baseline"]


def build_library(folder):
    """Compile the library for ThreadSanitizer; whether that is possible."""
    if shutil.which("cc") is None:
        return False
    command = ["cc", *SANITIZED, f"-I{SOURCES}", "-c", *map(str, SOURCES.rglob("*.c"))]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def link(folder, *flags):
    """Compile threads.c and link it to the library in the folder."""
    command = ["cc", *SANITIZED, *flags, f"-I{SOURCES}", str(HERE / "threads.c")]
    options = ["-o", "threads", "-lm", "-pthread"]
    subprocess.run([*command, *map(str, folder.glob("*.o")), *options], cwd=folder, check=True)
    return folder / "threads"


def run_sanitized(program):
    """Run it where addresses are not random, which ThreadSanitizer of some compilers needs."""
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    return subprocess.run([*fixed, str(program)], capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_searches_share_nothing_that_they_write_to(tmp_path):
    if not build_library(tmp_path):
        pytest.skip("there is no ThreadSanitizer")
    if "data race" not in run_sanitized(link(tmp_path, "-DWITH_A_RACE")).stderr:
        pytest.skip("ThreadSanitizer does not work here")
    done = run_sanitized(link(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "8 threads" in done.stdout
