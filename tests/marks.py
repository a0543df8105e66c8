"""Marks that tests share."""

import pytest


def slow_except(quick, values):
    """The values of a parameter, all but the quick ones marked as slow."""
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]
