"""Training rows for session-aware completion, from logs of queries."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
from sklearn.utils import check_random_state

from .._utils.params import check_boolean, check_integer, check_option
from ._query_features import QueryNormalizer
from ._query_pairs import listed, objects, unmasked

#: What the columns of the forms that have rows are, where they go by their order.
_IN_ORDER = {"log": ("session", "time", "query"), "pairs": ("previous", "query")}

#: Names, in lower case, by which the columns of a data frame are known.
_NAMES = {
    "session": ("session", "session_id", "user", "user_id"),
    "time": ("time", "timestamp"),
    "previous": ("previous", "previous_query"),
    "query": ("query", "next", "next_query"),
    "count": ("count",),
}

#: What can be made use of.
_COMBINATIONS = [
    {"session", "time", "query"},
    {"session", "query"},
    {"previous", "query"},
    {"previous", "query", "count"},
    {"query", "count"},
]

#: Queries are the same where a completer, by default, says so.
_normalizer = QueryNormalizer(lowercase=True, strip_accents=None)


def training_pairs(
    sessions,
    *,
    kind="auto",
    session=None,
    time=None,
    previous=None,
    query=None,
    count=None,
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
        The queries, in one of these forms:

        - a log: (user, time, query), in rows of any order. They are sorted by user and time; of
          equal times, the one that comes first was first. Times are datetimes, ``datetime64``,
          seconds, or strings in ISO 8601 such as "2026-01-31 12:00:00".
        - a log without times: (session, query). The queries of a session are in the order of the
          rows.
        - pairs: (previous query, next query), the previous one "" if there is none. They are
          taken as they are. A third column may tell how often each occurred.
        - counts: (query, how often it occurred), without any previous query.
        - sessions: each a sequence of queries in order.
    kind : {"auto", "log", "pairs", "sessions"}, default="auto"
        Which form it is. "auto" goes by the names of the columns and by the shape: what has columns
        (a data frame of pandas or polars, a two-dimensional array) and a sequence of tuples is a
        log if there are three of them and pairs if there are two; a sequence of anything but
        tuples, such as lists, is one of sessions.
    session, time, previous, query, count : str or int, default=None
        The column of what the parameter says: its name in a data frame, or its position from 0.
        `session` may be that of the user, if there are times. A column of a data frame that is not
        given here is known by its name, whatever its case: one of "session", "session_id", "user",
        "user_id"; "time", "timestamp"; "previous", "previous_query"; "query", "next", "next_query";
        "count". Where these names contradict the order of the columns the names count, and other
        columns are passed over. Where there are none, columns go by their order.
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
    sample_weight : ndarray of float64, shape (n_rows,)
        How often the query occurred, for `SessionQueryCompleter.fit`. Only returned where there is
        a column of counts.

    Raises
    ------
    TypeError
        If `sessions` has none of these forms, or a query is not a str, or times or counts are not
        of one of the types.
    ValueError
        If `sessions` is empty or its rows are not of one length, a time is missing, not finite or
        not written in ISO 8601, a count is negative or not finite, columns are named that are not
        there or do not go together, or a parameter is out of range. Also if two columns without
        names may be anything: without `kind`, they are only taken for pairs if some previous query
        is "" or one of the next queries.

    Notes
    -----
    A query that is equal to the one before it in its session is a page loaded again or a next page
    of results, and is passed over, as is one of nothing but blanks; both show that the user was
    there. Queries that differ only in case, in blanks or in how accents are composed are equal
    here, as they are to a SessionQueryCompleter. A query shorter than `min_length` makes no rows,
    but is the previous query of the next. Queries are taken as they are spelt.

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

    Queries with counts:

    >>> X, y, sample_weight = training_pairs(
    ...     [("tea", 120), ("tea pot", 7)], query=0, count=1, random_state=0
    ... )
    >>> y.tolist(), sample_weight.tolist()
    (['tea', 'tea pot'], [120.0, 7.0])
    """
    check_option(kind, "kind", ("auto", "log", "pairs", "sessions"))
    check_boolean(first_queries, "first_queries")
    check_integer(n_prefixes, "n_prefixes", 1)
    check_integer(min_length, "min_length", 0)
    if max_length is not None:
        check_integer(max_length, "max_length", max(1, min_length))
    idle_seconds = _check_idle_gap(idle_gap)
    given = {"session": session, "time": time, "previous": previous, "query": query, "count": count}
    befores, queries, counts = _previous_and_queries(sessions, kind, given, idle_seconds)
    longest = _longest_prefixes(befores, queries, first_queries, max_length)
    rows = np.flatnonzero(longest >= max(1, min_length))
    rng = check_random_state(random_state)
    lengths = rng.randint(min_length, longest[rows, np.newaxis] + 1, size=(len(rows), n_prefixes))
    rows = np.repeat(rows, n_prefixes)
    X, y = np.empty((len(rows), 2), dtype=object), queries[rows]
    X[:, 0] = befores[rows]
    X[:, 1] = [query[:length] for query, length in zip(y, lengths.ravel(), strict=True)]
    return (X, y) if counts is None else (X, y, counts[rows])


def _previous_and_queries(sessions, kind, given, idle_seconds):
    """Return each query that was made, the one before it in its session ("" for none) and counts.

    Returns
    -------
    previous, queries : ndarray of str objects
    counts : ndarray of float64 or None
    """
    content = _recognised(sessions, kind, given)
    if isinstance(content, list):
        return *_consecutive(*_joined(content)), None
    queries, counts = _check_queries(content, "query"), None
    if "count" in content:
        counts = _check_counts(content["count"])
    if "session" not in content:
        return _previous_of_pairs(content, queries), queries, counts
    users = _check_users(content["session"])
    times = _check_times(content["time"]) if "time" in content else np.zeros(len(users))
    order = np.lexsort((times, users))
    begins = _begins(users[order], times[order], idle_seconds)
    return *_consecutive(queries[order], begins), counts


def _previous_of_pairs(content, queries):
    """Return the previous queries, where there are no sessions."""
    if "previous" not in content:
        return objects([""] * len(queries))
    previous = _check_queries(content, "previous")
    blank = [text == "" or text.isspace() for text in previous]
    return np.where(blank, "", previous)


def _longest_prefixes(previous, queries, first_queries, max_length):
    """Return how long a query's prefix may be, 0 for a query that makes no rows."""
    longest = np.array([0 if query.isspace() else len(query) for query in queries], dtype=np.int64)
    if max_length is not None:
        longest = np.minimum(longest, max_length)
    if not first_queries:
        longest[previous == ""] = 0
    return longest


# ---- from a form to queries in order ----


def _recognised(sessions, kind, given):
    """Return the list of sessions, or the columns of a table by what they are."""
    columns, names = _columns(sessions)
    given = {role: column for role, column in given.items() if column is not None}
    if columns is None:
        rows = _check_rows(sessions)
        if not given and (_kind_of_rows(rows) if kind == "auto" else kind) == "sessions":
            return rows
        columns = _transposed(rows, kind, given)
    roles = _roles(kind, given, names, len(columns))
    if len(columns[0]) == 0:
        raise ValueError("sessions must hold at least one row, got none")
    content = _Content(names)
    for role, place in roles.items():
        content.places[role], content[role] = place, columns[place]
    if kind == "auto" and not given and tuple(roles) == _IN_ORDER["pairs"] and not _known(names):
        _check_that_pairs_are_meant(content)
    return content


class _Content(dict):
    """Columns by what they are, and where each of them was."""

    def __init__(self, names):
        super().__init__()
        self.names, self.places = names, {}

    def described(self, role):
        """What a message calls a column."""
        place = self.places[role]
        return place if self.names is None else repr(self.names[place])


def _columns(sessions):
    """Return the columns of what is two-dimensional, and their names; None for anything else."""
    if len(getattr(sessions, "shape", ())) != 2:
        return None, None
    names = list(sessions.columns) if hasattr(sessions, "columns") else None
    if hasattr(sessions, "iloc"):  # pandas, where names may occur twice
        return [sessions.iloc[:, j] for j in range(sessions.shape[1])], names
    if hasattr(sessions, "get_columns"):  # polars
        return sessions.get_columns(), names
    return list(np.asarray(unmasked(sessions)).T), names


def _kind_of_rows(rows):
    """Return what a sequence holds: rows if these are tuples, else sessions."""
    n_tuples = sum(isinstance(row, tuple) for row in rows)
    if n_tuples == 0:
        return "sessions"
    lengths = {len(row) for row in rows if isinstance(row, tuple)}
    if n_tuples < len(rows) or lengths not in ({2}, {3}):
        raise ValueError(
            "sessions as a sequence of tuples must hold only (user, time, query) or only "
            "(previous, next); give sessions as lists of queries, and name other columns, as in "
            "session=0, query=1"
        )
    return "rows"


def _transposed(rows, kind, given):
    """Return the columns of rows, as lists."""
    width = len(_IN_ORDER[kind]) if kind in _IN_ORDER and not given else _width(rows[0])
    for i, row in enumerate(rows):
        if _width(row) != width or not width:
            raise ValueError(
                f"sessions with columns must hold rows of {width} elements, but sessions"
                f"[{i}] is {row!r:.80}"
            )
    return [list(column) for column in zip(*rows, strict=True)]


def _width(row):
    return len(row) if hasattr(row, "__len__") and not isinstance(row, (str, bytes)) else 0


# ---- which column is what ----


def _roles(kind, given, names, n_columns):
    """Return the position of each column that is made use of, by what it is."""
    known = _known(names)
    roles = None if given else _by_order(kind, known, n_columns)
    if roles is None:
        roles = {role: _position(column, role, names, n_columns) for role, column in given.items()}
        if len(set(roles.values())) < len(roles):
            raise ValueError(f"sessions must have a column for each of {given}, not one for two")
        taken = {*roles, *roles.values()}
        roles |= {role: place for role, place in known.items() if not {role, place} & taken}
    _check_combination(kind, roles, given, n_columns)
    return roles


def _by_order(kind, known, n_columns):
    """Return what columns are by their order; None if it is not that of a form, or names differ."""
    for name, order in _IN_ORDER.items():
        roles = {role: place for place, role in enumerate(order)}
        if kind in ("auto", name) and len(roles) == n_columns and known.items() <= roles.items():
            return roles
    return None


def _known(names):
    """Return the positions of the columns whose names tell what they are."""
    lowered = [str(name).lower() for name in names or ()]
    known = {}
    for role, synonyms in _NAMES.items():
        places = [place for place, name in enumerate(lowered) if name in synonyms]
        exact = [place for place in places if lowered[place] == role]
        if len(exact or places) == 1:
            (known[role],) = exact or places
    return known


def _position(column, role, names, n_columns):
    """Return the position of a column that is named, or numbered."""
    if isinstance(column, str):
        places = [place for place, name in enumerate(names or ()) if name == column]
        if len(places) == 1:
            return places[0]
        raise ValueError(
            f"{role} must name one column of sessions, got {column!r}; "
            + (f"there are {names}" if names else "there are no names, only positions")
        )
    check_integer(column, role, 0, n_columns - 1)
    return int(column)


def _check_combination(kind, roles, given, n_columns):
    """Raise unless the columns are those of one of the forms, of the kind that was asked for."""
    fits = {"log": "session" in roles, "pairs": "previous" in roles, "auto": True}.get(kind, False)
    if fits and set(roles) in _COMBINATIONS:
        return
    if not given and not roles:
        raise ValueError(
            "sessions as a table must be a log of three columns (user, time, query) or pairs in "
            f"two (previous, next), got {n_columns} columns; name others, as in session=0, query=1"
        )
    raise ValueError(
        f"sessions as a table must have the columns session, time (if any) and query, or previous "
        f"and query, or query and count; with kind={kind!r}, got {n_columns} columns, of which "
        f"these are known: {', '.join(roles) or 'none'}"
    )


def _check_that_pairs_are_meant(content):
    """Raise where no previous query is "" or some next one: then it may be anything else."""
    previous, queries = (_check_queries(content, role) for role in ("previous", "query"))
    previous = set(map(_normalizer.query, previous))
    if "" not in previous and previous.isdisjoint(map(_normalizer.query, queries)):
        raise ValueError(
            "sessions has two columns, of which the first may hold previous queries or something "
            f"else, such as sessions: none of it, such as {content['previous'][0]!r:.80}, is one "
            'of the queries or "". Say kind="pairs" if it is previous queries, session=0, query=1 '
            "if it tells sessions apart"
        )


# ---- queries in order ----


def _joined(sessions):
    """Return the queries of all sessions, and which of them begin one."""
    lists = [_check_session(session, i) for i, session in enumerate(sessions)]
    queries = objects([query for session in lists for query in session])
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
    """Pass over repetitions and what is blank; return the previous queries and the queries."""
    session, texts = np.cumsum(begins), objects(map(_normalizer.query, queries))
    kept = np.flatnonzero(texts != "")
    repeats = np.zeros(len(kept), dtype=bool)
    repeats[1:] = (texts[kept[1:]] == texts[kept[:-1]]) & (session[kept[1:]] == session[kept[:-1]])
    kept = kept[~repeats]
    queries, session = queries[kept], session[kept]
    previous = objects([""] * len(queries))
    follows = np.flatnonzero(session[1:] == session[:-1]) + 1
    previous[follows] = queries[follows - 1]
    return previous, queries


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


def _check_queries(content, role):
    """Return a column of a table, which holds strings, as objects."""
    values = listed(content[role])
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(
                f"sessions must hold queries as strings in column {content.described(role)}, got "
                f"{value!r:.80} in row {i}; other columns can be named, as in session=0, query=1, "
                "count=2"
            )
    return objects(values)


def _check_counts(column):
    """Return counts in float64."""
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


def _check_users(column):
    """Return the users as numbers in their order."""
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


def _check_times(column):
    """Return times as datetime64 or as seconds in float64."""
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
