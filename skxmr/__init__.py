"""Extreme multi-label ranking for scikit-learn."""

from importlib.metadata import version

from . import (
    _moved,  # noqa: F401
    calibration,
    completion,
    datasets,
    embeddings,
    indexers,
    inspection,
    metrics,
    model_selection,
    pecos,
    pipeline,
    propensity,
    recommenders,
    text,
)
from ._ranking.ranking import Ranking
from ._ranking.wrapped import rank
from .calibration import CalibratedRanker
from .completion import SessionQueryCompleter
from .indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from .linear import XRLinearClassifier
from .persistence import load
from .propensity import PropensityReranker
from .tree import LabelTree

__version__ = version("skxmr")

__all__ = [
    "CalibratedRanker",
    "KMeansIndexer",
    "LabelTree",
    "PropensityReranker",
    "Ranking",
    "SessionQueryCompleter",
    "TrieHybridIndexer",
    "TrieIndexer",
    "XRLinearClassifier",
    "calibration",
    "completion",
    "datasets",
    "embeddings",
    "indexers",
    "inspection",
    "load",
    "metrics",
    "model_selection",
    "pecos",
    "pipeline",
    "propensity",
    "rank",
    "recommenders",
    "text",
]
