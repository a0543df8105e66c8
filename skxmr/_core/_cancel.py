"""Calls into C that another thread can end."""

import threading
from contextlib import contextmanager

import numpy as np

from ._library import INT, Cancelled, ffi, pointer

_current = threading.local()


class CancelFlag:
    """Ends the calls of those threads that watch it. Once set, it stays set."""

    def __init__(self):
        self._flag = np.zeros(1, dtype=INT)
        self.pointer = pointer(self._flag, INT)

    def set(self):
        """End what runs, soon: it raises Cancelled."""
        self._flag[0] = 1

    def is_set(self):
        """Whether the end was asked for."""
        return bool(self._flag[0])

    @contextmanager
    def watched(self):
        """Let this flag end the calls that the current thread makes."""
        before = getattr(_current, "flag", None)
        _current.flag = self
        try:
            yield
        finally:
            _current.flag = before


def cancel_pointer():
    """What C is given to poll in the current thread: the watched flag, or NULL."""
    flag = getattr(_current, "flag", None)
    return ffi.NULL if flag is None else flag.pointer


def stop_if_cancelled():
    """Raise Cancelled if the current thread's flag is set: for what takes long in Python."""
    flag = getattr(_current, "flag", None)
    if flag is not None and flag.is_set():
        raise Cancelled
