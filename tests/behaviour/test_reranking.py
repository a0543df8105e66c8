"""The reranker of texts: its features, its ranking and its parameters."""

import pickle
from functools import cache

import numpy as np
import pytest
from datasets import titles_with_labels
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MultiLabelBinarizer

import skxmr
from skxmr import TextReranker, make_text_ranker
from skxmr.reranking._candidates import Candidates, _scores_and_ranks
from skxmr.reranking._name_matches import NameMatches

TITLES, SUBJECTS = titles_with_labels(n_rows=400)
NAMES = sorted({name for row in SUBJECTS for name in row})
MATRIX = MultiLabelBinarizer(classes=NAMES, sparse_output=True).fit_transform(SUBJECTS)


def reranker(**params):
    defaults = {
        "estimator": make_text_ranker(use_label_texts=True, random_state=0),
        "final_estimator": LogisticRegression(max_iter=1000),
        "random_state": 0,
    }
    return TextReranker(**{**defaults, **params})


@cache
def fitted():
    return reranker().fit(TITLES, SUBJECTS)


class SameForAll(BaseEstimator):
    """Ranks the labels in the same order for every text."""

    def fit(self, X, y):
        self.classes_ = np.arange(y.shape[1])
        return self

    def rank(self, X, k):
        labels = np.tile(np.arange(k, dtype=np.int32), (len(X), 1))
        return labels, np.tile(np.linspace(1, 0.1, k, dtype=np.float32), (len(X), 1))


# ---- names in texts ----


def test_shares_of_names_by_hand():
    matches = NameMatches(["Church music", "Organ (Instrument)", "music"])
    texts = ["Church organs and music", "x " * 12 + "music", ""]
    rows, labels = np.divmod(np.arange(9), 3)
    words, lead, pieces, lead_pieces, n_words, length = matches.features(texts, rows, labels)
    assert_allclose(words.reshape(3, 3)[0], [1, 0, 1], rtol=1e-6)
    rarer = np.log(4 / 2) + 1  # "church" is in one name, and "music" in two
    common = np.log(4 / 3) + 1
    assert_allclose(words[3], common / (rarer + common), rtol=1e-6)
    assert_array_equal(lead.reshape(3, 3)[1:], np.zeros((2, 3)))
    assert 0 < pieces[1] < 1  # "organs" has most of "organ"
    assert_array_equal(lead_pieces[:3], pieces[:3])
    assert_array_equal(n_words[:3], [2, 1, 1])
    assert_array_equal(length[:3], [12, 5, 5])


def test_labels_whose_names_occur_are_candidates():
    matches = NameMatches(["church music", "organ", "music", "eel"])
    found = matches.candidates(["music in a church", "", "eel"], np.array([2, 9, 3, 1]), 2)
    assert_array_equal(found, [[2, 0], [-1, -1], [3, -1]])


def test_names_without_words_match_nothing():
    matches = NameMatches(["?", "!"])
    assert_array_equal(matches.candidates(["why?"], np.ones(2), 1), [[-1]])
    assert_array_equal(matches.features(["why?"], np.zeros(2, int), np.arange(2))[0], [0, 0])


def test_scores_and_ranks_of_pairs():
    ranking = np.array([[2, 0], [-1, -1]]), np.array([[4.0, 1.0], [-np.inf, -np.inf]])
    rows, labels = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 1])
    score, rank, ratio = _scores_and_ranks(ranking, rows, labels, 3)
    assert_array_equal(score, [1, 1, 4, 0])
    assert_array_equal(rank, [1, 1000, 0, 1000])
    assert_array_equal(ratio, [0.25, 0.25, 1, 0])


def test_candidates_need_names():
    with pytest.raises(ValueError, match="label_names"):
        Candidates(np.arange(3), np.ones(3), 2)


# ---- the ranking ----


def test_names_in_texts_come_first():
    texts = [f"some words about {name} and more" for name in np.repeat(NAMES, 20)]
    model = reranker(estimator=SameForAll(), n_candidates=3)
    model.fit(texts, [[name] for name in np.repeat(NAMES, 20)])
    found = model.rank([f"on {name}" for name in NAMES], k=1).names
    assert np.mean([row == [name] for row, name in zip(found, NAMES, strict=True)]) > 0.9


def test_scores_are_probabilities_in_the_order_of_the_ranking():
    model = fitted()
    labels, scores = model.rank(TITLES[:40], 8)
    decisions = model.decision_function(TITLES[:40]).toarray()
    P = model.predict_proba(TITLES[:40]).toarray()
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert_array_equal(np.diff(scores, axis=1) <= 0, True)
    for row, (some, values) in enumerate(zip(labels, scores, strict=True)):
        assert_array_equal(decisions[row, some], values)
        assert_array_equal(P[row, some], values)
    assert_array_equal(model.rank(TITLES[3:4], 8)[0][0], labels[3])


@pytest.mark.parametrize("estimator", ["default", "logistic"])
def test_names_come_from_lists_or_from_label_names(estimator):
    params = {"final_estimator": None} if estimator == "default" else {}
    lists = reranker(**params).fit(TITLES, SUBJECTS)
    matrix = reranker(**params).fit(TITLES, MATRIX, label_names=NAMES)
    assert lists.classes_.tolist() == matrix.classes_.tolist() == NAMES
    for a, b in zip(lists.rank(TITLES[:30], 5), matrix.rank(TITLES[:30], 5), strict=True):
        assert_array_equal(a, b)
    assert lists.estimator_.label_texts_.used


def test_one_or_two_fits():
    once = reranker(refit=False).fit(TITLES, SUBJECTS)
    assert fitted().final_estimator_.coef_.tolist() == once.final_estimator_.coef_.tolist()
    assert once.estimator_[-1]._fitted.neighbors.n_rows < 400  # with 20 names
    assert fitted().estimator_[-1]._fitted.neighbors.n_rows > 400


def test_pickle_clone_save_and_load(tmp_path):
    pytest.importorskip("skops")
    expected = fitted().rank(TITLES[:30], 5)
    skxmr.save(fitted(), tmp_path)
    for model in (pickle.loads(pickle.dumps(fitted())), skxmr.load(tmp_path)):
        for a, b in zip(model.rank(TITLES[:30], 5), expected, strict=True):
            assert_array_equal(a, b)
    assert not hasattr(clone(fitted()), "estimator_")


# ---- wrong input ----

WRONG = {
    "n_candidates": [0, 2.5, None],
    "held_out": [0, 0.6, "x"],
    "refit": [None, 2],
    "final_estimator": ["x"],
    "threshold": ["x"],
    "random_state": ["x"],
    "estimator": [3],
}


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in WRONG.items() for b in values])
def test_wrong_parameters_are_named(name, bad):
    with pytest.raises((TypeError, ValueError), match=name):
        reranker(**{name: bad}).fit(TITLES, SUBJECTS)


def test_wrong_data():
    with pytest.raises(ValueError, match="label_names"):
        reranker().fit(TITLES, MATRIX)
    with pytest.raises(ValueError, match="one class per row"):
        reranker().fit(TITLES, [row[0] for row in SUBJECTS])
    with pytest.raises(ValueError, match="300 texts"):
        reranker().fit(TITLES[:50], SUBJECTS[:50])
    with pytest.raises(ValueError, match="X must"):
        reranker().fit(MATRIX, SUBJECTS)
    with pytest.raises(TypeError, match="X must"):
        fitted().rank("one text")
    with pytest.raises(ValueError, match="400 rows"):
        reranker().fit(TITLES, SUBJECTS[:-1])
