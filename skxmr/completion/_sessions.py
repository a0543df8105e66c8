"""Training rows for session-aware completion, from logs of queries."""

import numbers
from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np
from sklearn.utils import check_random_state

from .._utils.params import check_boolean, check_integer, check_option
from .._utils.texts import objects
from ._query_features import DEFAULT_NORMALIZER
from ._session_columns import recognized_columns
from ._session_values import count_column, query_column, time_column, user_column


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

    A row consists of the previous query in the session and a prefix of the query. The length of the
    prefix is drawn uniformly [1]_.

    Parameters
    ----------
    sessions : data frame, array-like or sequence
        The queries, in one of these forms:

        - a log: (user, time, query), in rows of any order. They are sorted by user and time. Rows
          with equal times stay in their order. Times are datetimes, ``datetime64``, seconds, or
          strings in ISO 8601 such as "2026-01-31 12:00:00".
        - a log without times: (session, query). The queries of a session are in the order of the
          rows.
        - pairs: (previous query, next query). The previous query is "" if there is none. Pairs
          are not changed. A third column may have the number of times each pair occurred. Without
          names of columns, these need ``kind="pairs"``.
        - counts: (query, number of times it occurred), without previous queries.
        - sessions: a sequence of sessions, each of which is a sequence of queries in order.
    kind : {"auto", "log", "pairs", "sessions"}, default="auto"
        The form of `sessions`. With "auto", the names of the columns and the shape determine the
        form. Data with columns (a data frame of pandas or polars, a two-dimensional array) and
        sequences of tuples are a log if there are three columns, and pairs if there are two. A
        sequence of other elements, such as lists, is a sequence of sessions.
    session : str or int, default=None
        The column of the session: its name in a data frame, or its position from 0. If there are
        times, it may be the column of the user. A column of a data frame that no parameter gives is
        recognized by its name: "session", "session_id", "user" or "user_id" here. Case does not
        matter. If the names contradict the order of the columns, the names are used, and columns
        with other names are ignored. Without known names, the order of the columns is used.
    time : str or int, default=None
        The column of the time, by default "time" or "timestamp".
    previous : str or int, default=None
        The column of the previous query, by default "previous" or "previous_query".
    query : str or int, default=None
        The column of the query, by default "query", "next" or "next_query".
    count : str or int, default=None
        The column of the count, by default "count".
    idle_gap : timedelta, numpy.timedelta64 or float, default=30 minutes
        In a log, a new session begins if a user makes no query for at least this time. A number is
        in seconds. Ignored for other forms.
    first_queries : bool, default=True
        Whether there are rows for the first query of a session, which has no previous query.
    n_prefixes : int, default=1
        Number of prefixes of each query. They are drawn independently, so that some may be equal.
    min_length : int, default=0
        Minimum length of a prefix in characters. A model that is trained with prefixes of length 0
        can suggest queries before anything is typed.
    max_length : int, default=None
        Maximum length of a prefix in characters. By default, the length of the query.
    random_state : int, RandomState instance or None, default=None
        Determines the lengths.

    Returns
    -------
    X : ndarray of str objects, shape (n_rows, 2)
        The previous query, "" if there is none, and the prefix.
    y : ndarray of str objects, shape (n_rows,)
        The query.
    sample_weight : ndarray of float64, shape (n_rows,)
        Number of times the query occurred, for `SessionQueryCompleter.fit`. Only returned if there
        is a column of counts.

    Raises
    ------
    TypeError
        If `sessions` has none of these forms, a query is not a str, or times or counts have another
        type.
    ValueError
        If `sessions` is empty or its rows have different lengths, a time is missing, not finite or
        not in ISO 8601, a count is negative or not finite, a given column does not exist, the
        columns are no valid combination, or a parameter is out of range. Also if two columns
        without names are ambiguous: with ``kind="auto"``, they are pairs only if some previous
        query is "" or one of the next queries.

    Notes
    -----
    A query that is equal to the previous query of its session is ignored: it is a reloaded page or
    the next page of results. A query of whitespace only is ignored, too. The times of both still
    count for `idle_gap`. Queries are equal if they differ only in case, in whitespace or in the
    composition of accents, as in SessionQueryCompleter. There are no rows for a query shorter than
    `min_length`, but it is the previous query of the next one. The spelling of queries is not
    changed.

    Rows are in the order of the sessions, and those of a log in the order of users and times.

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
    y = queries[rows]
    X = np.empty((len(rows), 2), dtype=object)
    X[:, 0] = befores[rows]
    X[:, 1] = [query[:length] for query, length in zip(y, lengths.ravel(), strict=True)]
    return (X, y) if counts is None else (X, y, counts[rows])


def _previous_and_queries(sessions, kind, given, idle_seconds):
    """Return all queries in order, the previous query of each, and the counts.

    Returns
    -------
    previous : ndarray of str objects
        "" if there is none.
    queries : ndarray of str objects
    counts : ndarray of float64 or None
    """
    content = recognized_columns(sessions, kind, given)
    if isinstance(content, list):
        previous, queries = _consecutive(*_joined(content))
        return previous, queries, None
    queries = query_column(content, "query")
    counts = count_column(content["count"]) if "count" in content else None
    if "session" not in content:
        return _previous_of_pairs(content, queries), queries, counts
    users = user_column(content["session"])
    times = time_column(content["time"]) if "time" in content else np.zeros(len(users))
    order = np.lexsort((times, users))
    begins = _begins(users[order], times[order], idle_seconds)
    previous, queries = _consecutive(queries[order], begins)
    return previous, queries, counts


def _previous_of_pairs(content, queries):
    """Return the previous queries of a table without sessions."""
    if "previous" not in content:
        return objects([""] * len(queries))
    previous = query_column(content, "previous")
    blank = [text == "" or text.isspace() for text in previous]
    return np.where(blank, "", previous)


def _longest_prefixes(previous, queries, first_queries, max_length):
    """Return the maximum length of a prefix of each query, 0 for a query without rows."""
    longest = np.array([0 if query.isspace() else len(query) for query in queries], dtype=np.int64)
    if max_length is not None:
        longest = np.minimum(longest, max_length)
    if not first_queries:
        longest[previous == ""] = 0
    return longest


def _joined(sessions):
    """Return the queries of all sessions, and whether each begins a session."""
    lists = [_check_session(session, i) for i, session in enumerate(sessions)]
    queries = objects([query for session in lists for query in session])
    begins = np.zeros(len(queries), dtype=bool)
    lengths = np.array([len(session) for session in lists])
    starts = np.cumsum(lengths) - lengths
    begins[starts[lengths > 0]] = True
    return queries, begins


def _begins(users, times, idle_seconds):
    """Return whether each row begins a session. Rows are sorted by user and time."""
    idle = np.diff(times)
    if idle.dtype.kind == "m":
        idle = idle / np.timedelta64(1, "s")
    return np.append(True, (users[1:] != users[:-1]) | (idle >= idle_seconds))


def _consecutive(queries, begins):
    """Remove blank and repeated queries; return the previous queries and the queries."""
    session = np.cumsum(begins)
    texts = objects(map(DEFAULT_NORMALIZER.query, queries))
    kept = np.flatnonzero(texts != "")
    repeats = np.zeros(len(kept), dtype=bool)
    repeats[1:] = (texts[kept[1:]] == texts[kept[:-1]]) & (session[kept[1:]] == session[kept[:-1]])
    kept = kept[~repeats]
    queries = queries[kept]
    session = session[kept]
    previous = objects([""] * len(queries))
    follows = np.flatnonzero(session[1:] == session[:-1]) + 1
    previous[follows] = queries[follows - 1]
    return previous, queries


def _check_session(session, i):
    """Validate session i and return it as a list of strings."""
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


def _check_idle_gap(idle_gap):
    """Validate `idle_gap` and return it in seconds."""
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
