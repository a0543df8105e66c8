"""Synthetic data with any number of labels. The same number always gives the same bytes.

Labels belong to groups, and groups to families. A label has its own words, words of its group and
words of its family, so that a tree of labels can find clusters. The frequencies of labels and of
words follow a power law. Half of the rows have labels of one group, the others of any group. A row
consists of some words of each of its labels, and noise.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer

GROUP = 32  # labels
FAMILY = 32  # groups
N_TEST = 10_000
LABELS_PER_ROW = (1, 2, 3)
OWN_WORDS = 2  # of a label, as the next two
GROUP_WORDS = 3
FAMILY_WORDS = 3
GROUP_POOL = 8  # number of words of a group, from which labels draw
FAMILY_POOL = 16  # number of words of a family
WORDS_PER_LABEL = 6  # number of words drawn for a row, with replacement
NOISE_WORDS = 9


def power_law(n_labels, seed=0):
    """Return X_train, X_test, Y_train and Y_test."""
    rng = np.random.default_rng([seed, n_labels])
    doublings = np.log10(n_labels / 10_000)
    n_features = int(40_000 * 2**doublings)
    n_train = int(5 * n_labels / 2**doublings)
    n_rows = n_train + N_TEST
    rows, labels = _draw_labels(rng, n_labels, n_rows)
    words = _label_words(rng, n_labels, n_features)
    X = _draw_words(rng, rows, labels, words, n_rows, n_features)
    Y = _sums(np.ones(len(rows)), rows, labels, (n_rows, n_labels))
    Y.data[:] = 1
    tfidf = TfidfTransformer().fit(X[:n_train])
    parts = (tfidf.transform(X[:n_train]), tfidf.transform(X[n_train:]), Y[:n_train], Y[n_train:])
    return tuple(sp.csr_matrix(part, dtype=np.float32) for part in parts)


def _draw_labels(rng, n_labels, n_rows):
    """Return pairs of row and label. Every label occurs, possibly only in a test row."""
    per_row = rng.choice(LABELS_PER_ROW, size=n_rows)
    deck = _deck(rng, n_labels, per_row.sum())
    related = rng.random(len(deck)) < 0.5
    # Sorted by group, and in random order within a group. Adjacent labels are in the same row.
    grouped = deck[related]
    deck = np.concatenate([grouped[np.argsort(grouped // GROUP, kind="stable")], deck[~related]])
    return np.repeat(rng.permutation(n_rows), per_row), deck


def _deck(rng, n_labels, size):
    """Return labels in random order: each once, and more by a power law."""
    probability = (np.arange(n_labels) + 10.0) ** -0.8
    extra = rng.multinomial(size - n_labels, probability / probability.sum())
    return rng.permutation(np.repeat(rng.permutation(n_labels), 1 + extra))


def _label_words(rng, n_labels, n_features):
    """Return the words of each label, as rows of equal length."""
    label = np.arange(n_labels)[:, None]
    group = label // GROUP
    groups = _common_words(rng, (n_labels // GROUP + 1, GROUP_POOL), n_features, 2)
    families = _common_words(rng, (len(groups) // FAMILY + 1, FAMILY_POOL), n_features, 2)
    own = _common_words(rng, (n_labels, OWN_WORDS), n_features, 1.5)
    of_group = rng.integers(GROUP_POOL, size=(n_labels, GROUP_WORDS))
    of_family = rng.integers(FAMILY_POOL, size=(n_labels, FAMILY_WORDS))
    return np.hstack([own, groups[group, of_group], families[group // FAMILY, of_family]])


def _common_words(rng, shape, n_features, power):
    """Draw words whose frequency decreases with their number, faster with a higher power."""
    return (n_features * rng.random(shape) ** power).astype(np.int32)


def _draw_words(rng, rows, labels, words, n_rows, n_features):
    """Return the counts of the words in each row."""
    chosen = rng.integers(words.shape[1], size=(len(rows), WORDS_PER_LABEL))
    noise = _common_words(rng, (n_rows, NOISE_WORDS), n_features, 4)
    row = np.concatenate([np.repeat(rows, WORDS_PER_LABEL), np.repeat(range(n_rows), NOISE_WORDS)])
    word = np.concatenate([words[labels[:, None], chosen].ravel(), noise.ravel()])
    return _sums(np.ones(len(row)), row, word, (n_rows, n_features))


def _sums(values, rows, columns, shape):
    """Return a CSR matrix with repeated entries summed."""
    matrix = sp.csr_matrix((values.astype(np.float32), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix
