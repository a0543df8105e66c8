import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    f1_score,
    label_ranking_average_precision_score,
    ndcg_score,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skxmr import metrics

# References: one row at a time, from the definitions. `true` is a set of labels, `ranking` a list
# of labels in which None is an empty position.


def mean(values):
    return math.fsum(values) / len(values)


def slow_precision(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        rows.append(sum(label in true for label in ranking[:k]) / k)
    return mean(rows)


def slow_recall(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        found = sum(label in true for label in ranking[:k])
        rows.append(found / len(true) if true else 0.0)
    return mean(rows)


def slow_f1(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        ranked = [label for label in ranking[:k] if label is not None]
        found = sum(label in true for label in ranked)
        precision = found / len(ranked) if ranked else 0.0
        recall = found / len(true) if true else 0.0
        rows.append(2 * precision * recall / (precision + recall) if found else 0.0)
    return mean(rows)


def slow_ndcg(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        gain = sum(1 / math.log2(i + 2) for i, label in enumerate(ranking[:k]) if label in true)
        ideal = sum(1 / math.log2(i + 2) for i in range(min(k, len(true))))
        rows.append(gain / ideal if true else 0.0)
    return mean(rows)


def slow_mrr(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        ranks = [i + 1 for i, label in enumerate(ranking[:k]) if label in true]
        rows.append(1 / ranks[0] if ranks else 0.0)
    return mean(rows)


def slow_hit_rate(truth, rankings, k):
    rows = []
    for true, ranking in pairs(truth, rankings):
        rows.append(float(any(label in true for label in ranking[:k])))
    return mean(rows)


def slow_psp(truth, rankings, k, propensities):
    found, best = 0.0, 0.0
    for true, ranking in pairs(truth, rankings):
        found += sum(1 / propensities[label] for label in ranking[:k] if label in true)
        best += sum(sorted((1 / propensities[label] for label in true), reverse=True)[:k])
    return found / best if best else 0.0


def pairs(truth, rankings):
    return zip(truth, rankings, strict=True)


REFERENCES = {
    "precision_at_k": slow_precision,
    "recall_at_k": slow_recall,
    "f1_at_k": slow_f1,
    "ndcg_at_k": slow_ndcg,
    "mean_reciprocal_rank": slow_mrr,
    "hit_rate_at_k": slow_hit_rate,
    "psp_at_k": slow_psp,
}
PLAIN = sorted(set(REFERENCES) - {"psp_at_k"})
FORMATS = [
    np.asarray,
    np.ndarray.tolist,
    sparse.csr_array,
    sparse.csr_matrix,
    sparse.csc_array,
    sparse.coo_matrix,
    sparse.lil_array,
    sparse.dok_array,
    sparse.bsr_array,
    sparse.dia_array,
]


def call(name, Y_true, Y_ranked, k, propensities, **extra):
    if name == "psp_at_k":
        extra["propensities"] = propensities
    return getattr(metrics, name)(Y_true, Y_ranked, k=k, **extra)


@st.composite
def problems(draw):
    """Truth (a list of sets), n_labels, k (may exceed n_labels) and propensities."""
    n_samples, n_labels = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    labels = st.integers(0, n_labels - 1)
    truth = draw(st.lists(st.sets(labels), min_size=n_samples, max_size=n_samples))
    share = st.floats(0.01, 1.0)
    propensities = draw(st.lists(share, min_size=n_labels, max_size=n_labels))
    return truth, n_labels, draw(st.integers(1, n_labels + 3)), propensities


@st.composite
def rankings(draw, n_samples, n_labels):
    """Rankings of one width, with empty positions anywhere."""
    width = draw(st.integers(0, n_labels + 2))
    rows = []
    for _ in range(n_samples):
        labels = draw(st.permutations(range(n_labels))) + [None] * width
        keep = draw(st.lists(st.booleans(), min_size=width, max_size=width))
        rows.append([label if kept else None for label, kept in zip(labels, keep, strict=False)])
    return rows


@st.composite
def scores(draw, n_samples, n_labels):
    """One dict of label -> score per row, from few values so that ties abound."""
    value = st.sampled_from([-2.0, -0.5, 0.0, 0.25, 0.5, 3.0])
    row = st.dictionaries(st.integers(0, n_labels - 1), value)
    return draw(st.lists(row, min_size=n_samples, max_size=n_samples))


def ranking_of(rows, dtype):
    """Rows of labels as an array, -1 for an empty position."""
    return np.array([[-1 if label is None else label for label in row] for row in rows], dtype)


def indicator(truth, n_labels):
    Y = np.zeros((len(truth), n_labels), dtype=np.int64)
    for row, labels in enumerate(truth):
        Y[row, list(labels)] = 1
    return Y


def best_first(row):
    return sorted(row, key=lambda label: (-row[label], label))


def stored(rows, n_labels, container):
    """Sparse scores in which an explicit zero stays stored."""
    i = [i for i, row in enumerate(rows) for _ in row]
    j = [label for row in rows for label in row]
    values = np.array([value for row in rows for value in row.values()], dtype=float)
    return container(sparse.coo_array((values, (i, j)), shape=(len(rows), n_labels)))


@pytest.mark.parametrize("name", REFERENCES)
class TestAgainstReference:
    def check(self, name, problem, Y_ranked, expected_rankings):
        truth, n_labels, k, propensities = problem
        extra = (propensities,) if name == "psp_at_k" else ()
        expected = REFERENCES[name](truth, expected_rankings, k, *extra)
        got = call(name, indicator(truth, n_labels), Y_ranked, k, propensities)
        assert type(got) is float
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-15)
        assert 0.0 <= got <= 1.0

    @settings(deadline=None)
    @given(problem=problems(), data=st.data())
    def test_ranking(self, name, problem, data):
        truth, n_labels, _, _ = problem
        drawn = data.draw(rankings(len(truth), n_labels))
        array = ranking_of(drawn, data.draw(st.sampled_from([np.int32, np.int64])))
        self.check(name, problem, array, drawn)
        self.check(name, problem, (array, np.zeros(array.shape)), drawn)

    @settings(deadline=None)
    @given(problem=problems(), data=st.data())
    def test_stored_scores(self, name, problem, data):
        truth, n_labels, _, _ = problem
        rows = data.draw(scores(len(truth), n_labels))
        containers = [sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array]
        Y_ranked = stored(rows, n_labels, data.draw(st.sampled_from(containers)))
        self.check(name, problem, Y_ranked, [best_first(row) for row in rows])

    @settings(deadline=None)
    @given(problem=problems(), data=st.data())
    def test_dense_scores(self, name, problem, data):
        truth, n_labels, _, _ = problem
        rows = data.draw(scores(len(truth), n_labels))
        dense = np.full((len(truth), n_labels), -np.inf, dtype=np.float32)
        for i, row in enumerate(rows):
            dense[i, list(row)] = list(row.values())
        # Minus infinity is no candidate, every finite score is one.
        self.check(name, problem, dense, [best_first(row) for row in rows])

    @settings(deadline=None)
    @given(problem=problems())
    def test_best_ranking_is_one_where_every_row_has_a_label(self, name, problem):
        truth, n_labels, k, propensities = problem
        truth = [true or {0} for true in truth]
        rows = [sorted(true, key=lambda label: propensities[label]) for true in truth]
        array = np.array([row + [-1] * (n_labels - len(row)) for row in rows])
        got = call(name, indicator(truth, n_labels), array, k, propensities)
        if name == "precision_at_k":
            assert got == pytest.approx(mean([min(k, len(true)) / k for true in truth]))
        elif name == "recall_at_k":
            assert got == pytest.approx(mean([min(k, len(true)) / len(true) for true in truth]))
        elif name == "f1_at_k":
            sizes = [(min(k, len(true)), len(true)) for true in truth]
            assert got == pytest.approx(mean([2 * m / (m + n) for m, n in sizes]))
        else:
            assert got == 1.0

    @settings(deadline=None)
    @given(problem=problems(), data=st.data())
    def test_a_row_of_weight_two_is_a_row_given_twice(self, name, problem, data):
        truth, n_labels, k, propensities = problem
        drawn = data.draw(rankings(len(truth), n_labels))
        ranking = ranking_of(drawn, np.int64)
        Y = indicator(truth, n_labels)
        times = st.lists(st.integers(0, 3), min_size=len(truth), max_size=len(truth)).filter(any)
        weight = np.array(data.draw(times))
        twice = np.repeat(np.arange(len(truth)), weight)
        expected = call(name, Y[twice], ranking[twice], k, propensities)
        for scaled in (weight, (weight / 2).tolist()):
            got = call(name, Y, ranking, k, propensities, sample_weight=scaled)
            assert type(got) is float
            assert got == pytest.approx(expected, rel=1e-12, abs=1e-15)

    @pytest.mark.parametrize("scale", [1e-300, 1e-45, 1e39, 1e300])
    def test_the_scale_of_weights_does_not_matter(self, name, scale):
        truth, ranking = [[1, 0], [0, 1], [1, 0]], [[0, 1], [0, 1], [1, 0]]
        weight = np.array([5.0, 2.0, 1.0])
        expected = call(name, truth, ranking, 1, [0.5, 0.5], sample_weight=weight)
        assert expected == pytest.approx(5 / 8)
        got = call(name, truth, ranking, 1, [0.5, 0.5], sample_weight=scale * weight)
        assert got == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("wrong", [[1.0], [1.0, -1.0], [0.0, 0.0], [np.nan, 1.0], ["a", "b"]])
    def test_wrong_weights(self, name, wrong):
        with pytest.raises(ValueError, match="sample_weight must be"):
            call(name, [[1, 0], [0, 1]], [[0, 1], [0, 1]], 1, [0.5, 0.5], sample_weight=wrong)

    @pytest.mark.parametrize("container", FORMATS)
    @pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.bool_, np.float32, np.float64])
    def test_containers_of_the_truth_agree(self, name, container, dtype):
        Y = np.random.default_rng(3).integers(0, 2, (8, 6))
        Y[2] = 0
        ranking = np.argsort(np.random.default_rng(4).random((8, 6)), axis=1)
        propensities = np.linspace(0.1, 1.0, 6)
        expected = call(name, Y, ranking, 3, propensities)
        assert 0.0 < expected < 1.0
        assert call(name, container(Y.astype(dtype)), ranking, 3, propensities) == expected


class TestInput:
    def test_not_stored_is_not_zero(self):
        # Label 0 was never reached: a negative score of label 1 is still the first.
        Y_ranked = sparse.csr_array(([-3.0], ([0], [1])), shape=(1, 2))
        assert metrics.precision_at_k([[0, 1]], Y_ranked) == 1.0
        assert metrics.precision_at_k([[1, 0]], Y_ranked, k=2) == 0.0

    def test_stored_zero_is_a_candidate(self):
        Y_ranked = sparse.csr_array(([0.0, -3.0], ([0, 0], [0, 1])), shape=(1, 2))
        assert metrics.precision_at_k([[1, 0]], Y_ranked) == 1.0

    def test_stored_zero_in_the_truth_is_no_label(self):
        Y_true = sparse.csr_array(([0, 1], ([0, 0], [0, 1])), shape=(1, 2))
        assert metrics.precision_at_k(Y_true, [[0]]) == 0.0
        assert metrics.recall_at_k(Y_true, [[1]]) == 1.0

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_ties_go_to_the_lower_label(self, container):
        Y_ranked = container(np.full((1, 40), 0.5))
        Y_true = np.eye(40)[[7]]
        assert metrics.mean_reciprocal_rank(Y_true, Y_ranked, k=40) == 1 / 8

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_close_doubles_are_no_tie(self, container):
        Y_ranked = container(np.array([[1.0 - 1e-12, 1.0]]))
        assert metrics.precision_at_k([[0, 1]], Y_ranked) == 1.0

    @pytest.mark.parametrize("dtype", [np.float16, ">f4", ">f8", np.longdouble])
    def test_unusual_floats(self, dtype):
        Y_true, Y_ranked = np.array([[0, 1, 0]]), np.array([[0.25, 0.5, -1.0]])
        assert metrics.precision_at_k(Y_true.astype(dtype), Y_ranked.astype(dtype)) == 1.0

    def test_int_scores_in_a_sparse_matrix_are_scores(self):
        assert metrics.precision_at_k([[0, 1]], sparse.csr_array(np.array([[1, 2]]))) == 1.0

    def test_unsorted_and_split_entries(self):
        # Row 0 stores label 2, then label 0 in two parts: 0.3 + 0.4 > 0.5.
        parts = (np.array([0.5, 0.3, 0.4]), np.array([2, 0, 0]), np.array([0, 3]))
        Y_ranked = sparse.csr_array(parts, shape=(1, 3))
        assert metrics.precision_at_k([[1, 0, 0]], Y_ranked) == 1.0

    def test_input_is_left_alone(self):
        parts = (np.array([1.0, 0.0, 1.0]), np.array([2, 1, 0]), np.array([0, 3]))
        Y_true = sparse.csr_array(parts, shape=(1, 3), copy=True)
        Y_ranked = sparse.csr_array(parts, shape=(1, 3), copy=True)
        metrics.psp_at_k(Y_true, Y_ranked, propensities=[1.0, 1.0, 1.0])
        for matrix in (Y_true, Y_ranked):
            np.testing.assert_array_equal(matrix.indices, parts[1])
            np.testing.assert_array_equal(matrix.data, parts[0])

    def test_more_cells_than_an_int32_counts(self):
        n = 70_000
        Y_true = sparse.eye_array(n, dtype=np.int8, format="csr")
        own = np.arange(n, dtype=np.int32)[:, np.newaxis]
        assert metrics.precision_at_k(Y_true, own) == 1.0
        assert metrics.precision_at_k(Y_true, (own + 1) % n) == 0.0
        assert metrics.precision_at_k(Y_true, Y_true.astype(np.float32)) == 1.0

    @pytest.mark.filterwarnings("ignore:F-score is ill-defined")
    def test_f1_is_that_of_scikit_learn_averaged_over_samples(self):
        rng = np.random.default_rng(0)
        Y_true = (rng.random((50, 8)) < 0.2).astype(int)
        assert not Y_true.any(axis=1).all()
        # Some rows have fewer than three candidates, or none.
        scores = np.where(rng.random((50, 8)) < 0.25, rng.random((50, 8)), -np.inf)
        best = np.argsort(-scores, axis=1)[:, :3]
        predicted = np.zeros_like(Y_true)
        np.put_along_axis(predicted, best, np.isfinite(np.take_along_axis(scores, best, 1)), 1)
        assert set(predicted.sum(axis=1)) >= {0, 1, 2, 3}
        expected = f1_score(Y_true, predicted, average="samples")
        assert metrics.f1_at_k(Y_true, scores, k=3) == pytest.approx(expected)

    def test_huge_k(self):
        assert metrics.recall_at_k([[1, 1]], [[0.5, 0.25]], k=10**30) == 1.0
        assert metrics.ndcg_at_k([[1, 1]], [[0, 1]], k=10**30) == 1.0

    def test_small_integer_type_of_k(self):
        # 4 rows times 100 ranks are more than an int8 holds.
        assert metrics.precision_at_k(np.ones((4, 1)), np.zeros((4, 1)), k=np.int8(100)) == 0.01

    @pytest.mark.parametrize("name", REFERENCES)
    def test_no_true_label_at_all_is_zero(self, name):
        assert call(name, np.zeros((2, 3)), [[0, 1, 2], [2, 1, 0]], 2, [1.0, 1.0, 1.0]) == 0.0

    @pytest.mark.parametrize(
        ("name", "k"),
        [
            ("precision_at_k", 1),
            ("recall_at_k", 10),
            ("f1_at_k", 5),
            ("ndcg_at_k", 5),
            ("mean_reciprocal_rank", 10),
            ("hit_rate_at_k", 10),
            ("psp_at_k", 5),
        ],
    )
    def test_default_k(self, name, k):
        # The only true label is at rank 1, 1, 1, 2, 3, ..., 12, which tells every k apart.
        Y_true = np.eye(12)[[0, 0, *range(12)]]
        ranking, p = np.tile(np.arange(12), (14, 1)), np.ones(12)
        extra = {"propensities": p} if name == "psp_at_k" else {}
        got = getattr(metrics, name)(Y_true, ranking, **extra)
        assert got == call(name, Y_true, ranking, k, p)
        assert got != call(name, Y_true, ranking, k + 1, p)


class TestErrors:
    Y = np.array([[1, 0, 1], [0, 1, 0]])
    ranking = np.array([[0, 1, 2], [2, 1, 0]])

    @pytest.mark.parametrize("name", REFERENCES)
    @pytest.mark.parametrize("k", [0, -2])
    def test_k_too_small(self, name, k):
        with pytest.raises(ValueError, match=rf"k must be at least 1, got {k}"):
            call(name, self.Y, self.ranking, k, np.ones(3))

    @pytest.mark.parametrize("name", REFERENCES)
    @pytest.mark.parametrize("k", [1.0, "2", None, True])
    def test_k_no_integer(self, name, k):
        with pytest.raises(TypeError, match=r"k must be an integer, got"):
            call(name, self.Y, self.ranking, k, np.ones(3))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.coo_matrix])
    @pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
    def test_truth_not_binary(self, container, value):
        Y = container(np.where(self.Y, value, 0.0))
        with pytest.raises(ValueError, match=r"Y_true must hold only 0 and 1, got"):
            metrics.precision_at_k(Y, self.ranking)

    def test_truth_with_an_entry_twice(self):
        Y = sparse.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(2, 3))
        with pytest.raises(ValueError, match=r"Y_true must hold only 0 and 1, got 2"):
            metrics.precision_at_k(Y, self.ranking)

    @pytest.mark.parametrize("Y", [[1, 0], np.ones((1, 1, 1))])
    def test_truth_not_2d(self, Y):
        with pytest.raises(ValueError, match=r"Y_true must be 2-D, got (1|3) dimensions"):
            metrics.precision_at_k(Y, self.ranking)

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
    def test_truth_empty(self, shape):
        with pytest.raises(ValueError, match=r"Y_true must have rows and columns, got shape"):
            metrics.precision_at_k(sparse.csr_array(shape), np.zeros((shape[0], 1), dtype=int))

    def test_truth_ragged(self):
        with pytest.raises(ValueError, match=r"Y_true must have rows of one length"):
            metrics.precision_at_k([[1, 0], [1]], self.ranking)

    @pytest.mark.parametrize("dtype", [object, str, complex])
    def test_truth_no_numbers(self, dtype):
        with pytest.raises(TypeError, match=r"Y_true must hold real numbers, got dtype"):
            metrics.precision_at_k(self.Y.astype(dtype), self.ranking)

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix])
    @pytest.mark.parametrize("index", [-1, 9])
    def test_sparse_index_out_of_range(self, container, index):
        broken = container(self.Y.astype(float))
        broken.indices[0] = index
        with pytest.raises(ValueError, match=r"Y_true has a \w+ index outside"):
            metrics.precision_at_k(broken, self.ranking)
        with pytest.raises(ValueError, match=r"Y_ranked has a \w+ index outside"):
            metrics.precision_at_k(self.Y, broken)

    @pytest.mark.parametrize("label", [3, -2])
    def test_label_out_of_range(self, label):
        ranking = self.ranking.copy()
        ranking[1, 2] = label
        with pytest.raises(ValueError, match=rf"labels in Y_ranked must be in \[0, 3\).*{label}$"):
            metrics.precision_at_k(self.Y, ranking)

    def test_label_twice(self):
        with pytest.raises(ValueError, match=r"Y_ranked .* got label 2 twice in row 1"):
            metrics.precision_at_k(self.Y, [[0, 1, -1, -1], [2, 1, 0, 2]])

    def test_predictions_are_no_ranking(self):
        with pytest.raises(ValueError, match=r"Y_ranked .* give scores as floating point"):
            metrics.precision_at_k(self.Y, self.Y)

    @pytest.mark.parametrize("rows", [1, 3])
    def test_rows_differ(self, rows):
        with pytest.raises(ValueError, match=rf"Y_ranked must have 2 rows as Y_true, got {rows}"):
            metrics.precision_at_k(self.Y, np.zeros((rows, 1), dtype=int))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_score_columns_differ(self, container):
        with pytest.raises(ValueError, match=r"Y_ranked must have shape \(2, 3\), got \(2, 4\)"):
            metrics.precision_at_k(self.Y, container(np.ones((2, 4))))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_score_nan(self, container):
        with pytest.raises(ValueError, match=r"Y_ranked must hold scores .* got NaN"):
            metrics.precision_at_k(self.Y, container(np.where(self.Y, np.nan, 1.0)))

    def test_ranking_not_2d(self):
        with pytest.raises(ValueError, match=r"Y_ranked must be 2-D, got 1 dimensions"):
            metrics.precision_at_k(self.Y, [0, 1])

    def test_boolean_array_is_ambiguous(self):
        with pytest.raises(TypeError, match=r"Y_ranked must be an array of integers, got bool"):
            metrics.precision_at_k(self.Y, self.Y.astype(bool))

    def test_pair_the_wrong_way_round(self):
        with pytest.raises(TypeError, match=r"Y_ranked must be an array of integers, got float64"):
            metrics.precision_at_k(self.Y, (np.ones((2, 3)), self.ranking))

    def test_pair_of_three(self):
        with pytest.raises(ValueError, match=r"Y_ranked must be a pair if it is a tuple, got 3"):
            metrics.precision_at_k(self.Y, (self.ranking, self.ranking, self.ranking))

    @pytest.mark.parametrize("value", [0.0, -0.5, 1.001, np.nan, np.inf])
    def test_propensities_out_of_range(self, value):
        with pytest.raises(ValueError, match=r"propensities must be in \(0, 1\], got"):
            metrics.psp_at_k(self.Y, self.ranking, propensities=[0.5, value, 1.0])

    @pytest.mark.parametrize("shape", [2, 4, (3, 1)])
    def test_propensities_shape(self, shape):
        with pytest.raises(ValueError, match=r"propensities must have shape \(3,\), got"):
            metrics.psp_at_k(self.Y, self.ranking, propensities=np.ones(shape))

    @pytest.mark.parametrize("value", ["abc", {}, [None, "x", 1]])
    def test_propensities_no_numbers(self, value):
        with pytest.raises(TypeError, match=r"propensities must be an array of numbers"):
            metrics.psp_at_k(self.Y, self.ranking, propensities=value)


class TestMeanReciprocalRankByPrefixLength:
    Y = np.eye(4)[[0, 1, 2, 3, 0]]
    ranking = np.array([[0, 1], [0, 1], [3, 2], [0, 1], [-1, 0]])

    @settings(deadline=None)
    @given(problem=problems(), data=st.data())
    def test_is_the_mean_of_the_rows_of_each_length(self, problem, data):
        truth, n_labels, k, _ = problem
        drawn = data.draw(rankings(len(truth), n_labels))
        n = len(truth)
        lengths = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
        array = np.array([[-1 if label is None else label for label in row] for row in drawn])
        by_length = metrics.mean_reciprocal_rank_by_prefix_length(
            indicator(truth, n_labels), array.astype(int), lengths, k=k
        )
        assert by_length.length.tolist() == sorted(set(lengths))
        for length, mrr, n_rows in zip(*by_length.values(), strict=True):
            rows = [i for i in range(n) if lengths[i] == length]
            assert n_rows == len(rows)
            expected = slow_mrr([truth[i] for i in rows], [drawn[i] for i in rows], k)
            assert mrr == pytest.approx(expected, rel=1e-12)

    def test_by_hand(self):
        by_length = metrics.mean_reciprocal_rank_by_prefix_length(
            self.Y, self.ranking, [1, 3, 1, 12, 3]
        )
        assert list(by_length) == ["length", "mrr", "n_rows"]
        assert by_length.length.tolist() == [1, 3, 12]
        assert by_length.mrr.tolist() == [0.75, 0.5, 0.0]
        assert by_length.n_rows.tolist() == [2, 2, 1]
        assert by_length.length.dtype == by_length.n_rows.dtype == np.int64

    def test_k(self):
        args = self.Y, self.ranking, np.ones(5, dtype=np.uint8)
        for k in (1, 2, 10):
            by_length = metrics.mean_reciprocal_rank_by_prefix_length(*args, k=k)
            assert by_length.mrr == [metrics.mean_reciprocal_rank(self.Y, self.ranking, k=k)]

    def test_scores_and_the_pair_of_rank(self):
        lengths = [1, 2, 3, 4, 5]
        args = self.Y, (self.ranking, np.zeros((5, 2))), lengths
        pair = metrics.mean_reciprocal_rank_by_prefix_length(*args)
        ranked = metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.ranking, lengths)
        np.testing.assert_array_equal(pair.mrr, ranked.mrr)
        perfect = metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.Y, lengths)
        np.testing.assert_array_equal(perfect.mrr, 1.0)

    @pytest.mark.parametrize("lengths", [[1, 2], np.ones((5, 1), int), 3])
    def test_not_one_for_each_row(self, lengths):
        with pytest.raises(ValueError, match=r"prefix_lengths must have shape \(5,\)"):
            metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.ranking, lengths)

    @pytest.mark.parametrize("lengths", [np.ones(5), ["a"] * 5, [True] * 5, [None] * 5])
    def test_no_integers(self, lengths):
        with pytest.raises(TypeError, match=r"prefix_lengths must be integers, got dtype"):
            metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.ranking, lengths)

    def test_negative(self):
        with pytest.raises(ValueError, match=r"prefix_lengths must be at least 0, got -1"):
            metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.ranking, [1, 2, -1, 3, 4])

    def test_wrong_k(self):
        with pytest.raises(ValueError, match=r"k must be at least 1"):
            metrics.mean_reciprocal_rank_by_prefix_length(self.Y, self.ranking, [1] * 5, k=0)


class TestPropensities:
    @settings(deadline=None)
    @given(problem=problems(), A=st.floats(0.1, 2.0), B=st.floats(0.1, 5.0))
    def test_formula(self, problem, A, B):
        truth, n_labels, _, _ = problem
        truth = [*truth, set(), {0}]  # three rows at least
        C = (math.log(len(truth)) - 1) * (B + 1) ** A
        counts = [sum(label in true for true in truth) for label in range(n_labels)]
        expected = [1 / (1 + C * math.exp(-A * math.log(count + B))) for count in counts]
        got = metrics.propensities(sparse.csc_matrix(indicator(truth, n_labels)), A=A, B=B)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert got.dtype == np.float64

    def test_defaults(self):
        Y = np.tri(5)
        np.testing.assert_array_equal(metrics.propensities(Y), metrics.propensities(Y, 0.55, 1.5))

    def test_can_be_scored_with(self):
        Y = np.vstack([np.eye(4), [[1, 1, 0, 0]]])
        p = metrics.propensities(Y)
        assert p[0] > p[2]
        # Row 4 has labels 0 and 1, equally rare: finding one of the two reaches all of PSP@1.
        ranking = np.array([[0], [1], [2], [3], [1]])
        assert metrics.psp_at_k(Y, ranking, k=1, propensities=p) == 1.0

    @pytest.mark.parametrize("n_samples", [1, 2])
    def test_too_few_rows(self, n_samples):
        with pytest.raises(ValueError, match=rf"Y_train must have .* 3 rows, got {n_samples}"):
            metrics.propensities(np.ones((n_samples, 2)))

    def test_not_binary(self):
        with pytest.raises(ValueError, match=r"Y_train must hold only 0 and 1, got 3"):
            metrics.propensities(np.full((4, 2), 3))

    @pytest.mark.parametrize("name", ["A", "B"])
    @pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan])
    def test_parameter_out_of_range(self, name, value):
        with pytest.raises(ValueError, match=rf"{name} must be finite and above 0 .* got {value}"):
            metrics.propensities(np.eye(4), **{name: value})

    @pytest.mark.parametrize("name", ["A", "B"])
    @pytest.mark.parametrize("value", ["1", None, True])
    def test_parameter_no_number(self, name, value):
        with pytest.raises(TypeError, match=rf"{name} must be a number, got"):
            metrics.propensities(np.eye(4), **{name: value})


class TestAgainstScikitLearn:
    """Where scikit-learn has the same metric: dense, and without ties."""

    rng = np.random.default_rng(11)
    Y = (rng.random((40, 9)) < 0.25).astype(int)
    S = rng.permuted(np.tile(np.linspace(-1, 1, 9), (40, 1)), axis=1)

    @pytest.mark.parametrize("k", [1, 3, 9, 12])
    def test_ndcg(self, k):
        assert (self.Y.sum(axis=1) == 0).any()
        expected = ndcg_score(self.Y, self.S, k=k)
        assert metrics.ndcg_at_k(self.Y, self.S, k=k) == pytest.approx(expected)

    @pytest.mark.parametrize("k", [1, 3, 9])
    def test_precision_and_recall(self, k):
        top = np.zeros_like(self.Y)
        np.put_along_axis(top, np.argsort(-self.S, axis=1)[:, :k], 1, axis=1)
        options = {"average": "samples", "zero_division": 0}
        precision = precision_score(self.Y, top, **options)
        assert metrics.precision_at_k(self.Y, self.S, k=k) == pytest.approx(precision)
        recall = recall_score(self.Y, top, **options)
        assert metrics.recall_at_k(self.Y, self.S, k=k) == pytest.approx(recall)

    @pytest.mark.parametrize("k", [1, 2, 5])
    def test_one_label_per_row(self, k):
        y = self.rng.integers(0, 9, 40)
        accuracy = top_k_accuracy_score(y, self.S, k=k, labels=np.arange(9))
        assert metrics.hit_rate_at_k(np.eye(9)[y], self.S, k=k) == pytest.approx(accuracy)
        average_precision = label_ranking_average_precision_score(np.eye(9)[y], self.S)
        mrr = metrics.mean_reciprocal_rank(np.eye(9)[y], self.S, k=9)
        assert mrr == pytest.approx(average_precision)


class ColumnRanker(BaseEstimator):
    """Ranks label j by `sign` times feature j; what is true is therefore known by construction."""

    def __init__(self, sign=1):
        self.sign = sign

    def fit(self, X, y):
        if np.ndim(y) == 1:
            self.classes_ = np.unique(y)
        self.fitted_ = True
        return self

    def rank(self, X, k=10):
        self.last_k = k
        scores = self.sign * X
        labels = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return labels, np.take_along_axis(scores, labels, axis=1)


class ColumnScorer(ColumnRanker):
    """The same without `rank`."""

    rank = property()  # hasattr is False

    def __init__(self, sign=1, container=np.asarray):
        super().__init__(sign)
        self.container = container

    def decision_function(self, X):
        return self.container(self.sign * X)


class FirstRanks:
    """A metric that is an instance, returns what it was given, and has no name."""

    def __call__(self, Y_true, Y_ranked, k=2):
        return Y_true, Y_ranked, k


X = np.random.default_rng(5).permuted(np.tile(np.arange(6.0), (30, 1)), axis=1)
Y = (X >= 4).astype(int)  # the two highest features: ranks 1 and 2
y = np.array(list("abcdef"))[X.argmax(axis=1)]
MIXED = np.roll(Y, 1, axis=0)  # some rows are ranked well

SCORERS = {
    "precision_at_1_scorer": (metrics.precision_at_k, 1),
    "precision_at_3_scorer": (metrics.precision_at_k, 3),
    "precision_at_5_scorer": (metrics.precision_at_k, 5),
    "recall_at_10_scorer": (metrics.recall_at_k, 10),
    "ndcg_at_5_scorer": (metrics.ndcg_at_k, 5),
    "mrr_at_10_scorer": (metrics.mean_reciprocal_rank, 10),
    "hit_rate_at_10_scorer": (metrics.hit_rate_at_k, 10),
}


class TestScorers:
    @pytest.mark.parametrize("name", SCORERS)
    def test_ready_made(self, name):
        metric, k = SCORERS[name]
        scorer = getattr(metrics, name)
        estimator = ColumnRanker(sign=-1).fit(X, Y)
        assert scorer(estimator, X, Y) == metric(Y, -X, k=k)
        assert estimator.last_k == k
        assert repr(scorer) == f"make_ranking_scorer({metric.__name__}, k={k})"

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("estimator", [ColumnRanker(), ColumnScorer()])
    @pytest.mark.parametrize("scoring", [metrics.precision_at_1_scorer, metrics.ndcg_at_5_scorer])
    def test_grid_search(self, container, estimator, scoring):
        search = GridSearchCV(estimator, {"sign": [-1, 1]}, scoring=scoring, cv=3)
        search.fit(X, container(Y))
        assert search.best_params_ == {"sign": 1}
        assert search.best_score_ == 1.0
        assert search.cv_results_["mean_test_score"][0] < 1.0

    def test_grid_search_over_several_metrics_of_a_pipeline(self):
        scoring = {"p": metrics.precision_at_3_scorer, "r": metrics.recall_at_10_scorer}
        pipeline = make_pipeline(FunctionTransformer(np.negative), ColumnRanker())
        grid = {"columnranker__sign": [1, -1]}
        search = GridSearchCV(pipeline, grid, scoring=scoring, refit="p", cv=3)
        search.fit(X, sparse.csr_array(Y))
        assert search.best_params_ == {"columnranker__sign": -1}
        assert search.best_score_ == pytest.approx(2 / 3)
        # The refitted search is itself scored by what it found.
        assert metrics.precision_at_1_scorer(search, X, Y) == 1.0

    def test_pipeline_transforms_first(self):
        scorer = metrics.precision_at_1_scorer
        negative = FunctionTransformer(np.negative)
        turned = make_pipeline(negative, "passthrough", ColumnRanker(sign=-1))
        assert scorer(turned.fit(X, Y), X, Y) == 1.0
        assert scorer(turned.set_params(columnranker__sign=1), X, Y) == 0.0

    def test_pipeline_of_one_step(self):
        pipeline = Pipeline([("ranker", ColumnRanker())]).fit(X, Y)
        assert metrics.precision_at_1_scorer(pipeline, X, Y) == 1.0

    def test_search_inside_a_pipeline(self):
        scorer = metrics.precision_at_1_scorer
        search = GridSearchCV(ColumnRanker(), {"sign": [1]}, scoring=scorer, cv=2)
        pipeline = make_pipeline(FunctionTransformer(np.negative), search).fit(X, Y)
        assert scorer(pipeline, X, Y) == 0.0
        assert scorer(pipeline, -X, Y) == 1.0

    @pytest.mark.parametrize("estimator", [ColumnRanker(), ColumnScorer()])
    def test_class_labels(self, estimator):
        assert metrics.precision_at_1_scorer(estimator.fit(X, y), X, y) == 1.0
        assert metrics.precision_at_1_scorer(estimator.set_params(sign=-1), X, y.tolist()) == 0.0
        assert metrics.mrr_at_10_scorer(estimator, X, y) == pytest.approx(1 / 6)

    def test_class_that_was_not_seen_is_a_miss(self):
        estimator = ColumnRanker().fit(X, y)
        other = y.copy()
        other[:10] = "z"
        other[10:15] = "A"
        assert metrics.precision_at_1_scorer(estimator, X, other) == 0.5
        assert metrics.hit_rate_at_10_scorer(estimator, X, other) == 0.5

    def test_classes_in_any_order(self):
        estimator = ColumnRanker().fit(X, y)
        estimator.classes_ = np.array(list("fedcba"))
        turned = np.array(list("fedcba"))[X.argmax(axis=1)]
        assert metrics.precision_at_1_scorer(estimator, X, turned) == 1.0

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_scikit_learn_classifier(self, n_classes):
        target = np.array([30, 10, 20])[X[:, :n_classes].argmax(axis=1)]
        model = LogisticRegression().fit(X, target)
        expected = model.score(X, target)
        assert expected > 0.6
        assert metrics.precision_at_1_scorer(model, X, target) == pytest.approx(expected)

    def test_scikit_learn_multilabel(self):
        model = OneVsRestClassifier(LogisticRegression()).fit(X, Y)
        expected = ndcg_score(Y, model.decision_function(X), k=5)
        assert metrics.ndcg_at_5_scorer(model, X, Y) == pytest.approx(expected)

    @pytest.mark.parametrize("container", [np.int64, sparse.csr_matrix])
    def test_explicit_and_sparse_scores(self, container):
        estimator = ColumnScorer(container=container).fit(X, Y)
        assert metrics.precision_at_1_scorer(estimator, X, Y) == 1.0
        # A sparse matrix of X does not store the lowest feature: 5 of 6 labels are candidates.
        lowest = (X == 0).astype(int)
        expected = 0.0 if container is sparse.csr_matrix else 1.0
        assert metrics.hit_rate_at_10_scorer(estimator, X, lowest) == expected

    def test_keywords_reach_the_metric(self):
        p = np.linspace(0.1, 1.0, 6)
        scorer = metrics.make_ranking_scorer(metrics.psp_at_k, propensities=p)
        estimator = ColumnRanker(sign=-1).fit(X, Y)
        assert scorer(estimator, X, Y) == metrics.psp_at_k(Y, -X, k=5, propensities=p) > 0.0
        assert "k=5" in repr(scorer)
        assert "propensities=array(" in repr(scorer)

    def test_any_callable_is_a_metric(self):
        scorer = metrics.make_ranking_scorer(FirstRanks())
        Y_true, (labels, _), k = scorer(ColumnRanker().fit(X, Y), X, Y)
        assert Y_true is Y
        assert k == 2
        np.testing.assert_array_equal(labels, np.argsort(-X, axis=1)[:, :2])
        assert "FirstRanks" in repr(scorer)

    @pytest.mark.parametrize("joined", [False, True])
    def test_weights_of_rows(self, joined):
        scorer = metrics.ndcg_at_5_scorer
        if joined:
            scorer = metrics.join_ranking_scorers({"ndcg": scorer})
        estimator = ColumnRanker(sign=-1).fit(X, MIXED)
        weight = np.arange(len(X)) % 3
        expected = metrics.ndcg_at_k(MIXED, -X, k=5, sample_weight=weight)
        assert expected != metrics.ndcg_at_k(MIXED, -X, k=5)
        got = scorer(estimator, X, MIXED, sample_weight=weight)
        assert (got["ndcg"] if joined else got) == expected

    @pytest.mark.parametrize("joined", [False, True])
    @pytest.mark.parametrize("asked", [True, "importance"])
    def test_weights_are_routed_to_who_asks(self, joined, asked):
        scorer = metrics.ndcg_at_5_scorer
        if joined:
            scorer = metrics.join_ranking_scorers({"ndcg": scorer})
        weight, folds = np.arange(len(X)) % 3, KFold(2)
        name = "sample_weight" if asked is True else asked
        estimator = ColumnRanker(sign=-1)
        with config_context(enable_metadata_routing=True):
            asking = scorer.set_score_request(sample_weight=asked)
            options = {"cv": folds, "params": {name: weight}}
            found = cross_validate(estimator, X, MIXED, scoring=asking, **options)
            # Who was not asked is as before, although both are of one module's making.
            with pytest.raises((UnsetMetadataPassedError, TypeError), match=name):
                cross_validate(estimator, X, MIXED, scoring=scorer, **options)
        expected = [
            metrics.ndcg_at_k(MIXED[test], -X[test], k=5, sample_weight=weight[test])
            for _, test in folds.split(X)
        ]
        assert len(set(expected)) == 2
        np.testing.assert_array_equal(found["test_ndcg" if joined else "test_score"], expected)

    def test_requests_want_routing_and_sense(self):
        with pytest.raises(RuntimeError, match="enable_metadata_routing"):
            metrics.precision_at_1_scorer.set_score_request(sample_weight=True)
        with config_context(enable_metadata_routing=True), pytest.raises(ValueError, match="alias"):
            metrics.precision_at_1_scorer.set_score_request(sample_weight=3)

    @pytest.mark.parametrize("name", SCORERS)
    def test_pickle(self, name):
        scorer = getattr(metrics, name)
        copy = pickle.loads(pickle.dumps(scorer))
        estimator = ColumnRanker(sign=-1).fit(X, Y)
        assert copy(estimator, X, Y) == scorer(estimator, X, Y)
        assert repr(copy) == repr(scorer)

    def test_clone_of_a_search(self):
        scoring = metrics.mrr_at_10_scorer
        search = GridSearchCV(ColumnRanker(), {"sign": [-1, 1]}, scoring=scoring, cv=2)
        assert clone(search).fit(X, Y).best_params_ == {"sign": 1}

    @pytest.mark.slow
    def test_worker_processes(self):
        model, scoring = OneVsRestClassifier(LogisticRegression()), metrics.ndcg_at_5_scorer
        here = GridSearchCV(model, {"estimator__C": [1.0]}, scoring=scoring, cv=2)
        there = clone(here).set_params(n_jobs=2)
        assert there.fit(X, Y).best_score_ == here.fit(X, Y).best_score_

    def test_metric_not_callable(self):
        with pytest.raises(TypeError, match=r"metric must be callable, got 'ndcg'"):
            metrics.make_ranking_scorer("ndcg")

    def test_metric_without_k(self):
        with pytest.raises(TypeError, match=r"metric must have a parameter k, got"):
            metrics.make_ranking_scorer(lambda Y_true, Y_ranked: 0.0)

    def test_missing_and_unknown_keywords(self):
        with pytest.raises(TypeError, match=r"propensities"):
            metrics.make_ranking_scorer(metrics.psp_at_k, k=3)
        with pytest.raises(TypeError, match=r"depth"):
            metrics.make_ranking_scorer(metrics.ndcg_at_k, depth=3)

    @pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.5, TypeError)])
    def test_wrong_k(self, k, error):
        with pytest.raises(error, match=r"k must be"):
            metrics.make_ranking_scorer(metrics.ndcg_at_k, k=k)

    def test_estimator_that_cannot_rank(self):
        with pytest.raises(TypeError, match=r"estimator must have rank or .*Function"):
            metrics.ndcg_at_5_scorer(FunctionTransformer(), X, Y)

    def test_class_labels_without_classes(self):
        with pytest.raises(TypeError, match=r"estimator must have classes_ where Y is 1-D"):
            metrics.ndcg_at_5_scorer(ColumnRanker().fit(X, Y), X, y)


def test_columns_beyond_int32_are_columns():
    shape, entry = (1, 2**32), ([0], [3 * 10**9])
    Y_true = sparse.csr_array(sparse.coo_array((np.ones(1, np.float32), entry), shape=shape))
    assert metrics.precision_at_k(Y_true, Y_true) == 1.0
