"""Damaged models, mapped or unpickled, and every public call made with them, over and over.

    python tests/robustness/damage.py mapped --rounds 3      # one array of a mapped model at a time
    python tests/robustness/damage.py pickled --rounds 5000  # one bit of a pickle at a time

Whatever a call returns or raises is accepted, as long as it is an ordinary exception: a crash ends
this process, and standard error says what was tried last.
"""

import argparse
import copy
import faulthandler
import io
import json
import os
import pickle
import resource
import signal
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
from scipy import sparse as sp

import skxmr
from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    PropensityReranker,
    SessionQueryCompleter,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr._utils.folder import seal
from skxmr.completion._prefixes import PrefixIndex
from skxmr.inspection import explain
from skxmr.text import NGramTfidfVectorizer

#: Bytes that may be asked for: a flipped bit can make pickle itself number a billion things.
MOST_MEMORY = 4 << 30

#: Seconds that all calls with one damaged model may take.
MOST_SECONDS = 60

WORDS = np.array("oak elm ash élan birch beech alder aspen larch".split())
TEXTS = [f"{a} {b}" for a in WORDS for b in WORDS[:3]]
PAIRS = [(a, b[:2]) for a in WORDS for b in WORDS[:4]]
N_LABELS = len(WORDS)


def problem():
    rng = np.random.default_rng(0)
    X = sp.random(60, 14, 0.4, "csr", dtype=np.float32, random_state=0)
    Y = (rng.random((60, N_LABELS)) < 0.2).astype(np.float32)
    Y[np.arange(N_LABELS), np.arange(N_LABELS)] = 1
    return X, sp.csr_matrix(Y)


X, Y = problem()
CLASSES = WORDS[Y.toarray().argmax(axis=1)]
CLUSTERS = KMeansIndexer(branching=2, max_leaf_size=2)


def classifiers():
    """Models of all kinds that are saved as folders."""
    options = {"random_state": 0, "beam_width": 4}
    many = {"n_trees": 2, "n_neighbors": 3, "max_clusters_per_label": 2, **options}
    return {
        "trees": (XRLinearClassifier(CLUSTERS, **many).fit(X, Y), Y),
        "classes": (
            XRLinearClassifier(TrieIndexer(max_leaf_size=2), weight_dtype="float16", **options).fit(
                X, CLASSES
            ),
            CLASSES,
        ),
    }


def calls(clf, y):
    """Every public call with a classifier, by name; those that change it get a copy."""
    more = sp.hstack([Y, Y[:, :1]], "csr") if sp.issparse(y) else np.append(["yew"], y[1:])
    label = clf.classes_[0]
    yield "rank", lambda: clf.rank(X, 5)
    yield "rank one", lambda: [clf.rank(X[i], 5) for i in (0, 1)]
    for method in ("predict", "decision_function"):
        yield method, lambda method=method: getattr(clf, method)(X)
    yield "score", lambda: clf.score(X, y)
    yield "explain", lambda: repr(clf.explain(X[:3], label))
    yield "inspection", lambda: explain(clf, X[:2], label)
    yield "path", lambda: [tree.path(3) for tree in clf.trees_]
    yield "cluster", lambda: [tree.cluster(3) for tree in clf.trees_]
    yield "clusters", lambda: [(t.leaf_clusters, t.max_copies) for t in clf.trees_]
    yield "indicator", lambda: [t.indicator(1).toarray() for t in clf.trees_]
    yield "hash", lambda: [(hash(t), t == clf.tree_, repr(t)) for t in clf.trees_]
    yield "prefixes", lambda: PrefixIndex([clf.tree_], list(WORDS)).labels("a")
    yield (
        "frontier",
        lambda: clf.rank(X, 3, frontier=(1, np.ones((60, clf.tree_.n_nodes(1)), np.float32))),
    )
    yield "n_jobs", lambda: copy.copy(clf).set_params(n_jobs=2).rank(X, 3)
    yield "add_neighbors", lambda: copy.copy(clf).add_neighbors(X[:5], y[:5]).rank(X, 3)
    yield "add_labels", lambda: copy.copy(clf).add_labels(X, more).rank(X, 3)
    yield "retrain", lambda: copy.copy(clf).add_labels(X, more, retrain_siblings=True).predict(X)
    yield "placed", lambda: copy.copy(clf).add_labels(X, more, placement="indexer").predict(X)
    yield "deepcopy", lambda: copy.deepcopy(clf).rank(X, 3)
    yield "pickle", lambda: pickle.loads(pickle.dumps(clf)).rank(X, 3)
    yield "save", lambda: save_again(clf)


def save_again(clf):
    with tempfile.TemporaryDirectory() as folder:
        clf.save(folder)
        skxmr.load(folder).rank(X, 3)


class Report:
    """Makes calls and counts what came of them."""

    def __init__(self):
        self.found = {}

    def attempt(self, what, function):
        """Call something; an exception is an answer, too, but none that asks to end."""
        sys.stderr.write(f"{what}\n")
        try:
            function()
            outcome = "returned"
        except Exception as error:
            outcome = type(error).__name__
        self.found[outcome] = self.found.get(outcome, 0) + 1


EXTREMES = [-(2**63), -(2**31), -1, 0, 1, 2**24, 2**31 - 1, 2**31, 2**62, 2**63 - 1]


def damaged(array, rng):
    """The same array with other bytes somewhere, or everywhere."""
    out = np.array(array)
    raw = out.view(np.uint8)
    n = max(1, out.itemsize // 4) * 4 if out.itemsize > 1 else 1
    at = int(rng.integers(len(out))) * out.itemsize
    kind = rng.integers(5)
    if kind == 0:
        raw[:] = rng.integers(256, size=len(raw))
    elif kind == 1:
        raw[at] ^= 1 << rng.integers(8)
    else:
        value = np.array(rng.choice(EXTREMES), dtype=np.int64)
        if out.dtype == np.int32:
            value = np.clip(value, -(2**31), 2**31 - 1).astype(np.int32)
        value = np.resize(value.reshape(1).view(np.uint8), n)[: out.itemsize]
        if kind == 2:
            raw[:] = np.resize(value, len(raw))
        else:
            raw[at : at + out.itemsize] = np.resize(value, out.itemsize)
    return out


def mapped(rounds, seed):
    """Damage each array of mapped models, with a checksum that fits or without."""
    rng, report = np.random.default_rng(seed), Report()
    with tempfile.TemporaryDirectory() as base:
        for name, (clf, y) in classifiers().items():
            folder = Path(base) / name
            clf.save(folder)
            text = (folder / "skxmr.json").read_text()
            manifest = json.loads(text)
            for key in [key for key in manifest["arrays"] if manifest["arrays"][key]["shape"][0]]:
                file = folder / manifest["arrays_in"] / f"{key}.npy"
                sound = file.read_bytes()
                for i in range(rounds):
                    array = damaged(np.load(file), rng)
                    file.unlink()  # what is mapped must stay
                    np.save(file, array)
                    if i % 2 or key.endswith("_ptr"):  # else it is refused at once
                        specs = json.loads(text)
                        specs["arrays"][key]["crc32"] = zlib.crc32(array.view(np.uint8))
                        (folder / "skxmr.json").write_text(json.dumps(seal(specs)))
                    use_mapped(report, f"{name} {key} {i}", folder, y)
                    (folder / "skxmr.json").write_text(text)
                    file.unlink()
                    file.write_bytes(sound)
    return report.found


def use_mapped(report, what, folder, y):
    signal.alarm(MOST_SECONDS)
    try:
        clf = skxmr.load(folder, mmap=True)
        made = list(calls(clf, y))
    except ValueError:
        return
    for name, function in made:
        report.attempt(f"{what} {name}", function)


def objects():
    """Fitted objects of all kinds, and what to call on each."""
    ranker, y = classifiers()["trees"]
    texts = WORDS.tolist()
    Z = np.eye(N_LABELS, dtype=np.float32)
    vectorizer = NGramTfidfVectorizer(["word", "char"], [(1, 2), (1, 3)], stop_words=["oak"])
    small = {"classifier": None, "random_state": 0}
    yield ranker, lambda clf: calls(clf, y)
    yield CLUSTERS.fit(Z), lambda c: [("predict", lambda: c.predict(Z)), ("", lambda: c.score(Z))]
    for indexer in (TrieIndexer(max_leaf_size=2), TrieHybridIndexer(1, 3, random_state=0)):
        yield (
            indexer.fit(texts),
            lambda c: [
                ("predict", lambda: c.predict(texts)),
                ("score", lambda: c.score(texts)),
                ("node_text", lambda: c.node_text(1, 1)),
            ],
        )
    yield (
        vectorizer.fit(TEXTS),
        lambda v: [
            ("transform", lambda: v.transform(TEXTS)),
            ("transform_one", lambda: v.transform_one("oak elm")),
            ("names", lambda: (v.get_feature_names_out(), v.vocabulary_)),
        ],
    )
    yield (
        SessionQueryCompleter(**small).fit(PAIRS, [b for _ in WORDS for b in WORDS[:4]]),
        lambda c: [
            ("complete", lambda: c.complete("a", previous="elm")),
            ("nothing", lambda: c.complete("")),
            ("rank", lambda: c.rank(PAIRS, 3)),
            ("predict", lambda: c.predict(PAIRS)),
        ],
    )
    for wrapper in (CalibratedRanker(ranker, cv="prefit"), PropensityReranker(ranker)):
        yield (
            wrapper.fit(X, Y),
            lambda c: [
                ("rank", lambda: c.rank(X, 3)),
                ("predict", lambda: c.predict(X)),
                ("scores", lambda: c.decision_function(X)),
            ],
        )


class Unpickler(pickle._Unpickler):
    """Refuses what crashes NumPy itself: an array of objects that is longer than their list."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def load_build(self):
        *_, made, state = self.stack
        if isinstance(made, np.ndarray) and isinstance(state, tuple):
            _, shape, _, _, content = state
            if isinstance(content, list) and np.prod(shape, dtype=object) != len(content):
                raise ValueError(f"{len(content)} objects, expected {shape}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def pickled(rounds, seed):
    """Flip one bit of a pickle at a time."""
    rng, report = np.random.default_rng(seed), Report()
    dumped = [(pickle.dumps(thing, 5), how) for thing, how in objects()]
    for i in range(rounds):
        whole, how = dumped[i % len(dumped)]
        at, bit = int(rng.integers(len(whole))), int(rng.integers(8))
        raw = bytearray(whole)
        raw[at] ^= 1 << bit
        signal.alarm(MOST_SECONDS)
        sys.stderr.write(f"object {i % len(dumped)} byte {at} bit {bit}\n")
        try:
            made = list(how(Unpickler(io.BytesIO(raw)).load()))
        except Exception as error:
            report.found[type(error).__name__] = report.found.get(type(error).__name__, 0) + 1
            continue
        for name, function in made:
            report.attempt(name, function)
    return report.found


COMMANDS = {"mapped": mapped, "pickled": pickled}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    os.fsync = lambda handle: None
    print(json.dumps(COMMANDS[args.what](args.rounds, args.seed)))


if __name__ == "__main__":
    main()
