"""Training rows for session-aware completion, from logs of queries."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from sklearn.utils import check_random_state

from ._validation import check_boolean, check_integer, check_option

__all__ = ["training_pairs"]

#: Columns of the forms that have rows.
_N_COLUMNS = {"log": 3, "pairs": 2}


def training_pairs(
    sessions,
    *,
    kind="auto",
    idle_gap=timedelta(minutes=30),
    first_queries=True,
    n_prefixes=1,
    min_length=0,
    max_length=None,
    random_state=None,
):
    """Make training rows for completion from a log of queries.

    A row is what is known while a query is typed: the query before it in the session, and its
    first few characters. How many of them is drawn, each number as likely as any other [1]_.

    Parameters
    ----------
    sessions : data frame, array-like or sequence
        The queries, in one of three forms:

        - a log: (user, time, query), in rows of any order. They are sorted by user and time; of
          equal times, the one that comes first was first. Times are datetimes, ``datetime64`` or
          seconds.
        - pairs: (previous query, next query), the previous one "" if there is none. They are
          taken as they are.
        - sessions: each a sequence of queries in order.
    kind : {"auto", "log", "pairs", "sessions"}, default="auto"
        Which form it is. "auto" goes by the shape: what has columns (a data frame of pandas or
        polars, a two-dimensional array) and a sequence of tuples is a log if there are three of
        them and pairs if there are two; a sequence of anything but tuples, such as lists, is one of
        sessions. Columns go by their order, not by their names.
    idle_gap : timedelta, numpy.timedelta64 or float, default=30 minutes
        In a log, a user who makes no query for this long, or longer, begins a new session. A number
        is one of seconds. Means nothing to the other forms.
    first_queries : bool, default=True
        Whether the first query of a session, which has no previous one, makes rows as well.
    n_prefixes : int, default=1
        How many prefixes are drawn for each query, independently: some may be equal.
    min_length, max_length : int, default=0 and None
        Bounds of a prefix's length in characters; None for the length of the query. With prefixes
        of length 0, what comes next can be suggested before anything is typed.
    random_state : int, RandomState instance or None, default=None
        Draws the lengths.

    Returns
    -------
    X : ndarray of str objects, shape (n_rows, 2)
        The previous query, "" if there is none, and the prefix.
    y : ndarray of str objects, shape (n_rows,)
        The query that was meant.

    Raises
    ------
    TypeError
        If `sessions` has none of these forms, or a query is not a str, or times are not of one of
        the three types.
    ValueError
        If `sessions` is empty or its rows are not of one length, a time is missing or not finite,
        or a parameter is out of range.

    Notes
    -----
    A query that is equal to the one before it in its session is a page loaded again or a next page
    of results, and is passed over, as is one without any character; both show that the user was
    there. A query shorter than `min_length` makes no rows, but is the previous query of the next.
    Queries are taken as they are spelt.

    Rows come session by session, those of a log in the order of users and times.

    References
    ----------
    .. [1] N. Yadav, R. Sen, D. Hill, A. Mazumdar and I. Dhillon, "Session-aware query
       auto-completion using extreme multi-label ranking", KDD 2021.

    Examples
    --------
    >>> from skxmr.completion import training_pairs
    >>> log = [
    ...     ("ann", 0, "garden chair"),
    ...     ("bob", 5, "tea"),
    ...     ("ann", 60, "garden table"),
    ...     ("ann", 7200, "novels"),
    ... ]
    >>> X, y = training_pairs(log, random_state=11)
    >>> for (previous, prefix), query in zip(X, y):
    ...     print(f"{previous!r}, {prefix!r} -> {query!r}")
    '', 'garden ch' -> 'garden chair'
    'garden chair', '' -> 'garden table'
    '', 'nov' -> 'novels'
    '', 't' -> 'tea'
    """
    check_option(kind, "kind", ("auto", "log", "pairs", "sessions"))
    check_boolean(first_queries, "first_queries")
    check_integer(n_prefixes, "n_prefixes", 1)
    check_integer(min_length, "min_length", 0)
    if max_length is not None:
        check_integer(max_length, "max_length", max(1, min_length))
    idle_seconds = _check_idle_gap(idle_gap)
    previous, queries = _previous_and_queries(sessions, kind, idle_seconds)
    if not first_queries:
        follows = previous != ""
        previous, queries = previous[follows], queries[follows]
    rng = check_random_state(random_state)
    return _with_prefixes(previous, queries, n_prefixes, min_length, max_length, rng)


def _previous_and_queries(sessions, kind, idle_seconds):
    """Return each query that was made and the one before it in its session, "" for none."""
    kind, content = _recognised(sessions, kind)
    if kind == "sessions":
        return _consecutive(*_joined(content))
    if kind == "pairs":
        return _check_queries(content[0], 0), _check_queries(content[1], 1)
    users, times, queries = content
    users, times, queries = _check_users(users), _check_times(times), _check_queries(queries, 2)
    order = np.lexsort((times, users))
    return _consecutive(queries[order], _begins(users[order], times[order], idle_seconds))


def _with_prefixes(previous, queries, n_prefixes, min_length, max_length, rng):
    """Return X and y with prefixes of the queries that are long enough for one."""
    longest = np.array([len(query) for query in queries], dtype=np.int64)
    if max_length is not None:
        longest = np.minimum(longest, max_length)
    able = longest >= max(1, min_length)
    previous, queries, longest = previous[able], queries[able], longest[able]
    lengths = rng.randint(min_length, longest[:, np.newaxis] + 1, size=(len(queries), n_prefixes))
    y = np.repeat(queries, n_prefixes)
    X = np.empty((len(y), 2), dtype=object)
    X[:, 0] = np.repeat(previous, n_prefixes)
    X[:, 1] = [query[:length] for query, length in zip(y, lengths.ravel(), strict=True)]
    return X, y


# ---- from a form to queries in order ----


def _recognised(sessions, kind):
    """Return the kind of the input, and its columns or the list of its sessions."""
    columns = _columns(sessions)
    if columns is None:
        rows = _check_rows(sessions)
        kind = _kind_of_rows(rows) if kind == "auto" else kind
        if kind == "sessions":
            return kind, rows
        return kind, _transposed(rows, kind)
    if kind == "auto":
        kind = {3: "log", 2: "pairs"}.get(len(columns))
    if len(columns) != _N_COLUMNS.get(kind):
        raise ValueError(
            "sessions as a table must be a log of three columns (user, time, query) or pairs in "
            f"two (previous, next), got {len(columns)} columns"
        )
    if len(columns[0]) == 0:
        raise ValueError("sessions must hold at least one row, got none")
    return kind, columns


def _columns(sessions):
    """Return the columns of what is two-dimensional, None for anything else."""
    if len(getattr(sessions, "shape", ())) != 2:
        return None
    if hasattr(sessions, "iloc"):  # pandas, where names may occur twice
        return [sessions.iloc[:, j] for j in range(sessions.shape[1])]
    if hasattr(sessions, "get_columns"):  # polars
        return sessions.get_columns()
    return list(np.asarray(sessions).T)


def _kind_of_rows(rows):
    """Return what a sequence holds: rows if these are tuples, else sessions."""
    n_tuples = sum(isinstance(row, tuple) for row in rows)
    if n_tuples == 0:
        return "sessions"
    lengths = {len(row) for row in rows if isinstance(row, tuple)}
    if n_tuples < len(rows) or lengths not in ({2}, {3}):
        raise ValueError(
            "sessions as a sequence of tuples must hold only (user, time, query) or only "
            "(previous, next); give sessions as lists of queries"
        )
    return "log" if lengths == {3} else "pairs"


def _transposed(rows, kind):
    """Return the columns of rows, as lists."""
    width = _N_COLUMNS[kind]
    for i, row in enumerate(rows):
        if isinstance(row, (str, bytes)) or not hasattr(row, "__len__") or len(row) != width:
            raise ValueError(
                f"sessions with kind={kind!r} must hold rows of {width} elements, but sessions"
                f"[{i}] is {row!r:.80}"
            )
    return [list(column) for column in zip(*rows, strict=True)]


def _joined(sessions):
    """Return the queries of all sessions, and which of them begin one."""
    lists = [_check_session(session, i) for i, session in enumerate(sessions)]
    queries = _objects([query for session in lists for query in session])
    begins = np.zeros(len(queries), dtype=bool)
    ends = np.cumsum([len(session) for session in lists])
    begins[[end - len(session) for end, session in zip(ends, lists, strict=True) if session]] = True
    return queries, begins


def _begins(users, times, idle_seconds):
    """Return which rows, sorted by user and time, begin a session."""
    idle = np.diff(times)
    if idle.dtype.kind == "m":
        idle = idle / np.timedelta64(1, "s")
    return np.append(True, (users[1:] != users[:-1]) | (idle >= idle_seconds))


def _consecutive(queries, begins):
    """Pass over repetitions and what is empty; return the previous queries and the queries."""
    session = np.cumsum(begins)
    queries, session = _taken(queries, session, queries != "")
    repeats = np.zeros(len(queries), dtype=bool)
    repeats[1:] = (queries[1:] == queries[:-1]) & (session[1:] == session[:-1])
    queries, session = _taken(queries, session, ~repeats)
    previous = _objects([""] * len(queries))
    follows = np.flatnonzero(session[1:] == session[:-1]) + 1
    previous[follows] = queries[follows - 1]
    return previous, queries


def _taken(queries, session, kept):
    return queries[kept], session[kept]


def _objects(values):
    return np.fromiter(values, dtype=object, count=len(values))


# ---- checks ----


def _check_idle_gap(idle_gap):
    """Return the gap in seconds."""
    seconds = idle_gap
    if isinstance(idle_gap, timedelta):
        seconds = idle_gap.total_seconds()
    elif isinstance(idle_gap, np.timedelta64):
        seconds = idle_gap / np.timedelta64(1, "s")
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real):
        raise TypeError(f"idle_gap must be a timedelta or a number of seconds, got {idle_gap!r}")
    if not seconds > 0:
        raise ValueError(f"idle_gap must be positive, got {idle_gap!r}")
    return float(seconds)


def _check_rows(sessions):
    """Return the elements of a sequence, of which there is at least one."""
    if isinstance(sessions, (str, bytes, Mapping)) or not isinstance(sessions, Iterable):
        raise TypeError(f"sessions must be a table or a sequence, got {sessions!r:.80}")
    rows = list(sessions)
    if not rows:
        raise ValueError("sessions must hold at least one session or row, got none")
    return rows


def _check_session(session, i):
    """Return session i as a list of strings."""
    if isinstance(session, (str, bytes, Mapping)) or not isinstance(session, Iterable):
        raise TypeError(
            f"sessions must hold sequences of queries, but sessions[{i}] is {session!r:.80}"
        )
    queries = list(session)
    for j, query in enumerate(queries):
        if not isinstance(query, str):
            raise TypeError(
                f"sessions must hold queries as strings, but sessions[{i}][{j}] is {query!r:.80} "
                "(rows of a log are tuples, or come with kind='log')"
            )
    return queries


def _check_queries(column, j):
    """Return column j of a table, which holds strings, as objects."""
    values = _values(column)
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(
                f"sessions must hold queries as strings in column {j}, got {value!r:.80} in row {i}"
            )
    return _objects(values)


def _check_users(column):
    """Return the users as numbers in their order."""
    values = _values(column)
    _refuse_missing(values, "user")
    try:
        ranks = {user: rank for rank, user in enumerate(sorted(set(values)))}
    except TypeError as error:
        raise TypeError(
            f"sessions must have users that can be sorted, such as strings only: {error}"
        ) from error
    return np.array([ranks[user] for user in values])


def _check_times(column):
    """Return times as datetime64 or as seconds in float64."""
    times = column if hasattr(column, "dtype") else _objects(column)
    times = np.asarray(times)
    if times.dtype == object:
        times = _times_of_objects(times.tolist())
    if times.dtype.kind in "iuf":
        times = times.astype(np.float64)
    elif times.dtype.kind != "M":
        raise TypeError(
            "sessions must have datetimes, datetime64 or seconds as times, got an array of "
            f"{times.dtype}"
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
    if all(isinstance(value, datetime) for value in values):
        return _times_of_datetimes(values)
    if all(isinstance(value, np.datetime64) for value in values):
        return np.array(values)
    if all(isinstance(value, numbers.Real) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.float64)
    kinds = sorted({type(value).__name__ for value in values})
    raise TypeError(
        f"sessions must have datetimes, datetime64 or seconds as times, got {', '.join(kinds)}"
    )


def _times_of_datetimes(values):
    """Return datetimes as datetime64, those with a time zone in UTC."""
    n_aware = sum(value.tzinfo is not None for value in values)
    if 0 < n_aware < len(values):
        raise ValueError("sessions must have times all with a time zone or all without, got both")
    if n_aware:
        values = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return np.array(values, dtype="datetime64[us]")


def _refuse_missing(values, what):
    """Raise if a value is None, or NaN or NaT, which are not equal to themselves."""
    for i, value in enumerate(values):
        if value is None or value != value:
            raise ValueError(f"sessions must have a {what} in every row, got {value!r} in row {i}")


def _values(column):
    """Return the elements of a sequence, an array or a series as a list."""
    return column if isinstance(column, list) else np.asarray(column).tolist()
