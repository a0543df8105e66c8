"""Searches over what only matters for ranking: nothing is done twice."""

import errno
import os
import shutil
import subprocess
import threading
import time
from functools import partial

import joblib
import numpy as np
import pytest
from datasets import labels_as_features
from marks import slow_except
from noted import NotedIndexer
from numpy.testing import assert_array_equal
from reference import assert_same_model, assert_same_ranking
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

import skxmr.linear
from skxmr import XRLinearClassifier
from skxmr._utils import caching
from skxmr.linear._params import PARAMETERS
from skxmr.metrics import (
    join_ranking_scorers,
    ndcg_at_5_scorer,
    precision_at_1_scorer,
    precision_at_5_scorer,
)

GRID = {
    "beam_width": [1, 3],
    "post_processor": ["l3-hinge", "sigmoid"],
    "prune_threshold": [0.05, 0.2],
}


@pytest.fixture
def noted(tmp_path):
    """A classifier with a memory, and what its indexer wrote down."""
    note = tmp_path / "note"
    note.touch()
    clf = XRLinearClassifier(NotedIndexer(str(note)), memory=tmp_path / "memory", random_state=0)
    return clf, lambda: note.read_text().split()


rows_and_labels = partial(labels_as_features, n_rows=300, n_labels=30, label_density=0.1, noise=0.1)


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=50, **options) as made,
        distributed.Client(made) as client,
    ):
        yield client


BACKENDS = ["sequential", "threading", "loky", "dask"]


@pytest.mark.parametrize("backend", slow_except(BACKENDS[:3], BACKENDS))
@pytest.mark.slow
def test_workers_train_each_fold_once(noted, backend, request):
    if backend == "dask":
        request.getfixturevalue("cluster")
    clf, trained = noted
    X, Y = rows_and_labels()
    n_jobs = 1 if backend == "sequential" else 4
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        search = GridSearchCV(clf, GRID, cv=3, error_score="raise").fit(X, Y)
    assert len(trained()) == 3 + 1
    plain = GridSearchCV(clone(clf).set_params(memory=None), GRID, cv=3).fit(X, Y)
    assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert_same_model(search.best_estimator_, plain.best_estimator_)


def test_halving_trains_each_sample_of_each_fold_once(noted):
    clf, trained = noted
    X, Y = rows_and_labels()
    search = HalvingGridSearchCV(
        clf, GRID, cv=3, factor=2, min_resources=100, random_state=0, error_score="raise"
    ).fit(X, Y)
    assert search.n_iterations_ > 1
    assert len(trained()) == 3 * search.n_iterations_ + 1


def test_a_pipeline_with_a_memory_trains_each_fold_once(noted, tmp_path):
    clf, trained = noted
    texts = [f"{a}{b} {b}{a}" for a in "abcdefghijklmno" for b in "abcdefghijklmno"]
    y = [text[0] for text in texts]
    model = make_pipeline(TfidfVectorizer(analyzer="char"), clf, memory=str(tmp_path / "texts"))
    grid = {f"xrlinearclassifier__{name}": values for name, values in GRID.items()}
    GridSearchCV(model, grid, cv=3, error_score="raise").fit(texts, y)
    assert len(trained()) == 3 + 1


def test_what_a_fit_yields_is_made_once_for_each_threshold(monkeypatch, tmp_path):
    made = []
    learn = skxmr.linear._fit._learn
    monkeypatch.setattr(skxmr.linear._fit, "_learn", lambda *given: made.append(1) or learn(*given))
    X, Y = rows_and_labels()
    clf = XRLinearClassifier(memory=tmp_path, random_state=0)
    GridSearchCV(clf, GRID, cv=3, refit=False, error_score="raise").fit(X, Y)
    assert len(made) == 3 * len(GRID["prune_threshold"])


def test_equal_rows_are_merged_once_for_all_thresholds(monkeypatch, tmp_path):
    made = []
    merge = skxmr.linear._inputs.distinct_examples
    monkeypatch.setattr(
        skxmr.linear._inputs,
        "distinct_examples",
        lambda *given: made.append(1) or merge(*given),
    )
    clf = XRLinearClassifier(memory=tmp_path, random_state=0)
    GridSearchCV(clf, GRID, cv=3, refit=False, error_score="raise").fit(*rows_and_labels())
    assert len(made) == 3


DIFFERENT = {
    "X": lambda X, Y: ((X * 2, Y), {}),
    "y": lambda X, Y: ((X, Y[::-1]), {}),
    "container": lambda X, Y: ((X, Y.toarray()), {}),
    "array": lambda X, Y: ((X, sp.csr_array(Y)), {}),
    "weight": lambda X, Y: ((X, Y, np.arange(X.shape[0]) + 1), {}),
    "text": lambda X, Y: ((X, Y), {"label_text": list("ab" * (Y.shape[1] // 2))}),
    "other text": lambda X, Y: ((X, Y), {"label_text": ["ab", ""] * (Y.shape[1] // 2)}),
    "features": lambda X, Y: ((X, Y), {"label_features": np.eye(Y.shape[1])}),
    "relevance": lambda X, Y: ((X, Y), {"relevance": 2 * Y}),
    "negatives": lambda X, Y: ((X, Y), {"negatives": Y[::-1]}),
}


def test_different_input_is_told_apart():
    X, Y = rows_and_labels()
    names = "sample_weight", "label_features", "label_text", "relevance", "negatives"
    keys = set()
    for args, kwargs in ((make(X, Y)) for make in DIFFERENT.values()):
        given = {**dict.fromkeys(names), **kwargs}
        if len(args) > 2:
            given["sample_weight"] = args[2]
        keys.add(caching.key_of([*args[:2], *given.values()], {}))
    assert None not in keys
    assert len(keys) == len(DIFFERENT)
    same = sp.csr_matrix(X)
    same.has_canonical_format  # noqa: B018  (noted on the object)
    assert caching.key_of([X, list("ab")], {}) == caching.key_of([same, list("ab")], {})


@pytest.mark.parametrize("part", ["X.data", "X.indices", "X.indptr", "Y"])
def test_changes_in_place_are_noticed(noted, part):
    clf, trained = noted
    X, Y = rows_and_labels()
    X, Y = sp.csr_matrix(X, dtype=np.float32), Y.toarray()
    clone(clf).fit(X, Y)
    if part == "X.data":
        X.data[-1] *= -1
    elif part == "X.indices":
        used = X.indices[X.indptr[5] : X.indptr[6]]
        used[:] = np.sort(np.random.default_rng(0).permutation(X.shape[1])[: len(used)])
    elif part == "X.indptr":
        X.indptr[5] = X.indptr[4]
        X.sum_duplicates()
    else:
        Y[7] = 1 - Y[7]
    again = clone(clf).fit(X, Y)
    assert len(trained()) == 2
    assert_same_model(again, clone(clf).set_params(memory=None).fit(X, Y))


def test_results_are_kept_while_the_memory_has_them(noted):
    clf, trained = noted
    X, Y = rows_and_labels()
    first, second = (clone(clf).set_params(beam_width=b).fit(X, Y) for b in (2, 3))
    assert second._fitted.rankers[0] is first._fitted.rankers[0]
    joblib.Memory(clf.memory, verbose=0).clear(warn=False)
    third = clone(clf).fit(X, Y)
    assert len(trained()) == 2
    assert third._fitted.rankers[0] is not first._fitted.rankers[0]
    assert_same_model(third, first)


def test_fits_with_one_result_share_nothing_that_may_be_changed(noted):
    clf, _ = noted
    X, Y = rows_and_labels()
    y = Y.toarray().argmax(axis=1).astype(str).astype(object)
    fits = [clone(clf).set_params(beam_width=b).fit(X, y) for b in (2, 3, 4)]
    fits[1].indexer_.set_params(branching=99)
    assert fits[2].indexer_.branching != 99
    expected = fits[2].classes_.copy()
    if fits[1].classes_.flags.writeable:
        fits[1].classes_[:] = "changed"
    assert_array_equal(fits[2].classes_, expected)
    assert_array_equal(clone(clf).fit(X, y).classes_, expected)


def test_a_search_over_neighbors_ranks_as_without_a_memory(noted):
    clf, _ = noted
    X, Y = rows_and_labels()
    grid = {"beam_width": [1, 30], "n_neighbors": [2, 5]}
    with_memory, without = (
        GridSearchCV(clone(clf).set_params(memory=memory), grid, cv=2, refit=False).fit(X, Y)
        for memory in (clf.memory, None)
    )
    for split in ("split0_test_score", "split1_test_score"):
        assert_array_equal(with_memory.cv_results_[split], without.cv_results_[split])


def test_what_cannot_be_pickled_is_not_remembered(tmp_path):
    assert caching.key_of([], {"lock": threading.Lock()}) is None
    made = []
    for _ in range(2):
        caching.recall(joblib.Memory(tmp_path, verbose=0), None, None, lambda: made.append(1))
    assert len(made) == 2


@pytest.mark.parametrize(
    "texts", [list("abcdefghij"), iter("abcdefghij"), np.array(list("abcdefghij"))]
)
def test_label_texts_of_any_kind(tmp_path, texts):
    X, Y = rows_and_labels(n_labels=10)
    clf = XRLinearClassifier(label_embedding="text", memory=tmp_path, random_state=0)
    found = clf.fit(X, Y, label_text=texts)
    plain = clone(clf).set_params(memory=None).fit(X, Y, label_text=list("abcdefghij"))
    assert_same_model(found, plain)


def test_bad_input_is_refused_with_a_memory_as_without(tmp_path):
    X, Y = rows_and_labels()
    clf = XRLinearClassifier(memory=tmp_path)
    for wrong, message in (
        ({"sample_weight": [1, [2]]}, "inhomogeneous|sample_weight"),
        ({"label_text": ["a", "b"]}, "label_text must be 30 strings"),
        ({"label_features": "abc"}, "label_features"),
    ):
        with pytest.raises(ValueError, match=message):
            clf.fit(X, Y, **wrong)


def test_a_model_outlives_its_memory(tmp_path):
    X, Y = rows_and_labels()
    clf = XRLinearClassifier(memory=tmp_path / "memory", random_state=0, n_neighbors=3)
    fitted = [clone(clf).fit(X, Y) for _ in range(2)]
    expected = fitted[0].rank(X)
    assert not any(type(a) is np.memmap for a in fitted[1]._fitted.neighbors.arrays.values())
    shutil.rmtree(tmp_path / "memory")
    assert_same_ranking(fitted[1].rank(X), expected)
    with joblib.parallel_config("loky", n_jobs=2):
        assert_same_ranking(fitted[1].rank(X), expected)


@pytest.mark.parametrize("options", [{"compress": True}, {"mmap_mode": "c"}, {"location": None}])
def test_memories_of_any_kind(tmp_path, options):
    X, Y = rows_and_labels()
    memory = joblib.Memory(**{"location": tmp_path, "verbose": 0, **options})
    plain = XRLinearClassifier(random_state=0).fit(X, Y)
    for _ in range(2):
        assert_same_model(XRLinearClassifier(memory=memory, random_state=0).fit(X, Y), plain)


def test_a_memory_that_is_no_joblib_memory(monkeypatch):
    class Forgetful:
        def cache(self, function, ignore=None):
            return function

    X, Y = rows_and_labels()
    plain = XRLinearClassifier(random_state=0).fit(X, Y)
    assert_same_model(XRLinearClassifier(memory=Forgetful(), random_state=0).fit(X, Y), plain)


def test_those_who_ask_at_once_wait_for_the_first(tmp_path):
    memory, made, found = joblib.Memory(tmp_path, verbose=0), [], []

    def compute():
        made.append(1)
        time.sleep(0.3)
        return np.arange(3)

    def ask():
        found.append(caching.recall(memory, "key", "work", compute))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [array.tolist() for array in found] == [[0, 1, 2]] * 5


def test_a_failed_training_lets_the_next_one_go_on(tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)

    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        caching.recall(memory, "key", "work", fail)
    assert caching.recall(memory, "key", "work", lambda: 5) == 5


# ---- memories that fail ----


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


#: What a memory calls to store something, and whether it may fail from the beginning.
STORES = [
    "joblib._store_backends.FileSystemStoreBackend._open_item",
    "joblib._store_backends.FileSystemStoreBackend.create_location",
    "joblib._store_backends.concurrency_safe_write",
    "joblib.memory.MemorizedFunc._persist_input",
    "joblib.numpy_pickle.NumpyPickler.dump",
    "os.makedirs",
]

KINDS = [{}, {"n_trees": 2}, {"max_clusters_per_label": 2}, {"negative_sampling": "man"}]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("target", STORES)
def test_a_full_disk_costs_no_training(tmp_path, monkeypatch, trainings, target):
    X, Y = rows_and_labels()
    plain = XRLinearClassifier(random_state=0).fit(X, Y)
    clf = XRLinearClassifier(memory=joblib.Memory(tmp_path, verbose=0), random_state=0)
    trainings.clear()
    with monkeypatch.context() as patch:
        patch.setattr(target, full_disk)
        assert_same_model(clone(clf).fit(X, Y), plain)
    assert len(trainings) == 1
    assert_same_model(clone(clf).fit(X, Y), plain)


@pytest.mark.filterwarnings("ignore::joblib.memory.JobLibCollisionWarning")
@pytest.mark.parametrize("params", KINDS, ids=str)
def test_a_disk_that_fills_up_is_warned_of(tmp_path, monkeypatch, trainings, params):
    X, Y = rows_and_labels()
    plain = XRLinearClassifier(random_state=0, **params).fit(X, Y)
    n_trainings = len(trainings)
    clf = XRLinearClassifier(memory=tmp_path, random_state=0, **params)
    monkeypatch.setattr("joblib._store_backends.concurrency_safe_write", full_disk)
    monkeypatch.setattr(
        "joblib._store_backends.StoreBackendMixin._concurrency_safe_write", full_disk
    )
    with pytest.warns(UserWarning, match="memory cannot be used"):
        fitted = clf.fit(X, Y)
    assert_same_model(fitted, plain)
    assert len(trainings) == 2 * n_trainings


@pytest.mark.parametrize("location", ["file/below", "file"])
def test_a_memory_that_cannot_be_opened_is_warned_of(tmp_path, location):
    (tmp_path / "file").write_text("mine")
    X, Y = rows_and_labels()
    with pytest.warns(UserWarning, match="memory cannot be used"):
        fitted = XRLinearClassifier(memory=tmp_path / location, random_state=0).fit(X, Y)
    assert_same_model(fitted, XRLinearClassifier(random_state=0).fit(X, Y))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("content", [b"", b"garbage", None, "cut", "flipped"])
def test_damaged_entries_are_made_again(tmp_path, content):
    X, Y = rows_and_labels()
    plain = XRLinearClassifier(random_state=0, n_neighbors=3).fit(X, Y)
    clf = XRLinearClassifier(
        memory=joblib.Memory(tmp_path, verbose=0), random_state=0, n_neighbors=3
    )
    clf.fit(X, Y)
    entries = list(tmp_path.rglob("output.pkl"))
    assert len(entries) == 3
    for entry in entries:
        whole = entry.read_bytes()
        entry.unlink()
        if content is None:
            entry.mkdir()
        elif content == "cut":
            entry.write_bytes(whole[: len(whole) // 2])
        elif content == "flipped":
            entry.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        else:
            entry.write_bytes(content)
    assert_same_model(clone(clf).fit(X, Y), plain)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_memory_that_is_deleted_meanwhile(tmp_path, monkeypatch):
    X, Y = rows_and_labels()
    train = skxmr._training.trees.train_layers

    def deletes(*args, **kwargs):
        shutil.rmtree(tmp_path / "memory")
        return train(*args, **kwargs)

    monkeypatch.setattr(skxmr._training.trees, "train_layers", deletes)
    fitted = XRLinearClassifier(memory=tmp_path / "memory", random_state=0).fit(X, Y)
    monkeypatch.undo()
    assert_same_model(fitted, XRLinearClassifier(random_state=0).fit(X, Y))


def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can make a disk of this size")
    X, Y = rows_and_labels()
    try:
        with pytest.warns(UserWarning, match="memory cannot be used"):
            fitted = XRLinearClassifier(memory=disk, random_state=0).fit(X, Y)
        assert_same_model(fitted, XRLinearClassifier(random_state=0).fit(X, Y))
        with pytest.raises(OSError, match="No space left"):
            (disk / "rest").write_bytes(bytes(1 << 14))
        with pytest.raises(OSError, match="No space left"):
            fitted.save(disk / "model")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_errors_of_the_training_itself_are_raised_once(tmp_path, monkeypatch):
    X, Y = rows_and_labels()
    calls = []

    def fails(*args, **kwargs):
        calls.append(1)
        raise OSError("mine")

    monkeypatch.setattr(skxmr._training.trees, "train_layers", fails)
    with pytest.raises(OSError, match="mine"):
        XRLinearClassifier(memory=tmp_path, random_state=0).fit(X, Y)
    assert len(calls) == 1


class Unspeakable:
    """Cannot be pickled, and says so in its own way."""

    def __reduce__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("thing", [Unspeakable(), (i for i in ()), threading.Lock()])
def test_what_cannot_be_named_has_no_key(thing):
    assert caching.key_of([], {"thing": thing}) is None
    assert caching.key_of([[thing]], {}) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_during_a_fit_does_not_keep_others_waiting(tmp_path):
    memory, children = joblib.Memory(tmp_path, verbose=0), []

    def forks():
        reading, writing = os.pipe()
        children.append((os.fork(), writing))
        if children[0][0] == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(caching.recall(memory, "b", "work", lambda: 3) != 3)
        os.close(reading)
        return 1

    assert caching.recall(memory, "a", "work", forks) == 1
    assert caching.recall(memory, "c", "work", lambda: 2) == 2  # while the child lives
    pid, writing = children[0]
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0


# ---- several scores of one ranking ----

SCORERS = {"p1": precision_at_1_scorer, "p5": precision_at_5_scorer, "ndcg5": ndcg_at_5_scorer}


class Counting(BaseEstimator):
    """Ranks by columns, and counts how often."""

    ranked = []

    def fit(self, X, y):
        return self

    def rank(self, X, k=10):
        self.ranked.append(k)
        scores = np.asarray(X)
        labels = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
        return labels, np.take_along_axis(scores, labels, axis=1)


def test_joined_scorers_rank_once_and_score_the_same():
    X, Y = rows_and_labels()
    clf = XRLinearClassifier(random_state=0).fit(X, Y)
    joined = join_ranking_scorers(SCORERS)
    assert joined(clf, X, Y) == {name: scorer(clf, X, Y) for name, scorer in SCORERS.items()}
    Counting.ranked.clear()
    joined(Counting(), X.toarray(), Y)
    assert Counting.ranked == [5]


def test_joined_scorers_in_a_search_and_in_another_process():
    X, Y = rows_and_labels()
    joined = join_ranking_scorers(SCORERS)
    clf = XRLinearClassifier(random_state=0)
    search = GridSearchCV(clf, {"beam_width": [1, 5]}, scoring=joined, refit="p5", cv=2, n_jobs=2)
    apart = GridSearchCV(clf, {"beam_width": [1, 5]}, scoring=SCORERS, refit="p5", cv=2)
    search.fit(X, Y), apart.fit(X, Y)
    for name in SCORERS:
        of = f"mean_test_{name}"
        assert_array_equal(search.cv_results_[of], apart.cv_results_[of])
    found = cross_validate(clf, X, Y.toarray(), scoring=joined, cv=2)
    assert set(found) >= {f"test_{name}" for name in SCORERS}


def test_joined_scorers_take_the_classes_of_a_one_dimensional_y():
    X, _ = rows_and_labels()
    y = np.array(list("abc"))[np.arange(X.shape[0]) % 3]
    clf = XRLinearClassifier(random_state=0).fit(X, y)
    assert join_ranking_scorers(SCORERS)(clf, X, y)["p1"] == clf.score(X, y)


def test_only_ranking_scorers_can_be_joined():
    for wrong in ({}, {"f1": "f1_micro"}, [precision_at_1_scorer]):
        with pytest.raises((TypeError, ValueError), match="scorers must"):
            join_ranking_scorers(wrong)
    assert "p5" in repr(join_ranking_scorers(SCORERS))


def test_every_parameter_is_in_the_table():
    assert XRLinearClassifier().get_params().keys() == PARAMETERS.keys()
