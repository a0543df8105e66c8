"""Recommendations from histories: what users buy next."""

from ._ages import AgeMatrix
from ._autoencoder import AutoencoderRecommender
from ._blend import BlendedRecommender
from ._cutoff_split import CutoffSplit
from ._examples import TemporalExamples, histories, temporal_examples
from ._factorization import MatrixFactorizationRecommender
from ._interactions import InteractionEncoder, InteractionLog
from ._item_to_item import ItemToItemRecommender
from ._linear_autoencoder import LinearAutoencoderRecommender
from ._most_popular import MostPopularRecommender
from ._preset import make_next_item_recommender
from ._prior_shift import PriorShift
from ._reasons import Reasons
from ._recency import Recency
from ._user_to_user import UserToUserRecommender

__all__ = [
    "AgeMatrix",
    "AutoencoderRecommender",
    "BlendedRecommender",
    "CutoffSplit",
    "InteractionEncoder",
    "InteractionLog",
    "ItemToItemRecommender",
    "LinearAutoencoderRecommender",
    "MatrixFactorizationRecommender",
    "MostPopularRecommender",
    "PriorShift",
    "Reasons",
    "Recency",
    "TemporalExamples",
    "UserToUserRecommender",
    "histories",
    "make_next_item_recommender",
    "temporal_examples",
]


def __dir__():
    return __all__
