"""Label disentanglement: a label that means several things belongs to several clusters."""

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

#: A label belongs to this many clusters at most.
MOST_CLUSTERS = 6

#: Pairs of an example's label and a cluster in its beam that are counted at a time.
_BLOCK = 1 << 24


def disentangle(trainer, data, indexer, options, *, n_most, n_rounds, width):
    """Find the clusters of each label.

    Parameters
    ----------
    trainer : TreeTrainer
        Its memory keeps what a round finds, for any `n_most`.
    data : TrainingData
    indexer : estimator or LabelTree
    options : TrainingOptions
    n_most : int
        Number of clusters per label, at most.
    n_rounds : int
        How often a tree is trained and labels are moved.
    width : int
        Number of nodes kept per level while matching.

    Returns
    -------
    indexer : estimator or None
        The indexer as fitted in the first round.
    tree : LabelTree
        Not trained yet.

    References
    ----------
    .. [1] X. Liu, W.-C. Chang, H.-F. Yu, C.-J. Hsieh and I. S. Dhillon, "Label disentanglement in
       partition-based extreme multilabel classification", NeurIPS 34 (2021).
    """
    ignored = ["data", "trainer"]
    find = caching.cache(trainer.memory, _train_and_match, ignored)
    first_indexer = None
    for i in range(n_rounds):
        # A copy of a RandomState stays as it is, whether or not the memory has the result.
        fresh = copy.deepcopy(options)
        with progress.part(round_name(i, n_rounds)):
            found = find(trainer.key_of(data), data, indexer, fresh, width, trainer=trainer)
        fitted, tree, clusters = found
        if i == 0:
            first_indexer = fitted
        indexer = reassigned(tree, clusters, n_most)
    return first_indexer, indexer


def round_name(i, n_rounds):
    """Name the part of a fit that trains the tree after i rounds of n."""
    return f"tree {i + 1} of {n_rounds + 1}"


def estimated_rounds(n_rounds, seconds_training, seconds_matching):
    """Seconds that training and matching may take, round by round."""
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
    """Find the leaf clusters that most of each label's examples reach.

    Parameters
    ----------
    examples : Examples
    tree : LabelTree
    layers : list of Layer
        Trained on the examples.
    params : TrainParams
        What they were trained with.
    width : int
        Nodes kept per level while matching.
    n_jobs : int, optional

    Returns
    -------
    clusters : ndarray of int32, shape (n_labels, MOST_CLUSTERS)
        Best first: by the weight of the label's examples that have the cluster in their beams, then
        by the sum of its scores there, then the lower cluster. Padded with -1.
    """
    if tree.n_levels == 1:  # all labels are in one cluster
        return np.full((tree.n_labels, MOST_CLUSTERS), -1, dtype=np.int32)
    above = [matching.matcher_layer(layer, examples.X.shape[1], params) for layer in layers[:-1]]
    options = {"n_jobs": n_jobs, "what": matching.PHASE}
    matched = matching.beams(examples, above, params.loss, width, **options)
    return most_matched(examples.Y, matched, examples.weight)


def most_matched(Y, matched, weight=None):
    """Do the same, given the beams as a matrix (n_examples, n_clusters) of scores."""
    weight = np.ones(Y.shape[0]) if weight is None else weight.astype(np.float64)
    # One product counts and, to decide ties, adds scores.
    votes = matched.data.astype(np.complex128) * 1j + 1
    votes *= np.repeat(weight, np.diff(matched.indptr))
    matched = sp.csr_matrix((votes, matched.indices, matched.indptr), shape=matched.shape)
    pointers, rows = csr_transpose(Y)
    ones = np.ones(len(rows))
    of_label = sp.csr_matrix((ones, rows, pointers), shape=Y.shape[::-1])
    longest = max(1, int(np.diff(matched.indptr).max(initial=0)))
    blocks = np.searchsorted(pointers, np.arange(0, pointers[-1], max(1, _BLOCK // longest)))
    edges = np.unique([0, *blocks, Y.shape[1]])
    parts = [_best_of_rows(of_label[lo:hi] @ matched) for lo, hi in pairwise(edges)]
    return np.concatenate(parts)


def _best_of_rows(votes):
    """The MOST_CLUSTERS best columns of each row: the largest real part, then imaginary part."""
    rows = row_of_entries(votes)
    order = np.lexsort((votes.indices, -votes.data.imag, -votes.data.real, rows))
    place = np.arange(len(rows)) - votes.indptr[rows]
    kept = place < MOST_CLUSTERS
    best = np.full((votes.shape[0], MOST_CLUSTERS), -1, dtype=np.int32)
    best[rows[kept], place[kept]] = votes.indices[order][kept]
    return best


def reassigned(tree, clusters, n_most):
    """Move labels into the clusters that they were matched with.

    Parameters
    ----------
    tree : LabelTree
    clusters : ndarray of int, shape (n_labels, at least n_most)
        As of `matched_clusters`.
    n_most : int
        Clusters per label.

    Returns
    -------
    tree : LabelTree
        With the same nodes above the slots. A label that was matched with none stays where it was.
    """
    taken = clusters[:, :n_most]
    matched = taken[:, 0] >= 0
    stays = ~matched[tree.slot_label]
    label, _ = np.nonzero(taken >= 0)
    label = np.concatenate((label, tree.slot_label[stays]))
    cluster = np.concatenate((taken[taken >= 0], tree.parents(tree.n_levels)[stays]))
    pointers = group_pointers(cluster, tree.n_nodes(tree.n_levels - 1))
    return LabelTree([*tree.child_ptr[:-1], pointers], label[np.lexsort((label, cluster))])
