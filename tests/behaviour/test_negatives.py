"""Which rows rankers learn from."""

from functools import partial

import numpy as np
import pytest
from datasets import random_labels
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from numpy.testing import assert_array_equal
from reference import assert_same_model, assert_same_ranking, rank_all
from scipy import sparse as sp
from sklearn.base import clone
from strategies import csr_matrices

import skxmr
from skxmr import KMeansIndexer, LabelTree, XRLinearClassifier
from skxmr._core import FOR_POSITIVES, csr_transpose
from skxmr._ranking.tree_ranker import TreeRanker
from skxmr._training import trainer
from skxmr._training.negatives import SCHEMES, LevelExamples, stages, with_matched

DEEP = LabelTree([[0, 2], [0, 2, 4], [0, 2, 4, 6, 8], np.arange(0, 25, 3)], np.arange(24))
MATCHED = [scheme for scheme in SCHEMES if scheme != "tfn"]
WIDTH = 2


def classifier(indexer=DEEP, **params):
    defaults = {"random_state": 0, "negative_sampling": "tfn+man", "training_beam_width": WIDTH}
    return XRLinearClassifier(indexer, **{**defaults, **params})


# Rows stray; some have no labels.
noisy = partial(random_labels, n_labels=24, label_density=0.08, seed=1)


# ---- the sets ----


@given(csr_matrices(min_rows=1, min_columns=1), st.data())
def test_examples_are_the_union_and_missed_ones_are_not_matched(below, data):
    n, m = below.shape
    size = {"min_rows": n, "max_rows": n, "min_columns": m, "max_columns": m}
    beams = data.draw(csr_matrices(**size))
    for scheme in MATCHED:
        matched = LevelExamples(*csr_transpose(beams))
        seen = with_matched(LevelExamples(*csr_transpose(below)), matched, scheme, n)
        assert len(seen.pointers) == m + 1
        for node in range(m):
            span = slice(*seen.pointers[node : node + 2])
            members = set(below[:, node].nonzero()[0].tolist()) | set(_stored(below, node))
            reached = set(_stored(beams, node))
            assert seen.examples[span].tolist() == sorted(members | reached)
            if scheme == "man":
                missed = seen.examples[span][seen.role[span] == FOR_POSITIVES].tolist()
                assert missed == sorted(members - reached)
            else:
                assert seen.role is None


def _stored(matrix, column):
    """Rows with a stored entry in a column."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return rows[matrix.indices == column].tolist()


@pytest.mark.parametrize(
    ("schemes", "expected"),
    [
        ("tfn", [("tfn", [0, 1, 2])]),
        ("man", [("tfn", [0]), ("man", [1]), ("man", [2])]),
        (["man", "tfn", "man"], [("tfn", [0, 1]), ("man", [2])]),
        (["tfn", "tfn+man", "tfn"], [("tfn", [0]), ("tfn+man", [1, 2])]),
    ],
)
def test_levels_that_need_no_search_are_trained_at_once(schemes, expected):
    assert stages(schemes, 3) == expected


# ---- what rankers are trained on ----


@pytest.fixture
def problems(monkeypatch):
    """Collect the problem of each chunk, by what identifies it."""
    found, make = {}, trainer._chunk_data

    def recorded(levels, node_examples, chunk, seed):
        found[chunk], *others = make(levels, node_examples, chunk, seed)
        return found[chunk], *others

    monkeypatch.setattr(trainer, "_chunk_data", recorded)
    return found


def matched_rows(clf, X, level):
    """The rows whose beam holds each node of a level, by a search with the fitted layers."""
    if level == 0:
        return [set(range(X.shape[0]))]
    layers, n = clf._fitted.rankers[0].layers[:level], clf.tree_.n_nodes(level)
    model = TreeRanker(layers, np.arange(n, dtype=np.int32), n, X.shape[1])
    post_processor = "l3-hinge" if clf.loss == "squared_hinge" else "sigmoid"
    nodes, _ = rank_all(model, X, k=WIDTH, beam_width=WIDTH, post_processor=post_processor)
    return [set(np.flatnonzero((nodes == node).any(axis=1)).tolist()) for node in range(n)]


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
@pytest.mark.parametrize("schemes", ["tfn", "man", "tfn+man", ["tfn", "man", "tfn", "tfn+man"]])
def test_rankers_learn_from_the_rows_they_should(problems, schemes, loss):
    X, Y = noisy()
    clf = classifier(negative_sampling=schemes, loss=loss).fit(X, Y)
    rows = _canonical_order(X, Y)
    tree = clf.tree_
    assert tree.n_levels == 4
    assert len(problems) == sum(map(len, tree.child_ptr)) - tree.n_levels
    for (level, node, first, end), problem in problems.items():
        scheme = schemes if isinstance(schemes, str) else schemes[level]
        below = _rows_below(tree, Y, level, node)
        matched = matched_rows(clf, X, level)[node]
        expected = below if scheme == "tfn" and level else below | matched
        assert set(rows[problem.examples]) == expected
        missed = problem.examples[:0]
        if problem.role is not None:
            missed = problem.examples[problem.role == FOR_POSITIVES]
        assert set(rows[missed]) == (below - matched if scheme == "man" else set())
        for child in range(first, end):
            span = slice(*problem.positive_ptr[child - first : child - first + 2])
            assert set(rows[problem.positive[span]]) == _rows_below(tree, Y, level + 1, child)


@pytest.mark.parametrize("schemes", ["tfn", "man", ["tfn", "tfn", "tfn+man", "man"]])
def test_given_negatives_are_seen_all_along_their_labels_paths(problems, schemes):
    X, Y = noisy()
    given = np.random.default_rng(2).random(Y.shape) < 0.05
    clf = classifier(negative_sampling=schemes)
    clf.fit(X, Y, negatives=sp.csr_matrix(given * 7))
    given = sp.csr_matrix((given & (Y.toarray() == 0)).astype(np.float32))
    rows = skxmr._data.examples.distinct_examples(X, Y, None, None, given).source
    for (level, node, _, _), problem in problems.items():
        scheme = schemes if isinstance(schemes, str) else schemes[level]
        below = _rows_below(clf.tree_, Y, level, node)
        matched = _rows_below(clf.tree_, given, level, node)
        if scheme != "tfn" or not level:
            matched |= matched_rows(clf, X, level)[node]
        assert set(rows[problem.examples]) == below | matched
        if problem.role is not None:
            assert set(rows[problem.examples[problem.role == FOR_POSITIVES]]) == below - matched


def test_given_negatives_push_their_label_down():
    X, Y = noisy()
    given = sp.csr_matrix(np.where(np.arange(24) == 5, Y.toarray() == 0, 0).astype(np.float32))
    plain, aware = (
        classifier(negative_sampling="tfn", beam_width=8).fit(X, Y, negatives=n)
        for n in (None, given)
    )
    before, after = (clf.decision_function(X)[:, [5]].toarray().mean() for clf in (plain, aware))
    assert after < before


def test_negatives_that_are_positives_or_none_at_all_change_nothing():
    X, Y = noisy()
    expected = classifier().fit(X, Y)
    for negatives in (Y, sp.csr_matrix(Y.shape), np.zeros(Y.shape)):
        found = classifier().fit(X, Y, negatives=negatives)
        assert_same_model(found, expected)


def test_given_negatives_do_not_depend_on_order_and_jobs():
    X, Y = noisy()
    given = sp.csr_matrix(np.random.default_rng(2).random(Y.shape) < 0.05)
    order = np.random.default_rng(0).permutation(X.shape[0])
    expected = classifier().fit(X, Y, negatives=given)
    found = classifier(n_jobs=2).fit(X[order], Y[order], negatives=given[order])
    assert_same_model(found, expected)


@pytest.mark.parametrize(
    "bad", [np.ones((150, 23)), np.ones((3, 24)), np.full((150, 24), np.nan), 3]
)
def test_other_negatives_are_refused(bad):
    with pytest.raises((ValueError, TypeError), match="negatives"):
        classifier().fit(*noisy(), negatives=bad)


def _canonical_order(X, Y):
    return skxmr._data.examples.distinct_examples(X, Y).source


def _rows_below(tree, Y, level, node):
    labels = tree.indicator(level)[:, [node]].nonzero()[0]
    return set(Y[:, labels].nonzero()[0].tolist())


def test_strays_are_negatives_of_all_children():
    """Rows of label 0 look like cluster 1 half of the time; only a matcher shows it them."""
    rng = np.random.default_rng(0)
    n = 400
    label = np.arange(n) % 4
    X = np.zeros((n, 6), dtype=np.float32)
    X[np.arange(n), label] = 1
    stray = (label == 0) & (rng.random(n) < 0.5)
    X[stray, 0], X[stray, 4], X[stray, 2] = 0, 0.5, 1
    X[label == 2, 5] = 0.5
    tree = LabelTree.from_clusters([0, 0, 1, 1])
    X, y = sp.csr_matrix(X), label
    params = {"training_beam_width": 2, "post_processor": "log-l3-hinge", "random_state": 0}
    teacher_forced, aware = (
        XRLinearClassifier(tree, negative_sampling=scheme, **params).fit(X, y)
        for scheme in ("tfn", "tfn+man")
    )
    lost = X[np.flatnonzero(stray)]
    assert (
        aware.decision_function(lost)[:, 2].mean()
        < teacher_forced.decision_function(lost)[:, 2].mean()
    )
    assert aware.score(X, y) >= teacher_forced.score(X, y)


# ---- the classifier ----


@pytest.mark.parametrize("indexer", [KMeansIndexer(), DEEP], ids=["flat", "deep"])
def test_teacher_forcing_at_every_level_is_teacher_forcing(indexer):
    X, Y = noisy()
    plain = classifier(indexer, negative_sampling="tfn").fit(X, Y)
    listed = classifier(indexer, negative_sampling=("tfn",) * plain.n_levels_).fit(X, Y)
    assert_same_model(listed, plain)


def test_all_schemes_are_one_where_all_labels_hang_from_the_root():
    X, Y = noisy()
    models = [classifier(KMeansIndexer(), negative_sampling=s).fit(X, Y) for s in SCHEMES]
    assert_same_model(models[0], models[1])
    assert_same_model(models[0], models[2])


def test_schemes_differ():
    X, Y = noisy()
    scores = [classifier(negative_sampling=s).fit(X, Y).rank(X)[1] for s in SCHEMES]
    assert len({array.tobytes() for array in scores}) == 3


def test_a_matcher_that_keeps_every_node_makes_both_alike():
    X, Y = noisy()
    params = {"training_beam_width": 1000}
    man, both = (classifier(negative_sampling=s, **params).fit(X, Y) for s in MATCHED)
    assert_same_model(man, both)


def test_the_scheme_of_the_top_level_means_nothing():
    X, Y = noisy()
    rest = ["man", "tfn+man", "tfn"]
    first, second = (classifier(negative_sampling=[top, *rest]).fit(X, Y) for top in ("tfn", "man"))
    assert_same_model(first, second)


def test_a_list_has_an_entry_per_level():
    X, Y = noisy()
    with pytest.raises(
        ValueError, match=r"negative_sampling must have one entry per level.* 4, got 2"
    ):
        classifier(negative_sampling=["tfn", "man"]).fit(X, Y)


@pytest.mark.parametrize("scheme", MATCHED)
@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_order_of_rows_and_number_of_jobs_change_nothing(scheme, loss):
    X, Y = noisy()
    params = {"negative_sampling": scheme, "loss": loss}
    order = np.random.default_rng(0).permutation(X.shape[0])
    expected = classifier(**params).fit(X, Y)
    assert_same_model(classifier(n_jobs=2, **params).fit(X[order], Y[order]), expected)


@pytest.mark.parametrize("scheme", MATCHED)
def test_weight_two_is_the_row_twice(scheme):
    X, Y = noisy()
    weight = np.arange(X.shape[0]) % 3
    twice = np.repeat(np.arange(X.shape[0]), weight)
    weighted = classifier(negative_sampling=scheme).fit(X, Y, sample_weight=weight)
    assert_same_model(weighted, classifier(negative_sampling=scheme).fit(X[twice], Y[twice]))


def test_parameters_of_ranking_do_not_change_training():
    X, Y = noisy()
    expected = classifier().fit(X, Y)
    assert_same_model(classifier(beam_width=1, post_processor="noop").fit(X, Y), expected)
    wide = classifier(training_beam_width=4).fit(X, Y)
    assert (wide.rank(X)[1] != expected.rank(X)[1]).any()


@pytest.mark.parametrize("clusters", [1, 2])
@pytest.mark.parametrize("prune_threshold", slow_except([0.0, 0.1], [0.0, 0.05, 0.1, 0.5]))
@pytest.mark.parametrize("weight_dtype", ["float32", "float16"])
def test_a_cached_model_is_the_same_to_the_bit(tmp_path, prune_threshold, weight_dtype, clusters):
    X, Y = noisy()
    params = {
        "prune_threshold": prune_threshold,
        "weight_dtype": weight_dtype,
        "max_clusters_per_label": clusters,
    }
    expected = classifier(**params).fit(X, Y)
    for _ in range(2):
        assert_same_model(classifier(memory=str(tmp_path), **params).fit(X, Y), expected)
    assert {layer.weight_dtype for layer in expected._fitted.rankers[0].layers} == {weight_dtype}


def test_what_is_pruned_from_a_coarse_model_is_not_what_the_matcher_saw():
    X, Y = noisy()
    fine, coarse = (classifier(prune_threshold=t).fit(X, Y) for t in (0.1, 0.6))
    pruned = [layer.prune(X.shape[1], 0.6, 1.0) for layer in fine._fitted.rankers[0].layers]
    for a, b in zip(pruned, coarse._fitted.rankers[0].layers, strict=True):
        assert_array_equal(a.payload, b.payload)


@pytest.mark.parametrize("value", [["tfn", "man", "tfn", "tfn+man"], ("tfn",) * 4, "man"])
def test_schemes_are_saved_and_cloned(tmp_path, value):
    X, Y = noisy()
    clf = clone(classifier(negative_sampling=value)).fit(X, Y)
    clf.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert list(loaded.negative_sampling) == list(value)
    assert_same_ranking(loaded.rank(X), clf.rank(X))
    assert_same_model(clone(loaded).fit(X, Y), clf)


def test_progress_goes_through_all_levels(capsys):
    pytest.importorskip("tqdm")
    classifier(verbose=1).fit(*noisy())
    shown = capsys.readouterr().err
    assert "fitting: training rankers" in shown
    assert "matching" not in shown
    assert "fitting 100%" in shown
