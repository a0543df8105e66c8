"""What all recommenders have in common."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from purchases import random_examples, random_histories
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import Normalizer, normalize

import skxmr
from skxmr.metrics import hit_rate_at_k, make_ranking_scorer
from skxmr.pipeline import make_pipeline
from skxmr.recommenders import (
    AutoencoderRecommender,
    BlendedRecommender,
    CutoffSplit,
    ItemToItemRecommender,
    LinearAutoencoderRecommender,
    MatrixFactorizationRecommender,
    MostPopularRecommender,
    PriorShift,
    Recency,
    UserToUserRecommender,
    make_next_item_recommender,
)

DATA = random_examples()
X, Y, CUTOFFS = DATA
META = {"users": DATA.users, "target_times": DATA.target_times}
POPULAR_AND_RELATED = [
    ("popular", MostPopularRecommender()),
    ("related", make_pipeline(Recency(10), ItemToItemRecommender(shrinkage=1))),
]

CASES = {
    "popular": MostPopularRecommender(),
    "recent": MostPopularRecommender("7D"),
    "item to item": ItemToItemRecommender(popularity=0.01),
    "ordered items": ItemToItemRecommender(ordered=True),
    "user to user": UserToUserRecommender(20),
    "EASE": LinearAutoencoderRecommender(20.0),
    "ridge": LinearAutoencoderRecommender(20.0, ordered=True, window_half_life=30),
    "ALS": MatrixFactorizationRecommender(n_factors=8, random_state=0),
    "BPR": MatrixFactorizationRecommender("bpr", n_factors=8, random_state=0),
    "autoencoder": AutoencoderRecommender((8,), n_epochs=3, random_state=0),
    "ordered autoencoder": AutoencoderRecommender(
        (8,), n_epochs=3, ordered=True, prior_shift=0.5, random_state=0
    ),
    "XR": make_next_item_recommender(random_state=0),
    "shifted XR": make_next_item_recommender(prior_shift=0.5, random_state=0),
    "XR with components": make_next_item_recommender(n_components=4, random_state=0),
    "shifted autoencoder": PriorShift(
        AutoencoderRecommender((8,), n_epochs=2, ordered=True, random_state=0)
    ),
    "blend": BlendedRecommender(POPULAR_AND_RELATED, weights=[1, 0.5]),
}
FITTED = {}
each_case = pytest.mark.parametrize("name", CASES)


def fitted(name):
    if name not in FITTED:
        FITTED[name] = clone(CASES[name]).fit(X, Y, **META)
    return FITTED[name]


@each_case
def test_rank_returns_new_items_best_first(name):
    labels, scores = fitted(name).rank(X[:20], 8)
    assert labels.shape == scores.shape == (20, 8)
    assert labels.dtype == np.int32
    for i in range(20):
        found = labels[i][labels[i] >= 0]
        assert not set(found) & set(X[i].indices)
        assert len(set(found)) == len(found) > 0
        assert_array_equal(labels[i, len(found) :], -1)
        assert (np.diff(scores[i, : len(found)]) <= 0).all()


@each_case
def test_fewer_items_are_the_beginning_of_more(name):
    many = fitted(name).rank(X[:20], 8)
    for k in (1, 3):
        few = fitted(name).rank(X[:20], k)
        assert_array_equal(few.labels, many.labels[:, :k])
        assert_array_equal(few.scores, many.scores[:, :k])
    assert_array_equal(fitted(name).rank(X[:20], 100).labels[:, :8], many.labels)


@each_case
def test_a_row_is_ranked_as_in_a_batch(name):
    batch = fitted(name).rank(X[:10], 5)
    for i in range(10):
        one = fitted(name).rank(X[i], 5)
        assert_array_equal(one.labels[0], batch.labels[i])
        assert_allclose(one.scores[0], batch.scores[i], rtol=1e-5)


@each_case
def test_seen_items_are_excluded_on_request_only(name):
    recommender = fitted(name)
    labels = recommender.rank(X[:20], 30, exclude=None).labels
    assert any(set(labels[i]) & set(X[i].indices) for i in range(20))
    again = clone(recommender).set_params(repeat=True).fit(X, Y, **META)
    assert_array_equal(again.rank(X[:20], 30).labels, labels)
    seen = again.rank(X[:20], 6, exclude="seen").labels
    assert_array_equal(seen, recommender.rank(X[:20], 6).labels)


@each_case
def test_exclusions_and_candidates_for_all_rows_and_for_each(name):
    recommender = fitted(name)
    labels = recommender.rank(X[:10], 6, exclude=[0, 3, 5]).labels
    assert not set(labels.ravel()) & {0, 3, 5}
    labels = recommender.rank(X[:10], 6, exclude=None, candidates=[0, 3, 5]).labels
    assert set(labels.ravel()) <= {-1, 0, 3, 5}
    sets = sp.random_array((10, 30), density=0.3, format="csr", rng=0)
    excluded = recommender.rank(X[:10], 6, exclude=sets).labels
    among = recommender.rank(X[:10], 6, exclude=None, candidates=sets).labels
    for i in range(10):
        allowed = set(sets[[i]].indices)
        assert not set(excluded[i]) & allowed
        assert set(among[i]) <= allowed | {-1}


@each_case
def test_rows_without_history_get_what_is_popular(name):
    recommender = fitted(name)
    cold = sp.csr_matrix((2, 30), dtype=np.float32)
    labels, scores = recommender.rank(cold, 30)
    order = np.lexsort((np.arange(30), -recommender.popularity_))
    assert_array_equal(labels[0], order)
    assert np.isfinite(scores).all()
    assert recommender.is_cold(cold).all()
    assert not recommender.is_cold(X[:3]).any()
    reasons = recommender.explain(cold[0], 3)
    assert reasons.is_cold
    assert "popular" in reasons.to_text()
    # A stored zero is seen, and no history.
    cold = sp.csr_matrix((np.zeros(1, np.float32), [order[0]], [0, 1]), shape=(1, 30))
    if name not in ("XR", "shifted XR", "blend", "shifted autoencoder"):
        assert recommender.is_cold(cold).all()
        assert recommender.rank(cold, 1).labels[0, 0] == order[1]


@each_case
def test_score_is_the_hit_rate_at_6(name):
    recommender = fitted(name)
    expected = hit_rate_at_k(Y, recommender.rank(X, 6), 6)
    assert recommender.score(X, Y) == expected
    assert make_ranking_scorer(hit_rate_at_k, k=6)(recommender, X, Y) == expected
    predicted = recommender.predict(X)
    assert_array_equal(np.diff(predicted.indptr), (recommender.rank(X, 6).labels >= 0).sum(axis=1))
    weight = np.arange(X.shape[0]) == 0
    assert recommender.score(X, Y, weight) in (0, 1)


@each_case
def test_fits_and_copies_are_equal(name):
    expected = fitted(name).rank(X[:30], 10)
    again = clone(fitted(name)).fit(X, Y, **META)
    copied = pickle.loads(pickle.dumps(fitted(name)))
    for other in (again, copied):
        assert_array_equal(other.rank(X[:30], 10).labels, expected.labels)
        assert_array_equal(other.rank(X[:30], 10).scores, expected.scores)


@pytest.mark.parametrize("mmap", [False, True])
@each_case
def test_saved_recommenders_rank_alike(name, mmap, tmp_path):
    if name == "XR with components":
        pytest.importorskip("skops")
    expected = fitted(name).rank(X[:30], 10)
    skxmr.save(fitted(name), tmp_path / "model")
    assert not list(tmp_path.rglob("*.pkl"))
    loaded = skxmr.load(tmp_path / "model", mmap=mmap)
    assert repr(loaded.get_params()) == repr(fitted(name).get_params())
    found = loaded.rank(X[:30], 10)
    assert_array_equal(found.labels, expected.labels)
    assert_array_equal(found.scores, expected.scores)
    cold = sp.csr_matrix((1, 30), dtype=np.float32)
    assert_array_equal(loaded.rank(cold).labels, fitted(name).rank(cold).labels)


def test_a_loaded_recommender_can_be_extended(tmp_path):
    histories = random_histories(40, 12)
    names = np.array([f"user {i}" for i in range(40)])
    for given in ([{}, {}], [{"users": names[:30]}, {"users": names[30:]}]):
        recommender = ItemToItemRecommender().fit(histories[:30], **given[0])
        skxmr.save(recommender, tmp_path / "model")
        loaded = skxmr.load(tmp_path / "model")
        loaded.partial_fit(histories[30:], **given[1])
        whole = ItemToItemRecommender().fit(histories)
        assert_array_equal(loaded.related(range(12)).scores, whole.related(range(12)).scores)


@each_case
def test_unfitted_recommenders_say_so(name):
    recommender = clone(CASES[name])
    for call in (recommender.rank, recommender.predict, recommender.decision_function):
        with pytest.raises(NotFittedError):
            call(X)


EXPLAINED = ["popular", "item to item", "ordered items", "EASE", "ridge", "ALS", "BPR"]


@pytest.mark.parametrize("name", EXPLAINED)
def test_contributions_add_up_to_the_score(name):
    recommender = fitted(name)
    scores = recommender.decision_function(X[:5])
    for i in range(5):
        for item in range(0, 30, 7):
            reasons = recommender.explain(X[i], item)
            assert sorted(reasons.history) == X[i].indices.tolist()
            total = reasons.contributions.sum() + reasons.base
            assert total == pytest.approx(scores[i, item], rel=1e-3, abs=1e-4)
            assert reasons.score == pytest.approx(total)


def test_reasons_as_text():
    recommender = fitted("item to item")
    item = recommender.rank(X[0], 1).labels[0, 0]
    names = [f"item {i}" for i in range(30)]
    text = recommender.explain(X[0], item).to_text(names, n=1)
    assert text.startswith(f"item {item}: because you bought item ")
    with pytest.raises(TypeError, match="not sums over the history"):
        fitted("user to user").explain(X[0], 1)
    with pytest.raises(ValueError, match="X must have one row"):
        recommender.explain(X[:2], 1)


@pytest.mark.parametrize("name", [name for name in CASES if "XR" not in name])
def test_plain_histories_without_targets_are_enough(name):
    histories = random_histories(60, 30)
    recommender = clone(CASES[name])
    needs_targets = getattr(recommender, "ordered", False) or name in (
        "recent",
        "shifted autoencoder",
    )
    if needs_targets:
        with pytest.raises(ValueError, match=r"y must be given|needs target_times"):
            recommender.fit(histories)
        return
    recommender.fit(histories.toarray())
    assert_array_equal(
        recommender.rank(histories, 5).labels, recommender.rank(histories.toarray(), 5).labels
    )


@pytest.mark.parametrize("one", [(1, 5), (5, 1), (1, 1)])
@pytest.mark.parametrize("name", ["popular", "item to item", "user to user", "EASE", "ALS", "BPR"])
def test_one_user_or_one_item(name, one):
    histories = np.ones(one, dtype=np.float32)
    recommender = clone(CASES[name]).fit(histories)
    assert recommender.rank(histories, 3).labels.tolist() == [[-1] * 3] * one[0]
    labels = recommender.rank(np.zeros(one), 1).labels
    assert labels.tolist() == [[0]] * one[0]


BAD = {
    "NaN": (np.array([[np.nan, 1]]), None, "NaN"),
    "negative": (np.array([[-1.0, 1]]), None, "at least 0"),
    "y of another shape": (np.eye(2), np.eye(3), "y must have"),
    "y not 0/1": (np.eye(2), 2 * np.eye(2), "0/1"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["popular", "item to item", "user to user", "EASE", "XR"])
def test_bad_input_of_fit(name, case):
    histories, y, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        clone(CASES[name]).fit(histories, y)


@each_case
def test_bad_input_of_rank(name):
    recommender = fitted(name)
    with pytest.raises(ValueError, match="31 features"):
        recommender.rank(np.ones((1, 31)))
    with pytest.raises(ValueError, match="29 features"):
        recommender.rank(np.ones((1, 29)))
    with pytest.raises(ValueError, match="NaN"):
        recommender.rank(np.full((1, 30), np.nan))
    with pytest.raises(ValueError, match="at least 0"):
        recommender.rank(-np.ones((1, 30)))
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        recommender.rank(X[:1], 0)
    with pytest.raises(ValueError, match="exclude must be 'auto'"):
        recommender.rank(X[:1], exclude="all")
    with pytest.raises(ValueError, match=r"candidates must hold labels in \[0, 30\), got 30"):
        recommender.rank(X[:1], candidates=[30])
    with pytest.raises(ValueError, match="exclude as a matrix must have shape"):
        recommender.rank(X[:2], exclude=X[:1])


def test_a_user_with_one_item_does_not_get_it_back():
    """implicit 0.7.3 returns the item although it is filtered."""
    histories = np.eye(3)
    recommender = ItemToItemRecommender("cosine").fit(histories)
    assert recommender.rank(histories, 3).labels.tolist() == [[-1, -1, -1]] * 3


def test_excluded_items_do_not_shorten_the_ranking():
    """implicit 0.7.3 returns too many items or excluded ones with filter_items."""
    recommender = fitted("popular")
    labels = recommender.rank(X[:5], 6, exclude=np.arange(20)).labels
    assert (labels >= 20).all()
    assert labels.shape == (5, 6)


def test_k_does_not_count_the_item_itself():
    """In implicit 0.7.3, K counts the item itself."""
    histories = random_histories(200, 15, density=0.5)
    recommender = ItemToItemRecommender("cosine", n_related=4).fit(histories)
    labels = recommender.related(np.arange(15), 4).labels
    assert (labels >= 0).all()
    assert not (labels == np.arange(15)[:, np.newaxis]).any()


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix, sp.coo_array, np.asarray])
def test_all_sparse_containers_are_accepted(container):
    """implicit 0.7.3 refuses csr_array."""
    histories = random_histories()
    expected = ItemToItemRecommender().fit(histories).rank(histories, 4).labels
    rows = container(histories.toarray())
    assert_array_equal(ItemToItemRecommender().fit(rows).rank(rows, 4).labels, expected)


def test_an_item_that_all_users_or_no_user_has():
    histories = random_histories(30, 10).toarray()
    histories[:, 0] = 1
    histories[:, 1] = 0
    for name in ("item to item", "user to user", "EASE", "ALS"):
        recommender = clone(CASES[name]).fit(histories)
        assert np.isfinite(recommender.decision_function(histories)).all()


def test_ages_are_not_weights():
    ones = sp.csr_matrix((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape)
    by_ages = UserToUserRecommender(20).fit(X, Y, users=DATA.users)
    by_ones = UserToUserRecommender(20).fit(ones, Y, users=DATA.users)
    assert_array_equal(by_ages.rank(X[:9]).labels, by_ones.rank(ones[:9]).labels)
    by_recency = make_pipeline(Recency(5), UserToUserRecommender(20)).fit(X, Y)
    assert (by_recency.rank(X).labels != by_ages.rank(X).labels).any()


def test_users_keep_their_last_row_only():
    last = np.array([np.flatnonzero(DATA.users == u).max() for u in np.unique(DATA.users)])
    by_users = ItemToItemRecommender().fit(X, Y, users=DATA.users)
    by_rows = ItemToItemRecommender().fit(X[np.sort(last)], Y[np.sort(last)])
    rows = X[:20]
    assert_array_equal(by_users.related(range(30)).labels, by_rows.related(range(30)).labels)
    assert_array_equal(by_users.related(range(30)).scores, by_rows.related(range(30)).scores)
    assert by_users.rank(rows).labels.shape == (20, 10)


def test_recent_popularity():
    days = DATA.target_times.data
    recent = days > days.max() - 7
    expected = np.bincount(Y.indices[recent], minlength=30)
    assert_array_equal(fitted("recent").popularity_, expected)
    with pytest.raises(ValueError, match="window needs target_times"):
        MostPopularRecommender(7).fit(X, Y)


def test_a_prior_shift_adds_log_ratios_of_shares():
    plain = fitted("XR")
    shifted = fitted("shifted XR")
    recent = MostPopularRecommender("7D").fit(X, Y, **META).popularity_ + 0.5
    every = MostPopularRecommender().fit(X, Y).popularity_ + 0.5
    expected = np.log(recent / recent.sum()) - np.log(every / every.sum())
    assert_allclose(shifted.log_shift_, expected, rtol=1e-4, atol=1e-6)
    before = plain.decision_function(X[:3])
    after = shifted.decision_function(X[:3])
    assert_allclose(after, np.log(before) + 0.5 * expected, rtol=1e-3, atol=1e-4)


def shifted_linear_model():
    """A model whose scores are outside of [0, 1] in some rows only."""
    rng = np.random.default_rng(1)
    rows = (rng.random((8, 4)) < 0.4).astype(float)
    y = ((rng.random((8, 4)) < 0.4) & (rows == 0)).astype(float)
    times = sp.csr_matrix(y * rng.integers(1, 20, (8, 4)))
    recommender = PriorShift(LinearAutoencoderRecommender(1.0, ordered=True))
    return recommender.fit(rows, y, target_times=times), rows


def row_by_row(recommender, rows):
    return np.concatenate([recommender.rank(row[np.newaxis], 3).labels for row in rows])


def test_the_scale_of_a_shift_does_not_depend_on_the_other_rows(tmp_path):
    recommender, rows = shifted_linear_model()
    assert recommender.scale_ == "logarithm"
    expected = recommender.rank(rows, 3).labels
    assert_array_equal(row_by_row(recommender, rows), expected)
    logarithm = copy.copy(recommender).set_params(scale="logarithm")
    assert_array_equal(logarithm.rank(rows, 3).labels, expected)
    skxmr.save(recommender, tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert loaded.scale_ == "logarithm"
    assert_array_equal(row_by_row(loaded, rows), expected)
    assert fitted("shifted XR").scale_ == "probability"
    assert fitted("shifted autoencoder").scale_ == "logarithm"


def test_shifts_that_were_saved_without_a_scale(tmp_path):
    recommender, rows = shifted_linear_model()
    del recommender.scale_
    skxmr.save(recommender, tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert not hasattr(loaded, "scale_")
    labels = loaded.rank(rows, 3).labels
    assert_array_equal(row_by_row(loaded, rows), labels)
    probability = copy.copy(fitted("shifted XR"))
    del probability.scale_
    found = probability.rank(X, 5)
    assert_array_equal(found.scores, fitted("shifted XR").rank(X, 5).scores)


def test_a_shift_of_an_estimator_without_rank():
    rows = random_histories(60, 5, density=0.4)
    y = random_histories(60, 5, density=0.4, seed=1)
    times = sp.csr_matrix((np.arange(y.nnz, dtype=float), y.indices, y.indptr), shape=y.shape)
    shifted = PriorShift(OneVsRestClassifier(LogisticRegression()), window=30)
    shifted.fit(rows, y, target_times=times)
    assert shifted.scale_ == "logarithm"
    assert np.abs(shifted.log_shift_).max() > 0.1
    margins = OneVsRestClassifier(LogisticRegression()).fit(rows, y).decision_function(rows)
    margins += shifted.log_shift_
    margins[rows.toarray() > 0] = -np.inf
    labels = shifted.rank(rows, 1).labels[:, 0]
    some = np.isfinite(margins).any(axis=1) & ~shifted.is_cold(rows)
    assert_array_equal(labels[some], margins.argmax(axis=1)[some])


def test_a_blend_is_a_sum_of_scaled_scores():
    blend = fitted("blend")
    parts = []
    popular, related = blend.estimators_
    rows = Recency(10).fit_transform(X[:4])
    for scores in (popular.decision_function(X[:4]), related[-1].decision_function(rows)):
        least = scores.min(axis=1, keepdims=True)
        parts.append((scores - least) / (scores.max(axis=1, keepdims=True) - least))
    assert_allclose(blend.decision_function(X[:4]), parts[0] + 0.5 * parts[1], rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="weights must be 2 numbers"):
        clone(blend).set_params(weights=[1]).fit(X, Y)
    assert clone(blend).set_params(popular__window=3).estimators[0][1].window == 3


def test_tuned_weights_are_not_below_the_best_part(tmp_path):
    parts = [*POPULAR_AND_RELATED, ("users", UserToUserRecommender(20))]
    blend = BlendedRecommender(parts, weights="tuned")
    blend.fit(X, Y, cutoffs=CUTOFFS, **META)
    assert blend.weights_.shape == (3,)
    assert blend.hit_rates_[-1] >= blend.hit_rates_[:-1].max()
    assert_allclose(blend.hit_rates_[0], held_out_hit_rate(parts[0][1]))
    given = BlendedRecommender(parts, weights=blend.weights_).fit(X, Y, **META)
    assert_allclose(held_out_hit_rate(given), blend.hit_rates_[-1])
    assert_array_equal(given.rank(X, 5).labels, blend.rank(X, 5).labels)
    skxmr.save(blend, tmp_path / "blend")
    loaded = skxmr.load(tmp_path / "blend")
    assert_array_equal(loaded.weights_, blend.weights_)
    assert_array_equal(loaded.hit_rates_, blend.hit_rates_)
    assert_array_equal(loaded.rank(X, 5).labels, blend.rank(X, 5).labels)


def held_out_hit_rate(recommender):
    """Return the hit rate at 6 in the last two windows, each after a fit to closed windows."""
    hits = []
    for train, test in CutoffSplit(2).split(X, Y, CUTOFFS):
        known = {name: values[train] for name, values in META.items()}
        again = clone(recommender).fit(X[train], Y[train], **known)
        tops = again.rank(X[test], 6).labels
        hits += [bool(set(top) & set(Y[row].indices)) for top, row in zip(tops, test, strict=True)]
    return np.mean(hits)


@pytest.mark.parametrize(
    ("params", "given", "message"),
    [
        ({"weights": "best"}, {}, "weights must be numbers, None or 'tuned', got 'best'"),
        ({"weights": "tuned"}, {}, "cutoffs must be given if weights='tuned', got None"),
        ({"weights": "tuned"}, {"cutoffs": CUTOFFS[:3]}, "cutoffs must have shape"),
        ({"n_held_out": 0}, {}, "n_held_out must be at least 1, got 0"),
    ],
)
def test_tuning_needs_cutoffs(params, given, message):
    with pytest.raises(ValueError, match=message):
        BlendedRecommender(POPULAR_AND_RELATED, **params).fit(X, Y, **META, **given)


def test_weights_of_windows_reach_the_classifier_and_the_shift():
    recommender = make_next_item_recommender(prior_shift=1, window_half_life=10, random_state=0)
    recommender.fit(X, Y, **META)
    last = np.asarray(DATA.target_times.max(axis=1).todense()).ravel()
    weights = 2.0 ** ((last - last.max()) / 10)
    shares = Y.T @ weights + 0.5
    recent = Y.multiply(DATA.target_times > last.max() - 7)
    recent = np.asarray(recent.sum(axis=0)).ravel() + 0.5
    expected = np.log(recent / recent.sum()) - np.log(shares / shares.sum())
    assert_allclose(recommender.log_shift_, expected, rtol=1e-4, atol=1e-5)
    rows = Recency("365D").fit_transform(X)
    plain = clone(recommender.estimator.steps[-1][1])
    plain.fit(Normalizer().fit_transform(rows), Y, sample_weight=weights)
    assert_allclose(
        recommender.estimator_.decision_function(X).toarray(),
        plain.decision_function(Normalizer().fit_transform(rows)).toarray(),
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match="window_half_life needs target_times"):
        recommender.fit(X, Y)


@pytest.mark.parametrize("half_life", [None, 10])
def test_rows_without_a_history_only_count_in_the_last_days(half_life):
    ages = X.toarray()
    ages[::4] = 0
    rows = sp.csr_matrix(ages)
    network = AutoencoderRecommender((8,), ordered=True, n_epochs=1, window_half_life=half_life)
    network.set_params(prior_shift=1.0, random_state=0)
    days = DATA.target_times
    recent = np.bincount(days.indices[days.data > days.data.max() - 7], minlength=30) + 0.5
    last = np.asarray(days.max(axis=1).todense()).ravel()
    weights = 2.0 ** ((last - last.max()) / half_life) if half_life else np.ones(len(last))
    weights[::4] = 0
    shares = Y.T @ weights + 0.5
    expected = np.log(recent / recent.sum()) - np.log(shares / shares.sum())
    shifted = PriorShift(clone(network).set_params(prior_shift=0), window_half_life=half_life)
    shifted.fit(rows, Y, **META)
    assert_allclose(shifted.log_shift_, expected, rtol=1e-4, atol=1e-5)
    expected = shifted.decision_function(X[:20])
    network.fit(rows, Y, **META)
    found = network.decision_function(X[:20])
    kept = network.kept_
    assert_allclose(found[:, kept], expected[:, kept], rtol=1e-4, atol=1e-4)


def test_components_are_features_of_the_classifier():
    recommender = make_next_item_recommender(n_components=20, random_state=0).fit(X, Y)
    weights = normalize(Recency("365D").fit_transform(X))
    svd = TruncatedSVD(20, random_state=0)
    rows = sp.hstack([weights, normalize(svd.fit_transform(weights))], format="csr")
    plain = clone(recommender.estimator.steps[-1][1]).fit(rows, Y)
    assert plain.n_dense_columns_ == 0
    assert_allclose(
        recommender.estimator_.decision_function(X).toarray(),
        plain.decision_function(rows).toarray(),
        rtol=1e-5,
    )
    other = make_next_item_recommender(random_state=0).fit(X, Y)
    assert np.any(other.rank(X, 5).labels != recommender.rank(X, 5).labels)


def test_components_are_checked():
    with pytest.raises(ValueError, match="n_components must be at least 1, got 0"):
        make_next_item_recommender(n_components=0)


def test_items_without_support_are_ranked_last():
    counts = np.bincount(Y.indices, minlength=Y.shape[1])
    least = int(np.median(counts))
    recommender = AutoencoderRecommender((8,), ordered=True, min_support=least, random_state=0)
    recommender.fit(X, Y, **META)
    assert_array_equal(recommender.kept_, np.flatnonzero(counts >= least))
    assert recommender.coefs_[-1].shape == (8, len(recommender.kept_))
    scores = recommender.decision_function(X[:5])
    left_out = np.setdiff1d(np.arange(Y.shape[1]), recommender.kept_)
    assert len(left_out)
    assert scores[:, left_out].max() < scores[:, recommender.kept_].min()
    with pytest.raises(ValueError, match="min_support must be at most"):
        recommender.set_params(min_support=10**6).fit(X, Y)


def test_the_autoencoder_begins_with_the_shares_of_the_items():
    recommender = AutoencoderRecommender(ordered=True, n_epochs=1, learning_rate=1e-12)
    recommender.fit(X, Y)
    counts = np.bincount(Y.indices, minlength=Y.shape[1])[recommender.kept_]
    shares = (counts + 0.5) / (counts + 0.5).sum()
    assert_allclose(recommender.intercepts_[-1], np.log(shares), rtol=1e-4)


def test_the_order_of_time_is_a_grid_of_one_line():
    search = GridSearchCV(
        make_pipeline(Recency(), LinearAutoencoderRecommender(20.0)),
        {"linearautoencoderrecommender__ordered": [False, True], "recency__half_life": [None, 20]},
        cv=CutoffSplit(2, horizon="14D"),
    )
    search.fit(X, Y, groups=CUTOFFS)
    assert search.best_score_ > 0
    assert len(search.cv_results_["mean_test_score"]) == 4
    blend = GridSearchCV(
        BlendedRecommender(POPULAR_AND_RELATED),
        {"weights": [[1, 0], [1, 1], [0, 1]]},
        cv=CutoffSplit(2),
    )
    blend.fit(X, Y, groups=CUTOFFS, users=DATA.users, target_times=DATA.target_times)
    assert blend.score(X, Y) == blend.best_estimator_.score(X, Y)


def test_names_of_columns_are_names_of_items():
    frame = pd.DataFrame(random_histories(30, 4).toarray(), columns=list("abcd"))
    recommender = ItemToItemRecommender(popularity=0.1).fit(frame)
    names = recommender.rank(frame[:2], 2, exclude=None).names
    assert all(name in "abcd" for row in names for name in row)


@pytest.mark.parametrize("library", [pd, pl])
def test_frames_of_targets_must_have_the_columns_of_the_histories(library):
    names = list("abc")
    rows = library.DataFrame({name: np.eye(3)[:, i] for i, name in enumerate(names)})
    y = rows[["c", "a", "b"]]
    recommender = LinearAutoencoderRecommender(1.0, ordered=True)
    with pytest.raises(ValueError, match="y must have the columns of X in the same order, got 'c'"):
        recommender.fit(rows, y)
    targets = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    targets = library.DataFrame({name: targets[:, i] for i, name in enumerate(names)})
    recommender.fit(rows, targets)
    assert recommender.rank(rows, 1).names == [["b"], ["c"], ["a"]]
    assert recommender.score(rows, targets) == 1
    with pytest.raises(ValueError, match="y must have the columns of X in the same order, got 'c'"):
        recommender.score(rows, targets[["c", "a", "b"]])


def test_exclusions_and_candidates_by_name():
    rows = pd.DataFrame(np.eye(4, 5) + np.eye(4, 5, k=1), columns=list("abcde"))
    recommender = MostPopularRecommender().fit(rows)
    for given in ({"exclude": [1, 4]}, {"candidates": [0, 2, 3], "exclude": None}):
        named = {
            name: None if items is None else [rows.columns[i] for i in items]
            for name, items in given.items()
        }
        expected = recommender.rank(rows, 4, **given).names
        assert expected[0]
        assert recommender.rank(rows, 4, **named).names == expected
    for name in ("exclude", "candidates"):
        with pytest.raises(ValueError, match=f"{name} must hold names from classes_, got 'w'"):
            recommender.rank(rows, **{name: ["w"]})
        with pytest.raises(TypeError, match=f"{name} must hold label indices, as classes_ are not"):
            MostPopularRecommender().fit(rows.to_numpy()).rank(rows.to_numpy(), **{name: ["a"]})


@pytest.mark.parametrize(
    "users", [pd.Series(["a", None, "b"]), ["a", np.nan, "b"], pl.Series([1, None, 2])]
)
def test_users_must_not_be_missing(users):
    with pytest.raises(ValueError, match="users must not have missing values"):
        ItemToItemRecommender().fit(np.eye(3), users=users)


def test_users_must_be_of_one_type():
    with pytest.raises(TypeError, match="users must hold ids that can be sorted"):
        ItemToItemRecommender().fit(np.eye(3), users=np.array(["a", 1, "b"], dtype=object))


def test_too_many_items_for_the_memory_are_an_error():
    recommender = LinearAutoencoderRecommender(max_memory=1000)
    with pytest.raises(ValueError, match=r"at least 2.16e\+04 bytes for 30"):
        recommender.fit(random_histories(50, 30))


def test_linear_autoencoder_equals_its_equations():
    histories = random_histories(50, 12)
    dense = histories.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + 3 * np.eye(12))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    recommender = LinearAutoencoderRecommender(3.0).fit(histories)
    assert_allclose(recommender.coef_, expected, rtol=1e-4, atol=1e-6)
    y = random_histories(50, 12, seed=1)
    ordered = LinearAutoencoderRecommender(3.0, ordered=True).fit(histories, y)
    expected = np.linalg.solve(dense.T @ dense + 3 * np.eye(12), dense.T @ y.toarray())
    assert_allclose(ordered.coef_, expected, rtol=1e-4, atol=1e-6)


def test_user_to_user_equals_a_slow_reference():
    histories = random_histories(30, 12, density=0.4)
    rows = random_histories(5, 12, seed=3)
    dense, query = histories.toarray().astype(float), rows.toarray().astype(float)
    norms = np.linalg.norm(query, axis=1)[:, np.newaxis] * np.linalg.norm(dense, axis=1)
    cosines = query @ dense.T / np.maximum(norms, 1e-30)
    kept = np.zeros_like(cosines)
    for i, row in enumerate(cosines.astype(np.float32)):
        best = np.lexsort((np.arange(30), -row))[:7]
        kept[i, best] = cosines[i, best]
    recommender = UserToUserRecommender(7).fit(histories)
    warm = ~recommender.is_cold(rows)
    assert_allclose(recommender.decision_function(rows)[warm], (kept @ dense)[warm], rtol=1e-4)


def test_the_age_of_all_purchases_of_a_user_does_not_change_its_similarity():
    # The first user bought items 1 and 2 long ago, and others bought 0 and 2.
    ages = [[0, 1003, 1003], [2, 0, 3], [0, 0, 1], [0.1, 0, 3], [3, 0, 3]]
    ages = sp.csr_matrix(np.array(ages))
    ranker = make_pipeline(Recency("7D"), UserToUserRecommender()).fit(ages)
    labels, scores = ranker.rank(ages[[2]], 2)
    assert labels.tolist() == [[0, 1]]
    assert 0 <= scores[0, 1] < 1e-30


@pytest.mark.parametrize("factor", [1e-40, 1e-25, 1e25])
def test_the_scale_of_a_row_does_not_change_what_is_similar(factor):
    rows = random_histories(20, 12, density=0.4).toarray()
    rows = rows[rows.any(axis=1)]
    user = UserToUserRecommender(7).fit(rows)
    autoencoder = AutoencoderRecommender((4,), n_epochs=2, random_state=0).fit(rows)
    for recommender in (user, autoencoder):
        expected = recommender.rank(rows, 3)
        scaled = recommender.rank(rows * factor, 3)
        assert_array_equal(scaled.labels, expected.labels)
        # Few digits are left of the smallest weights.
        assert_allclose(scaled.scores, expected.scores, rtol=1e-4)
    scaled = UserToUserRecommender(7).fit(rows * factor).rank(rows, 3)
    assert_allclose(scaled.scores, user.rank(rows, 3).scores * factor, rtol=1e-3, atol=1e-44)


def test_histories_without_purchases():
    for rows in (np.zeros((3, 4)), sp.csr_matrix((3, 4))):
        recommender = UserToUserRecommender().fit(rows)
        assert recommender.rank([[1, 0, 0, 0], [0, 0, 0, 0]], 2).labels.tolist() == [[1, 2], [0, 1]]
        with pytest.raises(ValueError, match="X must have at least one row with a purchase, got"):
            AutoencoderRecommender((4,)).fit(rows)
        with pytest.raises(ValueError, match="row with a purchase and a target in y, got none"):
            AutoencoderRecommender((4,), ordered=True).fit(np.eye(3, 4), rows)


def test_als_factors_solve_their_equations():
    histories = random_histories(40, 15)
    recommender = MatrixFactorizationRecommender(
        n_factors=5, alpha=3, regularization=0.5, random_state=0
    ).fit(histories)
    V = recommender.item_factors_.astype(np.float64)
    scores = recommender.decision_function(histories[:5])
    for i in range(5):
        x = histories[i].toarray().ravel()
        A = V.T @ (V * (1 + 3 * x)[:, np.newaxis]) + 0.5 * np.eye(5)
        u = np.linalg.solve(A, V.T @ ((1 + 3 * x) * x))
        assert_allclose(scores[i], V @ u, rtol=1e-3, atol=1e-4)


def test_factors_do_not_depend_on_the_number_of_threads():
    histories = random_histories(100, 15)
    one, many = (
        MatrixFactorizationRecommender(n_factors=5, random_state=0, n_jobs=n).fit(histories)
        for n in (1, 3)
    )
    assert_array_equal(one.item_factors_, many.item_factors_)


@pytest.mark.parametrize(
    "recommender",
    [
        ItemToItemRecommender(),
        ItemToItemRecommender("cosine"),
        UserToUserRecommender(),
        LinearAutoencoderRecommender(),
        MatrixFactorizationRecommender(n_factors=5, random_state=0),
        MatrixFactorizationRecommender("bpr", n_factors=5, random_state=0),
        AutoencoderRecommender(hidden_layer_sizes=(8,), n_epochs=2, random_state=0),
    ],
    ids=lambda recommender: repr(recommender)[:40],
)
def test_fit_and_rank_are_the_same_for_every_number_of_threads_and_backend(recommender):
    histories = random_histories(1500, 15)
    recommender.set_params(n_jobs=1).fit(histories)
    expected = recommender.rank(histories, 5)
    found = [clone(recommender).set_params(n_jobs=3).fit(histories).rank(histories, 5)]
    with joblib.parallel_config("loky", n_jobs=2):
        other = clone(recommender).set_params(n_jobs=None).fit(histories)
        found.append(other.rank(histories, 5))
    for ranking in found:
        assert_array_equal(ranking.labels, expected.labels)
        assert_array_equal(ranking.scores, expected.scores)


def test_the_loss_of_the_autoencoder_falls_and_order_matters():
    first = np.eye(10)[np.arange(200) % 10]
    following = np.eye(10)[(np.arange(200) + 1) % 10]
    params = {"hidden_layer_sizes": (16,), "learning_rate": 0.02, "random_state": 0, "dropout": 0}
    recommender = AutoencoderRecommender(ordered=True, n_epochs=40, **params)
    recommender.fit(first, following)
    assert recommender.loss_curve_[-1] < 0.5 * recommender.loss_curve_[0]
    assert_array_equal(recommender.rank(first[:10], 1).labels[:, 0], (np.arange(10) + 1) % 10)


def test_gradients_of_the_autoencoder_equal_differences():
    from skxmr.recommenders._autoencoder import _Network

    rng = np.random.RandomState(0)
    params = AutoencoderRecommender((4, 3), alpha=0.0, dropout=0)
    rows = sp.csr_matrix(rng.rand(5, 6).astype(np.float32))
    y = sp.csr_matrix((rng.rand(5, 6) < 0.4).astype(np.float32))
    weights = rng.rand(5).astype(np.float32)
    network = _Network(params, 6, 6, rng)
    network.weights = [w.astype(np.float64) for w in network.weights]
    taken = []
    network._update = taken.append
    network._step(rows, y, weights)
    for array, gradient in zip(network.weights, taken[0], strict=True):
        at = tuple(rng.randint(n) for n in array.shape)
        losses = []
        for step in (1e-4, -1e-4):
            array[at] += step
            losses.append(network._step(rows, y, weights) / 5)
            array[at] -= step
        assert gradient[at] == pytest.approx((losses[0] - losses[1]) / 2e-4, rel=1e-2, abs=1e-4)
