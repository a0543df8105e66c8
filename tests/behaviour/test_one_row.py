"""The short way of a single row through rank: the same answers, errors and options as a batch."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from datasets import random_labels
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from strategies import finite

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier

N_FEATURES, N_LABELS = 12, 20


example = partial(
    random_labels,
    n_rows=200,
    n_features=N_FEATURES,
    n_labels=N_LABELS,
    density=0.4,
    label_density=0.15,
    every_label=False,
)


def fitted(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=3)
    options = {"random_state": 0, "n_neighbors": None, **params}
    return XRLinearClassifier(indexer, **options).fit(*example())


CLF = fitted(beam_width=3)


def batch(clf, row, k):
    """What rank says of the row as one of two, which never takes the short way."""
    labels, scores = clf.rank(sp.vstack([row, row], format="csr"), k)
    return labels[:1], scores[:1]


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def forms(row):
    """One row in every form that rank takes."""
    row = sp.csr_matrix(row)
    wide = sp.csr_matrix(row.shape, dtype=np.float32)
    wide.data, wide.indices = row.data, row.indices.astype(np.int64)
    wide.indptr = row.indptr.astype(np.int64)
    dense = row.toarray()
    return {
        "csr_matrix": row,
        "csr_array": sp.csr_array(row),
        "int64 indices": wide,
        "float64": row.astype(np.float64),
        "csc": row.tocsc(),
        "dense": dense,
        "Fortran": np.asfortranarray(dense),
        "strided": np.repeat(dense, 2, axis=1)[:, ::2],
        "list": dense.tolist(),
        "pair": (row.indices, row.data),
        "pair of lists": (row.indices.tolist(), row.data.tolist()),
        "strided pair": (np.repeat(row.indices, 2)[::2], np.repeat(row.data, 2)[::2]),
        "reversed pair": (row.indices[::-1], row.data[::-1]),
    }


@pytest.mark.parametrize("k", [1, 5, N_LABELS + 7])
@pytest.mark.parametrize("form", forms(example()[0][0]))
def test_every_form_of_a_row_ranks_as_in_a_batch(form, k):
    X, _ = example(n_rows=6, seed=3)
    for row in X:
        expected = batch(CLF, row, k)
        for _ in range(2):  # the first call of a kind prepares what the next ones use
            assert_same(CLF.rank(forms(row)[form], k), expected)


@given(finite.flatmap(lambda v: sp_rows(v)))
def test_any_row_ranks_as_in_a_batch(row):
    CLF.rank(example()[0][0], 4)
    assert_same(CLF.rank(row, 4), batch(CLF, row, 4))


def sp_rows(value):
    """Rows of any pattern, with one value and its half, a stored zero among them."""

    def make(columns):
        columns = np.array(sorted(columns), dtype=np.int32)
        values = np.float32([value, value / 2, 0])[np.arange(len(columns)) % 3]
        return sp.csr_matrix((values, columns, [0, len(columns)]), shape=(1, N_FEATURES))

    return st.sets(st.integers(0, N_FEATURES - 1)).map(make)


def test_options_changed_between_calls_count():
    clf, row = fitted(beam_width=1), example()[0][:1]
    narrow = clf.rank(row, 8)
    clf.set_params(beam_width=20)
    wide = clf.rank(row, 8)
    assert (wide[0] >= 0).sum() > (narrow[0] >= 0).sum()
    clf.post_processor = "sigmoid"
    assert not np.array_equal(clf.rank(row, 8)[1], wide[1])
    clf.set_params(beam_width=1, post_processor="l3-hinge")
    assert_same(clf.rank(row, 8), narrow)


def test_a_new_fit_replaces_what_was_prepared():
    clf, row = fitted(), example()[0][:1]
    before = clf.rank(row, 5)
    X, Y = example(seed=9)
    clf.fit(X, Y)
    assert_same(clf.rank(row, 5), batch(clf, row, 5))
    assert not np.array_equal(clf.rank(row, 5)[1], before[1])


@pytest.mark.parametrize(("name", "value"), [("beam_width", 3.0), ("beam_width", True)])
def test_numbers_of_other_types_are_refused_as_ever(name, value):
    clf, row = fitted(beam_width=3), example()[0][:1]
    clf.rank(row, 1)
    clf.set_params(**{name: value})
    with pytest.raises((TypeError, ValueError), match=name):
        clf.rank(row, 1)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None, "3", [3]])
def test_a_bad_k_is_refused(k):
    row = example()[0][:1]
    CLF.rank(row, 1), CLF.rank(row, 2), CLF.rank(row, 3)
    with pytest.raises((TypeError, ValueError), match="k"):
        CLF.rank(row, k)


BAD_PAIRS = {
    "too few parts": (([0],), "pair"),
    "too many parts": (([0], [1.0], [2]), "pair"),
    "lengths": (([0, 1], [1.0]), "equal length"),
    "two dimensions": (([[0, 1]], [[1.0, 2.0]]), "one-dimensional"),
    "float indices": (([0.0], [1.0]), "integer indices"),
    "text": (([0], ["a"]), "real values"),
    "negative index": (([-1], [1.0]), "indices in"),
    "index beyond": (([N_FEATURES], [1.0]), "indices in"),
    "NaN": ((np.int32([0]), np.float32([np.nan])), "NaN"),
    "infinity": ((np.int32([0]), np.float32([np.inf])), "infinity"),
    "far beyond": ((np.int32([2**31 - 1]), np.float32([1])), "indices in"),
}


@pytest.mark.parametrize(("pair", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_bad_pairs_are_refused(pair, message):
    CLF.rank(example()[0][:1], 2)
    with pytest.raises((TypeError, ValueError), match=message):
        CLF.rank(pair, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("form", ["csr_matrix", "dense"])
def test_values_that_are_not_finite_are_refused(form, value):
    row = example()[0][:1].copy()
    CLF.rank(row, 2)
    row.data[0] = value
    with pytest.raises(ValueError, match="X contains"):
        CLF.rank(forms(row)[form], 2)


def test_rows_of_another_width_are_refused():
    CLF.rank(example()[0][:1], 2)
    for row in (np.ones((1, N_FEATURES + 1), dtype=np.float32), sp.csr_matrix((1, 3))):
        with pytest.raises(ValueError, match="features"):
            CLF.rank(row, 2)


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [([0, 3], [0, 1]), ([1, 2], [0, 1]), ([0, 1], [0, 1]), ([0, 2], [0, -5]), ([0, 2], [3, 99])],
)
def test_matrices_that_contradict_themselves_do_no_harm(indptr, indices):
    row = sp.csr_matrix((1, N_FEATURES), dtype=np.float32)
    row.indptr, row.indices = np.int32(indptr), np.int32(indices)
    row.data = np.ones(2, dtype=np.float32)
    CLF.rank(example()[0][:1], 2)
    try:
        labels, _ = CLF.rank(row, 2)
    except ValueError:
        return
    assert indptr == [0, 1]  # elements beyond the pointers are legal
    assert labels.shape == (1, 2)


def test_feature_names_still_warn():
    pd = pytest.importorskip("pandas")
    X, Y = example()
    frame = pd.DataFrame(X.toarray(), columns=[f"f{i}" for i in range(N_FEATURES)])
    clf = XRLinearClassifier(random_state=0).fit(frame, Y)
    clf.rank(frame[:1], 2)
    with pytest.warns(UserWarning, match="feature names"):
        clf.rank(X[:1].toarray(), 2)


def test_what_is_prepared_is_neither_pickled_nor_saved(tmp_path):
    clf, row = fitted(), example()[0][:1]
    expected = clf.rank(row, 3)
    clf.save(tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(clf)), skxmr.load(tmp_path / "model", mmap=True)):
        assert_same(other.rank(row, 3), expected)
        assert_same(other.rank(row, 3), expected)


def test_many_options_are_not_kept_forever():
    clf, row = fitted(), example()[0][:1]
    for k in range(1, 200):
        clf.rank(row, k)
    assert len(clf._fitted.rankers[0]._row_rankers) <= 64


def test_threads_rank_with_one_model():
    clf = fitted(beam_width=4)
    X, _ = example(seed=5)
    expected, rows = clf.rank(X, 6), [(row.indices, row.data) for row in X]

    def rank_all(seed):
        order = np.random.default_rng(seed).permutation(X.shape[0])
        return [(i, clf.rank(rows[i], 6)) for i in order]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(rank_all, range(16)):
            for i, found in results:
                assert_same(found, (expected[0][i : i + 1], expected[1][i : i + 1]))
