"""Logs of interactions, examples in time, and cross-validation in time."""

import datetime
import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from purchases import DAY, random_log
from strategies import examples

from skxmr.recommenders import (
    AgeMatrix,
    CutoffSplit,
    InteractionEncoder,
    Recency,
    histories,
    temporal_examples,
)

COLUMNS = {
    "user": ["b", "a", "b", "b"],
    "item": ["007", "7", "7", "007"],
    "time": [30.0, 10.0, 20.0, 40.0],
}


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pd.DataFrame,
        pl.DataFrame,
        lambda columns: tuple(columns.values()),
        lambda columns: np.rec.fromarrays(
            [np.array(c) for c in columns.values()], names=list(columns)
        ),
    ],
)
def test_all_containers_give_the_same_log(make):
    encoder = InteractionEncoder()
    log = encoder.fit_transform(make(COLUMNS))
    assert encoder.users_.tolist() == ["a", "b"]
    assert encoder.items_.tolist() == ["007", "7"]
    assert_array_equal(log.users, [0, 1, 1, 1])
    assert_array_equal(log.items, [1, 1, 0, 0])
    assert_array_equal(log.seconds, [10, 20, 30, 40])


@pytest.mark.parametrize(
    "times",
    [
        ["2024-03-01T12:00", "2024-03-02", "2024-03-02T12:00", "2024-03-03"],
        pd.Series(pd.date_range("2024-03-01T12:00", periods=4, freq="12h")),
        pd.Series(pd.date_range("2024-03-01T12:00", periods=4, freq="12h")).dt.tz_localize("UTC"),
        pd.Series(pd.date_range("2024-03-01T14:00", periods=4, freq="12h")).dt.tz_localize(
            "Africa/Cairo"
        ),
        [datetime.datetime(2024, 3, 1) + datetime.timedelta(hours=h) for h in (12, 24, 36, 48)],
        np.array(["2024-03-01T12", "2024-03-02T00", "2024-03-02T12", "2024-03-03T00"], "M8[h]"),
    ],
)
def test_all_kinds_of_times_are_the_same_seconds(times):
    log = InteractionEncoder().fit_transform((["a"] * 4, [1] * 4, times))
    start = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC).timestamp()
    assert_array_equal(log.seconds, start + np.array([12, 24, 36, 48]) * 3600)


def test_equal_rows_are_one_interaction_with_the_sum_of_the_amounts():
    log = InteractionEncoder(amount="n").fit_transform(
        {"user": [1, 1, 1], "item": [5, 5, 5], "time": [9, 9, 10], "n": [1, 2, 4]}
    )
    assert_array_equal(log.amounts, [3, 4])


def test_returns():
    columns = {
        "user": [1, 1, 1, 1, 2],
        "item": [5, 5, 6, 5, 5],
        "time": [1, 2, 3, 4, 5],
        "n": [2, 3, 1, -4, -1],
    }
    with pytest.raises(ValueError, match=r"n must be above 0 unless .*-4"):
        InteractionEncoder(amount="n").fit(columns)
    dropped = InteractionEncoder(amount="n", returns="drop").fit_transform(columns)
    assert_array_equal(dropped.amounts, [2, 3, 1])
    cancelled = InteractionEncoder(amount="n", returns="cancel").fit_transform(columns)
    assert_array_equal(cancelled.amounts, [1, 1])
    assert_array_equal(cancelled.seconds, [1, 3])


def test_unknown_ids_are_an_error_or_left_out():
    encoder = InteractionEncoder().fit(COLUMNS)
    new = {"user": ["a", "zed"], "item": ["7", "7"], "time": [1, 2]}
    with pytest.raises(ValueError, match="user must be in fit unless unknown='ignore', got 'zed'"):
        encoder.transform(new)
    log = encoder.set_params(unknown="ignore").transform(new)
    assert_array_equal(log.users, [0])
    with pytest.raises(TypeError, match="item must hold ids of"):
        encoder.transform({"user": ["a"], "item": [7], "time": [1]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": [1, np.nan, 2, 3]}, "time must be finite"),
        ({"time": ["x"] * 4}, "time must hold datetimes or numbers"),
        ({"time": np.array(["NaT"] * 4, "M8[s]")}, "time must not have missing values"),
        ({"user": ["a", None, "b", "c"]}, "user must not have missing values"),
        ({"item": [1.0, np.nan, 2.0, 3.0]}, "item must not have missing values"),
        ({"item": ["a"]}, "must have equal lengths"),
        ({"user": [], "item": [], "time": []}, "at least one row"),
        ({"user": [[1, 2]] * 4}, "user must be one-dimensional"),
    ],
)
def test_bad_columns_raise_errors_that_name_them(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        InteractionEncoder().fit({**COLUMNS, **changes})


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="must have a column 'when'"):
        InteractionEncoder(time="when").fit(COLUMNS)
    with pytest.raises(ValueError, match="n must be finite"):
        InteractionEncoder(amount="n").fit({**COLUMNS, "n": [1, np.nan, 1, 1]})


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1))
@examples(50)
def test_integer_ids_are_kept(ids):
    encoder = InteractionEncoder()
    log = encoder.fit_transform((ids, ids, range(len(ids))))
    assert_array_equal(encoder.users_[log.users], ids)
    assert_array_equal(encoder.users_, np.unique(ids))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.int32, np.uint64])
def test_ids_of_narrow_types_are_kept(dtype):
    bounds = np.iinfo(dtype)
    ids = np.array([max(bounds.min, -100), 0, min(bounds.max, 2**15 - 1)], dtype=dtype)
    ids = np.repeat(ids, 3000)
    encoder = InteractionEncoder()
    log = encoder.fit_transform((ids, ids, range(len(ids))))
    assert encoder.users_.dtype == dtype
    assert_array_equal(encoder.users_[log.users], ids)
    assert_array_equal(encoder.transform((ids, ids, range(len(ids)))).users, log.users)


def test_large_ids_are_found_in_another_type_exactly():
    ids = np.array([2**62 + 1, 2**62 + 3])
    encoder = InteractionEncoder(unknown="ignore").fit(([-1, 1], ids, [1, 2]))
    others = np.append(ids + 1, ids).astype(np.uint64)
    log = encoder.transform((np.ones(4, dtype=np.uint64), others, range(4)))
    assert_array_equal(log.items, [0, 1])
    assert_array_equal(log.users, [1, 1])
    wrapped = np.array([2**64 - 1, 1], dtype=np.uint64)
    assert_array_equal(encoder.transform((wrapped, ids, [1, 2])).items, [1])


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series(["a", pd.NA], dtype="string"),
        ["a", pd.NA],
        ["a", np.nan],
        [b"a", np.nan],
        np.array(["2024-01-01", "NaT"], "M8[D]"),
        pd.Series(pd.to_datetime(["2024-01-01", None])),
        pd.Series([1, pd.NA], dtype="Int64"),
        pd.Series(["a", None], dtype="category"),
    ],
)
def test_missing_ids_of_all_kinds_are_errors(ids):
    with pytest.raises(ValueError, match="item must not have missing values"):
        InteractionEncoder().fit(([1, 2], ids, [1, 2]))
    with pytest.raises(ValueError, match="user must not have missing values"):
        InteractionEncoder().fit((ids, [1, 2], [1, 2]))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has StringDType")
@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_ids_of_variable_width_strings_are_errors(missing):
    ids = np.array(["a", missing], dtype=np.dtypes.StringDType(na_object=missing))
    with pytest.raises(ValueError, match="item must not have missing values"):
        InteractionEncoder().fit(([1, 2], ids, [1, 2]))
    log = InteractionEncoder().fit_transform(([1], ids[:1], [1]))
    assert log.item_ids.tolist() == ["a"]


@pytest.mark.parametrize("convert", [pd.Series, list, lambda periods: periods])
@pytest.mark.parametrize(
    ("first", "freq", "expected"),
    [
        ("2024-01-01T05:00", "h", ["2024-01-01T05:00", "2024-01-01T06:00"]),
        ("2024-01-31", "M", ["2024-01-01T00:00", "2024-02-01T00:00"]),
    ],
)
def test_periods_count_as_the_time_of_their_start(convert, first, freq, expected):
    periods = convert(pd.period_range(first, periods=2, freq=freq))
    log = InteractionEncoder().fit_transform((["a", "b"], [1, 2], periods))
    assert_array_equal(log.times, np.array(expected, dtype="M8[us]"))


def test_missing_periods_are_errors():
    periods = pd.Series(["2024-01", None], dtype="period[M]")
    with pytest.raises(ValueError, match="time must not have missing values"):
        InteractionEncoder().fit((["a", "b"], [1, 2], periods))


@pytest.mark.parametrize(
    ("times", "amounts", "expected"),
    [
        ([1, 2, 3], [1.1, -0.7, -0.4], []),
        ([1, 1, 1], [1.1, -0.7, -0.4], []),
        ([1, 2, 3], [0.1, 0.2, -0.3], []),
        ([1, 2, 3], [5, 0.3, -0.1 - 0.2], [5]),
        ([1, 2, 3], [1.1, -0.7, -0.39], [0.01]),
        ([1, 2], [1e9 + 0.01, -1e9], [0.01]),
        ([1, 2, 3], [1e-20, 1, -1], [1e-20]),
    ],
)
def test_rounding_does_not_keep_returned_purchases(times, amounts, expected):
    pair = [1] * len(times)
    encoder = InteractionEncoder(amount="n", returns="cancel")
    log = encoder.fit_transform((pair, pair, times, amounts))
    assert_allclose(log.amounts, expected, rtol=1e-4)


@pytest.mark.slow
def test_millions_of_rows_take_seconds():
    rng = np.random.default_rng(0)
    n = 2_000_000
    columns = (
        rng.integers(100_000, size=n),
        rng.integers(50_000, size=n),
        rng.integers(10**9, size=n),
    )
    begin = time.process_time()
    InteractionEncoder().fit_transform(columns)
    assert time.process_time() - begin < 10


def slow_examples(log, cutoff, width, targets):
    """X and y of one cutoff, row by row."""
    rows = []
    for user in range(log.shape[0]):
        ages, found = {}, {}
        for u, item, second in zip(log.users, log.items, log.seconds, strict=True):
            if u != user:
                continue
            if second < cutoff:
                ages[int(item)] = max((cutoff - second) / DAY, 1 / DAY)
            elif second < cutoff + width:
                found.setdefault(int(item), second / DAY)
        if targets == "new":
            found = {item: day for item, day in found.items() if item not in ages}
        if ages and found:
            rows.append((user, ages, found))
    return rows


@pytest.mark.parametrize("targets", ["new", "all"])
def test_examples_equal_a_slow_reference(targets):
    log = random_log(n=400, n_users=12, n_items=9)
    cutoffs = np.array([60.0, 75.5]) * DAY
    data = temporal_examples(log, cutoffs, "10D", targets=targets)
    X, y, when = data
    rows = [
        (cutoff, *row)
        for cutoff in cutoffs
        for row in slow_examples(log, cutoff, 10 * DAY, targets)
    ]
    assert len(rows) == X.shape[0] == len(when) > 5
    for i, (cutoff, user, ages, found) in enumerate(rows):
        assert data.users[i] == user
        assert when[i] == np.datetime64(int(cutoff * 1e6), "us")
        assert_array_equal(X[i].indices, sorted(ages))
        assert_allclose(X[i].data, [ages[j] for j in sorted(ages)], rtol=1e-6)
        assert_array_equal(y[i].indices, sorted(found))
        assert_allclose(data.target_times[i].data, [found[j] for j in sorted(found)])
    assert (y.data == 1).all()
    assert isinstance(X[:3], AgeMatrix)


def test_rows_without_history_or_targets_are_optional():
    log = InteractionEncoder(unit="D").fit_transform(([0, 1, 2], [0, 1, 1], [1, 6, 6]))
    with pytest.raises(ValueError, match="cutoffs must have users with a history"):
        temporal_examples(log, [5 * DAY], 2)
    X, y, _ = temporal_examples(log, [5 * DAY], 2, min_history=0, min_targets=0)
    assert_array_equal(X.toarray(), [[4, 0], [0, 0], [0, 0]])
    assert_array_equal(y.toarray(), [[0, 0], [0, 1], [0, 1]])


def test_a_number_of_cutoffs_covers_the_end_of_the_log():
    log = random_log()
    data = temporal_examples(log, 3, "14D", targets="all", min_history=0)
    cutoffs = np.unique(data.cutoffs)
    assert len(cutoffs) == 3
    assert data.target_times.data.max() * DAY <= log.seconds[-1] + 1e-3
    assert cutoffs[-1] + np.timedelta64(14, "D") == log.times[-1] + np.timedelta64(1, "s")


def test_histories_at_the_end_are_those_of_all_purchases():
    log = random_log()
    X, users = histories(log)
    expected = sp.csr_matrix((np.ones(len(log)), (log.users, log.items)), shape=log.shape)[users]
    assert_array_equal(X.toarray() > 0, expected.toarray() > 0)
    assert X.data.min() >= 1 / DAY - 1e-12
    X, users = histories(log, at=0, users=[3, 3])
    assert X.shape == (2, log.shape[1])
    assert X.nnz == 0
    with pytest.raises(ValueError, match=r"users must lie in \[0, 60\)"):
        histories(log, users=[99])


@pytest.mark.parametrize("horizon", ["14", "14 parsecs", None, True, -1, 0, "0D", np.inf])
def test_a_bad_horizon_is_an_error(horizon):
    with pytest.raises((TypeError, ValueError), match="horizon must be"):
        temporal_examples(random_log(n=10), 1, horizon)


def test_recency():
    ages = sp.csr_matrix(np.array([[10.0, 0, 20], [0, 40, 0]]))
    weights = Recency("10D", "30D").fit_transform(ages)
    assert_allclose(weights.toarray(), [[0.5, 0, 0.25], [0, 0, 0]])
    assert weights.nnz == 3
    assert_array_equal(Recency().fit_transform(ages).data, [1, 1, 1])
    with pytest.raises(ValueError, match="a time after it"):
        Recency().fit_transform(-ages)
    with pytest.raises(ValueError, match="NaN"):
        Recency().fit_transform(sp.csr_matrix([[np.nan]]))
    with pytest.raises(ValueError, match="half_life must be finite and above 0"):
        Recency(half_life=0).fit(ages)


def test_a_split_trains_on_closed_windows_only():
    cutoffs = np.array(["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22"], "M8[D]")
    splits = list(CutoffSplit(horizon="14D").split(None, groups=cutoffs))
    assert [(train.tolist(), test.tolist()) for train, test in splits] == [
        ([0], [2]),
        ([0, 1], [3]),
    ]
    ((train, test),) = CutoffSplit(1, horizon="14D", max_train_windows=1).split(
        None, groups=cutoffs
    )
    assert (train.tolist(), test.tolist()) == ([1], [3])
    assert CutoffSplit(horizon="7D").get_n_splits(groups=cutoffs) == 3
    y = sp.csr_matrix([[1], [1], [0], [1]])
    assert [len(test) for _, test in CutoffSplit().split(None, y, cutoffs)] == [0, 1]
    with pytest.raises(ValueError, match="groups must be the cutoffs"):
        list(CutoffSplit().split(None))
    with pytest.raises(ValueError, match="must have 3 cutoffs after a closed window, got 2"):
        list(CutoffSplit(3).split(None, groups=cutoffs))


@pytest.mark.parametrize(
    "convert", [list, np.array, sp.csr_array, pd.DataFrame, lambda y: pl.DataFrame(np.array(y))]
)
def test_a_split_takes_any_targets(convert):
    cutoffs = np.arange(4) * 7 * DAY
    y = convert([[1, 0], [0, 1], [0, 0], [1, 0]])
    tests = [test.tolist() for _, test in CutoffSplit().split(None, y, cutoffs)]
    assert tests == [[], [3]]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 0, 0, 1], "y must be a two-dimensional matrix"),
        ([["a"], ["a", "b"], [], ["b"]], "y must have rows of one length"),
        (np.ones((3, 2)), "y must have 4 rows, got 3"),
    ],
)
def test_a_split_refuses_other_targets(y, message):
    with pytest.raises(ValueError, match=message):
        list(CutoffSplit().split(None, y, np.arange(4) * 7 * DAY))


@given(st.lists(st.integers(0, 60), min_size=3, max_size=12), st.integers(1, 20))
@examples(50)
def test_no_training_target_is_later_than_the_test_cutoff(days, horizon):
    cutoffs = np.array(days) * DAY
    try:
        splits = list(CutoffSplit(horizon=horizon).split(None, groups=cutoffs))
    except ValueError:
        assert max(days) - min(days) < horizon
        return
    for train, test in splits:
        assert len(train)
        assert cutoffs[train].max() + horizon * DAY <= cutoffs[test].min()
        assert len(set(cutoffs[test])) == 1
