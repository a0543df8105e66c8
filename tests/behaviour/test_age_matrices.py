"""Matrices of ages: what keeps their type, and what makes weights of them."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from purchases import random_log
from sklearn.preprocessing import MaxAbsScaler, Normalizer

from skxmr.recommenders import (
    AgeMatrix,
    BlendedRecommender,
    ItemToItemRecommender,
    UserToUserRecommender,
    histories,
)

AGES = histories(random_log(n=300, n_users=12, n_items=9)).X

SELECTIONS = {
    "row": lambda X: X[0],
    "last row": lambda X: X[-1],
    "rows": lambda X: X[[3, 1]],
    "no rows": lambda X: X[[]],
    "slice": lambda X: X[5:1:-2],
    "mask": lambda X: X[np.arange(X.shape[0]) % 2 == 0],
    "list of bool": lambda X: X[[True] + [False] * (X.shape[0] - 1)],
    "columns": lambda X: X[:, [1, 2]],
    "block": lambda X: X[2:5, 1:4],
    "rows by columns": lambda X: X[np.ix_([0, 2], [1, 3])],
    "ellipsis": lambda X: X[1, ...],
    "getrow": lambda X: X.getrow(1),
    "getcol": lambda X: X.getcol(1),
    "iteration": lambda X: list(X)[3],
    "copy": lambda X: X.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda X: pickle.loads(pickle.dumps(X)),
    "float64": lambda X: X.astype(np.float64),
    "longdouble": lambda X: X.astype(np.longdouble),
    "tocsr": lambda X: X.tocsr(copy=True),
    "sorted": lambda X: X.sorted_indices(),
}

COMPUTATIONS = {
    "scaled": lambda X: 2 * X,
    "scaled by a numpy number": lambda X: X * np.float32(2),
    "divided": lambda X: X / 2,
    "negative": lambda X: -X,
    "absolute": abs,
    "power": lambda X: X.power(2),
    "sum": lambda X: X + X,
    "difference": lambda X: X - sp.csr_matrix(X),
    "reflected sum": lambda X: sp.csr_matrix(X) + X,
    "multiply": lambda X: X.multiply(X),
    "maximum": lambda X: X.maximum(3 * sp.csr_matrix(X)),
    "log1p": lambda X: X.log1p(),
    "ufunc": lambda X: np.sqrt(X),
    "comparison": lambda X: X > 2,
    "product": lambda X: X @ sp.identity(X.shape[1], format="csr"),
    "reflected product": lambda X: sp.identity(X.shape[0], format="csr") @ X,
}


def changed(change):
    W = AGES.copy()
    change(W)
    return W


def _assign(W):
    W.data = (0.5 ** (W.data / 30)).astype(np.float32)


def _scale(W):
    W.data *= 0.5


def _write(W):
    W.data[:] = 1 / W.data


def _write_some(W):
    W.data[W.data > 30] = 0


def _scale_matrix(W):
    W *= 0.5


CHANGES = [_assign, _scale, _write, _write_some, _scale_matrix]


@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_copies_and_selections_are_ages(select):
    selected = select(AGES)
    expected = select(sp.csr_matrix(AGES))
    assert isinstance(selected, AgeMatrix)
    assert selected.holds_ages()
    assert selected.dtype == expected.dtype
    assert_array_equal(selected.toarray(), expected.toarray())


@pytest.mark.parametrize("compute", COMPUTATIONS.values(), ids=COMPUTATIONS)
def test_results_of_arithmetic_are_not_ages(compute):
    result = compute(AGES)
    assert not isinstance(result, AgeMatrix)
    assert_array_equal(result.toarray(), compute(sp.csr_matrix(AGES)).toarray())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("select", SELECTIONS.values(), ids=SELECTIONS)
def test_changed_entries_are_not_ages(change, select):
    selected = select(changed(change))
    is_unchanged = not selected.nnz or not (selected != select(AGES)).nnz
    assert is_unchanged or not isinstance(selected, AgeMatrix) or not selected.holds_ages()


@pytest.mark.parametrize(
    "change",
    [
        lambda W: W.sort_indices(),
        lambda W: W.sum_duplicates(),
        lambda W: W.eliminate_zeros(),
        lambda W: W.prune(),
        lambda W: W.resize((W.shape[0] - 2, W.shape[1] + 5)),
    ],
)
def test_changes_of_the_structure_keep_ages(change):
    unsorted = AgeMatrix(([1, 2, 3.0], [2, 0, 1], [0, 2, 3, 3]), shape=(3, 3))
    for W in (AGES.copy(), unsorted):
        change(W)
        assert W.holds_ages()


def test_mapped_ages_are_ages(tmp_path):
    """Joblib maps large arrays in other processes."""
    joblib.dump(AGES, tmp_path / "ages")
    mapped = joblib.load(tmp_path / "ages", mmap_mode="r")
    assert isinstance(mapped.data, np.memmap)
    assert mapped.holds_ages()
    assert mapped[[1, 2]].holds_ages()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "recommender",
    [
        UserToUserRecommender(),
        ItemToItemRecommender(),
        BlendedRecommender([("u", UserToUserRecommender()), ("i", ItemToItemRecommender())]),
    ],
)
def test_recommenders_use_weights_that_replaced_ages(recommender, change):
    recommender.fit(AGES)
    W = changed(change)
    weights = sp.csr_matrix(W)
    for rows in (slice(None), [0], [1]):
        expected = recommender.rank(weights[rows], k=5, exclude=None)
        labels, scores = recommender.rank(W[rows], k=5, exclude=None)
        assert_array_equal(labels, expected[0])
        assert_array_equal(scores, expected[1])
    labels, scores = recommender.rank(W, k=5, exclude=None)
    assert_array_equal(scores, recommender.rank(weights, k=5, exclude=None)[1])
    assert (scores != recommender.rank(AGES, k=5, exclude=None)[1]).any()


@pytest.mark.parametrize("scaler", [Normalizer(), Normalizer("l1"), MaxAbsScaler()])
def test_scaled_ages_are_weights(scaler):
    recommender = UserToUserRecommender().fit(AGES)
    scaled = scaler.fit_transform(AGES)
    expected = recommender.rank(sp.csr_matrix(scaled), k=5)
    assert_array_equal(recommender.rank(scaled, k=5)[1], expected[1])
    assert AGES.holds_ages()


def test_stacked_matrices_are_ages_again():
    stacked = sp.vstack([AGES, AGES], format="csr")
    assert not isinstance(stacked, AgeMatrix)
    recommender = UserToUserRecommender().fit(AGES)
    n = AGES.shape[0]
    scores = recommender.rank(AgeMatrix(stacked), k=5)[1]
    assert_array_equal(scores[:n], recommender.rank(AGES, k=5)[1])
    assert_array_equal(scores[:n], scores[n:])
