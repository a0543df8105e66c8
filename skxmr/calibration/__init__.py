"""Calibration of ranking scores to probabilities."""

from ._calibrated import CalibratedRanker
from ._reliability import reliability_curve

__all__ = ["CalibratedRanker", "reliability_curve"]


def __dir__():
    return __all__
