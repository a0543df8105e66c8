"""Completion of queries from a prefix and the previous query."""

from ._completer import SessionQueryCompleter
from ._matches import Completion
from ._sessions import training_pairs

__all__ = ["Completion", "SessionQueryCompleter", "training_pairs"]


def __dir__():
    return __all__
