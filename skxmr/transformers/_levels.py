"""The levels of the preliminary tree that an encoder is fine-tuned on, coarse to fine."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._ranking.base import SearchOptions
from .._ranking.batch import rank_all
from .._ranking.post_processors import POST_PROCESSORS
from .._ranking.tree_ranker import TreeRanker
from .._utils.pairs import ranking_csr

#: Levels with fewer clusters are too easy to learn from.
_FEWEST_CLUSTERS = 32


class Level(NamedTuple):
    """The clusters of one level, and what each row learns from.

    Attributes
    ----------
    relevance : csr_matrix of float32, shape (n_rows, n_clusters)
        The positives of each row and their costs. The costs of a row have the mean 1.
    candidates : csr_matrix of float32, shape (n_rows, n_clusters), or None
        The positives and the negatives of each row. None: all clusters.
    """

    relevance: sp.csr_matrix
    candidates: sp.csr_matrix | None

    @property
    def n_clusters(self):
        """Number of clusters."""
        return self.relevance.shape[1]

    def rows(self, rows):
        """Return the level of some of the rows."""
        candidates = None if self.candidates is None else self.candidates[rows]
        return Level(self.relevance[rows], candidates)


def tree_levels(matcher, X, Y, *, width, max_clusters, n_jobs):
    """Return the levels for the objective "tree", in which rows learn from the beam of a matcher.

    Parameters
    ----------
    matcher : XRLinearClassifier
        Fitted to `X` and `Y`, with one tree and one cluster per label, without neighbors.
    X : csr_matrix of float32, shape (n_rows, n_features)
    Y : csr_matrix of float32, shape (n_rows, n_labels)
    width : int
        Number of nodes in the beam.
    max_clusters : int
        Levels with more nodes are left out, unless there are no others.
    n_jobs : int or None

    Returns
    -------
    levels : list of Level
        From coarse to fine.
    """
    tree = matcher.tree_
    sizes = [tree.n_nodes(level) for level in range(tree.n_levels + 1)]
    chosen = [
        level
        for level in range(1, tree.n_levels + 1)
        if _FEWEST_CLUSTERS <= sizes[level] <= max_clusters
    ]
    levels = []
    for level in chosen or [1]:
        relevance = _costs(Y, tree, level)
        candidates = None
        if sizes[level] > width:
            beams = _beams(matcher, X, level, width, n_jobs)
            candidates = _union(beams, relevance)
        levels.append(Level(relevance, candidates))
    return levels


def flat_level(tree, Y, max_clusters):
    """Return the level for the objective "flat": the finest one, with all clusters."""
    sizes = [tree.n_nodes(level) for level in range(tree.n_levels + 1)]
    fitting = [level for level in range(1, tree.n_levels) if sizes[level] <= max_clusters]
    return Level(_costs(Y, tree, max(fitting, default=1)), None)


def _costs(Y, tree, level):
    """Return the costs of positives: the numbers of labels of the row below each node, scaled."""
    node = tree.slot_label if level == tree.n_levels else None
    if node is not None:
        below = sp.csr_matrix(Y[:, node], dtype=np.float32)
    else:
        node_of_label = tree.leaf_clusters
        for upper in range(tree.n_levels - 1, level, -1):
            node_of_label = tree.parents(upper)[node_of_label]
        ones = np.ones(len(node_of_label), dtype=np.float32)
        entries = (ones, (np.arange(len(node_of_label)), node_of_label))
        members = sp.csr_matrix(entries, shape=(len(node_of_label), tree.n_nodes(level)))
        below = sp.csr_matrix(Y @ members, dtype=np.float32)
    below.sort_indices()
    lengths = np.diff(below.indptr)
    sums = np.asarray(below.sum(axis=1)).ravel()
    scale = np.divide(lengths, sums, out=np.zeros(len(sums)), where=sums > 0)
    below.data *= np.repeat(scale, lengths).astype(np.float32)
    return below


def _beams(matcher, X, level, width, n_jobs):
    """Return the nodes of a level that the search of the matcher reaches for each row."""
    ranker = matcher._fitted.rankers[0]
    n_nodes = matcher.tree_.n_nodes(level)
    nodes = np.arange(n_nodes, dtype=np.int32)
    upper = TreeRanker(ranker.layers[:level], nodes, n_nodes, X.shape[1])
    options = SearchOptions(width, POST_PROCESSORS["l3-hinge"])
    reached, scores = rank_all(upper, X, width, options, n_jobs=n_jobs, what="matching rows")
    return ranking_csr(reached, scores, n_nodes)


def _union(beams, relevance):
    """Return a matrix with the entries of both, all of them 1."""
    both = [
        sp.csr_matrix((np.ones(m.nnz, dtype=np.float32), m.indices, m.indptr), shape=m.shape)
        for m in (beams, relevance)
    ]
    union = sp.csr_matrix(both[0] + both[1])
    union.sort_indices()
    union.data[:] = 1
    return union
