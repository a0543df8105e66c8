"""Saved models rank as before, and a save that fails changes nothing."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from saved_models import (
    CODES,
    DAMAGED,
    N_FEATURES,
    N_LABELS,
    N_ROWS,
    TEXT_CLASSES,
    X,
    Y,
    array_file,
    assert_refused_if_verified,
    assert_same_estimator,
    classifier,
    forge,
    linux,
    manifest_of,
    write_field,
)
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

import skxmr
from skxmr import KMeansIndexer, LabelTree, TrieHybridIndexer, TrieIndexer, XRLinearClassifier
from skxmr._saving import reading
from skxmr._utils import locks
from skxmr._utils.folder import LATEST, seal

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None


pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

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
        assert {layer.weight_dtype for layer in copied._fitted.rankers[0].layers} == {weight_dtype}
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
    layer = skxmr.load(tmp_path, mmap=True)._fitted.rankers[0].layers[0]
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
    real = reading._load

    def interfered(reader, trusted):
        if saves:
            saves.pop().save(tmp_path)
        return real(reader, trusted)

    monkeypatch.setattr(reading, "_load", interfered)
    assert_same_estimator(skxmr.load(tmp_path, mmap=True), second)
    assert not saves


@pytest.mark.skipif(os.name == "nt", reason="mapped files cannot be removed there")
@pytest.mark.slow
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
        import os, runpy, signal, sys, time
        with runpy.run_path(sys.argv[2])["exclusive"](sys.argv[1]):
            if os.fork() == 0:
                print("locked", flush=True)
                sys.stdout.close()
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    # By its path, without the rest of skxmr, whose import takes seconds.
    command = [sys.executable, "-c", script, str(tmp_path), locks.__file__]
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


@pytest.mark.parametrize("name", ["n_features", "rankers", "trees", "classes", "neighbors"])
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
    layer = classifier().fit(X, Y)._fitted.rankers[0].layers[-1]
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
    model = classifier().fit(X, Y)._fitted.rankers[0]
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
    assert manifest_of(tmp_path / "new")["version"] == 6
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
    yield {**manifest, "version": LATEST + 1}
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
