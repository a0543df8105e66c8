"""The reranker of texts: its trees, its features, its ranking, its parameters, and saving."""

import math
import pickle
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from datasets import named_catalogue
from marks import TEXT_CHECKS
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils import estimator_checks
from threadpoolctl import threadpool_limits

import skxmr
from skxmr import TextReranker, XRLinearClassifier, make_text_ranker
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import f1_at_k
from skxmr.reranking._boosting import BoostedTrees
from skxmr.reranking._candidates import LabelCounts, _scores_and_ranks
from skxmr.reranking._name_matches import NameMatches
from skxmr.text import NGramTfidfVectorizer

TEXTS, SUBJECTS, NAMES = named_catalogue(320)
NEW_TEXTS, NEW_SUBJECTS, _ = named_catalogue(150, seed=1)
MATRIX = MultiLabelBinarizer(classes=NAMES, sparse_output=True).fit_transform(SUBJECTS)


def ranker(**params):
    return make_text_ranker(use_label_texts=False, random_state=0, **params)


def reranker(estimator=None, **params):
    return TextReranker(ranker() if estimator is None else estimator, random_state=0, **params)


@cache
def fitted():
    return reranker().fit(TEXTS, SUBJECTS)


def assert_same_rankings(first, second, texts=NEW_TEXTS, k=8):
    for a, b in zip(first.rank(texts, k), second.rank(texts, k), strict=True):
        assert_array_equal(a, b)


class SameForAll(BaseEstimator):
    """Ranks the labels in the same order for every text."""

    def fit(self, X, y):
        self.classes_ = np.arange(y.shape[1])
        return self

    def rank(self, X, k):
        labels = np.tile(np.arange(k, dtype=np.int32), (len(X), 1))
        return labels, np.tile(np.linspace(1, 0.1, k, dtype=np.float32), (len(X), 1))


# ---- trees ----


@pytest.mark.parametrize(
    ("n_rows", "params"),
    [(500, {}), (40, {}), (30, {"min_samples_leaf": 30}), (500, {"max_leaf_nodes": 2})],
)
def test_trees_predict_as_those_of_scikit_learn(n_rows, params):
    rng = np.random.default_rng(n_rows)
    X = rng.normal(size=(n_rows, 6))
    X[:, 1] = X[:, 1].round()  # thresholds between equal values
    y = X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=n_rows) > 0
    new = np.concatenate([X, rng.normal(size=(1500, 6)), X[:, ::-1]])
    theirs = HistGradientBoostingClassifier(max_iter=30, random_state=0, **params)
    with threadpool_limits(1):
        theirs.fit(X, y)
        expected = theirs.predict_proba(new)[:, 1]
    ours = BoostedTrees.of(theirs)
    assert_allclose(ours.predict(new), expected, rtol=1e-12)
    assert_allclose(pickle.loads(pickle.dumps(ours)).predict(new), expected, rtol=1e-12)
    assert_array_equal(ours.predict(new[:7]), ours.predict(new)[:7])


def test_fitted_trees_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 8))
    y = X[:, 0] + X[:, 1] * rng.normal(size=3000) > 0
    values = []
    for n in (1, 3):
        with threadpool_limits(n):
            values.append(BoostedTrees.fit(X, y, random_state=0).values)
    assert_array_equal(*values)


# ---- names in texts ----


def ngrams(text, kind):
    """N-grams of a text in order: of words, pairs of words, or five characters of words."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    if kind == "words":
        return words
    if kind == "pairs":
        return [" ".join(pair) for pair in pairwise(words)]
    found = []
    for word in text.lower().split():
        word = f" {word} "
        found += [word[i : i + 5] for i in range(max(1, len(word) - 4))]
    return found


def slow_shares(names, name, text, kind):
    """Share of a name in a text, and the same weighted by position, with loops."""
    own = set(ngrams(name, kind))
    idf = {
        part: 1 + math.log((1 + len(names)) / (1 + sum(part in ngrams(n, kind) for n in names)))
        for part in own
    }
    total = sum(idf.values())
    share = early = 0
    for part in own:
        weights = [1 / (1 + i) for i, found in enumerate(ngrams(text, kind)) if found == part]
        share += (len(weights) > 0) * idf[part] / total
        early += sum(weights) * idf[part] / total
    return share, early


def test_shares_of_names_equal_slow_ones():
    names = ["church music", "organ", "music", "church organ music", "go", "eel fishing", "?"]
    texts = ["Church organs and music, church music", "x " * 12 + "Music: eel, organ", "", "go"]
    matches = NameMatches(names)
    rows, labels = np.divmod(np.arange(len(texts) * len(names)), len(names))
    columns = matches.features(matches.found(texts), rows, labels)
    pairs = [(names[label], texts[row]) for row, label in zip(rows, labels, strict=True)]
    for i, kind in enumerate(["words", "pairs", "characters"]):
        expected = [slow_shares(names, *pair, kind) for pair in pairs]
        assert_allclose(columns[2 * i], [e[0] for e in expected], atol=1e-6)
        assert_allclose(columns[2 * i + 1], [e[1] for e in expected], atol=1e-6)
    assert_array_equal(columns[6][:7], [2, 1, 1, 3, 1, 2, 0])
    assert_array_equal(columns[7][:7], [len(name) for name in names])


def test_whole_names_equal_slow_ones():
    matches = NameMatches(NAMES)
    rows, labels = matches.whole_names(matches.found(TEXTS))
    assert set(zip(rows.tolist(), labels.tolist(), strict=True)) == {
        (row, label)
        for row, text in enumerate(TEXTS)
        for label, name in enumerate(NAMES)
        if set(name.split()) <= set(text.split())
    }


def test_explanations_in_names_are_ignored():
    matches = NameMatches(["Organ (Instrument)", "Organ <Biology>", "(C)"])
    rows, labels = matches.whole_names(matches.found(["an organ", "instrument", "vitamin C"]))
    assert list(zip(rows.tolist(), labels.tolist(), strict=True)) == [(0, 0), (0, 1), (2, 2)]


def test_names_without_words_match_nothing():
    matches = NameMatches(["?", "!"])
    found = matches.found(["why?"])
    assert matches.whole_names(found)[0].tolist() == []
    assert_array_equal(matches.features(found, np.zeros(2, int), np.arange(2))[0], [0, 0])


def test_counts_of_names():
    truth = sparse.csr_matrix([[1, 0], [0, 1], [1, 1]], dtype=np.float32)
    texts = ["an eel", "an eel and an owl", "owls"]
    counts = LabelCounts.of(NameMatches(["eel", "owl"]), texts, truth)
    assert [array.tolist() for array in counts] == [[2, 2], [2, 1], [1, 1]]


@pytest.mark.parametrize("sign", [1, -1])
def test_scores_and_ranks_of_pairs(sign):
    scores = np.array([[4.0, 1.0], [-np.inf, -np.inf]])
    scores[0] = [4.0, 1.0] if sign == 1 else [-1.0, -4.0]
    ranking = np.array([[2, 0], [-1, -1]]), scores
    rows, labels = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 1])
    score, rank, ratio = _scores_and_ranks(ranking, rows, labels, 3)
    assert_array_equal(score, [1, 1, 4, 0] if sign == 1 else [-4, -4, -1, 0])
    assert_array_equal(rank, [2, 3, 1, 3])
    assert_array_equal(ratio, [0.25, 0.25, 1, 0] if sign == 1 else [4, 4, 1, 0])


# ---- the ranking ----


def test_the_reranker_is_better_than_its_ranker():
    before = fitted().estimator_.score(NEW_TEXTS, NEW_SUBJECTS)
    assert before < 0.9
    assert fitted().score(NEW_TEXTS, NEW_SUBJECTS) > before + 0.08


def test_labels_that_are_not_ranked_are_found_by_their_names():
    model = reranker(SameForAll(), n_candidates=3).fit(TEXTS, SUBJECTS)
    found = model.rank(NEW_TEXTS, k=1).names
    hits = [row[0] in own for row, own in zip(found, NEW_SUBJECTS, strict=True)]
    assert np.mean(hits) > 0.9


def test_scores_are_probabilities():
    model = fitted()
    labels, scores = model.rank(NEW_TEXTS, 8)
    P = model.predict_proba(NEW_TEXTS).toarray()
    assert 0 <= scores.min() <= scores.max() <= 1
    assert_array_equal(np.take_along_axis(P, labels, 1), scores)
    true = MultiLabelBinarizer(classes=NAMES).fit_transform(NEW_SUBJECTS)
    assert abs(P.sum() - true.sum()) < 0.1 * true.sum()


def test_names_come_from_lists_matrices_or_frames():
    pandas = pytest.importorskip("pandas")
    matrix = reranker().fit(TEXTS, MATRIX, label_names=NAMES)
    frame = reranker().fit(TEXTS, pandas.DataFrame(MATRIX.toarray(), columns=NAMES))
    for model in (matrix, frame):
        assert model.classes_.tolist() == fitted().classes_.tolist() == NAMES
        assert_same_rankings(model, fitted())


def test_a_ranker_without_names_is_reranked_by_names():
    # The pipeline of scikit-learn does not take label_names.
    steps = NGramTfidfVectorizer(sublinear_tf=True), XRLinearClassifier(random_state=0)
    model = reranker(make_pipeline(*steps)).fit(TEXTS, MATRIX, label_names=NAMES)
    assert_same_rankings(model, fitted())
    assert model.rank(NEW_TEXTS[:1], 1).names == fitted().rank(NEW_TEXTS[:1], 1).names


def test_names_are_passed_to_the_ranker_in_a_search():
    search = GridSearchCV(
        make_text_ranker(use_label_texts=True, random_state=0),
        {"classifier__neighbor_weight": [0.2]},
        cv=2,
    )
    model = reranker(search, refit=False).fit(TEXTS, MATRIX, label_names=NAMES)
    assert model.estimator_.best_estimator_.label_texts_.used


def test_one_or_two_fits():
    once = reranker(refit=False).fit(TEXTS, SUBJECTS)
    assert_array_equal(once._model.values, fitted()._model.values)
    assert once.estimator_[-1]._fitted.neighbors.n_rows < 290
    assert fitted().estimator_[-1]._fitted.neighbors.n_rows > 290


def test_the_steps_of_a_pipeline_are_seeded():
    first, second = (
        reranker(make_text_ranker(use_label_texts=False), refit=False).fit(TEXTS, SUBJECTS)
        for _ in range(2)
    )
    assert first.estimator_[-1].random_state is not None
    assert_same_rankings(first, second)


def test_a_frozen_ranker_is_not_fitted_again():
    parts = train_test_split(TEXTS, SUBJECTS, test_size=0.5, random_state=0)
    inner = ranker().fit(parts[0], parts[2])
    model = reranker(FrozenEstimator(inner), held_out=0.5).fit(parts[1], parts[3])
    assert model.estimator_.estimator is inner
    assert model.score(NEW_TEXTS, NEW_SUBJECTS) > inner.score(NEW_TEXTS, NEW_SUBJECTS)


@pytest.mark.parametrize("params", [{"n_neighbors": None}, {"post_processor": "noop"}])
def test_rankers_without_neighbors(params):
    model = reranker(ranker(**params)).fit(TEXTS, SUBJECTS)
    assert not model._candidates.has_neighbors
    assert model.score(NEW_TEXTS, NEW_SUBJECTS) > 0.9


def test_a_last_fit_that_chooses_no_neighbors():
    model = pickle.loads(pickle.dumps(fitted()))
    model.estimator_[-1].n_neighbors = None
    assert model._candidates.has_neighbors
    assert model.score(NEW_TEXTS, NEW_SUBJECTS) > 0.8


def test_the_number_of_candidates_bounds_the_ranking():
    labels, scores = reranker(n_candidates=1).fit(TEXTS, SUBJECTS).rank(NEW_TEXTS, 30)
    assert ((labels >= 0).sum(axis=1) <= 16).all()
    assert (scores[labels < 0] == -np.inf).all()


def test_predict_returns_lists_and_uses_the_threshold():
    model = pickle.loads(pickle.dumps(fitted())).set_params(threshold=0.5)
    predicted = model.predict(NEW_TEXTS[:20])
    P = model.predict_proba(NEW_TEXTS[:20]).toarray()
    expected = [[NAMES[label] for label in np.flatnonzero(row > 0.5)] for row in P]
    assert [sorted(row) for row in predicted] == expected


def test_searches_and_pipelines():
    pipeline = skxmr.pipeline.make_pipeline("passthrough", reranker(refit=False, held_out=0.2))
    search = GridSearchCV(pipeline, {"textreranker__n_candidates": [2, 20]}, cv=2)
    search.fit(TEXTS, SUBJECTS)
    assert search.best_score_ > 0.8
    assert skxmr.rank(search, NEW_TEXTS[:2], k=1).names


@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_scikit_learn_check_passes(check):
    getattr(estimator_checks, check)("TextReranker", TextReranker(ranker()))


@pytest.mark.slow
def test_titles_of_the_sample_are_ranked_better():
    data = load_catalogue_subjects()
    texts, Y = data.text_train[::4], data.Y_train[::4]
    model = TextReranker(make_text_ranker(use_label_texts=True, random_state=0), random_state=0)
    model.fit(texts, Y, label_names=data.label_names)
    before, after = (
        f1_at_k(data.Y_test, r.rank(data.text_test, 5), k=5) for r in (model.estimator_, model)
    )
    assert after > before + 0.005


# ---- saving ----


def test_copies_and_saved_models_rank_alike(tmp_path):
    skxmr.save(fitted(), tmp_path)
    loaded = skxmr.load(tmp_path)
    assert type(loaded) is TextReranker
    assert loaded.get_params(deep=False).keys() == fitted().get_params(deep=False).keys()
    for model in (pickle.loads(pickle.dumps(fitted())), loaded, skxmr.load(tmp_path, mmap=True)):
        assert_same_rankings(model, fitted())
        assert model.predict(NEW_TEXTS[:5]) == fitted().predict(NEW_TEXTS[:5])
    assert not hasattr(clone(fitted()), "estimator_")


DAMAGED = {
    "a feature beyond": ("feature", lambda a: a + 100),
    "a negative tree": ("tree", lambda a: a - 1),
    "a mask of no leaves": ("mask", lambda a: a & 1),
    "a threshold": ("threshold", lambda a: a * np.nan),
    "a missing node": ("threshold", lambda a: a[:-1]),
    "half a tree": ("values", lambda a: a[:-1].reshape(-1)),
}


@pytest.mark.parametrize(("name", "change"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_trees_are_refused(tmp_path, name, change):
    model = pickle.loads(pickle.dumps(fitted()))
    array = change(getattr(model._model, name).ravel())
    vars(model._model)[name] = array
    skxmr.save(model, tmp_path)
    with pytest.raises(ValueError, match="tree"):
        skxmr.load(tmp_path)


@pytest.mark.parametrize("change", [lambda a: a[:-1], lambda a: -1 - a])
def test_damaged_counts_are_refused(tmp_path, change):
    model = pickle.loads(pickle.dumps(fitted()))
    model._candidates.counts = model._candidates.counts._replace(
        n_named=change(model._candidates.counts.n_named)
    )
    skxmr.save(model, tmp_path)
    with pytest.raises(ValueError, match="counts"):
        skxmr.load(tmp_path)


# ---- wrong input ----

WRONG = {
    "n_candidates": [0, 2.5, None],
    "held_out": [0, 0.6, "x", True],
    "refit": [None, 2],
    "threshold": ["x"],
    "random_state": ["x"],
    "estimator": [3],
}


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in WRONG.items() for b in values])
def test_wrong_parameters_are_named(name, bad):
    model = reranker().set_params(**{name: bad})
    with pytest.raises((TypeError, ValueError), match=name):
        model.fit(TEXTS, SUBJECTS)


WRONG_DATA = {
    "no names": (TEXTS, MATRIX, {}, "label_names"),
    "too few names": (TEXTS, MATRIX, {"label_names": NAMES[1:]}, "label_names"),
    "names twice": (TEXTS, SUBJECTS, {"label_names": NAMES}, "label_names"),
    "numbers": (TEXTS, [[1, 2], [3]] * 160, {}, "names of labels"),
    "classes": (TEXTS, [row[0] for row in SUBJECTS], {}, "one class per text"),
    "few texts": (TEXTS[:50], SUBJECTS[:50], {}, "300 texts"),
    "no texts": (MATRIX, SUBJECTS, {}, "X must"),
    "rows": (TEXTS, SUBJECTS[:-1], {}, "320 rows"),
    "no y": (TEXTS, None, {}, "requires y"),
}


@pytest.mark.parametrize(("X", "y", "params", "match"), WRONG_DATA.values(), ids=WRONG_DATA)
def test_wrong_data_is_refused(X, y, params, match):
    with pytest.raises((TypeError, ValueError), match=match):
        reranker().fit(X, y, **params)


def test_held_out_texts_without_true_candidates():
    names = [f"name{i}" for i in range(320)]
    with pytest.raises(ValueError, match="true ones"):
        reranker(SameForAll(), n_candidates=1).fit(
            ["something else"] * 320, [["zebra"] if i < 1 else [names[i]] for i in range(320)]
        )


@pytest.mark.parametrize("bad", ["one text", [b"bytes"], []])
def test_wrong_texts_are_refused(bad):
    with pytest.raises((TypeError, ValueError), match="X must"):
        fitted().rank(bad)


def test_frozen_rankers_take_frames_in_another_order():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(MATRIX.toarray(), columns=NAMES)
    frozen = FrozenEstimator(ranker().fit(TEXTS, frame))
    new = MultiLabelBinarizer(classes=NAMES).fit_transform(NEW_SUBJECTS)
    held_out = pd.DataFrame(new, columns=NAMES)
    options = {"held_out": 0.5, "refit": False}
    expected = reranker(frozen, **options).fit(NEW_TEXTS, held_out)
    found = reranker(frozen, **options).fit(NEW_TEXTS, held_out[NAMES[::-1]])
    assert_same_rankings(found, expected, TEXTS)
    assert found.rank(TEXTS[:5], 2).names == expected.rank(TEXTS[:5], 2).names
    assert found.score(TEXTS, frame) == expected.score(TEXTS, MATRIX) > 0.5
    with pytest.raises(ValueError, match="label_names must be in the order of the labels"):
        reranker(frozen, **options).fit(NEW_TEXTS, new[:, ::-1], label_names=NAMES[::-1])
