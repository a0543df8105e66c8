"""Metrics of recommendations."""

import numpy as np
import pytest
from purchases import random_examples

from skxmr.datasets import load_retail_purchases
from skxmr.metrics import (
    coverage_at_k,
    hit_rate_at_6_scorer,
    hit_rate_at_k,
    make_ranking_scorer,
    ndcg_at_k,
    novelty_at_k,
    paired_bootstrap,
)
from skxmr.recommenders import MostPopularRecommender

Y = np.array([[1, 0, 0, 0], [0, 1, 0, 0]])


def test_coverage_counts_labels_once_and_no_padding():
    assert coverage_at_k(Y, [[0, 1], [0, -1]], k=2) == 0.5
    assert coverage_at_k(Y, [[0, 1], [0, 3]], k=1) == 0.25
    assert coverage_at_k(Y, [[-1, -1], [-1, -1]], k=2) == 0


def test_novelty_is_the_mean_information():
    popularity = [8, 4, 2, 2]
    assert novelty_at_k(Y, [[0, 1], [2, -1]], k=2, popularity=popularity) == (1 + 2 + 3) / 3
    assert novelty_at_k(Y, [[-1], [-1]], k=1, popularity=popularity) == 0
    assert novelty_at_k(Y, [[2], [2]], k=1, popularity=[1, 1, 0, 0]) == 2
    for wrong in ([1, 2], [1, 2, 3, -1], [1, 2, 3, np.nan]):
        with pytest.raises(ValueError, match="popularity must be 4 finite numbers"):
            novelty_at_k(Y, [[0], [1]], k=1, popularity=wrong)


def test_metrics_are_scorers():
    X, y, _ = random_examples()
    recommender = MostPopularRecommender().fit(X, y)
    assert hit_rate_at_6_scorer(recommender, X, y) == recommender.score(X, y)
    scorer = make_ranking_scorer(novelty_at_k, k=3, popularity=recommender.popularity_)
    assert scorer(recommender, X, y) > 0
    assert 0 < make_ranking_scorer(coverage_at_k, k=3)(recommender, X, y) <= 1


def test_the_interval_contains_the_difference_of_real_rankers():
    rng = np.random.default_rng(0)
    truth = (rng.random((300, 10)) < 0.2).astype(int)
    good = np.argsort(-(truth + rng.normal(0, 0.8, truth.shape)), axis=1)
    bad = np.argsort(rng.random(truth.shape), axis=1)
    for metric in (hit_rate_at_k, ndcg_at_k):
        result = paired_bootstrap(truth, good, bad, metric, k=3, n_resamples=200, random_state=0)
        expected = metric(truth, good, k=3) - metric(truth, bad, k=3)
        assert result.difference == pytest.approx(expected)
        assert 0 < result.low < expected < result.high
    same = paired_bootstrap(truth, good, good, k=3, n_resamples=10, random_state=0)
    assert same.low == same.high == same.difference == 0


def test_the_width_of_the_interval_is_that_of_the_normal_approximation():
    rng = np.random.default_rng(0)
    truth = np.eye(2, dtype=int)[rng.integers(2, size=2000)]
    first = rng.integers(2, size=(2000, 1))
    second = rng.integers(2, size=(2000, 1))
    result = paired_bootstrap(truth, first, second, k=1, random_state=0)
    differences = (truth[np.arange(2000), first[:, 0]]) - (truth[np.arange(2000), second[:, 0]])
    width = 2 * 1.96 * differences.std() / np.sqrt(2000)
    assert result.high - result.low == pytest.approx(width, rel=0.15)


def test_bootstrap_checks_its_parameters():
    with pytest.raises(ValueError, match="n_resamples must be at least 1"):
        paired_bootstrap(Y, [[0], [1]], [[0], [1]], n_resamples=0)
    with pytest.raises(ValueError, match="confidence must be at most"):
        paired_bootstrap(Y, [[0], [1]], [[0], [1]], confidence=1)
    with pytest.raises(TypeError, match="metric must be callable"):
        paired_bootstrap(Y, [[0], [1]], [[0], [1]], "hits")


def test_bundled_purchases():
    data = load_retail_purchases()
    assert len(data.log) == len(data.customers) == 182154
    assert (data.times[1:] >= data.times[:-1]).all()
    assert data.times[0] == np.datetime64("2010-12-01T08:26")
    assert data.times[-1] == data.log.times[-1]
    assert (data.quantities > 0).all()
    assert data.item_names.shape == (data.log.shape[1],)
    assert "CC0" in data.DESCR
    assert all(code[:5].isdigit() for code in data.stock_codes)
