import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_csr
from scipy import sparse as sp
from sklearn.cluster import KMeans
from sklearn.preprocessing import normalize
from strategies import csr_matrices, examples, halves

from skxmr._core import CSRView, kmeans

KINDS = [(b, s) for b in (True, False) for s in (True, False)]


def cluster_all(Z, n_clusters, *, balanced=True, spherical=False, max_iter=50, seed=0, rows=None):
    rows = np.arange(Z.shape[0], dtype=np.int32) if rows is None else rows
    options = {"balanced": balanced, "spherical": spherical, "max_iter": max_iter, "seed": seed}
    return kmeans(CSRView(Z), rows, n_clusters, **options)


def centers_of(Z, clusters, n_clusters, spherical):
    """Means, or sums of norm one, in float64; NaN where a cluster is empty."""
    dense = Z.toarray().astype(np.float64)
    centers = np.full((n_clusters, Z.shape[1]), np.nan)
    for c in np.unique(clusters):
        total = dense[clusters == c].sum(axis=0)
        size = np.linalg.norm(total) if spherical else np.sum(clusters == c)
        centers[c] = total / size if size else total
    return centers


def distances(Z, centers):
    """Squared Euclidean distances, rows by centers."""
    return ((Z.toarray()[:, None, :].astype(np.float64) - centers[None]) ** 2).sum(axis=2)


def cost(Z, clusters, n_clusters, spherical):
    """The sum of the rows' squared distances to their centers."""
    apart = distances(Z, centers_of(Z, clusters, n_clusters, spherical))
    return apart[np.arange(len(clusters)), clusters].sum()


def make_blobs(sizes, seed=0):
    """Rows of norm about one around orthogonal directions, in a random order."""
    rng = np.random.default_rng(seed)
    blob = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    dense = np.zeros((len(blob), 5 * len(sizes)))
    for c in range(len(sizes)):
        block = dense[:, 5 * c : 5 * c + 5]
        block[blob == c] = 1 + 0.02 * rng.standard_normal((sizes[c], 5))
    return sp.csr_matrix(normalize(dense).astype(np.float32)), blob


def same_partition(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


# ---- both kinds ----


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
def test_planted_blobs_are_recovered(balanced, spherical, seed):
    Z, blob = make_blobs([30, 30, 30, 30] if balanced else [50, 10, 30, 20], seed)
    clusters, _ = cluster_all(Z, 4, balanced=balanced, spherical=spherical, seed=seed)
    assert same_partition(clusters, blob)


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
def test_clustering_is_deterministic_in_its_seed(balanced, spherical):
    Z = normalize(random_csr(np.random.default_rng(0), 100, 20))
    options = {"balanced": balanced, "spherical": spherical}
    by_seed = [cluster_all(Z, 7, seed=seed, **options)[0] for seed in (1, 1, 2, 2**63)]
    np.testing.assert_array_equal(by_seed[0], by_seed[1])
    assert (by_seed[0] != by_seed[2]).any()
    assert (by_seed[0] != by_seed[3]).any()


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
def test_clustering_some_rows_is_clustering_the_matrix_of_them(balanced, spherical):
    rng = np.random.default_rng(0)
    Z = normalize(random_csr(rng, 60, 20))
    rows = rng.permutation(60)[:25].astype(np.int32)
    options = {"balanced": balanced, "spherical": spherical}
    some, _ = cluster_all(Z, 4, rows=rows, **options)
    alone, _ = cluster_all(Z[rows], 4, **options)
    np.testing.assert_array_equal(some, alone)


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
def test_as_many_clusters_as_different_rows_puts_each_alone(balanced, spherical):
    Z = sp.csr_matrix(np.eye(13, dtype=np.float32))
    clusters, _ = cluster_all(Z, 13, balanced=balanced, spherical=spherical)
    assert sorted(clusters) == list(range(13))


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
def test_one_cluster_holds_all(balanced, spherical):
    Z = random_csr(np.random.default_rng(0), 10, 5)
    clusters, _ = cluster_all(Z, 1, balanced=balanced, spherical=spherical)
    assert clusters.tolist() == [0] * 10


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
@pytest.mark.parametrize("max_iter", [1, 2])
def test_iterations_are_counted_and_limited(balanced, spherical, max_iter):
    Z = normalize(random_csr(np.random.default_rng(0), 200, 20))
    _, n_iter = cluster_all(Z, 8, balanced=balanced, spherical=spherical, max_iter=max_iter)
    assert n_iter == max_iter


@pytest.mark.parametrize(("balanced", "spherical"), KINDS)
@pytest.mark.parametrize(("n_clusters", "max_iter"), [(0, 1), (4, 1), (-1, 1), (2, 0)])
def test_arguments_outside_their_range_are_refused(balanced, spherical, n_clusters, max_iter):
    Z = random_csr(np.random.default_rng(0), 3, 5)
    options = {"balanced": balanced, "spherical": spherical, "max_iter": max_iter}
    with pytest.raises(ValueError, match="SKX_EARG"):
        cluster_all(Z, n_clusters, **options)


# ---- balanced ----


@given(csr_matrices(values=halves, min_rows=1, max_rows=25), st.booleans(), st.data())
def test_balanced_sizes_differ_by_one_at_most(Z, spherical, data):
    # Rows may be empty, equal, or have no columns at all.
    n_clusters = data.draw(st.integers(1, Z.shape[0]))
    clusters, _ = cluster_all(Z, n_clusters, spherical=spherical)
    sizes = np.bincount(clusters, minlength=n_clusters)
    assert len(sizes) == n_clusters
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(("n", "n_clusters"), [(1000, 7), (1000, 999), (1023, 64), (100, 33)])
def test_balanced_sizes_of_many_clusters(n, n_clusters):
    Z = random_csr(np.random.default_rng(0), n, 20)
    sizes = np.bincount(cluster_all(Z, n_clusters)[0], minlength=n_clusters)
    assert sorted(set(sizes)) == sorted({n // n_clusters, -(-n // n_clusters)})


@pytest.mark.parametrize("rows", ["equal", "empty"])
@pytest.mark.parametrize("spherical", [True, False])
def test_rows_that_nothing_tells_apart_are_still_balanced(rows, spherical):
    Z = sp.csr_matrix(np.full((50, 3), rows == "equal", dtype=np.float32))
    clusters, _ = cluster_all(Z, 8, spherical=spherical)
    assert set(np.bincount(clusters, minlength=8)) == {6, 7}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spherical", [True, False])
def test_balanced_clusters_are_better_than_any_random_ones(spherical, seed):
    rng = np.random.default_rng(seed)
    Z = normalize(random_csr(rng, 90, 12))
    clusters, _ = cluster_all(Z, 9, spherical=spherical, seed=seed)
    at_random = [rng.permutation(np.arange(90) % 9) for _ in range(50)]
    best = min(cost(Z, c, 9, spherical) for c in at_random)
    assert cost(Z, clusters, 9, spherical) < best


@examples(50)
@given(st.integers(2, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_two_converged_halves_are_cut_across_the_line_between_their_centers(n, spherical, seed):
    Z = normalize(random_csr(np.random.default_rng(seed), n, 6))
    clusters, n_iter = cluster_all(Z, 2, spherical=spherical, max_iter=200, seed=seed)
    assert n_iter < 200
    left, right = centers_of(Z, clusters, 2, spherical)
    along = Z @ (left - right)
    assert along[clusters == 0].min() >= along[clusters == 1].max() - 1e-5


# ---- Lloyd ----


@examples(50)
@given(
    csr_matrices(values=halves, min_rows=1, max_rows=25, min_columns=1), st.booleans(), st.data()
)
def test_every_row_is_in_the_cluster_of_its_nearest_center(Z, spherical, data):
    if spherical:
        Z = normalize(Z)
    n_clusters = data.draw(st.integers(1, Z.shape[0]))
    options = {"spherical": spherical, "max_iter": 200}
    clusters, n_iter = cluster_all(Z, n_clusters, balanced=False, **options)
    assert n_iter < 200
    assert clusters.min() >= 0
    assert clusters.max() < n_clusters
    apart = distances(Z, centers_of(Z, clusters, n_clusters, spherical))
    own = apart[np.arange(Z.shape[0]), clusters]
    assert (own <= np.nanmin(apart, axis=1) + 1e-4).all()


@pytest.mark.parametrize("spherical", [True, False])
def test_equal_rows_share_a_cluster(spherical):
    rng = np.random.default_rng(0)
    Z = normalize(random_csr(rng, 20, 10))
    again = rng.integers(0, 20, 100)
    clusters, _ = cluster_all(Z[again], 6, balanced=False, spherical=spherical)
    assert len(set(zip(again, clusters, strict=True))) == len(set(again))


def test_more_clusters_than_different_rows_leaves_some_empty():
    Z = sp.csr_matrix(np.repeat(np.eye(3, dtype=np.float32), 4, axis=0))
    clusters, _ = cluster_all(Z, 7, balanced=False)
    assert same_partition(clusters, np.repeat(range(3), 4))


@pytest.mark.parametrize("spherical", [True, False])
def test_lloyd_is_no_worse_than_balanced(spherical):
    # It has more freedom; by far so on blobs of different sizes.
    Z, _ = make_blobs([60, 5, 5, 10])
    options = {"spherical": spherical}
    free = cluster_all(Z, 4, balanced=False, **options)[0]
    even = cluster_all(Z, 4, balanced=True, **options)[0]
    assert cost(Z, free, 4, spherical) < 0.5 * cost(Z, even, 4, spherical)


# ---- large groups, which begin with a sample, and faint entries ----


def make_topics(n_rows, n_topics, seed=0):
    """Rows of 12 words, most of them from one of the topics' 40 words each, as norm 1."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(n_topics, size=n_rows)
    words = 40 * topic[:, None] + rng.integers(40, size=(n_rows, 12))
    words[:, 8:] = rng.integers(40 * n_topics, size=(n_rows, 4))
    rows = np.repeat(np.arange(n_rows), 12)
    shape = (n_rows, 40 * n_topics)
    Z = sp.csr_matrix((np.ones(12 * n_rows, dtype=np.float32), (rows, words.ravel())), shape=shape)
    return normalize(Z), topic


def similarity(Z, clusters, n_clusters):
    """The sum of the rows' cosines with their centers, in float64."""
    member = sp.csr_matrix((np.ones(len(clusters)), (clusters, np.arange(len(clusters)))))
    centers = normalize((member @ Z.astype(np.float64)).tocsr())
    return Z.multiply(centers[clusters]).sum()


@pytest.mark.parametrize("balanced", [True, False])
def test_large_groups_are_clustered_as_well_as_by_scikit_learn(balanced):
    Z, _ = make_topics(20_000, 4)
    clusters, _ = cluster_all(Z, 4, balanced=balanced, spherical=True, max_iter=20)
    reference = KMeans(4, n_init=1, max_iter=20, random_state=0).fit(Z).labels_
    assert similarity(Z, clusters, 4) > 0.97 * similarity(Z, reference, 4)
    if balanced:
        assert np.bincount(clusters).tolist() == [5000] * 4


def test_large_planted_blobs_are_recovered():
    Z, blob = make_blobs([4000] * 4)
    clusters, _ = cluster_all(Z, 4, spherical=True, max_iter=20)
    assert same_partition(clusters, blob)


def test_large_groups_of_equal_rows_are_divided():
    Z = sp.csr_matrix(np.ones((5000, 2), dtype=np.float32))
    clusters, _ = cluster_all(Z, 3, spherical=True)
    assert np.ptp(np.bincount(clusters, minlength=3)) <= 1


def test_entries_that_are_all_equally_small_count():
    """Rows of many entries, none above a hundredth of the norm."""
    rng = np.random.default_rng(0)
    half = np.repeat([0, 1], 20)
    dense = np.zeros((40, 60_000), dtype=np.float32)
    for row, side in zip(dense, half, strict=True):
        row[30_000 * side + rng.permutation(30_000)[:20_000]] = 1
    clusters, _ = cluster_all(normalize(sp.csr_matrix(dense)), 2, spherical=True)
    assert same_partition(clusters, half)


@pytest.mark.parametrize("balanced", [True, False])
def test_faint_entries_do_not_count(balanced):
    rng = np.random.default_rng(0)
    Z, _ = make_blobs([30, 30])
    noise = sp.random(60, 50, 0.5, "csr", dtype=np.float32, random_state=rng)
    noise.data *= 0.004
    plain, _ = cluster_all(Z, 4, balanced=balanced)
    noisy, _ = cluster_all(sp.hstack([Z, noise], format="csr"), 4, balanced=balanced)
    np.testing.assert_array_equal(plain, noisy)
