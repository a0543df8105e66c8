"""What earlier releases pickled from here; nothing else uses this module."""

from ._restriction import SortedPositions as Places

__all__ = ["Places"]
