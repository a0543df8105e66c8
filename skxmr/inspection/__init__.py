"""Inspection of fitted models: explanations, quality, speed and label trees.

`explain` splits scores into contributions, also behind a vectorizer. The displays are used like
those of scikit-learn: ``from_estimator`` and similar methods create one, ``plot`` draws it, and the
attributes `ax_` and `figure_` hold the plot. Plots need matplotlib:
``pip install 'skxmr[plot]'``.
"""

from .._ranking.explanation import Explanation, NeighborExplanation, TreeExplanation
from ._contributions import ExplanationDisplay
from ._explain import explain
from ._latency import LatencyDisplay
from ._metrics import RankingMetricsDisplay
from ._reliability import ReliabilityDisplay
from ._search import SearchQualityDisplay
from ._tree import LabelTreeDisplay

__all__ = [
    "Explanation",
    "ExplanationDisplay",
    "LabelTreeDisplay",
    "LatencyDisplay",
    "NeighborExplanation",
    "RankingMetricsDisplay",
    "ReliabilityDisplay",
    "SearchQualityDisplay",
    "TreeExplanation",
    "explain",
]


def __dir__():
    return __all__
