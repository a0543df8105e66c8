"""Ctrl-C during long calls: obeyed soon, and nothing half done is left behind."""

import json
import subprocess
import sys
import threading
import time
import weakref

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from marks import slow_except
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

import skxmr.linear
from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr._core import (
    CancelFlag,
    Cancelled,
    CSRView,
    Learner,
    NGramWeights,
    NodeExamples,
    TrainParams,
    kmeans,
    train_columns,
)
from skxmr._utils import parallel
from skxmr.text import NGramTfidfVectorizer

#: Interrupts a fit that takes for ever: labels are noise, and the solver is never satisfied.
SCRIPT = """
import _thread, json, sys, threading, time
import numpy as np, scipy.sparse as sp
from skxmr import XRLinearClassifier

params = json.loads(sys.argv[1])
X = sp.random(4000, 300, 0.1, "csr", dtype=np.float32, random_state=0)
y = np.random.default_rng(0).integers(0, 40, 4000)
clf = XRLinearClassifier(tol=1e-30, max_iter=10**9, C=1e3, random_state=0, **params)
clf.kept_ = "from before"
before = dict(vars(clf))
asked = []

def interrupt():
    time.sleep(1.5)
    asked.append(time.monotonic())
    _thread.interrupt_main()

threading.Thread(target=interrupt, daemon=True).start()
try:
    clf.fit(X, y)
except KeyboardInterrupt:
    took = time.monotonic() - asked[0]
    print(json.dumps([took, vars(clf) == before, threading.active_count()]))
"""


@pytest.mark.parametrize(
    "params",
    [
        {"n_jobs": 1},
        pytest.param({"n_jobs": 2}, marks=pytest.mark.slow),
        pytest.param({"n_jobs": 1, "loss": "log_loss"}, marks=pytest.mark.slow),
        pytest.param({"n_jobs": 1, "verbose": 1}, marks=pytest.mark.slow),
        pytest.param(
            {"n_jobs": 1, "verbose": 1, "negative_sampling": "man", "max_clusters_per_label": 2},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_fit_obeys_an_interrupt_and_leaves_the_estimator_as_it_was(params, tmp_path):
    command = [sys.executable, "-c", SCRIPT, json.dumps(params)]
    # not in the repository, whose skxmr need not be the one installed
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(command, timeout=120, check=True, **options)
    took, unchanged, threads = json.loads(done.stdout.splitlines()[-1])
    assert took < 5
    assert unchanged
    # the main thread, and tqdm's monitor where there is a bar
    assert threads <= (2 if "verbose" in params else 1)


#: Interrupts the same fit several times, milliseconds apart, and waits for all of them.
IMPATIENT = SCRIPT.replace(
    "    _thread.interrupt_main()\n",
    "    for _ in range(4):\n        _thread.interrupt_main()\n        time.sleep(0.002)\n",
).replace(
    """try:
    clf.fit(X, y)
except KeyboardInterrupt:
    took = time.monotonic() - asked[0]
""",
    """
def outlive(call):
    try:
        call()
    except KeyboardInterrupt:
        outlive(call if call is rest else rest)

def rest():
    time.sleep(0.2)

outlive(lambda: clf.fit(X, y))
if True:
    took = time.monotonic() - asked[0]
""",
)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fit_obeys_several_interrupts(n_jobs, tmp_path):
    command = [sys.executable, "-c", IMPATIENT, json.dumps({"n_jobs": n_jobs})]
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(command, timeout=120, check=True, **options)
    took, unchanged, threads = json.loads(done.stdout.splitlines()[-1])
    assert took < 6
    assert unchanged
    assert threads == 1


# ---- the flag that C looks at ----


def noise(n_rows=3000, n_features=50):
    return sp.random(n_rows, n_features, 0.2, "csr", dtype=np.float32, random_state=0)


def endless_training(loss="squared_hinge"):
    X = noise()
    everyone = np.arange(X.shape[0], dtype=np.int32)
    positive = np.flatnonzero(np.random.default_rng(0).random(len(everyone)) < 0.5)
    pointers = np.array([0, len(positive)], dtype=np.int64)
    problem = NodeExamples(everyone, pointers, positive.astype(np.int32))
    params = TrainParams(loss, 1e3, 1.0, 1e-30, 2**31 - 1, 0.0)
    return train_columns(CSRView(X), problem, everyone, None, params, 0)


def clustering(balanced):
    X = noise()
    rows = np.arange(X.shape[0], dtype=np.int32)
    options = {"balanced": balanced, "spherical": False, "max_iter": 20, "seed": 0}
    return kmeans(CSRView(X), rows, 16, **options)


def text(n):
    """One text of n words, of which few are equal."""
    return " ".join(map("{:x}".format, np.random.default_rng(0).integers(0, 2**40, n).tolist()))


def learning(n=3000, analyzer="word"):
    learner = Learner(NGramTfidfVectorizer(analyzer)._check_params(), 1)
    blob = text(n).encode()
    learner.learn(blob, np.array([0, len(blob)]))
    return learner


def looking_up(n=3000, analyzer="word"):
    blob = text(n).encode()
    VECTORIZERS[analyzer]._model.transform(blob, np.array([0, len(blob)]))


def sorting(learner):
    return learner.sorted(0, np.arange(learner.terms[0].n_terms, dtype=np.int32))


def weighing(learner):
    terms = np.arange(learner.terms[0].n_terms, dtype=np.int32)
    return learner.weigh([terms], NGramWeights(False, None, None, None))


VECTORIZERS = {a: NGramTfidfVectorizer(a).fit([text(100)]) for a in ("word", "char", "char_wb")}
LEARNT = learning()

CALLS = {
    "learning": learning,
    "looking up": looking_up,
    "sorting": lambda: sorting(LEARNT),
    "weighing": lambda: weighing(LEARNT),
    "squared hinge": lambda: endless_training("squared_hinge"),
    "log loss": lambda: endless_training("log_loss"),
    "balanced": lambda: clustering(True),
    "Lloyd": lambda: clustering(False),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_flag_that_is_set_ends_a_call(name):
    flag = CancelFlag()
    flag.set()
    with flag.watched(), pytest.raises(Cancelled):
        CALLS[name]()


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_a_flag_that_another_thread_sets_ends_a_call(loss):
    flag = CancelFlag()
    timer = threading.Timer(0.2, flag.set)
    timer.start()
    with flag.watched(), pytest.raises(Cancelled):
        endless_training(loss)
    timer.join()


def for_ever(call, *args):
    while True:
        call(*args)


@pytest.mark.parametrize("call", [learning, looking_up])
@pytest.mark.parametrize("analyzer", VECTORIZERS)
def test_a_flag_ends_a_call_within_one_text(call, analyzer):
    flag = CancelFlag()
    timer = threading.Timer(0.5, flag.set)
    timer.start()
    with flag.watched(), pytest.raises(Cancelled):
        for_ever(call, 1_000_000, analyzer)
    timer.join()


TEXT_SCRIPT = """
import _thread, json, sys, threading, time
import numpy as np
from skxmr.text import NGramTfidfVectorizer

numbers = np.random.default_rng(0).integers(0, 2**28, 1_000_000).tolist()
text = " ".join(map("{:x}".format, numbers))
vectorizer = NGramTfidfVectorizer("char_wb", (3, 6)).fit([text[:200_000]])
before = dict(vars(vectorizer))
asked = []

def interrupt():
    time.sleep(0.3)
    asked.append(time.monotonic())
    _thread.interrupt_main()

threading.Thread(target=interrupt, daemon=True).start()
try:
    while True:
        getattr(vectorizer, sys.argv[1])([text] * 3)
except KeyboardInterrupt:
    took = time.monotonic() - asked[0]
    print(json.dumps([took, vars(vectorizer) == before, threading.active_count()]))
"""


@pytest.mark.parametrize("call", slow_except(["fit"], ["fit", "fit_transform", "transform"]))
def test_vectorizing_a_long_text_obeys_an_interrupt(call, tmp_path):
    command = [sys.executable, "-c", TEXT_SCRIPT, call]
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(command, timeout=120, check=True, **options)
    took, unchanged, threads = json.loads(done.stdout.splitlines()[-1])
    assert took < 2
    assert unchanged
    assert threads == 1


def test_a_flag_is_watched_by_its_thread_only_and_no_longer_than_asked():
    flag = CancelFlag()
    flag.set()
    before = clustering(True)
    with flag.watched():
        with CancelFlag().watched():
            inside = clustering(True)
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(clustering(True)))
        thread.start()
        thread.join()
        with pytest.raises(Cancelled):
            clustering(True)
    for found in (inside, *elsewhere, clustering(True)):
        assert_array_equal(found[0], before[0])


# ---- the threads ----


def run(function, tasks, **options):
    options = {"n_jobs": 2, "what": "", **options}
    return parallel.run(function, tasks, [1.0] * len(tasks), **options)


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
@pytest.mark.parametrize("brief", [False, True])
def test_results_come_in_the_order_of_the_tasks(n_jobs, brief):
    tasks = [(i,) for i in range(20)]
    assert run(lambda i: i * i, tasks, n_jobs=n_jobs, brief=brief) == [i * i for i in range(20)]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_first_failure_ends_all_and_is_raised(n_jobs):
    seen = []

    def fail(i):
        seen.append(i)
        if i == 3:
            raise ZeroDivisionError("three")
        time.sleep(0.01)

    with pytest.raises(ZeroDivisionError, match="three"):
        run(fail, [(i,) for i in range(100)], n_jobs=n_jobs)
    n_seen = len(seen)
    assert n_seen < 50
    time.sleep(0.05)
    assert len(seen) == n_seen  # no worker goes on


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("cancelled_at", [0, 7, None])
def test_results_in_order_and_none_kept(n_jobs, cancelled_at):
    class Result(np.ndarray):
        pass

    def make(i):
        time.sleep(0.003 * (i % 3))
        return np.full(3, i).view(Result)

    tasks, costs, alive = [(i,) for i in range(12)], [1.0] * 11 + [50.0], []
    with parallel.in_order(make, tasks, costs, n_jobs=n_jobs, what="") as results:
        for i, result in enumerate(results):
            assert result[0] == i
            alive.append(weakref.ref(result))
            if i == cancelled_at:
                break
            del result
            assert sum(ref() is not None for ref in alive) <= 2
    assert len(alive) == 12 if cancelled_at is None else cancelled_at + 1


def test_work_in_other_threads_needs_no_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(run(lambda i: i, [(1,), (2,)], n_jobs=1)))
    thread.start()
    thread.join()
    assert found == [[1, 2]]


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_joblib_says_where_the_work_is_done(backend):
    X, y = noise(300), np.arange(300) % 12
    expected = XRLinearClassifier(random_state=0, max_iter=5).fit(X, y)
    with joblib.parallel_config(backend, n_jobs=2):
        found = XRLinearClassifier(random_state=0, max_iter=5).fit(X, y)
        for a, b in zip(found.rank(X), expected.rank(X), strict=True):
            assert_array_equal(a, b)


def test_a_search_in_processes_trains_in_each():
    X, y = noise(300), np.arange(300) % 12
    base = XRLinearClassifier(random_state=0, max_iter=5, n_jobs=2)
    one, two = (
        GridSearchCV(base, {"C": [0.1, 1.0]}, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    )
    assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_threads_are_joblibs_number():
    with joblib.parallel_config(n_jobs=2):
        names = run(
            lambda i: (time.sleep(0.5), threading.get_ident())[1], [(1,), (2,)], n_jobs=None
        )
    assert len(set(names)) == 2
    assert threading.get_ident() not in names


@pytest.mark.parametrize("n_jobs", [10**9, -1, 3, None])
def test_no_number_of_jobs_starts_threads_without_end(n_jobs):
    n = parallel.n_workers(n_jobs)
    assert 1 <= n <= 1024
    assert n == 3 if n_jobs == 3 else n in (1024, 1, joblib.cpu_count())
    assert run(abs, [(-1,)] * 40, n_jobs=n_jobs) == [1] * 40


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.slow
def test_processes_that_may_have_no_children_have_threads(tmp_path):
    script = """if True:
        import multiprocessing, warnings
        from skxmr._utils import parallel

        def workers(n_jobs):
            warnings.simplefilter("error")
            return parallel.n_workers(n_jobs)

        with multiprocessing.get_context("fork").Pool(1) as pool:
            print(pool.map(workers, [3, 1, None]))
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["[3,", "1,", "1]"]


# ---- ranking ----


def test_many_rows_are_ranked_a_few_at_a_time(monkeypatch):
    X, y = noise(500), np.arange(500) % 30
    indexer = KMeansIndexer(branching=3, max_leaf_size=3)
    clf = XRLinearClassifier(indexer, random_state=0, beam_width=4).fit(X, y)
    expected, spans = clf.rank(X), []
    rank_block = skxmr._ranking.batch.rank_block

    def recorded(ranker, X, begin, end, k, options):
        spans.append(end - begin)
        return rank_block(ranker, X, begin, end, k, options)

    monkeypatch.setattr(skxmr._ranking.batch, "_BLOCK", 80)
    monkeypatch.setattr(skxmr._ranking.batch, "rank_block", recorded)
    for a, b in zip(clf.rank(X), expected, strict=True):
        assert_array_equal(a, b)
    assert sum(spans) == 500
    assert max(spans) <= 20
