"""The result of rank: a pair of arrays that knows the names of the labels."""

import copy
import pickle
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasets import TEXTS, fitted_classifier, random_labels
from frames import needs_polars
from numpy.testing import assert_array_equal
from scipy import sparse as sp

import skxmr
from skxmr import (
    CalibratedRanker,
    PropensityReranker,
    Ranking,
    SessionQueryCompleter,
    XRLinearClassifier,
)
from skxmr.metrics import precision_at_k

X, Y = random_labels()
NAMES = np.array([f"label {i:02}" for i in range(12)])
FIRST = NAMES[Y.toarray().argmax(axis=1)]
PAIRS = np.array([(text, text[:2]) for text in TEXTS], dtype=object)
PADDED = Ranking(
    np.array([[2, 0, -1], [-1, -1, -1], [1, 2, 0]], dtype=np.int32),
    np.array([[0.9, 0.5, -np.inf], [-np.inf] * 3, [0.3, 0.2, 0.1]], dtype=np.float32),
    np.array(["ant", "bee", "cat"], dtype=object),
)


def named(labels, names):
    return [[names[label] for label in row if label >= 0] for row in labels.tolist()]


def by_names():
    return XRLinearClassifier(random_state=0).fit(X, FIRST)


RANKERS = {
    "classifier": (by_names, X),
    "calibrated": (lambda: CalibratedRanker(by_names(), cv=2, random_state=0).fit(X, FIRST), X),
    "reranked": (lambda: PropensityReranker(by_names()).fit(X, FIRST), X),
    "completer": (lambda: SessionQueryCompleter(random_state=0).fit(PAIRS, TEXTS), PAIRS),
}


@pytest.mark.parametrize("what", RANKERS)
@pytest.mark.parametrize("n_rows", [1, 7])
def test_rankers_return_names(what, n_rows):
    make, rows = RANKERS[what]
    fitted = make()
    for _ in range(2):  # the second time, a single row takes the fast path
        ranking = fitted.rank(rows[:n_rows], 20)
        assert isinstance(ranking, Ranking)
        assert ranking.names == named(ranking.labels, fitted.classes_.tolist())
        assert all(type(name) is str for row in ranking.names for name in row)
        assert (ranking.labels < 0).any()


@pytest.mark.parametrize("wrap", [lambda c: c, CalibratedRanker, PropensityReranker])
def test_columns_without_names_have_numbers(wrap):
    ranking = wrap(XRLinearClassifier(random_state=0)).fit(X, Y).rank(X[:4], 3)
    assert ranking.names == named(ranking.labels, range(12))
    assert type(ranking.names[0][0]) is int


def test_classes_are_python_values():
    names = XRLinearClassifier(random_state=0).fit(X, Y.toarray().argmax(axis=1)).rank(X[:2]).names
    assert {type(name) for row in names for name in row} == {int}


def test_it_is_a_pair_of_arrays():
    labels, scores = PADDED
    assert isinstance(PADDED, tuple)
    assert len(PADDED) == 2
    assert labels is PADDED.labels is PADDED[0]
    assert scores is PADDED.scores is PADDED[1]
    assert PADDED._fields == ("labels", "scores")
    assert precision_at_k(np.eye(3), PADDED, k=1) == precision_at_k(np.eye(3), labels, k=1)


def test_padding_has_no_name():
    assert PADDED.names == [["cat", "ant"], [], ["bee", "cat", "ant"]]
    assert Ranking(*PADDED).names == [[2, 0], [], [1, 2, 0]]
    assert PADDED._replace(labels=PADDED.labels[:1]).names == [["cat", "ant"]]
    nothing = Ranking(np.empty((0, 3), dtype=np.int32), np.empty((0, 3)), NAMES)
    assert nothing.names == []
    assert len(nothing.to_frame()) == 0


@pytest.mark.parametrize("classes", [["ant", 5, None], {0: "ant", 1: 5, 2: None}])
def test_names_may_be_a_list_or_a_dict(classes):
    assert Ranking(*PADDED, classes).names[2] == [5, None, "ant"]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_copies_and_pickles(copied):
    for ranking in (PADDED, Ranking(*PADDED), by_names().rank(X[:3], 4)):
        again = copied(ranking)
        assert type(again) is Ranking
        assert_array_equal(again.labels, ranking.labels)
        assert_array_equal(again.scores, ranking.scores)
        assert again.names == ranking.names
        assert repr(again) == repr(ranking)


def test_a_pickle_has_no_classes_that_do_not_occur():
    many = np.array([f"class {i}" for i in range(10_000)], dtype=object)
    assert len(pickle.dumps(Ranking(*PADDED, many))) < 2_000


def test_the_repr_shows_the_first_rows():
    assert repr(PADDED) == (
        "Ranking(\n  0: 'cat' (0.9), 'ant' (0.5)\n  1:\n"
        "  2: 'bee' (0.3), 'cat' (0.2), 'ant' (0.1)\n)"
    )
    long = Ranking(np.zeros((1000, 9), dtype=np.int32), np.ones((1000, 9)), ["x" * 1000])
    assert repr(long).count("\n") < 9
    assert "... 1000 rows" in repr(long)
    assert len(repr(long)) < 2000


def test_frame():
    frame = PADDED.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == ["row", "rank", "label", "score"]
    assert frame["row"].tolist() == [0, 0, 2, 2, 2]
    assert frame["rank"].tolist() == [1, 2, 1, 2, 3]
    assert frame["label"].tolist() == ["cat", "ant", "bee", "cat", "ant"]
    assert_array_equal(frame["score"], np.float32([0.9, 0.5, 0.3, 0.2, 0.1]))
    with pytest.raises(ValueError, match="library must be"):
        PADDED.to_frame("arrow")


@needs_polars
def test_frame_of_polars():
    assert PADDED.to_frame(library="polars").equals(pl.DataFrame(PADDED.to_frame().to_dict("list")))


@needs_polars
def test_rows_of_polars_give_frames_of_polars():
    columns = [f"f{i}" for i in range(X.shape[1])]
    table = pl.DataFrame(X.toarray(), schema=columns)
    pandas = pd.DataFrame(X.toarray(), columns=columns)
    clf = XRLinearClassifier(random_state=0).fit(table, FIRST)
    for ranker in (clf, PropensityReranker(clf).fit(table, FIRST)):
        assert isinstance(ranker.rank(table[:3], 2).to_frame(), pl.DataFrame)
        assert isinstance(ranker.rank(table[:1], 2).to_frame("pandas"), pd.DataFrame)
        assert isinstance(ranker.rank(pandas[:3], 2).to_frame(), pd.DataFrame)
    pairs = pl.DataFrame(PAIRS.tolist(), schema=["previous", "prefix"], orient="row")
    completer = SessionQueryCompleter(random_state=0).fit(pairs, TEXTS)
    assert isinstance(completer.rank(pairs, 2).to_frame(), pl.DataFrame)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"to_frame needs {library}"):
        PADDED.to_frame(library)


def test_names_of_a_mapped_model_are_decoded_when_they_are_needed(tmp_path):
    by_names().save(tmp_path / "model")
    mapped = skxmr.load(tmp_path / "model", mmap=True)
    for rows in (X[:1], X[:1], X[:4]):
        ranking = mapped.rank(rows, 3)
        assert not mapped._fitted.classes.are_made
    assert ranking.names == by_names().rank(X[:4], 3).names
    assert mapped._fitted.classes.are_made


def test_a_ranking_keeps_its_names_when_the_model_is_fitted_again():
    clf = by_names()
    ranking = clf.rank(X[:3], 2)
    expected = ranking.names
    clf.fit(X, np.char.upper(FIRST))
    assert ranking.names == expected
    assert clf.rank(X[:3], 2).names != expected


def test_neighbors_and_trees_return_names_too():
    for kind in ("neighbors", "several trees"):
        ranking = fitted_classifier(kind).rank(sp.csr_matrix(X[:2]), 3)
        assert ranking.names == named(ranking.labels, range(12))
