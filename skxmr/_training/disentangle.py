"""Label disentanglement: the assignment of ambiguous labels to several clusters."""

import copy
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from .._core import csr_transpose
from .._utils import caching, progress
from .._utils.pairs import row_of_entries
from .._utils.sparse import group_pointers
from ..tree import LabelTree
from . import matching
from .trainer import PHASE as TRAINING_PHASE

#: Maximum number of clusters per label.
MOST_CLUSTERS = 6

#: Number of pairs (label of an example, cluster in its beam) that are counted at a time.
_BLOCK = 1 << 24


def disentangle(trainer, data, indexer, options, *, n_most, n_rounds, width):
    """Find the clusters of each label.

    Parameters
    ----------
    trainer : TreeTrainer
        Its memory stores the result of each round. The result does not depend on `n_most`.
    data : TrainingData
    indexer : estimator or LabelTree
    options : TrainingOptions
    n_most : int
        Maximum number of clusters per label.
    n_rounds : int
        Number of rounds, at least 1.
    width : int
        Number of nodes kept per level while matching.

    Returns
    -------
    indexer : estimator or None
        The fitted indexer of the first round.
    tree : LabelTree
        The tree with the clusters found. It has no layers yet.

    References
    ----------
    .. [1] X. Liu, W.-C. Chang, H.-F. Yu, C.-J. Hsieh and I. S. Dhillon, "Label disentanglement in
       partition-based extreme multilabel classification", NeurIPS 34 (2021).
    """
    train_and_match = caching.cache(trainer.memory, _train_and_match, ["data", "trainer"])
    first_indexer = None
    for i in range(n_rounds):
        # The given RandomState must not advance: it would if the memory has no result.
        options_copy = copy.deepcopy(options)
        key = trainer.key_of(data)
        with progress.part(round_name(i, n_rounds)):
            fitted, tree, clusters = train_and_match(
                key, data, indexer, options_copy, width, trainer=trainer
            )
        if i == 0:
            first_indexer = fitted
        indexer = reassigned(tree, clusters, n_most)
    return first_indexer, indexer


def round_name(i, n_rounds):
    """Return the name of the part of a fit that trains the tree after i rounds."""
    return f"tree {i + 1} of {n_rounds + 1}"


def estimated_rounds(n_rounds, seconds_training, seconds_matching):
    """Return the estimated seconds of each phase of all rounds, as a dict by name."""
    phases = {}
    for i in range(n_rounds + 1):
        name = round_name(i, n_rounds)
        phases[f"{TRAINING_PHASE}, {name}"] = seconds_training
        if i < n_rounds:
            phases[f"{matching.PHASE}, {name}"] = seconds_matching
    return phases


def _train_and_match(data_key, data, indexer, options, width, *, trainer):
    trained = trainer.train(data, indexer, options)
    clusters = matched_clusters(
        data.examples,
        trained.tree,
        trained.layers,
        options.params,
        width,
        n_jobs=trainer.n_jobs,
    )
    return trained.indexer, trained.tree, clusters


def matched_clusters(examples, tree, layers, params, width, *, n_jobs=None):
    """Find the leaf clusters that are reached by most examples of each label.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    layers : list of Layer
        The trained layers of the tree.
    params : TrainParams
        The parameters of their training.
    width : int
        Beam width of the matching.
    n_jobs : int, optional

    Returns
    -------
    clusters : ndarray of int32, shape (n_labels, MOST_CLUSTERS)
        Best first, padded with -1. The order is by the total weight of the examples of the label
        that have the cluster in their beams. Ties are broken by the weighted sum of the scores of
        the cluster in these beams, and then by the lower number of the cluster.
    """
    if tree.n_levels == 1:  # all labels are in one cluster
        return np.full((tree.n_labels, MOST_CLUSTERS), -1, dtype=np.int32)
    above = [matching.matcher_layer(layer, examples.X.shape[1], params) for layer in layers[:-1]]
    matched = matching.beams(
        examples, above, params.loss, width, n_jobs=n_jobs, what=matching.PHASE
    )
    return most_matched(examples.Y, matched, examples.weight)


def most_matched(Y, matched, weight=None):
    """Find the leaf clusters that are reached by most examples of each label, given the beams.

    Parameters
    ----------
    Y : csr_matrix of float32, shape (n_examples, n_labels)
        0/1 indicator.
    matched : csr_matrix of float32, shape (n_examples, n_clusters)
        Scores of the clusters in the beam of each example. A score may be a stored zero.
    weight : ndarray of float32, shape (n_examples,), optional
        Weights of the examples, above 0.

    Returns
    -------
    clusters : ndarray of int32, shape (n_labels, MOST_CLUSTERS)
        As returned by `matched_clusters`.
    """
    weight = np.ones(Y.shape[0]) if weight is None else weight.astype(np.float64)
    row_lengths = np.diff(matched.indptr)
    entry_weight = np.repeat(weight, row_lengths)
    weights = _with_data(matched, entry_weight)
    weighted_scores = _with_data(matched, entry_weight * matched.data)
    pointers, rows = csr_transpose(Y)
    examples_of = sp.csr_matrix((np.ones(len(rows)), rows, pointers), shape=Y.shape[::-1])
    longest = max(1, int(row_lengths.max(initial=0)))
    blocks = np.searchsorted(pointers, np.arange(0, pointers[-1], max(1, _BLOCK // longest)))
    edges = np.unique([0, *blocks, Y.shape[1]])
    parts = [
        _best_clusters(examples_of[begin:end] @ weights, examples_of[begin:end] @ weighted_scores)
        for begin, end in pairwise(edges)
    ]
    return np.concatenate(parts)


def _with_data(matrix, data):
    """Return a CSR matrix with the same pattern and other values."""
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _best_clusters(weights, scores):
    """Return the MOST_CLUSTERS best columns of each row: by weight, score and lower column.

    SciPy does not store sums that are 0, so `scores` may have fewer entries than `weights`.
    """
    best = np.full((weights.shape[0], MOST_CLUSTERS), -1, dtype=np.int32)
    if weights.nnz == 0:
        return best
    weights.sort_indices()
    scores.sort_indices()
    rows = row_of_entries(weights)
    entry_scores = np.asarray(scores[rows, weights.indices]).ravel()
    order = np.lexsort((-entry_scores, -weights.data, rows))  # stable: ties by lower column
    rank = np.arange(len(rows)) - weights.indptr[rows]
    kept = rank < MOST_CLUSTERS
    best[rows[kept], rank[kept]] = weights.indices[order][kept]
    return best


def reassigned(tree, clusters, n_most):
    """Move labels to their matched clusters.

    Parameters
    ----------
    tree : LabelTree
    clusters : ndarray of int, shape (n_labels, at least n_most)
        As returned by `matched_clusters`.
    n_most : int
        Maximum number of clusters per label.

    Returns
    -------
    tree : LabelTree
        A tree with the same nodes above the slots. A label without matched clusters keeps its
        clusters.
    """
    taken = clusters[:, :n_most]
    is_matched = taken[:, 0] >= 0
    stays = ~is_matched[tree.slot_label]
    matched_label, _ = np.nonzero(taken >= 0)
    label = np.concatenate((matched_label, tree.slot_label[stays]))
    cluster = np.concatenate((taken[taken >= 0], tree.parents(tree.n_levels)[stays]))
    pointers = group_pointers(cluster, tree.n_nodes(tree.n_levels - 1))
    return LabelTree([*tree.child_ptr[:-1], pointers], label[np.lexsort((label, cluster))])
