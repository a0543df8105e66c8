"""Positives that count more or less than others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import (
    assert_same_model,
    dense_weights,
    node_problem,
    random_csr,
    rank_all,
    solve,
    with_constant,
)
from scipy import sparse as sp

from skxmr import LabelTree, XRLinearClassifier
from skxmr._core import FOR_POSITIVES, CSRView, Model, TrainParams, train_columns
from skxmr._training.relevance import as_weights

TREE = LabelTree([[0, 2], [0, 2, 4], [0, 3, 6, 9, 12]], np.arange(12))
LOSSES = pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])


def classifier(indexer=TREE, **params):
    return XRLinearClassifier(indexer, **{"random_state": 0, **params})


def graded(n_rows=120, n_features=15, seed=1):
    """Noise, its labels, and how relevant each is."""
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, n_features, 0.3, "csr", dtype=np.float32, random_state=seed)
    Y = rng.random((n_rows, 12)) < 0.15
    Y[np.arange(12), np.arange(12)] = True
    R = np.where(Y, rng.choice([0.25, 1.0, 3.0], Y.shape), 0)
    return X, sp.csr_matrix(Y.astype(np.float32)), sp.csr_matrix(R.astype(np.float32))


# ---- one node ----


@LOSSES
@pytest.mark.parametrize("missing", [False, True])
def test_a_positives_cost_is_its_relevance(loss, missing):
    rng = np.random.default_rng(0)
    X, positive = random_csr(rng, 50, 12), rng.random((50, 5)) < 0.3
    weight = rng.choice([0.5, 1, 2], 50).astype(np.float32)
    R = rng.choice([0.5, 1.0, 4.0], positive.shape)
    role = (rng.random(50) < 0.3).astype(np.uint8) * FOR_POSITIVES if missing else None
    problem = node_problem(positive)._replace(role=role)
    cost = np.concatenate([r[p] for r, p in zip(R.T, positive.T, strict=True)]).astype(np.float32)
    rows = as_weights(problem, cost, np.arange(50, dtype=np.int32), weight)
    params = TrainParams(loss, 1.0, 1.0, 1e-4, 5000, 0.0)
    columns, _ = train_columns(CSRView(X), *rows, params, 0)
    found = np.vstack([dense_weights(columns, 12), columns.bias]).T
    for w, column, r in zip(found, positive.T, R.T, strict=True):
        seen = column | (role != FOR_POSITIVES if missing else True)
        A, sign = with_constant(X, 1.0)[seen], np.where(column, 1.0, -1.0)[seen]
        expected = solve(loss, A, sign, (weight * np.where(column, r, 1))[seen])
        np.testing.assert_allclose(w, expected, atol=1e-3)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 5))
def test_rows_say_for_every_child_what_the_costs_said(seed, n, width):
    rng = np.random.default_rng(seed)
    positive = rng.random((n, width)) < 0.5
    cost = np.where(positive, rng.choice([0.5, 2, 3], positive.shape), 1)
    role = rng.choice([0, FOR_POSITIVES], n).astype(np.uint8)
    flat = np.concatenate([c[p] for c, p in zip(cost.T, positive.T, strict=True)])
    problem = node_problem(positive)._replace(role=role)
    source = rng.permutation(n).astype(np.int32)
    rows, of_row, weight = as_weights(problem, flat.astype(np.float32), source, None)
    for child in range(width):
        span = slice(*rows.positive_ptr[child : child + 2])
        marked = rows.positive[span]
        assert (np.diff(marked) > 0).all()
        is_positive = np.isin(rows.examples, marked)
        learns = np.choose(rows.role, [np.ones_like(is_positive), is_positive, ~is_positive])
        said = sorted(zip(of_row[learns], is_positive[learns], weight[learns], strict=True))
        seen = positive[:, child] | (role != FOR_POSITIVES)
        expected = zip(source[seen], positive[seen, child], cost[seen, child], strict=True)
        assert said == sorted(expected)


# ---- the classifier ----


@LOSSES
def test_relevance_of_one_changes_nothing_at_a_single_level(loss):
    X, Y, _ = graded()
    params = {"loss": loss, "tol": 1e-4, "max_iter": 2000, "post_processor": "noop"}
    flat = LabelTree([[0, 12]], np.arange(12))
    scores = [
        classifier(flat, **params).fit(X, Y, relevance=r).decision_function(X).toarray()
        for r in (None, Y)
    ]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-3)


def test_relevance_of_all_is_the_weight_of_positives_alone():
    X, Y, _ = graded()
    flat = LabelTree([[0, 12]], np.arange(12))
    scores = [
        classifier(flat, post_processor="noop").fit(X, Y, relevance=r * Y).decision_function(X)
        for r in (0.1, 1.0, 10.0)
    ]
    means = [score.toarray().mean() for score in scores]
    assert means[0] < means[1] < means[2]


def test_a_cluster_has_the_sum_of_its_labels():
    """One level of a deep tree is the same as a flat tree of its nodes with summed relevance."""
    X, Y, R = graded()
    params = {"tol": 1e-4, "max_iter": 2000, "prune_threshold": 0}
    deep = classifier(**params).fit(X, Y, relevance=R)
    above = TREE.indicator(1)
    sums = sp.csr_matrix(R @ above)
    flat = classifier(LabelTree([[0, 2]], [0, 1]), **params)
    flat.fit(X, (sums > 0).astype(int), relevance=sums)
    found, expected = (
        Model(clf._fitted.models[0].layers[:1], np.arange(2, dtype=np.int32), 2, X.shape[1])
        for clf in (deep, flat)
    )
    options = {"k": 2, "beam_width": 2, "post_processor": "noop"}
    labels, scores = rank_all(found, X, **options)
    assert_array_equal(labels, rank_all(expected, X, **options)[0])
    np.testing.assert_allclose(scores, rank_all(expected, X, **options)[1], atol=1e-3)


@pytest.mark.parametrize("scheme", ["tfn", "man", "tfn+man"])
def test_order_of_rows_and_number_of_jobs_change_nothing(scheme):
    X, Y, R = graded()
    params = {"negative_sampling": scheme, "max_clusters_per_label": 2}
    order = np.random.default_rng(0).permutation(X.shape[0])
    expected = classifier(**params).fit(X, Y, relevance=R)
    shuffled = classifier(n_jobs=2, **params).fit(X[order], Y[order], relevance=R[order])
    assert_same_model(shuffled, expected)


def test_weight_two_is_the_row_twice():
    X, Y, R = graded()
    weight = np.arange(X.shape[0]) % 3
    twice = np.repeat(np.arange(X.shape[0]), weight)
    weighted = classifier().fit(X, Y, sample_weight=weight, relevance=R)
    assert_same_model(weighted, classifier().fit(X[twice], Y[twice], relevance=R[twice]))


def test_equal_rows_of_unequal_relevance_are_kept_apart():
    X, Y, R = graded()
    both = sp.vstack([X, X]), sp.vstack([Y, Y])
    same = classifier().fit(*both, relevance=sp.vstack([R, R]))
    other = classifier().fit(*both, relevance=sp.vstack([R, 2 * R]))
    assert (same.rank(X)[1] != other.rank(X)[1]).any()


def test_relevance_comes_in_any_container_and_for_classes():
    X, Y, R = graded()
    expected = classifier().fit(X, Y, relevance=R)
    for make in (sp.csc_array, sp.coo_matrix, lambda m: m.toarray()):
        assert_same_model(classifier().fit(X, Y, relevance=make(R)), expected)
    y = np.arange(X.shape[0]) % 12
    ones = sp.csr_matrix(np.eye(12)[y])
    clf = classifier().fit(X, y, relevance=3 * ones)
    assert clf.predict(X).shape == y.shape


def test_memory_tells_relevances_apart(tmp_path):
    X, Y, R = graded()
    for relevance in (None, R, 2 * R, R):
        cached = classifier(memory=str(tmp_path)).fit(X, Y, relevance=relevance)
        assert_same_model(cached, classifier().fit(X, Y, relevance=relevance))


@pytest.mark.parametrize(
    "change",
    [
        lambda R: R[:, :-1],
        lambda R: R[:-1],
        lambda R: -R,
        lambda R: R + sp.csr_matrix(([1.0], ([0], [1])), shape=R.shape),
        lambda R: sp.diags((np.arange(120) > 0).astype(float)) @ R,
        lambda R: R * 1e38,
        lambda R: R * 1e-42,
        lambda R: R * np.nan,
        lambda R: 3,
        lambda R: "relevance",
    ],
)
def test_other_relevances_are_refused(change):
    X, Y, R = graded()
    with pytest.raises((ValueError, TypeError), match="relevance"):
        classifier(C=100.0).fit(X, Y, relevance=change(R.astype(np.float64)))
