"""Labels that belong to several clusters."""

from functools import partial

import numpy as np
import pytest
from datasets import random_labels
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import assert_same_model, assert_same_ranking, rank_block
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from strategies import csr_matrices, label_trees

import skxmr
import skxmr.linear
from skxmr import KMeansIndexer, LabelTree, XRLinearClassifier
from skxmr._ranking.tree_ranker import TreeRanker
from skxmr._training.disentangle import MOST_CLUSTERS, most_matched, reassigned

DEEP = KMeansIndexer(branching=2, max_leaf_size=3)
PARAMS = {"random_state": 0, "max_clusters_per_label": 2, "n_neighbors": None}


def classifier(indexer=DEEP, **params):
    return XRLinearClassifier(indexer, **{**PARAMS, **params})


noisy = partial(random_labels, n_labels=16, label_density=0.15, seed=1)


def ambiguous(n_rows=600, seed=0):
    """Labels 0 to 4 are fruits, 5 to 9 computers, 10 is apple: a fruit in half of its rows.

    Every kind has words of its own, and every label but apple one more. Apple's rows have another
    label of their kind.
    """
    rng = np.random.default_rng(seed)
    X, Y = np.zeros((n_rows, 31), np.float32), np.zeros((n_rows, 11), np.float32)
    rows, label = np.arange(n_rows), np.arange(n_rows) % 10
    kind = label // 5
    for _ in range(4):
        X[rows, 10 * (1 + kind) + rng.integers(0, 10, n_rows)] = 1
    X[rows, label] = Y[rows, label] = 1
    apples = rows % 7 == 0
    X[apples, 30] = Y[apples, 10] = 1
    return sp.csr_matrix(X), sp.csr_matrix(Y)


def clusters_of(tree, label):
    """The leaf clusters of a label."""
    slots = np.flatnonzero(tree.slot_label == label)
    return tree.parents(tree.n_levels)[slots].tolist()


# ---- counting and moving ----


def scanned(Y, matched, weight, n_most):
    """As published: pairs by falling count, each label takes clusters until it has enough."""
    found = {}
    for i, row in enumerate(Y.toarray()):
        for label in np.flatnonzero(row):
            for at in range(matched.indptr[i], matched.indptr[i + 1]):
                pair = int(label), int(matched.indices[at])
                count, score = found.get(pair, (0.0, 0.0))
                w = 1.0 if weight is None else float(weight[i])
                found[pair] = count + w, score + w * float(matched.data[at])
    taken = [[] for _ in range(Y.shape[1])]
    for label, cluster in sorted(found, key=lambda p: (-found[p][0], -found[p][1], p[1])):
        if len(taken[label]) < n_most:
            taken[label].append(cluster)
    return taken


@st.composite
def matchings(draw):
    """Labels and matched clusters of a few rows, and their weights or none."""
    scores = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    matched = draw(csr_matrices(values=scores, min_rows=1, min_columns=1))
    n = matched.shape[0]
    Y = draw(csr_matrices(values=st.just(1.0), min_rows=n, max_rows=n, min_columns=1))
    weights = st.lists(st.sampled_from([0.5, 1, 2]), min_size=n, max_size=n)
    return Y, matched, draw(st.none() | weights.map(lambda w: np.array(w, dtype=np.float32)))


@given(matchings(), st.integers(1, MOST_CLUSTERS), st.sampled_from([1, 3, 1 << 24]))
def test_labels_take_the_clusters_of_most_of_their_rows(case, n_most, block):
    Y, matched, weight = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skxmr._training.disentangle._BLOCK", block)
        found = most_matched(Y, matched, weight)[:, :n_most].tolist()
    expected = scanned(Y, matched, weight, n_most)
    assert found == [row + [-1] * (n_most - len(row)) for row in expected]


@given(label_trees(), st.integers(1, MOST_CLUSTERS), st.data())
def test_reassigned_labels_are_where_they_were_told_to_be(tree, n_most, data):
    n_clusters = tree.n_nodes(tree.n_levels - 1)
    some = st.lists(st.integers(0, n_clusters - 1), max_size=MOST_CLUSTERS, unique=True)
    given = data.draw(st.lists(some, min_size=tree.n_labels, max_size=tree.n_labels))
    padded = np.array([row + [-1] * (MOST_CLUSTERS - len(row)) for row in given])
    moved = reassigned(tree, padded, n_most)
    assert moved.n_labels == tree.n_labels
    assert [a.tolist() for a in moved.child_ptr[:-1]] == [a.tolist() for a in tree.child_ptr[:-1]]
    for label, clusters in enumerate(given):
        expected = clusters[:n_most] or clusters_of(tree, label)
        assert clusters_of(moved, label) == sorted(expected)


# ---- the classifier ----


def test_a_label_of_two_meanings_is_found_in_both_companies():
    X, Y = ambiguous()
    clf = classifier(LabelTree.from_clusters([0] * 5 + [1] * 5 + [0]), training_beam_width=1)
    clf.fit(X, Y)
    assert clusters_of(clf.tree_, 10) == [0, 1]
    assert all(clusters_of(clf.tree_, label) == [0] for label in range(5))
    assert all(1 in clusters_of(clf.tree_, label) for label in range(5, 10))
    computers = (Y[:, 10].toarray().ravel() == 1) & (np.arange(600) % 10 >= 5)
    plain = clone(clf).set_params(max_clusters_per_label=1).fit(X, Y)
    once, twice = (
        (c.set_params(beam_width=1).rank(X[computers], 2)[0] == 10).any(axis=1)
        for c in (plain, clf)
    )
    assert once.mean() < 0.7
    assert twice.all()


def test_a_label_is_ranked_once_and_by_its_best_copy():
    X, Y = noisy()
    clf = classifier(max_clusters_per_label=3, beam_width=50).fit(X, Y)
    assert clf.tree_.n_slots > 2 * clf.n_labels_
    labels, scores = clf.rank(X, 20)
    assert all(sorted(row) == list(range(16)) for row in labels[:, :16].tolist())
    assert (labels[:, 16:] == -1).all()
    every = TreeRanker(
        clf._fitted.rankers[0].layers,
        np.arange(clf.tree_.n_slots, dtype=np.int32),
        clf.tree_.n_slots,
        20,
    )
    options = {"k": clf.tree_.n_slots, "beam_width": 50, "post_processor": "l3-hinge"}
    slots, of_slot = rank_block(every, skxmr._core.CSRView(X), 0, X.shape[0], **options)
    best = np.full((X.shape[0], 16), -np.inf, dtype=np.float32)
    rows = np.repeat(np.arange(X.shape[0]), slots.shape[1])
    np.maximum.at(best, (rows, clf.tree_.slot_label[slots.ravel()]), of_slot.ravel())
    assert_array_equal(np.take_along_axis(best, labels[:, :16], axis=1), scores[:, :16])
    assert_array_equal(clf.decision_function(X).toarray(), best)


def test_rows_of_every_copy_are_those_of_the_label():
    X, Y = noisy()
    clf = classifier().fit(X, Y)
    pinned = classifier(clf.tree_, max_clusters_per_label=1).fit(X, Y)
    for a, b in zip(clf.rank(X, 1), pinned.rank(X, 1), strict=True):
        assert a.shape == b.shape
    assert clf.tree_ == pinned.tree_
    assert clf.indexer_.tree_ != clf.tree_


def test_a_label_never_matched_keeps_its_cluster():
    X, Y = noisy()
    Y = sp.csr_matrix(sp.hstack([Y, sp.csr_matrix((Y.shape[0], 1), dtype=np.float32)]))
    clf = classifier(max_clusters_per_label=6).fit(X, Y)
    before = clf.indexer_.tree_
    assert clusters_of(clf.tree_, 16) == clusters_of(before, 16)
    assert all(len(clusters_of(clf.tree_, label)) == 6 for label in range(16))


def test_a_tree_without_clusters_stays_as_it_is():
    X, Y = noisy()
    found = classifier(KMeansIndexer()).fit(X, Y)
    assert_same_model(found, classifier(LabelTree([[0, 16]], np.arange(16))).fit(X, Y))
    assert found.tree_.n_slots == 16


def test_further_rounds_move_labels_on():
    X, Y = noisy()
    trees = [classifier(n_reassignments=n).fit(X, Y).tree_ for n in (1, 2)]
    assert trees[0] != trees[1]
    again = classifier(trees[0], n_reassignments=1).fit(X, Y)
    assert again.tree_ == trees[1]


def test_one_cluster_per_label_needs_no_rounds():
    X, Y = noisy()
    params = {"max_clusters_per_label": 1}
    assert_same_model(
        classifier(**params).fit(X, Y), classifier(n_reassignments=5, **params).fit(X, Y)
    )


def test_the_training_beam_decides_what_is_matched():
    X, Y = noisy()
    trees = [classifier(training_beam_width=w).fit(X, Y).tree_ for w in (1, 10)]
    assert trees[0] != trees[1]
    assert trees[1] == classifier(beam_width=1, post_processor="noop").fit(X, Y).tree_


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_order_of_rows_and_number_of_jobs_change_nothing(loss):
    X, Y = noisy()
    order = np.random.default_rng(0).permutation(X.shape[0])
    expected = classifier(loss=loss).fit(X, Y)
    assert_same_model(classifier(loss=loss, n_jobs=2).fit(X[order], Y[order]), expected)


def test_weight_two_is_the_row_twice():
    X, Y = noisy()
    weight = np.arange(X.shape[0]) % 3
    twice = np.repeat(np.arange(X.shape[0]), weight)
    weighted = classifier().fit(X, Y, sample_weight=weight)
    assert_same_model(weighted, classifier().fit(X[twice], Y[twice]))


def test_weights_decide_where_labels_go():
    X, Y = noisy()
    heavy = np.where(np.arange(X.shape[0]) < 75, 100.0, 1.0)
    assert classifier().fit(X, Y).tree_ != classifier().fit(X, Y, sample_weight=heavy).tree_


@pytest.mark.parametrize("mmap", [False, True])
def test_a_saved_model_has_its_copies(tmp_path, mmap):
    X, Y = noisy()
    clf = classifier(max_clusters_per_label=3, n_reassignments=2).fit(X, Y)
    clf.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model", mmap=mmap)
    assert loaded.get_params()["max_clusters_per_label"] == 3
    assert loaded.tree_ == clf.tree_
    assert_same_ranking(loaded.rank(X), clf.rank(X))
    assert (loaded.predict(X) != clf.predict(X)).nnz == 0


def test_classes_are_disentangled_as_well():
    X, y = noisy()[0], np.array(list("abcdefghijklmnop"))[np.arange(150) % 16]
    clf = classifier(loss="log_loss", post_processor="sigmoid").fit(X, y)
    assert clf.tree_.max_copies == 2
    assert set(clf.predict(X)) <= set(y)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


# ---- memory ----


def test_a_grid_over_the_number_of_clusters_trains_one_first_tree_per_fold(tmp_path, trainings):
    X, Y = noisy()
    grid = {"max_clusters_per_label": [1, 2, 3], "prune_threshold": [0.05, 0.2], "beam_width": [3]}
    base = classifier(memory=str(tmp_path))
    search = GridSearchCV(base, grid, cv=3, refit=False, error_score="raise").fit(X, Y)
    assert len(trainings) == 3 * (1 + 2)  # the first tree is the model of one cluster per label
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        alone = GridSearchCV(classifier(**params), {"verbose": [0]}, cv=3, refit=False).fit(X, Y)
        assert score == alone.cv_results_["mean_test_score"][0]


@pytest.mark.parametrize("prune_threshold", [0.0, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
def test_a_cached_model_is_the_same_to_the_bit(tmp_path, prune_threshold, weight_dtype):
    X, Y = noisy()
    params = {"prune_threshold": prune_threshold, "weight_dtype": weight_dtype}
    expected = classifier(n_reassignments=2, **params).fit(X, Y)
    for _ in range(2):
        cached = classifier(n_reassignments=2, memory=str(tmp_path), **params).fit(X, Y)
        assert_same_model(cached, expected)


def test_a_random_state_object_gives_the_same_model_whatever_the_memory_knows(tmp_path):
    X, Y = noisy()
    params = {"n_reassignments": 2, "memory": str(tmp_path)}
    first, again = (
        classifier(random_state=np.random.RandomState(3), **params).fit(X, Y) for _ in range(2)
    )
    assert_same_model(again, first)
    plain = classifier(random_state=np.random.RandomState(3), n_reassignments=2).fit(X, Y)
    assert_same_model(plain, first)


def test_pruning_does_not_move_labels():
    X, Y = noisy()
    trees = [classifier(prune_threshold=t).fit(X, Y).tree_ for t in (0, 0.1, 5)]
    assert trees[0] == trees[1] == trees[2]


# ---- progress ----


def test_progress_names_the_trees_in_turn(capsys):
    pytest.importorskip("tqdm")
    classifier(verbose=1, n_reassignments=2).fit(*noisy())
    shown = capsys.readouterr().err
    positions = [
        shown.index(f"fitting: {phase}, tree {i} of 3")
        for i in (1, 2)
        for phase in ("training rankers", "matching rows")
    ]
    assert positions == sorted(positions)
    assert "training rankers, tree 3 of 3" in shown
    assert "fitting 100%" in shown
