"""Fit small models of several kinds and store the arrays that they consist of.

    SKXMR_ISA=avx2 python tests/data/golden/make.py FOLDER

writes FOLDER/avx2/KIND.npz with the skxmr that is installed. The files here were written by skxmr
0.1.0 (commit 18af80e). Write them again only if a change of the fitted weights is intended, and
record it in the changelog.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse as sp

from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr._core import ISA

KINDS = {
    "squared_hinge": {},
    "log_loss": {"loss": "log_loss", "C": 10},
    "trees": {"n_trees": 2},
    "neighbors": {"n_neighbors": 3},
    "man": {"negative_sampling": "tfn+man"},
    "disentangled": {"max_clusters_per_label": 2},
    "float16": {"weight_dtype": "float16"},
}


def example():
    """Rows and labels that need no random numbers, which may differ between versions of NumPy."""
    rows, columns = np.indices((48, 16))
    values = ((rows * 7 + columns * 5) * (rows + 3) % 11).astype(np.float32)
    X = sp.csr_matrix(np.where(values > 6, values / 8, np.float32(0)))
    rows, labels = np.indices((48, 12))
    Y = (rows % 12 == labels) | ((rows * 5 + labels * 3) * (labels + 2) % 13 == 0)
    return X, sp.csr_matrix(Y.astype(np.float32))


def fitted(kind, n_jobs=1):
    indexer = KMeansIndexer(branching=2, max_leaf_size=3, random_state=0)
    params = {"n_neighbors": None, "random_state": 0, "n_jobs": n_jobs, **KINDS[kind]}
    return XRLinearClassifier(indexer, **params).fit(*example())


def arrays_of(clf):
    """The arrays of a model folder, by name."""
    with tempfile.TemporaryDirectory() as folder:
        clf.save(folder)
        return {file.stem: np.load(file) for file in sorted(Path(folder).rglob("*.npy"))}


def scores_of(clf):
    """Scores of all labels for some rows, in the order of the labels."""
    labels, scores = clf.rank(example()[0][:6], 12)
    return np.take_along_axis(scores, labels.argsort(axis=1), axis=1)


def main(folder):
    (Path(folder) / ISA).mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        clf = fitted(kind)
        arrays = arrays_of(clf)
        np.savez_compressed(Path(folder) / ISA / f"{kind}.npz", scores=scores_of(clf), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
