"""Recommendations from histories: what users buy next."""

from ._cutoff_split import CutoffSplit
from ._examples import AgeMatrix, TemporalExamples, histories, temporal_examples
from ._interactions import InteractionEncoder, InteractionLog
from ._item_to_item import ItemToItemRecommender
from ._most_popular import MostPopularRecommender
from ._reasons import Reasons
from ._recency import Recency

__all__ = [
    "AgeMatrix",
    "CutoffSplit",
    "InteractionEncoder",
    "InteractionLog",
    "ItemToItemRecommender",
    "MostPopularRecommender",
    "Reasons",
    "Recency",
    "TemporalExamples",
    "histories",
    "temporal_examples",
]


def __dir__():
    return __all__
