"""Times as seconds since 1970, and durations as days."""

import datetime
import numbers
import re

import numpy as np

from .._utils.params import check_option

#: Seconds of each unit of time.
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "D": 86400.0, "W": 604800.0}

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]+)\s*")


def seconds_of(values, name, unit="s"):
    """Return times as seconds since 1970-01-01, UTC.

    Parameters
    ----------
    values : array-like of shape (n,)
        Datetimes, ISO 8601 texts, numbers of `unit`, or periods of pandas, whose start counts.
    name : str
        Name of the parameter, for error messages.
    unit : {"s", "min", "h", "D", "W"}, default="s"

    Returns
    -------
    seconds : ndarray of float64, shape (n,)

    Raises
    ------
    ValueError
        If a value is missing or not finite, or no time.
    """
    check_option(unit, "unit", tuple(SECONDS))
    array = _time_array(values, name)
    if array.dtype.kind == "M":
        if np.isnat(array).any():
            raise ValueError(f"{name} must not have missing values, got NaT")
        whole = array.astype("datetime64[s]")
        rest = (array - whole) / np.timedelta64(1, "s")
        return whole.astype(np.int64) + rest
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold datetimes or numbers, got {array.dtype}")
    seconds = array.astype(np.float64) * SECONDS[unit]
    if not np.isfinite(seconds).all():
        raise ValueError(f"{name} must be finite, got {seconds[~np.isfinite(seconds)][0]}")
    return seconds


def _time_array(values, name):
    """Return times as an array of numbers or of datetime64 in UTC."""
    dtype = getattr(values, "dtype", None)
    if hasattr(values, "dt") and getattr(dtype, "tz", None) is not None:  # a column of pandas
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif str(dtype).startswith("period["):
        values = getattr(values, "dt", values).to_timestamp(how="start")
    array = np.atleast_1d(np.asarray(values))
    if array.dtype.kind not in "OUT":
        return array
    try:
        times = [_without_zone(value) for value in array.tolist()]
        return np.array(times, dtype="datetime64[us]")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold datetimes or numbers: {error}") from error


def _without_zone(value):
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    if hasattr(value, "to_timestamp"):  # a period of pandas
        value = value.to_timestamp(how="start")
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    if value is None or isinstance(value, numbers.Number):
        raise ValueError(f"got {value!r} among texts or objects")
    return value


def days_of(duration, name):
    """Return a duration in days.

    Parameters
    ----------
    duration : str, number, datetime.timedelta or numpy.timedelta64
        A text is a number and a unit, such as "14D" or "12h". A number is days.
    name : str
        Name of the parameter, for error messages.

    Returns
    -------
    days : float
        Above 0.
    """
    days = None
    if isinstance(duration, str):
        match = _DURATION.fullmatch(duration)
        if match and match[2] in SECONDS:
            days = float(match[1]) * SECONDS[match[2]] / SECONDS["D"]
    elif isinstance(duration, np.timedelta64):
        days = float(duration / np.timedelta64(1, "D"))
    elif isinstance(duration, datetime.timedelta):
        days = duration / datetime.timedelta(days=1)
    elif isinstance(duration, numbers.Real) and not isinstance(duration, (bool, np.bool_)):
        days = float(duration)
    if days is None:
        raise TypeError(
            f"{name} must be a number of days, a timedelta or a text such as '14D' or '12h', "
            f"got {duration!r:.80}"
        )
    if not 0 < days < np.inf:
        raise ValueError(f"{name} must be finite and above 0, got {duration!r:.80}")
    return days


def datetimes(seconds):
    """Return seconds since 1970 as an array of datetime64 with microseconds."""
    return np.round(np.asarray(seconds) * 1e6).astype("datetime64[us]")
