"""examples/completion_app with a completer that knows a handful of queries."""

import importlib.util
from pathlib import Path

from skxmr import SessionQueryCompleter
from skxmr.completion import training_pairs

FOLDER = Path(__file__).parents[1] / "examples" / "completion_app"

MARKUP = "<b onmouseover=alert(1)>bold</b>"

FOLLOWS = {
    "": ["cat", "cats and dogs", "catalogue", "cathedral", MARKUP],
    "pets": ["cat", "cats and dogs", "dog"],
    "churches": ["cathedral", "organ"],
    "cathedral": ["churches", "organ"],
}


def load(name):
    """A module of the example, which is no package."""
    spec = importlib.util.spec_from_file_location(f"completion_app_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_completer():
    pairs = [(previous, query) for previous, queries in FOLLOWS.items() for query in queries]
    X, y = training_pairs(pairs, kind="pairs", n_prefixes=12, random_state=0)
    return SessionQueryCompleter(random_state=0).fit(X, y)
