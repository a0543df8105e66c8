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
    reranking,
    text,
    transformers,
)
from ._ranking.ranking import Ranking
from ._ranking.wrapped import rank
from .calibration import CalibratedRanker
from .completion import SessionQueryCompleter
from .indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from .linear import XRLinearClassifier
from .persistence import load, save
from .propensity import PropensityReranker
from .reranking import TextReranker
from .text_ranker import TextRanker, make_text_ranker
from .tree import LabelTree

__version__ = version("skxmr")

__all__ = [
    "CalibratedRanker",
    "KMeansIndexer",
    "LabelTree",
    "PropensityReranker",
    "Ranking",
    "SessionQueryCompleter",
    "TextRanker",
    "TextReranker",
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
    "make_text_ranker",
    "metrics",
    "model_selection",
    "pecos",
    "pipeline",
    "propensity",
    "rank",
    "recommenders",
    "reranking",
    "save",
    "text",
    "transformers",
]
