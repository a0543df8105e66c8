"""Extreme multi-label ranking for scikit-learn."""

from importlib.metadata import version

from . import completion, datasets, embeddings, indexers, metrics, model_selection, pecos, text
from .completion import SessionQueryCompleter
from .indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from .linear import XRLinearClassifier
from .persistence import load
from .tree import LabelTree

__version__ = version("skxmr")

__all__ = [
    "KMeansIndexer",
    "LabelTree",
    "SessionQueryCompleter",
    "TrieHybridIndexer",
    "TrieIndexer",
    "XRLinearClassifier",
    "completion",
    "datasets",
    "embeddings",
    "indexers",
    "load",
    "metrics",
    "model_selection",
    "pecos",
    "text",
]
