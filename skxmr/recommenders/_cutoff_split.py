"""Cross-validation in time."""

import numpy as np

from .._utils.matrices import check_matrix
from .._utils.params import check_integer
from ._times import SECONDS, days_of, seconds_of


class CutoffSplit:
    """Cross-validator that trains on windows that were closed before the cutoff of the test rows.

    A window that begins at a cutoff is closed when its horizon has passed. No target of a training
    row is therefore later than the cutoff of the test rows. Pass the cutoffs of the rows as
    ``groups``.

    Parameters
    ----------
    n_splits : int, default=None
        Number of latest cutoffs that are tested, one per split. None: all cutoffs with a training
        window before them.
    horizon : str, number or timedelta, default="14D"
        Length of the windows, as for :func:`temporal_examples`. A number is days.
    max_train_windows : int, default=None
        Number of latest closed windows to train on. None: all.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr.recommenders import CutoffSplit
    >>> cutoffs = np.array(["2024-01-01", "2024-01-08", "2024-01-15"], dtype="datetime64[D]")
    >>> for train, test in CutoffSplit(horizon="14D").split(np.eye(3), groups=cutoffs):
    ...     print(train, test)
    [0] [2]
    """

    def __init__(self, n_splits=None, *, horizon="14D", max_train_windows=None):
        self.n_splits = n_splits
        self.horizon = horizon
        self.max_train_windows = max_train_windows

    def split(self, X, y=None, groups=None):
        """Yield the rows of each split, the earliest test cutoff first.

        Parameters
        ----------
        X : object
            Ignored.
        y : {array-like, sparse matrix} of shape (n_samples, n_items), default=None
            If given, rows without targets are not tested.
        groups : array-like of datetimes, shape (n_samples,)
            Cutoff of each row. Numbers are seconds since 1970.

        Yields
        ------
        train, test : ndarray of int
        """
        seconds = self._seconds(groups)
        has_targets = True
        if y is not None:
            has_targets = np.diff(check_matrix(y, "y", len(seconds)).indptr) > 0
        for cutoff, train_cutoffs in self._windows(seconds):
            train = np.isin(seconds, train_cutoffs)
            yield np.flatnonzero(train), np.flatnonzero((seconds == cutoff) & has_targets)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of splits.

        Parameters
        ----------
        X, y : object
            Ignored.
        groups : array-like of datetimes, shape (n_samples,)
            Cutoff of each row.

        Returns
        -------
        n_splits : int
        """
        return len(self._windows(self._seconds(groups)))

    def _seconds(self, groups):
        if groups is None:
            raise ValueError("groups must be the cutoffs of the rows, got None")
        return seconds_of(groups, "groups")

    def _windows(self, seconds):
        """Return pairs of a test cutoff and the cutoffs to train on."""
        width = days_of(self.horizon, "horizon") * SECONDS["D"]
        if self.n_splits is not None:
            check_integer(self.n_splits, "n_splits", 1)
        if self.max_train_windows is not None:
            check_integer(self.max_train_windows, "max_train_windows", 1)
        cutoffs = np.unique(seconds)
        # Cutoffs are rounded to microseconds.
        windows = [(cutoff, cutoffs[cutoffs + width <= cutoff + 1e-5]) for cutoff in cutoffs]
        windows = [(cutoff, closed) for cutoff, closed in windows if len(closed)]
        if len(windows) < (self.n_splits or 1):
            raise ValueError(
                f"groups must have {self.n_splits or 1} cutoffs after a closed window, "
                f"got {len(windows)}"
            )
        if self.n_splits is not None:
            windows = windows[-self.n_splits :]
        if self.max_train_windows is not None:
            windows = [(cutoff, closed[-self.max_train_windows :]) for cutoff, closed in windows]
        return windows

    def __repr__(self):
        return (
            f"CutoffSplit({self.n_splits!r}, horizon={self.horizon!r}, "
            f"max_train_windows={self.max_train_windows!r})"
        )
