"""Where pickles of earlier releases find the classes that were moved or renamed since."""

import sys
from types import ModuleType

from ._ranking.ensemble import EnsembleCache, NeighborWeighting
from .calibration._maps import SigmoidMap
from .completion._prefixes import PrefixIndex
from .completion._query_features import QueryFeatures, QueryNormalizer

_MOVED = {
    "_calibrators": {"SigmoidMap": SigmoidMap},
    "_forest": {"ForestCache": EnsembleCache, "Mixture": NeighborWeighting},
    "_prefixes": {"PrefixIndex": PrefixIndex},
    "_query_features": {"QueryFeatures": QueryFeatures, "Spelling": QueryNormalizer},
}

for name, classes in _MOVED.items():
    module = ModuleType(f"skxmr.{name}")
    vars(module).update(classes)
    sys.modules[module.__name__] = module
