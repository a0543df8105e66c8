"""Old names of classes that were moved or renamed, for pickles of earlier releases."""

import sys
from types import ModuleType

from . import metrics
from ._core import _search
from ._ranking.ensemble import EnsembleCache, NeighborWeighting
from ._ranking.explanation import Explanation, NeighborExplanation, TreeExplanation
from ._ranking.tree_ranker import TreeRanker
from .calibration._maps import SigmoidMap
from .completion._prefixes import PrefixIndex
from .completion._query_features import QueryFeatures, QueryNormalizer
from .metrics._scorers import JoinedScorer, RankingScorer

_MOVED = {
    "_calibrators": {"SigmoidMap": SigmoidMap},
    "_explanation": {
        "Explanation": Explanation,
        "TreeExplanation": TreeExplanation,
        "VoteExplanation": NeighborExplanation,
    },
    "_forest": {"ForestCache": EnsembleCache, "Mixture": NeighborWeighting},
    "_prefixes": {"PrefixIndex": PrefixIndex},
    "_query_features": {"QueryFeatures": QueryFeatures, "Spelling": QueryNormalizer},
}

for name, classes in _MOVED.items():
    module = ModuleType(f"skxmr.{name}")
    vars(module).update(classes)
    sys.modules[module.__name__] = module

_search.Model = TreeRanker
metrics._JoinedScorer = JoinedScorer
metrics._RankingScorer = RankingScorer
