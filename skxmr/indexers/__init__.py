"""Indexers: estimators that group labels into a LabelTree."""

from .hybrid import TrieHybridIndexer
from .kmeans import KMeansIndexer
from .trie import TrieIndexer

__all__ = ["KMeansIndexer", "TrieHybridIndexer", "TrieIndexer"]
