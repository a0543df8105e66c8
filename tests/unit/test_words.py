"""Terms of the field instead of private ones, and American spelling, in code, tests and pages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".c", ".h", ".md", ".rst", ".txt"}

#: Files with names that earlier versions used, which must stay readable.
COMPATIBLE = {
    "docs/benchmarks/run_recommender_quality.py",  # a module of a peer
    "docs/benchmarks/run_recommenders.py",  # a module of a peer
    "docs/changelog.md",
    "examples/recommendation_history.py",  # a module of a peer
    "skxmr/datasets/data/catalogue_subjects/corpus.rst",  # names of licenses
    "skxmr/_core/_places.py",
    "skxmr/_core/_voters.py",
    "skxmr/_moved.py",
    "skxmr/linear/_fitted.py",
    "skxmr/linear/_loading.py",
    "skxmr/linear/_saving.py",
    "tests/behaviour/test_golden.py",
    "tests/behaviour/test_neighbors.py",
    "tests/behaviour/test_prefixes.py",
    "tests/unit/test_words.py",
}
FOLDERS_LEFT_OUT = ("docs/benchmarks/results/", "tests/data/", "tests/fuzz/corpus/")

#: Private terms, and the ones to use instead. Names are split at underscores and capitals.
TERMS = {
    "vote|votes|voted|voter|voters|voting": "nearest neighbors",
    "carrier|carriers": "postings",
    "grown": "extended",
    "foreseen": "estimated",
    "widest": "maximum",
    "spelt": "normalized",
    "taught|led(?! to)": "teacher-forced, matched",
    "room": "capacity, cluster",
    "places": "ranks, positions, offsets",
    "whoever|nobody": "callers, no thread, ...",
    "lest": "to avoid",
    "dear|dearer": "expensive",
    "uncommonly": "unusually",
}
#: Names that no longer exist.
NAMES = (
    "Mixture Forest KeepsRowRankers known_row_ranker _bare bare_row Learnt pieces_cut "
    "regroup largest_result LISTED LOOKED_UP is_tail decode_long"
).split()
BRITISH = (
    "behaviour centre colour favour labelled labelling licence modelled modelling "
    "neighbour travelled capitalis factoris initialis maximis minimis normalis optimis organise "
    "parallelis parametris quantis recognis regularis serialis summaris tokenis vectoris"
).split()
#: Sentences that were replaced, as examples of a style to avoid.
SENTENCES = [
    "Means nothing to",
    "wants a larger one",
    "vote for their labels",
    "either kind of company",
    "stays rankable, if low",
    "says of itself",
    "taken at their word",
    "uncommonly dear",
    "Do the same where",
    "mirrors the container",
]


def files():
    for folder in ("skxmr", "csrc", "tests", "docs", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and not name.startswith(FOLDERS_LEFT_OUT):
                yield name, path
    yield "README.md", ROOT / "README.md"


#: Text of each file that may not have the words.
TEXTS = {
    name: path.read_text(encoding="utf-8")
    for name, path in files()
    if name not in COMPATIBLE and path.exists()
}


LOWER_CASE = {name: text.lower() for name, text in TEXTS.items()}


def assert_absent(pattern, hint="", word=""):
    """Fail with the lines that match a pattern, which contains a word in lower case if any."""
    lines = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for name, text in TEXTS.items()
        if word in LOWER_CASE[name]  # much faster than the pattern
        for match in re.finditer(pattern, text)
    ]
    assert not lines, "\n".join([hint, *lines])


def test_files_are_found():
    assert "README.md" in TEXTS


@pytest.mark.parametrize("words", TERMS)
def test_private_terms_are_not_used(words):
    """Also as a part of a name: a_word, aWord. Keys of earlier pickles in quotes may stay."""
    capital = "|".join(word.capitalize() for word in words.split("|"))
    pattern = rf"(?<![A-Za-z\"])(?<!\"_)(?:{words})(?![a-z])|(?:{capital})(?![a-z])"
    assert_absent(pattern, f"use: {TERMS[words]}")


@pytest.mark.parametrize("name", NAMES)
def test_former_names_are_not_used(name):
    assert_absent(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", word=name.lower())


@pytest.mark.parametrize("word", BRITISH)
def test_spelling_is_american(word):
    # tests/behaviour is the name of a folder.
    assert_absent(rf"(?i)(?<!/){word}(?![/\"])", word=word)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_replaced_sentences_are_gone(sentence):
    pattern = re.escape(sentence).replace(r"\ ", r"\s+")
    assert_absent(pattern, word=sentence.split()[0].lower())
