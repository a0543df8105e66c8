"""Saved models: the same after loading, and never more than an error when damaged."""

import itertools
import json
import os
import pickle
import shutil
import signal
import socket
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import skxmr
from skxmr import KMeansIndexer, LabelTree, TrieHybridIndexer, TrieIndexer, XRLinearClassifier
from skxmr._utils.folder import seal
from skxmr.linear._fitted import Names

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs what Linux has")

N_ROWS, N_FEATURES, N_LABELS = 60, 14, 9
INDEXER = KMeansIndexer(branching=2, max_leaf_size=2)
TWO_LEVELS = KMeansIndexer(max_leaf_size=3)  # fewer files, where they are copied often


def example(seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(N_ROWS, N_FEATURES, 0.4, "csr", dtype=np.float32, random_state=seed)
    Y = (rng.random((N_ROWS, N_LABELS)) < 0.2).astype(np.float32)
    Y[np.arange(N_LABELS), np.arange(N_LABELS)] = 1
    return X, Y


X, Y = example()
CODES = Y.argmax(axis=1)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


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


TARGETS = {
    "dense": Y,
    "csr_matrix": sp.csr_matrix(Y),
    "csr_array": sp.csr_array(Y),
    "ints": CODES - 3,
    "uint8": CODES.astype(np.uint8),
    "floats": CODES + 0.0,
    "bools": CODES > 3,
    "strings": np.array([f"é {i}" for i in range(N_LABELS)])[CODES],
    "empty string": np.array(["", *"abcdefgh"])[CODES],
    "objects": np.array([f"label {i}" * i for i in range(N_LABELS)], dtype=object)[CODES],
    "one class": np.zeros(N_ROWS, dtype=int),
}


# ---- round trips ----


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_a_loaded_model_is_the_one_saved(tmp_path, name, mmap):
    clf = classifier().fit(X, TARGETS[name])
    clf.save(tmp_path / "model")
    assert_same_estimator(skxmr.load(tmp_path / "model", mmap=mmap), clf)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    "duplicate",
    [deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))],
    ids=["deepcopy", "pickle"],
)
def test_a_loaded_model_can_be_copied_and_saved_again(tmp_path, duplicate, mmap):
    clf = classifier().fit(X, TARGETS["strings"])
    clf.save(tmp_path / "a")
    loaded = skxmr.load(tmp_path / "a", mmap=mmap)
    assert_same_estimator(duplicate(loaded), clf)
    loaded.save(tmp_path / "b")
    assert_same_estimator(skxmr.load(tmp_path / "b"), clf)


OTHER = {"float16": "float32", "float32": "float16"}


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("weight_dtype", OTHER)
def test_weights_are_kept_as_they_are_stored(tmp_path, weight_dtype, mmap, changed):
    clf = classifier(weight_dtype=weight_dtype).fit(X, Y)
    if changed:  # takes effect in fit only
        clf.set_params(weight_dtype=OTHER[weight_dtype])
    clf.save(tmp_path / "a")
    loaded = skxmr.load(tmp_path / "a", mmap=mmap)
    loaded.save(tmp_path / "b")
    for copied in (loaded, skxmr.load(tmp_path / "b"), pickle.loads(pickle.dumps(loaded))):
        assert copied.weight_dtype == clf.weight_dtype
        assert {layer.weight_dtype for layer in copied._fitted.models[0].layers} == {weight_dtype}
        assert_same_estimator(copied, clf)


@pytest.mark.parametrize("weight_dtype", OTHER)
def test_weights_taken_for_another_type_are_refused(tmp_path, weight_dtype):
    classifier(weight_dtype=weight_dtype).fit(X, Y).save(tmp_path)
    write_field(tmp_path, "weight_dtype", OTHER[weight_dtype])
    assert_refused_if_verified(tmp_path)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_joblib_dump(tmp_path, mmap_mode):
    clf = classifier().fit(X, Y)
    joblib.dump(clf, tmp_path / "model.joblib")
    assert_same_estimator(joblib.load(tmp_path / "model.joblib", mmap_mode=mmap_mode), clf)


@pytest.mark.parametrize("folder", ["absent", "absent/below", "empty"])
def test_folders_are_made(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    clf = classifier().fit(X, Y)
    clf.save(str(tmp_path / folder))
    assert_same_estimator(skxmr.load(str(tmp_path / folder)), clf)


def test_parameters_are_kept(tmp_path):
    params = {
        "C": 2.5,
        "loss": "log_loss",
        "bias": 0.5,
        "tol": 0.01,
        "max_iter": 7,
        "prune_threshold": 0.02,
        "weight_dtype": "float16",
        "beam_width": 4,
        "post_processor": "sigmoid",
        "threshold": 0.25,
        "label_embedding": "pii",
        "indexer": KMeansIndexer(branching=3, max_leaf_size=5, balanced=False, random_state=1),
        "n_jobs": 1,
        "random_state": 8,
        "verbose": 0,
    }
    clf = classifier(**params).fit(X, Y)
    clf.save(tmp_path)
    loaded = skxmr.load(tmp_path)
    assert repr(loaded.get_params()) == repr(clf.get_params())
    assert_same_estimator(clone(loaded).fit(X, Y), clf)
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_numpy_scalars_are_kept_as_numbers(tmp_path):
    params = {"C": np.float32(0.5), "beam_width": np.int64(2), "threshold": np.float64(0.25)}
    classifier(**params).fit(X, Y).save(tmp_path)
    assert {k: skxmr.load(tmp_path).get_params()[k] for k in params} == params


def test_a_label_tree_given_as_indexer_is_kept(tmp_path):
    tree = LabelTree([[0, 2], [0, 5, 10]], [0, 1, 2, 3, 4, 5, 6, 7, 8, 0])
    clf = classifier(indexer=tree).fit(X, Y)
    clf.save(tmp_path)
    loaded = skxmr.load(tmp_path)
    assert loaded.indexer == loaded.tree_ == tree
    assert_same_estimator(loaded, clf)


def test_what_cannot_be_kept_is_said(tmp_path):
    class Halves:
        def fit(self, Z):
            self.tree_ = LabelTree.from_clusters(np.arange(Z.shape[0]) // 5)

    clf = classifier(indexer=Halves()).fit(X, Y)
    with pytest.warns(UserWarning, match="indexer"):
        clf.save(tmp_path)
    loaded = skxmr.load(tmp_path)
    assert loaded.indexer is None
    assert_same_estimator(loaded, clf)


def test_memory_and_random_state_objects_are_left_out(tmp_path):
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    state = np.random.RandomState(0)
    classifier(memory=memory, random_state=state).fit(X, Y).save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert loaded.memory is None
    assert loaded.random_state is None


def test_feature_names_are_kept(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.toarray(), columns=[f"f{j}" for j in range(N_FEATURES)])
    clf = classifier().fit(frame, Y)
    clf.save(tmp_path)
    loaded = skxmr.load(tmp_path)
    assert_array_equal(loaded.feature_names_in_, clf.feature_names_in_)
    assert_array_equal(loaded.predict(frame), clf.predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame[frame.columns[::-1]])


def test_mapped_arrays_cannot_be_written(tmp_path):
    classifier().fit(X, Y).save(tmp_path)
    layer = skxmr.load(tmp_path, mmap=True)._fitted.models[0].layers[0]
    assert not layer.payload.flags.writeable
    assert not layer.bias.flags.writeable


def test_unfitted_has_nothing_to_save(tmp_path):
    with pytest.raises(Exception, match="not fitted"):
        classifier().save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


# ---- saving over something ----


def test_a_saved_model_is_replaced(tmp_path):
    first, second = classifier().fit(X, Y), classifier(C=0.1).fit(X, CODES)
    first.save(tmp_path)
    mapped = skxmr.load(tmp_path, mmap=True)
    second.save(tmp_path)
    assert_same_estimator(skxmr.load(tmp_path), second)
    assert len(list(tmp_path.iterdir())) == 2  # one manifest, one set of arrays
    if os.name != "nt":
        assert_same_estimator(mapped, first)


@pytest.mark.parametrize(
    "name",
    [
        *("notes.txt", ".DS_Store", ".gitkeep", "README.md", "arrays", "arrays-0123456789abcde"),
        *("skxmr.json.bak", "skxmr.json.tmp2", "arrays-0123456789abcdef.old"),
    ],
)
def test_other_files_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / name).write_text("mine too")
    for clf in (classifier().fit(X, Y), classifier(C=0.1).fit(X, CODES)):
        clf.save(tmp_path)
        assert_same_estimator(skxmr.load(tmp_path), clf)
        assert len(list(tmp_path.iterdir())) == 4
        assert (tmp_path / name).read_text() == "mine"
        assert (tmp_path / "below" / name).read_text() == "mine too"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(FileExistsError, match="folder"):
        classifier().fit(X, Y).save(tmp_path / "model")
    assert (tmp_path / "model").read_text() == "mine"


@pytest.mark.parametrize("folder", ["", "a\0b", "\ud800", None, 0, b"model"])
def test_what_names_no_folder_is_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    clf = classifier().fit(X, Y)
    for function in (clf.save, skxmr.load, skxmr.pecos.load):
        with pytest.raises((TypeError, ValueError), match="folder"):
            function(folder)
    assert not list(tmp_path.iterdir())


class Interrupted(BaseException):
    """Not an Exception, as KeyboardInterrupt is none."""


@pytest.mark.parametrize(
    ("target", "calls_before"),
    [
        ("numpy.lib.format.write_array_header_1_0", 0),
        ("numpy.lib.format.write_array_header_1_0", 5),
        ("os.fsync", 3),
        ("os.replace", 0),
        ("pathlib.Path.rename", 0),
        ("json.dumps", 2),
    ],
)
def test_an_interrupted_save_leaves_the_old_model(tmp_path, monkeypatch, target, calls_before):
    old = classifier().fit(X, Y)
    old.save(tmp_path)
    calls = []
    module, name = target.rsplit(".", 1)
    owner = {"numpy.lib.format": np.lib.format, "os": os, "pathlib.Path": Path, "json": json}[
        module
    ]
    real = getattr(owner, name)

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) > calls_before:
            raise Interrupted
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(Interrupted):
            classifier(C=0.1).fit(X, CODES).save(tmp_path)
    assert_same_estimator(skxmr.load(tmp_path), old)
    new = classifier(C=0.1).fit(X, CODES)
    new.save(tmp_path)  # what is left over is not in the way
    assert_same_estimator(skxmr.load(tmp_path), new)


@pytest.mark.parametrize("first", [False, True])
def test_an_interruption_right_after_the_replacement_leaves_the_new_model(
    tmp_path, monkeypatch, first
):
    new = classifier().fit(X, Y)
    if not first:
        classifier(C=0.1).fit(X, CODES).save(tmp_path)
    replace = os.replace

    def interrupted(*args):
        replace(*args)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(Interrupted):
            new.save(tmp_path)
    assert_same_estimator(skxmr.load(tmp_path), new)
    new.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_first_save_that_is_interrupted_leaves_no_model(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(Interrupted):
            classifier().fit(X, Y).save(tmp_path / "model")
    with pytest.raises(FileNotFoundError):
        skxmr.load(tmp_path / "model")


def test_a_save_while_loading_is_waited_for(tmp_path, monkeypatch):
    first, second = classifier().fit(X, Y), classifier(C=0.1).fit(X, CODES)
    first.save(tmp_path)
    saves = [second, first, second]
    real = skxmr.persistence._load

    def interfered(reader):
        if saves:
            saves.pop().save(tmp_path)
        return real(reader)

    monkeypatch.setattr(skxmr.persistence, "_load", interfered)
    assert_same_estimator(skxmr.load(tmp_path, mmap=True), second)
    assert not saves


@pytest.mark.skipif(os.name == "nt", reason="mapped files cannot be removed there")
def test_processes_that_map_a_model_see_nothing_of_its_replacement(tmp_path):
    models = [classifier(C=C).fit(X, TARGETS["strings"]) for C in (1.0, 0.01)]
    models[0].save(tmp_path / "model")
    script = """if True:
        import sys, scipy.sparse as sp, skxmr
        X = sp.load_npz(sys.argv[1])
        before = skxmr.load(sys.argv[2], mmap=True)
        print("mapped", flush=True)
        sys.stdin.readline()
        after = skxmr.load(sys.argv[2], mmap=True)
        for clf in (before, after):
            print(*clf.rank(X, 3)[1].ravel().tolist(), *clf.predict(X), sep=",", flush=True)
    """
    sp.save_npz(tmp_path / "X.npz", X)
    command = [sys.executable, "-c", script, str(tmp_path / "X.npz"), str(tmp_path / "model")]
    # not in the repository, whose skxmr need not be the one installed
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": tmp_path}
    readers = [subprocess.Popen(command, **options) for _ in range(2)]
    for reader in readers:
        assert reader.stdout.readline() == "mapped\n"
    models[1].save(tmp_path / "model")
    expected = [
        ",".join(map(str, [*clf.rank(X, 3)[1].ravel().tolist(), *clf.predict(X)])) for clf in models
    ]
    for reader in readers:
        assert reader.communicate("go\n")[0].splitlines() == expected
        assert reader.returncode == 0


# ---- saving beside others ----


@pytest.fixture
def waits(monkeypatch):
    """Whether anybody has waited for a lock."""
    found, flock = [], fcntl.flock

    def noted(handle, operation):
        if operation == fcntl.LOCK_EX:
            found.append(operation)
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", noted)
    return found


@linux
@pytest.mark.parametrize("child_saves", [False, True])
def test_a_child_that_is_forked_during_a_save_does_not_hold_the_folder(
    tmp_path, monkeypatch, waits, child_saves
):
    clf, folder, children = classifier().fit(X, Y), tmp_path / "model", []

    def forks(handle):
        if children:
            return
        reading, writing = os.pipe()
        children.append((os.fork(), writing))
        if children[0][0] == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent has saved again
            status = 1
            try:
                if child_saves:
                    clf.save(folder)
                status = 0
            finally:
                os._exit(status)
        os.close(reading)

    monkeypatch.setattr(os, "fsync", forks)
    clf.save(folder)
    clf.save(folder)
    assert not waits
    pid, writing = children[0]
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0
    assert_same_estimator(skxmr.load(folder), clf)


@linux
def test_a_lock_ends_with_the_process_that_holds_it_even_if_its_child_lives(tmp_path):
    script = """if True:
        import os, signal, sys, time
        from skxmr._utils.locks import exclusive
        with exclusive(sys.argv[1]):
            if os.fork() == 0:
                print("locked", flush=True)
                sys.stdout.close()
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", script, str(tmp_path)]
    options = {"stdout": subprocess.PIPE, "text": True, "cwd": tmp_path, "start_new_session": True}
    with subprocess.Popen(command, **options) as parent:
        assert parent.stdout.readline() == "locked\n"
        parent.wait()
        handle = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(handle)
            os.killpg(parent.pid, signal.SIGKILL)


# ---- special files ----


def make_special(path, kind):
    """Make something at a path that is no regular file."""
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(".", os.O_RDONLY)
            os.chdir(path.parent)  # names of sockets are short
            server.bind(path.name)
            os.fchdir(here)
            os.close(here)
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to(kind)


SPECIAL = ["fifo", "socket", "loop", "/dev/zero", "/dev/random", "/dev/null", "/nonexistent"]


@linux
@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_are_read(model, kind):
    for name in ("tree.0.slot_label", "tree.0.layer.0.child_ptr", "classes.bytes"):
        file = array_file(model, name)
        file.rename(model / "kept")
        make_special(file, kind)
        assert_refused(model)
        file.unlink()
        (model / "kept").rename(file)
    (model / "skxmr.json").unlink()
    make_special(model / "skxmr.json", kind)
    error = FileNotFoundError if kind == "/nonexistent" else ValueError
    with pytest.raises(error, match="saved model"):
        skxmr.load(model)
    clf = classifier().fit(X, Y)
    clf.save(model)
    assert not (model / "skxmr.json").is_symlink()
    assert_same_estimator(skxmr.load(model), clf)


@linux
def test_files_may_be_links_to_regular_files(model, frame, tmp_path):
    """As in caches that keep each file once."""
    expected = skxmr.load(model).rank(frame)
    (tmp_path / "blobs").mkdir()
    for i, file in enumerate([*model.rglob("*.npy"), model / "skxmr.json"]):
        file.rename(tmp_path / "blobs" / str(i))
        file.symlink_to(tmp_path / "blobs" / str(i))
    (tmp_path / "link").symlink_to(model)
    before = {p: p.read_bytes() for p in (tmp_path / "blobs").iterdir()}
    for mmap in (False, True):
        clf = skxmr.load(tmp_path / "link", mmap=mmap)
        assert_array_equal(clf.rank(frame), expected)
    classifier(C=0.1).fit(X, Y).save(tmp_path / "link")
    assert before == {p: p.read_bytes() for p in (tmp_path / "blobs").iterdir()}
    assert len(list(model.iterdir())) == 2


@linux
@pytest.mark.parametrize("kind", [*SPECIAL, "precious", "folder"])
def test_what_is_left_over_is_removed_and_never_followed(tmp_path, kind):
    clf, folder, precious = classifier().fit(X, Y), tmp_path / "model", tmp_path / "precious"
    clf.save(folder)
    (precious / "below").mkdir(parents=True)
    (precious / "file").write_text("mine")
    kind = {"precious": precious / "file", "folder": precious}.get(kind, kind)
    for name in ("skxmr.json.tmp", "arrays-0123456789abcdef.tmp", "arrays-0123456789abcdef"):
        make_special(folder / name, kind)
    (folder / "arrays-fedcba9876543210").mkdir()
    (folder / "arrays-fedcba9876543210" / "link").symlink_to(precious)
    clf.save(folder)
    assert len(list(folder.iterdir())) == 2
    assert_same_estimator(skxmr.load(folder), clf)
    assert (precious / "file").read_text() == "mine"
    assert (precious / "below").is_dir()


def test_a_manifest_without_end_is_not_read(model):
    with open(model / "skxmr.json", "ab") as file:
        file.truncate(1 << 40)
    assert_refused(model)


# ---- parameters and classes that cannot be kept ----

CHANGES = [
    *(
        {"beam_width": 0},
        {"beam_width": 10**5000},
        {"beam_width": np.int16(7)},
        {"threshold": 1e39},
    ),
    *({"threshold": value} for value in (np.inf, -np.inf, np.nan, np.float16(0.3), 10**400, True)),
    *({"n_jobs": 0}, {"n_jobs": 2**70}, {"n_neighbors": 0}, {"n_neighbors": 2.0}),
    *({"n_neighbors": None}, {"n_neighbors": "auto"}, {"neighbor_weight": 2}, {"C": -1}),
    *({"C": "a"}, {"post_processor": "x"}, {"n_trees": 0}, {"n_trees": 3}, {"bias": True}),
    *({"n_trees": 3, "post_processor": "noop"}, {"post_processor": "noop"}),
    *({"weight_dtype": "float64"}, {"max_clusters_per_label": 9}, {"label_embedding": "nothing"}),
    *({"verbose": value} for value in ("loud", np.nan, 10**5000, {"a": 1}, True)),
    *(
        {"negative_sampling": value}
        for value in (["tfn"] * 9, ("tfn", "man"), ["x"], np.str_("man"))
    ),
    *({"random_state": value} for value in (2**70, -1, np.random.RandomState(0), np.int64(3))),
    *({"memory": value} for value in (b"bytes", "\ud800", "a\0b", 3)),
    *({"indexer": value} for value in ("kmeans", KMeansIndexer, KMeansIndexer(branching="x"), 3)),
    *({"indexer": value} for value in (LabelTree([[0, 1]], [0]), TrieIndexer(max_depth=0), None)),
    {"indexer": KMeansIndexer(random_state=10**5000)},
    {"indexer": TrieHybridIndexer(vectorizer="x")},
    {"indexer": TrieHybridIndexer(branching=np.int64(3), n_jobs=np.int8(1))},
    {"indexer": TrieHybridIndexer(balanced=0)},
]


REFUSED_IN_INDEXERS = ("branching", "max_depth", "random_state", "vectorizer", "balanced")


def refused_because(function):
    """What a function says that refuses its arguments; None where it does not."""
    try:
        function()
    except (TypeError, ValueError) as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore:parameter")
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_what_is_saved_can_be_loaded_whatever_the_parameters(tmp_path, change):
    good = classifier(n_neighbors=3).fit(X, Y)
    good.save(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    changed = deepcopy(good).set_params(**change)
    refusal = refused_because(lambda: changed.save(tmp_path))
    if refusal:
        assert any(name in refusal for name in (*change, *REFUSED_IN_INDEXERS))
        assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        return
    loaded = skxmr.load(tmp_path)
    for name in change.keys() - {"memory", "random_state", "indexer", "verbose"}:
        expected = getattr(changed, name)
        expected = list(expected) if isinstance(expected, tuple) else expected
        assert getattr(loaded, name) == expected
    assert_same_estimator(loaded, changed)


def test_another_tree_given_as_indexer_is_kept(tmp_path):
    tree = LabelTree([[0, 2], [0, 5, 9]], range(9))
    more = np.c_[Y, Y[:, :1]]
    clf = classifier(indexer=tree).fit(X, Y).add_labels(X, more)
    assert clf.tree_ != tree
    clf.save(tmp_path)
    for mmap in (False, True):
        loaded = skxmr.load(tmp_path, mmap=mmap)
        assert loaded.indexer == tree
        assert_same_estimator(loaded, clf)


@pytest.mark.parametrize(
    "classes",
    [
        *(CODES.astype(dtype) for dtype in ("f2", "f4", "i1", ">i8", ">f4", np.longdouble)),
        CODES.astype(np.uint64) + np.uint64(2**63),
        np.where(CODES == 0, -0.0, CODES.astype(float)),
        *(np.array([f"{i}" for i in CODES], dtype) for dtype in ("U21", ">U7", object)),
        np.array([f"\ud800{i}\0" for i in CODES], dtype=object),
        np.array([f"\U0001f600{i}\0b" for i in CODES]),
        np.array(["x" * 70_000 + str(i) for i in CODES], dtype=object),
    ],
    ids=lambda classes: classes.dtype.str,
)
@pytest.mark.parametrize("mmap", [False, True])
def test_classes_keep_their_dtype(tmp_path, classes, mmap):
    clf = classifier().fit(X, classes)
    clf.save(tmp_path / "a")
    skxmr.load(tmp_path / "a", mmap=mmap).save(tmp_path / "b")
    loaded = skxmr.load(tmp_path / "b", mmap=mmap)
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert_same_estimator(loaded, clf)


def test_classes_that_cannot_be_kept_are_refused_before_anything_is_written(tmp_path):
    clf = classifier().fit(X, CODES.astype("datetime64[D]"))
    with pytest.raises(TypeError, match=r"classes.*datetime64"):
        clf.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


# ---- parts that do not belong together ----


@pytest.mark.parametrize("name", ["n_features", "models", "trees", "classes", "neighbors"])
def test_pickles_whose_parts_contradict_each_other_are_refused(name):
    clf = classifier(n_neighbors=3).fit(X, Y)
    other = classifier(n_neighbors=3).fit(X[:, :7], Y[:, :5])
    clf._fitted = clf._fitted._replace(**{name: getattr(other._fitted, name)})
    for duplicate in (deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))):
        with pytest.raises(ValueError, match=r"labels and .* features"):
            duplicate(clf)


def changed_layer(layer, name, value):
    state = dict(vars(layer))
    array = state[name].copy()
    array[-1] = value
    return {**state, name: array}


@pytest.mark.parametrize("name", ["child_ptr", "chunk_ptr", "index_ptr", "payload_ptr"])
@pytest.mark.parametrize("value", [-1, 0, 2**40, 2**63 - 1])
def test_layers_are_checked_when_they_are_unpickled(name, value):
    layer = classifier().fit(X, Y)._fitted.models[0].layers[-1]
    copied = object.__new__(type(layer))
    copied.__setstate__(vars(layer))
    with pytest.raises(ValueError, match="layer"):
        copied.__setstate__(changed_layer(layer, name, value))


@pytest.mark.parametrize(
    "change",
    [
        {"slot_label": np.zeros(3, dtype=np.int32)},
        {"slot_label": np.zeros(N_LABELS)},
        {"layers": ()},
        {"n_features": 0},
        {"n_labels": 2**40},
        {"n_labels": 2.5},
        {"max_copies": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_models_are_checked_when_they_are_unpickled(change):
    model = classifier().fit(X, Y)._fitted.models[0]
    copied = object.__new__(type(model))
    with pytest.raises(ValueError, match=r"model|slot_label"):
        copied.__setstate__({**model.__getstate__(), **change})
    reversed_layers = {"layers": model.layers[::-1]}
    with pytest.raises(ValueError, match="contradict"):
        copied.__setstate__({**model.__getstate__(), **reversed_layers})


# ---- earlier and later versions ----

SAVED = Path(__file__).parents[1] / "data" / "saved"
KINDS = sorted(path.stem for path in SAVED.glob("*.zip"))


@pytest.fixture(scope="module")
def recorded():
    with np.load(SAVED / "expected.npz") as file:
        return dict(file)


def assert_ranks_as_recorded(clf, name, recorded):
    rows = recorded["X"]
    if hasattr(clf, "feature_names_in_"):
        frames = pytest.importorskip("pandas")
        rows = frames.DataFrame(rows, columns=clf.feature_names_in_)
    labels, scores = clf.rank(rows, 5)
    assert_array_equal(labels, recorded[f"{name}.labels"])
    assert_allclose(scores, recorded[f"{name}.scores"], rtol=1e-5)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_folders_of_format_version_4_are_read(tmp_path, recorded, name, mmap):
    shutil.unpack_archive(SAVED / f"{name}.zip", tmp_path / "old")
    assert manifest_of(tmp_path / "old")["version"] == 4
    clf = skxmr.load(tmp_path / "old", mmap=mmap)
    assert_ranks_as_recorded(clf, name, recorded)
    clf.save(tmp_path / "new")
    assert manifest_of(tmp_path / "new")["version"] == 5
    again = skxmr.load(tmp_path / "new", mmap=mmap)
    assert repr(again.get_params()) == repr(clf.get_params())
    assert again.classes_.dtype == clf.classes_.dtype
    assert_ranks_as_recorded(again, name, recorded)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
@pytest.mark.parametrize("file", ["trees.joblib", *(f"{name}.pickle" for name in KINDS)])
def test_pickles_of_version_0_1_are_read(tmp_path, recorded, file):
    clf = joblib.load(SAVED / file)
    assert_ranks_as_recorded(clf, Path(file).stem, recorded)
    clf.save(tmp_path)
    assert_ranks_as_recorded(skxmr.load(tmp_path), Path(file).stem, recorded)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_a_completer_of_version_0_1_is_read(recorded):
    completer = joblib.load(SAVED / "completer.pickle")
    pairs = [("oak tree", "e"), ("oak tree", "b"), ("elm", "as"), ("", "la"), ("oak", "bee")]
    assert_array_equal(completer.rank(pairs, 3)[0], recorded["completer.labels"])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_scorers_wrappers_and_explanations_of_version_0_1_are_read():
    others = joblib.load(SAVED / "others.pickle")
    rows, codes = np.eye(4, dtype=np.float32).repeat(5, axis=0), np.arange(20) // 5
    clf = XRLinearClassifier(random_state=0).fit(rows, codes)
    assert [scorer(clf, rows, codes) for scorer in others["scorers"]] == [1.0, {"p": 1.0, "n": 1.0}]
    probabilities = others["calibrated"].predict_proba(rows[::5])
    assert_allclose(np.diag(probabilities), [0.996, 0.996, 0.996, 0.995], atol=1e-3)
    assert_array_equal(others["reranker"].predict(rows), codes)
    explanation = others["explanation"]
    assert_allclose(explanation.scores, [0.00050861], rtol=1e-4)
    assert explanation.neighbors.weight == 0.2
    assert "nearest neighbors" in str(explanation[0])


def later_manifests(manifest):
    """What a later version might write."""
    params, first = manifest["params"], manifest["trees"][0]
    yield {**manifest, "version": 6}
    yield {**manifest, "version": 10**30}
    yield {**manifest, "brand_new": 1}
    yield {**manifest, "class": "XRTransformer"}
    yield {**manifest, "params": {**params, "brand_new": 1}}
    yield {**manifest, "trees": [{**first, "brand_new": 1}, *manifest["trees"][1:]]}
    inner = params["indexer"]["params"]
    for indexer in (
        {"class": "BrandNew", "params": {}},
        {**params["indexer"], "brand_new": 1},
        {**params["indexer"], "params": {**inner, "brand_new": 1}},
    ):
        yield {**manifest, "params": {**params, "indexer": indexer}}


@pytest.mark.parametrize("sealed", [False, True])
def test_what_a_later_version_saved_is_not_called_damaged(model, sealed):
    for manifest in later_manifests({**manifest_of(model), "skxmr": "77.0"}):
        manifest = seal(manifest) if sealed else manifest
        (model / "skxmr.json").write_text(json.dumps(manifest))
        with pytest.raises(ValueError, match=r"saved by a later version of skxmr.*77") as error:
            skxmr.load(model)
        assert str(error.value).startswith("the saved model")
        assert not sealed or "damaged" not in str(error.value)


def test_the_version_that_saved_is_in_the_manifest(model):
    assert manifest_of(model)["skxmr"] == skxmr.__version__


# ---- what is made when it is first asked for ----


@pytest.fixture
def mapped(model):
    return skxmr.load(model, mmap=True)


def test_ranking_needs_no_strings(model):
    data = np.load(array_file(model, "classes.bytes"))
    data[0] = 0xFF
    forge(model, "classes.bytes", data)
    clf = skxmr.load(model, mmap=True)
    with pytest.warns(UserWarning, match="feature names"):
        assert clf.rank(X)[0].shape == (N_ROWS, 10)
    for _ in range(2):
        with pytest.raises(ValueError, match=DAMAGED):
            clf.classes_  # noqa: B018
        with pytest.raises(ValueError, match=DAMAGED):
            pickle.dumps(clf)


def test_strings_are_made_once(mapped):
    assert "classes_" not in vars(mapped)
    assert hasattr(mapped, "classes_")
    assert mapped.classes_ is mapped.classes_
    assert_array_equal(mapped.classes_, TEXT_CLASSES)
    assert mapped.classes_.dtype == TEXT_CLASSES.dtype


def test_threads_may_ask_for_the_strings_at_once(model):
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            clf = skxmr.load(model, mmap=True)
            for names in pool.map(lambda _: clf.classes_, range(8)):  # noqa: B023
                assert_array_equal(names, TEXT_CLASSES)


def test_what_is_absent_is_an_attribute_error(mapped):
    for clf in (mapped, XRLinearClassifier()):
        with pytest.raises(AttributeError, match="no attribute 'nothing_'"):
            clf.nothing_  # noqa: B018
        with pytest.raises(AttributeError, match="predict_proba") as error:
            clf.predict_proba  # noqa: B018
        assert "needs loss='log_loss'" in str(error.value.__cause__)


def test_a_mapped_model_is_fitted_shown_and_cloned(mapped):
    check_is_fitted(mapped)
    check_is_fitted(mapped, ["tree_", "classes_"])
    assert "XRLinearClassifier" in mapped._repr_html_()
    assert not hasattr(clone(mapped), "classes_")


def test_fitting_a_loaded_model_again_leaves_nothing_of_it(mapped):
    mapped.fit(X, CODES + 7)
    assert not hasattr(mapped, "feature_names_in_")
    assert_array_equal(mapped.classes_, np.unique(CODES + 7))
    assert_array_equal(pickle.loads(pickle.dumps(mapped)).classes_, np.unique(CODES + 7))


# ---- damaged models ----

MIXED = {"n_trees": 2, "n_neighbors": 3}
TEXT_CLASSES = np.array([f"label {i}" for i in range(N_LABELS)])


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A saved model with every kind of array."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    clf = classifier(indexer=TWO_LEVELS, **MIXED).fit(X, TEXT_CLASSES[CODES])
    names = np.array([f"f{j}" for j in range(N_FEATURES)], dtype=object)
    clf._fitted = clf._fitted._replace(feature_names=Names(values=names))
    clf.save(folder)
    return folder


@pytest.fixture
def model(original, tmp_path):
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / "model"))


@pytest.fixture(scope="module")
def frame():
    """The rows with the names of the features that this model has."""
    frames = pytest.importorskip("pandas")
    return frames.DataFrame(X.toarray(), columns=[f"f{j}" for j in range(N_FEATURES)])


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


def test_no_model_is_a_file_not_found(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match="no saved model"):
            skxmr.load(folder)


def test_the_copy_that_is_damaged_below_is_sound(model):
    assert_refused_or_harmless(model)
    assert_array_equal(skxmr.load(model).classes_, TEXT_CLASSES)


def test_missing_arrays_are_refused(original, tmp_path):
    for i, name in enumerate(array_names(original)):
        folder = Path(shutil.copytree(original, tmp_path / str(i)))
        array_file(folder, name).unlink()
        assert_refused(folder)


def test_truncated_arrays_are_refused(original, tmp_path):
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    for name in array_names(original):
        file = array_file(folder, name)
        whole = file.read_bytes()
        for length in {0, 3, 9, 60, len(whole) - 1, len(whole) // 2}:
            file.write_bytes(whole[:length])
            assert_refused(folder)
        file.write_bytes(whole + b"\0")
        assert_refused(folder)
        file.write_bytes(whole)
    skxmr.load(folder)


def test_flipped_bytes_are_refused(original, tmp_path):
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    rng = np.random.default_rng(0)
    for name in array_names(original):
        file = array_file(folder, name)
        whole = bytearray(file.read_bytes())
        header = 10 + struct.unpack("<H", whole[8:10])[0]
        if len(whole) == header:
            continue
        for at in rng.integers(header, len(whole), size=8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.integers(8)
            file.write_bytes(damaged)
            assert_refused_if_verified(folder)
        file.write_bytes(whole)
    skxmr.load(folder)


def test_flipped_header_bytes_are_refused_or_change_nothing(original, tmp_path):
    folder = Path(shutil.copytree(original, tmp_path / "model"))
    rng = np.random.default_rng(1)
    for name in array_names(original):
        file = array_file(folder, name)
        whole = bytearray(file.read_bytes())
        for at in rng.integers(0, 128, size=12):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << rng.integers(8)
            file.write_bytes(damaged)
            assert_refused_or_harmless(folder)
        file.write_bytes(whole)


HOSTILE_HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, -1), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 'many', }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
    "__import__('os').getcwd()",
    "(" * 200,
    "{" * 5000,
    "()" * 2000,
    "-" * 900 + "1",
    "-" * 9000 + "1",
    "",
]


@pytest.mark.parametrize("header", HOSTILE_HEADERS)
@pytest.mark.parametrize("name", ["tree.0.layer.0.bias", "classes.bytes"])
def test_hostile_headers_are_refused(model, name, header):
    text = header.encode("latin1")
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 4
    array_file(model, name).write_bytes(content)
    manifest = manifest_of(model)
    manifest["arrays"][name] = {"shape": [1], "crc32": zlib.crc32(b"\0" * 4)}
    write_manifest(model, manifest)
    assert_refused(model)


@pytest.mark.skipif(sys.platform != "linux", reason="limits open files")
@pytest.mark.parametrize("mmap", [False, True])
def test_too_few_files_are_no_damage(model, mmap):
    script = """if True:
        import resource, sys, skxmr
        skxmr.load(sys.argv[1])  # whatever is imported late
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[3]), 4096))
        try:
            print(type(skxmr.load(sys.argv[1], mmap=bool(int(sys.argv[2])))).__name__)
        except OSError as error:
            print(error.strerror)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        print(skxmr.load(sys.argv[1]).n_labels_)
    """
    # A folder that is read needs one file at a time, one that is mapped a file for each array.
    limit = 12 if mmap else 3
    command = [sys.executable, "-c", script, str(model), str(int(mmap)), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=model.parent)
    assert done.stdout.splitlines() == ["Too many open files", str(N_LABELS)]


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x09\x00"])
def test_other_versions_of_npy_are_refused(model, version):
    file = array_file(model, "tree.0.slot_label")
    whole = bytearray(file.read_bytes())
    whole[6:8] = version
    file.write_bytes(whole)
    assert_refused(model)


def test_pickles_are_never_loaded(model):
    class Evil:
        def __reduce__(self):
            return (Path(model / "pwned").touch, ())

    forge(model, "tree.0.slot_label", np.array([Evil()], dtype=object))
    assert_refused(model)
    assert not (model / "pwned").exists()


FORGERIES = {
    "empty": lambda a: a[:0],
    "one shorter": lambda a: a[:-1],
    "one longer": lambda a: np.concatenate([a, a[:1]]),
    "two dimensions": lambda a: a[None],
    "no dimension": lambda a: a[:1].reshape(()),
    "bytes": lambda a: a.view(np.uint8),
    "wider": lambda a: a.astype(np.float64) if a.dtype.names is None else a.view(np.uint64),
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "complex": lambda a: np.zeros(a.shape, dtype=complex),
}


@pytest.mark.parametrize("how", FORGERIES)
def test_forged_shapes_and_dtypes_are_refused_or_harmless(original, tmp_path, how):
    for i, name in enumerate(array_names(original)):
        folder = Path(shutil.copytree(original, tmp_path / str(i)))
        array = np.load(array_file(folder, name))
        forged = FORGERIES[how](array)
        forge(folder, name, forged)
        # Some names have no such form: bytes stay bytes, and empty arrays stay empty.
        same = forged.dtype == array.dtype and forged.shape == array.shape
        (assert_refused_or_harmless if same else assert_refused_if_verified)(folder)


EXTREMES = [0, 1, -1, 2, 127, 255, 2**15, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63), 2**63 - 1]


@st.composite
def edits(draw):
    """Which arrays to damage: (position in the list of names, element, new bytes)."""
    return draw(
        st.lists(
            st.tuples(
                st.integers(0, 10**6),
                st.integers(0, 10**6),
                st.one_of(
                    st.sampled_from(EXTREMES).map(lambda v: struct.pack("<q", v)),
                    st.floats(width=32).map(lambda v: struct.pack("<f", v)),
                    st.binary(min_size=1, max_size=16),
                ),
            ),
            min_size=1,
            max_size=3,
        )
    )


@given(edits(), st.booleans())
@settings(max_examples=250)
def test_forged_contents_are_refused_or_harmless(tmp_path_factory, edits, structural):
    """With a checksum that fits, so that only the structure of the model is left to object."""
    original, folder = forgery_workshop(tmp_path_factory)
    names = array_names(original)
    if structural:  # the pointers decide where everything else is looked for
        names = [n for n in names if n.endswith(("ptr", "index", "slot_label", "pointers"))]
    touched = set()
    for which, where, content in edits:
        name = names[which % len(names)]
        array = np.load(array_file(folder, name))
        raw = bytearray(array.tobytes())
        if not raw:
            continue
        at = where % len(raw)
        if structural:
            at -= at % array.dtype.itemsize
        content = content[: len(raw) - at]
        raw[at : at + len(content)] = content
        forge(folder, name, np.frombuffer(bytes(raw), array.dtype).reshape(array.shape))
        touched.add(name)
    assert_refused_or_harmless(folder)
    for name in touched:
        shutil.copy(array_file(original, name), array_file(folder, name))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60)
def test_swapped_arrays_are_refused_or_harmless(tmp_path_factory, a, b, with_specs):
    """Alone, or with what the manifest says of them."""
    original, folder = forgery_workshop(tmp_path_factory)
    names = array_names(original)
    pair = names[a % len(names)], names[b % len(names)]
    for name, other in (pair, pair[::-1]):
        shutil.copy(array_file(original, name), array_file(folder, other))
    if with_specs:
        manifest = manifest_of(original)
        specs = manifest["arrays"]
        specs[pair[0]], specs[pair[1]] = specs[pair[1]], specs[pair[0]]
        write_manifest(folder, manifest)
    assert_refused_or_harmless(folder)
    for name in pair:
        shutil.copy(array_file(original, name), array_file(folder, name))
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


_WORKSHOP = {}


def forgery_workshop(tmp_path_factory):
    """A model and its copy, made once: copying for each example would be most of the time."""
    if not _WORKSHOP:
        base = tmp_path_factory.mktemp("forgery")
        clf = classifier(indexer=TWO_LEVELS, **MIXED).fit(X, TEXT_CLASSES[CODES])
        clf.save(base / "model")
        shutil.copytree(base / "model", base / "copy")
        _WORKSHOP["folders"] = base / "model", base / "copy"
    return _WORKSHOP["folders"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.4e38])
def test_weights_that_are_no_finite_numbers_do_no_harm(original, tmp_path, value):
    for name in array_names(original):
        if name.endswith(".bias"):
            folder = Path(shutil.copytree(original, tmp_path / name))
            forge(folder, name, np.full_like(np.load(array_file(folder, name)), value))
            assert_refused_or_harmless(folder)


# ---- damaged manifests ----

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def places_of(value, path=()):
    """The paths of everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places_of(inner, (*path, key))


@given(st.integers(0, 10**6), json_values)
@settings(max_examples=120)
def test_any_value_anywhere_in_the_manifest_is_refused_or_harmless(tmp_path_factory, where, value):
    original, folder = forgery_workshop(tmp_path_factory)
    manifest = manifest_of(original)
    places = [p for p in places_of(manifest) if p[-1] != "n_jobs"]
    *path, last = places[where % len(places)]
    owner = manifest
    for key in path:
        owner = owner[key]
    owner[last] = value
    write_manifest(folder, manifest)
    assert_refused_or_harmless(folder)
    shutil.copy(original / "skxmr.json", folder / "skxmr.json")


def test_any_bit_of_the_manifest_is_checked(model):
    file = model / "skxmr.json"
    whole = file.read_bytes()
    sound = json.loads(whole)
    rng = np.random.default_rng(0)
    n_refused = 0
    for at in rng.permutation(len(whole))[:1500]:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.integers(8)
        file.write_bytes(flipped)
        try:
            read = json.loads(flipped)
        except ValueError:
            read = None
        if read == sound:  # blanks between the values
            continue
        n_refused += 1
        with pytest.raises(ValueError, match=DAMAGED):
            skxmr.load(model, mmap=True)
    assert n_refused > 700


def test_no_field_or_parameter_may_be_missing(model):
    manifest = manifest_of(model)
    for key in manifest.keys() - {"feature_names", "n_voters_given", "skxmr", "votes"}:
        left = {k: v for k, v in manifest.items() if k != key}
        (model / "skxmr.json").write_text(json.dumps(left if key == "crc32" else seal(left)))
        assert_refused(model)
    for name in manifest["params"]:
        left = {k: v for k, v in manifest["params"].items() if k != name}
        write_manifest(model, {**manifest, "params": left})
        assert_refused(model)


def damage_one(folder, name):
    """Flip a bit of an array's last byte, without putting its checksum right."""
    file = array_file(folder, name)
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)


@pytest.mark.parametrize("again", [False, True])
def test_damage_does_not_become_sound_by_saving_again(original, tmp_path, again):
    for i, name in enumerate(array_names(original)):
        folder = Path(shutil.copytree(original, tmp_path / f"damaged {i}"))
        damage_one(folder, name)
        clf = or_refuse(lambda: skxmr.load(folder, mmap=True))  # noqa: B023
        if again and clf is not None:
            clf = or_refuse(lambda: pickle.loads(pickle.dumps(clf)))  # noqa: B023
        if clf is None:
            continue
        good = classifier().fit(X, Y)
        good.save(tmp_path / f"saved {i}")
        with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
            clf.save(tmp_path / f"saved {i}")
        assert_same_estimator(skxmr.load(tmp_path / f"saved {i}"), good)
        assert len(list((tmp_path / f"saved {i}").iterdir())) == 2


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31), -1, N_ROWS, 10**6])
@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize(
    "name", ["voters.labels", "voters.label_ptr", "voters.word_ptr", "voters.source"]
)
def test_what_is_added_to_a_damaged_model_is_refused(model, frame, name, forged, value):
    array = np.load(array_file(model, name))
    array[5] = value
    if forged:
        forge(model, name, array)
    else:
        np.save(array_file(model, name), array)
    clf = skxmr.load(model, mmap=True)
    labels = clf.rank(frame, 3)[0]
    with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
        clf.add_neighbors(frame[:5], TEXT_CLASSES[CODES[:5]])
    more = np.append(["new"], TEXT_CLASSES[CODES[1:]])
    with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
        clf.add_labels(frame, more)
    assert_array_equal(clf.rank(frame, 3)[0], labels)


@pytest.mark.parametrize("value", [2**31 - 1, -1])
def test_trees_of_a_damaged_model_are_refused_when_they_are_asked_for(model, frame, value):
    slots = np.load(array_file(model, "tree.0.slot_label"))
    slots[2] = value
    forge(model, "tree.0.slot_label", slots)
    clf = skxmr.load(model, mmap=True)
    for _ in range(2):
        for ask in (
            lambda: clf.tree_.slot_label,
            lambda: clf.tree_.path(1),
            lambda: clf.tree_.leaf_clusters,
            lambda: pickle.dumps(clf.tree_),
            lambda: clf.explain(frame[:1], "label 1"),
        ):
            with pytest.raises(ValueError, match=f"{DAMAGED}.*damaged"):
                ask()
    assert clf.tree_.n_slots == len(slots)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"skxmr model"',
        "{}",
        "\x00",
        "[" * 100_000,
        '{"format": "other", "version": 1}',
        '{"format": "skxmr model"}',
        '{"format": "skxmr model", "version": 1}',
        '{"format": "skxmr model", "version": 2}',
        '{"format": "skxmr model", "version": 3}',
        '{"format": "skxmr model", "version": 3, "n_levels": ' + "9" * 10_000 + "}",
    ],
)
def test_manifests_that_are_none_are_refused(model, text):
    (model / "skxmr.json").write_text(text)
    assert_refused(model)


def test_a_manifest_that_is_not_utf8_is_refused(model):
    (model / "skxmr.json").write_bytes(b'{"format": "\xff"}')
    assert_refused(model)


def test_a_truncated_manifest_is_refused(model):
    whole = (model / "skxmr.json").read_bytes()
    for length in range(0, len(whole) - 2, 37):
        (model / "skxmr.json").write_bytes(whole[:length])
        assert_refused(model)


WRONG_VALUES = [None, True, -1, 0, 2**31, 2**80, 1.5, float("nan"), "x", "../..", [], [[]], {}]


def test_wrong_values_in_the_manifest_are_refused_or_harmless(model):
    manifest = manifest_of(model)
    for key in manifest:
        for value in WRONG_VALUES:
            write_manifest(model, {**manifest, key: value})
            assert_refused_or_harmless(model)
        write_manifest(model, {k: v for k, v in manifest.items() if k != key})
        assert_refused_or_harmless(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "other"),
        ("version", 1),
        ("version", 3),
        ("version", 6),
        ("version", 5.0),
        ("version", "5"),
        ("class", "KMeansIndexer"),
        ("class", "os.system"),
        ("params", []),
        ("params", {"unheard_of": 1}),
        ("params", {"beam_width": 0}),
        ("params", {"post_processor": "none"}),
        ("params", {"loss": ["log_loss"]}),
        ("params", {"indexer": "KMeansIndexer"}),
        ("params", {"indexer": {"class": "Popen", "params": {}}}),
        ("params", {"indexer": {"class": "KMeansIndexer", "params": {"unheard_of": 1}}}),
        ("params", {"indexer": {"class": "KMeansIndexer"}}),
        ("n_features", 0),
        ("n_features", 1),
        ("n_features", 2**31),
        ("n_features", "14"),
        ("n_features", True),
        ("trees", []),
        ("trees", {}),
        ("trees", [3]),
        ("has_voters", 1),
        ("has_voters", None),
        ("n_levels", 0),
        ("n_levels", 99),
        ("n_levels", 2**60),
        ("n_labels", 0),
        ("n_labels", N_LABELS - 1),
        ("n_labels", N_LABELS + 1),
        ("n_labels", 2**40),
        ("max_copies", 0),
        ("max_copies", 2**62),
        ("n_iter", "many"),
        ("weight_dtype", "float64"),
        ("weight_dtype", ""),
        ("weight_dtype", 2),
        ("weight_dtype", None),
        ("params", {"weight_dtype": "float64"}),
        ("container", "list"),
        ("container", None),
        ("classes", "numbers"),
        ("classes", "pickle"),
        ("feature_names", "numbers"),
        ("feature_names", 3),
        ("arrays", []),
        ("arrays", {}),
        ("arrays_in", "arrays-ffffffffffffffff"),
        ("arrays_in", "."),
        ("arrays_in", ""),
        ("arrays_in", "../model"),
        ("arrays_in", "/etc"),
        ("arrays_in", "arrays-0123456789abcdef/../.."),
        ("arrays_in", "arrays-0123456789abcdef\n"),
    ],
)
def test_wrong_manifest_fields_are_refused(model, key, value):
    write_field(model, key, value)
    assert_refused(model)


def test_wrong_parameters_in_the_manifest_are_refused_or_harmless(model):
    manifest = manifest_of(model)
    for name in manifest["params"]:
        # Numbers of workers are no damage, and larger ones than the machine has are the caller's.
        for value in [v for v in WRONG_VALUES if name != "n_jobs"]:
            params = {**manifest["params"], name: value}
            write_manifest(model, {**manifest, "params": params})
            assert_refused_or_harmless(model)


@pytest.mark.parametrize("spec", [None, 3, [], {}, {"shape": None}, {"shape": [1], "crc32": "x"}])
def test_wrong_entries_of_arrays_are_refused(model, spec):
    manifest = manifest_of(model)
    for name in manifest["arrays"]:
        write_manifest(model, {**manifest, "arrays": {**manifest["arrays"], name: spec}})
        is_shape = isinstance(spec, dict) and spec.get("shape") and array_shape(model, name) == [1]
        (assert_refused_if_verified if is_shape else assert_refused)(model)


def test_arrays_are_not_looked_for_outside_the_folder(model, tmp_path):
    arrays = manifest_of(model)["arrays_in"]
    shutil.move(model / arrays, tmp_path / arrays)
    for name in (f"../{arrays}", str(tmp_path / arrays)):
        write_manifest(model, {**manifest_of(model), "arrays_in": name})
        assert_refused(model)


def test_strings_that_are_not_utf8_are_refused(model):
    data = np.load(array_file(model, "classes.bytes"))
    data[0] = 0xFF
    forge(model, "classes.bytes", data)
    assert_refused_if_verified(model)


@pytest.mark.parametrize("values", [[0], [], [0, 5, 3], [-1, 5], [0, 2**40], [5]])
def test_string_pointers_that_lead_astray_are_refused(model, values):
    forge(model, "classes.pointers", np.array(values, dtype=np.int64))
    assert_refused(model)


def test_string_pointers_that_fall_are_refused(model):
    pointers = np.load(array_file(model, "classes.pointers"))
    pointers[2] = pointers[3] + 1
    forge(model, "classes.pointers", pointers)
    assert_refused_if_verified(model)


def test_a_wrong_number_of_copies_is_refused(model):
    write_field(model, "max_copies", 2)
    assert_refused_if_verified(model)


def test_n_jobs_of_a_saved_model_is_checked(tmp_path):
    clf = XRLinearClassifier(random_state=0).fit(np.eye(3, dtype=np.float32), ["a", "b", "c"])
    clf.save(tmp_path)
    manifest = json.loads((tmp_path / "skxmr.json").read_text())
    manifest["params"]["n_jobs"] = "x"
    (tmp_path / "skxmr.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match="the saved model"):
        skxmr.load(tmp_path)
