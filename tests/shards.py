"""Folders of shards, for tests."""

from itertools import pairwise

import numpy as np
from scipy import sparse as sp

from skxmr.datasets import Shards


def save_shards(folder, matrix, edges, **options):
    """Write the rows between consecutive edges to a file each, and return the Shards."""
    folder.mkdir()
    matrix = sp.csr_matrix(matrix)
    for i, (begin, end) in enumerate(pairwise(edges)):
        sp.save_npz(folder / f"part-{i:03}.npz", matrix[begin:end], **options)
    return Shards(folder)


def in_shards(folder, X, Y, n_shards=4):
    """Write X and Y to shards of different sizes, one of them empty."""
    n_rows = X.shape[0]
    edges = [0, *np.linspace(1, n_rows, n_shards - 1).astype(int).tolist(), n_rows]
    return save_shards(folder / "X", X, edges), save_shards(folder / "Y", Y, edges)


def files_of(folder):
    """Return the bytes of each array of a saved model."""
    (arrays,) = folder.glob("arrays-*")
    return {path.name: path.read_bytes() for path in arrays.iterdir()}
