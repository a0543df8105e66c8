"""Interrupts training, ranking, saving and loading at any moment, over and over.

    python tests/robustness/interrupts.py --rounds 500

An alarm raises KeyboardInterrupt in the main thread, as Ctrl-C does. Afterwards no thread goes on,
the estimator is as it was, and the folder holds a whole model.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

from processes import models, which_model
from scipy import sparse as sp
from sklearn.base import clone

import skxmr


def actions(clf, X, Y, folder):
    """What is interrupted, by name; each takes longer than the alarm or is repeated."""
    many = sp.vstack([X] * 20, format="csr")
    fitted = clone(clf)
    return {
        "rank": lambda: clf.set_params(n_jobs=1).rank(many),
        "rank in threads": lambda: clf.set_params(n_jobs=2).rank(many),
        "rank one row": lambda: clf.rank(X[0]),
        "fit": lambda: fitted.set_params(n_jobs=1, tol=1e-9).fit(X, Y),
        "fit in threads": lambda: fitted.set_params(n_jobs=2, tol=1e-9).fit(X, Y),
        "save": lambda: clf.save(folder),
        "load": lambda: skxmr.load(folder),
        "map": lambda: skxmr.load(folder, mmap=True),
    }


def interrupt(action, delay):
    """Repeat an action until the alarm; returns the seconds from then until it had ended."""
    began = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        while True:
            action()
    except KeyboardInterrupt:
        return time.monotonic() - began - delay


def all_ended(patience=5.0):
    """Whether all threads but this one end soon; one may just have been started, or be ending."""
    limit = time.monotonic() + patience
    while threading.active_count() > 1 and time.monotonic() < limit:
        time.sleep(0.001)
    return threading.active_count() == 1


def run(rounds, longest, folder):
    """Interrupt everything by turns; returns how often, and the longest wait in seconds."""
    X, both, Y = models()
    clf, ranking = both[1], both[1].rank(X, 5)
    clf.save(folder)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    waits = {}
    for i in range(rounds):
        todo = actions(clf, X, Y, folder)
        name = list(todo)[i % len(todo)]
        waits.setdefault(name, []).append(interrupt(todo[name], random.uniform(1e-4, longest)))
        assert all_ended(), name
        for found in (clf, skxmr.load(folder)):
            assert which_model(found, X, [ranking]) == 0, name
    return {name: [len(w), round(max(w), 3)] for name, w in waits.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--longest", type=float, default=0.05, help="seconds before an alarm")
    args = parser.parse_args()
    os.fsync = lambda handle: None  # what is tried here needs no disk
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(run(args.rounds, args.longest, Path(scratch) / "model")))


if __name__ == "__main__":
    main()
