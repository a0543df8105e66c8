"""Work spread over the processes of a dask cluster."""

import os
import pickle
import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from marks import slow_except
from numpy.testing import assert_array_equal
from reference import assert_same_ranking
from scipy import sparse as sp
from shards import files_of, in_shards
from sklearn.model_selection import GridSearchCV

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr._utils import parallel

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@contextmanager
def started(n_workers):
    """The client of a cluster of processes."""
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(silence_logs=50, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with started(2) as client:
        yield client


def rows_and_labels(n_rows=3000, n_labels=200, n_features=300, seed=0):
    """Rows hold the feature of each of their labels, and noise."""
    rng = np.random.default_rng(seed)
    Y = sp.random(n_rows, n_labels, 2 / n_labels, "csr", dtype=np.float32, random_state=rng)
    Y.data[:] = 1
    own = sp.csr_matrix((np.ones(n_labels), (range(n_labels), rng.permutation(n_labels))))
    own.resize((n_labels, n_features))
    noise = sp.random(n_rows, n_features, 0.02, "csr", dtype=np.float32, random_state=rng)
    return sp.csr_matrix(Y @ own + noise, dtype=np.float32), Y


def classifier(**params):
    indexer = KMeansIndexer(branching=4, max_leaf_size=10, balanced=False)
    return XRLinearClassifier(indexer, random_state=0, **params)


def assert_same_models(left, right):
    """All trees, bit by bit."""
    assert left.trees_ == right.trees_
    for one, other in zip(left._fitted.rankers, right._fitted.rankers, strict=True):
        for a, b in zip(one.layers, other.layers, strict=True):
            for name in a.DTYPES:
                assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


VARIANTS = {
    "plain": {},
    "matched, log loss": {"negative_sampling": "tfn+man", "loss": "log_loss"},
    "disentangled": {"max_clusters_per_label": 2},
    "trees and neighbors": {"n_trees": 2, "n_neighbors": 5},
}


def assert_trains_and_ranks_the_same(X, Y, **params):
    """With dask as here."""
    here = classifier(**params).fit(X, Y)
    expected = here.rank(X)
    with joblib.parallel_config("dask"):
        there = classifier(**params).fit(X, Y)
        assert_same_ranking(there.rank(X), expected)
    assert_same_models(there, here)


def test_another_process_trains_and_ranks_the_same():
    with started(1):
        assert_trains_and_ranks_the_same(*rows_and_labels(600), **VARIANTS["trees and neighbors"])


@pytest.mark.slow
@pytest.mark.parametrize("what", VARIANTS)
def test_a_cluster_trains_and_ranks_the_same(client, what):
    assert_trains_and_ranks_the_same(*rows_and_labels(), **VARIANTS[what])


def kill_when(client, is_time):
    """Kill the first worker that holds anything once it is time, and say which it was."""
    killed = []

    def watch():
        while not is_time():
            time.sleep(0.002)
        holders = {address for workers in client.who_has().values() for address in workers}
        address = min(holders or client.scheduler_info()["workers"])
        pid = client.run(os.getpid, workers=[address])[address]
        os.kill(pid, 9)
        killed.append(pid)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, killed


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["arguments are sent", "results come"])
def test_a_fit_outlives_its_workers(client, monkeypatch, moment):
    X, Y = rows_and_labels()
    here = classifier().fit(X, Y)
    trained = threading.Event()
    reported = parallel.progress.advance

    def advance(what, share):
        reported(what, share)
        if what == "training rankers" and share > 0:
            trained.set()

    monkeypatch.setattr(parallel.progress, "advance", advance)
    sent = lambda: any(client.who_has().values())  # noqa: E731
    client.wait_for_workers(2)  # one may have been killed just now
    before = set(client.run(os.getpid).values())
    thread, killed = kill_when(client, sent if moment.startswith("arg") else trained.is_set)
    with joblib.parallel_config("dask"):
        there = classifier().fit(X, Y)
    thread.join(timeout=60)
    assert killed
    assert killed[0] in before
    assert_same_models(there, here)


@pytest.mark.parametrize("what", slow_except(["plain"], ["plain", "matched, log loss"]))
def test_a_cluster_trains_from_shards(client, tmp_path, what):
    X, Y = rows_and_labels(1000, 60)
    classifier(**VARIANTS[what]).fit(X, Y, folder=tmp_path / "here")
    with joblib.parallel_config("dask"):
        there = classifier(**VARIANTS[what]).fit(
            *in_shards(tmp_path, X, Y), folder=tmp_path / "there"
        )
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    assert_same_ranking(there.rank(X), classifier(**VARIANTS[what]).fit(X, Y).rank(X))


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["embedding labels", "clustering labels", "training rankers"])
def test_a_fit_from_shards_outlives_its_workers(client, monkeypatch, tmp_path, phase):
    X, Y = rows_and_labels()
    classifier().fit(X, Y, folder=tmp_path / "here")
    begun = threading.Event()
    reported = parallel.progress.advance

    def advance(what, share):
        reported(what, share)
        if what == phase:
            begun.set()

    monkeypatch.setattr(parallel.progress, "advance", advance)
    client.wait_for_workers(2)
    before = set(client.run(os.getpid).values())
    thread, killed = kill_when(client, begun.is_set)
    with joblib.parallel_config("dask"):
        classifier().fit(*in_shards(tmp_path, X, Y, 20), folder=tmp_path / "there")
    thread.join(timeout=60)
    assert killed
    assert killed[0] in before
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    assert len(os.listdir(tmp_path / "there")) == 2


@pytest.mark.slow
def test_errors_in_shards_are_raised(client, tmp_path):
    X, Y = in_shards(tmp_path, *rows_and_labels(100, 20))
    sp.save_npz(X.files[1].path, sp.csr_matrix(X.files[1].shape))
    with joblib.parallel_config("dask"), pytest.raises(ValueError, match="must not change"):
        classifier().fit(X, Y, folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def losing(done):
    """Attempts that give two results and then lose the others with their worker."""

    def attempt(left):
        for n, i in enumerate(left):
            if n == 2:
                raise CancelledError
            done.append(i)
            yield i, i**2

    return attempt


@pytest.mark.parametrize("n_tasks", [2, 3, 7])
def test_what_is_lost_is_done_again_and_nothing_else(n_tasks):
    done = []
    found = dict(parallel._persistently(losing(done), range(n_tasks), CancelledError))
    assert found == {i: i**2 for i in range(n_tasks)}
    assert done == list(range(n_tasks))


def test_who_loses_too_many_workers_is_told(monkeypatch):
    monkeypatch.setattr(parallel, "_MAX_LOSSES", 1)
    with pytest.raises(CancelledError):
        list(parallel._persistently(losing([]), range(7), CancelledError))


@pytest.mark.slow
def test_errors_of_tasks_are_raised(client):
    with joblib.parallel_config("dask"), pytest.raises(ZeroDivisionError):
        parallel.run(divmod, [(1, 1), (1, 0)], [1, 1], n_jobs=None, what="")


@pytest.mark.slow
def test_what_is_large_is_sent_once(monkeypatch):
    small, n_tasks = {}, {}

    def counted(function, tasks, order, n_jobs, brief):
        shared = parallel._shared(tasks)
        each = [[arg for arg in args if id(arg) not in shared] for args in tasks]
        name = function.__name__
        small[name] = small.get(name, 0) + len(pickle.dumps(each))
        n_tasks[name] = n_tasks.get(name, 0) + len(tasks)
        return ((i, function(*tasks[i])) for i in order)

    monkeypatch.setattr(parallel, "_stream", counted)
    X, Y = rows_and_labels()
    clf = classifier(n_trees=2, n_neighbors=5, negative_sampling="tfn+man", n_jobs=4).fit(X, Y)
    clf.rank(X)
    clf.set_params(n_neighbors=None).rank(X)
    assert {"train_chunks", "rank_block", "_kmeans_rows", "_sum_groups"} <= set(small)
    assert n_tasks["rank_block"] >= 64
    assert small["rank_block"] < 1000 * n_tasks["rank_block"]
    for name in ("train_chunks", "_kmeans_rows", "_sum_groups"):
        # Which rows each node learns from: a few bytes per row, label and level, and no features.
        per_task, per_entry = 3000, 4 * 2 * 2 * 12
        assert small[name] < per_task * n_tasks[name] + per_entry * (Y.nnz + Y.shape[0]), name


@pytest.mark.slow
def test_a_search_on_a_cluster_is_that_of_one_process(client, tmp_path):
    X, Y = rows_and_labels(600)
    grid = {"beam_width": [1, 3], "prune_threshold": [0.05, 0.2]}
    here = GridSearchCV(classifier(), grid, cv=3).fit(X, Y)
    with joblib.parallel_config("dask"):
        there = GridSearchCV(classifier(memory=tmp_path), grid, cv=3).fit(X, Y)
    assert_array_equal(there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"])
    assert_same_models(there.best_estimator_, here.best_estimator_)
