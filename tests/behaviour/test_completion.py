"""Completion of queries by SessionQueryCompleter."""

import itertools
import pickle
import re
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from strategies import examples

from skxmr import (
    KMeansIndexer,
    SessionQueryCompleter,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr._utils.texts import objects
from skxmr.completion import training_pairs
from skxmr.completion._prefixes import PrefixIndex
from skxmr.metrics import mrr_at_10_scorer

FOLLOWS = {
    "cat food": ["cat toys", "Cats", "dog food", "catamarans"],
    "dog food": ["dog toys", "Dogs", "cat food", "dog sleds"],
    "sailing": ["catamarans", "dinghies", "sea charts", "Sea birds"],
    "birds": ["Sea birds", "dinosaurs", "bird food", "cats"],
}


def rows(n_repeats=3, random_state=0):
    pairs = [(previous, query) for previous, all_ in FOLLOWS.items() for query in all_]
    pairs += [("", query) for _, query in pairs]
    return training_pairs(pairs * n_repeats, random_state=random_state)


X, y = rows()
#: "Cats" is as frequent as "cats", and the same query.
QUERIES = sorted(set(y) - {"Cats"})


def classifier(indexer=None, **params):
    indexer = TrieHybridIndexer(1, max_leaf_size=3) if indexer is None else indexer
    return XRLinearClassifier(indexer, **params)


COMPLETER = SessionQueryCompleter(classifier(), random_state=0).fit(X, y)


def suggested(prefix, previous="", *, completer=COMPLETER, **options):
    """The suggestions that begin with the prefix. test_matches.py has tests of the others."""
    found = completer.complete(prefix, previous=previous, **options)
    return [each.query for each in found if each.match == "prefix"]


# ---- what is suggested ----


def test_every_suggestion_begins_with_the_prefix_and_none_is_missing():
    for query in QUERIES:
        for length in range(len(query) + 1):
            prefix = query[:length]
            expected = {q for q in QUERIES if q.lower().startswith(prefix.lower())}
            for previous in ("", "sailing", "unheard of"):
                found = suggested(prefix, previous, k=50)
                assert len(found) == len(set(found))
                assert set(found) == expected


def test_the_query_before_decides():
    assert suggested("d", "cat food")[0] == "dog food"
    assert suggested("ca", "sailing")[0] == "catamarans"
    assert suggested("s", "birds")[0] == "Sea birds"
    assert suggested("", "dog food", k=4) != suggested("", "sailing", k=4)
    for previous, queries in FOLLOWS.items():
        assert set(suggested("", previous, k=2)) <= {q.replace("Cats", "cats") for q in queries}


def test_scores_fall():
    scores = [score for _, score in COMPLETER.complete("", previous="birds", k=50)]
    assert scores == sorted(scores, reverse=True)
    assert all(type(score) is float for score in scores)


@pytest.mark.parametrize("prefix", ["x", "catz", "cat toys!", "\U0001f600", "cats and dogs", "\0"])
def test_unknown_prefix(prefix):
    completer = clone(COMPLETER).set_params(max_typing_errors=0).fit(X, y)
    assert completer.complete(prefix, previous="sailing") == []
    labels, scores = completer.rank([("sailing", prefix)], 3)
    assert labels.tolist() == [[-1] * 3]
    assert (scores == -np.inf).all()
    (best,) = completer.predict([("sailing", prefix)])
    free = clone(COMPLETER).set_params(constrained=False).fit(X, y)
    assert best == free.predict([("sailing", prefix)])[0]


def test_queries_shorter_than_the_prefix_are_no_completions():
    assert suggested("cats") == ["cats"]
    assert suggested("cats!") == []


def test_k_beyond_what_there_is():
    labels, scores = COMPLETER.rank([("", "ca")], 50)
    assert labels.shape == scores.shape == (1, 50)
    n = len(suggested("ca", k=50))
    assert (labels[0, :n] >= 0).all()
    assert (labels[0, n:] == -1).all()
    assert len(suggested("", k=10**9)) == len(QUERIES)


def test_case_blanks_and_accents():
    assert suggested("CAT") == suggested("cat") == suggested("  cat")
    assert "cats" not in suggested("cat ")
    strict = SessionQueryCompleter(classifier(), lowercase=False).fit(X, y)
    assert suggested("C", completer=strict) == ["Cats"]
    assert set(suggested("cat", completer=strict)) == {"cat toys", "cat food", "catamarans", "cats"}
    pairs, queries = [("", "c"), ("", "e")], ["  Caf\u00e9 au lait ", "e\u0301tudes"]
    for options, ok in ({}, False), ({"strip_accents": "unicode"}, True):
        completer = SessionQueryCompleter(**options).fit(pairs, queries)
        assert suggested("cafe\u0301", completer=completer) == ["Caf\u00e9 au lait"]
        assert suggested("\u00e9", completer=completer) == queries[1:]
        assert bool(suggested("cafe", completer=completer)) is ok


def fitted(queries, **params):
    """A completer that knows these queries, each from one row."""
    return SessionQueryCompleter(random_state=0, **params).fit([("a", "b")] * len(queries), queries)


#: Queries that are the same as compared, the one that is shown first.
ALIKE = [
    ["cat toys", "Cat Toys", "CAT  TOYS", " cat\u00a0toys\t", "cat\u3000toys\n", "cat toys"],
    ["caf\u00e9", "cafe\u0301", "CAFE\u0301", "CAF\u00c9"],
    ["stra\u00dfe", "STRASSE", "strasse", "Stra\u00dfe", "\u017ftra\u1e9ee"],
    ["\u03bf\u03b4\u03cc\u03c2", "\u039f\u0394\u038c\u03a3", "\u03bf\u03b4\u03cc\u03c3"],
    ["\u0131\u015f\u0131k", "I\u015eIK", "i\u015f\u0131k"],
    ["i\u0307zmir", "\u0130zmir", "izmir", "\u0130ZM\u0130R"],
    ["\ufb01ne", "fine", "FINE"],
    ["\u01c6ep", "\u01c5ep", "\u01c4EP"],
    ["a\u0323\u0301", "a\u0301\u0323", "\u1ea1\u0301", "\u00c1\u0323"],
]


@pytest.mark.parametrize("alike", ALIKE)
def test_queries_that_are_alike_are_one(alike):
    shown = " ".join(alike[0].split())
    queries = [*alike, alike[0], "other"]
    completer = fitted(queries)
    assert completer.classes_.tolist() == sorted([shown, "other"])
    counted = dict(completer.complete("", k=9))
    assert counted == pytest.approx({shown: 1 - 1 / len(queries), "other": 1 / len(queries)})
    for query in alike:
        for end in range(1, len(query) + 1):
            if query[:end].strip():
                assert suggested(query[:end], completer=completer) == [shown]
        assert suggested(f" {query} ", completer=completer) == [shown]
        assert completer.score([("", query[:2])], [query]) == 1
        assert completer.score([("a", alike[0])], [query]) == 1
    assert completer.score([("", alike[0])], ["other"]) == 0


def test_the_most_frequent_spelling_is_shown():
    spellings = ["Cats", "CATS", "cats", "Cats "]
    assert fitted(spellings).classes_.tolist() == ["Cats"]
    assert fitted(spellings[:3]).classes_.tolist() == ["cats"]  # the last in order
    X = [("a", "c")] * 3
    for weights, shown in (([1, 2, 1], "CATS"), ([2, 1, 2], "cats"), ([0, 1, 0.5], "CATS")):
        completer = SessionQueryCompleter().fit(X, spellings[:3], weights)
        assert completer.classes_.tolist() == [shown]
        assert completer.popularity_.tolist() == [1]
    apart = fitted(["cats", "Cats", " Cats"], lowercase=False)
    assert apart.classes_.tolist() == ["Cats", "cats"]
    assert fitted(["caf\u00e9", "cafe"]).classes_.tolist() == ["cafe", "caf\u00e9"]
    assert fitted(["caf\u00e9", "cafe"], strip_accents="ascii").classes_.tolist() == ["caf\u00e9"]


def test_runs_of_blanks():
    completer = fitted(["church  music ", "church\u00a0mice", "churches", "church"])
    music, mice = "church music", "church mice"
    assert completer.classes_.tolist() == ["church", mice, music, "churches"]
    assert set(suggested("  church ", completer=completer)) == {"church", music, mice}
    assert set(suggested("church\t\u2003", completer=completer)) == {"church", music, mice}
    assert set(suggested("church  m", completer=completer)) == {music, mice}
    assert suggested("church \n mu", completer=completer) == [music]
    assert suggested("church music  ", completer=completer) == [music]
    assert suggested("church  x", completer=completer) == []
    assert len(suggested(" \u3000", completer=completer)) == 4


BLANKS = ["", " ", "\t\n", "\u00a0", "\u2003\u3000", "\x1f"]


def test_blank_queries_are_passed_over():
    queries = [*BLANKS, "bee", "ant"]
    pairs = [("x", "")] * len(BLANKS) + [("a", "b"), ("b", "a")]
    weights = np.arange(1.0, len(queries) + 1)
    completer = SessionQueryCompleter(random_state=0).fit(pairs, queries, weights)
    assert sorted(suggested("", "x", completer=completer)) == ["ant", "bee"]
    assert_allclose(completer.popularity_, [8 / 15, 7 / 15])
    alone = SessionQueryCompleter(random_state=0).fit(pairs[6:], queries[6:], weights[6:])
    assert completer.complete("a", previous="b") == alone.complete("a", previous="b")
    assert completer.score(pairs, queries) == pytest.approx(2 / 8)
    with pytest.raises(ValueError, match="y must hold queries, got nothing but blanks"):
        SessionQueryCompleter().fit(pairs[:6], BLANKS)
    with pytest.raises(ValueError, match="sample_weight must be 8 numbers"):
        SessionQueryCompleter().fit(pairs, queries, weights[:2])


# ---- what is typed is how a known query begins ----

#: What is apt to be rewritten: case with exceptions, marks in any order, and parts of syllables.
RARE = (
    "aAiIsSeE\u0130\u0131\u00df\u1e9e\u017f\ufb03\u01c5\u0149\u01f0\u03a3\u03c2\u03c3"
    "\u0345\u1fb4\u0390\u00e9\u1ec7\u212b\u0f73\u09c7\u09be\u1100\u1161\u11a8\uac00"
    "\u0301\u0323\u0307\u0316\u0308 \u00a0\U0001f600\ud83d\0"
)
anything = st.text(st.sampled_from(RARE) | st.characters(), min_size=1, max_size=8)


@examples(150)
@given(st.lists(anything.filter(str.strip), min_size=1, max_size=4), st.booleans())
def test_every_beginning_of_a_query_suggests_it(queries, lowercase):
    completer = fitted(queries, lowercase=lowercase)
    for query in completer.classes_:
        for end in range(len(query) + 1):
            assert query in suggested(query[:end], completer=completer)
            assert query in suggested(query[:end], "a", completer=completer)
            ranked = completer.rank([("a", query[:end]), ("", "e")], 10)[0][0]
            assert query in completer.classes_[ranked[ranked >= 0]].tolist()
    for query in queries:
        for spelling in (query, unicodedata.normalize("NFC", query)):
            assert len(suggested(spelling, completer=completer)) >= 1


@examples(100)
@given(anything.filter(str.strip), st.sampled_from(["ascii", "unicode"]))
def test_every_beginning_without_accents_suggests_the_query(query, strip_accents):
    completer = fitted([query, "zebra"], strip_accents=strip_accents)
    for query in completer.classes_:
        for end in range(len(query) + 1):
            assert query in suggested(query[:end], completer=completer)


@examples(200)
@given(st.text(st.characters(exclude_categories=["Mn"]), min_size=1, max_size=6).filter(str.strip))
def test_case_does_not_matter(query):
    completer = fitted([query])
    for spelling in (query.upper(), query.lower(), query.casefold(), query.title()):
        assert len(suggested(spelling, completer=completer)) == 1


def test_beginnings_that_end_within_a_letter():
    decomposed = fitted(["cafe\u0301 noir", "cafe cr\u00e8me", "cafeteria"])
    both = ["cafe cr\u00e8me", "cafeteria", "cafe\u0301 noir"]
    assert sorted(suggested("cafe", completer=decomposed)) == sorted(both)
    assert suggested("caf\u00e9", completer=decomposed) == both[2:]
    assert suggested("cafe ", completer=decomposed) == both[:1]
    assert len(suggested("cafe", k=2, completer=decomposed)) == 2
    scores = [score for _, score in decomposed.complete("cafe", previous="a")]
    assert scores == sorted(scores, reverse=True)
    composed = fitted(["caf\u00e9 noir", "cafeteria"])
    assert suggested("cafe", completer=composed) == ["cafeteria"]


@pytest.mark.parametrize("strip_accents", [None, "unicode", "ascii"])
def test_many_marks_take_no_longer_than_other_characters(strip_accents):
    completer = fitted(["e\u0301\u0323" * 3, "x"], strip_accents=strip_accents)
    for marks in ("\u0301\u0323", "\u0323\u0301", "\u0f73"):
        typed = "e" + marks * 50_000
        start = time.perf_counter()
        completer.complete(typed, previous=typed)
        assert time.perf_counter() - start < 3


def test_unconstrained():
    free = SessionQueryCompleter(classifier(), constrained=False, random_state=0).fit(X, y)
    assert any(not q.lower().startswith("cat") for q in suggested("cat", k=50, completer=free))
    assert len(suggested("nothing of the kind", completer=free)) == 10
    free.set_params(constrained=True)
    assert free.complete("cat", previous="sailing") == COMPLETER.complete("cat", previous="sailing")


# ---- where there is little to go by ----


def test_nothing_at_all_is_completed_by_what_is_most_popular():
    pairs = [("", "a"), ("", "b"), ("", "b"), ("", "c")]
    completer = SessionQueryCompleter().fit(pairs, ["art", "birds", "birds", "cats"])
    assert completer.complete("", k=2) == [("birds", 0.5), ("art", 0.25)]
    labels, scores = completer.rank([("", ""), ("", "c")], 4)
    assert labels.tolist() == [[1, 0, 2, -1], [2, -1, -1, -1]]
    assert_array_equal(scores[0, :3], [0.5, 0.25, 0.25])
    assert_array_equal(completer.popularity_, [0.25, 0.5, 0.25])


def test_weights_count_as_rows_given_twice():
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    a = clone(COMPLETER).fit(X, y, weight)
    b = clone(COMPLETER).fit(X[repeated], y[repeated])
    shared = np.isin(a.classes_, b.classes_)
    assert_allclose(a.popularity_[shared], b.popularity_)
    assert a.popularity_[~shared].sum() == 0


def test_empty_prefix_where_none_was_learnt_from():
    typed = X[:, 1] != ""
    completer = SessionQueryCompleter(classifier(), random_state=0).fit(X[typed], y[typed])
    by_count = completer.classes_[np.argsort(-completer.popularity_, kind="stable")]
    assert suggested("", "sailing", completer=completer) == by_count[:10].tolist()
    assert suggested("ca", "sailing", completer=completer)[0] == "catamarans"


def test_no_history_at_all():
    pairs = [("  ", prefix) for _, prefix in X]
    completer = SessionQueryCompleter(classifier()).fit(pairs, y)
    assert completer.previous_vectorizer_ is None
    assert set(suggested("dog", completer=completer)) == {
        q for q in QUERIES if q.lower().startswith("dog")
    }
    assert suggested("dog", "cat food", completer=completer) == suggested(
        "dog", completer=completer
    )


def test_one_query():
    completer = SessionQueryCompleter().fit([("", "a")], ["art"])
    assert suggested("", completer=completer) == suggested("ar", completer=completer) == ["art"]
    assert suggested("b", completer=completer) == []
    assert completer.predict([("", "b")]).tolist() == ["art"]


def test_queries_without_any_character():
    completer = SessionQueryCompleter().fit([("", ""), ("a", "")], ["", "art"])
    assert suggested("", completer=completer) == ["art"]
    assert suggested("a", completer=completer) == ["art"]


@examples(25)
@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("ab \u00c9\u0301\U0001f600#\ud83d"), max_size=4)] * 3),
        min_size=1,
        max_size=6,
    ),
    st.text(max_size=3),
)
def test_any_texts(triples, typed):
    triples = [(a, b, c if c.strip() else "x") for a, b, c in triples]
    completer = SessionQueryCompleter(random_state=0)
    completer.fit([row[:2] for row in triples], [row[2] for row in triples])
    for prefix in (typed, *(row[1] for row in triples)):
        found = suggested(prefix, triples[0][0], completer=completer)
        normalizer = completer._normalizer
        expected = {
            q
            for q in completer.classes_.tolist()
            if f"{normalizer.query(q)} ".startswith(normalizer.prefix(prefix))
        }
        assert set(found) >= expected or len(found) == 10
        assert set(found) == expected or prefix in completer._partial_letters


# ---- as an estimator ----


def test_rank_and_complete_agree():
    labels, scores = COMPLETER.rank(X, 5)
    for i, (previous, prefix) in enumerate(X):
        found = COMPLETER.complete(prefix, previous=previous, k=5)
        n = (labels[i] >= 0).sum()
        assert COMPLETER.classes_[labels[i, :n]].tolist() == [query for query, _ in found]
        assert_allclose(scores[i, :n], [score for _, score in found], rtol=1e-5)


def test_predict_and_score():
    assert_array_equal(COMPLETER.classes_, QUERIES)
    labels, _ = COMPLETER.rank(X, 10)
    assert_array_equal(COMPLETER.predict(X), COMPLETER.classes_[labels[:, 0]])
    truths = [QUERIES.index(truth.replace("Cats", "cats")) for truth in y]
    reciprocals = [
        1 / (1 + row.tolist().index(truth)) if truth in row else 0
        for row, truth in zip(labels, truths, strict=True)
    ]
    assert COMPLETER.score(X, y) == pytest.approx(np.mean(reciprocals))
    one_spelling = COMPLETER.classes_[truths]
    assert COMPLETER.score(X, y) == COMPLETER.score(X, one_spelling)
    assert COMPLETER.score(X, y) == pytest.approx(mrr_at_10_scorer(COMPLETER, X, one_spelling))
    weights = np.arange(len(y))
    expected = np.average(reciprocals, weights=weights)
    assert COMPLETER.score(X, y, weights) == pytest.approx(expected)
    assert COMPLETER.score(X[:2], ["never seen", "nor this"]) == 0


@pytest.mark.parametrize(
    "container",
    [
        lambda X: X,
        lambda X: X.astype(str),
        lambda X: [tuple(row) for row in X],
        lambda X: pd.DataFrame(X, columns=["previous", "prefix"]),
        lambda X: pl.DataFrame(X.tolist(), schema=["previous", "prefix"], orient="row"),
    ],
)
def test_containers(container):
    completer = clone(COMPLETER).fit(container(X), y.tolist())
    assert_array_equal(completer.rank(container(X))[0], COMPLETER.rank(X)[0])
    assert completer.n_features_in_ == 2
    if hasattr(container(X), "columns"):
        assert completer.feature_names_in_.tolist() == ["previous", "prefix"]
        swapped = container(X)[["prefix", "previous"]]
        with pytest.raises(ValueError, match="feature names"):
            completer.rank(swapped)


@pytest.mark.parametrize("series", [pd.Series, pl.Series, np.array, list])
def test_containers_of_y(series):
    completer = clone(COMPLETER).fit(X, series(y.tolist()))
    assert completer.score(X, series(y.tolist())) == COMPLETER.score(X, y)


INDEXERS = [
    KMeansIndexer(max_leaf_size=3),
    TrieIndexer(max_leaf_size=2),
    TrieHybridIndexer(0, 3),
    TrieHybridIndexer(3, 2),
    TrieHybridIndexer(1, 2, vectorizer=TfidfVectorizer(analyzer="char")),
]


@pytest.mark.parametrize("indexer", INDEXERS)
@pytest.mark.parametrize("label_embedding", ["pifa", "text", "features"])
def test_any_tree_can_be_searched_by_prefix(indexer, label_embedding):
    ranker = classifier(indexer, label_embedding=label_embedding)
    completer = SessionQueryCompleter(ranker, random_state=0)
    if getattr(indexer, "vectorizer", None) is not None and label_embedding == "features":
        with pytest.raises(ValueError, match="label_features"):
            completer.fit(X, y)
        return
    completer.fit(X, y)
    expected = {q for q in QUERIES if q.lower().startswith("ca")}
    assert set(suggested("ca", "birds", completer=completer)) == expected
    assert completer.classifier_.tree_.n_labels == len(QUERIES)


def test_other_vectorizers():
    completer = SessionQueryCompleter(
        classifier(),
        previous_vectorizer=CountVectorizer(),
        prefix_vectorizer=TfidfVectorizer(analyzer="char"),
    ).fit(X, y)
    labels, _ = completer.rank(X, 1)
    found = [suggested(prefix, previous, k=1, completer=completer) for previous, prefix in X]
    assert completer.classes_[labels[:, 0]].tolist() == [query for (query,) in found]


def test_parameters_reach_the_classifier():
    completer = SessionQueryCompleter(classifier(), n_jobs=2, random_state=7).fit(X, y)
    assert (completer.classifier_.n_jobs, completer.classifier_.random_state) == (2, 7)
    own = SessionQueryCompleter(classifier(n_jobs=1), n_jobs=2).fit(X, y)
    assert own.classifier_.n_jobs == 1
    assert completer.classifier.n_jobs is None


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_number_of_jobs_changes_nothing(n_jobs):
    completer = SessionQueryCompleter(classifier(), n_jobs=n_jobs, random_state=0).fit(X, y)
    for a, b in zip(completer.rank(X), COMPLETER.rank(X), strict=True):
        assert_array_equal(a, b)


def test_grid_search_over_beam_and_weight():
    grid = {"classifier__beam_width": [1, 5], "previous_weight": [0.5, 2.0]}
    search = GridSearchCV(COMPLETER, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.classifier_.beam_width in (1, 5)
    assert 0 < search.best_score_ <= 1
    assert search.predict(X[:2]).shape == (2,)


def test_copies_and_threads():
    for copy in (pickle.loads(pickle.dumps(COMPLETER)), clone(COMPLETER).fit(X, y)):
        assert copy.complete("d", previous="birds") == COMPLETER.complete("d", previous="birds")
    with ThreadPoolExecutor(8) as pool:
        calls = [{"prefix": prefix, "previous": previous} for previous, prefix in X] * 4
        copy = pickle.loads(pickle.dumps(COMPLETER))
        found = list(pool.map(lambda call: copy.complete(**call), calls))
    assert found == [COMPLETER.complete(**call) for call in calls]


def test_a_pickle_of_a_version_that_compared_otherwise():
    """It is searched as it would be if it were fitted now."""
    completer = fitted(["stra\u00dfe 5", "e\u0301tude", "church"])
    state = dict(completer.__getstate__())
    texts = [query.lower() for query in completer.classes_]
    state["_prefixes"] = PrefixIndex([completer.classifier_.tree_], texts)
    del state["_partial_letters"]
    old = SessionQueryCompleter()
    old.__setstate__(state)
    for typed in ("STRASSE", "stra\u00df", "e", "\u00e9", "church ", ""):
        assert suggested(typed, completer=old) == suggested(typed, completer=completer) != []
    assert old.score([("", "s")], ["STRASSE 5"]) == 1


# ---- what is refused ----


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        ([("a", None)], TypeError, r"X must hold strings .* got None in row 0, column 1"),
        ([("a", "b"), (np.nan, "b")], TypeError, r"got nan in row 1, column 0"),
        ([(b"a", "b")], TypeError, r"got b'a' in row 0, column 0"),
        ([("a", "b", "c")], ValueError, r"X must have two columns"),
        (["a", "b"], ValueError, r"X must have two columns"),
        ([("a", "b"), ("a",)], ValueError, r"X must"),
        ([], ValueError, r"X must have two columns"),
        (np.empty((0, 2), object), ValueError, r"X must have at least one row"),
        ("ab", ValueError, r"X must have two columns"),
    ],
)
def test_what_are_no_pairs(bad, error, match):
    with pytest.raises(error, match=match):
        SessionQueryCompleter().fit(bad, ["q"] * len(bad))
    with pytest.raises(error, match=match):
        COMPLETER.rank(bad)


#: What no query is, though NumPy would write it down as a string beside others.
NO_STRINGS = [np.nan, None, pd.NA, pd.NaT, 7, 2.5, True, b"nuts", np.bytes_(b"n"), ["n"], ("n",)]


@pytest.mark.parametrize("bad", NO_STRINGS)
@pytest.mark.parametrize("container", [list, tuple, iter, objects, pd.Series, pd.Index])
def test_a_query_that_is_no_string_is_named_with_its_row(container, bad):
    if container is pd.Index and isinstance(bad, tuple):
        pytest.skip("an Index of pandas cannot hold a tuple: it becomes a MultiIndex")
    match = r"y must hold strings, got .* in row 1"
    queries = ["nets", bad, "dee"]
    X = [("a", "n")] * 3
    with pytest.raises(TypeError, match=match):
        SessionQueryCompleter().fit(X, container(queries))
    with pytest.raises(TypeError, match=match):
        COMPLETER.score(X, container(queries))


@pytest.mark.parametrize(
    "queries",
    [
        np.array([b"nets", b"dee", b"x"]),
        np.arange(3),
        np.arange(3.0),
        np.array([True, False, True]),
        np.array(["2020-01-01"] * 3, "datetime64[D]"),
        np.ma.array(["nets", "dee", "x"], mask=[False, False, True]),
        pd.Series([1.0, np.nan, 2.0]),
        pd.Series(["nets", None, "dee"], dtype="string"),
        pd.Series(["nets", None, "dee"], dtype="category"),
        pl.Series(["nets", None, "dee"]),
        pl.Series([1, 2, 3]),
    ],
)
def test_arrays_and_series_of_other_types(queries):
    for call in (SessionQueryCompleter().fit, COMPLETER.score):
        with pytest.raises(TypeError, match=r"y must hold strings, got .* in row [012]"):
            call([("a", "n")] * 3, queries)


@pytest.mark.parametrize("bad", NO_STRINGS[:-2])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize(
    "container",
    [
        list,
        lambda X: [list(row) for row in X],
        lambda X: np.array(X, dtype=object),
        lambda X: pd.DataFrame(X, columns=["previous", "prefix"], dtype=object),
        lambda X: np.ma.array(
            X, dtype=object, mask=[[0, 0], [v != "'a'" for v in map(repr, X[1])]]
        ),
    ],
)
def test_a_pair_that_is_no_strings_is_named_with_its_position(container, column, bad):
    X = [("a", "a"), ("a", bad) if column else (bad, "a")]
    for call in (lambda X: SessionQueryCompleter().fit(X, ["q", "q"]), COMPLETER.rank):
        with pytest.raises(TypeError, match=rf"X must hold .* in row 1, column {column}"):
            call(container(X))


@pytest.mark.parametrize(
    "X",
    [
        np.array([["a", "n"]]).astype("S"),
        np.ones((1, 2)),
        pd.DataFrame({"previous": [None], "prefix": ["n"]}),
        pd.DataFrame({"previous": ["a"], "prefix": [2]}),
        pl.DataFrame({"previous": [None], "prefix": ["n"]}),
        pl.DataFrame({"previous": ["a"], "prefix": [True]}),
    ],
)
def test_tables_of_other_types(X):
    for call in (lambda X: SessionQueryCompleter().fit(X, ["q"]), COMPLETER.predict):
        with pytest.raises(TypeError, match=r"X must hold strings .* in row 0"):
            call(X)


def test_a_character_of_code_zero_is_kept():
    queries = ["n\0", "n\0t", "n"]
    for container in (list, tuple, objects, pd.Series, pl.Series):
        completer = SessionQueryCompleter().fit([("a", "n")] * 3, container(queries))
        assert completer.classes_.tolist() == sorted(queries)
        assert sorted(suggested("n\0", completer=completer)) == queries[:2]
        assert suggested("\0", completer=completer) == []


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (y[:-1], ValueError, r"y must have shape"),
        ([*y[:-1], None], TypeError, r"y must hold strings, got None in row"),
        (np.column_stack([y, y]), ValueError, r"y must have shape"),
        (pd.DataFrame({"y": y}), ValueError, r"y must have shape"),
        (np.arange(len(y)), TypeError, r"y must hold strings, got 0 in row 0"),
        (set(y), TypeError, r"y must be a sequence of \d+ queries"),
        (dict.fromkeys(y), TypeError, r"y must be a sequence of \d+ queries"),
        ("cats", TypeError, r"y must be a sequence of \d+ queries"),
        (np.array("cats"), TypeError, r"y must be a sequence of \d+ queries"),
        (None, TypeError, r"y must be a sequence of \d+ queries"),
    ],
)
def test_what_are_no_queries(bad, error, match):
    with pytest.raises(ValueError, match="y must hold queries, got nothing but blanks"):
        SessionQueryCompleter().fit(X, [" "] * len(y))
    with pytest.raises(error, match=match):
        SessionQueryCompleter().fit(X, bad)
    with pytest.raises(error, match=match):
        COMPLETER.score(X, bad)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"classifier": KMeansIndexer()}, TypeError),
        ({"classifier": XRLinearClassifier}, TypeError),
        ({"previous_vectorizer": 3}, TypeError),
        ({"prefix_vectorizer": "char"}, TypeError),
        ({"previous_weight": -1}, ValueError),
        ({"previous_weight": "2"}, TypeError),
        ({"constrained": "yes"}, TypeError),
        ({"lowercase": None}, TypeError),
        ({"strip_accents": "all"}, ValueError),
        ({"n_jobs": 1.5}, TypeError),
    ],
)
def test_wrong_parameters_are_named(params, error):
    with pytest.raises(error, match=next(iter(params))):
        SessionQueryCompleter(**params).fit(X, y)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prefix": None}, TypeError),
        ({"prefix": b"c"}, TypeError),
        ({"prefix": "c", "previous": None}, TypeError),
        ({"prefix": np.nan}, TypeError),
        ({"prefix": "c", "previous": np.nan}, TypeError),
        ({"prefix": "c", "previous": b"cats"}, TypeError),
        ({"prefix": "c", "previous": 3}, TypeError),
        ({"prefix": "c", "k": 0}, ValueError),
        ({"prefix": "c", "k": "3"}, TypeError),
    ],
)
def test_wrong_arguments_of_complete_are_named(options, error):
    with pytest.raises(error, match=list(options)[-1]):
        COMPLETER.complete(**options)


def test_only_the_prefix_goes_without_a_name():
    """X has the previous query first: no one should have to remember the order."""
    with pytest.raises(TypeError, match="positional argument"):
        COMPLETER.complete("sailing", "cat")


def test_parameters_that_were_spoilt_after_fit():
    completer = clone(COMPLETER).fit(X, y)
    completer.classifier_.beam_width = 0
    for call in (lambda: completer.complete("c", previous="birds"), lambda: completer.rank(X)):
        with pytest.raises(ValueError, match="beam_width"):
            call()
    completer = clone(COMPLETER).fit(X, y).set_params(constrained="no")
    for call in (lambda: completer.complete("c"), lambda: completer.rank(X)):
        with pytest.raises(TypeError, match="constrained"):
            call()


def test_not_fitted():
    for call in ("rank", "predict", "score", "complete"):
        args = {"score": (X, y), "complete": ("c",)}.get(call, (X,))
        with pytest.raises(NotFittedError):
            getattr(SessionQueryCompleter(), call)(*args)


def test_a_fit_that_fails_leaves_what_was_fitted():
    completer = clone(COMPLETER).fit(X, y)
    before = completer.complete("c", previous="birds")
    with pytest.raises(TypeError):
        completer.fit(X, [None] * len(y))
    with pytest.raises(ValueError, match="C must be"):
        completer.set_params(classifier__C=-1).fit(X, y)
    assert completer.complete("c", previous="birds") == before


# ---- real data ----


@pytest.mark.slow
def test_subjects_of_a_catalogue():
    """Each prefix is completed better than by what is most popular, and by completions only."""
    data = catalogue_sample()
    names = data.label_names

    def sessions(Y):
        for row in Y:
            yield from itertools.islice(itertools.permutations(names[row.indices], 2), 4)

    pairs, queries = training_pairs(list(sessions(data.Y_train[:6000])), random_state=0)
    completer = SessionQueryCompleter(random_state=0).fit(pairs, queries)
    pairs, queries = training_pairs(list(sessions(data.Y_test[:1500])), random_state=1)
    for previous, prefix in pairs:
        found = suggested(prefix, previous, completer=completer)
        typed = re.sub(r"\s+", " ", prefix.lower()).lstrip()
        assert all(f"{query.lower()} ".startswith(typed) for query in found)
    without = pairs.copy()
    without[:, 0] = ""
    assert completer.score(pairs, queries) > completer.score(without, queries) + 0.02


def test_a_classifier_that_learned_other_queries_completes_no_longer():
    X = [("", "re"), ("", "re"), ("", "bl"), ("", "bl")]
    y = ["red shoes", "red shirt", "blue shoes", "blue shirt"]
    completer = SessionQueryCompleter(random_state=0).fit(X, y)
    clf = completer.classifier_
    rows = np.eye(5, clf.n_features_in_, dtype=np.float32)
    clf.add_labels(rows, np.arange(5), placement="search")
    for call in (
        lambda: completer.complete("re"),
        lambda: completer.rank(X),
        lambda: completer.predict(X),
        lambda: completer.score(X, y),
    ):
        with pytest.raises(NotFittedError, match="fit again"):
            call()
    assert completer.fit(X, y).predict(X[:1]).tolist()[0].startswith("red")
