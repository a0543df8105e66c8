"""KMeansIndexer: the shape of its trees, and clusters that are known by construction."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.preprocessing import normalize

from skxmr import KMeansIndexer, LabelTree

BALANCED = pytest.mark.parametrize("balanced", [True, False], ids=["balanced", "unbalanced"])
SPHERICAL = pytest.mark.parametrize("spherical", [True, False], ids=["spherical", "euclidean"])


def indexer(**params):
    return KMeansIndexer(**{"random_state": 0, **params})


def random_embeddings(n_labels, n_features=12, seed=0):
    return sp.random(n_labels, n_features, 0.4, "csr", dtype=np.float32, random_state=seed)


def planted(sizes, noise=0.05, seed=0):
    """Groups of labels near orthogonal directions, in random order."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    Z = np.eye(len(sizes))[group] + noise * rng.random((len(group), len(sizes)))
    return Z.astype(np.float32), group


def leaf_sizes(fitted):
    return np.diff(fitted.tree_.child_ptr[-1])


def assert_same_partition(left, right):
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs) == len(set(left.tolist())) == len(set(right.tolist()))


# ---- shape ----


@SPHERICAL
@BALANCED
@pytest.mark.parametrize("branching", [2, 5])
@pytest.mark.parametrize("max_leaf_size", [1, 3, 40])
@pytest.mark.parametrize("n_labels", [1, 2, 41, 150])
def test_every_label_has_one_slot_in_a_small_leaf(
    n_labels, max_leaf_size, branching, balanced, spherical
):
    fitted = indexer(
        max_leaf_size=max_leaf_size, branching=branching, balanced=balanced, spherical=spherical
    ).fit(random_embeddings(n_labels))
    tree = fitted.tree_
    assert isinstance(tree, LabelTree)
    assert sorted(tree.slot_label) == list(range(n_labels))
    assert leaf_sizes(fitted).min() >= 1
    assert leaf_sizes(fitted).max() <= max_leaf_size
    if tree.n_levels > 1:
        assert tree.n_nodes(1) <= (4 * branching if balanced else branching)
    if balanced:
        assert all(np.diff(pointers).max() <= branching for pointers in tree.child_ptr[1:-1])


@SPHERICAL
@pytest.mark.parametrize(("branching", "max_leaf_size"), [(2, 1), (2, 10), (16, 1), (5, 7)])
def test_unbalanced_trees_are_hardly_deeper_than_they_must_be(branching, max_leaf_size, spherical):
    tree = (
        indexer(
            branching=branching, max_leaf_size=max_leaf_size, balanced=False, spherical=spherical
        )
        .fit(random_embeddings(150))
        .tree_
    )
    least = int(np.ceil(np.log(150 / max_leaf_size) / np.log(branching)))
    assert tree.n_levels <= least + 2  # a level of bisection, and the slots


@pytest.mark.parametrize(
    ("n_labels", "branching", "max_leaf_size", "widths"),
    [
        (100, 16, 100, [100]),
        (101, 16, 100, [2, 101]),
        (1000, 16, 100, [10, 1000]),
        (640, 16, 10, [64, 640]),
        (650, 16, 10, [5, 80, 650]),
        (64, 2, 2, [8, 16, 32, 64]),
        (7, 2, 1, [7, 7]),
    ],
)
def test_shape_of_balanced_trees(n_labels, branching, max_leaf_size, widths):
    tree = (
        indexer(branching=branching, max_leaf_size=max_leaf_size)
        .fit(random_embeddings(n_labels))
        .tree_
    )
    assert [tree.n_nodes(level) for level in range(1, tree.n_levels + 1)] == widths


@SPHERICAL
@pytest.mark.parametrize("n_labels", [97, 128, 211])
def test_sizes_of_balanced_clusters_differ_by_one_at_most(n_labels, spherical):
    tree = (
        indexer(branching=3, max_leaf_size=4, spherical=spherical)
        .fit(random_embeddings(n_labels))
        .tree_
    )
    for level in range(1, tree.n_levels):
        sizes = np.asarray(tree.indicator(level).sum(axis=0)).ravel()
        assert np.ptp(sizes) <= 1


def test_labels_that_are_few_make_one_leaf():
    fitted = indexer().fit(random_embeddings(20))
    assert fitted.tree_ == LabelTree([[0, 20]], np.arange(20))
    assert_array_equal(fitted.labels_, np.zeros(20))


def test_labels_are_the_leaves_of_the_tree():
    fitted = indexer(max_leaf_size=5, branching=2, balanced=False).fit(random_embeddings(60))
    for label in range(60):
        assert_array_equal(
            fitted.tree_.cluster(label), np.flatnonzero(fitted.labels_ == fitted.labels_[label])
        )


def test_large_groups_are_bisected_in_steps(monkeypatch):
    # Each level separates a few of these labels from all others.
    Z = 0.8 ** np.arange(100)[:, np.newaxis]
    params = {"max_leaf_size": 1, "branching": 10, "balanced": False, "spherical": False}
    at_once = indexer(**params).fit(Z).tree_
    assert max(np.diff(pointers).max() for pointers in at_once.child_ptr) > 10
    monkeypatch.setattr("skxmr.indexers._clusters._MOST_BISECTED", 4)
    tree = indexer(**params).fit(Z).tree_
    assert max(np.diff(pointers).max() for pointers in tree.child_ptr) == 10
    for pointers in tree.child_ptr[2:]:
        assert np.diff(pointers).max() <= 4
    assert tree.n_levels > at_once.n_levels
    assert sorted(tree.slot_label) == list(range(100))
    assert np.diff(tree.child_ptr[-1]).max() == 1


def test_unbalanced_leaves_of_uneven_depth_are_padded():
    Z, group = planted([6, 40])
    fitted = indexer(max_leaf_size=6, branching=2, balanced=False).fit(Z)
    tree = fitted.tree_
    assert tree.n_levels > 3
    small = np.flatnonzero(group == 0)
    (path,) = tree.path(small[0])
    assert_array_equal(tree.cluster(small[0]), small)
    for level, node in enumerate(path[:-2], start=1):  # only children down to the leaf
        assert np.diff(tree.child_ptr[level])[node] == 1


# ---- clusters ----


@SPHERICAL
@pytest.mark.parametrize("seed", range(5))
def test_two_planted_groups_are_found_by_bisection(spherical, seed):
    Z, group = planted([15, 15], seed=seed)
    fitted = indexer(max_leaf_size=15, spherical=spherical, random_state=seed).fit(Z)
    assert_same_partition(fitted.labels_, group)


@SPHERICAL
@pytest.mark.parametrize("seed", range(5))
def test_planted_groups_of_any_size_are_found_when_unbalanced(spherical, seed):
    Z, group = planted([4, 20, 9, 13, 2], seed=seed)
    fitted = indexer(
        branching=5, max_leaf_size=20, balanced=False, spherical=spherical, random_state=seed
    ).fit(Z)
    assert_same_partition(fitted.labels_, group)


def test_groups_within_groups_are_found():
    # Two directions, each with two finer ones: the upper level must cut between the former.
    rng = np.random.default_rng(0)
    fine = rng.permutation(np.repeat(np.arange(4), 8))
    Z = np.hstack([3 * np.eye(2)[fine // 2], np.eye(4)[fine]]) + 0.02 * rng.random((32, 6))
    fitted = indexer(branching=2, max_leaf_size=8).fit(Z)
    assert_same_partition(fitted.labels_, fine)


def test_length_matters_only_when_not_spherical():
    lengths = np.repeat([1.0, 10.0], 10)
    Z = lengths[:, None] * np.eye(2)[np.tile([0, 1], 10)]
    Z += 0.01 * np.random.default_rng(0).random(Z.shape)
    spherical = indexer(max_leaf_size=10, branching=2, balanced=False).fit(Z)
    assert_same_partition(spherical.labels_, np.tile([0, 1], 10))
    scaled = indexer(max_leaf_size=10).fit(Z * np.repeat([1, 8, 2, 0.5], 5)[:, None])
    assert scaled.tree_ == indexer(max_leaf_size=10).fit(Z).tree_
    euclidean = indexer(max_leaf_size=10, branching=3, balanced=False, spherical=False).fit(Z)
    assert len(set(euclidean.labels_[:10])) == 1  # the short ones


@BALANCED
@SPHERICAL
def test_predict_gives_the_closest_center(balanced, spherical):
    Z = random_embeddings(80)
    fitted = indexer(max_leaf_size=9, branching=3, balanced=balanced, spherical=spherical).fit(Z)
    new = random_embeddings(30, seed=1).toarray().astype(np.float64)
    new = normalize(new) if spherical else new
    centers = fitted.cluster_centers_.toarray().astype(np.float64)
    squares = ((new[:, None, :] - centers[None]) ** 2).sum(axis=2)
    found = fitted.predict(new)
    assert found.dtype == fitted.labels_.dtype
    assert_allclose(squares[np.arange(30), found], squares.min(axis=1), rtol=1e-4, atol=1e-6)
    assert_allclose(fitted.score(new), -squares.min(axis=1).sum(), rtol=1e-4)


@BALANCED
@SPHERICAL
def test_centers_are_the_means_of_their_labels(balanced, spherical):
    Z = random_embeddings(80)
    fitted = indexer(max_leaf_size=9, branching=3, balanced=balanced, spherical=spherical).fit(Z)
    rows = normalize(Z).toarray() if spherical else Z.toarray()
    means = np.array(
        [rows[fitted.labels_ == leaf].mean(axis=0) for leaf in range(len(leaf_sizes(fitted)))]
    )
    expected = normalize(means) if spherical else means
    assert_allclose(fitted.cluster_centers_.toarray(), expected, atol=1e-6)


@BALANCED
def test_predict_knows_the_labels_of_planted_groups_again(balanced):
    Z, _ = planted([12] * 4)
    fitted = indexer(max_leaf_size=12, branching=4, balanced=balanced).fit(Z)
    assert (fitted.predict(Z) == fitted.labels_).mean() > 0.9


def test_score_of_points_that_are_their_own_centers_is_zero():
    Z = np.eye(5, dtype=np.float32)
    assert indexer(max_leaf_size=1).fit(Z).score(Z) == 0


# ---- degenerate labels ----


@BALANCED
@SPHERICAL
@pytest.mark.parametrize("value", [1.0, 0.0])
def test_equal_labels_are_shared_out(balanced, spherical, value):
    Z = np.full((300, 3), value)
    fitted = indexer(max_leaf_size=4, branching=2, balanced=balanced, spherical=spherical).fit(Z)
    assert leaf_sizes(fitted).max() <= 4
    assert fitted.tree_.n_levels <= 10  # a tree that parts one label a time would have 300


@BALANCED
@SPHERICAL
def test_labels_without_any_feature_are_put_somewhere(balanced, spherical):
    Z = random_embeddings(50).toarray()
    Z[::3] = 0
    fitted = indexer(max_leaf_size=6, branching=3, balanced=balanced, spherical=spherical).fit(
        sp.csr_matrix(Z)
    )
    assert sorted(fitted.tree_.slot_label) == list(range(50))
    assert np.isfinite(fitted.score(Z))
    assert_array_equal(fitted.predict(Z).shape, (50,))


@BALANCED
def test_one_label(balanced):
    fitted = indexer(balanced=balanced).fit([[1.0, 2.0]])
    assert fitted.tree_ == LabelTree([[0, 1]], [0])
    assert_array_equal(fitted.labels_, [0])
    assert_array_equal(fitted.predict([[5.0, 5.0], [0.0, 0.0]]), [0, 0])


# ---- invariances ----


@BALANCED
@SPHERICAL
def test_number_of_jobs_changes_nothing(balanced, spherical):
    Z = random_embeddings(200)
    base = indexer(max_leaf_size=4, branching=3, balanced=balanced, spherical=spherical)
    one, two = (clone(base).set_params(n_jobs=n).fit(Z) for n in (1, 2))
    assert one.tree_ == two.tree_
    assert one.n_iter_ == two.n_iter_


@BALANCED
def test_a_random_state_gives_the_same_tree_again_and_others_do_not(balanced):
    Z = random_embeddings(100)
    trees = [
        indexer(max_leaf_size=5, balanced=balanced, random_state=seed).fit(Z).tree_
        for seed in (0, 0, 1, 2, 3)
    ]
    assert trees[0] == trees[1]
    assert len(set(trees)) > 1


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_matrix, sp.coo_array, np.asarray])
def test_the_container_changes_nothing(make):
    Z = random_embeddings(60).toarray()
    expected = indexer(max_leaf_size=5).fit(sp.csr_matrix(Z))
    found = indexer(max_leaf_size=5).fit(make(Z.astype(np.float64)))
    assert found.tree_ == expected.tree_
    assert found.score(make(Z)) == expected.score(Z)


def test_one_iteration_is_the_least_and_the_most_allowed():
    Z = random_embeddings(100)
    assert indexer(max_leaf_size=5, max_iter=1).fit(Z).n_iter_ == 1
    assert indexer(max_leaf_size=5, max_iter=50).fit(Z).n_iter_ > 1


@pytest.mark.parametrize("seed", range(10))
def test_two_groups_of_equal_labels_are_parted(seed):
    side = np.arange(24) % 2
    fitted = KMeansIndexer(max_leaf_size=12, random_state=seed).fit(np.eye(2)[side])
    assert len(set(zip(side, fitted.labels_, strict=True))) == 2
