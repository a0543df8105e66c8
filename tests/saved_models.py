"""A small model with every kind of array, saved, and what tests do to its files."""

import itertools
import json
import shutil
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from datasets import random_labels
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import FeatureUnion

import skxmr
from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    PropensityReranker,
    SessionQueryCompleter,
    XRLinearClassifier,
)
from skxmr._utils.folder import seal
from skxmr.linear._fitted import Names
from skxmr.pipeline import make_pipeline
from skxmr.text import NGramTfidfVectorizer

N_ROWS, N_FEATURES, N_LABELS = 60, 14, 9
INDEXER = KMeansIndexer(branching=2, max_leaf_size=2)
TWO_LEVELS = KMeansIndexer(max_leaf_size=3)  # fewer files, where they are copied often


X, Y = random_labels(N_ROWS, N_FEATURES, N_LABELS, density=0.4)
Y = Y.toarray()
CODES = Y.argmax(axis=1)
MIXED = {"n_trees": 2, "n_neighbors": 3}
TEXT_CLASSES = np.array([f"label {i}" for i in range(N_LABELS)])
FEATURE_NAMES = [f"f{j}" for j in range(N_FEATURES)]

LAYER = ["bias", "child_ptr", "chunk_ptr", "index", "index_ptr", "payload", "payload_ptr"]
NEIGHBORS = ["label_ptr", "labels", "posting_ptr", "postings"]
NEIGHBORS += ["source", "weight", "word_ptr", "words"]
#: The arrays of the saved model.
ARRAYS = [
    *(
        f"{names}.{part}"
        for names in ("classes", "feature_names")
        for part in ("bytes", "pointers")
    ),
    *(f"tree.{t}.layer.{level}.{part}" for t in range(2) for level in range(2) for part in LAYER),
    *(f"tree.{t}.slot_label" for t in range(2)),
    *(f"neighbors.{part}" for part in NEIGHBORS),
]
#: One array of each kind.
SAMPLED = [
    "classes.pointers",
    "tree.0.slot_label",
    *(f"tree.1.layer.1.{part}" for part in ("index", "payload", "payload_ptr")),
    *(f"neighbors.{part}" for part in ("labels", "word_ptr")),
]


def classifier(**params):
    return XRLinearClassifier(**{"indexer": INDEXER, "random_state": 0, "beam_width": 3, **params})


def assert_same_estimator(found, expected):
    for a, b in zip(found.rank(X, N_LABELS), expected.rank(X, N_LABELS), strict=True):
        assert_array_equal(a, b)
    for method in ("predict", "decision_function"):
        a, b = getattr(found, method)(X), getattr(expected, method)(X)
        assert type(a) is type(b)
        assert a.dtype == b.dtype
        dense = (m.toarray() if sp.issparse(m) else m for m in (a, b))
        assert_array_equal(*dense)
    for name in ("n_features_in_", "n_labels_", "n_levels_", "n_iter_", "multilabel_", "tree_"):
        assert getattr(found, name) == getattr(expected, name)
    assert_array_equal(found.classes_, expected.classes_)
    assert found.classes_.dtype == expected.classes_.dtype


def saved_model(folder):
    """Save a model with every kind of array."""
    clf = classifier(indexer=TWO_LEVELS, **MIXED).fit(X, TEXT_CLASSES[CODES])
    names = Names(values=np.array(FEATURE_NAMES, dtype=object))
    clf._fitted = clf._fitted._replace(feature_names=names)
    clf.save(folder)
    return folder


def copy_of(original, folder):
    return Path(shutil.copytree(original, folder))


def named_rows():
    """The rows with the names of the features that the saved model has."""
    frames = pytest.importorskip("pandas")
    return frames.DataFrame(X.toarray(), columns=FEATURE_NAMES)


def manifest_of(folder):
    return json.loads((folder / "skxmr.json").read_text())


def write_manifest(folder, manifest):
    """Replace the manifest, with a checksum that fits, as an attacker would."""
    with suppress(ValueError):  # what is no JSON has no checksum
        manifest = seal(manifest)
    (folder / "skxmr.json").write_text(json.dumps(manifest))


def write_field(folder, key, value):
    """Change a field of the manifest, or of its first tree."""
    manifest = manifest_of(folder)
    owner = manifest["trees"][0] if key in manifest["trees"][0] else manifest
    owner[key] = value
    write_manifest(folder, manifest)


def array_file(folder, name):
    return folder / manifest_of(folder)["arrays_in"] / f"{name}.npy"


def array_names(folder):
    return sorted(manifest_of(folder)["arrays"])


def array_shape(folder, name):
    return list(np.load(array_file(folder, name)).shape)


def forge(folder, name, array):
    """Replace an array, and its shape and checksum, as an attacker would."""
    np.save(array_file(folder, name), array, allow_pickle=array.dtype.hasobject)
    manifest = manifest_of(folder)
    if not array.dtype.hasobject:
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        manifest["arrays"][name] = {"shape": list(array.shape), "crc32": crc}
    write_manifest(folder, manifest)


DAMAGED = "the saved model"


def assert_refused(folder):
    """However it is loaded."""
    for mmap, verify in itertools.product((False, True), (None, False, True)):
        with pytest.raises(ValueError, match=DAMAGED):
            skxmr.load(folder, mmap=mmap, verify=verify)


def assert_refused_if_verified(folder):
    """And harmless if not."""
    for options in ({}, {"verify": True}, {"mmap": True, "verify": True}):
        with pytest.raises(ValueError, match=DAMAGED):
            skxmr.load(folder, **options)
    assert_refused_or_harmless(folder)


def or_refuse(function):
    """The function's result, or None where it refuses a model in the right words."""
    try:
        return function()
    except ValueError as error:
        if DAMAGED not in str(error):
            raise
        return None


def assert_refused_or_harmless(folder):
    """A model that is accepted may rank nonsense, but it must rank."""
    for mmap, verify in itertools.product((False, True), (False, True)):
        clf = or_refuse(lambda: skxmr.load(folder, mmap=mmap, verify=verify))  # noqa: B023
        if clf is not None:
            assert_harmless(clf)


def assert_harmless(clf):
    rows = np.random.default_rng(0).standard_normal((5, clf.n_features_in_))
    rows = rows.astype(np.float32)
    if or_refuse(lambda: hasattr(clf, "feature_names_in_")):
        # Their lack would be warned of.
        clf._fitted = clf._fitted._replace(feature_names=None)
    for beam_width in (1, 3, 100):
        clf.set_params(beam_width=beam_width)
        labels, _ = or_refuse(lambda: clf.rank(rows, N_LABELS + 1)) or (np.array([-1]), None)
        assert labels.min() >= -1
        assert labels.max() < clf.n_labels_
    for method in ("predict", "decision_function"):
        or_refuse(lambda: getattr(clf, method)(rows))  # noqa: B023


def paths_of(value, path=()):
    """The paths of everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from paths_of(inner, (*path, key))


# ---- marks ----

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="needs fork, flock, named pipes or links as Linux has them"
)


# ---- models that contain others ----

TEXTS = ["cats purr and sleep", "dogs bark", "eels slip away", "cats and dogs", "an eel bites"] * 6
TOPICS = [["cat"], ["dog"], ["eel", "élan"], ["cat", "dog"], ["eel"]] * 6
#: Texts that were not in the fit.
QUESTIONS = ["my cat sleeps", "barking dogs and eels", "", "slip away"]
PAIRS = [("cat food", "cat"), ("dog food", "cat"), ("cat food", "c"), ("sailing", "c"), ("", "")]
QUERIES = ["cat toys", "cats and dogs", "cat toys", "catame\u0301rans", "eels"]
CLASSIFIER = XRLinearClassifier(INDEXER, n_neighbors=3, random_state=0)


class Shortened(TransformerMixin, BaseEstimator):
    """A transformer of a user."""

    def fit(self, X, y=None):
        self.n_ = 8
        return self

    def transform(self, X):
        return [text[: self.n_] for text in X]


def split(text):
    """A function of a user."""
    return text.split()


def composed_model():
    """A fitted model with many kinds of parts."""
    features = FeatureUnion(
        [
            ("words", NGramTfidfVectorizer(stop_words=["and"])),
            ("letters", NGramTfidfVectorizer(["char", "char_end"], (1, 3), max_features=20)),
        ]
    )
    ranker = PropensityReranker(make_pipeline(features, CLASSIFIER), n_candidates=None)
    return CalibratedRanker(ranker, cv=2, random_state=0).fit(TEXTS, TOPICS)


def completer(**params):
    return SessionQueryCompleter(random_state=0, **params).fit(PAIRS * 3, QUERIES * 3)


def texts_of(model):
    """The rows that a model ranks in tests."""
    return PAIRS if isinstance(model, SessionQueryCompleter) else QUESTIONS


def assert_same_rankings(found, expected, rows):
    """To the last bit."""
    assert type(found) is type(expected)
    rankings = skxmr.rank(found, rows, 4), skxmr.rank(expected, rows, 4)
    for a, b in zip(*rankings, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    assert rankings[0].names == rankings[1].names
    assert_array_equal(found.classes_, expected.classes_)
    assert found.classes_.dtype == expected.classes_.dtype
