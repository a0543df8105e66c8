"""Label embeddings against their formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp

from skxmr._data.examples import distinct_examples
from skxmr.embeddings import KINDS, embed_labels, label_text_features, pifa, pii, split_kind

N_ROWS, N_FEATURES, N_LABELS = 40, 15, 9


def example(seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(N_ROWS, N_FEATURES, 0.3, "csr", dtype=np.float32, random_state=seed)
    Y = (rng.random((N_ROWS, N_LABELS)) < 0.2).astype(np.float32)
    Y[:, 4] = 0  # a label without rows
    weight = rng.integers(0, 4, size=N_ROWS).astype(np.float32)
    return X, sp.csr_matrix(Y), weight


def unit_rows(matrix):
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix / np.where(norms == 0, 1, norms)


def dense_pifa(X, Y, weight):
    return unit_rows((weight[:, None] * unit_rows(Y)).T @ X)


def norms(Z):
    return np.sqrt(np.asarray(Z.multiply(Z).sum(axis=1), dtype=np.float64).ravel())


@pytest.mark.parametrize("seed", range(5))
def test_pifa_sums_the_rows_of_a_label(seed):
    X, Y, weight = example(seed)
    dense = X.toarray().astype(np.float64), Y.toarray().astype(np.float64)
    assert_allclose(pifa(X, Y).toarray(), dense_pifa(*dense, np.ones(N_ROWS)), atol=1e-6)
    found = pifa(X, Y, sample_weight=weight).toarray()
    assert_allclose(found, dense_pifa(*dense, weight), atol=1e-6)


def test_pifa_of_equal_rows():
    X, Y, _ = example()
    again = np.r_[np.arange(N_ROWS), np.zeros(3, dtype=int)]
    weight = np.ones(N_ROWS, dtype=np.float32)
    weight[0] = 4
    Z = pifa(X[again], Y[again])
    assert_array_equal(Z.toarray(), pifa(X, Y, sample_weight=weight).toarray())


def test_number_of_jobs_changes_nothing():
    X, Y, _ = example()
    assert_array_equal(pifa(X, Y).toarray(), pifa(X, Y, n_jobs=2).toarray())


@pytest.mark.parametrize("seed", range(5))
def test_pii_is_the_column_of_y(seed):
    _, Y, weight = example(seed)
    dense = Y.toarray().T.astype(np.float64)
    assert_allclose(pii(Y).toarray(), unit_rows(dense), atol=1e-6)
    found = pii(Y, sample_weight=weight).toarray()
    assert_allclose(found, unit_rows(dense * np.sqrt(weight)), atol=1e-6)


def test_pii_relates_labels_alike_for_a_weight_and_for_repeated_rows():
    _, Y, weight = example()
    weighted = pii(Y, sample_weight=weight)
    repeated = pii(Y[np.repeat(np.arange(N_ROWS), weight.astype(int))])
    assert_allclose((weighted @ weighted.T).toarray(), (repeated @ repeated.T).toarray(), atol=1e-6)


def test_texts_that_share_letters_are_close():
    Z = label_text_features(["cat", "cats", "dog", "cat"])
    products = (Z @ Z.T).toarray()
    assert products[0, 1] > 3 * products[0, 2]
    assert_array_equal(Z[0].toarray(), Z[3].toarray())


TEXTS = [f"label {i} {'ab' * i}" for i in range(N_LABELS)]
KINDS_JOINED = [*KINDS, "pifa+text", "features+pii", "text+pii+features+pifa"]


@pytest.mark.parametrize("kind", KINDS_JOINED)
def test_rows_have_unit_norm(kind):
    X, Y, weight = example()
    features = sp.csr_matrix(np.random.default_rng(0).random((N_LABELS, 3), dtype=np.float32))
    Z = embed_labels(
        kind, distinct_examples(X, Y, weight), label_features=features, label_text=TEXTS
    )
    assert Z.shape[0] == N_LABELS
    assert Z.dtype == np.float32
    has_rows = np.asarray(Y.T @ (weight > 0)).ravel() > 0
    expected = np.ones(N_LABELS) if {"features", "text"} & {*kind.split("+")} else has_rows
    assert_allclose(norms(Z), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["pifa", "pii"])
def test_a_label_without_rows_has_no_embedding(kind):
    X, Y, _ = example()
    assert embed_labels(kind, distinct_examples(X, Y))[4].nnz == 0


def test_joined_kinds_weigh_alike():
    X, Y, _ = example()
    texts = label_text_features(TEXTS)
    joined = embed_labels("pifa+text", distinct_examples(X, Y), label_text=TEXTS)
    own = pifa(X, Y)
    expected = ((own @ own.T) + (texts @ texts.T)).toarray() / 2
    kept = np.arange(N_LABELS) != 4
    products = (joined @ joined.T).toarray()
    assert_allclose(products[np.ix_(kept, kept)], expected[np.ix_(kept, kept)], atol=1e-6)


@pytest.mark.parametrize(
    "kind", ["", "PIFA", "pifa+", "+pifa", "pifa+pifa", "pifa pii", None, 3, ["pifa"]]
)
def test_unknown_kinds_are_refused(kind):
    with pytest.raises(ValueError, match="label_embedding must be one of"):
        split_kind(kind)


@pytest.mark.parametrize("container", [sp.csc_matrix, sp.coo_array, np.asarray])
def test_any_container_will_do(container):
    X, Y = np.eye(3, dtype=np.float32), np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)
    expected = pifa(sp.csr_matrix(X), sp.csr_matrix(Y)).toarray()
    assert_allclose(pifa(container(X), container(Y)).toarray(), expected)
    assert_allclose(pii(container(Y)).toarray(), pii(sp.csr_matrix(Y)).toarray())


def test_what_is_no_matrix_of_examples_is_named():
    X, Y = sp.eye(4, format="csr", dtype=np.float32), sp.csr_matrix(np.ones((4, 2)))
    with pytest.raises(ValueError, match="Y must have 4 rows"):
        pifa(X, Y[:3])
    with pytest.raises(ValueError, match="Y must be a 0/1 indicator"):
        pifa(X, 2 * Y)
    with pytest.raises(ValueError, match="sample_weight"):
        pifa(X, Y, sample_weight=np.ones(5))
    X.indices[0] = 10**8
    with pytest.raises(ValueError, match="X has a column index outside"):
        pifa(X, Y)
    with pytest.raises(ValueError, match="Y must be a 0/1 indicator"):
        pii(3 * Y)


def test_tiny_features_have_unit_embeddings():
    X = sp.csr_matrix(np.full((3, 2), 1e-42, dtype=np.float32))
    Z = pifa(X, np.ones((3, 1)))
    assert_allclose(Z.multiply(Z).sum(axis=1), 1, rtol=1e-3)
