"""A completer for the search box of a catalogue, learned from the subjects of its records."""

import time
from pathlib import Path

import joblib
import numpy as np

from skxmr import KMeansIndexer, SessionQueryCompleter, XRLinearClassifier
from skxmr.completion import training_pairs
from skxmr.datasets import load_catalogue_subjects


def sessions(Y, names, n_per_record=4, random_state=0):
    """Make up searches: who looks for one subject of a record goes on to another of its subjects.

    Parameters
    ----------
    Y : csr_matrix of shape (n_records, n_subjects)
    names : ndarray of str objects, shape (n_subjects,)
    n_per_record : int
        How many ordered pairs of subjects are drawn for each record.
    random_state : int

    Returns
    -------
    pairs : ndarray of str objects, shape (n_pairs, 2)
        The previous query, which is "" for the first one of a session, and the next query.
    """
    rng = np.random.default_rng(random_state)
    n_subjects = np.diff(Y.indptr)
    records = np.repeat(np.flatnonzero(n_subjects > 1), n_per_record)
    size, start = n_subjects[records], Y.indptr[records]
    place = rng.integers(size)
    another = (place + rng.integers(1, size)) % size
    previous, following = (names[Y.indices[start + p]] for p in (place, another))
    first = previous[::n_per_record]
    began = np.column_stack((np.full(len(first), "", dtype=object), first))
    return np.concatenate((began, np.column_stack((previous, following))))


def train(folder=None):
    """Fit a completer on a catalogue, by default the bundled sample, and say how it goes."""
    data = load_catalogue_subjects(folder)
    pairs = sessions(data.Y_train, data.label_names)
    print(f"{len(pairs):,} searches made of {len(data.text_train):,} records", flush=True)
    X, y = training_pairs(pairs, kind="pairs", random_state=0)
    completer = _unfitted()
    start = time.perf_counter()
    completer.fit(X, y)
    seconds = time.perf_counter() - start
    print(f"{len(completer.classes_):,} subjects learned in {seconds:.1f} s", flush=True)
    return completer


def _unfitted():
    """A completer that is good at what comes next, too, before anything is typed."""
    # Clusters of queries that follow the same ones: a trie would send the search to letters first.
    classifier = XRLinearClassifier(KMeansIndexer(), verbose=1)
    return SessionQueryCompleter(classifier, previous_weight=8.0, n_jobs=-1, random_state=0)


def load_or_train(path=None, folder=None):
    """Load a completer from a file; where there is none, fit one and save it there."""
    if path is None:
        return train(folder)
    path = Path(path)
    if not path.exists():
        completer = train(folder)
        joblib.dump(completer, path)
        print(f"saved as {path}")
        return completer
    completer = joblib.load(path)
    if not isinstance(completer, SessionQueryCompleter):
        raise TypeError(f"{path} holds no SessionQueryCompleter, but {type(completer).__name__}")
    print(f"{len(completer.classes_):,} subjects loaded from {path}")
    return completer
