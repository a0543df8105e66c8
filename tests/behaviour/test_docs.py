"""The Python code of the README runs, and the reference lists every public name.

The build of the documentation runs the code of the other pages; see docs/snippets.py.
"""

import ast
import inspect
import re
from pathlib import Path

import pytest

import skxmr

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_snippet_prints_what_the_readme_shows(capsys):
    """The README has one block of Python, which is a program, and the block below is its output."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("```python") == 1
    code, output = BLOCK.search(text).groups()
    exec(compile(code, "README.md", "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out.splitlines()
    shown = output.splitlines()
    assert len(printed) == len(shown) == 6
    assert printed[0].split() == shown[0].split()
    for ours, theirs in zip(printed[1:], shown[1:], strict=True):
        # Instruction sets differ in the rounding of the last digits.
        *words, score = ours.split()
        *expected, expected_score = theirs.split()
        assert words == expected
        assert float(score) == pytest.approx(float(expected_score), abs=1e-4)


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
