"""ItemToItemRecommender.partial_fit: updates of what was kept equal a fit to the last bit."""

import copy
import pickle
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from purchases import reference_relatedness
from strategies import examples, seeds

import skxmr
from skxmr._core import Expectation
from skxmr.recommenders import ItemToItemRecommender, _relatedness, _reserve

MEASURES = ["corrected", "difference", "cosine", "jaccard", "lift", "log_likelihood", "bm25"]


@pytest.fixture(autouse=True)
def small_changes(monkeypatch):
    """Update whatever the size of the change, and count some pairs of frequent items."""
    monkeypatch.setattr(_reserve, "_CHANGE_COST", 0)
    monkeypatch.setattr(_reserve, "_N_FREQUENT", 7)


def purchases_of(rng, n, n_users, n_items):
    """Users and items of n purchases, some of them repeated, with popular items."""
    items = (n_items * rng.random(n) ** rng.choice([1, 2, 4])).astype(int)
    return rng.integers(n_users, size=n), items


def batch_of(users, items, shape):
    """Return rows with purchases, and the row of each user."""
    matrix = sp.csr_matrix((np.ones(len(users), np.float32), (users, items)), shape)
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return matrix[rows], rows


def assert_equals_a_fit(recommender):
    """Compare with a fit of the same histories."""
    whole = ItemToItemRecommender(**recommender.get_params())
    whole.fit(recommender._histories, users=recommender._users)
    for name, array in whole._model.arrays.items():
        assert_array_equal(recommender._model.arrays[name], array, err_msg=name)
    assert_array_equal(recommender.popularity_, whole.popularity_)
    assert recommender.n_left_out_ == whole.n_left_out_


@pytest.mark.parametrize("measure", MEASURES)
@given(
    seeds,
    st.sampled_from([0.0, 1.0, 20.0]),
    st.sampled_from([1, 3, 20]),
    st.sampled_from([1, 2]),
    st.sampled_from([12, 10000]),
    st.booleans(),
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
)
@examples(40)
def test_many_updates_equal_a_fit(
    measure, seed, shrinkage, n_related, min_support, max_history, known, sizes
):
    rng = np.random.default_rng(seed)
    n_users, n_items = rng.integers(2, [120, 50])
    recommender = ItemToItemRecommender(
        measure,
        shrinkage=shrinkage,
        n_related=n_related,
        min_support=min_support,
        max_history=max_history,
        n_jobs=1 + int(rng.integers(2)),
    )
    for size in [int(rng.integers(1, 1000)), *sizes]:
        users, items = purchases_of(rng, size, n_users, n_items)
        X, rows = batch_of(users, items, (n_users, n_items))
        order = rng.permutation(len(rows))
        names = [f"user {row}" for row in rows[order]] if known else None
        recommender.partial_fit(X[order], users=names)
        assert_equals_a_fit(recommender)


def first_and_batches(n=30_000, n_users=600, n_items=120, n_batches=3, n_added=40):
    rng = np.random.default_rng(0)
    users, items = purchases_of(rng, n, n_users, n_items)
    edges = [0, *range(n - n_batches * n_added, n + 1, n_added)]
    shape = (n_users, n_items)
    return [batch_of(users[begin:end], items[begin:end], shape) for begin, end in pairwise(edges)]


def updated_recommender(measure, **params):
    """Return a recommender after a fit and updates, and the number of items counted again."""
    recommender = ItemToItemRecommender(measure, n_related=10, n_jobs=1, **params)
    batches = first_and_batches()
    recommender.partial_fit(batches[0][0], users=batches[0][1])
    counts = []
    again = _relatedness.Counted.related

    def counted(self, items=None, *args, **kwargs):
        counts.append(self.purchases.n_items if items is None else len(items))
        return again(self, items, *args, **kwargs)

    with mock.patch.object(_relatedness.Counted, "related", counted):
        for X, users in batches[1:]:
            recommender.partial_fit(X, users=users)
    return recommender, sum(counts)


@pytest.mark.parametrize("measure", ["corrected", "cosine", "jaccard", "lift", "difference"])
def test_few_items_are_counted_again(measure):
    recommender, n_again = updated_recommender(measure)
    assert n_again < 0.3 * 3 * recommender.n_labels_
    assert_equals_a_fit(recommender)


@pytest.mark.parametrize("measure", ["corrected", "cosine", "difference"])
def test_what_is_kept_equals_the_reference(measure):
    recommender, _ = updated_recommender(measure)
    reserve = recommender._reserve
    X = recommender._histories.toarray().astype(np.float64)
    both = X.T @ X
    frequent = np.argsort(np.where(reserve.frequent.index < 0, 1000, reserve.frequent.index))[:7]
    expected = both[np.ix_(frequent, frequent)]
    np.fill_diagonal(expected, 0)
    assert_array_equal(reserve.frequent.both, expected)
    scores = reference_relatedness(X, None, measure, recommender.shrinkage)
    for item, (begin, end) in enumerate(pairwise(reserve.kept.ptr)):
        kept = reserve.kept.other[begin:end]
        assert len(np.unique(kept)) == len(kept) <= 20
        assert_array_equal(reserve.kept.both[begin:end], both[item, kept])
        bits = np.uint32(reserve.bounds[item] >> np.uint64(32)) & np.uint32(0x7FFFFFFF)
        scores[item, kept] = 0
        assert scores[item].max() <= bits.view(np.float32) * (1 + 1e-6) + 1e-6


@pytest.mark.parametrize("power", [1, 2])
def test_errors_of_interpolation_have_a_bound(power):
    X, _ = first_and_batches()[0]
    recommender = ItemToItemRecommender().fit(X)
    counted = _relatedness.Counted(X, None, recommender)
    expectation = Expectation(np.diff(X.indptr).astype(np.int64) ** power, counted.purchases)
    sizes, _, table, cell, shares, weight = expectation._interpolation
    found = np.einsum("sjn,jn->sj", table[:, cell[:, np.newaxis] + np.arange(-2, 4)], weight)
    exact = -np.expm1(np.multiply.outer(sizes, np.log1p(-shares)))
    error = (np.abs(found - exact) / exact).max()
    assert error <= expectation.largest_error() < 1e-2


def test_an_error_leaves_the_recommender_as_it_was():
    (X, users), (added, added_users), *_ = first_and_batches()
    recommender = ItemToItemRecommender(n_related=10).partial_fit(X, users=users)
    with (
        mock.patch.object(_reserve, "update_related", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        recommender.partial_fit(added, users=added_users)
    assert_equals_a_fit(recommender)
    recommender.partial_fit(added, users=added_users)
    assert_equals_a_fit(recommender)


@pytest.mark.parametrize("params", [{"n_related": 3}, {"max_history": 40}, {"shrinkage": 2}])
def test_changed_parameters_take_effect(params):
    (X, users), (added, added_users), *_ = first_and_batches()
    recommender = ItemToItemRecommender(n_related=10).partial_fit(X, users=users)
    recommender.set_params(**params).partial_fit(added, users=added_users)
    assert_equals_a_fit(recommender)


def test_copies_are_updated_as_well(tmp_path):
    (X, users), (added, added_users), *_ = first_and_batches()
    recommender = ItemToItemRecommender("lift", n_related=10).partial_fit(X, users=users)
    skxmr.save(recommender, tmp_path / "model")
    copies = [
        copy.deepcopy(recommender),
        pickle.loads(pickle.dumps(recommender)),
        skxmr.load(tmp_path / "model"),
    ]
    for one in copies:
        one.partial_fit(added, users=added_users)
        assert_equals_a_fit(one)


def test_only_partial_fit_keeps_more_than_the_related_items():
    (X, users), (added, added_users), *_ = first_and_batches()
    recommender = ItemToItemRecommender(n_related=10).fit(X, users=users)
    assert recommender._reserve is None
    recommender.partial_fit(added, users=added_users)
    assert recommender._reserve is not None
    assert_equals_a_fit(recommender)
    assert recommender.fit(X, users=users)._reserve is None
