"""Whatever is passed, the answer is right or an error that names what is wrong; never a crash."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marks import slow_except
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from strategies import examples

from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    LabelTree,
    PropensityReranker,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr.calibration import reliability_curve
from skxmr.inspection import RankingMetricsDisplay, ReliabilityDisplay, SearchQualityDisplay
from skxmr.metrics import (
    join_ranking_scorers,
    ndcg_at_5_scorer,
    precision_at_1_scorer,
    precision_at_k,
    propensities,
)
from skxmr.model_selection import cross_val_score, tune_threshold
from skxmr.text import NGramTfidfVectorizer

N_ROWS, N_FEATURES, N_LABELS = 30, 12, 6
METHODS = ["rank", "predict", "decision_function"]


def example(seed=0):
    rng = np.random.default_rng(seed)
    Y = np.eye(N_LABELS, dtype=np.float32)[np.arange(N_ROWS) % N_LABELS]
    noise = 0.1 * rng.random((N_ROWS, N_FEATURES - N_LABELS), dtype=np.float32)
    return np.hstack([Y, noise]), Y


X, Y = example()


def classifier(**params):
    return XRLinearClassifier(**{"random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(sp.csr_matrix(X), sp.csr_matrix(Y))


def changed(matrix, value, dtype=None):
    matrix = np.array(matrix, dtype=dtype or matrix.dtype)
    matrix[2, 3] = value
    return matrix


def unsafe(cls, like, **arrays):
    """A sparse matrix whose arrays were exchanged behind its back: scipy checked nothing."""
    matrix = cls(like.copy())
    for name, array in arrays.items():
        setattr(matrix, name, array)
    return matrix


# ---- X ----

NOT_FINITE = "X contains|X contains NaN or infinity"
WRONG_X = {
    "vector": (X[0], "2D array"),
    "three dimensions": (X[None], "dim 3"),
    "scalar": (3.0, "2D array"),
    "nothing": (None, "2D array"),
    "empty list": ([], "2D array"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "no sparse rows": (sp.csr_matrix(X[:0]), "0 sample"),
    "words": (np.full(X.shape, "a"), "convert string to float"),
    "ragged": ([[1.0, 2.0], [3.0]], "sequence"),
    "complex": (X.astype(complex), "Complex data not supported"),
    "sparse complex": (sp.csr_matrix(X.astype(complex)), "Complex data not supported"),
}
for container in (np.asarray, sp.csr_matrix, sp.csc_array, sp.coo_matrix):
    for bad in (np.nan, np.inf, -np.inf):
        WRONG_X[f"{bad} in {container.__name__}"] = (container(changed(X, bad)), NOT_FINITE)
    too_large = container(changed(X, 1e39, np.float64))
    WRONG_X[f"beyond float32 in {container.__name__}"] = (too_large, NOT_FINITE)


@pytest.mark.parametrize("what", WRONG_X)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_features_that_are_no_matrix_of_finite_numbers(fitted, what):
    bad, message = WRONG_X[what]
    with pytest.raises((ValueError, TypeError), match=message):
        classifier().fit(bad, Y)
    for method in METHODS:
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(fitted, method)(bad)
    with pytest.raises((ValueError, TypeError), match=message):
        KMeansIndexer().fit(bad)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("width", [N_FEATURES - 1, N_FEATURES + 1])
def test_other_number_of_features_than_in_fit(fitted, container, width):
    other = container(np.ones((3, width), dtype=np.float32))
    for method in METHODS:
        with pytest.raises(ValueError, match=f"X has {width} features.*expecting {N_FEATURES}"):
            getattr(fitted, method)(other)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float64, np.longdouble])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_any_real_dtype_is_taken(fitted, dtype, container):
    whole = np.round(X)
    labels, scores = fitted.rank(container(whole.astype(dtype)))
    expected = fitted.rank(whole)
    assert_array_equal(labels, expected[0])
    assert_array_equal(scores, expected[1])


# ---- sparse structure ----


def shifted(array, at, by):
    array = array.copy()
    array[at] += by
    return array


def replaced(array, at, value):
    array = array.copy()
    array[at] = value
    return array


def wide(array, at, by):
    """As int64, wrong by a multiple of 2**32, which a cast to int32 would hide."""
    return shifted(array.astype(np.int64), at, by)


FAULTS = {
    "negative index": lambda m: {"indices": replaced(m.indices, 3, -1)},
    "index too large": lambda m: {"indices": replaced(m.indices, 3, 10**6)},
    "first index too large": lambda m: {"indices": replaced(m.indices, 3, max(m.shape))},
    "index wraps in int32": lambda m: {"indices": wide(m.indices, 3, 2**32)},
    "index wraps below": lambda m: {"indices": wide(m.indices, 3, -(2**32))},
    "pointers fall": lambda m: {"indptr": replaced(m.indptr, -1, m.indptr[-2] - 1)},
    "pointer below zero": lambda m: {"indptr": replaced(m.indptr, 1, -5)},
    "pointers start late": lambda m: {"indptr": replaced(m.indptr, 0, 1)},
    "pointers end beyond": lambda m: {"indptr": shifted(m.indptr, -1, 10**6)},
    "pointer wraps in int32": lambda m: {"indptr": wide(m.indptr, -1, 2**32)},
    "too few pointers": lambda m: {"indptr": m.indptr[:-2]},
    "too few values": lambda m: {"data": m.data[:-3]},
    "too few indices": lambda m: {"indices": m.indices[:-3]},
    "no arrays": lambda m: {"data": m.data[:0], "indices": m.indices[:0]},
}
COMPRESSED = [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array, sp.bsr_matrix]


def faulty(cls, dense, fault):
    matrix = cls(dense)
    if fault == "first index too large":  # max(shape) is the bound of neither rows nor blocks
        bound = matrix.shape[0] if matrix.format == "csc" else matrix.shape[1]
        bound //= matrix.blocksize[1] if matrix.format == "bsr" else 1
        return unsafe(cls, matrix, indices=replaced(matrix.indices, 3, bound))
    return unsafe(cls, matrix, **FAULTS[fault](matrix))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("cls", COMPRESSED)
def test_compressed_matrices_that_contradict_themselves(fitted, cls, fault):
    bad = faulty(cls, X, fault)
    for method in METHODS:
        with pytest.raises(ValueError, match="X has"):
            getattr(fitted, method)(bad)
    with pytest.raises(ValueError, match="X has"):
        classifier().fit(bad, Y)
    with pytest.raises(ValueError, match="X has"):
        KMeansIndexer().fit(bad)
    with pytest.raises(ValueError, match="X has"):
        KMeansIndexer().fit(X).predict(bad)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("cls", COMPRESSED)
def test_compressed_labels_that_contradict_themselves(fitted, cls, fault):
    bad = faulty(cls, Y, fault)
    with pytest.raises(ValueError, match="y has"):
        classifier().fit(X, bad)
    with pytest.raises(ValueError, match="y has"):
        fitted.score(X, bad)
    with pytest.raises(ValueError, match="label_features has"):
        classifier(label_embedding="features").fit(
            X, Y, label_features=faulty(cls, X[:N_LABELS], fault)
        )
    with pytest.raises(ValueError, match="frontier has"):
        fitted.rank(X, frontier=(0, faulty(cls, np.ones((N_ROWS, 1)), fault)))


@pytest.mark.parametrize("cls", [sp.coo_matrix, sp.coo_array])
@pytest.mark.parametrize(("axis", "value"), [(0, -1), (0, N_ROWS), (1, -1), (1, 10**9)])
def test_coordinates_outside_the_matrix(fitted, cls, axis, value):
    bad = cls(X)
    (bad.row, bad.col)[axis][3] = value
    for method in METHODS:
        with pytest.raises(ValueError, match=r"X has a (row|column) index outside"):
            getattr(fitted, method)(bad)
    with pytest.raises(ValueError, match=r"X has a (row|column) index outside"):
        classifier().fit(bad, Y)
    bad = cls(Y)
    (bad.row, bad.col)[axis][3] = value
    with pytest.raises(ValueError, match=r"y has a (row|column) index outside"):
        classifier().fit(X, bad)


@st.composite
def compressed(draw):
    """Arrays of a 3 x N_FEATURES matrix, or of its transpose, that may or may not hold together."""
    by_column = draw(st.booleans())
    n_major, n_minor = (N_FEATURES, 3) if by_column else (3, N_FEATURES)
    n = draw(st.integers(0, 6))
    sane = draw(st.booleans())
    index = st.integers(0, n_minor - 1) if sane else st.integers(-1, n_minor)
    pointer = st.integers(0, n) if sane else st.integers(-1, n + 1)
    indices = draw(st.lists(index, min_size=n, max_size=n))
    pointers = draw(st.lists(pointer, min_size=n_major, max_size=n_major))
    indptr = [0, *(sorted(pointers) if sane else pointers)]
    dtype = draw(st.sampled_from([np.int32, np.int64]))
    matrix = (sp.csc_matrix if by_column else sp.csr_matrix)((3, N_FEATURES), dtype=np.float32)
    matrix.data = np.arange(1, n + 1, dtype=np.float32)
    matrix.indices, matrix.indptr = np.array(indices, dtype=dtype), np.array(indptr, dtype=dtype)
    return matrix


def as_dense(matrix):
    """The matrix entry by entry, or None where its arrays contradict its shape."""
    n_major, n_minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    indptr = matrix.indptr.tolist()
    if min(indptr) < 0 or sorted(indptr) != indptr or indptr[-1] > len(matrix.indices):
        return None
    dense = np.zeros((n_major, n_minor), dtype=np.float32)
    for major in range(n_major):
        for i in range(indptr[major], indptr[major + 1]):
            if not 0 <= matrix.indices[i] < n_minor:
                return None
            dense[major, matrix.indices[i]] += matrix.data[i]
    return dense if matrix.format == "csr" else dense.T


@given(compressed())
@examples(300)
def test_any_arrays_are_ranked_rightly_or_refused(matrix):
    clf = FITTED
    dense = as_dense(matrix)
    if dense is None:
        with pytest.raises(ValueError, match="X has"):
            clf.rank(matrix)
        with pytest.raises(ValueError, match="X has"):
            classifier().fit(matrix, [0, 1, 2])
        return
    for found, expected in zip(clf.rank(matrix), clf.rank(dense), strict=True):
        assert_array_equal(found, expected)


FITTED = classifier().fit(X, Y)


def test_more_columns_than_int32_can_number():
    with pytest.raises(ValueError, match="X has 2147483649 columns"):
        classifier().fit(sp.csr_matrix((3, 2**31 + 1), dtype=np.float32), [0, 1, 2])


# ---- what is unusual but right ----


def reversed_rows(dense, cls=sp.csr_matrix):
    """The same matrix with unsorted indices and entries in two halves."""
    matrix = sp.csr_matrix(dense)
    indices, data, indptr = [], [], [0]
    for i in range(matrix.shape[0]):
        row = slice(matrix.indptr[i], matrix.indptr[i + 1])
        indices += 2 * matrix.indices[row][::-1].tolist()
        data += 2 * (matrix.data[row][::-1] / 2).tolist()
        indptr.append(len(indices))
    arrays = (np.array(data, dtype=np.float32), np.array(indices), np.array(indptr))
    out = cls(dense.shape, dtype=np.float32)
    out.data, out.indices, out.indptr = arrays
    return out


@pytest.mark.parametrize("cls", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unsorted_and_split_entries_count_as_their_sum(fitted, cls, read_only, dtype):
    split = reversed_rows(X, cls)
    split.data = split.data.astype(dtype)
    arrays = (split.data, split.indices, split.indptr)
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=not read_only)
    refit = classifier().fit(split, Y)
    for found, expected in zip(fitted.rank(split), fitted.rank(X), strict=True):
        assert_array_equal(found, expected)
    for found, expected in zip(refit.rank(X), classifier().fit(X, Y).rank(X), strict=True):
        assert_array_equal(found, expected)
    assert split.data is arrays[0]
    for array, copied in zip(arrays, before, strict=True):
        assert_array_equal(array, copied)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "bsr"])
def test_read_only_arrays_are_taken_and_left_alone(fitted, fmt):
    frozen_X, frozen_Y = sp.csr_array(X).asformat(fmt), sp.csr_array(Y).asformat(fmt)
    for matrix in (frozen_X, frozen_Y):
        for name in ("data", "indices", "indptr", "row", "col"):
            if hasattr(matrix, name):
                getattr(matrix, name).setflags(write=False)
    clf = classifier().fit(frozen_X, frozen_Y)
    assert_array_equal(clf.rank(frozen_X)[1], fitted.rank(X)[1])


def test_read_only_dense_arrays_are_taken(fitted):
    frozen = [np.array(X), np.array(Y), np.ones(N_ROWS)]
    for array in frozen:
        array.setflags(write=False)
    clf = classifier().fit(*frozen)
    assert_array_equal(clf.rank(frozen[0])[1], fitted.rank(X)[1])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_index_dtypes_make_no_difference(fitted, dtype):
    matrix = sp.csr_matrix(X)
    wide_indices = unsafe(
        sp.csr_matrix,
        matrix,
        indices=matrix.indices.astype(dtype),
        indptr=matrix.indptr.astype(dtype),
    )
    assert_array_equal(fitted.rank(wide_indices)[1], fitted.rank(X)[1])
    clf = classifier().fit(wide_indices, Y)
    assert_array_equal(clf.rank(wide_indices)[1], fitted.rank(X)[1])


def test_entries_whose_sum_overflows(fitted):
    matrix = sp.csr_matrix((1, N_FEATURES), dtype=np.float32)
    matrix.data = np.full(2, 3e38, dtype=np.float32)
    matrix.indices, matrix.indptr = np.array([4, 4]), np.array([0, 2])
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        fitted.rank(matrix)


def test_stored_zeros_are_no_features(fitted):
    stored = sp.csr_matrix(np.ones_like(X))
    stored.data = X.ravel().copy()
    clf = classifier().fit(stored, Y)
    assert_array_equal(clf.rank(stored)[1], fitted.rank(X)[1])
    assert stored.nnz == X.size  # the caller's matrix keeps them


def test_stored_zeros_are_no_labels(fitted):
    both = sp.csr_matrix((N_ROWS, N_LABELS))
    both.data = np.tile([1.0, 0.0], N_ROWS)
    first = np.arange(N_ROWS) % N_LABELS
    both.indices = np.stack([first, (first + 1) % N_LABELS], axis=1).ravel()
    both.indptr = np.arange(0, 2 * N_ROWS + 1, 2)
    clf = classifier().fit(X, both)
    assert_array_equal(clf.rank(X)[1], fitted.rank(X)[1])
    assert fitted.score(X, both) == fitted.score(X, Y)


# ---- y ----

CODES = np.arange(N_ROWS) % N_LABELS
WRONG_Y = {
    "none": (None, "requires y"),
    "three dimensions": (Y[None], "dim 3"),
    "no positive": (np.zeros_like(Y), "y has no positive entry"),
    "no sparse positive": (sp.csr_matrix(Y.shape), "y has no positive entry"),
    "too few rows": (Y[:-1], "inconsistent numbers of samples"),
    "too few sparse rows": (sp.csr_matrix(Y[:-1]), "inconsistent numbers of samples"),
    "too few classes": (CODES[:-1], "inconsistent numbers of samples"),
    "continuous": (CODES + 0.5, "Unknown label type: continuous"),
    "NaN class": (np.where(CODES == 0, np.nan, CODES), "y contains NaN"),
    "complex classes": (CODES.astype(complex), "Complex data not supported"),
    "words for an indicator": (Y.astype(str), "y must be a 0/1 indicator"),
    "objects for an indicator": (Y.astype(object), "y must be a 0/1 indicator"),
    "repeated ones": (reversed_rows(4 * Y), "y must be a 0/1 indicator matrix, but holds 4"),
}
for value in (2, -1, 0.5, 1e30):
    WRONG_Y[f"{value} in dense"] = (changed(Y, value), "y must be a 0/1 indicator")
    WRONG_Y[f"{value} in sparse"] = (sp.csr_array(changed(Y, value)), "y must be a 0/1 indicator")
for value in (np.nan, np.inf):
    WRONG_Y[f"{value} in dense"] = (changed(Y, value), "y contains")
    WRONG_Y[f"{value} in sparse"] = (sp.csr_matrix(changed(Y, value)), "y contains")


@pytest.mark.parametrize("what", WRONG_Y)
def test_labels_that_are_neither_classes_nor_an_indicator(what):
    bad, message = WRONG_Y[what]
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, bad)


@pytest.mark.parametrize("bad", [Y[:-1], sp.csr_matrix(Y[:, :-1]), changed(Y, np.nan), CODES])
def test_score_with_labels_that_do_not_fit(fitted, bad):
    with pytest.raises(ValueError, match="y "):
        fitted.score(X, bad)


# ---- parameters ----

INTEGERS = [1.5, "2", None, True, np.float64(2)]
REALS = ["1", None, True, 1j, [1.0]]
OPTIONS = ["nonsense", None, 1, ["l3-hinge"]]
WRONG_PARAMETERS = {
    # What single precision holds as zero or infinite is out of range as well.
    "C": ([0, -1, np.nan, np.inf, 1e-50, 1e39], REALS),
    "bias": ([-0.5, np.nan, np.inf, 1e39], REALS),
    "tol": ([0, -1, np.nan, np.inf, 1e-50, 1e39], REALS),
    "max_iter": ([0, -3], INTEGERS),
    "prune_threshold": ([-0.1, np.nan, np.inf, 1e39], REALS),
    "threshold": ([np.nan, np.inf, -np.inf, -1e39], [x for x in REALS if x is not None]),
    "beam_width": ([0, -1], INTEGERS),
    "n_trees": ([0, -1], INTEGERS),
    "max_clusters_per_label": ([0, -1, 7], INTEGERS),
    "n_reassignments": ([0, -1], INTEGERS),
    "training_beam_width": ([0, -1], INTEGERS),
    "weight_dtype": ([*OPTIONS, "float64", np.float16, np.dtype("float16")], []),
    "loss": (OPTIONS, []),
    "post_processor": (OPTIONS, []),
    "negative_sampling": ([*OPTIONS, "man+tfn", [], ("tfn", "nonsense"), ["tfn"] * 9], []),
    "label_embedding": ([*OPTIONS, "pifa+", "pii+pii"], []),
    "memory": ([1, object()], []),
    "verbose": ([-1], ["loud", None, 1.5]),
}
CASES = [
    (name, value, error)
    for name, (values, types) in WRONG_PARAMETERS.items()
    for error, bads in ((ValueError, values), (TypeError, types))
    for value in bads
]


@pytest.mark.parametrize(("name", "value", "error"), CASES)
def test_wrong_parameters_are_named(name, value, error):
    with pytest.raises(error, match=name):
        classifier(**{name: value}).fit(X, Y)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_weights_that_half_precision_does_not_hold(n_jobs, tmp_path):
    huge = X * np.float32(1e-6)  # the smaller the features, the larger the weights
    params = {"C": 1e15, "bias": 0.0, "n_jobs": n_jobs}
    assert np.isfinite(classifier(**params).fit(huge, Y).rank(huge)[1]).any()
    for memory in (None, str(tmp_path)):
        clf = classifier(weight_dtype="float16", memory=memory, **params)
        with pytest.raises(ValueError, match=r"weight_dtype='float16' holds weights up to 65504"):
            clf.fit(huge, Y)
        assert not hasattr(clf, "tree_")


@pytest.mark.parametrize("name", ["beam_width", "post_processor", "threshold"])
def test_wrong_parameters_set_after_fit_are_named(name):
    clf = classifier().fit(X, Y).set_params(**{name: "nonsense"})
    for method in METHODS:
        with pytest.raises((TypeError, ValueError), match=name):
            getattr(clf, method)(X)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("branching", 1, ValueError),
        ("max_leaf_size", 0, ValueError),
        ("max_iter", 0, ValueError),
        *((name, v, TypeError) for name in ("branching", "max_leaf_size") for v in INTEGERS),
        *((name, v, TypeError) for name in ("balanced", "spherical") for v in (1, None, "yes")),
    ],
)
def test_wrong_parameters_of_the_indexer_are_named(name, value, error):
    with pytest.raises(error, match=name):
        KMeansIndexer(**{name: value}).fit(X)
    with pytest.raises(error, match=name):
        classifier(indexer=KMeansIndexer(**{name: value})).fit(X, Y)


@pytest.mark.parametrize(
    ("k", "error"),
    [(0, ValueError), (-2, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)],
)
def test_k_that_is_no_positive_integer(fitted, k, error):
    with pytest.raises(error, match="k must be"):
        fitted.rank(X, k)


@pytest.mark.parametrize("limit", [2**31, 2**40, 10**30])
def test_limits_beyond_any_c_integer_are_none(limit):
    indexer = KMeansIndexer(branching=2, max_leaf_size=2, max_iter=limit)
    params = {"indexer": indexer, "max_iter": limit, "beam_width": limit}
    assert classifier(**params).fit(X, Y).score(X, Y) == 1


@pytest.mark.parametrize("k", [np.int64(3), np.uint8(3)])
def test_k_may_be_an_integer_of_numpy(fitted, k):
    assert fitted.rank(X, k)[0].shape == (N_ROWS, 3)


# ---- what fit may be given besides ----

WRONG_WEIGHTS = {
    "too few": np.ones(N_ROWS - 1),
    "a column": np.ones((N_ROWS, 1)),
    "negative": np.where(np.arange(N_ROWS) == 5, -1.0, 1.0),
    "NaN": np.where(np.arange(N_ROWS) == 5, np.nan, 1.0),
    "infinite": np.where(np.arange(N_ROWS) == 5, np.inf, 1.0),
    "all zero": np.zeros(N_ROWS),
    "words": ["1"] * N_ROWS,
    "complex": np.ones(N_ROWS, dtype=complex),
    "sparse": sp.csr_matrix(np.ones((N_ROWS, 1))),
}


@pytest.mark.parametrize("what", WRONG_WEIGHTS)
def test_wrong_weights_are_named(fitted, what):
    with pytest.raises(ValueError, match="sample_weight must be"):
        classifier().fit(X, Y, sample_weight=WRONG_WEIGHTS[what])
    with pytest.raises(ValueError, match="sample_weight must be"):
        fitted.score(X, Y, sample_weight=WRONG_WEIGHTS[what])


def test_weights_that_vanish_in_single_precision_are_no_costs_but_average(fitted):
    tiny = np.where(np.arange(N_ROWS) < 10, 1e-50, 3e-50)
    with pytest.raises(ValueError, match=r"sample_weight must be .* in single precision"):
        classifier().fit(X, Y, sample_weight=tiny)
    shuffled = Y[np.arange(N_ROWS) // 2]  # right for some of the rows
    expected = fitted.score(X, shuffled, sample_weight=1e50 * tiny)
    assert 0 < expected < 1
    assert fitted.score(X, shuffled, sample_weight=tiny) == pytest.approx(expected, rel=1e-12)


WRONG_FEATURES = {
    "none": None,
    "too few": np.eye(N_LABELS)[:-1],
    "too many": np.eye(N_LABELS + 1),
    "vector": np.ones(N_LABELS),
    "NaN": np.full((N_LABELS, 2), np.nan),
    "infinite": np.full((N_LABELS, 2), np.inf),
    "beyond float32": np.full((N_LABELS, 2), 1e39),
    "words": np.full((N_LABELS, 2), "a"),
    "complex": np.ones((N_LABELS, 2), dtype=complex),
    "sparse, too few": sp.csr_matrix(np.eye(N_LABELS)[:-1]),
    "sparse NaN": sp.csc_matrix(np.full((N_LABELS, 2), np.nan)),
}


@pytest.mark.parametrize("what", WRONG_FEATURES)
def test_wrong_label_features_are_named(what):
    with pytest.raises(ValueError, match="label_features"):
        classifier(label_embedding="pifa+features").fit(X, Y, label_features=WRONG_FEATURES[what])


@pytest.mark.parametrize("bad", [None, ["a"], ["a"] * 7])
def test_wrong_label_text_is_named(bad):
    with pytest.raises(ValueError, match="label_text"):
        classifier(label_embedding="text").fit(X, Y, label_text=bad)


@pytest.mark.parametrize("bad", [1, b"a", None, np.nan])
def test_a_label_text_that_is_no_string_is_named_with_its_position(bad):
    with pytest.raises(TypeError, match=r"label_text must hold strings, but label_text\[1\] is"):
        classifier(label_embedding="text").fit(X, Y, label_text=["a", bad] + ["b"] * (N_LABELS - 2))


@pytest.mark.parametrize(
    ("level", "nodes", "error"),
    [
        (-1, np.ones((N_ROWS, 1)), ValueError),
        (9, np.ones((N_ROWS, 1)), ValueError),
        (0.5, np.ones((N_ROWS, 1)), TypeError),
        (0, np.ones((N_ROWS, 2)), ValueError),
        (1, np.ones((N_ROWS, 5)), ValueError),
        (0, np.ones((N_ROWS - 1, 1)), ValueError),
        (0, np.ones(N_ROWS), ValueError),
        (0, np.full((N_ROWS, 1), np.nan), ValueError),
        (0, None, ValueError),
    ],
)
def test_wrong_frontiers_are_named(level, nodes, error):
    clf = classifier(indexer=LabelTree.from_clusters([0, 1, 2, 0, 1, 2])).fit(X, Y)
    with pytest.raises(error, match="frontier"):
        clf.rank(X, frontier=(level, nodes))


@pytest.mark.skipif(sp.coo_array(X[0]).ndim == 2, reason="this scipy has no sparse vectors")
def test_sparse_vectors_are_refused(fitted):
    with pytest.raises(ValueError, match="X must be two-dimensional"):
        fitted.rank(sp.coo_array(X[0]))
    with pytest.raises(ValueError, match="X must be two-dimensional"):
        classifier().fit(sp.coo_array(X[0]), Y)
    with pytest.raises(ValueError, match="y must be two-dimensional"):
        classifier().fit(X, sp.coo_array(CODES + 1))
    with pytest.raises(ValueError, match="label_features must be two-dimensional"):
        classifier().fit(X, Y, label_features=sp.coo_array(np.ones(N_LABELS)))


# ---- what was fitted before ----


@pytest.mark.parametrize(
    "given",
    [
        {"X": X * np.nan, "y": Y},
        {"X": X, "y": 2 * Y},
        {"X": X[:, :3], "y": Y[:-1]},
        {"X": X, "y": Y, "sample_weight": np.zeros(N_ROWS)},
        {"X": X, "y": Y, "label_features": np.ones((2, 2))},
        {"X": faulty(sp.csr_matrix, X[:, :7], "negative index"), "y": Y},
        # Here scikit-learn has taken note of the new number of features before the fault is met.
        {"X": X[:, :7], "y": 2 * Y},
        {"X": X[:, :7], "y": np.zeros_like(Y)},
        {"X": X[:, :7], "y": Y, "sample_weight": [1.0]},
        {"X": X[:, :7], "y": Y, "label_features": np.ones((2, 2))},
    ],
)
def test_a_failed_fit_loses_nothing(given):
    clf = classifier().fit(X, Y)
    before = clf.rank(X)
    with pytest.raises(ValueError, match=" "):
        clf.fit(**given)
    for found, expected in zip(clf.rank(X), before, strict=True):
        assert_array_equal(found, expected)


def test_a_training_that_fails_loses_nothing():
    class Failing:
        def fit(self, Z):
            raise RuntimeError("no tree today")

    clf = classifier().fit(X, Y)
    before = clf.rank(X)
    with pytest.raises(RuntimeError, match="no tree today"):
        clf.set_params(indexer=Failing()).fit(X[:, :7], np.eye(3)[np.arange(N_ROWS) % 3])
    for found, expected in zip(clf.rank(X), before, strict=True):
        assert_array_equal(found, expected)


def test_a_failed_fit_leaves_no_feature_names_behind():
    pd = pytest.importorskip("pandas")
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="0/1 indicator"):
        clf.fit(pd.DataFrame(X, columns=[f"f{j}" for j in range(N_FEATURES)]), 2 * Y)
    assert not hasattr(clf, "feature_names_in_")


def test_a_failed_first_fit_leaves_an_unfitted_estimator():
    clf = classifier()
    with pytest.raises(ValueError, match="0/1 indicator"):
        clf.fit(X, 2 * Y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_good_input_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = classifier().fit(sp.csr_array(X.astype(np.float64)), sp.csr_array(Y))
        clf.predict(X)
        clf.decision_function(sp.csc_matrix(X))
        clf.score(X, Y)


# ---- extremes and things of another kind ----


@pytest.mark.parametrize("name", ["C", "tol", "bias", "prune_threshold", "threshold"])
def test_integers_beyond_any_float_are_named(name):
    with pytest.raises(ValueError, match=name):
        classifier(**{name: 10**400}).fit(X, Y)


@pytest.mark.parametrize("bad", ["nonsense", 3, KMeansIndexer])
def test_what_cannot_index_is_named(bad):
    with pytest.raises(TypeError, match="indexer"):
        classifier(indexer=bad).fit(X, Y)


@pytest.mark.parametrize("bad", [[""] * N_LABELS, ["  "] * N_LABELS, 7, "abcdef"])
def test_label_text_must_be_texts(bad):
    with pytest.raises((TypeError, ValueError), match="label_text"):
        classifier(label_embedding="text").fit(X, Y, label_text=bad)


@pytest.mark.parametrize(
    "bad", [np.zeros((N_LABELS, 0)), sp.csr_matrix(np.ones((N_LABELS, 2), dtype=complex))]
)
def test_label_features_must_be_real_and_some(bad):
    with pytest.raises(ValueError, match="label_features"):
        classifier(label_embedding="features").fit(X, Y, label_features=bad)


@pytest.mark.parametrize("bad", [5, (1,), np.ones(3)])
def test_a_frontier_must_be_a_pair(fitted, bad):
    with pytest.raises(TypeError, match="frontier"):
        fitted.rank(X, frontier=bad)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weight", [1e-40, 1e20, 1e38])
def test_extreme_weights_are_taken(weight):
    clf = classifier().fit(X, Y, sample_weight=np.full(N_ROWS, weight))
    assert np.isfinite(clf.rank(X, N_LABELS)[1]).all()


@pytest.mark.filterwarnings("error")
def test_weights_beyond_single_precision_are_named():
    with pytest.raises(ValueError, match="sample_weight"):
        classifier().fit(X, Y, sample_weight=np.full(N_ROWS, 1e39))


def test_tiny_features_are_taken():
    clf = classifier(indexer=KMeansIndexer(max_leaf_size=2)).fit(X * np.float32(1e-40), Y)
    assert sorted(clf.tree_.slot_label) == list(range(N_LABELS))


@pytest.mark.filterwarnings("error")
def test_nothing_scores_above_the_largest_number():
    clf = classifier(threshold=3.4028234e38).fit(X, sp.csr_matrix(Y))
    assert clf.predict(X).nnz == 0


@pytest.mark.parametrize("value", ["x", 1.5, [], 0, True])
@pytest.mark.parametrize("make", [classifier, KMeansIndexer])
def test_n_jobs_must_be_a_number_of_jobs(make, value):
    with pytest.raises((TypeError, ValueError), match="n_jobs"):
        make(n_jobs=value).fit(X, Y)


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_a_bias_whose_square_overflows_is_refused(loss):
    with pytest.raises(ValueError, match="single precision"):
        classifier(loss=loss, bias=1e20).fit(X, Y)


@pytest.mark.parametrize("loss", ["squared_hinge", "log_loss"])
def test_no_weight_is_infinite_for_the_largest_C(loss):
    clf = classifier(loss=loss, C=3e38).fit(X, Y)
    assert all(np.isfinite(layer.bias).all() for layer in clf._fitted.rankers[0].layers)
    assert np.isfinite(clf.rank(X, N_LABELS)[1]).all()


@pytest.mark.parametrize("indexer", [None, LabelTree([[0, N_LABELS]], range(N_LABELS))])
def test_features_whose_squares_overflow_are_refused(indexer):
    with pytest.raises(ValueError, match="single precision"):
        classifier(indexer=indexer).fit(X * np.float32(1e30), Y)


def test_weights_of_equal_rows_that_overflow_together_are_named():
    twice = np.vstack([X, X]), np.vstack([Y, Y])
    with pytest.raises(ValueError, match="sample_weight"):
        classifier().fit(*twice, sample_weight=np.full(2 * N_ROWS, 3e38))


def test_duplicates_do_not_wrap_around_in_narrow_integers():
    # 1 + 255 + 1 is 1 in eight bits.
    entries = np.array([1, 255, 1], dtype=np.uint8), ([0, 0, 0], [0, 0, 0])
    narrow = sp.coo_matrix(entries, shape=Y.shape)
    with pytest.raises(ValueError, match="y must be a 0/1 indicator"):
        classifier().fit(X, narrow)
    with pytest.raises(ValueError, match="Y_true"):
        precision_at_k(narrow, np.zeros((N_ROWS, 1), dtype=int))


@pytest.mark.parametrize("wrong", [7 * Y, -Y])
def test_score_wants_the_indicators_that_fit_wants(fitted, wrong):
    with pytest.raises(ValueError, match="y must be a 0/1 indicator"):
        fitted.score(X, wrong)


def test_more_labels_than_can_be_numbered_are_not_asked_for(fitted):
    with pytest.raises(ValueError, match="k must be at most"):
        fitted.rank(X, k=10**30)


# ---- frames and columns of any type ----

ONES = Y.astype(int)
FRAME = pd.DataFrame(ONES, columns=list("abcdef"))
POLARS = pl.DataFrame(ONES, schema=list("abcdef"))
FRAMES = {
    "bool and int": FRAME.astype({"a": bool}),
    "float and int": FRAME.astype({"a": float}),
    "nullable": FRAME.convert_dtypes(),
    "nullable bool": FRAME.astype("boolean"),
    "nullable of several types": FRAME.astype({"a": "boolean", "b": "Int8", "c": "Float32"}),
    "sparse": FRAME.astype(pd.SparseDtype(int, 0)),
    "a sparse column": FRAME.astype({"a": pd.SparseDtype(bool, False)}),
    "other index": FRAME.set_axis(np.arange(N_ROWS)[::-1] + 100),
    "polars": POLARS,
    "polars bool": POLARS.cast(pl.Boolean),
    "polars of several types": POLARS.cast({"a": pl.Boolean, "b": pl.Int8, "c": pl.Float32}),
    "bool": ONES.astype(bool),
    "list": ONES.tolist(),
}

#: Label i is ranked first in three rows each, so that some rows are right and some are not.
RANKING = (np.arange(N_ROWS)[:, np.newaxis] // 3) % N_LABELS

#: The classifier looks at rows in the other order, so that it is right in some of them only.
TURNED = X[::-1]


def fitted_to(y, **params):
    return classifier(**params).fit(X, y)


def top_scores(ranker):
    return ranker.rank(TURNED, 3)[1]


def prefit(cls, y, **params):
    """A wrapper that is yet to be fitted, of a classifier that is."""
    return cls(FrozenEstimator(fitted_to(y)), **params)


def calibrated(y):
    return prefit(CalibratedRanker, y, cv="prefit", random_state=0)


def joined(estimator, X, y):
    return join_ranking_scorers({"n": ndcg_at_5_scorer})(estimator, X, y)["n"]


#: What takes a 0/1 matrix of 30 rows: what it calls it, and numbers that depend on it.
TAKERS = {
    "fit": ("y", lambda Y: top_scores(fitted_to(Y))),
    "score": ("y", lambda Y: FITTED.score(TURNED, Y)),
    "scorer": ("y", lambda Y: precision_at_1_scorer(FITTED, TURNED, Y)),
    "joined scorers": ("y", lambda Y: joined(FITTED, TURNED, Y)),
    "add_neighbors": ("y", lambda Y: top_scores(fitted_to(ONES).add_neighbors(TURNED, Y))),
    "add_labels": ("y", lambda Y: top_scores(fitted_to(ONES[:, :-1]).add_labels(X, Y))),
    "relevance": ("relevance", lambda Y: top_scores(classifier().fit(X, ONES, relevance=Y))),
    "negatives": ("negatives", lambda Y: top_scores(classifier().fit(X, ONES[::-1], negatives=Y))),
    "label_features": (
        "label_features",
        lambda Y: top_scores(
            classifier(label_embedding="features").fit(X, ONES, label_features=Y[:N_LABELS])
        ),
    ),
    "label_examples": (
        "label_examples",
        lambda Y: (
            classifier()
            .fit(X[:, :N_LABELS], ONES, label_examples=Y[:N_LABELS])
            .rank(X[:, :N_LABELS], 3)[1]
        ),
    ),
    "metric": ("Y_true", lambda Y: precision_at_k(Y, RANKING)),
    "propensities": ("Y_train", propensities),
    "threshold": ("Y", lambda Y: tune_threshold(FITTED, TURNED, Y).f_score),
    "threshold of folds": (
        "Y",
        lambda Y: tune_threshold(classifier(), X, Y, cv=2, random_state=0).f_score,
    ),
    "calibrated": ("y", lambda Y: top_scores(calibrated(ONES).fit(X, Y))),
    "score when calibrated": ("y", lambda Y: calibrated(ONES).fit(X, ONES).score(TURNED, Y)),
    "reranked": ("y", lambda Y: prefit(PropensityReranker, ONES).fit(X, Y).propensities_),
    "reliability of the truth": (
        "Y_true",
        lambda Y: reliability_curve(Y, 0.3 * X[:, :N_LABELS]).brier,
    ),
    "reliability of predictions": (
        "Y_proba",
        lambda Y: reliability_curve(ONES[::-1], Y, k=1).brier,
    ),
    "metrics": (
        "y",
        lambda Y: RankingMetricsDisplay.from_estimator(FITTED, TURNED, Y).values["ndcg"],
    ),
    "reliability shown": (
        "y",
        lambda Y: ReliabilityDisplay.from_estimator(FITTED, TURNED, Y).curve.brier,
    ),
    "search": (
        None,
        lambda Y: (
            GridSearchCV(classifier(), {"C": [1]}, cv=2, scoring=precision_at_1_scorer)
            .fit(X, Y)
            .cv_results_["mean_test_score"]
        ),
    ),
    "folds": (None, lambda Y: cross_val_score(classifier(), X, Y, cv=3)),
}


def assert_same_for_frames(what, names):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    _, call = TAKERS[what]
    expected = call(ONES)
    for name in names:
        assert_array_equal(call(FRAMES[name]), expected, err_msg=name)
        pyplot.close("all")


@pytest.mark.parametrize("what", TAKERS)
def test_frames_are_the_matrix_that_they_hold(what):
    assert_same_for_frames(what, ["nullable of several types", "polars bool", "list"])


@pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns found")
@pytest.mark.parametrize("what", slow_except(["fit", "metric", "relevance"], TAKERS))
def test_frames_of_any_columns_are_the_matrix_that_they_hold(what):
    assert_same_for_frames(what, FRAMES)


ROW_3 = np.repeat(np.arange(N_ROWS)[:, np.newaxis] == 3, N_LABELS, axis=1)
GAPS = {
    "nullable": FRAME.convert_dtypes().mask(ROW_3),
    "nullable bool": FRAME.astype("boolean").mask(ROW_3),
    "objects": FRAME.astype(object).mask(ROW_3, None),
    "NaN": FRAME.mask(ROW_3, np.nan),
    "polars": POLARS.with_columns(pl.lit(None, pl.Int8).alias("a")),
    "polars bool": POLARS.cast(pl.Boolean).with_columns(pl.lit(None, pl.Boolean).alias("a")),
}


@pytest.mark.parametrize("what", [name for name, (param, _) in TAKERS.items() if param])
def test_frames_with_missing_values_are_named(what):
    param, call = TAKERS[what]
    for frame in GAPS.values():
        with pytest.raises(ValueError, match=rf"^{param} (contains|must)"):
            call(frame)


NAMES = np.array(list("abcdef"))[CODES]
COLUMNS_OF_NAMES = {
    "series": pd.Series(NAMES, index=range(100, 100 + N_ROWS)),
    "nullable": pd.Series(NAMES, dtype="string"),
    "categories": pd.Series(NAMES).astype("category"),
    "objects": NAMES.astype(object),
    "index": pd.Index(NAMES),
    "polars": pl.Series(NAMES.tolist()),
    "polars categories": pl.Series(NAMES.tolist(), dtype=pl.Categorical),
    "column": NAMES[:, np.newaxis],
    "column of objects": NAMES.astype(object)[:, np.newaxis],
    "frame": pd.DataFrame({"y": NAMES}),
    "frame of nullable": pd.DataFrame({"y": pd.Series(NAMES, dtype="string")}),
    "frame of categories": pd.DataFrame({"y": pd.Categorical(NAMES)}),
    "polars frame": pl.DataFrame({"y": NAMES.tolist()}),
}
COLUMNS_OF_CODES = {
    "nullable": pd.Series(CODES, dtype="Int64"),
    "nullable array": pd.array(CODES, dtype="UInt8"),
    "nullable floats": pd.Series(CODES, dtype="Float64"),
    "floats": CODES.astype(float),
    "categories": pd.Series(CODES).astype("category"),
    "sparse": pd.Series(CODES).astype(pd.SparseDtype(int, 0)),
    "polars": pl.Series(CODES),
    "column": CODES[:, np.newaxis],
    "frame of nullable": pd.DataFrame({"y": pd.Series(CODES, dtype="Int64")}),
}

#: What takes one class per row: numbers that depend on it, beside the same classes as an array.
CLASS_TAKERS = {
    "fit": lambda y, known: top_scores(fitted_to(y)),
    "score": lambda y, known: fitted_to(known).score(TURNED, y),
    "scorer": lambda y, known: ndcg_at_5_scorer(fitted_to(known), TURNED, y),
    "joined scorers": lambda y, known: joined(fitted_to(known), TURNED, y),
    "add_neighbors": lambda y, known: top_scores(fitted_to(known).add_neighbors(TURNED, y)),
    "add_labels": lambda y, known: top_scores(
        classifier().fit(X[CODES < 5], known[CODES < 5]).add_labels(X, y)
    ),
    "calibrated": lambda y, known: top_scores(calibrated(known).fit(X, y)),
    "score when calibrated": lambda y, known: calibrated(known).fit(X, y).score(TURNED, y),
    "scorer of a calibrated ranker": lambda y, known: ndcg_at_5_scorer(
        CalibratedRanker(classifier(), cv=2, random_state=0).fit(X, y), TURNED, y
    ),
    "reranked": lambda y, known: top_scores(prefit(PropensityReranker, known).fit(X, y)),
    "search": lambda y, known: (
        GridSearchCV(classifier(), {"C": [1]}, cv=2, scoring=ndcg_at_5_scorer).fit(X, y).best_score_
    ),
    "folds": lambda y, known: cross_val_score(classifier(), X, y, cv=2, scoring=ndcg_at_5_scorer),
    "metrics": lambda y, known: RankingMetricsDisplay.from_estimator(
        fitted_to(known), TURNED, y
    ).values["ndcg"],
    "reliability shown": lambda y, known: (
        ReliabilityDisplay.from_estimator(fitted_to(known), TURNED, y).curve.brier
    ),
    "search quality": lambda y, known: (
        SearchQualityDisplay.from_estimator(
            fitted_to(known), TURNED, y, beam_widths=[1, 3], scoring=ndcg_at_5_scorer
        ).quality
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize(
    "what", slow_except(["fit", "calibrated", "metrics", "score"], CLASS_TAKERS)
)
def test_classes_of_any_column_are_the_classes_that_it_holds(what):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    call = CLASS_TAKERS[what]
    for known, columns in ((NAMES, COLUMNS_OF_NAMES), (CODES, COLUMNS_OF_CODES)):
        expected = call(known, known)
        assert not np.isnan(expected).any()
        for name, y in columns.items():
            assert_array_equal(call(y, known), expected, err_msg=name)
            pyplot.close("all")


def test_a_column_of_classes_warns_where_it_is_learned_and_only_there(recwarn):
    column, clf = NAMES[:, np.newaxis], fitted_to(NAMES)
    assert (clf.score(X, column), precision_at_1_scorer(clf, X, column)) == (1.0, 1.0)
    assert not [w for w in recwarn if issubclass(w.category, DataConversionWarning)]
    for learn in (
        lambda: fitted_to(column),
        lambda: clf.add_neighbors(X, column),
        lambda: classifier().fit(X[CODES < 5], NAMES[CODES < 5]).add_labels(X, column),
        lambda: PropensityReranker(classifier()).fit(X, column),
        lambda: CalibratedRanker(classifier(), cv=2).fit(X, column),
    ):
        with pytest.warns(DataConversionWarning):
            learn()


def test_a_single_label_of_an_indicator_is_no_class():
    one = sp.csr_matrix(ONES[:, :1])
    clf = fitted_to(one)
    for truth in (one, one.toarray(), pd.DataFrame(one.toarray()).convert_dtypes()):
        assert clf.score(X, truth) == precision_at_1_scorer(clf, X, truth) == 5 / N_ROWS
        assert tune_threshold(clf, X, truth).score == 1
    with pytest.raises(ValueError, match="y must be a 0/1 indicator matrix"):
        precision_at_1_scorer(clf, X, ONES[:, 0])


def test_large_nullable_integers_stay_apart():
    codes = 2**60 + CODES
    clf = fitted_to(pd.Series(codes, dtype="Int64"))
    assert_array_equal(clf.classes_, np.unique(codes))
    assert_array_equal(clf.predict(X), codes)


MISSING_CLASSES = {
    "nullable strings": pd.Series([None, *NAMES[1:]], dtype="string"),
    "categories": pd.Series([None, *NAMES[1:]]).astype("category"),
    "None": [None, *NAMES[1:].tolist()],
    "polars": pl.Series([None, *NAMES[1:].tolist()]),
    "nullable integers": pd.Series([None, *CODES[1:]], dtype="Int64"),
    "nullable bool": pd.Series([None, *(CODES[1:] > 2)], dtype="boolean"),
    "NaN": np.append(np.nan, CODES[1:]),
}


@pytest.mark.parametrize("what", MISSING_CLASSES)
def test_missing_classes_are_named(what):
    y, clf = MISSING_CLASSES[what], fitted_to(NAMES)
    for call in (
        lambda: fitted_to(y),
        lambda: clf.score(X, y),
        lambda: precision_at_1_scorer(clf, X, y),
        lambda: clf.add_neighbors(X, y),
        lambda: clf.add_labels(X, y),
        lambda: CalibratedRanker(classifier(), cv=2).fit(X, y),
        lambda: prefit(PropensityReranker, NAMES).fit(X, y),
    ):
        with pytest.raises(ValueError, match=r"^y "):
            call()


def test_classes_of_another_kind_than_in_fit_are_named():
    clf = fitted_to(NAMES)
    for call in (
        lambda: precision_at_1_scorer(clf, X, CODES),
        lambda: clf.add_neighbors(X, CODES),
        lambda: clf.add_labels(X, CODES),
    ):
        with pytest.raises(ValueError, match="y must hold classes of <U1, as in fit, got int64"):
            call()


WEIGHTS = {
    "nullable integers": pd.Series(1 + CODES, dtype="Int64"),
    "nullable floats": pd.Series(1 + CODES, dtype="Float64"),
    "other index": pd.Series(1 + CODES, index=range(100, 100 + N_ROWS)),
    "polars": pl.Series(1 + CODES),
    "list": (1 + CODES).tolist(),
}
WEIGHT_TAKERS = {
    "fit": lambda y, w: top_scores(classifier().fit(X, y, w)),
    "score": lambda y, w: fitted_to(y).score(TURNED, y, w),
    "scorer": lambda y, w: precision_at_1_scorer(fitted_to(y), TURNED, y, sample_weight=w),
    "add_neighbors": lambda y, w: top_scores(fitted_to(y).add_neighbors(TURNED, y, w)),
    "calibrated": lambda y, w: top_scores(
        CalibratedRanker(classifier(), cv=2, random_state=0).fit(X, y, w)
    ),
    "score when calibrated": lambda y, w: calibrated(y).fit(X, y).score(TURNED, y, w),
    "reranked": lambda y, w: PropensityReranker(classifier()).fit(X, y, w).propensities_,
}


@pytest.mark.parametrize("what", WEIGHT_TAKERS)
def test_weights_of_any_column_are_its_numbers(what):
    call = WEIGHT_TAKERS[what]
    for y in (ONES, NAMES):
        expected = call(y, 1 + CODES)
        for name, weight in WEIGHTS.items():
            assert_array_equal(call(y, weight), expected, err_msg=name)
        with pytest.raises(ValueError, match=r"^sample_weight must be"):
            call(y, pd.Series([None, *CODES[1:]], dtype="Int64"))


# ---- truth of other columns ----

SCORERS = {
    "scorer": precision_at_1_scorer,
    "joined scorers": joined,
    "scorer of a frozen ranker": lambda clf, X, Y: joined(FrozenEstimator(clf), X, Y),
    "score": lambda clf, X, Y: clf.score(X, Y),
    "metrics": RankingMetricsDisplay.from_estimator,
    "reliability": ReliabilityDisplay.from_estimator,
    "threshold": tune_threshold,
}
OTHERS = {
    "wider": np.hstack([np.zeros((N_ROWS, 2)), Y]),
    "narrower": Y[:10, :2],
    "one column": Y[:, :1],
}
CONTAINERS = [np.asarray, sp.csr_matrix, sp.coo_array, pd.DataFrame]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("what", OTHERS)
def test_truth_has_a_column_for_each_label(fitted, what, container):
    other = container(OTHERS[what])
    message = rf"^[yY] must have 6 columns.*, got {other.shape[1]}"
    wrapped = (
        calibrated(Y).fit(X, Y),
        prefit(PropensityReranker, Y).fit(X, Y),
    )
    for ranker in (fitted, *wrapped):
        for score in SCORERS.values():
            with pytest.raises(ValueError, match=message):
                score(ranker, X[: other.shape[0]], other)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("what", ["wider", "narrower"])
def test_wrappers_of_fitted_rankers_are_fitted_to_all_of_their_labels(what, container):
    other = container(OTHERS[what])
    for wrapper in (calibrated(Y), prefit(PropensityReranker, Y)):
        with pytest.raises(ValueError, match=rf"^y must have 6 columns.*, got {other.shape[1]}"):
            wrapper.fit(X[: other.shape[0]], other)


# ---- texts without an order ----

UNORDERED = [
    set,
    frozenset,
    lambda texts: dict.fromkeys(texts, 1),
    lambda texts: dict.fromkeys(texts, 1).keys(),
    lambda texts: {text: text for text in texts}.values(),
]


@pytest.mark.parametrize("make", UNORDERED)
def test_texts_without_an_order_are_refused(make):
    """They would be given to labels, rows or features as they happen to come."""
    texts = [f"label {i}" for i in range(N_LABELS)]
    clf = classifier().fit(X, Y)
    by_text = classifier(label_embedding="text")
    for name, function in (
        ("label_text", lambda: classifier(indexer=TrieIndexer()).fit(X, Y, label_text=make(texts))),
        ("label_text", lambda: by_text.fit(X, Y, label_text=make(texts))),
        ("feature_names", lambda: clf.explain(X[:1], 0, feature_names=make(texts))),
        ("X", lambda: TrieIndexer().fit(make(texts))),
        ("X", lambda: TrieHybridIndexer().fit(make(texts))),
        ("X", lambda: TrieIndexer().fit(texts).predict(make(texts))),
        ("raw_documents", lambda: NGramTfidfVectorizer().fit(make(texts))),
        ("raw_documents", lambda: NGramTfidfVectorizer().fit_transform(make(texts))),
        ("raw_documents", lambda: NGramTfidfVectorizer().fit(texts).transform(make(texts))),
    ):
        with pytest.raises(TypeError, match=f"{name} must be in order"):
            function()


def test_classes_without_an_order_are_refused():
    with pytest.raises((TypeError, ValueError)):
        classifier().fit(X, set(range(X.shape[0])))


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_missing_values_among_strings_are_no_classes(missing):
    names = [f"class {i % N_LABELS}" for i in range(N_ROWS)]
    wrong = [missing, *names[1:]]
    clf = classifier().fit(X, names)
    for call in (
        lambda: classifier().fit(X, wrong),
        lambda: clf.score(X, wrong),
        lambda: clf.add_neighbors(X, wrong),
        lambda: clf.add_labels(X, ["new", *wrong[1:-1], missing]),
        lambda: precision_at_1_scorer(clf, X, wrong),
    ):
        with pytest.raises(ValueError, match="missing value"):
            call()
