from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from reference import stored_entries
from scipy import sparse as sp
from strategies import csr_matrices

from skxmr._data.examples import distinct_examples

features = st.sampled_from([0.5, 1.0, 2.0])


@st.composite
def training_sets(draw):
    """A small X and Y with many equal rows, and weights from 0 to 2 or none."""
    X = draw(csr_matrices(values=features, min_rows=1, max_rows=8, max_columns=2))
    n = X.shape[0]
    Y = draw(csr_matrices(values=st.just(1.0), min_rows=n, max_rows=n, max_columns=2))
    weights = st.lists(st.sampled_from([0, 0.5, 1, 2]), min_size=n, max_size=n)
    weight = draw(st.none() | weights.filter(any).map(lambda w: np.array(w, dtype=np.float32)))
    return X, Y, weight


def contents(X, Y, row, label_row):
    return tuple(stored_entries(X, row)), tuple(stored_entries(Y, label_row))


def as_counts(examples):
    """Total weight by content; every content must come once."""
    n = examples.Y.shape[0]
    weight = np.ones(n) if examples.weight is None else examples.weight
    keys = [contents(examples.X, examples.Y, examples.source[i], i) for i in range(n)]
    assert len(set(keys)) == len(keys) == len(examples.source) == len(weight)
    return dict(zip(keys, weight.tolist(), strict=True))


def taken(X, Y, weight, rows):
    return X[rows], Y[rows], None if weight is None else weight[rows]


def assert_same_examples(a, b):
    """Equal in content and in order; the sources may be different but equal rows."""
    np.testing.assert_array_equal(a.X[a.source].toarray(), b.X[b.source].toarray())
    np.testing.assert_array_equal(a.Y.toarray(), b.Y.toarray())
    assert (a.weight is None) == (b.weight is None)
    if a.weight is not None:
        np.testing.assert_array_equal(a.weight, b.weight)


@given(training_sets())
def test_equal_rows_are_merged_and_their_weights_summed(case):
    X, Y, weight = case
    expected = Counter()
    for i in range(X.shape[0]):
        expected[contents(X, Y, i, i)] += 1 if weight is None else float(weight[i])
    examples = distinct_examples(X, Y, weight)
    assert as_counts(examples) == {key: total for key, total in expected.items() if total > 0}
    assert examples.X is X


@given(training_sets(), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_of_rows(case, random):
    rows = list(range(case[0].shape[0]))
    random.shuffle(rows)
    assert_same_examples(distinct_examples(*case), distinct_examples(*taken(*case, rows)))


@given(training_sets())
def test_a_row_given_twice_is_a_row_of_twice_the_weight(case):
    X, Y, weight = case
    weight = np.ones(X.shape[0], dtype=np.float32) if weight is None else weight
    twice = np.repeat(np.arange(X.shape[0]), 2)
    again = taken(X, Y, weight, twice)
    assert_same_examples(distinct_examples(X, Y, 2 * weight), distinct_examples(*again))


@given(training_sets())
def test_rows_of_weight_zero_are_as_if_they_were_not_there(case):
    X, Y, weight = case
    weight = np.ones(X.shape[0], dtype=np.float32) if weight is None else weight
    kept = np.flatnonzero(weight)
    assert_same_examples(
        distinct_examples(X, Y, weight), distinct_examples(*taken(X, Y, weight, kept))
    )


@given(training_sets())
def test_weights_are_left_out_where_all_are_one(case):
    X, Y, _ = case
    plain = distinct_examples(X, Y)
    assert (plain.weight is None) == (plain.Y.shape[0] == X.shape[0])
    ones = distinct_examples(X, Y, np.ones(X.shape[0], dtype=np.float32))
    assert_same_examples(plain, ones)


def test_rows_that_differ_in_labels_or_in_features_alone_are_kept_apart():
    X = sp.csr_matrix(np.array([[1, 0], [1, 0], [0, 1], [2, 0]], dtype=np.float32))
    Y = sp.csr_matrix(np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=np.float32))
    examples = distinct_examples(X, Y)
    assert sorted(examples.source) == [0, 1, 2, 3]
    assert examples.weight is None


def test_many_rows_are_merged_into_the_few_there_are():
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.integers(0, 2, (2000, 5)).astype(np.float32))
    Y = sp.csr_matrix(rng.integers(0, 2, (2000, 2)).astype(np.float32))
    counts = as_counts(distinct_examples(X, Y))
    assert len(counts) == 128
    assert sum(counts.values()) == 2000


def test_nothing_but_weights_of_zero_leaves_no_example():
    X = sp.csr_matrix(np.eye(2, dtype=np.float32))
    examples = distinct_examples(X, X, np.zeros(2, dtype=np.float32))
    assert examples.Y.shape == (0, 2)
    assert len(examples.source) == 0
