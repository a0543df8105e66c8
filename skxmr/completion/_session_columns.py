"""Recognition of the forms of session data, and of the columns of tables."""

from collections.abc import Iterable, Mapping

import numpy as np

from .._utils.params import check_integer
from ._query_features import DEFAULT_NORMALIZER
from ._query_pairs import unmasked
from ._session_values import query_column

#: Roles of the columns of each form of table, in their order.
_IN_ORDER = {"log": ("session", "time", "query"), "pairs": ("previous", "query")}

#: The same for pairs with counts, which only kind="pairs" distinguishes from a log.
_COUNTED_PAIRS = (*_IN_ORDER["pairs"], "count")

#: Names of the columns of a data frame by role, in lower case.
_NAMES = {
    "session": ("session", "session_id", "user", "user_id"),
    "time": ("time", "timestamp"),
    "previous": ("previous", "previous_query"),
    "query": ("query", "next", "next_query"),
    "count": ("count",),
}

#: Valid combinations of roles.
_COMBINATIONS = [
    {"session", "time", "query"},
    {"session", "query"},
    {"previous", "query"},
    {"previous", "query", "count"},
    {"query", "count"},
]


def recognized_columns(sessions, kind, given):
    """Return the list of sessions, or the columns of a table by role.

    Parameters
    ----------
    sessions : data frame, array-like or sequence
        As for `training_pairs`.
    kind : {"auto", "log", "pairs", "sessions"}
    given : dict of str to (str, int or None)
        Name or position of the column of each role.

    Returns
    -------
    content : list or Columns
    """
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
    content = Columns(names)
    for role, position in roles.items():
        content.positions[role] = position
        content[role] = columns[position]
    if kind == "auto" and not given and tuple(roles) == _IN_ORDER["pairs"] and not _known(names):
        _check_that_pairs_are_meant(content)
    return content


class Columns(dict):
    """Columns of a table by role, with their names and positions.

    Parameters
    ----------
    names : list or None
        Names of all columns of the table.
    """

    def __init__(self, names):
        super().__init__()
        self.names = names
        self.positions = {}

    def described(self, role):
        """Return the name or position of a column, for error messages."""
        position = self.positions[role]
        return position if self.names is None else repr(self.names[position])


def _columns(sessions):
    """Return the columns of two-dimensional data and their names, or (None, None)."""
    if len(getattr(sessions, "shape", ())) != 2:
        return None, None
    names = list(sessions.columns) if hasattr(sessions, "columns") else None
    if hasattr(sessions, "iloc"):  # pandas, in which several columns may have one name
        return [sessions.iloc[:, j] for j in range(sessions.shape[1])], names
    if hasattr(sessions, "get_columns"):  # polars
        return sessions.get_columns(), names
    return list(np.asarray(unmasked(sessions)).T), names


def _kind_of_rows(rows):
    """Return "rows" for a sequence of tuples, and "sessions" otherwise."""
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
    """Return the columns of rows as lists."""
    width = _width(rows[0])
    if kind in _IN_ORDER and not given and (kind, width) != ("pairs", len(_COUNTED_PAIRS)):
        width = len(_IN_ORDER[kind])
    for i, row in enumerate(rows):
        if _width(row) != width or not width:
            raise ValueError(
                f"sessions with columns must hold rows of {width} elements, but sessions"
                f"[{i}] is {row!r:.80}"
            )
    return [list(column) for column in zip(*rows, strict=True)]


def _width(row):
    return len(row) if hasattr(row, "__len__") and not isinstance(row, (str, bytes)) else 0


def _check_rows(sessions):
    """Validate a sequence of at least one element and return its elements."""
    if isinstance(sessions, (str, bytes, Mapping)) or not isinstance(sessions, Iterable):
        raise TypeError(f"sessions must be a table or a sequence, got {sessions!r:.80}")
    rows = list(sessions)
    if not rows:
        raise ValueError("sessions must hold at least one session or row, got none")
    return rows


def _roles(kind, given, names, n_columns):
    """Return the position of each column that is used, by role."""
    known = _known(names)
    roles = None if given else _by_order(kind, known, n_columns)
    if roles is None:
        roles = {role: _position(column, role, names, n_columns) for role, column in given.items()}
        if len(set(roles.values())) < len(roles):
            raise ValueError(f"sessions must have a column for each of {given}, not one for two")
        taken = {*roles, *roles.values()}
        roles |= {role: at for role, at in known.items() if not {role, at} & taken}
    _check_combination(kind, roles, given, n_columns)
    return roles


def _by_order(kind, known, n_columns):
    """Return the positions of the roles of a form with as many columns.

    Returns
    -------
    roles : dict of str to int, or None
        None if there is no such form, or if known names contradict its order.
    """
    orders = list(_IN_ORDER.items())
    if kind == "pairs":
        orders.append((kind, _COUNTED_PAIRS))
    for name, order in orders:
        roles = {role: position for position, role in enumerate(order)}
        if kind in ("auto", name) and len(roles) == n_columns and known.items() <= roles.items():
            return roles
    return None


def _known(names):
    """Return the positions of the columns with known names, by role."""
    lowered = [str(name).lower() for name in names or ()]
    known = {}
    for role, synonyms in _NAMES.items():
        named = [position for position, name in enumerate(lowered) if name in synonyms]
        exact = [position for position in named if lowered[position] == role]
        candidates = exact or named
        if len(candidates) == 1:
            known[role] = candidates[0]
    return known


def _position(column, role, names, n_columns):
    """Return the position of a column that is given by name or position."""
    if isinstance(column, str):
        named = [position for position, name in enumerate(names or ()) if name == column]
        if len(named) == 1:
            return named[0]
        raise ValueError(
            f"{role} must name one column of sessions, got {column!r}; "
            + (f"there are {names}" if names else "there are no names, only positions")
        )
    check_integer(column, role, 0, n_columns - 1)
    return int(column)


def _check_combination(kind, roles, given, n_columns):
    """Raise ValueError unless the roles are a valid combination for the given kind."""
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
    """Raise ValueError if no previous query is "" or a next query: the columns are ambiguous."""
    queries = query_column(content, "query")
    previous = set(map(DEFAULT_NORMALIZER.query, query_column(content, "previous")))
    if "" not in previous and previous.isdisjoint(map(DEFAULT_NORMALIZER.query, queries)):
        raise ValueError(
            "sessions has two columns, of which the first may hold previous queries or something "
            f"else, such as sessions: none of it, such as {content['previous'][0]!r:.80}, is one "
            'of the queries or "". Say kind="pairs" if it is previous queries, session=0, query=1 '
            "if it tells sessions apart"
        )
