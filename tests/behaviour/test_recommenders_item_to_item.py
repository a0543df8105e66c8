"""ItemToItemRecommender: relatedness, recommendations, and additions."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from purchases import binary_matrices, random_histories, reference_relatedness
from strategies import examples

from skxmr.recommenders import ItemToItemRecommender, _symmetric
from skxmr.recommenders._relatedness import Counted
from skxmr.recommenders._symmetric import symmetric_related

MEASURES = ["corrected", "difference", "cosine", "jaccard", "lift", "log_likelihood"]


def related_matrix(recommender):
    """All kept scores as a dense matrix."""
    n = recommender.n_labels_
    items, scores = recommender.related(np.arange(n), n)
    matrix = np.zeros((n, n))
    rows, columns = np.nonzero(items >= 0)
    matrix[rows, items[rows, columns]] = scores[rows, columns]
    return matrix


@pytest.mark.parametrize("measure", MEASURES)
@given(binary_matrices(), st.sampled_from([0.0, 5.0]))
@examples(40)
def test_relatedness_equals_the_reference(measure, X, shrinkage):
    recommender = ItemToItemRecommender(measure, shrinkage=shrinkage, n_jobs=1).fit(X)
    expected = reference_relatedness(X, None, measure, shrinkage)
    assert_allclose(related_matrix(recommender), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("measure", MEASURES)
@given(binary_matrices(), st.integers(0, 2**32 - 1))
@examples(20)
def test_ordered_relatedness_equals_the_reference(measure, X, seed):
    Y = np.random.default_rng(seed).integers(0, 2, X.shape).astype(float)
    recommender = ItemToItemRecommender(measure, shrinkage=1, ordered=True, n_jobs=1).fit(X, Y)
    expected = reference_relatedness(X, Y, measure, 1)
    scores = recommender.decision_function(np.eye(X.shape[1]))
    assert_allclose(scores, expected, rtol=2e-5, atol=2e-6)
    np.fill_diagonal(expected, 0)  # an item is not related to itself, but may be bought again
    assert_allclose(related_matrix(recommender), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("n_related", [3, 50])
@pytest.mark.parametrize("measure", MEASURES)
def test_the_kept_items_are_the_best_ones(measure, n_related):
    X = power_law_histories(200, 60)
    recommender = ItemToItemRecommender(measure, shrinkage=2, n_related=n_related).fit(X)
    expected = reference_relatedness(X.toarray().astype(float), None, measure, 2)
    best = -np.sort(-expected, axis=1)[:, :n_related]
    _, scores = recommender.related(np.arange(60), n_related)
    scores = np.where(np.isfinite(scores), scores, 0)
    # A pair at the limit of zero may be on either side of it.
    assert_allclose(scores, best, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "lift"])
@given(
    binary_matrices(),
    st.sampled_from([0.0, 5.0]),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 3),
)
@examples(40)
def test_pairs_are_counted_once_with_the_same_result(
    measure, X, shrinkage, n_related, min_support, n_jobs
):
    recommender = ItemToItemRecommender(
        measure,
        shrinkage=shrinkage,
        n_related=n_related,
        min_support=min_support,
        n_jobs=n_jobs,
    ).fit(X)
    twice = Counted(sp.csr_matrix(X, dtype=np.float32), None, recommender).related()
    once = symmetric_related(sp.csr_matrix(X, dtype=np.float32), recommender)
    for ours, expected in zip(once[:3], twice[:3], strict=True):
        assert_array_equal(ours, expected)


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "lift"])
@pytest.mark.parametrize(("n_related", "n_jobs"), [(1, 1), (5, 2), (30, 1), (30, 4), (500, 3)])
def test_pairs_of_many_users_are_counted_once_with_the_same_result(measure, n_related, n_jobs):
    # Items have up to 2,000 users and related items, more than all keys that are kept.
    X = power_law_histories(4000, 400)
    recommender = ItemToItemRecommender(
        measure, shrinkage=1, n_related=n_related, n_jobs=n_jobs
    ).fit(X)
    twice = Counted(X, None, recommender).related()
    assert twice.lengths.max() == min(n_related, 399)
    for ours, expected in zip(symmetric_related(X, recommender)[:3], twice[:3], strict=True):
        assert_array_equal(ours, expected)


def test_pairs_are_counted_twice_if_memory_is_short(monkeypatch):
    X = power_law_histories(200, 60)
    expected = related_matrix(ItemToItemRecommender("cosine").fit(X))
    monkeypatch.setattr(_symmetric, "_MOST_BYTES", 1000)
    recommender = ItemToItemRecommender("cosine").fit(X)
    assert symmetric_related(X, recommender) is None
    assert_array_equal(related_matrix(recommender), expected)


def power_law_histories(n_users, n_items, seed=0):
    """Users with 1 to n_items items, popular items first."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(1 + (rng.pareto(1, n_users) * 3).astype(int), n_items)
    weights = 1 / np.arange(1, n_items + 1)
    rows = [rng.choice(n_items, n, replace=False, p=weights / weights.sum()) for n in lengths]
    matrix = np.zeros((n_users, n_items), dtype=np.float32)
    for i, row in enumerate(rows):
        matrix[i, row] = 1
    return sp.csr_matrix(matrix)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("n_items", [40, 300, 2000])
def test_few_and_many_counts_for_an_item_equal_the_reference(measure, n_items):
    # The counts of an item are listed, in bytes, or dense, depending on n_items and its buyers.
    # Items 0 and 1 have about 300 and 540 buyers, more than a byte counts.
    rng = np.random.default_rng(n_items)
    popular = rng.random((600, 2)) < [0.5, 0.9]
    rare = rng.random((600, n_items - 2)) < 7 / n_items
    X = np.hstack([popular, rare]).astype(np.float32)
    counts = X.sum(axis=0)
    used = np.unique([0, *np.argsort(-counts)[2:5], *np.flatnonzero(counts == 1)[:2]])
    for min_support in (1, 2):
        recommender = ItemToItemRecommender(
            measure, shrinkage=1, n_related=10, min_support=min_support, n_jobs=1
        ).fit(sp.csr_matrix(X))
        expected = reference_relatedness(X.astype(float), None, measure, 1, used)
        both = X[:, used].T @ X
        expected[both < min_support] = 0
        best = -np.sort(-expected, axis=1)[:, :10]
        _, scores = recommender.related(used, 10)
        assert_allclose(np.where(np.isfinite(scores), scores, 0), best, rtol=2e-5, atol=1e-5)


def test_corrected_relatedness_by_hand():
    # Items 0 and 1 have three buyers in common, who have 1, 1 and 2 other items. There are 9
    # purchases, 4 of item 1: P = 4/9.
    X = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=float)
    P = 4 / 9
    E = 2 * P + 1 - (1 - P) ** 2
    recommender = ItemToItemRecommender(shrinkage=0.5).fit(X)
    items, scores = recommender.related([0], 2)
    assert_array_equal(items, [[1, 2]])
    assert scores[0, 0] == pytest.approx((3 - E) / np.sqrt(E + 0.5), rel=1e-6)
    # Item 2 has one buyer in common with item 0, and P = 2/9.
    E = 2 * (2 / 9) + 1 - (7 / 9) ** 2
    assert scores[0, 1] == pytest.approx((1 - E) / np.sqrt(E + 0.5), rel=1e-5)


def test_cosine_by_hand():
    X = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 0, 1]], dtype=float)
    recommender = ItemToItemRecommender("cosine", shrinkage=0).fit(X)
    items, scores = recommender.related([0, 2], 3)
    assert_array_equal(items, [[1, 2, -1], [0, -1, -1]])
    assert_allclose(scores[0, :2], [2 / np.sqrt(6), 1 / np.sqrt(6)], rtol=1e-6)


@pytest.mark.parametrize("measure", ["tfidf", "bm25"])
def test_weighted_measures_equal_dense_products(measure):
    X = random_histories(60, 20)
    dense = X.toarray().astype(np.float64)
    idf = np.log(20) - np.log1p(dense.sum(axis=1))
    weighted = dense * idf[:, np.newaxis]
    if measure == "tfidf":
        weighted /= np.linalg.norm(weighted, axis=0)
    else:
        counts = dense.sum(axis=0)
        weighted *= 2.2 / (1.2 * (0.25 + 0.75 * counts / counts.mean()) + 1)
    expected = weighted.T @ weighted
    np.fill_diagonal(expected, 0)
    recommender = ItemToItemRecommender(measure, shrinkage=0).fit(X)
    assert_allclose(related_matrix(recommender), expected, rtol=1e-5, atol=1e-7)


def test_a_callable_measure():
    X = random_histories()

    def cosine(both, with_item, with_other, n_rows):
        assert n_rows == 40
        return both / np.sqrt(with_item * with_other)

    expected = ItemToItemRecommender("cosine", shrinkage=3, n_related=4, min_support=2).fit(X)
    own = ItemToItemRecommender(cosine, shrinkage=3, n_related=4, min_support=2).fit(X)
    assert_allclose(related_matrix(own), related_matrix(expected), rtol=1e-6)
    with pytest.raises(ValueError, match="relatedness must return an array"):
        ItemToItemRecommender(lambda *counts: 1).fit(X)
    with pytest.raises(ValueError, match="relatedness must return finite scores"):
        ItemToItemRecommender(lambda both, *counts: both * np.nan).fit(X)


@pytest.mark.parametrize("measure", ["corrected", "cosine", "bm25"])
def test_the_result_does_not_depend_on_the_number_of_threads(measure):
    X = power_law_histories(400, 150)
    one = ItemToItemRecommender(measure, popularity=0.5, n_jobs=1).fit(X)
    many = ItemToItemRecommender(measure, popularity=0.5, n_jobs=5).fit(X)
    for a, b in zip(one.related(range(150)), many.related(range(150)), strict=True):
        assert_array_equal(a, b)
    for a, b in zip(one.rank(X, 20), many.rank(X, 20), strict=True):
        assert_array_equal(a, b)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 0.3, 2]), st.booleans())
@examples(30)
def test_ranking_equals_sorted_scores(seed, popularity, seen):
    rng = np.random.default_rng(seed)
    X = random_histories(seed=seed)
    recommender = ItemToItemRecommender("lift", popularity=popularity, n_related=5).fit(X)
    rows = sp.csr_matrix(random_histories(8, seed=seed + 1).multiply(rng.random((8, 15))))
    rows = rows.astype(np.float32)
    scores = recommender.decision_function(rows)
    items, found = recommender.rank(rows, 15, exclude="seen" if seen else None)
    for i in range(8):
        dense = scores[i].copy()
        if popularity == 0 and rows[i].nnz:
            dense[dense == 0] = -np.inf
        if seen:
            dense[rows[i].indices] = -np.inf
        order = [j for j in np.lexsort((np.arange(15), -dense)) if dense[j] > -np.inf]
        n = len(order)
        assert_array_equal(items[i, n:], -1)
        assert_allclose(found[i, :n], dense[order], rtol=1e-5)
        assert set(items[i, :n]) == set(order)


def test_a_single_row_is_ranked_as_in_a_batch():
    X = power_law_histories(100, 30)
    recommender = ItemToItemRecommender().fit(X)
    labels, scores = recommender.rank(X, 7)
    for i in range(20):
        one = recommender.rank(X[i], 7)
        assert_array_equal(one.labels[0], labels[i])
        assert_array_equal(one.scores[0], scores[i])
        pair = recommender.rank((X[i].indices, X[i].data), 7)
        assert_array_equal(pair.labels[0], labels[i])


@pytest.mark.parametrize(
    ("indices", "values", "message"),
    [
        ([0, 30], [1, 1], r"indices in \[0, 30\)"),
        ([-1], [1], r"indices in \[0, 30\)"),
        ([0], [np.nan], "NaN"),
        ([0], [-1], "at least 0"),
        ([0], [1, 1], "equal length"),
        ([0, 1], [1], "equal length"),
    ],
)
def test_a_bad_single_row_is_an_error(indices, values, message):
    recommender = ItemToItemRecommender().fit(power_law_histories(50, 30))
    row = np.array(indices, dtype=np.int32), np.array(values, dtype=np.float32)
    with pytest.raises(ValueError, match=message):
        recommender.rank(row)


def test_threads_may_rank_with_one_recommender():
    X = power_law_histories(200, 80)
    recommender = ItemToItemRecommender().fit(X)
    expected = recommender.rank(X, 5).labels
    wrong = []

    def work():
        for i in range(200):
            if not np.array_equal(recommender.rank(X[i], 5).labels[0], expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def assert_equal_models(one, two):
    for name, array in one._model.arrays.items():
        assert_array_equal(array, two._model.arrays[name], err_msg=name)
    assert_array_equal(one.popularity_, two.popularity_)


@pytest.mark.parametrize("measure", ["corrected", "cosine", "tfidf", "log_likelihood"])
def test_partial_fit_equals_a_refit(measure):
    X = random_histories(50, 20)
    params = {"n_related": 6, "popularity": 0.1}
    whole = ItemToItemRecommender(measure, **params).fit(X)
    parts = ItemToItemRecommender(measure, **params).fit(X[:20])
    parts.partial_fit(X[20:21]).partial_fit(X[21:])
    assert_equal_models(parts, whole)


@given(st.integers(0, 2**32 - 1))
@examples(20)
def test_partial_fit_adds_to_the_rows_of_known_users(seed):
    rng = np.random.default_rng(seed)
    X = random_histories(20, 10, seed=seed)
    users = rng.permutation(20) + 100
    coo = X.tocoo()
    late = rng.random(X.nnz) < 0.3
    first = sp.csr_matrix((coo.data[~late], (coo.row[~late], coo.col[~late])), X.shape)[:15]
    added = sp.csr_matrix(X - sp.vstack([first, sp.csr_matrix((5, 10))]))
    parts = ItemToItemRecommender().fit(first, users=users[:15])
    order = rng.permutation(20)
    parts.partial_fit(added[order], users=users[order])
    # New users come last, in the order of their rows.
    known = [*range(15), *[i for i in order if i >= 15]]
    whole = ItemToItemRecommender().fit(X[known], users=users[known])
    assert_array_equal(parts._histories.toarray(), X[known].toarray())
    assert_equal_models(parts, whole)


def test_partial_fit_refuses_what_it_cannot_add_to():
    X = random_histories()
    recommender = ItemToItemRecommender().fit(X, X)
    with pytest.raises(ValueError, match="fitted without y"):
        recommender.partial_fit(X)
    recommender = ItemToItemRecommender().fit(X)
    with pytest.raises(ValueError, match="users must be given in both"):
        recommender.partial_fit(X, users=np.arange(40))
    with pytest.raises(ValueError, match="15 features"):
        recommender.partial_fit(X[:, :3])


def test_long_histories_are_left_out_of_the_counts():
    X = random_histories(50, 30)
    with_long = sp.vstack([X, np.ones((1, 30), dtype=np.float32)], format="csr")
    recommender = ItemToItemRecommender("cosine", max_history=29).fit(with_long)
    assert recommender.n_left_out_ == 1
    assert_allclose(
        related_matrix(recommender), related_matrix(ItemToItemRecommender("cosine").fit(X))
    )


def test_related_checks_its_items():
    recommender = ItemToItemRecommender().fit(random_histories())
    with pytest.raises(ValueError, match=r"items must lie in \[0, 15\), got 15"):
        recommender.related([3, 15])
    with pytest.raises(TypeError, match="items must be one-dimensional integers"):
        recommender.related(["a"])
    assert recommender.related([0], 20).labels.shape == (1, 20)


@pytest.mark.slow
def test_related_items_take_at_most_12_bytes_each():
    X = power_law_histories(2000, 500)
    recommender = ItemToItemRecommender(n_related=50).fit(X)
    arrays = recommender._model.arrays
    relations = len(arrays["related"])
    assert relations > 5000
    n_bytes = sum(arrays[name].nbytes for name in ("related_ptr", "related", "scores"))
    assert n_bytes <= 12 * relations


@pytest.mark.parametrize("n_first", [1, 2, 4])
def test_partial_fit_unites_the_rows_of_a_user(n_first):
    X = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 1, 0, 1.0]])
    users = np.array(["b", "b", "a", "b", "c"])
    params = {"shrinkage": 0, "popularity": 0.1}
    parts = ItemToItemRecommender("cosine", **params).partial_fit(
        X[:n_first], users=users[:n_first]
    )
    parts.partial_fit(X[n_first:], users=users[n_first:])
    united = np.array([[1, 1, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1.0]])
    assert_equal_models(parts, ItemToItemRecommender("cosine", **params).fit(united))
    parts.partial_fit(X[2:3], users=["c"])
    united[2] = [0, 1, 1, 1]
    assert_equal_models(parts, ItemToItemRecommender("cosine", **params).fit(united))
    last = ItemToItemRecommender("cosine", **params).fit(X, users=users)
    assert_array_equal(last._histories.toarray(), X[2:])


@pytest.mark.parametrize(("first", "then"), [([1, 2], ["1", "2"]), (["1", "2"], [1, 2])])
def test_partial_fit_does_not_take_numbers_for_texts(first, then):
    X = np.eye(2)
    recommender = ItemToItemRecommender().fit(X, users=first)
    before = recommender.popularity_.copy()
    with pytest.raises(TypeError, match=r"users must hold ids of .* as in fit, got"):
        recommender.partial_fit(X, users=then)
    assert_array_equal(recommender.popularity_, before)
    recommender.partial_fit(X[::-1], users=first)
    assert_array_equal(recommender.popularity_, [2, 2])
