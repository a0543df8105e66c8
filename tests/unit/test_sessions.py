import inspect
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skxmr import SessionQueryCompleter
from skxmr.completion._sessions import training_pairs

MINUTE = 60.0
texts = st.text("aAb ü\N{GRINNING FACE}", max_size=6)
log_rows = st.tuples(st.sampled_from("uvw"), st.integers(0, 200).map(MINUTE.__mul__), texts)
logs = st.lists(log_rows, min_size=1, max_size=20)


def as_tuples(rows):
    """What came out, but for the prefixes."""
    X, y = rows
    return list(zip(X[:, 0].tolist(), y.tolist(), strict=True))


def as_compared(query):
    """A query of the characters above, regardless of case and blanks."""
    return " ".join(query.lower().split())


def slow_pairs(log, gap):
    """Previous and next queries of a log, one row at a time."""
    pairs = []
    last = {}
    for user, time, query in sorted(log, key=lambda row: row[:2]):
        previous, since = last.get(user, ("", -np.inf))
        previous = "" if time - since >= gap else previous
        if as_compared(query) not in ("", as_compared(previous)):
            pairs.append((previous, query))
            previous = query
        last[user] = previous, time
    return pairs


@given(log=logs, gap=st.integers(1, 60), seed=st.integers(0, 9))
def test_log_against_reference(log, gap, seed):
    X, y = training_pairs(log, idle_gap=gap * MINUTE, random_state=seed)
    assert as_tuples((X, y)) == slow_pairs(log, gap * MINUTE)
    assert X.shape == (len(y), 2)
    assert X.dtype == y.dtype == object
    for prefix, query in zip(X[:, 1], y, strict=True):
        assert query
        assert query.startswith(prefix)


@given(
    sessions=st.lists(st.lists(texts, max_size=5), min_size=1, max_size=5),
    bounds=st.tuples(st.integers(0, 6), st.integers(1, 6)).map(sorted),
    n_prefixes=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_prefixes_are_beginnings_within_bounds(sessions, bounds, n_prefixes, seed):
    least, most = bounds
    options = {"min_length": least, "max_length": most, "n_prefixes": n_prefixes}
    X, y = training_pairs(sessions, **options, random_state=seed)
    for prefix, query in zip(X[:, 1], y, strict=True):
        assert least <= len(prefix) <= most
        assert query.startswith(prefix)
    again = training_pairs(sessions, **options, random_state=np.random.RandomState(seed))
    np.testing.assert_array_equal(X, again[0])
    np.testing.assert_array_equal(y, again[1])
    queries = [pair for pair in as_tuples(training_pairs(sessions)) if len(pair[1]) >= least]
    assert as_tuples((X, y)) == [pair for pair in queries for _ in range(n_prefixes)]


@given(
    log=st.lists(log_rows, min_size=1, max_size=12, unique_by=lambda row: row[:2]), data=st.data()
)
def test_order_of_the_rows_does_not_matter(log, data):
    shuffled = data.draw(st.permutations(log))
    X, y = training_pairs(log, random_state=3)
    X_again, y_again = training_pairs(shuffled, random_state=3)
    np.testing.assert_array_equal(X, X_again)
    np.testing.assert_array_equal(y, y_again)


@given(log=logs, gap=st.integers(1, 60))
def test_log_is_its_sessions(log, gap):
    sessions, last = [], (None, 0)
    for user, time, query in sorted(log, key=lambda row: row[:2]):
        if user != last[0] or time - last[1] >= gap * MINUTE:
            sessions.append([])
        sessions[-1].append(query)
        last = user, time
    from_log = training_pairs(log, idle_gap=gap * MINUTE, random_state=0)
    from_sessions = training_pairs(sessions, random_state=0)
    for a, b in zip(from_log, from_sessions, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lengths_are_uniform():
    _, y = X_y = training_pairs([["abcde"]], n_prefixes=24_000, random_state=0)
    counts = Counter(map(len, X_y[0][:, 1]))
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert all(abs(count - 4000) < 5 * 60 for count in counts.values())
    X, _ = training_pairs([["abcde"]], n_prefixes=9000, min_length=2, max_length=4, random_state=0)
    counts = Counter(map(len, X[:, 1]))
    assert set(counts) == {2, 3, 4}
    assert all(abs(count - 3000) < 5 * 60 for count in counts.values())
    assert set(y) == {"abcde"}


class TestGaps:
    times = [0, 1799, 3598, 5398]  # the last gap is 1800 seconds
    start = datetime(2024, 3, 31, 0, 45)
    queries = ["a", "b", "c", "d"]
    expected = [("", "a"), ("a", "b"), ("b", "c"), ("", "d")]

    def check(self, times, **options):
        log = list(zip("uuuu", times, self.queries, strict=True))
        assert as_tuples(training_pairs(log, **options)) == self.expected
        for frame in (pd.DataFrame(log), pl.DataFrame(log, orient="row")):
            assert as_tuples(training_pairs(frame, **options)) == self.expected

    def test_default_is_thirty_minutes(self):
        default = inspect.signature(training_pairs).parameters["idle_gap"].default
        assert default == timedelta(minutes=30)
        self.check(self.times)

    @pytest.mark.parametrize(
        "gap", [1800, 1800.0, np.float32(1800), timedelta(minutes=30), np.timedelta64(30, "m")]
    )
    def test_forms_of_the_gap_and_of_time(self, gap):
        self.check(self.times, idle_gap=gap)
        self.check([self.start + timedelta(seconds=t) for t in self.times], idle_gap=gap)
        log = [
            ("u", np.datetime64(t, "s"), q) for t, q in zip(self.times, self.queries, strict=True)
        ]
        assert as_tuples(training_pairs(log, idle_gap=gap)) == self.expected

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_units_of_datetime64(self, unit):
        times = np.datetime64("2024-01-01", unit) + np.array(self.times, "timedelta64[s]")
        frame = pd.DataFrame({"user": 7, "time": times, "query": self.queries})
        assert as_tuples(training_pairs(frame)) == self.expected

    def test_just_below_the_gap(self):
        times = np.array([0, 1_799_999_999], "timedelta64[us]") + np.datetime64("2024-01-01")
        frame = pd.DataFrame({"user": 7, "time": times, "query": ["a", "b"]})
        assert as_tuples(training_pairs(frame)) == [("", "a"), ("a", "b")]

    def test_time_zones(self):
        zone = timezone(timedelta(hours=2))
        times = [datetime.fromtimestamp(t, UTC) for t in self.times]
        self.check([time.astimezone(zone) if i % 2 else time for i, time in enumerate(times)])
        frame = pd.DataFrame({"u": 1, "t": pd.to_datetime(times), "q": self.queries})
        assert as_tuples(training_pairs(frame)) == self.expected
        # An hour is skipped on that night: 00:45 and 01:15 UTC are 02:45 and 04:15.
        dawn = pl.Series([self.start, self.start + timedelta(minutes=29)])
        dawn = dawn.dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Helsinki")
        frame = pl.DataFrame({"u": [1, 1], "t": dawn, "q": ["a", "b"]})
        assert as_tuples(training_pairs(frame)) == [("", "a"), ("a", "b")]

    def test_infinite_gap(self):
        log = [("u", 0, "a"), ("u", 10**9, "b")]
        assert as_tuples(training_pairs(log, idle_gap=np.inf)) == [("", "a"), ("a", "b")]

    def test_what_is_passed_over_shows_that_the_user_was_there(self):
        log = [("u", 0, "a"), ("u", 1000, "a"), ("u", 2000, ""), ("u", 3000, "b")]
        assert as_tuples(training_pairs(log)) == [("", "a"), ("a", "b")]

    def test_equal_times_keep_their_order(self):
        log = [("u", 5, "c"), ("v", 5, "x"), ("u", 5, "a"), ("u", 5, "b"), ("u", 1, "d")]
        expected = [("", "d"), ("d", "c"), ("c", "a"), ("a", "b"), ("", "x")]
        assert as_tuples(training_pairs(log)) == expected


LOG = [("ann", 0, "ab"), ("bob", 5, "tea"), ("ann", 60, "abc"), ("ann", 7200, "x")]
PAIRS = [("ab", "abc"), ("", "tea"), ("x", "x")]
LOG_PAIRS = [("", "ab"), ("ab", "abc"), ("", "x"), ("", "tea")]


class TestForms:
    @pytest.mark.parametrize(
        "container",
        [
            list,
            tuple,
            iter,
            pd.DataFrame,
            lambda log: pd.DataFrame(log, columns=["a", "a", "a"]),
            lambda log: pd.DataFrame(log, index=[3, 3, 1, 0]),
            lambda log: pl.DataFrame(log, orient="row"),
            lambda log: np.array(log, dtype=object),
        ],
    )
    def test_log(self, container):
        assert as_tuples(training_pairs(container(LOG))) == LOG_PAIRS

    @pytest.mark.parametrize(
        "container",
        [
            list,
            pd.DataFrame,
            lambda pairs: pl.DataFrame(pairs, orient="row"),
            np.array,
            lambda pairs: np.array(pairs, dtype=object),
        ],
    )
    def test_pairs_as_they_are(self, container):
        X, y = X_y = training_pairs(container(PAIRS))
        assert as_tuples(X_y) == PAIRS
        assert {type(text) for text in [*X.ravel(), *y]} == {str}

    @pytest.mark.parametrize("container", [list, np.array, pd.Series, pl.Series])
    def test_sessions(self, container):
        sessions = [container(["a", "b", "b", "", "b", "a"]), container(["a"])]
        expected = [("", "a"), ("a", "b"), ("b", "a"), ("", "a")]
        assert as_tuples(training_pairs(sessions)) == expected

    def test_series_of_sessions(self):
        sessions = [["a", "b"], ["c", "d"]]
        expected = [("", "a"), ("a", "b"), ("", "c"), ("c", "d")]
        for series in (pd.Series(sessions), pl.Series(sessions)):
            assert as_tuples(training_pairs(series)) == expected

    def test_empty_session_among_others(self):
        assert as_tuples(training_pairs([[], ["a"], [], ["b"], []])) == [("", "a"), ("", "b")]
        X, y = training_pairs([[], [""]])
        assert X.shape == (0, 2)
        assert y.shape == (0,)

    def test_kind_decides_where_it_is_given(self):
        lists = [["a", "b"], ["c", "d"]]
        assert as_tuples(training_pairs(lists, kind="pairs")) == [("a", "b"), ("c", "d")]
        assert as_tuples(training_pairs([list(row) for row in LOG], kind="log")) == LOG_PAIRS
        tuples = [("a", "b"), ("c", "d", "e")]
        expected = [("", "a"), ("a", "b"), ("", "c"), ("c", "d"), ("d", "e")]
        assert as_tuples(training_pairs(tuples, kind="sessions")) == expected

    def test_without_first_queries(self):
        assert as_tuples(training_pairs(LOG, first_queries=False)) == [("ab", "abc")]
        assert as_tuples(training_pairs(PAIRS, first_queries=False)) == [PAIRS[0], PAIRS[2]]
        assert as_tuples(training_pairs([["a", "b"]], first_queries=False)) == [("a", "b")]

    def test_short_query_is_the_previous_one(self):
        expected = [("", "abc"), ("a", "abd")]
        assert as_tuples(training_pairs([["abc", "a", "abd"]], min_length=2)) == expected

    def test_numbers_as_users(self):
        log = [(10, 0, "a"), (9, 1, "b"), (10, 2, "c")]
        assert as_tuples(training_pairs(log)) == [("", "b"), ("", "a"), ("a", "c")]


class TestSameQueries:
    """Queries that a completer takes for the same are the same in a session."""

    @pytest.mark.parametrize("again", ["tea", "Tea", " TEA", "tea\u00a0"])
    def test_a_query_again_is_a_page_loaded_again(self, again):
        for sessions in (
            [["tea", again, "milk"]],
            [("u", 0, "tea"), ("u", 1, again), ("u", 2, "milk")],
        ):
            assert as_tuples(training_pairs(sessions)) == [("", "tea"), ("tea", "milk")]

    def test_composition_and_special_cases(self):
        session = ["caf\u00e9", "cafe\u0301", "CAF\u00c9", "cafe", "stra\u00dfe", "STRASSE"]
        expected = [("", session[0]), (session[0], "cafe"), ("cafe", session[4])]
        assert as_tuples(training_pairs([session])) == expected

    @pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u3000\u2003"])
    def test_blank_queries_are_none(self, blank):
        expected = [("", "a"), ("a", "b")]
        assert as_tuples(training_pairs([["a", blank, "b", blank], [blank]])) == expected
        log = [("u", 0, blank), ("u", 1, "a"), ("u", 2, blank), ("u", 3, "b")]
        assert as_tuples(training_pairs(log)) == expected
        pairs = [(blank, "a"), ("a", blank), ("a", "b"), (blank, blank)]
        assert as_tuples(training_pairs(pairs)) == expected
        assert as_tuples(training_pairs(pairs, first_queries=False)) == expected[1:]


#: Rows of a log, in an order that is neither that of users nor of times, by name.
NAMED = pd.DataFrame(
    {
        "url": ["x", "y", "z", "x"],
        "query": ["abc", "tea", "ab", "x"],
        "time": [60, 5, 0, 7200],
        "user": ["ann", "bob", "ann", "ann"],
    }
)
BY_SESSION = [("", "ab"), ("ab", "abc"), ("", "tea"), ("tea", "tea pot")]
TWO = {"session": [1, 2, 1, 2], "query": ["ab", "tea", "abc", "tea pot"]}


class TestNamedColumns:
    @pytest.mark.parametrize("frame", [pd.DataFrame, lambda d: pl.DataFrame(d.to_dict("list"))])
    def test_names_count_not_the_order(self, frame):
        assert as_tuples(training_pairs(frame(NAMED))) == LOG_PAIRS
        assert as_tuples(training_pairs(frame(NAMED[["query", "time", "user"]]))) == LOG_PAIRS
        assert as_tuples(training_pairs(frame(NAMED), kind="log")) == LOG_PAIRS
        other = NAMED.rename(columns={"query": "Query", "user": "Session_ID", "time": "TIMESTAMP"})
        assert as_tuples(training_pairs(frame(other))) == LOG_PAIRS
        odd = NAMED.rename(columns={"query": "q", "user": "who", "time": "when"})
        roles = {"session": "who", "time": "when", "query": "q"}
        assert as_tuples(training_pairs(frame(odd), **roles)) == LOG_PAIRS
        assert as_tuples(training_pairs(frame(odd), session=3, time=2, query=1)) == LOG_PAIRS
        half = NAMED.rename(columns={"user": "who"})
        assert as_tuples(training_pairs(frame(half), session="who")) == LOG_PAIRS

    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
    def test_sessions_in_the_order_of_their_rows(self, frame):
        table = frame(TWO)
        assert as_tuples(training_pairs(table)) == BY_SESSION
        assert as_tuples(training_pairs(table[["query", "session"]])) == BY_SESSION
        assert as_tuples(training_pairs(table, session="session", query="query")) == BY_SESSION
        as_strings = frame({**TWO, "session": ["s1", "s2", "s1", "s2"]})
        assert as_tuples(training_pairs(as_strings)) == BY_SESSION

    @pytest.mark.parametrize(
        "container", [list, lambda rows: [list(row) for row in rows], np.array, pd.DataFrame]
    )
    def test_positions(self, container):
        rows = [("s1", "ab"), ("s2", "tea"), ("s1", "abc"), ("s2", "tea pot")]
        assert as_tuples(training_pairs(container(rows), session=0, query=1)) == BY_SESSION
        turned = container([row[::-1] for row in rows])
        assert as_tuples(training_pairs(turned, session=1, query=0)) == BY_SESSION

    def test_pairs_by_name(self):
        frame = pd.DataFrame({"query": ["b", "d"], "previous": ["a", "c"]})
        expected = [("a", "b"), ("c", "d")]
        assert as_tuples(training_pairs(frame)) == expected
        assert as_tuples(training_pairs(frame.to_numpy(), query=0, previous=1)) == expected
        assert as_tuples(training_pairs(frame[["previous", "query"]])) == expected
        assert as_tuples(training_pairs(frame, kind="pairs")) == expected

    @pytest.mark.parametrize(
        "sessions",
        [
            pd.DataFrame(TWO).assign(session=["s1", "s2", "s1", "s2"]).to_numpy(),
            [("s1", "ab"), ("s1", "abc"), ("s2", "tea")],
            [("1", "ab"), ("2", "cd")],
            pl.DataFrame({"a": ["s1", "s1"], "b": ["ab", "abc"]}),
            [("s1", "ab"), ("s1", "")],
        ],
    )
    def test_two_columns_that_may_be_anything_are_refused(self, sessions):
        with pytest.raises(ValueError, match=r'Say kind="pairs" if .*session=0, query=1 if'):
            training_pairs(sessions)
        assert len(training_pairs(sessions, kind="pairs")[1]) >= 1
        assert len(training_pairs(sessions, session=0, query=1)[1]) >= 1

    def test_two_columns_that_can_only_be_pairs_are_taken(self):
        for pairs in (
            [("tea", "milk"), ("milk", "tea")],
            [("", "tea"), ("milk", "oats")],
            [("Tea ", "milk"), ("oats", "tea")],
        ):
            assert as_tuples(training_pairs(pairs)) == pairs

    @pytest.mark.parametrize("session", [7, None, np.nan, 2.5])
    def test_sessions_that_are_no_strings_are_no_queries(self, session):
        with pytest.raises(TypeError, match=r"in column 0, got .*session=0, query=1"):
            training_pairs([(session, "a"), (session, "b")])

    @pytest.mark.parametrize(
        ("columns", "match"),
        [
            (["time", "query"], "got 2 columns, of which these are known: time, query"),
            (["session", "text"], "these are known: session"),
            (["text", "count"], "these are known: count"),
            (["query", "text"], "these are known: query"),
            (["session", "previous", "query"], "these are known: session, previous, query"),
            (["session", "query", "count"], "these are known: session, query, count"),
        ],
    )
    def test_names_that_do_not_go_together(self, columns, match):
        frame = pd.DataFrame([["a"] * len(columns)] * 2, columns=columns)
        with pytest.raises(ValueError, match=match):
            training_pairs(frame)

    def test_names_that_contradict_the_kind(self):
        with pytest.raises(ValueError, match=r"with kind='pairs', got 2 columns"):
            training_pairs(pd.DataFrame(TWO), kind="pairs")
        with pytest.raises(ValueError, match=r"with kind='sessions'"):
            training_pairs([("a", "b")], kind="sessions", session=0, query=1)

    @pytest.mark.parametrize(
        ("roles", "error", "match"),
        [
            ({"query": "text"}, ValueError, r"query must name one column .* got 'text'; there are"),
            ({"session": 4}, ValueError, r"session must be at most 3, got 4"),
            ({"session": -1}, ValueError, r"session must be at least 0, got -1"),
            ({"time": True}, TypeError, r"time must be an integer, got True"),
            ({"session": "user", "query": "user"}, ValueError, r"a column for each of"),
        ],
    )
    def test_columns_that_are_not_there(self, roles, error, match):
        with pytest.raises(error, match=match):
            training_pairs(NAMED, **roles)

    def test_names_without_a_frame(self):
        with pytest.raises(ValueError, match=r"got 'query'; there are no names, only positions"):
            training_pairs([("u", "a")], session=0, query="query")

    def test_times_as_users(self):
        rows = [(datetime(2024, 1, 1), 7, "a"), (datetime(2024, 1, 2), 7, "b")]
        for table in (rows, pd.DataFrame(rows), pl.DataFrame(rows, orient="row")):
            with pytest.raises(TypeError, match=r"must have users, not times"):
                training_pairs(table)
            pairs = training_pairs(table, session=1, time=0, query=2, idle_gap=np.inf)
            assert as_tuples(pairs) == [("", "a"), ("a", "b")]


class TestTimesAsStrings:
    texts = [
        "2024-01-01 00:00:00",
        "2024-01-01T00:29:59",
        "2024-01-01 00:59:58.0",
        "2024-01-01T01:30",
    ]
    expected = [("", "a"), ("a", "b"), ("b", "c"), ("", "d")]

    @pytest.mark.parametrize("zone", ["", "Z", "+02:00"])
    @pytest.mark.parametrize(
        "container", [list, pd.DataFrame, lambda log: pl.DataFrame(log, orient="row"), np.array]
    )
    def test_iso_8601(self, container, zone):
        log = [("u", time + zone, q) for time, q in zip(self.texts, "abcd", strict=True)]
        assert as_tuples(training_pairs(container(log))) == self.expected
        assert as_tuples(training_pairs(container(log[::-1]))) == self.expected

    def test_zones_are_told_apart(self):
        log = [("u", "2024-01-01T02:00+02:00", "a"), ("u", "2024-01-01T00:10Z", "b")]
        assert as_tuples(training_pairs(log)) == [("", "a"), ("a", "b")]
        with pytest.raises(ValueError, match=r"all with a time zone or all without"):
            training_pairs([("u", "2024-01-01", "a"), ("u", "2024-01-01T00:00Z", "b")])

    @pytest.mark.parametrize("text", ["", "noon", "01/02/2024", "1.5", "2024-13-01", "ab"])
    def test_other_strings(self, text):
        with pytest.raises(ValueError, match=r"strings in ISO 8601 as times.* in row 1"):
            training_pairs([("u", "2024-01-01", "a"), ("u", text, "b")])


class TestCounts:
    @pytest.mark.parametrize("form", [list, pd.DataFrame, lambda rows: [list(row) for row in rows]])
    def test_pairs_with_counts_without_names(self, form):
        rows = [("a", "b", 3), ("", "c", 1)]
        X, y, weight = training_pairs(form(rows), kind="pairs")
        assert as_tuples((X, y)) == [("a", "b"), ("", "c")]
        assert weight.tolist() == [3.0, 1.0]

    def test_a_word_instead_of_a_count(self):
        with pytest.raises(TypeError, match="count"):
            training_pairs([("a", "b", "c")], kind="pairs")

    frame = pd.DataFrame({"query": ["tea", "ab", "", "abc"], "count": [120, 7, 3, 0]})

    @pytest.mark.parametrize("frame", [pd.DataFrame, lambda d: pl.DataFrame(d.to_dict("list"))])
    def test_counts_are_weights(self, frame):
        for table in (frame(self.frame), frame(self.frame[["count", "query"]])):
            X, y, weights = training_pairs(table, n_prefixes=2, random_state=0)
            assert X[:, 0].tolist() == [""] * 6
            assert y.tolist() == ["tea"] * 2 + ["ab"] * 2 + ["abc"] * 2
            assert weights.tolist() == [120, 120, 7, 7, 0, 0]
            assert weights.dtype == np.float64
        X_again, y_again = training_pairs(
            [("", q) for q in self.frame["query"]], n_prefixes=2, random_state=0
        )
        np.testing.assert_array_equal(X, X_again)
        np.testing.assert_array_equal(y, y_again)

    def test_counts_of_pairs(self):
        rows = [("", "tea", 5), ("tea", "milk", 2.5), ("tea", "mi", np.int64(1))]
        roles = {"previous": 0, "query": 1, "count": 2}
        X, y, weights = training_pairs(rows, first_queries=False, min_length=3, **roles)
        assert as_tuples((X, y)) == [("tea", "milk")]
        assert weights.tolist() == [2.5]
        frame = pd.DataFrame(rows, columns=["previous", "query", "count"])
        for kind in ("auto", "pairs"):
            assert training_pairs(frame, kind=kind)[2].tolist() == [5, 2.5, 1]

    def test_a_completer_takes_them(self):
        X, y, weights = training_pairs(
            [("tea", 3), ("tea pot", 9)], query=0, count=1, random_state=0
        )
        completer = SessionQueryCompleter(random_state=0).fit(X, y, weights)
        assert completer.complete("", k=5) == [("tea pot", 0.75), ("tea", 0.25)]

    @pytest.mark.parametrize("count", [None, "7", True, b"7", pd.NA])
    def test_no_numbers(self, count):
        with pytest.raises(TypeError, match=r"must have numbers as counts, got .* in row 1"):
            training_pairs([("a", 1), ("b", count)], query=0, count=1)

    @pytest.mark.parametrize("count", [-1, np.nan, np.inf])
    def test_impossible_numbers(self, count):
        with pytest.raises(
            ValueError, match=r"counts that are finite and not negative, got .* in row 1"
        ):
            training_pairs([("a", 1), ("b", count)], query=0, count=1)

    def test_without_names_they_are_no_queries(self):
        with pytest.raises(TypeError, match=r"in column 1, got 7 in row 0; .*count=2"):
            training_pairs([("tea", 7), ("milk", 8)])


class TestErrors:
    @pytest.mark.parametrize("sessions", ["abc", b"abc", None, 3, {"a": ["b"]}])
    def test_no_sequence(self, sessions):
        with pytest.raises(TypeError, match=r"sessions must be a table or a sequence, got"):
            training_pairs(sessions)

    @pytest.mark.parametrize("sessions", [[], np.empty((0, 3)), pd.DataFrame({"a": [], "b": []})])
    def test_empty(self, sessions):
        with pytest.raises(ValueError, match=r"sessions must hold at least one"):
            training_pairs(sessions)

    @pytest.mark.parametrize("kind", ["auto", "log"])
    @pytest.mark.parametrize("n_columns", [1, 4])
    def test_columns(self, kind, n_columns):
        for table in (np.ones((2, n_columns)), pd.DataFrame(np.ones((2, n_columns)))):
            with pytest.raises(
                ValueError, match=rf"sessions as a table .* got {n_columns} columns"
            ):
                training_pairs(table, kind=kind)

    @pytest.mark.parametrize("kind", ["log", "sessions"])
    def test_table_of_another_kind(self, kind):
        with pytest.raises(ValueError, match=r"sessions as a table must be .* got 2 columns"):
            training_pairs(pd.DataFrame(PAIRS), kind=kind)

    @pytest.mark.parametrize(
        "sessions", [[("a", "b"), ["a", "b"]], [("a", "b"), ("a", 0, "b")], [("a",)], [()]]
    )
    def test_tuples_of_several_lengths(self, sessions):
        with pytest.raises(ValueError, match=r"sessions as a sequence of tuples must hold only"):
            training_pairs(sessions)

    @pytest.mark.parametrize("row", ["ab", ["a"], ["a", "b", "c"], None])
    def test_rows_of_another_length(self, row):
        with pytest.raises(ValueError, match=r"rows of 2 elements, but sessions\[1\] is"):
            training_pairs([["a", "b"], row], kind="pairs")

    @pytest.mark.parametrize("session", ["abc", 5, None])
    def test_session_is_no_sequence(self, session):
        with pytest.raises(TypeError, match=r"but sessions\[1\] is"):
            training_pairs([["a"], session])

    def test_masked_values_are_no_queries(self):
        pairs = np.ma.array([["", "a"], ["a", "b"]], mask=[[0, 0], [0, 1]])
        with pytest.raises(TypeError, match=r"strings in column 1, got None in row 1"):
            training_pairs(pairs)

    @pytest.mark.parametrize("query", [None, 1.5, b"a", np.nan, True, pd.NA, pd.NaT, ["a"]])
    def test_query_is_no_string(self, query):
        with pytest.raises(
            TypeError, match=r"but sessions\[1\]\[1\] is .*rows of a log are tuples"
        ):
            training_pairs([["a"], ["b", query]])
        with pytest.raises(TypeError, match=r"strings in column 2, got .* in row 1"):
            training_pairs([("u", 0, "a"), ("u", 1, query)])
        for row, column in ((("a", query), 1), ((query, "a"), 0)):
            with pytest.raises(TypeError, match=rf"strings in column {column}, got .* in row 1"):
                training_pairs([("a", "b"), row])

    @pytest.mark.parametrize("user", [None, np.nan, pd.NaT, pd.NA])
    def test_user_missing(self, user):
        with pytest.raises(ValueError, match=r"must have a user in every row, got .* in row 1"):
            training_pairs([("u", 0, "a"), (user, 0, "a")])

    def test_users_of_two_types(self):
        with pytest.raises(TypeError, match=r"users that can be sorted"):
            training_pairs([("u", 0, "a"), (3, 0, "a")])

    @pytest.mark.parametrize("time", [b"2024-01-01", timedelta(1), True, 1j])
    def test_no_times(self, time):
        with pytest.raises(TypeError, match=r"datetimes, datetime64 or seconds as times, got"):
            training_pairs([("u", time, "a"), ("u", time, "b")])

    def test_periods_and_missing_values_of_pandas(self):
        columns = {"u": pd.Series(["v", pd.NA], dtype="string"), "t": [0, 1], "q": ["a", "b"]}
        with pytest.raises(ValueError, match=r"must have a user in every row, got .* in row 1"):
            training_pairs(pd.DataFrame(columns))
        times = pd.Series(["2024-01-01", pd.NA], dtype="string")
        with pytest.raises(ValueError, match=r"must have a time in every row, got <NA> in row 1"):
            training_pairs(pd.DataFrame(columns | {"u": ["v", "v"], "t": times}))
        periods = pd.period_range("2024-01-01", periods=2, freq="h")
        with pytest.raises(TypeError, match=r"sessions must have .* as times, got Period"):
            training_pairs(pd.DataFrame(columns | {"u": ["v", "v"], "t": periods}))

    def test_times_of_two_types(self):
        with pytest.raises(TypeError, match=r"as times, got datetime, int"):
            training_pairs([("u", 3, "a"), ("u", datetime(2024, 1, 1), "b")])

    def test_some_with_a_time_zone(self):
        log = [("u", datetime(2024, 1, 1), "a"), ("u", datetime(2024, 1, 1, tzinfo=UTC), "a")]
        with pytest.raises(ValueError, match=r"all with a time zone or all without"):
            training_pairs(log)

    @pytest.mark.parametrize("time", [np.nan, np.inf, pd.NaT, np.datetime64("NaT"), None])
    def test_time_missing(self, time):
        first = datetime(2024, 1, 1) if time is pd.NaT else 0
        first = np.datetime64(0, "s") if isinstance(time, np.datetime64) else first
        with pytest.raises(ValueError, match=r"must have a (finite )?time in every row"):
            training_pairs([("u", first, "a"), ("u", time, "b")])

    @pytest.mark.parametrize("unit", ["D", "ns"])
    def test_time_missing_in_a_frame(self, unit):
        times = np.array(["2024-01-01", "NaT"], f"datetime64[{unit}]")
        columns = {"u": ["v", "v"], "t": times, "q": ["a", "b"]}
        for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
            with pytest.raises(ValueError, match=r"finite time in every row, got NaT in row 1"):
                training_pairs(frame)

    @pytest.mark.parametrize("gap", [0, -1.0, timedelta(0), np.timedelta64("NaT"), np.nan])
    def test_gap_out_of_range(self, gap):
        with pytest.raises(ValueError, match=r"idle_gap must be positive, got"):
            training_pairs(LOG, idle_gap=gap)

    @pytest.mark.parametrize("gap", ["30min", None, True])
    def test_gap_of_another_type(self, gap):
        with pytest.raises(TypeError, match=r"idle_gap must be a timedelta or a number"):
            training_pairs(LOG, idle_gap=gap)

    @pytest.mark.parametrize("name", ["n_prefixes", "min_length", "max_length"])
    def test_numbers(self, name):
        least = 0 if name == "min_length" else 1
        with pytest.raises(ValueError, match=rf"{name} must be at least {least}, got {least - 1}"):
            training_pairs(LOG, **{name: least - 1})
        with pytest.raises(TypeError, match=rf"{name} must be an integer, got 1.5"):
            training_pairs(LOG, **{name: 1.5})

    def test_bounds_the_wrong_way_round(self):
        with pytest.raises(ValueError, match=r"max_length must be at least 3, got 2"):
            training_pairs(LOG, min_length=3, max_length=2)

    def test_options(self):
        with pytest.raises(ValueError, match=r"kind must be one of 'auto', 'log'"):
            training_pairs(LOG, kind="triples")
        with pytest.raises(TypeError, match=r"first_queries must be True or False"):
            training_pairs(LOG, first_queries="no")
