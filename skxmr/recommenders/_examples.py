"""Examples in time: the history of users at a cutoff, and what they bought next."""

import numbers
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import indptr_of
from .._utils.pairs import row_of_entries
from .._utils.params import check_integer, check_option
from ._ages import AgeMatrix
from ._interactions import InteractionLog
from ._times import SECONDS, datetimes, days_of, seconds_of

_DAY = SECONDS["D"]

#: Lowest age of an entry of a history, in days: one second.
LEAST_AGE = 1.0 / _DAY


class _Examples(NamedTuple):
    X: AgeMatrix
    y: sp.csr_matrix
    cutoffs: np.ndarray


class TemporalExamples(_Examples):
    """Histories at cutoffs and later purchases: a triple ``(X, y, cutoffs)`` with more attributes.

    Attributes
    ----------
    X : AgeMatrix of shape (n, n_items)
        Days from the last purchase of each item to the cutoff of the row, at least a second.
    y : csr_matrix of shape (n, n_items)
        1 for the items bought in the window after the cutoff.
    cutoffs : ndarray of datetime64, shape (n,)
        Cutoff of each row.
    users : ndarray of int32, shape (n,)
        Number of the user of each row.
    target_times : csr_matrix of float64, shape (n, n_items)
        For each entry of y, the days from 1970-01-01 to its first purchase in the window.
    """

    users = None
    target_times = None

    def __new__(cls, X, y, cutoffs, users=None, target_times=None):
        examples = super().__new__(cls, X, y, cutoffs)
        examples.users = users
        examples.target_times = target_times
        return examples

    def __getnewargs__(self):
        return (*self, self.users, self.target_times)

    def take(self, rows):
        """Return some of the examples, given as a mask or as numbers of rows."""
        parts = (*self, self.users, self.target_times)
        return TemporalExamples(*(part[rows] for part in parts))


class Histories(NamedTuple):
    """Histories of users at one time.

    Attributes
    ----------
    X : AgeMatrix of shape (n, n_items)
    users : ndarray of int32, shape (n,)
        Number of the user of each row.
    """

    X: AgeMatrix
    users: np.ndarray


def temporal_examples(log, cutoffs, horizon="14D", *, targets="new", min_history=1, min_targets=1):
    """Make a row for each user at each cutoff: the history, and what came in the window after.

    Parameters
    ----------
    log : InteractionLog
    cutoffs : int or array-like of datetimes
        A number n of cutoffs stands for n consecutive windows of which the last ends after the last
        interaction. Numbers of an array are seconds since 1970.
    horizon : str, number or timedelta, default="14D"
        Length of the windows. A number is days.
    targets : {"new", "all"}, default="new"
        Items of y: those new to the user, or also those in the history.
    min_history : int, default=1
        Fewest items in the history of a row. 0 adds users who had bought nothing before.
    min_targets : int, default=1
        Fewest targets of a row. 0 adds users who bought nothing in the window, whose histories are
        useful to estimators that learn from histories alone. :class:`CutoffSplit` does not test
        them.

    Returns
    -------
    examples : TemporalExamples
        ``X, y, cutoffs = temporal_examples(...)``, sorted by cutoff, then by user. The attributes
        ``users`` and ``target_times`` have the user of each row and the time of each target.

    Raises
    ------
    ValueError
        If a cutoff has no rows, because its window or the time before it is empty.

    Examples
    --------
    >>> from skxmr.recommenders import InteractionEncoder, temporal_examples
    >>> purchases = (["ann", "ann", "ann", "bob"], ["x", "y", "x", "y"], [1, 9, 12, 12])
    >>> log = InteractionEncoder(unit="D").fit_transform(purchases)
    >>> X, y, cutoffs = temporal_examples(log, [8 * 86400.0], horizon="7D", targets="all")
    >>> X.toarray()
    array([[7., 0.]], dtype=float32)
    >>> y.toarray()
    array([[1., 1.]], dtype=float32)
    """
    _check_log(log)
    check_option(targets, "targets", ("new", "all"))
    check_integer(min_history, "min_history", 0)
    check_integer(min_targets, "min_targets", 0)
    width = days_of(horizon, "horizon") * _DAY
    ends = _cutoff_seconds(log, cutoffs, width)
    pairs = _SortedPairs(log)
    parts = [_window_rows(pairs, end, width, targets, min_history, min_targets) for end in ends]
    for end, part in zip(ends, parts, strict=True):
        if not len(part.users):
            raise ValueError(
                f"cutoffs must have users with a history and targets in the window, got none at "
                f"{datetimes(end)}"
            )
    lengths = [len(part.users) for part in parts]
    return TemporalExamples(
        AgeMatrix(sp.vstack([part.X for part in parts], format="csr")),
        sp.vstack([part.y for part in parts], format="csr"),
        datetimes(np.repeat(ends, lengths)),
        np.concatenate([part.users for part in parts]),
        sp.vstack([part.target_times for part in parts], format="csr"),
    )


def histories(log, at=None, *, users=None):
    """Return the histories of users at one time, for recommendations.

    Parameters
    ----------
    log : InteractionLog
    at : datetime, optional
        Purchases before this time count. By default, a second after the last one.
    users : array-like of int, optional
        Numbers of the users, one per row. By default all users with a history.

    Returns
    -------
    histories : Histories
        The pair ``(X, users)``.
    """
    _check_log(log)
    end = log.seconds[-1] + 1 if at is None else float(seconds_of([at], "at")[0])
    X = _SortedPairs(log).histories(end)
    if users is None:
        users = np.flatnonzero(np.diff(X.indptr)).astype(np.int32)
    users = np.asarray(users)
    if users.ndim != 1 or (len(users) and users.dtype.kind not in "iu"):
        raise TypeError(f"users must be one-dimensional integers, got {users.dtype}")
    if len(users) and not 0 <= users.min() <= users.max() < X.shape[0]:
        raise ValueError(f"users must lie in [0, {X.shape[0]}), got {users.min()}..{users.max()}")
    return Histories(AgeMatrix(X[users]), users.astype(np.int32))


def _check_log(log):
    if not isinstance(log, InteractionLog):
        raise TypeError(f"log must be an InteractionLog, got {type(log).__name__}")
    if not len(log):
        raise ValueError("log must have at least one interaction, got none")


def _cutoff_seconds(log, cutoffs, width):
    if isinstance(cutoffs, numbers.Integral) and not isinstance(cutoffs, (bool, np.bool_)):
        check_integer(cutoffs, "cutoffs", 1)
        return log.seconds[-1] + 1 - width * np.arange(cutoffs, 0, -1)
    ends = np.unique(seconds_of(cutoffs, "cutoffs"))
    if not len(ends):
        raise ValueError("cutoffs must not be empty")
    return ends


class _Window(NamedTuple):
    X: sp.csr_matrix
    y: sp.csr_matrix
    users: np.ndarray
    target_times: sp.csr_matrix


class _SortedPairs:
    """The interactions of a log, sorted by user, item and time."""

    def __init__(self, log):
        self.shape = log.shape
        order = np.lexsort((log.seconds, log.items, log.users))
        self.users = log.users[order]
        self.items = log.items[order]
        self.seconds = log.seconds[order]

    def histories(self, end):
        """Return the ages of the latest purchase of each pair before a time, in days."""
        users, items, seconds = self._where(self.seconds < end)
        last = _changes(users, items, after=True)
        ages = np.maximum((end - seconds[last]) / _DAY, LEAST_AGE)
        return self._matrix(users[last], items[last], ages.astype(np.float32))

    def targets(self, begin, end):
        """Return the time of the first purchase of each pair in a window, in days."""
        users, items, seconds = self._where((self.seconds >= begin) & (self.seconds < end))
        first = _changes(users, items, after=False)
        return self._matrix(users[first], items[first], seconds[first] / _DAY)

    def _where(self, mask):
        return self.users[mask], self.items[mask], self.seconds[mask]

    def _matrix(self, users, items, data):
        indptr = indptr_of(np.bincount(users, minlength=self.shape[0]))
        return sp.csr_matrix((data, items, indptr), shape=self.shape)


def _changes(users, items, after):
    """Return where the pair differs from the one before, or from the one after."""
    changes = (np.diff(users) != 0) | (np.diff(items) != 0)
    end = np.ones(min(1, len(users)), dtype=bool)
    return np.concatenate((changes, end) if after else (end, changes))


def _window_rows(pairs, cutoff, width, targets, min_history, min_targets):
    """Return the rows of one cutoff."""
    X = pairs.histories(cutoff)
    times = pairs.targets(cutoff, cutoff + width)
    if targets == "new":
        times = _without_entries_of(times, X)
    n_seen = np.diff(X.indptr)
    n_targets = np.diff(times.indptr)
    kept = (n_seen >= min_history) & (n_targets >= min_targets) & (n_seen + n_targets > 0)
    users = np.flatnonzero(kept).astype(np.int32)
    times = times[users]
    y = sp.csr_matrix(
        (np.ones(times.nnz, dtype=np.float32), times.indices.copy(), times.indptr.copy()),
        shape=times.shape,
    )
    return _Window(X[users], y, users, times)


def _without_entries_of(matrix, other):
    """Return a CSR matrix without the entries that another one stores."""
    n = np.int64(matrix.shape[1])
    keys, others = (row_of_entries(m) * n + m.indices for m in (matrix, other))
    kept = ~np.isin(keys, others, assume_unique=True)
    rows = row_of_entries(matrix)[kept]
    indptr = indptr_of(np.bincount(rows, minlength=matrix.shape[0]))
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
