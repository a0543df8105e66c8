"""The Python code of the pages runs, and the reference lists every public name."""

import ast
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from marks import slow_except
from sklearn.feature_extraction.text import TfidfVectorizer

import skxmr
from skxmr.datasets import load_catalogue_subjects

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
    *sorted((ROOT / "docs" / "coming_from").glob("*.md")),
]
#: Blocks marked as "py" are not run: they require files or servers that do not exist here.
BLOCK = re.compile(r"^([ ]*)```python\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """Yield the code of each block, after as many newlines as keep its line numbers in the page."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        indent = len(match[1])
        lines = [line[indent:] for line in match[2].splitlines()]
        yield "\n" * (text[: match.start(2)].count("\n")) + "\n".join(lines)


@pytest.fixture(scope="module")
def placeholders():
    """Names that short examples use without defining them."""
    data = load_catalogue_subjects()
    titles, new_titles = data.text_train[::40], data.text_test[::40]
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X = vectorizer.fit_transform(titles)
    Y, new_Y = data.Y_train[::40], data.Y_test[::40]
    return {"titles": titles, "new_titles": new_titles, "X": X, "Y": Y, "new_Y": new_Y}


QUICK_PAGES = [ROOT / "README.md"]


@pytest.mark.parametrize(
    "page", slow_except(QUICK_PAGES, PAGES), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_python_of_a_page(page, placeholders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page", **placeholders}
    for code in blocks(page):
        exec(compile(code, str(page), "exec"), names)


def test_the_first_snippet_prints_what_the_readme_shows(capsys):
    """The README's first block is a program, and the block below it is its output."""
    page = ROOT / "README.md"
    exec(compile(next(blocks(page)), str(page), "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    shown = re.search(r"```\n(   row  rank.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    shown = shown[1].splitlines()
    assert len(printed) == len(shown) == 6
    assert printed[0].split() == shown[0].split()
    for ours, theirs in zip(printed[1:], shown[1:], strict=True):
        # Instruction sets differ in the rounding of the last digits.
        *words, score = ours.split()
        *expected, expected_score = theirs.split()
        assert words == expected
        assert float(score) == pytest.approx(float(expected_score), abs=1e-4)


def test_blocks_are_found():
    assert sum(len(list(blocks(page))) for page in PAGES) > 30


def test_the_reference_has_every_public_name():
    reference = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
    modules = [skxmr, *(m for name in skxmr.__all__ if inspect.ismodule(m := getattr(skxmr, name)))]
    names = {name for module in modules for name in getattr(module, "__all__", ())}
    assert len(names) > 40
    assert not [name for name in sorted(names) if not re.search(rf"\b{name}\b", reference)]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_begin_with_a_title(path):
    title, line = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).splitlines()[:2]
    assert line == "=" * len(title)
