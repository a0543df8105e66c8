"""NGramTfidfVectorizer beside scikit-learn's vectorizers and a slow one of its own."""

import itertools
import math
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from datasets import catalogue_sample
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import Normalizer
from strategies import examples

from skxmr._core import Learner, NGramWeights
from skxmr._core._library import ffi, lib
from skxmr.text import NGramTfidfVectorizer

TEXTS = [
    "Echo with screen",
    "",
    "the THE the echo a I x2 foo_bar 'quoted' don't",
    "  spaces\t\tand \n lines\u00a0\u2003too\x1c",
    "Ünïcödé  ΣΊΣΥΦΟΣ Straße İstanbul ﬁne ™ ㏀",
    "e\u0301 combining, कमल हासन, \U0001f600\U0001f468\u200d\U0001f469 emoji",
    "漢字かな交じり文 12٣٤ ² ½",
    "nul\x00byte \ud800 lone \udfff surrogates",
    "aaaa aaaa aa a",
]

SKLEARN = {1: r"(?u)\b\w+\b", 2: r"(?u)\b\w\w+\b", 3: r"(?u)\b\w{3,}\b"}


def theirs(min_token_length=2, analyzer="word", **params):
    token_pattern = SKLEARN[min_token_length] if analyzer == "word" else None
    return TfidfVectorizer(analyzer=analyzer, token_pattern=token_pattern, **params)


def assert_equal_matrices(found, expected):
    expected = sp.csr_matrix(expected)
    expected.sort_indices()
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert_array_equal(found.indptr, expected.indptr)
    assert_array_equal(found.indices, expected.indices)
    assert_allclose(found.data, expected.data, rtol=1e-6, atol=1e-6)


def assert_like_sklearn(params, texts, new=TEXTS):
    """That both agree on everything, or both refuse."""
    ours, other = NGramTfidfVectorizer(**params), theirs(**params)
    try:
        expected = other.fit_transform(texts)
    except ValueError:
        with pytest.raises(ValueError, match=r"vocabulary|max_df|no n-gram"):
            ours.fit_transform(texts)
        return
    assert_equal_matrices(ours.fit_transform(texts), expected)
    assert ours.get_feature_names_out().tolist() == other.get_feature_names_out().tolist()
    assert ours.vocabulary_ == other.vocabulary_
    if ours.use_idf:
        assert_allclose(ours.idf_, other.idf_, rtol=1e-12)
    assert_equal_matrices(ours.transform(new), other.transform(new))


# ---- equal to scikit-learn ----

RANGES = [(1, 1), (1, 2), (2, 3), (3, 3), (1, 7)]


@pytest.mark.parametrize("ngram_range", RANGES, ids=str)
@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb"])
@pytest.mark.parametrize("strip_accents", [None, "unicode", "ascii"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_every_analyzer_is_scikit_learns(analyzer, ngram_range, strip_accents, lowercase):
    params = {"strip_accents": strip_accents, "lowercase": lowercase}
    assert_like_sklearn(dict(analyzer=analyzer, ngram_range=ngram_range, **params), TEXTS)


@pytest.mark.parametrize("min_token_length", [1, 2, 3])
@pytest.mark.parametrize("ngram_range", RANGES, ids=str)
def test_length_of_words(min_token_length, ngram_range):
    params = {"ngram_range": ngram_range, "min_token_length": min_token_length}
    assert_like_sklearn(params, TEXTS)


@pytest.mark.parametrize("norm", ["l1", "l2", None])
@pytest.mark.parametrize("sublinear_tf", [True, False])
@pytest.mark.parametrize(("use_idf", "smooth_idf"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
def test_weights(analyzer, norm, sublinear_tf, use_idf, smooth_idf):
    weights = {
        "norm": norm,
        "sublinear_tf": sublinear_tf,
        "use_idf": use_idf,
        "smooth_idf": smooth_idf,
    }
    assert_like_sklearn(dict(analyzer=analyzer, ngram_range=(1, 2), **weights), TEXTS)


@pytest.mark.parametrize("min_df", [1, 2, 3, 0.0, 0.2, 0.3, 1.0, 40])
@pytest.mark.parametrize("max_df", [1, 3, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("max_features", [None, 1, 7, 10_000])
def test_which_ngrams_are_kept(min_df, max_df, max_features):
    limits = {"min_df": min_df, "max_df": max_df, "max_features": max_features}
    assert_like_sklearn(dict(analyzer="char", ngram_range=(1, 2), **limits), TEXTS)


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb"])
@pytest.mark.parametrize("sublinear_tf", [True, False])
@pytest.mark.parametrize("max_features", [None, 5])
def test_binary_counts(analyzer, sublinear_tf, max_features):
    options = {"binary": True, "sublinear_tf": sublinear_tf, "max_features": max_features}
    assert_like_sklearn(dict(analyzer=analyzer, ngram_range=(1, 2), **options), TEXTS)


STOP_WORDS = [
    ["the", "echo", "σίσυφος", "straße", "not there", "", "x" * 40],
    ["THE"],
    [],
    "english",
]


@pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent")  # scikit-learn's
@pytest.mark.parametrize("stop_words", STOP_WORDS, ids=str)
@pytest.mark.parametrize("ngram_range", RANGES, ids=str)
@pytest.mark.parametrize("min_token_length", [1, 2, 3])
def test_stop_words(stop_words, ngram_range, min_token_length):
    params = {"ngram_range": ngram_range, "min_token_length": min_token_length}
    assert_like_sklearn({"stop_words": stop_words, **params}, [*TEXTS, "x" * 40, "x" * 41])


def test_stop_words_are_for_words_beside_others():
    texts = ["the echo", "the dot"]
    both = NGramTfidfVectorizer(["word", "char_wb"], [(1, 1), (3, 3)], stop_words="english")
    both = pickle.loads(pickle.dumps(both.fit(texts)))
    names = both.get_feature_names_out().tolist()
    assert names[:3] == ["word__dot", "word__echo", "char_wb__ do"]
    assert "char_wb__the" in names
    assert both.transform(["the"])[:, both.output_indices_["word"]].nnz == 0


any_text = st.one_of(
    st.text(st.characters(codec=None), max_size=30),
    st.text("ab Z_\t\u00e9\u0301\u03a3\U0001f600", max_size=40),
    st.lists(st.sampled_from(["echo", "Dot", "x", "with", "ΑΣ", "é"]), max_size=8).map(" ".join),
)


@pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent")
@given(data=st.data())
@examples(300)
def test_any_text_and_any_options(data):
    low = data.draw(st.integers(1, 4))
    params = {
        "analyzer": data.draw(st.sampled_from(["word", "char", "char_wb"])),
        "ngram_range": (low, low + data.draw(st.integers(0, 3))),
        "lowercase": data.draw(st.booleans()),
        "strip_accents": data.draw(st.sampled_from([None, "ascii", "unicode"])),
        "min_df": data.draw(st.sampled_from([1, 2, 0.4])),
        "max_features": data.draw(st.sampled_from([None, 5])),
        "norm": data.draw(st.sampled_from(["l1", "l2", None])),
        "sublinear_tf": data.draw(st.booleans()),
        "min_token_length": data.draw(st.sampled_from([1, 2, 3])),
        "binary": data.draw(st.booleans()),
    }
    if params["analyzer"] == "word":
        params["stop_words"] = data.draw(
            st.none() | st.lists(st.sampled_from(["echo", "with", "ab", "é"]))
        )
    texts = st.lists(any_text, min_size=1, max_size=6)
    assert_like_sklearn(params, data.draw(texts), data.draw(texts))


@pytest.mark.slow
def test_all_characters_are_of_the_kind_that_regular_expressions_say():
    characters = [chr(i) for i in range(0x110000)]
    lines = ["".join(characters[lo : lo + 997]) for lo in range(0, len(characters), 997)]
    for analyzer in ("word", "char_wb"):
        params = {
            "analyzer": analyzer,
            "ngram_range": (1, 1),
            "lowercase": False,
            "min_token_length": 1,
        }
        assert_like_sklearn(params, lines, lines[::50])


# ---- real titles ----


@pytest.fixture(scope="module")
def titles():
    return catalogue_sample().text_train


REAL = {
    "word": {"analyzer": "word", "ngram_range": (1, 2), "min_df": 2, "sublinear_tf": True},
    "char": {
        "analyzer": "char",
        "ngram_range": (3, 3),
        "max_features": 5000,
        "strip_accents": "unicode",
    },
    "char_wb": {"analyzer": "char_wb", "ngram_range": (1, 3), "min_df": 3, "max_df": 0.5},
}


def test_some_real_titles(titles):
    assert_like_sklearn(REAL["word"], titles[::6], titles[3::50])


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_titles(titles, name):
    assert_like_sklearn(REAL[name], titles, titles[::7])


def union(analyzers, ranges, **params):
    """A FeatureUnion of scikit-learn's vectorizers."""
    pairs = zip(analyzers, ranges, strict=True)
    return FeatureUnion([(a, theirs(analyzer=a, ngram_range=r, **params)) for a, r in pairs])


@pytest.mark.slow
def test_real_titles_side_by_side(titles):
    analyzers, ranges = ["word", "char_wb"], [(1, 1), (3, 3)]
    both = union(analyzers, ranges, min_df=3)
    expected = both.fit_transform(titles)
    ours = NGramTfidfVectorizer(analyzers, ranges, min_df=3, block_norm="l2", norm=None)
    assert_equal_matrices(ours.fit_transform(titles), expected)
    assert_array_equal(ours.get_feature_names_out(), both.get_feature_names_out())
    assert_equal_matrices(ours.transform(titles[:500]), both.transform(titles[:500]))


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("block_norm", ["l1", "l2", None])
@pytest.mark.parametrize("max_features", [None, 20])
def test_blocks_are_a_feature_union(block_norm, norm, max_features):
    analyzers, ranges = ["char_wb", "word", "char"], [(2, 3), (1, 2), (1, 1)]
    parts = union(analyzers, ranges, norm=block_norm, max_features=max_features)
    other = make_pipeline(parts, Normalizer(norm))
    expected = other.fit_transform(TEXTS)
    ours = NGramTfidfVectorizer(
        analyzers, ranges, block_norm=block_norm, norm=norm, max_features=max_features
    )
    assert_equal_matrices(ours.fit_transform(TEXTS), expected)
    assert_equal_matrices(ours.transform(TEXTS[::-1]), other.transform(TEXTS[::-1]))
    assert_array_equal(ours.get_feature_names_out(), parts.get_feature_names_out())
    names = ours.get_feature_names_out()
    for analyzer, where in ours.output_indices_.items():
        assert all(name.startswith(f"{analyzer}__") for name in names[where])


# ---- what scikit-learn does not have: a slow reference ----


def ngrams_of(text, analyzer, low, high, mark):
    """The n-grams of each n in their order."""
    if analyzer == "word":
        words = theirs().build_tokenizer()(text)
        groups, joined = [words], " ".join
    elif analyzer == "char":
        groups, joined = [theirs(analyzer="char")._white_spaces.sub(" ", text)], str
    elif analyzer == "char_wb":
        groups, joined = [f" {word} " for word in text.split()], str
    else:
        groups, joined = [word + mark for word in text.split()], str
    short = analyzer in ("char_wb", "char_end")
    for n in range(low, high + 1):
        found = []
        for units in groups:
            found += [joined(units[i : i + n]) for i in range(len(units) - n + 1)]
            found += [units] if short and len(units) < n == low else []
        yield found


def reference(texts, analyzer, ngram_range, *, mark="#", position_weighted=False, lead=(1.0, 0)):
    """L2-normalized tf-idf of lower-cased texts: names and a dense matrix."""
    rows = []
    for text in texts:
        row = Counter()
        for found in ngrams_of(text.lower(), analyzer, *ngram_range, mark):
            for position, name in enumerate(found):
                weight = lead[0] if position < lead[1] else 1
                row[name] += weight / (1 + position) if position_weighted else weight
        rows.append(row)
    names = sorted(set().union(*rows))
    df = [sum(name in row for row in rows) for name in names]
    idf = [math.log((1 + len(texts)) / (1 + d)) + 1 for d in df]
    X = np.array([[row[name] * w for name, w in zip(names, idf, strict=True)] for row in rows])
    norms = np.sqrt((X * X).sum(axis=1, keepdims=True))
    return names, X / np.where(norms > 0, norms, 1)


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb", "char_end"])
@pytest.mark.parametrize("ngram_range", RANGES, ids=str)
@pytest.mark.parametrize("position_weighted", [True, False])
@pytest.mark.parametrize("mark", ["#", " ", "\U0001f3c1"])
def test_marks_and_positions(analyzer, ngram_range, position_weighted, mark):
    names, expected = reference(
        TEXTS, analyzer, ngram_range, mark=mark, position_weighted=position_weighted
    )
    ours = NGramTfidfVectorizer(
        analyzer, ngram_range, end_mark=mark, position_weighted=position_weighted
    )
    assert_equal_matrices(ours.fit_transform(TEXTS), expected)
    assert ours.get_feature_names_out().tolist() == names
    assert_equal_matrices(ours.transform(TEXTS), expected)


@given(
    texts=st.lists(any_text, min_size=1, max_size=5),
    analyzer=st.sampled_from(["word", "char", "char_wb", "char_end"]),
    low=st.integers(1, 3),
    more=st.integers(0, 3),
    position_weighted=st.booleans(),
)
@examples(200)
def test_marks_and_positions_of_any_text(texts, analyzer, low, more, position_weighted):
    limits = low, low + more
    names, expected = reference(texts, analyzer, limits, position_weighted=position_weighted)
    ours = NGramTfidfVectorizer(analyzer, limits, position_weighted=position_weighted)
    if not names:
        with pytest.raises(ValueError, match="empty vocabulary"):
            ours.fit(texts)
        return
    assert_equal_matrices(ours.fit_transform(texts), expected)
    assert ours.get_feature_names_out().tolist() == names


def test_trigrams_with_a_mark():
    ours = NGramTfidfVectorizer("char_end", (3, 3), lowercase=False).fit(["Echo with screen of a"])
    expected = "Ech cho ho# wit ith th# scr cre ree een en# of# a#".split()
    assert sorted(ours.vocabulary_) == sorted(expected)


def test_position_weights_by_hand():
    options = {"position_weighted": True, "use_idf": False, "norm": None}
    X = NGramTfidfVectorizer("word", (1, 2), **options).fit_transform(["to be or to be"])
    names = ["be", "be or", "or", "or to", "to", "to be"]
    weights = [1 / 2 + 1 / 5, 1 / 2, 1 / 3, 1 / 3, 1 + 1 / 4, 1 + 1 / 4]
    ours = NGramTfidfVectorizer("word", (1, 2), **options).fit(["to be or to be"])
    assert ours.get_feature_names_out().tolist() == names
    assert_allclose(X.toarray()[0], weights, rtol=1e-6)


@pytest.mark.parametrize("analyzer", ["word", "char", "char_wb", "char_end"])
@pytest.mark.parametrize("position_weighted", [True, False])
@pytest.mark.parametrize("lead", [(2.5, 1), (3.0, 4), (7.0, 10**9)])
def test_ngrams_of_the_lead_count_more(analyzer, position_weighted, lead):
    options = {"position_weighted": position_weighted, "lead": lead}
    names, expected = reference(TEXTS, analyzer, (1, 3), **options)
    weight, length = lead
    ours = NGramTfidfVectorizer(
        analyzer,
        (1, 3),
        position_weighted=position_weighted,
        lead_weight=weight,
        lead_length=length,
        min_token_length=2,
    )
    assert_equal_matrices(ours.fit_transform(TEXTS), expected)
    assert ours.get_feature_names_out().tolist() == names
    assert_equal_matrices(ours.transform(TEXTS), expected)
    indices, values = ours.transform_one(TEXTS[2])
    assert_allclose(values, expected[2][indices], rtol=1e-5)


def test_lead_by_hand():
    options = {"use_idf": False, "norm": None, "lead_weight": 4, "lead_length": 2}
    text = ["to be or to be"]
    assert_allclose(NGramTfidfVectorizer(**options).fit_transform(text).toarray(), [[5, 1, 5]])
    logs = NGramTfidfVectorizer(sublinear_tf=True, **options).fit_transform(text).toarray()
    assert_allclose(logs, [[1 + math.log(5), 1, 1 + math.log(5)]], rtol=1e-6)
    once = NGramTfidfVectorizer(binary=True, **options).fit_transform(text).toarray()
    assert_allclose(once, [[4, 1, 4]])


# ---- an estimator like others ----

BOTH = {
    "analyzer": ["word", "char_end"],
    "ngram_range": [(1, 2), (1, 3)],
    "position_weighted": True,
}


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_number_of_jobs_and_of_texts_changes_nothing(titles, n_jobs):
    texts = titles[:20_000]
    ours = NGramTfidfVectorizer(**BOTH, n_jobs=n_jobs)
    X = ours.fit_transform(texts)
    Z = ours.transform(texts)
    rows = sp.vstack([ours.transform([text]) for text in texts[:200]])
    for name in ("indptr", "indices", "data"):
        assert_array_equal(getattr(Z, name), getattr(X, name))
        assert_array_equal(getattr(rows, name), getattr(X[:200], name))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_other_backends(titles, backend):
    texts = titles[:20_000]
    ours = NGramTfidfVectorizer(min_df=2, n_jobs=2).fit(texts)
    expected = ours.transform(texts)
    with joblib.parallel_config(backend):
        assert (ours.transform(texts) != expected).nnz == 0


@pytest.mark.slow
def test_long_texts_and_many_ngrams():
    rng = np.random.default_rng(0)
    texts = ["".join(chr(97 + c) for c in rng.integers(0, 26, size)) for size in (9000, 1, 20_000)]
    assert_like_sklearn({"analyzer": "char", "ngram_range": (1, 8)}, texts, texts)
    texts += [" ".join(map(str, range(lo, 40_000))) for lo in (0, 20_000)] + ["long" * 20_000]
    assert_like_sklearn({"analyzer": "word", "ngram_range": (1, 2)}, texts, texts)


LONG_OPTIONS = [
    {},
    {"binary": True},
    {"sublinear_tf": True, "ngram_range": (1, 2)},
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char_wb", "ngram_range": (2, 3), "max_features": 500},
    {"norm": None, "use_idf": False, "min_df": 2},
]


@pytest.fixture(scope="module")
def long_and_short():
    """Texts of up to 600,000 characters among short ones."""
    rng = np.random.default_rng(0)
    words = [f"{word}\u00e9{word}" for word in range(4000)]
    texts = [" ".join(rng.choice(words[: n // 10 + 2], n)) for n in (60_000, 3, 9000, 20_000, 5)]
    return [*texts, *TEXTS, texts[2]]


@pytest.mark.parametrize("params", slow_except(LONG_OPTIONS[:1], LONG_OPTIONS), ids=str)
def test_long_texts_among_short_ones(long_and_short, params):
    expected = theirs(**params).fit(long_and_short)
    ours = NGramTfidfVectorizer(**params)
    assert_equal_matrices(ours.fit_transform(long_and_short), expected.transform(long_and_short))
    assert_equal_matrices(ours.transform(long_and_short), expected.transform(long_and_short))
    assert_equal_matrices(
        ours.transform(long_and_short[::-1]), expected.transform(long_and_short[::-1])
    )


@pytest.mark.parametrize("position_weighted", [True, False])
def test_long_texts_of_several_blocks(long_and_short, position_weighted):
    """What is learned and weighed is what is looked up, to the bit, whichever way it is counted."""
    blocks = ["word", "char_end", "char"], [(1, 2), (3, 3), (1, 2)]
    ours = NGramTfidfVectorizer(*blocks, position_weighted=position_weighted, block_norm="l2")
    learned = ours.fit_transform(long_and_short)
    found = ours.transform(long_and_short)
    for part in ("indptr", "indices", "data"):
        assert_array_equal(getattr(found, part), getattr(learned, part))
    for i in (0, 1, 2, 6):
        assert_array_equal(ours.transform_one(long_and_short[i])[1], found[[i]].data)


PEAK = """
import resource, sys
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from skxmr.text import NGramTfidfVectorizer

vectorizer, analyzer, n, call = sys.argv[1:]
ngram_range = (1, 1) if analyzer == "word" else (1, 3)
vectorizer = globals()[vectorizer](analyzer=analyzer, ngram_range=ngram_range)
numbers = np.random.default_rng(0).integers(0, int(n), 300_000).tolist()
texts = [" ".join(map("{:x}".format, numbers))]
vectorizer.fit([texts[0][:200_000]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
getattr(vectorizer, call)(texts)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is measured in KiB on Linux")
@pytest.mark.parametrize(
    ("analyzer", "n_words"),
    [
        ("word", 1000),
        pytest.param("word", 2**28, marks=pytest.mark.slow),
        pytest.param("char", 2**16, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("call", slow_except(["fit_transform"], ["fit_transform", "transform"]))
@pytest.mark.slow
def test_one_long_text_takes_no_more_memory_than_in_scikit_learn(analyzer, n_words, call, tmp_path):
    peaks = []
    for vectorizer in ("NGramTfidfVectorizer", "TfidfVectorizer"):
        command = [sys.executable, "-c", PEAK, vectorizer, analyzer, str(n_words), call]
        options = {"capture_output": True, "text": True, "cwd": tmp_path, "timeout": 300}
        peaks.append(int(subprocess.run(command, check=True, **options).stdout))
    ours, others = peaks
    assert ours <= others


def test_many_marks_are_stripped_as_by_scikit_learn():
    texts = ["e" + "\u0301\u0323" * 3000 + "x", "\u1ec7" * 5000, "a" * 1023 + "\u00e9\u0301 b"]
    for strip_accents in ("unicode", "ascii"):
        options = {"analyzer": "char", "strip_accents": strip_accents}
        found = NGramTfidfVectorizer(**options).fit_transform(texts)
        assert_equal_matrices(found, theirs(**options).fit_transform(texts))
    start = time.perf_counter()
    NGramTfidfVectorizer("char", strip_accents="unicode").fit(["\u0301\u0323" * 100_000 + "x"])
    assert time.perf_counter() - start < 5


def test_ngrams_that_begin_alike():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(["ab", "abababab", "\0", "é"], 200)) for _ in range(3)]
    for limits in [(1, 20), (30, 60)]:
        assert_like_sklearn({"analyzer": "char", "ngram_range": limits}, texts, texts)


def test_words_of_many_million_characters():
    texts = ["a" * ((1 << 24) + more) for more in (-2, -1, 0, 1, -1)]
    found = NGramTfidfVectorizer(norm=None, use_idf=False).fit_transform(texts)
    assert_array_equal(found.toarray(), np.eye(4)[[0, 1, 2, 3, 1]])


def test_counts_beyond_single_precision():
    texts = ["a" * 20_000_001, "b"]
    X = NGramTfidfVectorizer("char", use_idf=False, norm=None).fit_transform(texts)
    assert X[0, 0] == np.float32(20_000_001)


def test_pickle_clone_and_memory_maps(tmp_path):
    ours = NGramTfidfVectorizer(**BOTH).fit(TEXTS)
    expected = ours.transform(TEXTS)
    copies = [pickle.loads(pickle.dumps(ours))]
    joblib.dump(ours, tmp_path / "ours")
    copies += [joblib.load(tmp_path / "ours"), joblib.load(tmp_path / "ours", mmap_mode="r")]
    for copy in copies:
        assert (copy.transform(TEXTS) != expected).nnz == 0
        assert copy.vocabulary_ == ours.vocabulary_
        assert copy.get_params() == ours.get_params()
    fresh = clone(ours)
    assert fresh.get_params() == ours.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(TEXTS)


def test_many_threads_at_once():
    ours = pickle.loads(pickle.dumps(NGramTfidfVectorizer(**BOTH).fit(TEXTS)))
    expected = NGramTfidfVectorizer(**BOTH).fit(TEXTS).transform(TEXTS)
    wrong = []

    def work():
        for _ in range(50):
            if (ours.transform(TEXTS) != expected).nnz:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "container", [tuple, np.array, np.asarray, iter, pd.Series, lambda t: pl.Series(t)]
)
def test_any_iterable_of_strings(container):
    texts = [text for text in TEXTS if "\ud800" not in text and "\x00" not in text]
    expected = NGramTfidfVectorizer().fit_transform(texts)
    found = NGramTfidfVectorizer().fit_transform(container(texts))
    assert (found != expected).nnz == 0


def test_no_texts_give_no_rows():
    ours = NGramTfidfVectorizer().fit(TEXTS)
    assert ours.transform([]).shape == (0, len(ours.vocabulary_))
    assert ours.transform(["", "\x00"]).nnz == 0


def test_the_callers_list_is_not_changed():
    texts = list(TEXTS)
    NGramTfidfVectorizer().fit(texts).transform(texts)
    assert texts == TEXTS


def test_parameters_count_when_fit_is_called():
    ours = NGramTfidfVectorizer().fit(TEXTS)
    expected = ours.transform(TEXTS)
    ours.set_params(norm=None, lowercase=False, analyzer="char")
    assert (ours.transform(TEXTS) != expected).nnz == 0
    assert ours.fit(TEXTS).transform(TEXTS).shape != expected.shape


def test_fitted_attributes_are_there_after_fit_only():
    ours = NGramTfidfVectorizer(use_idf=False)
    for name in ("vocabulary_", "idf_", "output_indices_"):
        assert not hasattr(ours, name)
    with pytest.raises(NotFittedError):
        ours.get_feature_names_out()
    ours.fit(TEXTS)
    assert not hasattr(ours, "idf_")
    assert ours.output_indices_ == {"word": slice(0, len(ours.vocabulary_))}


def test_a_fit_that_fails_changes_nothing():
    ours = NGramTfidfVectorizer().fit(TEXTS)
    expected = ours.transform(TEXTS)
    with pytest.raises(ValueError, match="empty vocabulary"):
        ours.fit(["", "!"])
    assert (ours.transform(TEXTS) != expected).nnz == 0


# ---- bad input ----


@pytest.mark.parametrize("bad", [b"bytes", None, 3, np.nan, ["a"], True, pd.NA, np.ma.masked])
def test_what_is_no_text_is_named_with_its_position(bad):
    ours = NGramTfidfVectorizer().fit(TEXTS)
    message = rf"raw_documents\[2\] must be a str, got {type(bad).__name__}"
    for call in (ours.fit, ours.fit_transform, ours.transform):
        with pytest.raises(TypeError, match=message):
            call(["a text", "another", bad, None])


@pytest.mark.parametrize(
    "bad",
    [
        pd.DataFrame({"a dog": ["x"], "a cat": ["y"]}),
        pl.DataFrame({"a dog": ["x"]}),
        np.array([["a dog"], ["a cat"]]),
    ],
)
def test_tables_are_no_texts(bad):
    fitted = NGramTfidfVectorizer().fit(TEXTS)
    for call in (
        NGramTfidfVectorizer().fit,
        NGramTfidfVectorizer().fit_transform,
        fitted.transform,
    ):
        with pytest.raises(ValueError, match="raw_documents must be one-dimensional"):
            call(bad)


@pytest.mark.parametrize("bad", ["one text", b"bytes"])
def test_a_single_text_is_no_list(bad):
    ours = NGramTfidfVectorizer().fit(TEXTS)
    for call in (ours.fit, ours.transform):
        with pytest.raises(ValueError, match="raw_documents must be an iterable of str"):
            call(bad)
    with pytest.raises(TypeError, match="raw_documents must be an iterable of str, got int"):
        ours.fit(3)


WRONG = {
    "analyzer": ["words", None, [], ["word", "word"], ["word", 3], {"word"}],
    "ngram_range": [(0, 1), (2, 1), 3, (1,), (1, 2.0), "12", None, [(1, 1), (1, 1)], [(1, 1), 3]],
    "lowercase": [None, "yes", 1],
    "strip_accents": ["utf", str.lower, True],
    "min_token_length": [0, 1.5, None],
    "stop_words": ["french", 3, ["a", 3], {"a": 1}],
    "binary": [None, 1],
    "end_mark": ["", "##", None, b"#"],
    "min_df": [0, -1, 1.5, -0.1, np.nan, "1", None, True],
    "max_df": [0, -1, 1.5, np.nan, None],
    "max_features": [0, -3, 1.0, "all"],
    "position_weighted": [None, 2],
    "lead_weight": [0.5, np.nan, np.inf, "2", None],
    "lead_length": [0, 2.5, None],
    "sublinear_tf": [None],
    "use_idf": ["no"],
    "smooth_idf": [None],
    "norm": ["max", True, "L2"],
    "block_norm": ["max", 2],
    "n_jobs": [0, 1.5],
}


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in WRONG.items() for b in values])
def test_wrong_parameters_are_named(name, bad):
    with pytest.raises((TypeError, ValueError), match=name):
        NGramTfidfVectorizer(**{name: bad}).fit(TEXTS)


def test_contradicting_parameters():
    with pytest.raises(ValueError, match="position_weighted and sublinear_tf"):
        NGramTfidfVectorizer(position_weighted=True, sublinear_tf=True).fit(TEXTS)
    with pytest.raises(ValueError, match="position_weighted and binary"):
        NGramTfidfVectorizer(position_weighted=True, binary=True).fit(TEXTS)
    with pytest.raises(ValueError, match="stop_words need the analyzer"):
        NGramTfidfVectorizer("char", stop_words="english").fit(TEXTS)
    with pytest.raises(ValueError, match=r"max_df=1 .* min_df=2"):
        NGramTfidfVectorizer(min_df=2, max_df=1).fit(TEXTS)
    with pytest.raises(ValueError, match="no n-gram of 'word' occurs in 9 to 9 texts"):
        NGramTfidfVectorizer(min_df=9).fit(TEXTS)
    with pytest.raises(ValueError, match="no n-grams of 'char_end'"):
        NGramTfidfVectorizer(["char", "char_end"]).fit([" "])


def test_ranges_beyond_all_texts():
    ours = NGramTfidfVectorizer("char_end", (1, 10**30)).fit(["abc"])
    assert len(ours.vocabulary_) == 4 + 3 + 2 + 1
    with pytest.raises(ValueError, match="empty vocabulary"):
        NGramTfidfVectorizer("char", (10**30, 10**30)).fit(["abc"])


# ---- C trusts nothing ----


@given(
    blob=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    analyzer=st.sampled_from(["word", "char", "char_wb", "char_end"]),
)
@examples(300)
def test_any_bytes_are_safe(blob, cuts, analyzer):
    ours = NGramTfidfVectorizer(analyzer, (1, 3))
    ptr = np.array([0, *sorted(min(c, len(blob)) for c in cuts), len(blob)])
    learner = Learner(ours._check_params(), len(ptr) - 1)
    learner.learn(blob, ptr)
    terms = np.arange(learner.terms[0].n_terms, dtype=np.int32)
    indptr, indices, counts = learner.weigh([terms], NGramWeights(False, None, None, None))
    assert len(indptr) == len(ptr)
    assert (counts > 0).all()
    assert_array_equal(np.bincount(indices, minlength=len(terms)), learner.n_texts)
    known = NGramTfidfVectorizer(analyzer, (1, 3)).fit(["ab cd", "éé"])._model
    assert len(known.transform(blob, ptr)[0]) == len(ptr)


@given(seed=st.integers(0, 2**32 - 1))
@examples(200)
def test_any_vocabulary_is_safe(seed):
    rng = np.random.default_rng(seed)
    ours = pickle.loads(pickle.dumps(NGramTfidfVectorizer("char", (1, 2)).fit(TEXTS)))
    terms = ours._model.terms[0]
    for array in rng.permutation([0, 1, 2])[:2]:
        raw = terms[array].view(np.uint8)
        raw[rng.integers(0, len(raw), 40)] = rng.integers(0, 256, 40)
    X = ours.transform(TEXTS)
    assert X.indices.max(initial=-1) < X.shape[1]


@pytest.mark.parametrize("field", ["ptr", "bytes", "slots"])
def test_vocabularies_of_other_lengths_are_refused(field):
    ours = NGramTfidfVectorizer(["word", "char"]).fit(TEXTS)
    first, *rest = ours._model.terms
    ours._model.terms = (first._replace(**{field: getattr(first, field)[:3]}), *rest)
    with pytest.raises(ValueError, match="contradict"):
        ours.transform(TEXTS)


def test_pointers_of_texts_are_checked():
    model = NGramTfidfVectorizer().fit(TEXTS)._model
    for ptr in ([0, 5, 3, 6], [0, 9], [-1, 3], [3, 1]):
        with pytest.raises(ValueError, match="SKX_EPOINTER"):
            model.transform(b"abcdef", np.array(ptr))


def test_hash_tables_of_wrong_size_are_refused():
    slots = ffi.new("skx_term_slot[8]")
    ptr, blob = ffi.new("int64_t[]", list(range(6))), ffi.new("uint8_t[]", 30)
    for n_terms, n_slots in itertools.product([5], [0, 3, 6, 8]):
        assert lib.skx_terms_index(n_terms, ptr, blob, n_slots, slots) == lib.SKX_EARG


@pytest.mark.parametrize("text", ["", "a dog", "Dogs & cats", "\u00c9\u0301tude"])
def test_one_text_is_a_row(text):
    vectorizer = NGramTfidfVectorizer(["word", "char_end"], [(1, 2), (3, 3)])
    vectorizer.fit(["a dog and a cat", "dogs", "\u00c9tude"])
    indices, values = vectorizer.transform_one(text)
    row = vectorizer.transform([text])
    np.testing.assert_array_equal(indices, row.indices)
    np.testing.assert_array_equal(values, row.data)
    with pytest.raises(TypeError, match="text must be a str, got bytes"):
        vectorizer.transform_one(b"a dog")
