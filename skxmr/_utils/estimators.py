"""Consistent state of estimators that several threads use."""

import os
import threading
import weakref
from contextlib import contextmanager
from functools import wraps


def snapshot(estimator):
    """Make a shallow copy of an estimator.

    Later changes of the attributes of the estimator, in any thread, do not affect the copy.
    """
    copy = object.__new__(type(estimator))
    copy.__dict__ = dict(vars(estimator))
    return copy


def consistent(method):
    """Decorate a method so that it uses one state of its estimator.

    Changes by other threads during a call have no effect on the call.
    """

    @wraps(method)
    def on_snapshot(self, *args, **kwargs):
        return method(snapshot(self), *args, **kwargs)

    return on_snapshot


@contextmanager
def fitted_in_one_step(estimator):
    """Fit a copy of an estimator, then replace the fitted attributes of the estimator in one step.

    If the fit fails or is interrupted, the estimator does not change.

    Yields
    ------
    fresh : estimator
        Copy to be fitted.
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
    # `before` still holds the old values, so that the update frees no object and runs no other
    # Python code. Other threads therefore see either all old or all new attributes.
    vars(estimator).update(learned)
    for name in before.keys() - after.keys():
        vars(estimator).pop(name, None)


_locks = weakref.WeakKeyDictionary()
_lock_of_locks = threading.Lock()


def change_lock(estimator):
    """Return the lock that a thread holds while it changes an estimator."""
    with _lock_of_locks:
        return _locks.setdefault(estimator, threading.RLock())


def _forget_locks():
    """Drop all locks in a forked child process, which has no threads to release them."""
    global _locks, _lock_of_locks
    _locks = weakref.WeakKeyDictionary()
    _lock_of_locks = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)
