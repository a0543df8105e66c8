"""Matrices and rankings that the runners read and write. Needs only NumPy and SciPy."""

import numpy as np
import scipy.sparse as sp

BEAM = 10
TOP_K = 10


def load(work, name):
    """Read a matrix of a data set."""
    return sp.csr_matrix(sp.load_npz(work / f"{name}.npz"), dtype=np.float32)


def sample(matrix, n_rows):
    """Take rows at equal distances, because the rows of a corpus are in alphabetical order."""
    return matrix[np.linspace(0, matrix.shape[0] - 1, min(n_rows, matrix.shape[0])).astype(int)]


def single_rows(X, n_rows=1000):
    """Split a sample of rows into matrices of one row."""
    X = sample(X, n_rows)
    return [X[i] for i in range(X.shape[0])]


def save_ranking(work, name, labels):
    """Write a ranking, padded with -1, for the evaluation."""
    folder = work / "rankings"
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", padded(labels))


def padded(rankings):
    """Return a matrix of rankings, padded to TOP_K."""
    if isinstance(rankings, np.ndarray):
        return rankings
    labels = np.full((len(rankings), TOP_K), -1, dtype=np.int32)
    for row, ranking in zip(labels, rankings, strict=True):
        row[: len(ranking)] = ranking[:TOP_K]
    return labels


def ranking_of_scores(P):
    """Return the labels of each row of a sparse score matrix, best first, ties by lower label."""
    rows = (slice(*P.indptr[i : i + 2]) for i in range(P.shape[0]))
    return [P.indices[row][np.lexsort((P.indices[row], -P.data[row]))] for row in rows]
