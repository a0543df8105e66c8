import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    dense_weights,
    dual_objective,
    node_problem,
    objective,
    random_csr,
    solve,
    with_constant,
)
from scipy import optimize, special
from scipy import sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from strategies import examples, seeds

from skxmr._core import (
    FOR_ALL,
    FOR_OTHERS,
    FOR_POSITIVES,
    CSRView,
    NodeExamples,
    TrainParams,
    _training,
    train_columns,
)

LOSSES = ["squared_hinge", "log_loss"]
TIGHT = {"tol": 1e-4, "max_iter": 5000}


def make_data(n_children, n_rows=60, n_features=25, seed=0):
    """Noisy linear labels, from rare to frequent ones."""
    rng = np.random.default_rng(seed)
    X = random_csr(rng, n_rows, n_features)
    X.data *= 0.5
    noise = rng.standard_normal((n_rows, n_children)) + np.linspace(-2, 2, n_children)
    return X, X @ rng.standard_normal((n_features, n_children)) + noise > 0


def train(X, positive, loss, *, problem=None, source=None, weight=None, seed=1, **params):
    """train_columns on all rows unless a problem is given."""
    params = {"C": 1.0, "bias": 1.0, "tol": 0.1, "max_iter": 100, "threshold": 0.0} | params
    problem = problem or node_problem(positive)
    source = np.arange(X.shape[0], dtype=np.int32) if source is None else source
    return train_columns(CSRView(X), problem, source, weight, TrainParams(loss, **params), seed)


def solutions(columns, n_features, bias):
    """The solution of each child as float64, the constant feature's weight last."""
    constant = columns.bias / bias if bias else np.zeros(len(columns.bias))
    return np.vstack([dense_weights(columns, n_features), constant]).astype(np.float64).T


def assert_optimal(columns, X, positive, loss, *, bias=1.0, C=1.0, weight=1.0):
    """Compare objective and weights of every child with the reference solver's."""
    A, cost = with_constant(X, bias), np.full(X.shape[0], C) * weight
    found = solutions(columns, X.shape[1], bias)
    assert len(found) == positive.shape[1]
    for w, column in zip(found, positive.T, strict=True):
        sign = np.where(column, 1.0, -1.0)
        value, gradient = objective(loss, A, sign, cost, w)
        w_best = solve(loss, A, sign, cost)
        best, _ = objective(loss, A, sign, cost, w_best)
        assert best * (1 - 1e-9) <= value <= best * (1 + 1e-6)
        np.testing.assert_allclose(w, w_best, atol=1e-3)
        pull = np.abs(A).T @ cost  # bounds the gradient of the loss at a margin of 0, but for a 2
        assert np.linalg.norm(gradient) <= 1e-3 * np.linalg.norm(pull)
        assert value - dual_objective(loss, A, sign, cost, w) <= 1e-5 * value


# ---- the optimum ----


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("C", [0.1, 1, 10])
@pytest.mark.parametrize("loss", LOSSES)
def test_tight_training_finds_the_optimum(loss, C, bias):
    X, positive = make_data(12)
    columns, n_iter = train(X, positive, loss, C=C, bias=bias, **TIGHT)
    assert n_iter < TIGHT["max_iter"]
    assert_optimal(columns, X, positive, loss, C=C, bias=bias)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_children", [1, 15, 16, 17, 40])
def test_children_beyond_one_block_are_trained_alike(loss, n_children):
    X, positive = make_data(n_children, n_rows=30, n_features=10)
    columns, _ = train(X, positive, loss, C=0.5, **TIGHT)
    assert_optimal(columns, X, positive, loss, C=0.5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_children_with_no_or_only_positives(loss, bias):
    X, positive = make_data(3)
    positive[:, 0], positive[:, 2] = False, True
    columns, _ = train(X, positive, loss, bias=bias, C=0.5, **TIGHT)
    assert_optimal(columns, X, positive, loss, bias=bias, C=0.5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_empty_rows_speak_through_the_constant_feature_only(loss, bias):
    X, positive = make_data(4)
    X = sp.csr_matrix(X.toarray() * (np.arange(X.shape[0])[:, None] % 3 > 0))
    assert (np.diff(X.indptr) == 0).sum() == 20
    columns, _ = train(X, positive, loss, bias=bias, C=0.5, **TIGHT)
    assert_optimal(columns, X, positive, loss, bias=bias, C=0.5)


@pytest.mark.parametrize("loss", LOSSES)
def test_without_features_and_bias_all_is_zero(loss):
    X = sp.csr_matrix((5, 3), dtype=np.float32)
    columns, _ = train(X, np.eye(5, 2, dtype=bool), loss, bias=0.0)
    assert len(columns.features) == len(columns.values) == 0
    assert columns.bias.tolist() == [0, 0]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_positive", [0, 1, 10, 90, 100])
def test_the_bias_of_an_unbalanced_child_is_right(loss, n_positive):
    # With nothing but the constant feature the optimum is the root of one equation.
    X, bias, C = sp.csr_matrix((100, 1), dtype=np.float32), 1.5, 0.02
    positive = np.arange(100)[:, None] < n_positive
    columns, _ = train(X, positive, loss, bias=bias, C=C, **TIGHT)

    def slope(b):
        if loss == "log_loss":
            pull = n_positive * special.expit(-b) - (100 - n_positive) * special.expit(b)
        else:
            pull = 2 * n_positive * max(0, 1 - b) - 2 * (100 - n_positive) * max(0, 1 + b)
        return b / bias**2 - C * pull

    assert columns.bias[0] == pytest.approx(optimize.brentq(slope, -50, 50), abs=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [1, 10])
def test_a_tolerance_below_rounding_costs_time_and_not_the_optimum(loss, C):
    X, positive = make_data(12)
    X.data *= 2
    columns, _ = train(X, positive, loss, C=C, bias=2.0, tol=1e-6, max_iter=5000)
    assert_optimal(columns, X, positive, loss, C=C, bias=2.0)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_of_any_length_are_trained_on(loss):
    # Rows of norm 20: one step may change a margin by hundreds, but must not overshoot.
    X, positive = make_data(12)
    X.data *= 10
    columns, n_iter = train(X, positive, loss, tol=1e-4, max_iter=50_000)
    assert n_iter < 50_000
    assert_optimal(columns, X, positive, loss)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("C", [0.1, 1, 10, 1000])
@pytest.mark.parametrize("value", [0.1, 3, 30, 300])
def test_a_row_alone_is_solved_at_once_and_stays_solved(loss, value, C):
    X, positive = sp.csr_matrix([[value]], dtype=np.float32), np.ones((1, 1), dtype=bool)
    columns, n_iter = train(X, positive, loss, C=C, bias=0.0, tol=1e-3, max_iter=50)
    assert n_iter <= 2
    best = solve(loss, with_constant(X, 0.0), np.ones(1), np.full(1, float(C)))[0]
    assert columns.values[0] == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_rare_labels_are_not_swamped(loss):
    X, _ = make_data(1, n_rows=200)
    positive = np.zeros((200, 1), dtype=bool)
    positive[[3, 77]] = True
    columns, _ = train(X, positive, loss, C=0.3, **TIGHT)
    assert_optimal(columns, X, positive, loss, C=0.3)
    assert columns.bias[0] < 0


@examples(25)
@given(
    seeds,
    st.sampled_from(LOSSES),
    st.integers(1, 20),
    st.integers(1, 8),
    st.integers(1, 20),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_any_small_problem_is_solved(seed, loss, n_rows, n_features, n_children, bias):
    rng = np.random.default_rng(seed)
    X = random_csr(rng, n_rows, n_features, density=rng.random())
    positive = rng.random((n_rows, n_children)) < rng.random()
    columns, _ = train(X, positive, loss, C=0.2, bias=bias, **TIGHT)
    assert_optimal(columns, X, positive, loss, C=0.2, bias=bias)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_the_default_tolerance_is_near_the_optimum(loss, bias):
    X, positive = make_data(16)
    columns, n_iter = train(X, positive, loss, bias=bias, tol=0.1, max_iter=100)
    assert n_iter < 100
    A, cost = with_constant(X, bias), np.ones(X.shape[0])
    for w, column in zip(solutions(columns, X.shape[1], bias), positive.T, strict=True):
        sign = np.where(column, 1.0, -1.0)
        best = objective(loss, A, sign, cost, solve(loss, A, sign, cost))[0]
        assert objective(loss, A, sign, cost, w)[0] <= 1.03 * best


# ---- a second opinion ----


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
def test_squared_hinge_is_that_of_liblinear(bias):
    X, positive = make_data(5)
    found = solutions(train(X, positive, "squared_hinge", bias=bias, **TIGHT)[0], 25, bias)
    svm = LinearSVC(fit_intercept=bias > 0, intercept_scaling=bias or 1, tol=1e-8, max_iter=100_000)
    for w, column in zip(found, positive.T, strict=True):
        svm.fit(X, column)
        np.testing.assert_allclose(w[:-1], svm.coef_[0], atol=1e-3)
        assert w[-1] * bias == pytest.approx(float(np.ravel(svm.intercept_)[0]), abs=1e-3)


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0])
def test_log_loss_is_that_of_liblinear(bias):
    X, positive = make_data(5)
    found = solutions(train(X, positive, "log_loss", C=0.3, bias=bias, **TIGHT)[0], 25, bias)
    model = LogisticRegression(
        C=0.3,
        solver="liblinear",
        fit_intercept=bias > 0,
        intercept_scaling=bias or 1,
        tol=1e-8,
        max_iter=1000,
    )
    for w, column in zip(found, positive.T, strict=True):
        model.fit(X, column)
        np.testing.assert_allclose(w[:-1], model.coef_[0], atol=1e-3)
        assert w[-1] * bias == pytest.approx(float(np.ravel(model.intercept_)[0]), abs=1e-3)


# ---- sample weights ----


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_multiply_the_loss_of_their_rows(loss):
    X, positive = make_data(5)
    weight = np.random.default_rng(0).uniform(0.1, 3, X.shape[0]).astype(np.float32)
    columns, _ = train(X, positive, loss, C=0.3, weight=weight, **TIGHT)
    assert_optimal(columns, X, positive, loss, C=0.3, weight=weight.astype(np.float64))


@pytest.mark.parametrize("loss", LOSSES)
def test_an_integer_weight_is_that_many_copies(loss):
    X, positive = make_data(5)
    copies = np.random.default_rng(0).integers(1, 4, X.shape[0])
    again = np.repeat(np.arange(X.shape[0]), copies)
    weighted, _ = train(X, positive, loss, C=0.3, weight=copies.astype(np.float32), **TIGHT)
    repeated, _ = train(X[again], positive[again], loss, C=0.3, **TIGHT)
    np.testing.assert_allclose(
        solutions(weighted, 25, 1.0), solutions(repeated, 25, 1.0), atol=5e-3
    )


def test_weights_of_one_change_nothing():
    X, positive = make_data(5)
    plain, _ = train(X, positive, "squared_hinge")
    ones, _ = train(X, positive, "squared_hinge", weight=np.ones(X.shape[0], np.float32))
    assert_same_columns(plain, ones)


# ---- what a node sees ----


def assert_same_columns(a, b):
    for name in a._fields:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_node_sees_its_examples_only(loss):
    X, positive = make_data(20)
    weight = np.linspace(0.5, 2, X.shape[0]).astype(np.float32)
    examples = np.flatnonzero(np.arange(X.shape[0]) % 3).astype(np.int32)
    inside = node_problem(positive[examples])
    problem = NodeExamples(examples, inside.positive_ptr, examples[inside.positive])
    node, _ = train(X, None, loss, problem=problem, weight=weight)
    alone, _ = train(X[examples], positive[examples], loss, weight=weight[examples])
    assert_same_columns(node, alone)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_role_of_an_example_says_who_learns_from_it(loss):
    X, positive = make_data(20)
    role = (np.arange(X.shape[0]) % 3).astype(np.uint8)
    problem = node_problem(positive)._replace(role=role)
    columns, _ = train(X, None, loss, problem=problem, **TIGHT)
    for w, column in zip(solutions(columns, 25, 1.0), positive.T, strict=True):
        seen = (role == FOR_ALL) | (column & (role == FOR_POSITIVES))
        seen |= ~column & (role == FOR_OTHERS)
        A, sign = with_constant(X, 1.0)[seen], np.where(column, 1.0, -1.0)[seen]
        np.testing.assert_allclose(w, solve(loss, A, sign, np.ones(len(sign))), atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
def test_where_all_learn_from_all_roles_change_nothing(loss):
    X, positive = make_data(20)
    marked = node_problem(positive)._replace(role=np.zeros(X.shape[0], dtype=np.uint8))
    found, _ = train(X, None, loss, problem=marked)
    assert_same_columns(found, train(X, positive, loss)[0])


def test_examples_take_their_features_from_their_source_row():
    X, positive = make_data(3)
    source = np.random.default_rng(0).permutation(X.shape[0]).astype(np.int32)
    shuffled = X[np.argsort(source)]
    assert_same_columns(
        train(shuffled, positive, "squared_hinge", source=source)[0],
        train(X, positive, "squared_hinge")[0],
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_node_without_examples_learns_nothing(loss):
    X, _ = make_data(1)
    empty = np.empty(0, dtype=np.int32)
    problem = NodeExamples(empty, np.zeros(4, dtype=np.int64), empty)
    columns, _ = train(X, None, loss, problem=problem)
    assert columns.col_ptr.tolist() == [0, 0, 0, 0]
    assert columns.bias.tolist() == [0, 0, 0]


def test_features_are_those_of_the_examples_and_columns_are_sorted():
    X, positive = make_data(20)
    wide = sp.csr_matrix((X.data, 7 * X.indices, X.indptr), shape=(X.shape[0], 200))
    columns, _ = train(wide, positive, "squared_hinge")
    np.testing.assert_array_equal(columns.features, np.unique(wide.indices))
    for lo, hi in zip(columns.col_ptr[:-1], columns.col_ptr[1:], strict=True):
        assert (np.diff(columns.entries[lo:hi]) > 0).all()
    assert columns.values.all()


# ---- pruning, resumption, stopping ----


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.5])
def test_the_threshold_removes_small_weights_and_nothing_else(loss, threshold):
    X, positive = make_data(20)
    options = {"bias": 2.0}  # a power of two, so that the bias weight is known exactly
    full, _ = train(X, positive, loss, **options)
    pruned, _ = train(X, positive, loss, threshold=threshold, **options)
    every = solutions(full, 25, 2.0)
    kept = np.where(np.abs(every) >= np.float32(threshold), every, 0)
    assert 0 < np.count_nonzero(kept) < np.count_nonzero(every)
    np.testing.assert_array_equal(solutions(pruned, 25, 2.0), kept)


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_resumed_training_gives_the_same_columns(monkeypatch, threshold):
    X, positive = make_data(50)
    whole, n_iter = train(X, positive, "squared_hinge", threshold=threshold)
    n_parts = []
    join_parts = _training._join_parts

    def counted(features, parts):
        n_parts.append(len(parts))
        return join_parts(features, parts)

    monkeypatch.setattr(_training, "_join_parts", counted)
    monkeypatch.setattr(_training, "_SCRATCH_WEIGHTS", 1)
    resumed, n_iter_resumed = train(X, positive, "squared_hinge", threshold=threshold)
    assert n_parts[0] > 1
    assert_same_columns(resumed, whole)
    assert n_iter_resumed == n_iter


@pytest.mark.parametrize("loss", LOSSES)
def test_training_is_deterministic_in_its_seed(loss):
    X, positive = make_data(20)
    first, _ = train(X, positive, loss, seed=3)
    assert_same_columns(train(X, positive, loss, seed=3)[0], first)


def test_another_seed_gives_another_order_but_the_same_optimum():
    X, positive = make_data(3)
    one, _ = train(X, positive, "squared_hinge", seed=1, **TIGHT)
    two, _ = train(X, positive, "squared_hinge", seed=2, **TIGHT)
    assert (one.values != two.values).any()
    np.testing.assert_allclose(solutions(one, 25, 1), solutions(two, 25, 1), atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("max_iter", [1, 3])
def test_training_ends_after_max_iter_passes(loss, max_iter):
    X, positive = make_data(20)
    _, n_iter = train(X, positive, loss, tol=1e-6, max_iter=max_iter)
    assert n_iter == max_iter


@pytest.mark.parametrize("loss", LOSSES)
def test_contradictory_rows_do_not_keep_the_others_from_being_solved(loss):
    X, positive = make_data(4)
    X, positive = sp.vstack([X, X[:3]], format="csr"), np.vstack([positive, ~positive[:3]])
    columns, _ = train(X, positive, loss, C=0.5, **TIGHT)
    assert_optimal(columns, X, positive, loss, C=0.5)


# ---- refusals ----


@pytest.mark.parametrize(
    "bad",
    [
        {"C": 0.0},
        {"C": np.nan},
        {"tol": 0.0},
        {"max_iter": 0},
        {"threshold": -0.1},
        {"bias": np.inf},
        {"weight": np.zeros(60, dtype=np.float32)},
    ],
)
def test_arguments_outside_their_range_are_refused(bad):
    X, positive = make_data(1)
    with pytest.raises(ValueError, match="SKX_EARG"):
        train(X, positive, "squared_hinge", **bad)


def test_a_positive_that_is_no_example_is_refused():
    X, _ = make_data(1)
    examples, positive = np.arange(0, 60, 2, dtype=np.int32), np.array([2, 3], dtype=np.int32)
    problem = NodeExamples(examples, np.array([0, 2], dtype=np.int64), positive)
    with pytest.raises(ValueError, match="SKX_EARG"):
        train(X, None, "squared_hinge", problem=problem)
