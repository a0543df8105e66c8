"""Locks on files and folders, for which threads and processes wait."""

import os
from contextlib import contextmanager, nullcontext, suppress

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_held = set()


class _Lock:
    """An open file whose lock ends with it, however the process ends."""

    def __init__(self, path, flags):
        self._handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
        _held.add(self)

    def acquire(self, waiting):
        """Lock the file; where the file system has no locks, do nothing."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with waiting(), suppress(OSError):
                fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError:
            return

    def release(self):
        """Unlock and close the file, unless this is a child of the process that locked it."""
        if self in _held:
            # Not by closing it alone: a child that was forked meanwhile has the file open as well.
            with suppress(OSError):
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.close()

    def close(self):
        """Close the file. The lock stays with other processes that have the file open."""
        _held.discard(self)
        os.close(self._handle)


def _leave_to_parent():
    """Close, in a child, what its parent locked: else the child would hold it after the parent."""
    for lock in tuple(_held):
        lock.close()


if fcntl is not None:
    os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def exclusive(path, flags=os.O_RDONLY, waiting=nullcontext):
    """Hold a lock that one thread of one process at a time can have.

    Parameters
    ----------
    path : path
        A file or folder.
    flags : int
        What it is opened with.
    waiting : callable
        Makes the context to wait in.

    Raises
    ------
    OSError
        If the path cannot be opened.
    """
    if fcntl is None:
        yield
        return
    lock = _Lock(path, flags)
    try:
        lock.acquire(waiting)
        yield
    finally:
        lock.release()
