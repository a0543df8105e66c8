"""Named data sets as matrices in a folder: python data.py NAME WORK [CORPORA]."""

import json
import sys
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from packages import load_packages
from power_law import power_law
from sklearn.feature_extraction.text import TfidfVectorizer

from skxmr.datasets import load_catalogue_subjects, save_xc_text

#: The last matrix holds the features of the names of the labels, if they have names.
MATRICES = ("X_train", "X_test", "Y_train", "Y_test", "X_labels")

#: Folder of the corpus, its reader, and the vectorizer of its texts.
TEXTS = {
    "sample": (None, load_catalogue_subjects, {"min_df": 3}),
    "catalogue": ("yso-finna-en", load_catalogue_subjects, {"min_df": 3}),
    "catalogue-bigrams": (
        "yso-finna-en",
        load_catalogue_subjects,
        {"min_df": 2, "ngram_range": (1, 2)},
    ),
    "records": ("gnd-subjects", load_catalogue_subjects, {"min_df": 3, "sublinear_tf": True}),
    "packages": ("debian-bookworm", load_packages, {"min_df": 3, "sublinear_tf": True}),
}
POWER_LAW = "power-law-"


def prepare(name, work, corpora=None):
    """Write the matrices of a data set to a folder, then their sizes, unless they exist."""
    sizes = work / "sizes.json"
    if sizes.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    matrices = dict(zip(MATRICES, _make(name, corpora), strict=False))
    for matrix_name, matrix in matrices.items():
        matrix.sort_indices()
        sp.save_npz(work / f"{matrix_name}.npz", matrix, compressed=False)
    _write_text(work / "train.txt", matrices["X_train"], matrices["Y_train"])
    sizes.write_text(json.dumps({n: [*m.shape, int(m.nnz)] for n, m in matrices.items()}))


def _write_text(path, X, Y):
    """Write the rows that have features; omikuji does not accept others."""
    rows = np.flatnonzero(np.diff(X.indptr))
    save_xc_text(path, X[rows], Y[rows])


def _make(name, corpora):
    if name.startswith(POWER_LAW):
        return power_law(int(name.removeprefix(POWER_LAW)))
    folder, read, options = TEXTS[name]
    return _texts(read(folder and Path(corpora) / folder), options)


def _texts(data, options):
    vectorizer = TfidfVectorizer(dtype=np.float32, **options)
    matrices = (
        vectorizer.fit_transform(data.text_train),
        vectorizer.transform(data.text_test),
        data.Y_train,
        data.Y_test,
        vectorizer.transform(data.label_names),
    )
    return [sp.csr_matrix(matrix) for matrix in matrices]


if __name__ == "__main__":
    name, work, *rest = sys.argv[1:]
    prepare(name, Path(work), *rest)
