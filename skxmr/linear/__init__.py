"""XR-Linear: recursive linear ranking over a label tree."""

from ._classifier import XRLinearClassifier

__all__ = ["XRLinearClassifier"]


def __dir__():
    return __all__
