"""Reranking of labels of texts by a model of several signals."""

from ._reranker import TextReranker

__all__ = ["TextReranker"]
