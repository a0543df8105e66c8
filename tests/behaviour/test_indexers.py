"""What every indexer does, whatever it builds the tree from."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skxmr import KMeansIndexer, LabelTree, TrieHybridIndexer, TrieIndexer
from skxmr.indexers._base import takes_text

TEXTS = [f"{a}{b} label {i}" for i, (a, b) in enumerate(np.ndindex(6, 7))]

INDEXERS = pytest.mark.parametrize(
    "indexer",
    [
        KMeansIndexer(branching=3, max_leaf_size=5, random_state=0),
        KMeansIndexer(branching=3, max_leaf_size=5, balanced=False, random_state=0),
        TrieIndexer(max_leaf_size=5),
        TrieHybridIndexer(1, 5, branching=3, random_state=0),
    ],
    ids=["balanced", "unbalanced", "trie", "hybrid"],
)


def labels_for(indexer, n=None):
    """The first n labels, or all, in the form that an indexer takes."""
    if takes_text(indexer):
        return TEXTS[:n]
    return np.random.default_rng(0).random((len(TEXTS), 8))[:n]


@INDEXERS
def test_the_tree_has_every_label_once(indexer):
    fitted = clone(indexer).fit(labels_for(indexer))
    assert isinstance(fitted.tree_, LabelTree)
    assert sorted(fitted.tree_.slot_label.tolist()) == list(range(len(TEXTS)))
    assert fitted.labels_.dtype == np.int32
    assert_array_equal(fitted.labels_, fitted.tree_.leaf_clusters)
    assert_array_equal(clone(indexer).fit_predict(labels_for(indexer)), fitted.labels_)


@INDEXERS
def test_new_labels_go_into_leaf_clusters_at_a_distance(indexer):
    fitted = clone(indexer).fit(labels_for(indexer, 30))
    clusters = fitted.predict(labels_for(indexer))
    assert clusters.dtype == np.int32
    assert clusters.shape == (len(TEXTS),)
    assert clusters.min() >= 0
    assert clusters.max() < fitted.tree_.n_nodes(fitted.tree_.n_levels - 1)
    score = fitted.score(labels_for(indexer))
    assert isinstance(score, float)
    assert score <= 0
    assert score <= fitted.score(labels_for(indexer, 30))


@INDEXERS
def test_nothing_is_found_before_fit(indexer):
    for method in ("predict", "score"):
        with pytest.raises(NotFittedError):
            getattr(clone(indexer), method)(labels_for(indexer))


@INDEXERS
def test_a_fit_that_fails_changes_nothing(indexer):
    fitted = clone(indexer).fit(labels_for(indexer))
    before = dict(vars(fitted))
    wrong = [None, "a"] if takes_text(indexer) else [[np.nan, 1.0]]
    with pytest.raises((TypeError, ValueError)):
        fitted.fit(wrong)
    assert vars(fitted) == before
