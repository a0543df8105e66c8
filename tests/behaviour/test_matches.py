"""Completions by a word within a query, after a typing error, and by popularity."""

import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from strategies import examples

import skxmr
from skxmr import LabelTree, SessionQueryCompleter, XRLinearClassifier
from skxmr.completion import Completion, training_pairs
from skxmr.completion._matches import MatchIndex
from skxmr.completion._prefixes import PrefixIndex

NONE = np.empty(0, dtype=np.int32)

FOLLOWS = {
    "church": ["organ music", "organists", "church music", "Orgelbau", "children's choirs"],
    "health": [
        "music therapy",
        "organ donation",
        "therapy dogs",
        "rock-climbing",
        "hormone therapy",
    ],
    "": ["music therapy", "music", "music", "organists", "music festivals"],
}
PAIRS = [(previous, query) for previous, queries in FOLLOWS.items() for query in queries]


def fitted(pairs=PAIRS, **params):
    X, y = training_pairs(pairs * 3, kind="pairs", n_prefixes=3, random_state=0)
    return SessionQueryCompleter(random_state=0, **params).fit(X, y)


COMPLETER = fitted()


def found(prefix, *, completer=COMPLETER, **options):
    return [(each.query, each.match) for each in completer.complete(prefix, **options)]


def of_kind(kind, prefix, **options):
    return {query for query, match in found(prefix, k=50, **options) if match == kind}


# ---- a slow reference ----


def distance(a, b):
    """Optimal string alignment: insertions, deletions, substitutions, adjacent transpositions."""
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    table[:, 0] = np.arange(len(a) + 1)
    table[0] = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(
                table[i - 1, j] + 1,
                table[i, j - 1] + 1,
                table[i - 1, j - 1] + (a[i - 1] != b[j - 1]),
            )
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[-1, -1]


def begins_nearly(text, typed, n_exact):
    if len(typed) <= n_exact or text[:n_exact] != typed[:n_exact]:
        return False
    rest = typed[n_exact:]
    ends = range(n_exact, min(len(text), len(typed) + 1) + 1)
    return any(distance(text[n_exact:end], rest) <= 1 for end in ends)


def is_letter(character):
    return character.isalnum() or character == "_"


def word_starts(text):
    for at in range(1, len(text)):
        before = text[at - 1]
        if before == " ":
            begins = not text[at].isspace()
        elif before in "'\u2019" and at > 1 and is_letter(text[at - 2]):
            begins = False
        else:
            is_mark = unicodedata.category(before)[0] == "M"
            begins = is_letter(text[at]) and not is_letter(before) and not is_mark
        if begins:
            yield at


characters = st.sampled_from("abc\u00e9 -'\U0001f600\u0301\ud83d\0")
texts = st.text(characters, min_size=1, max_size=8)


@examples(300)
@given(
    st.lists(texts, min_size=1, max_size=10, unique=True),
    texts,
    st.integers(0, 3),
    st.integers(1, 12),
    st.data(),
)
def test_matches_are_those_of_the_reference(known, typed, n_exact, k, data):
    known = [f"{text} " for text in known]
    n = len(known)
    popularity = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), "f4")
    prefixes = PrefixIndex([LabelTree.from_clusters([0] * n)], known)
    index = MatchIndex(prefixes, known, popularity)
    drawn = data.draw(st.sets(st.integers(0, n - 1), max_size=3))
    skipped = index.positions(np.array(sorted(drawn), dtype=int))
    begin, end = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    skip = set(prefixes.order[begin:end].tolist()) | drawn

    def expected(matches, left_out):
        labels = [i for i in range(n) if i not in left_out and matches(known[i])]
        return sorted(labels, key=lambda i: (-popularity[i], i))[:k]

    ranges = np.array([[begin, end], [0, begin], [min(end, n - 1), n]])
    inside = [i for i in range(n) if not (end <= index.positions([i])[0] < min(end, n - 1))]
    popular = index.most_popular(ranges, k, skipped)
    assert popular.tolist() == expected(lambda text: known.index(text) in inside, drawn)
    options = {"n_exact": n_exact}
    nearly = index.with_typing_error(typed, k, (begin, end), skipped, **options)
    assert nearly.tolist() == expected(lambda text: begins_nearly(text, typed, n_exact), skip)
    words = index.with_word(typed, k, (begin, end), skipped)
    assert words.tolist() == expected(
        lambda text: any(text[at:].startswith(typed) for at in word_starts(text)), skip
    )
    words = index.with_word(typed, k, (begin, end), skipped, max_errors=1, **options)
    assert words.tolist() == expected(
        lambda text: any(begins_nearly(text[at:], typed, n_exact) for at in word_starts(text)), skip
    )
    at = prefixes.order[begin:end].tolist()
    for left_out in (NONE, skipped):
        counted = [i for i in at if prefixes.positions[i] not in left_out]
        assert_allclose(
            index.popularity_in(np.array([[begin, end]]), left_out),
            popularity[counted].sum(),
            atol=1e-12,
        )


def test_many_texts_match_as_in_the_reference():
    rng = np.random.default_rng(0)
    known = sorted(
        {"".join(rng.choice(list("abcd -"), rng.integers(1, 9))).strip() for _ in range(3000)}
    )
    known = [f"{text} " for text in known if text]
    popularity = rng.integers(0, 50, len(known)).astype("f4")
    prefixes = PrefixIndex([LabelTree.from_clusters([0] * len(known))], known)
    index = MatchIndex(prefixes, known, popularity)
    for typed in ("a", "abc", "ab c", "dcba", "aa-b", "abcd "):
        labels = [i for i, text in enumerate(known) if begins_nearly(text, typed, 1)]
        labels.sort(key=lambda i: (-popularity[i], i))
        nearly = index.with_typing_error(typed, 40, (0, 0), NONE, n_exact=1)
        assert nearly.tolist() == labels[:40]


# ---- kinds of matches ----


def test_exact_prefixes_come_first_then_words_then_errors():
    kinds = [match for _, match in found("music", previous="health", k=50)]
    assert kinds == sorted(kinds, key=["prefix", "word", "typing error"].index)
    assert of_kind("prefix", "music") == {"music", "music festivals", "music therapy"}
    assert of_kind("word", "music") == {"organ music", "church music"}
    assert of_kind("word", "therapy") == {"music therapy", "hormone therapy"}
    assert of_kind("prefix", "therapy") == {"therapy dogs"}
    assert of_kind("word", "music th") == set()
    assert of_kind("word", "climbing") == {"rock-climbing"}
    assert of_kind("word", "s") == set()  # of children's
    assert of_kind("word", "usic") == set()


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("musci", "music"),  # exchanged
        ("organnist", "organists"),  # superfluous
        ("orgnist", "organists"),  # missing
        ("orgamist", "organists"),  # wrong
        ("churchmusic", "church music"),
        ("church  musik", "church music"),
        ("hormome therapy", "hormone therapy"),
        ("childrens", "children's choirs"),
        ("MUSCI", "music"),
    ],
)
def test_one_typing_error(typed, query):
    for previous in ("", "church", "unheard of"):
        assert query in of_kind("typing error", typed, previous=previous)


def test_errors_in_later_words():
    assert of_kind("typing error", "terapy") >= {"music therapy", "hormone therapy", "therapy dogs"}
    only_prefixes = clone(COMPLETER).set_params(match="prefix").fit([("", "a")], ["music therapy"])
    assert found("terapy", completer=only_prefixes) == []
    assert found("musictherapy", completer=only_prefixes) == [("music therapy", "typing error")]


def test_where_errors_are_corrected():
    copy = pickle.loads(pickle.dumps(COMPLETER))
    assert found("nusic") == []
    assert found("mu", previous="health")[-1][1] != "typing error"
    assert found("ogran", completer=copy.set_params(exact_prefix_length=2)) == []
    assert found("organt", completer=copy)[0] == ("organists", "typing error")
    assert "music" in of_kind(
        "typing error", "nusic", completer=copy.set_params(exact_prefix_length=0)
    )
    assert of_kind("typing error", "mx ", completer=copy) == set()
    assert of_kind("typing error", "mx", completer=copy.set_params(min_typing_length=2))
    assert found("musci", completer=copy.set_params(max_typing_errors=0)) == []
    assert of_kind("word", "therapy", completer=copy) != set()
    assert of_kind("word", "therapy", completer=copy.set_params(match="prefix")) == set()


def test_no_query_is_suggested_twice_and_k_is_kept():
    for prefix in ("", "o", "org", "music", "therapy", "muscic", "organ ", "church music"):
        for previous in ("", "church", "health"):
            everything = COMPLETER.complete(prefix, previous=previous, k=50)
            queries = [query for query, _ in everything]
            assert len(set(queries)) == len(queries)
            for k in (1, 2, 5):
                assert COMPLETER.complete(prefix, previous=previous, k=k)[0] == everything[0]
                assert len(COMPLETER.complete(prefix, previous=previous, k=k)) == min(
                    k, len(queries)
                )
            scores = [each.score for each in everything]
            assert scores == sorted(scores, reverse=True)


def test_excluded_queries_are_of_no_kind():
    for prefix in ("music", "therapy", "terapy"):
        for previous in ("", "health"):
            queries = {"music", "music therapy", "Hormone Therapy", "unknown"}
            suggested = dict(found(prefix, previous=previous, k=50, exclude=queries))
            everything = dict(found(prefix, previous=previous, k=50))
            left_out = {"music", "music therapy", "hormone therapy"}
            assert suggested == {q: kind for q, kind in everything.items() if q not in left_out}


def test_rank_predict_and_score_suggest_the_same():
    X = [("health", "therapy"), ("", "musci"), ("church", "x"), ("unheard of", "or")]
    ranking = COMPLETER.rank(X, 7)
    for i, (previous, prefix) in enumerate(X):
        suggested = COMPLETER.complete(prefix, previous=previous, k=7)
        assert ranking.names[i] == [query for query, _ in suggested]
        assert_allclose(
            ranking.scores[i, : len(suggested)], [score for _, score in suggested], 1e-5
        )
    assert COMPLETER.predict(X)[1] == "music"
    assert COMPLETER.score([("", "musci")], ["music"]) == 1


def test_a_completion_is_a_pair():
    completion = Completion("music", 0.5, "word")
    query, score = completion
    assert (query, score) == ("music", 0.5) == completion
    assert (completion.query, completion.score, completion.match) == ("music", 0.5, "word")
    assert repr(completion) == "Completion(query='music', score=0.5, match='word')"
    copy = pickle.loads(pickle.dumps(completion))
    assert (copy, copy.match) == (completion, "word")
    assert {type(each) for each in COMPLETER.complete("m")} == {Completion}


# ---- blanks and case ----


def test_blanks_and_case_of_a_prefix():
    for typed in ("organ m", "  organ m", "organ   m", "ORGAN M", "Organ\tm"):
        assert found(typed, previous="church") == found("organ m", previous="church")
    assert of_kind("prefix", "organ") == {"organ music", "organ donation", "organists"}
    assert of_kind("prefix", "organ ") == {"organ music", "organ donation"}
    assert of_kind("word", "music ") == {"organ music", "church music"}
    for previous in ("", "health"):
        finished = COMPLETER.complete("music ", previous=previous)
        prefixes = [
            query for query, match in found("music ", previous=previous) if match == "prefix"
        ]
        assert set(prefixes[:2]) == {"music therapy", "music festivals"}
        assert prefixes[2] == "music"  # another word is more likely after a blank
        assert 0 < finished[2].score < finished[1].score
        assert len(found("music ", previous=previous, k=2)) == 2
        assert "music" not in dict(found("music ", previous=previous, exclude=["music"]))
    assert of_kind("prefix", "organists ") == {"organists"}
    assert found(" \t") == found("") != []
    assert found("")[0] == ("music", "prefix")  # the most popular one
    assert [query for query, _ in found("", previous="church", k=5)] != [
        query for query, _ in found("", k=5)
    ]


# ---- popularity ----


def most_popular(completer, prefix, k):
    order = np.argsort(-completer.popularity_, kind="stable")
    queries = completer.classes_[order].tolist()
    return [query for query in queries if f"{query} ".lower().startswith(prefix.lower())][:k]


def test_popularity_ranks_without_a_previous_query():
    for weight in (0.1, 0.5, 1.0, 1):
        completer = fitted(popularity_weight=weight)
        for prefix in ("", "m", "org", "music t"):
            for previous in ("", "  ", "unheard of"):
                suggested = completer.complete(prefix, previous=previous, k=3)
                queries = [each.query for each in suggested if each.match == "prefix"]
                assert queries == most_popular(completer, prefix, 3)
                for query, score in suggested[: len(queries)]:
                    label = completer.classes_.tolist().index(query)
                    assert score == completer.popularity_[label]


def test_the_weight_moves_the_ranking_from_the_classifier_to_popularity():
    completer = fitted(match="prefix", max_typing_errors=0)
    ranked = {}
    for weight in (0, 0.5, 1):
        completer.set_params(popularity_weight=weight)
        ranked[weight] = [query for query, _ in completer.complete("", previous="church", k=20)]
    classifier = completer.classifier_
    features = completer._features.row("church", "")
    by_classifier = classifier.rank(features, 20)
    labels = by_classifier.labels[by_classifier.labels >= 0]
    assert ranked[0] == completer.classes_[labels].tolist()
    assert ranked[1] == most_popular(completer, "", 20)
    assert ranked[0.5][0] in FOLLOWS["church"]
    assert ranked[0.5].index("music") < ranked[0].index("music")


@pytest.mark.parametrize("post_processor", ["sigmoid", "log-sigmoid", "noop", "log-l3-hinge"])
def test_scores_of_any_post_processor_are_mixed(post_processor):
    completer = fitted(classifier=XRLinearClassifier(post_processor=post_processor))
    suggested = completer.complete("o", previous="church", k=20)
    assert suggested[0].query in FOLLOWS["church"]
    scores = [each.score for each in suggested if each.match == "prefix"]
    assert all(0 <= score <= 1 for score in scores)
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    completer.set_params(popularity_weight=0)
    for prefix in ("music", "o", "therapy", "organ "):
        scores = [score for _, score in completer.complete(prefix, previous="church", k=20)]
        assert scores == sorted(scores, reverse=True)


@examples(20)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.2, 0.5, 1.0]))
def test_a_ranking_is_the_beginning_of_a_longer_one(k, longer, weight):
    k, longer = sorted((k, longer))
    queries = [f"{a}{b} {c}" for a in "abcd" for b in "xyz" for c in ("one", "two")]
    pairs = [(queries[i % 7], query) for i, query in enumerate(queries * 2)]
    completer = MANY.setdefault("completer", fitted(pairs)).set_params(popularity_weight=weight)
    for prefix, previous in (("a", queries[1]), ("", queries[2]), ("on", queries[0])):
        short = completer.complete(prefix, previous=previous, k=k)
        assert short == completer.complete(prefix, previous=previous, k=longer)[:k]


MANY = {}


def test_shares_are_those_among_the_queries_that_are_not_excluded():
    pairs = [("fish", "cat food")] * 500 + [("dog", "cat food")] * 400
    pairs += [("dog", "cat toys")] * 60 + [("fish", "cat bed")] * 20 + [("dog", "cat nap")] * 20
    X = [(previous, "cat") for previous, _ in pairs]
    completer = SessionQueryCompleter(popularity_weight=0.8, random_state=0)
    completer.fit(X, [query for _, query in pairs])
    suggested = completer.complete("cat", previous="fish", exclude=["cat food"])
    # After "fish", the classifier ranks "cat bed" alone.
    expected = [("cat toys", 0.8 * 0.6), ("cat bed", 0.8 * 0.2 + 0.2), ("cat nap", 0.8 * 0.2)]
    assert [query for query, _ in suggested] == [query for query, _ in expected]
    assert_allclose([score for _, score in suggested], [score for _, score in expected], rtol=0.02)


@examples(30)
@given(
    st.sets(st.sampled_from(sorted({query for _, query in PAIRS}))),
    st.sampled_from([0.2, 0.5, 1.0]),
)
def test_shares_of_queries_that_are_left_have_the_sum_one(excluded, weight):
    completer = MANY.setdefault("all", fitted(match="prefix", max_typing_errors=0))
    completer.set_params(popularity_weight=weight)
    for prefix in ("", "m", "o"):
        suggested = completer.complete(prefix, previous="church", k=50, exclude=excluded or None)
        if suggested:
            assert sum(score for _, score in suggested) == pytest.approx(1, abs=1e-5)


def test_weights_of_rows_are_popularity():
    X = [("", "m")] * 3
    completer = SessionQueryCompleter(random_state=0).fit(X, ["music", "mice", "moss"], [1, 5, 3])
    assert found("m", completer=completer) == [
        ("mice", "prefix"),
        ("moss", "prefix"),
        ("music", "prefix"),
    ]


def test_auto_chooses_on_held_out_rows():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(300):  # the next query depends on the previous one
        i = rng.integers(8)
        pairs.append((f"topic {i}", f"answer {(i + 1) % 8} {rng.integers(3)}"))
    completer = fitted(pairs, popularity_weight="auto")
    assert completer.popularity_weight_ < 1
    again = fitted(pairs, popularity_weight="auto")
    assert again.popularity_weight_ == completer.popularity_weight_
    fixed = fitted(pairs, popularity_weight=completer.popularity_weight_)
    for a, b in zip(
        fixed.rank([("topic 1", "a")]), completer.rank([("topic 1", "a")]), strict=True
    ):
        assert_array_equal(a, b)
    assert fixed.popularity_weight_ is None
    fixed.set_params(popularity_weight="auto")
    with pytest.raises(ValueError, match="popularity_weight='auto' was set after fit"):
        fixed.complete("a")
    assert fixed.fit([("", "a")], ["art"]).popularity_weight_ == 0.2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("last", [["cat", "cow"] * 5, [" "] * 10])
def test_auto_is_the_default_if_rows_to_train_on_have_no_weight(seed, last):
    X, y = [("dog", "c")] * 20, ["cat", "cow"] * 5 + last
    completer = SessionQueryCompleter(popularity_weight="auto", random_state=seed)
    completer.fit(X, y, np.repeat([1.0, 0.0], 10))
    assert completer.popularity_weight_ == 0.2
    assert_allclose(completer.popularity_, 0.5)


# ---- saved ----


@pytest.mark.parametrize("mmap", [False, True])
def test_a_saved_completer_suggests_the_same(tmp_path, mmap):
    params = {"match": "prefix", "max_typing_errors": 0, "min_typing_length": 4}
    for completer in (COMPLETER, fitted(popularity_weight="auto"), fitted(**params)):
        completer.save(tmp_path / "completer")
        loaded = skxmr.load(tmp_path / "completer", mmap=mmap)
        assert loaded.popularity_weight_ == completer.popularity_weight_
        for prefix in ("", "music", "therapy", "terapy", "organ "):
            for previous in ("", "health"):
                expected = completer.complete(prefix, previous=previous)
                assert loaded.complete(prefix, previous=previous) == expected
                assert found(prefix, previous=previous, completer=loaded) == found(
                    prefix, previous=previous, completer=completer
                )
        loaded.set_params(match="words", max_typing_errors=1, min_typing_length=3)
        assert ("music therapy", "typing error") in found("terapy", completer=loaded)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"match": "infix"}, ValueError, "match must be one of 'prefix', 'words', got 'infix'"),
        ({"match": True}, ValueError, "match must be one of"),
        ({"max_typing_errors": 2}, ValueError, "max_typing_errors must be at most 1, got 2"),
        ({"max_typing_errors": -1}, ValueError, "max_typing_errors must be at least 0"),
        ({"max_typing_errors": True}, TypeError, "max_typing_errors must be an integer"),
        ({"min_typing_length": 0}, ValueError, "min_typing_length must be at least 1"),
        ({"exact_prefix_length": -1}, ValueError, "exact_prefix_length must be at least 0"),
        ({"exact_prefix_length": 1.5}, TypeError, "exact_prefix_length must be an integer"),
        ({"popularity_weight": 1.1}, ValueError, "popularity_weight must be at most 1"),
        (
            {"popularity_weight": -0.1},
            ValueError,
            "popularity_weight must be finite and at least 0",
        ),
        ({"popularity_weight": np.nan}, ValueError, "popularity_weight must be finite"),
        ({"popularity_weight": "some"}, ValueError, "from 0 to 1, or 'auto', got 'some'"),
        ({"popularity_weight": None}, TypeError, "popularity_weight must be a number"),
    ],
)
def test_wrong_parameters_are_named(params, error, match):
    with pytest.raises(error, match=match):
        SessionQueryCompleter(**params).fit([("", "a")], ["art"])
    completer = pickle.loads(pickle.dumps(COMPLETER)).set_params(**params)
    for call in (lambda: completer.complete("a"), lambda: completer.rank([("", "a")])):
        with pytest.raises(error, match=match):
            call()


def test_a_word_with_a_misspelled_parameter():
    with pytest.raises(TypeError, match="max_typing_error"):
        SessionQueryCompleter(max_typing_error=1)


def test_queries_of_one_character_and_long_ones():
    completer = fitted([("", "a"), ("", "b"), ("", "x " + "ab " * 400 + "tail")])
    assert found("tail", completer=completer) == []  # beyond the first 1000 characters
    assert of_kind("word", "ab ab", completer=completer) == {"x " + "ab " * 400 + "tail"}
    assert found("x" * 10_000, completer=completer) == []
