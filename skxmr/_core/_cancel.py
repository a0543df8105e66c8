"""Cancellation of calls into C by another thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._library import INT, Cancelled, ffi, pointer

_current = threading.local()


class CancelFlag:
    """Ends the calls of the threads that watch it. Once set, it stays set."""

    def __init__(self):
        self._flag = np.zeros(1, dtype=INT)
        self.pointer = pointer(self._flag, INT)

    def set(self) -> None:
        """End the running calls soon: they raise Cancelled."""
        self._flag[0] = 1

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return bool(self._flag[0])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let this flag end the calls of the current thread."""
        before = getattr(_current, "flag", None)
        _current.flag = self
        try:
            yield
        finally:
            _current.flag = before


def cancel_pointer() -> Any:
    """Return the flag that C reads in the current thread, or NULL."""
    flag = getattr(_current, "flag", None)
    return ffi.NULL if flag is None else flag.pointer


def stop_if_cancelled() -> None:
    """Raise Cancelled if the flag of the current thread is set; for long loops in Python."""
    flag = getattr(_current, "flag", None)
    if flag is not None and flag.is_set():
        raise Cancelled
