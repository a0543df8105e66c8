"""Data sets, and classifiers fitted to them, that tests share."""

from functools import cache

import numpy as np
from scipy import sparse as sp

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects


def random_labels(
    n_rows=150,
    n_features=20,
    n_labels=12,
    *,
    density=0.3,
    label_density=0.2,
    every_label=True,
    seed=0,
):
    """Random CSR rows, and labels that do not depend on them; row i has label i if `every_label`.

    The features say little about the labels, so that scores differ and rows stray.
    """
    rng = np.random.default_rng(seed)
    X = sp.random(n_rows, n_features, density, "csr", dtype=np.float32, random_state=seed)
    Y = (rng.random((n_rows, n_labels)) < label_density).astype(np.float32)
    if every_label:
        Y[np.arange(n_labels), np.arange(n_labels)] = 1
    return X, sp.csr_matrix(Y)


def unit_rows(values):
    """The rows divided by their norms, as float32; rows of zeros stay."""
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(norms > 0, norms, 1)).astype(np.float32)


def embedded_rows(n_rows=150, n_dims=20, n_labels=12, *, noise=1.0, **params):
    """Rows of `random_labels` followed by embeddings, which say more about the labels.

    Returns X, Y, and an example of each label with the same columns.
    """
    X, Y = random_labels(n_rows, n_labels=n_labels, **params)
    rng = np.random.default_rng(1)
    of_labels = rng.normal(size=(n_labels, n_dims))
    E = unit_rows(Y @ of_labels + noise * rng.normal(size=(n_rows, n_dims)))
    names = sp.random(n_labels, X.shape[1], 0.3, "csr", dtype=np.float32, random_state=2)
    return with_embeddings(X, E), Y, with_embeddings(names, unit_rows(of_labels))


def with_embeddings(X, E):
    """Sparse rows with the embeddings as last columns."""
    return sp.csr_matrix(sp.hstack([X, sp.csr_matrix(E)]), dtype=np.float32)


def labels_as_features(n_rows, n_labels, *, label_density, noise):
    """Rows with one feature for each of their labels, and some density of noise."""
    rng = np.random.default_rng(0)
    Y = sp.csr_matrix(rng.random((n_rows, n_labels)) < label_density, dtype=np.float32)
    X = Y + sp.random(n_rows, n_labels, noise, "csr", dtype=np.float32, random_state=rng)
    return sp.csr_matrix(X, dtype=np.float32), Y


def first_labels(Y):
    """One class per row: its first label, and 0 without a label."""
    return np.asarray(Y.argmax(axis=1)).ravel()


#: Short texts with common beginnings, in no order, and one label each.
TEXTS = [
    *("cat", "cats and dogs", "catalogue", "dog", "cathedral", "organ", "church", "churches"),
    *("bold", "boldly", "été", "étude", "organs", "doghouse", "b", "organ music"),
]
TEXT_LABELS = ["animal", "animal", "book", "animal", "building", "music", "building", "building"]
TEXT_LABELS += ["font", "font", "season", "music", "music", "building", "font", "music"]

INDEXER = KMeansIndexer(branching=2, max_leaf_size=3)

#: Parameters of classifiers of each kind.
KINDS = {
    "one tree": {},
    "several trees": {"n_trees": 3},
    "neighbors": {"n_neighbors": 3},
    "trees and neighbors": {"n_trees": 2, "n_neighbors": 3},
}


def classifier(kind="one tree", **params):
    """An unfitted classifier with a tree of several levels, by default without neighbors."""
    defaults = {"indexer": INDEXER, "n_neighbors": None, "random_state": 0}
    return XRLinearClassifier(**{**defaults, **KINDS[kind], **params})


def fitted_classifier(kind="one tree", folder=None, **params):
    """A classifier fitted to `random_labels`; mapped from disk if a folder is given."""
    clf = classifier(kind, **params).fit(*random_labels())
    if folder is None:
        return clf
    clf.save(folder)
    return skxmr.load(folder, mmap=True)


@cache
def catalogue_sample():
    """The bundled sample, which tests may not change. To read it takes seconds."""
    data = load_catalogue_subjects()
    for Y in (data.Y_train, data.Y_test):
        for array in (Y.data, Y.indices, Y.indptr):
            array.setflags(write=False)
    data.label_names.setflags(write=False)
    data.label_ids.setflags(write=False)
    data.text_train, data.text_test = tuple(data.text_train), tuple(data.text_test)
    return data


def titles_with_labels(n_rows=200, n_labels=20):
    """Titles of the bundled sample, and the names of the most frequent labels of each."""
    data = catalogue_sample()
    Y = data.Y_train.tocsc()
    frequent = np.argsort(-np.diff(Y.indptr), kind="stable")[:n_labels]
    Y = Y[:, frequent].tocsr()
    rows = np.flatnonzero(np.diff(Y.indptr))[:: max(1, Y.shape[0] // 20000)][:n_rows]
    names = data.label_names[frequent].astype(str)
    titles = [data.text_train[row] for row in rows]
    return titles, [names[Y[row].indices].tolist() for row in rows]


def named_catalogue(n_rows, *, n_labels=90, seed=0):
    """Made-up texts of ten words and two labels each, whose names are among the words.

    Returns
    -------
    texts : list of str
    labels : list of list of str
    names : list of str
        Names of all labels, sorted. They are of one or two words. All seeds have the same.
    """
    rng = np.random.default_rng(7)
    syllables = [a + b for a in "bdgklmnp" for b in "aeio"]
    words = np.unique(["".join(rng.choice(syllables, 3)) for _ in range(400)])
    rng.shuffle(words)
    names = [" ".join(words[2 * i : 2 * i + 1 + i % 2]) for i in range(n_labels)]
    rng = np.random.default_rng(seed)
    others = (np.arange(n_rows) + rng.integers(1, n_labels, n_rows)) % n_labels
    own = [[names[i % n_labels], names[others[i]]] for i in range(n_rows)]
    texts = [
        " ".join([*rng.choice(words, 4), *own[i], *rng.choice(words, 4)]) for i in range(n_rows)
    ]
    return texts, own, sorted(names)
