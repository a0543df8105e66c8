"""Estimators that change while others use them, or whose change fails or is interrupted."""

import contextlib
import copy
import multiprocessing
import pickle
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from marks import slow_except
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn.base import clone

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
from skxmr._utils.estimators import change_lock
from skxmr.text import NGramTfidfVectorizer

N_LABELS = 9


def example(seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(60, 14, 0.4, "csr", dtype=np.float32, random_state=seed)
    y = np.array([f"m{i}" for i in rng.integers(0, N_LABELS, 60)])
    y[:N_LABELS] = [f"m{i}" for i in range(N_LABELS)]
    return X, y


def classifier(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=2)
    return XRLinearClassifier(indexer, **{"random_state": 0, "n_neighbors": 3, **params})


def with_new_class(y):
    """The same classes, and one that comes before all of them: every position shifts."""
    y = y.copy()
    y[10:20] = "a new one"
    return y


# ---- what fails changes nothing ----


@pytest.mark.parametrize("mmap", [False, True])
def test_a_model_keeps_its_names_when_a_fit_is_refused(tmp_path, mmap):
    X, y = example()
    frame = pd.DataFrame(X.toarray(), columns=[f"f{j}" for j in range(X.shape[1])])
    classifier().fit(frame, y).save(tmp_path / "model")
    clf = skxmr.load(tmp_path / "model", mmap=mmap)
    wrong = X.toarray()
    wrong[0, 0] = np.nan
    for refused in (
        lambda: clf.fit(wrong, y),
        lambda: clf.fit(X, y[:-1]),
        lambda: clf.add_labels(frame, y),
        lambda: clf.add_neighbors(frame, ["unheard of"] * 60),
    ):
        with pytest.raises(ValueError, match=r"X|y|inconsistent"):
            refused()
    assert clf.feature_names_in_.tolist() == frame.columns.tolist()
    assert clf.classes_.tolist() == sorted(set(y))
    with pytest.raises(ValueError, match="feature names"):
        clf.rank(frame[frame.columns[::-1]], 1)
    assert_array_equal(clf.predict(frame), classifier().fit(frame, y).predict(frame))


TEXTS = ["art", "arts and crafts", "birds", "bird song", "cats", "church music", "church"]
PAIRS = [("art", "b"), ("birds", "c"), ("", "a"), ("cats", "ch")]
QUERIES = ["birds", "cats", "art", "church"]


def fits():
    """Pairs of an estimator, and two ways to fit it that give different results."""
    X, y = example()
    other, _ = example(seed=3)
    frame = pd.DataFrame(X.toarray(), columns=[f"f{j}" for j in range(X.shape[1])])
    return {
        "classifier": (classifier(), (frame, y), (other, with_new_class(y))),
        "calibrated": (CalibratedRanker(classifier(), cv=2, random_state=0), (X, y), (other, y)),
        "reranker": (PropensityReranker(classifier()), (X, y), (other, with_new_class(y))),
        "completer": (SessionQueryCompleter(random_state=0), (PAIRS, QUERIES), (PAIRS[:3],) * 0),
        "vectorizer": (NGramTfidfVectorizer(), (TEXTS,), (TEXTS[2:],)),
        "k-means": (KMeansIndexer(max_leaf_size=3, random_state=0), (X,), (other,)),
        "trie": (TrieIndexer(max_leaf_size=2), (TEXTS,), (TEXTS[2:],)),
        "hybrid": (TrieHybridIndexer(max_leaf_size=2), (TEXTS,), (TEXTS[2:],)),
    }


class Interrupter:
    """Raises KeyboardInterrupt at some lines that run in skxmr, and lets others pass."""

    def __init__(self, lines):
        self.left = set(lines)
        self.n = 0

    def __call__(self, frame, event, arg):
        if "skxmr" not in frame.f_globals.get("__name__", ""):
            return None
        if event == "line":
            self.n += 1
            if self.n in self.left:
                self.left.discard(self.n)
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)


def n_lines(call):
    """Number of lines of skxmr that a call runs in this thread."""
    with Interrupter([]) as counter:
        call()
    return counter.n


def same_objects(left, right):
    """Whether two dictionaries hold the very same objects by the same names."""
    return left.keys() == right.keys() and all(left[name] is right[name] for name in left)


@pytest.mark.parametrize("name", slow_except(list(fits())[:1], fits()))
def test_a_fit_that_is_interrupted_at_any_line_changes_nothing_or_all(name):
    estimator, first, second = fits()[name]
    estimator.fit(*first)
    second = second or first
    before = dict(vars(estimator))
    refitted = copy.copy(estimator)
    total = n_lines(lambda: refitted.fit(*second))
    learned = {name for name in before if vars(refitted).get(name) is not before[name]}
    assert learned
    lines = [*np.unique(np.linspace(1, total, 12).astype(int)).tolist(), total - 1, total]
    outcomes = set()
    for line in lines:
        again = copy.copy(estimator)
        with Interrupter([line]), contextlib.suppress(KeyboardInterrupt):
            again.fit(*second)
        unchanged = same_objects(vars(again), before)
        outcomes.add(unchanged)
        if not unchanged:
            kept = {name for name in learned if vars(again).get(name) is before[name]}
            assert kept == set(), (line, total)
    assert True in outcomes
    assert same_objects(vars(estimator), before)


# ---- several threads ----


def in_threads(seconds, *jobs):
    """Run jobs over and over in threads of their own for some time; the errors they raise."""
    stop, errors = threading.Event(), []

    def repeat(job):
        while not stop.is_set():
            try:
                job()
            except BaseException as error:
                errors.append(error)
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        threads = [threading.Thread(target=repeat, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return errors


def test_refused_changes_do_not_disturb_those_who_rank():
    X, y = example()
    clf = classifier().fit(X, y)
    expected = clf.rank(X[0], 4)

    def rank():
        for found, right in zip(clf.rank(X[0], 4), expected, strict=True):
            assert_array_equal(found, right)
        assert_array_equal(clf.classes_[clf.rank(X, 1)[0][:, 0]], clf.predict(X))

    def refused():
        with pytest.raises(ValueError, match="new"):
            clf.add_labels(X, y)
        with pytest.raises(ValueError, match="inconsistent"):
            clf.fit(X, y[:-1])

    assert in_threads(1.5, rank, rank, refused) == []


@pytest.mark.filterwarnings("ignore:X has no row")
def test_what_is_ranked_and_saved_is_the_old_model_or_the_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)
    X, y = example()
    old = classifier().fit(X, y)
    new = copy.deepcopy(old).add_labels(X, with_new_class(y))
    right = {tuple(model.predict(X[8:24])) for model in (old, new)}
    assert len(right) == 2
    live = [copy.deepcopy(old)]

    def change():
        live[0] = copy.deepcopy(old)
        live[0].add_labels(X, with_new_class(y))

    def predict():
        assert tuple(live[0].predict(X[8:24])) in right

    def save():
        live[0].save(tmp_path / "model")
        assert tuple(skxmr.load(tmp_path / "model").predict(X[8:24])) in right

    def copied():
        assert tuple(pickle.loads(pickle.dumps(live[0])).predict(X[8:24])) in right

    assert in_threads(2, change, predict, save, copied) == []


@pytest.mark.filterwarnings("ignore:X has no row")
def test_changes_made_at_once_are_all_there_in_the_end():
    X, y = example()
    clf = classifier().fit(X, y)
    n_rows, n_times = clf._fitted.neighbors.n_rows, 20
    begun = threading.Barrier(2)

    def add_rows():
        begun.wait()
        for i in range(n_times):
            clf.add_neighbors(example(seed=9 + i)[0][:2], y[:2])
            clf.set_params(beam_width=20 + i)

    def add_classes():
        begun.wait()
        for i in range(3):
            more = np.array([*clf.classes_[:7], f"z{i}", *y[8:]])
            clf.add_labels(X, more)
            with pytest.raises(ValueError, match="new"):
                clf.add_labels(X, y)

    threads = [threading.Thread(target=job) for job in (add_rows, add_classes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clf.n_labels_ == N_LABELS + 3
    assert clf._fitted.neighbors.n_rows >= n_rows + 2 * n_times
    assert clf.beam_width == 20 + n_times - 1


def test_a_forked_child_can_change_a_model_that_its_parent_is_changing():
    X, y = example()
    clf = classifier().fit(X, y)
    with change_lock(clf):
        child = multiprocessing.get_context("fork").Process(
            target=lambda: clf.add_neighbors(X[:1], y[:1])
        )
        thread = threading.Thread(target=child.start)
        thread.start()
        thread.join()
        child.join(30)
    assert child.exitcode == 0


def test_what_wrappers_and_completers_say_is_of_one_fit():
    X, y = example()
    for estimator, first, second in (
        (CalibratedRanker(classifier(), cv=2, random_state=0), (X, y), (X, with_new_class(y))),
        (PropensityReranker(classifier()), (X, y), (X, with_new_class(y))),
    ):
        right = {tuple(clone(estimator).fit(*data).predict(X)) for data in (first, second)}
        assert len(right) == 2
        estimator.fit(*first)

        def refit(estimator=estimator, first=first, second=second):
            estimator.fit(*second)
            estimator.fit(*first)

        def predict(estimator=estimator, right=right):
            assert tuple(estimator.predict(X)) in right

        assert in_threads(2, refit, predict, predict) == []
