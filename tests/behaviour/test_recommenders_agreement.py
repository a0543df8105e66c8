"""Results of recommenders that must agree: of other types, orders, times and parameters."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from purchases import random_examples

import skxmr
from skxmr.metrics import hit_rate_at_k, paired_bootstrap
from skxmr.recommenders import (
    AutoencoderRecommender,
    BlendedRecommender,
    CutoffSplit,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MostPopularRecommender,
    PriorShift,
    UserToUserRecommender,
    make_next_item_recommender,
)

DATA = random_examples()
X, Y, CUTOFFS = DATA
META = {"users": DATA.users, "target_times": DATA.target_times}
FEW = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1]])


@pytest.mark.parametrize("big", [0, 10**17, 2**62])
@pytest.mark.parametrize("dtypes", [("int64", "uint64"), ("uint64", "int64"), ("int32", "int64")])
def test_large_numbers_of_users_are_told_apart(big, dtypes):
    if dtypes[0] == "int32":
        big = 0
    first = np.array([big + 1, big + 2], dtype=dtypes[0])
    second = np.array([big + 3, big + 1, big + 3], dtype=dtypes[1])
    recommender = ItemToItemRecommender("cosine", shrinkage=0).partial_fit(FEW[:2], users=first)
    recommender.partial_fit(FEW, users=second)
    histories = np.array([FEW[0] | FEW[1], FEW[1], FEW[0] | FEW[2]])
    expected = ItemToItemRecommender("cosine", shrinkage=0).fit(histories)
    assert_array_equal(recommender.popularity_, histories.sum(axis=0))
    assert_array_equal(recommender.decision_function(FEW), expected.decision_function(FEW))
    assert recommender._users.tolist() == [big + 1, big + 2, big + 3]


@pytest.mark.parametrize(
    ("known", "new"),
    [
        (np.array([1, 2]), np.array([2.5])),
        (np.array([1, 2]), np.array([2**63], dtype=np.uint64)),
        (np.array([1, 2], dtype=np.uint64), np.array([-1])),
        (np.array([1.0, 2.0]), np.array([2**53 + 1])),
    ],
)
def test_numbers_of_users_that_would_be_rounded_are_refused(known, new):
    recommender = ItemToItemRecommender().partial_fit(FEW[:2], users=known)
    before = recommender.decision_function(FEW)
    with pytest.raises(ValueError, match=f"users must hold ids of {known.dtype} as in fit"):
        recommender.partial_fit(FEW[2:], users=new)
    assert_array_equal(recommender.decision_function(FEW), before)
    recommender.partial_fit(FEW[2:], users=known[:1].astype(float))  # the same user


@pytest.mark.parametrize(
    "recommender",
    [
        LinearAutoencoderRecommender(1.0, ordered=True, window_half_life="30D"),
        PriorShift(MostPopularRecommender(), window_half_life="30D"),
        AutoencoderRecommender(
            (4,), n_epochs=2, ordered=True, window_half_life="30D", random_state=0
        ),
    ],
)
def test_only_differences_of_times_count(recommender):
    histories = np.eye(3)[[0, 1, 2, 0]]
    targets = sp.csr_matrix([[0, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0], [0, 0, 0]])
    scores = []
    for shift in (0, -40_000):
        times = targets.copy()
        times.data = np.array([100.0, 101, 102]) + shift
        recommender.fit(histories, targets, target_times=times)
        scores.append(recommender.decision_function(np.eye(3)))
    assert_array_equal(*scores)


@pytest.mark.parametrize("n_neighbors", [1, 3, 20])
def test_rates_of_a_tuned_blend_are_those_of_its_parts(n_neighbors):
    parts = [("i", UserToUserRecommender(n_neighbors)), ("p", MostPopularRecommender())]
    blend = BlendedRecommender(parts, weights="tuned", n_held_out=1)
    blend.fit(X, Y, cutoffs=CUTOFFS, **META)
    train, test = next(CutoffSplit(1, horizon=blend.horizon).split(X, Y, CUTOFFS))
    test = test[np.diff(X[test].indptr) > 0]
    given = {name: values[train] for name, values in META.items()}
    for part, rate in zip(parts, blend.hit_rates_, strict=False):
        alone = BlendedRecommender([part]).fit(X[train], Y[train], **given)
        ranked = alone.rank(X[test], 6)
        assert rate == pytest.approx(hit_rate_at_k(Y[test], ranked, 6))


def test_candidates_restrict_the_search_of_a_classifier():
    model = make_next_item_recommender(random_state=0).set_params(n_candidates=3).fit(X, Y)
    n_items = X.shape[1]
    candidates = list(range(0, n_items, 5))
    others = np.setdiff1d(np.arange(n_items), candidates)
    expected = model.rank(X, len(candidates), exclude=others)
    found = model.rank(X, len(candidates), exclude=None, candidates=candidates)
    assert_array_equal(found.labels[:, :3], expected.labels[:, :3])
    for_each = sp.csr_matrix(
        np.isin(np.arange(n_items), candidates)[np.newaxis].repeat(len(CUTOFFS), 0)
    )
    found = model.rank(X, len(candidates), exclude=None, candidates=for_each)
    assert_array_equal(found.labels[:, :3], expected.labels[:, :3])
    assert (found.labels[np.diff(X.indptr) > 0, :3] >= 0).all()


def test_an_ordered_item_is_not_related_to_itself(tmp_path):
    histories = np.eye(3)[[0, 0, 1, 1, 2]]
    targets = np.eye(3)[[0, 1, 1, 2, 2]]
    recommender = ItemToItemRecommender("cosine", shrinkage=0, ordered=True, repeat=True)
    recommender.fit(histories, targets)
    assert recommender.rank(np.eye(3), 1).labels.ravel().tolist() == [0, 1, 2]  # bought again
    skxmr.save(recommender, tmp_path / "model")
    for fitted in (recommender, skxmr.load(tmp_path / "model")):
        assert fitted.related([0, 1, 2], 2).labels.tolist() == [[1, -1], [2, -1], [-1, -1]]
        assert fitted.related([0, 0], 1).labels.tolist() == [[1], [1]]


@pytest.mark.parametrize(("fitted", "later"), [(1.0, 0), (0, 1.0)])
def test_the_weight_of_popularity_is_that_of_fit(fitted, later):
    recommender = ItemToItemRecommender(popularity=fitted, shrinkage=1, repeat=True).fit(X)
    recommender.set_params(popularity=later)
    items, scores = recommender.rank(X[:1], 1)
    assert_allclose(recommender.decision_function(X[:1])[0, items[0, 0]], scores[0, 0], rtol=1e-6)
    assert recommender.explain(X[:1], int(items[0, 0])).score == pytest.approx(scores[0, 0])


@pytest.mark.parametrize(
    ("recommender", "changes"),
    [
        (AutoencoderRecommender((8,), n_epochs=1, random_state=0), {"hidden_layer_sizes": (4, 2)}),
        (
            BlendedRecommender([("p", MostPopularRecommender()), ("i", ItemToItemRecommender())]),
            {"estimators": [("p", MostPopularRecommender())]},
        ),
    ],
)
def test_parameters_for_the_next_fit_do_not_spoil_what_is_saved(recommender, changes, tmp_path):
    recommender.fit(X, Y)
    expected = recommender.rank(X, 5)
    skxmr.save(recommender.set_params(**changes), tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert_array_equal(loaded.rank(X, 5).labels, expected.labels)
    assert str(loaded) == str(recommender)


def test_parameters_are_checked_before_saving(tmp_path):
    recommender = ItemToItemRecommender().fit(X).set_params(n_related=0)
    with pytest.raises(ValueError, match="n_related must be at least 1, got 0"):
        skxmr.save(recommender, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_partial_fit_does_not_count_ordered_pairs():
    recommender = ItemToItemRecommender().partial_fit(X).set_params(ordered=True)
    with pytest.raises(ValueError, match="partial_fit needs ordered=False, got True"):
        recommender.partial_fit(X)


def test_rankings_with_columns_in_different_orders_are_compared_by_name():
    names = list("abc")
    histories = pd.DataFrame([[1, 0, 0], [0, 1, 0]] * 20, columns=names)
    targets = pd.DataFrame([[0, 0, 1]] * 40, columns=names)
    first = MostPopularRecommender(repeat=True).fit(histories, targets).rank(histories, 1)
    other = names[::-1]
    second = MostPopularRecommender(repeat=True).fit(histories[other], targets[other])
    second = second.rank(histories[other], 1)
    result = paired_bootstrap([["c"]] * 40, first, second, k=1, random_state=0)
    assert result.difference == result.low == result.high == 0
    assert hit_rate_at_k(targets, first, 1) == hit_rate_at_k(targets[other], second, 1) == 1
    message = "Y_true must have the labels of Y_ranked as columns in the same order, got 'c' at"
    with pytest.raises(ValueError, match=message):
        hit_rate_at_k(targets[other], first, 1)
