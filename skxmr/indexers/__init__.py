"""Indexers: clusterers of labels that yield a LabelTree."""

from .kmeans import KMeansIndexer

__all__ = ["KMeansIndexer"]
