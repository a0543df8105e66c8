"""Matrices that are joined."""

import numpy as np
import pytest
import scipy.sparse as sp

from skxmr._utils.matrices import with_dense_columns


@pytest.mark.parametrize("n_rows", [0, 1, 7])
@pytest.mark.parametrize("width", [1, 4])
def test_dense_columns_follow_the_sparse_ones(n_rows, width):
    rng = np.random.default_rng(n_rows)
    X = sp.random(n_rows, 5, density=0.4, format="csr", dtype=np.float32, random_state=0)
    dense = rng.normal(size=(n_rows, width)).astype(np.float32)
    dense[1:3] = 0
    before = dense.copy()
    joined = with_dense_columns(X, dense)
    np.testing.assert_array_equal(joined.toarray(), np.hstack([X.toarray(), dense]))
    assert joined.dtype == np.float32
    assert joined.nnz == X.nnz + np.count_nonzero(dense)
    assert joined.has_canonical_format
    np.testing.assert_array_equal(dense, before)
