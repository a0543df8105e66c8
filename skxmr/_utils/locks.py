"""Locks on files and folders, between threads and processes."""

import os
from contextlib import contextmanager, nullcontext, suppress

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

_held = set()


class _Lock:
    """A lock on an open file. It ends with the process, also after a crash."""

    def __init__(self, path, flags):
        self._handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
        _held.add(self)

    def acquire(self, waiting):
        """Lock the file. Without locks in the file system, do nothing."""
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
            # Closing it is not enough: a child that was forked in the meantime also has it open.
            with suppress(OSError):
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            self.close()

    def close(self):
        """Close the file. Other processes that have the file open keep the lock."""
        _held.discard(self)
        os.close(self._handle)


def _leave_to_parent():
    """Close the locked files of the parent in a child, which would otherwise keep the locks."""
    for lock in tuple(_held):
        lock.close()


if fcntl is not None:
    os.register_at_fork(after_in_child=_leave_to_parent)


@contextmanager
def exclusive(path, flags=os.O_RDONLY, waiting=nullcontext):
    """Hold a lock that only one thread of one process at a time can hold.

    Parameters
    ----------
    path : path
        File or folder.
    flags : int
        Flags with which it is opened.
    waiting : callable
        Returns the context in which to wait.

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
