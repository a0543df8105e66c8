"""XR-Linear: recursive linear ranking over a label tree."""

from .._ranking.base import Matcher
from .._ranking.restriction import LabelOrder, Restriction
from ._classifier import XRLinearClassifier

__all__ = ["LabelOrder", "Matcher", "Restriction", "XRLinearClassifier"]


def __dir__():
    return __all__
