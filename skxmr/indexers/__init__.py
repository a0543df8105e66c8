"""Indexers: clusterers of labels that yield a LabelTree."""

from .hybrid import TrieHybridIndexer
from .kmeans import KMeansIndexer
from .trie import TrieIndexer

__all__ = ["KMeansIndexer", "TrieHybridIndexer", "TrieIndexer"]
