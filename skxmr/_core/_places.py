"""A name in pickles of earlier releases; not used otherwise."""

from ._restriction import SortedPositions as Places

__all__ = ["Places"]
