"""Made-up data with as many labels as one likes, the same bytes for the same number every time.

Labels come in groups, and groups in families: a label's words are partly its own, partly its
group's and partly its family's, so that a tree of labels can find something to divide by. How
often a label occurs follows a power law, and so do words. Half of the rows take their labels from
one group, the others from anywhere. Rows hold some words of each of their labels, and noise.
"""

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer

GROUP = 32  # labels
FAMILY = 32  # groups
N_TEST = 10_000
LABELS_PER_ROW = (1, 2, 3)
OWN_WORDS, GROUP_WORDS, FAMILY_WORDS = 2, 3, 3  # of a label
GROUP_POOL, FAMILY_POOL = 8, 16  # words that a group or a family has to choose from
WORDS_PER_LABEL = 6  # drawn for a row, with repetition
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
    """Return pairs of row and label; every label occurs, if perhaps in a test row only."""
    per_row = rng.choice(LABELS_PER_ROW, size=n_rows)
    deck = _deck(rng, n_labels, per_row.sum())
    related = rng.random(len(deck)) < 0.5
    # Sorted by group, in random order within one: neighbours go into the same row.
    grouped = deck[related]
    deck = np.concatenate([grouped[np.argsort(grouped // GROUP, kind="stable")], deck[~related]])
    return np.repeat(rng.permutation(n_rows), per_row), deck


def _deck(rng, n_labels, size):
    """Return labels in random order, each once and the rest by a power law."""
    share = (np.arange(n_labels) + 10.0) ** -0.8
    extra = rng.multinomial(size - n_labels, share / share.sum())
    return rng.permutation(np.repeat(rng.permutation(n_labels), 1 + extra))


def _label_words(rng, n_labels, n_features):
    """Return the words of each label, a row of equal length each."""
    label = np.arange(n_labels)[:, None]
    group = label // GROUP
    groups = _common_words(rng, (n_labels // GROUP + 1, GROUP_POOL), n_features, 2)
    families = _common_words(rng, (len(groups) // FAMILY + 1, FAMILY_POOL), n_features, 2)
    own = _common_words(rng, (n_labels, OWN_WORDS), n_features, 1.5)
    of_group = rng.integers(GROUP_POOL, size=(n_labels, GROUP_WORDS))
    of_family = rng.integers(FAMILY_POOL, size=(n_labels, FAMILY_WORDS))
    return np.hstack([own, groups[group, of_group], families[group // FAMILY, of_family]])


def _common_words(rng, shape, n_features, power):
    """Draw words whose frequency falls with their number, the faster the higher the power."""
    return (n_features * rng.random(shape) ** power).astype(np.int32)


def _draw_words(rng, rows, labels, words, n_rows, n_features):
    """Return how often each word occurs in each row."""
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
