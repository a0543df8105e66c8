"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import skxmr

MODULES = ["skxmr"] + [
    module.name
    for module in pkgutil.walk_packages(skxmr.__path__, "skxmr.")
    if not module.name.endswith("_native")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
