"""XR-Linear: recursive linear ranking over a label tree."""

from .._ranking.restriction import LabelOrder
from ._classifier import XRLinearClassifier

__all__ = ["LabelOrder", "XRLinearClassifier"]


def __dir__():
    return __all__
