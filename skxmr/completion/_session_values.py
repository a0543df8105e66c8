"""Checks of the columns of session data: queries, counts, users and times."""

import numbers
from datetime import UTC, date, datetime

import numpy as np

from .._utils.matrices import any_missing
from .._utils.texts import objects
from ._query_pairs import listed


def query_column(content, role):
    """Validate a column of strings and return it as an array of objects."""
    values = listed(content[role])
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(
                f"sessions must hold queries as strings in column {content.described(role)}, got "
                f"{value!r:.80} in row {i}; other columns can be named, as in session=0, query=1, "
                "count=2"
            )
    return objects(values)


def count_column(column):
    """Validate a column of counts and return it in float64."""
    values = listed(column)
    for i, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"sessions must have numbers as counts, got {value!r:.80} in row {i}")
        if not 0 <= value < np.inf:
            raise ValueError(
                f"sessions must have counts that are finite and not negative, got {value!r} in "
                f"row {i}"
            )
    return np.array(values, dtype=np.float64)


def user_column(column):
    """Validate a column of users and return their ranks in sorted order."""
    values = listed(column)
    _refuse_missing(values, "user")
    if any(isinstance(value, date) for value in values):
        raise TypeError(
            "sessions must have users, not times, in its first column; name the columns if they "
            "are in another order, as in session=1, time=0, query=2"
        )
    try:
        ranks = {user: rank for rank, user in enumerate(sorted(set(values)))}
    except TypeError as error:
        raise TypeError(
            f"sessions must have users that can be sorted, such as strings only: {error}"
        ) from error
    return np.array([ranks[user] for user in values])


def time_column(column):
    """Validate a column of times and return it as datetime64, or in seconds as float64."""
    times = np.asarray(column if hasattr(column, "dtype") else objects(column))
    if times.dtype.kind in "OU":
        times = _times_of_objects(times.tolist())
    if times.dtype.kind in "iuf":
        times = times.astype(np.float64)
    elif times.dtype.kind != "M":
        raise TypeError(
            "sessions must have strings in ISO 8601, datetimes, datetime64 or seconds as times, "
            f"got an array of {times.dtype}"
        )
    if not np.isfinite(times).all():
        i = np.flatnonzero(~np.isfinite(times))[0]
        raise ValueError(
            f"sessions must have a finite time in every row, got {times[i]} in row {i}"
        )
    return times


def _times_of_objects(values):
    """Return an array of times from Python objects of one type."""
    _refuse_missing(values, "time")
    if all(isinstance(value, str) for value in values):
        values = [_parsed_time(value, i) for i, value in enumerate(values)]
    if all(isinstance(value, datetime) for value in values):
        return _times_of_datetimes(values)
    if all(isinstance(value, np.datetime64) for value in values):
        return np.array(values)
    if all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.float64)
    kinds = sorted({type(value).__name__ for value in values})
    raise TypeError(
        "sessions must have strings in ISO 8601, datetimes, datetime64 or seconds as times, "
        f"got {', '.join(kinds)}"
    )


def _parsed_time(text, i):
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            "sessions must have strings in ISO 8601 as times, such as '2026-01-31 12:00:00', if "
            f"they are strings, got {text!r:.80} in row {i}"
        ) from None


def _times_of_datetimes(values):
    """Return datetimes as datetime64. Those with a time zone are converted to UTC."""
    n_aware = sum(value.tzinfo is not None for value in values)
    if 0 < n_aware < len(values):
        raise ValueError("sessions must have times all with a time zone or all without, got both")
    if n_aware:
        values = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return np.array(values, dtype="datetime64[us]")


def _refuse_missing(values, what):
    """Raise ValueError if a value is missing: None, NaN, NaT or the NA of pandas."""
    if not any_missing(objects(values)):
        return
    for i, value in enumerate(values):
        if any_missing(objects([value])):
            raise ValueError(f"sessions must have a {what} in every row, got {value!r} in row {i}")
