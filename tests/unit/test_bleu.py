import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skxmr.metrics import bleu_rr
from skxmr.metrics._text import bleu_scores

# Few words, so that they repeat and n-grams agree; spaces and marks of all kinds.
words = st.sampled_from(["a", "b", "c", "A", "b.", "ä", "\N{GRINNING FACE}"])
spaces = st.sampled_from([" ", "  ", "\t", "\n", "\u00a0", "\u3000"])


@st.composite
def sentences(draw):
    parts = draw(st.lists(words, max_size=9))
    return "".join(part + draw(spaces) for part in parts).removesuffix(" ")


def nltk_bleu(truth, sentence):
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    smoothing = bleu.SmoothingFunction().method1
    return bleu.sentence_bleu([truth.split()], sentence.split(), smoothing_function=smoothing)


@given(truth=sentences(), sentence=sentences())
def test_bleu_is_that_of_nltk(truth, sentence):
    (score,) = bleu_scores(truth, [sentence])
    assert score == pytest.approx(nltk_bleu(truth, sentence), abs=1e-12)
    assert 0.0 <= score <= 1.0


@given(truth=sentences(), data=st.data())
def test_bleu_of_changed_sentences_is_that_of_nltk(truth, data):
    parts = truth.split()
    kept = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    sentence = " ".join(part for part, keep in zip(parts, kept, strict=True) if keep)
    for changed in (sentence, sentence + " a b", f"c {sentence}"):
        (score,) = bleu_scores(truth, [changed])
        assert score == pytest.approx(nltk_bleu(truth, changed), abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "sentence", "expected"),
    [
        ("to be or not", "to be or not", 1.0),
        ("to be or not to be", "to be or not to be", 1.0),
        # 4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2 quadruples.
        ("a b c d e", "a b c d x", (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25),
        # Two words of five: exp(1 - 5 / 2), and neither triples nor quadruples.
        ("a b c d e", "a b", (1 * 1 * 0.1 * 0.1) ** 0.25 * math.exp(-1.5)),
        # A word counts as often as it is in the truth.
        ("a b c d", "a a a a", (1 / 4 * 0.1 / 3 * 0.1 / 2 * 0.1) ** 0.25),
        ("a b a b", "a b a b a b", (4 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25),
        ("a", "a", 0.001**0.25),
        ("a b", "a b", 0.01**0.25),
        ("a b c", "a b c", 0.1**0.25),
        ("a b c", "x y z", 0.0),
        ("a b", "", 0.0),
        ("", "a b", 0.0),
        ("", "", 0.0),
        ("A", "a", 0.0),
    ],
)
def test_bleu_by_hand(truth, sentence, expected):
    assert bleu_scores(truth, [sentence])[0] == pytest.approx(expected, rel=1e-12)


rows = st.lists(st.tuples(sentences(), st.lists(sentences(), max_size=4)), min_size=1, max_size=4)


@given(rows=rows, k=st.integers(1, 5))
def test_bleu_rr_from_its_definition(rows, k):
    expected = 0.0
    for truth, suggestions in rows:
        scores = [nltk_bleu(truth, sentence) for sentence in suggestions[:k]]
        if scores:
            ranks = range(1, len(scores) + 1)
            gain = sum(score / i for i, score in zip(ranks, scores, strict=True))
            expected += gain / sum(1 / i for i in ranks) / len(rows)
    got = bleu_rr([truth for truth, _ in rows], [row for _, row in rows], k=k)
    assert type(got) is float
    assert got == pytest.approx(expected, abs=1e-12)


TRUTH = ["red shoes for men", "garden chair with arms"]
RANKED = [["red shoes for men", "blue shoes for men"], ["garden chair", "garden chair with arms"]]


def test_bleu_rr_by_hand():
    # "blue shoes for men": 3/4, 2/3, 1/2 and 0.1; "garden chair": 1, 1, 0.1, 0.1, e^-1 for 2 of 4.
    first = (1 + (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25 / 2) / 1.5
    second = (0.01**0.25 * math.exp(-1) + 1 / 2) / 1.5
    assert bleu_rr(TRUTH, RANKED) == pytest.approx((first + second) / 2)
    assert bleu_rr(TRUTH[1:], RANKED[1:], k=1) == pytest.approx(0.01**0.25 * math.exp(-1))


def test_perfect_suggestions_score_exactly_one():
    assert bleu_rr(TRUTH, [[text] * 7 for text in TRUTH]) == 1.0


def test_row_without_suggestions_scores_zero():
    assert bleu_rr(TRUTH, [[], [TRUTH[1]]]) == 0.5
    assert bleu_rr(TRUTH, [[], []]) == 0.0


def test_ten_ranks_by_default():
    ranked = [["x"] * 9 + [TRUTH[0]] * 2]
    assert bleu_rr(TRUTH[:1], ranked) == bleu_rr(TRUTH[:1], ranked, k=10)
    assert bleu_rr(TRUTH[:1], ranked, k=11) > bleu_rr(TRUTH[:1], ranked, k=10) > 0.0
    assert bleu_rr(TRUTH[:1], ranked, k=9) == 0.0


@pytest.mark.parametrize(
    "container",
    [
        tuple,
        np.array,
        lambda rows: np.array(rows, dtype=object),
        pd.DataFrame,
        pd.Series,
        lambda rows: pl.DataFrame(rows, orient="row"),
        pl.Series,
    ],
)
def test_containers(container):
    assert bleu_rr(pd.Series(TRUTH), container(RANKED)) == bleu_rr(TRUTH, RANKED)


@pytest.mark.parametrize("true_texts", ["abc", None, 3, ["a", None], ["a", 1.5]])
def test_true_texts_are_no_texts(true_texts):
    with pytest.raises(TypeError, match=r"true_texts must"):
        bleu_rr(true_texts, RANKED)


@pytest.mark.parametrize("ranked_texts", ["ab", None, 3, {0: ["a"], 1: ["b"]}])
def test_ranked_texts_are_no_sequence(ranked_texts):
    with pytest.raises(TypeError, match=r"ranked_texts must be a sequence of sequences, got"):
        bleu_rr(TRUTH, ranked_texts)


@pytest.mark.parametrize("row", ["a text", None, 3, {"a"}])
def test_row_is_no_sequence(row):
    with pytest.raises(TypeError, match=r"but ranked_texts\[1\] is"):
        bleu_rr(TRUTH, [["a"], row])


@pytest.mark.parametrize("text", [None, 7, b"a", ["a"], math.nan])
def test_suggestion_is_no_text(text):
    with pytest.raises(TypeError, match=r"but ranked_texts\[1\]\[2\] is"):
        bleu_rr(TRUTH, [["a"], ["b", "c", text]])


@pytest.mark.parametrize("n", [0, 1, 3])
def test_lengths_differ(n):
    with pytest.raises(ValueError, match=rf"ranked_texts must have 2 rows .* got {n}"):
        bleu_rr(TRUTH, [["a"]] * n)


def test_no_rows():
    with pytest.raises(ValueError, match=r"true_texts must hold at least one string"):
        bleu_rr([], [])


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.5, TypeError), (True, TypeError)])
def test_wrong_k(k, error):
    with pytest.raises(error, match=r"k must be"):
        bleu_rr(TRUTH, RANKED, k=k)
