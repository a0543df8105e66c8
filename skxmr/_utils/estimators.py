"""Estimators that change in one step, and methods that see one state of them."""

import os
import threading
import weakref
from contextlib import contextmanager
from functools import wraps


def snapshot(estimator):
    """Copy an estimator without copying what it holds.

    Later changes to the estimator, by whatever thread, do not reach the copy.
    """
    copy = object.__new__(type(estimator))
    copy.__dict__ = dict(vars(estimator))
    return copy


def consistent(method):
    """Let a method see one state of its estimator, whatever other threads do to it meanwhile."""

    @wraps(method)
    def on_snapshot(self, *args, **kwargs):
        return method(snapshot(self), *args, **kwargs)

    return on_snapshot


@contextmanager
def fitted_in_one_step(estimator):
    """Give a copy of an estimator to fit, and then take over all that the copy has learned.

    If fitting fails or is interrupted, the estimator was never touched.
    """
    fresh = snapshot(estimator)
    before = dict(vars(fresh))
    yield fresh
    after = vars(fresh)
    learned = {
        name: value
        for name, value in after.items()
        if name not in before or before[name] is not value
    }
    # While `before` holds the old values, replacing them frees nothing and so runs no other code:
    # no thread sees a part of it.
    vars(estimator).update(learned)
    for name in before.keys() - after.keys():
        vars(estimator).pop(name, None)


_locks = weakref.WeakKeyDictionary()
_lock_of_locks = threading.Lock()


def change_lock(estimator):
    """Return a lock that lets one thread at a time change an estimator."""
    with _lock_of_locks:
        return _locks.setdefault(estimator, threading.RLock())


def _forget_locks():
    """Begin without locks in a forked child: the threads that hold them are not there."""
    global _locks, _lock_of_locks
    _locks = weakref.WeakKeyDictionary()
    _lock_of_locks = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
