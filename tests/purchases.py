"""Small logs and histories for the tests of the recommenders, and slow references."""

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from skxmr.recommenders import InteractionEncoder, temporal_examples

DAY = 86400.0


def random_log(n=2000, n_users=60, n_items=30, n_days=120, seed=0):
    """A log in which users prefer a few items, and item i is often followed by item i + 1."""
    rng = np.random.default_rng(seed)
    users = rng.integers(n_users, size=n)
    items = (users * 7 + np.floor(rng.exponential(3, n)).astype(int)) % n_items
    times = np.sort(rng.random(n)) * n_days
    return InteractionEncoder(unit="D").fit_transform((users, items, times))


def random_examples(n_cutoffs=4, **params):
    return temporal_examples(random_log(), n_cutoffs, **params)


def random_histories(n_users=40, n_items=15, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    matrix = sp.csr_matrix((rng.random((n_users, n_items)) < density).astype(np.float32))
    matrix.sort_indices()
    return matrix


@st.composite
def binary_matrices(draw, max_rows=12, max_columns=8):
    """Any small 0/1 matrix, dense."""
    n_rows = draw(st.integers(1, max_rows))
    n_columns = draw(st.integers(1, max_columns))
    bits = st.lists(st.booleans(), min_size=n_rows * n_columns, max_size=n_rows * n_columns)
    return np.array(draw(bits), dtype=np.float64).reshape(n_rows, n_columns)


def reference_relatedness(X, Y, measure, shrinkage, items=None):
    """Scores in float64, with a row for each item; an item is not related to itself if Y is None.

    `items` are the rows to return; by default, all.
    """
    same = Y is None
    targets = X if same else Y
    n_rows, n_items = X.shape
    with_item = X.sum(axis=0)
    followers = targets.sum(axis=0)
    n_targets = targets.sum()
    items = range(n_items) if items is None else items
    scores = np.zeros((len(items), n_items))
    for row, i in enumerate(items):
        both = X[:, i] @ targets
        others = targets[X[:, i] > 0].sum(axis=1) - (1 if same else 0)
        for j in np.flatnonzero(both):
            N = both[j]
            if same and i == j:
                continue
            n = with_item[i]
            m = followers[j]
            if measure == "corrected":
                P = m / n_targets
                E = (1 - (1 - P) ** others).sum()
                scores[row, j] = (N - E) / np.sqrt(E + shrinkage) if E + shrinkage > 0 else 0
                continue
            value = {
                "difference": N / n - m / n_rows,
                "cosine": N / np.sqrt(n * m),
                "jaccard": N / (n + m - N),
                "lift": N * n_rows / (n * m),
                "log_likelihood": g_squared(N, n, m, n_rows),
            }[measure]
            scores[row, j] = value * N / (N + shrinkage)
    return np.maximum(scores, 0)


def g_squared(N, n, m, R):
    """The G^2 statistic from its definition, 0 for pairs that are rarer than expected."""
    if n * m >= N * R:
        return 0.0
    observed = np.array([[N, n - N], [m - N, R - n - m + N]])
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / R
    filled = observed > 0
    return 2 * (observed[filled] * np.log(observed[filled] / expected[filled])).sum()
