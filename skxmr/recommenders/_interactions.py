"""Logs of interactions: who bought what, and when."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._utils.params import check_option
from ._ids import find_ids, id_array, learn_ids
from ._times import SECONDS, datetimes, seconds_of

_RETURNS = ("error", "drop", "cancel")
_UNKNOWN = ("error", "ignore")

#: What is left of a purchase after its returns counts as 0 if it is at most this share of the
#: largest amount of the pair. Sums of decimal fractions are inexact: 1.1 - 0.7 - 0.4 is 1.1e-16. A
#: thousand roundings are allowed for. Real rests, such as 0.01 of 1e9, are much larger.
_ROUNDING = 1000 * np.finfo(np.float64).eps


class InteractionLog:
    """Interactions with numbered users and items, sorted by time.

    :class:`InteractionEncoder` makes it.

    Attributes
    ----------
    users, items : ndarray of int32, shape (n,)
        Number of the user and of the item of each interaction.
    seconds : ndarray of float64, shape (n,)
        Times in seconds since 1970-01-01, in increasing order.
    amounts : ndarray of float64, shape (n,)
        Positive. 1 if the encoder has no amounts.
    user_ids, item_ids : ndarray of shape (n_users,) and (n_items,)
        The id of each number.
    """

    def __init__(self, users, items, seconds, amounts, user_ids, item_ids):
        self.users = users
        self.items = items
        self.seconds = seconds
        self.amounts = amounts
        self.user_ids = user_ids
        self.item_ids = item_ids

    @property
    def times(self):
        """Times as datetime64, shape (n,)."""
        return datetimes(self.seconds)

    @property
    def shape(self):
        """Number of users and of items."""
        return len(self.user_ids), len(self.item_ids)

    def take(self, rows):
        """Return the log of some interactions, given as a mask or as increasing numbers."""
        parts = (self.users, self.items, self.seconds, self.amounts)
        return InteractionLog(*(part[rows] for part in parts), self.user_ids, self.item_ids)

    def __len__(self):
        return len(self.users)

    def __repr__(self):
        n_users, n_items = self.shape
        span = f", {self.times[0]} .. {self.times[-1]}" if len(self) else ""
        return f"InteractionLog({len(self)} of {n_users} users, {n_items} items{span})"


class InteractionEncoder(BaseEstimator):
    """Number the users and items of a log of interactions.

    Parameters
    ----------
    user, item, time : str, default="user", "item", "time"
        Names of the columns.
    amount : str, default=None
        Column with amounts, such as quantities. None: every interaction has the amount 1.
    unit : {"s", "min", "h", "D", "W"}, default="s"
        Unit of times that are numbers. Datetimes are in UTC if they have no time zone. Periods of
        pandas count as the time of their start.
    returns : {"error", "drop", "cancel"}, default="error"
        What happens to rows with an amount of 0 or less. "error" raises a ValueError, "drop" leaves
        them out. "cancel" subtracts them from the latest earlier purchases of the same user and
        item, and removes purchases of which nothing is left.
    unknown : {"error", "ignore"}, default="error"
        What happens in `transform` to rows with users or items that were not in `fit`: an error, or
        the rows are left out.

    Attributes
    ----------
    users_, items_ : ndarray of shape (n_users,) and (n_items,)
        The ids, sorted. Ids keep their type, and texts their leading zeros.

    Notes
    -----
    Rows with the same user, item and time are one interaction, with the sum of their amounts.

    Examples
    --------
    >>> from skxmr.recommenders import InteractionEncoder
    >>> purchases = {
    ...     "user": ["ann", "bob", "ann"],
    ...     "item": ["007", "007", "42"],
    ...     "time": ["2024-01-01", "2024-01-02", "2024-01-03"],
    ... }
    >>> encoder = InteractionEncoder()
    >>> log = encoder.fit_transform(purchases)
    >>> log
    InteractionLog(3 of 2 users, 2 items, 2024-01-01T00:00:00.000000 .. 2024-01-03T00:00:00.000000)
    >>> encoder.items_[log.items].tolist()
    ['007', '007', '42']
    """

    def __init__(
        self,
        user="user",
        item="item",
        time="time",
        *,
        amount=None,
        unit="s",
        returns="error",
        unknown="error",
    ):
        self.user = user
        self.item = item
        self.time = time
        self.amount = amount
        self.unit = unit
        self.returns = returns
        self.unknown = unknown

    def fit(self, interactions, y=None):
        """Learn the users and items.

        Parameters
        ----------
        interactions : data frame, structured array, dict of columns, or tuple of columns
            A tuple has the columns users, items, times and, if `amount` is given, amounts.
        y : None
            Ignored.

        Returns
        -------
        self : InteractionEncoder
        """
        self.fit_transform(interactions)
        return self

    def fit_transform(self, interactions, y=None):
        """Learn the users and items, and return the log.

        Parameters
        ----------
        interactions : data frame, structured array, dict of columns, or tuple of columns
        y : None
            Ignored.

        Returns
        -------
        log : InteractionLog
        """
        users, items, seconds, amounts = self._columns(interactions)
        user_ids, user_codes = learn_ids(users, self.user)
        item_ids, item_codes = learn_ids(items, self.item)
        log = self._log(user_codes, item_codes, seconds, amounts, user_ids, item_ids)
        self.users_ = user_ids
        self.items_ = item_ids
        return log

    def transform(self, interactions):
        """Return the log of interactions of known users and items.

        Parameters
        ----------
        interactions : data frame, structured array, dict of columns, or tuple of columns

        Returns
        -------
        log : InteractionLog
        """
        check_is_fitted(self)
        users, items, seconds, amounts = self._columns(interactions)
        user_codes = find_ids(users, self.users_, self.user)
        item_codes = find_ids(items, self.items_, self.item)
        known = (user_codes >= 0) & (item_codes >= 0)
        if not known.all() and self.unknown == "error":
            wrong = np.flatnonzero(~known)[0]
            name, values = (
                (self.user, users[wrong : wrong + 1])
                if user_codes[wrong] < 0
                else (self.item, items[wrong : wrong + 1])
            )
            raise ValueError(
                f"{name} must be in fit unless unknown='ignore', got {values.tolist()[0]!r:.80}"
            )
        parts = (user_codes[known], item_codes[known], seconds[known], amounts[known])
        return self._log(*parts, self.users_, self.items_)

    def _columns(self, interactions):
        """Return the checked columns users, items, seconds and amounts."""
        check_option(self.unit, "unit", tuple(SECONDS))
        check_option(self.returns, "returns", _RETURNS)
        check_option(self.unknown, "unknown", _UNKNOWN)
        names = [self.user, self.item, self.time]
        if self.amount is not None:
            names.append(self.amount)
        columns = _columns_of(interactions, names)
        users, items = (
            id_array(column, name) for column, name in zip(columns[:2], names[:2], strict=True)
        )
        seconds = seconds_of(columns[2], self.time, self.unit)
        amounts = np.ones(len(users))
        if self.amount is not None:
            amounts = _amount_array(columns[3], self.amount, self.returns)
        lengths = {len(users), len(items), len(seconds), len(amounts)}
        if len(lengths) > 1:
            raise ValueError(f"{', '.join(names)} must have equal lengths, got {sorted(lengths)}")
        if not len(users):
            raise ValueError("interactions must have at least one row, got none")
        return users, items, seconds, amounts

    def _log(self, users, items, seconds, amounts, user_ids, item_ids):
        order = np.lexsort((items, users, seconds))
        parts = [part[order] for part in (users, items, seconds, amounts)]
        if self.returns == "drop":
            parts = [part[parts[3] > 0] for part in parts]
        parts = _merged(*parts)
        if self.returns == "cancel":
            parts = _without_returns(*parts)
        return InteractionLog(*parts, user_ids, item_ids)


def _columns_of(interactions, names):
    """Return the named columns of a frame, structured array or dict, or those of a tuple."""
    if isinstance(interactions, tuple):
        if len(interactions) != len(names):
            raise ValueError(
                f"interactions as a tuple must have the columns {', '.join(names)}, "
                f"got {len(interactions)}"
            )
        return list(interactions)
    if isinstance(interactions, np.ndarray):
        known = interactions.dtype.names or ()
    elif isinstance(interactions, dict) or hasattr(interactions, "columns"):
        known = list(getattr(interactions, "columns", interactions))
    else:
        raise TypeError(
            "interactions must be a data frame, a structured array, a dict or a tuple of columns, "
            f"got {type(interactions).__name__}"
        )
    for name in names:
        if name not in known:
            raise ValueError(f"interactions must have a column {name!r}, got {list(known)}")
    return [interactions[name] for name in names]


def _amount_array(column, name, returns):
    amounts = np.asarray(column)
    if amounts.ndim != 1 or amounts.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be a column of numbers, got {amounts.dtype}")
    amounts = amounts.astype(np.float64)
    if not np.isfinite(amounts).all():
        raise ValueError(f"{name} must be finite, got {amounts[~np.isfinite(amounts)][0]}")
    if returns == "error" and (amounts <= 0).any():
        wrong = amounts[amounts <= 0][0]
        raise ValueError(
            f"{name} must be above 0 unless returns is 'drop' or 'cancel', got {wrong}"
        )
    return amounts


def _merged(users, items, seconds, amounts):
    """Merge sorted rows with the same user, item and time."""
    if not len(users):
        return users, items, seconds, amounts
    new = np.ones(len(users), dtype=bool)
    new[1:] = (np.diff(users) != 0) | (np.diff(items) != 0) | (np.diff(seconds) != 0)
    first = np.flatnonzero(new)
    sums = np.add.reduceat(amounts, first)
    if amounts.min() < 0:
        largest = np.maximum.reduceat(np.abs(amounts), first)
        sums[np.abs(sums) <= _ROUNDING * largest] = 0
    return users[first], items[first], seconds[first], sums


def _without_returns(users, items, seconds, amounts):
    """Subtract returned amounts from the latest purchases of the same user and item before."""
    keys = users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    returned = np.flatnonzero(amounts <= 0)
    affected = np.flatnonzero(np.isin(keys, keys[returned]))
    _, pairs = np.unique(keys[affected], return_inverse=True)
    largest = np.zeros(len(affected))
    np.maximum.at(largest, pairs, np.abs(amounts[affected]))
    negligible = _ROUNDING * largest[pairs]
    left = amounts.copy()
    open_purchases = {}
    for row, least in zip(affected.tolist(), negligible.tolist(), strict=True):
        stack = open_purchases.setdefault(int(keys[row]), [])
        if amounts[row] > 0:
            stack.append(row)
            continue
        rest = -amounts[row]
        while stack and rest > least:
            taken = min(rest, left[stack[-1]])
            left[stack[-1]] -= taken
            rest -= taken
            if left[stack[-1]] <= least:
                left[stack.pop()] = 0
    kept = left > 0
    return users[kept], items[kept], seconds[kept], left[kept]
