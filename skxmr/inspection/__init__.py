"""Seeing a fitted model: why it ranks as it does, how well, and how fast.

`explain` takes scores apart, also behind a vectorizer. The displays follow scikit-learn's: made by
``from_estimator`` or from what is known already, drawn by ``plot``, with the attributes `ax_` and
`figure_`. Drawing needs matplotlib: ``pip install 'skxmr[plot]'``.
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
