"""Extreme multi-label ranking for scikit-learn."""

from importlib.metadata import version

from . import datasets, embeddings, indexers, metrics, pecos, text
from .indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from .linear import XRLinearClassifier
from .persistence import load
from .tree import LabelTree

__version__ = version("skxmr")

__all__ = [
    "KMeansIndexer",
    "LabelTree",
    "TrieHybridIndexer",
    "TrieIndexer",
    "XRLinearClassifier",
    "datasets",
    "embeddings",
    "indexers",
    "load",
    "metrics",
    "pecos",
    "text",
]
