"""Where pickles of earlier releases find the classes that have moved since."""

import sys
from importlib import import_module

_MOVED = {
    "_calibrators": "calibration._maps",
    "_forest": "_ranking.ensemble",
    "_prefixes": "completion._prefixes",
    "_query_features": "completion._query_features",
}

for old, new in _MOVED.items():
    sys.modules[f"skxmr.{old}"] = import_module(f"skxmr.{new}")
