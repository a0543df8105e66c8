"""The phases of a fit, and estimates of their duration."""

import numpy as np

from .._data.label_embeddings import EMBEDDING_COST, EMBEDDING_PHASE
from .._training import matching, trainer
from .._training.disentangle import estimated_rounds
from ..indexers._base import CLUSTERING_COST, CLUSTERING_PHASE, takes_text, tree_depth
from ..tree import LabelTree
from ._params import DEFAULT_INDEXER, n_reassignments


def estimated_phases(classifier, examples, indexer):
    """Return the seconds that each phase of a fit may take.

    Parameters
    ----------
    classifier : XRLinearClassifier
    examples : Examples
    indexer : estimator or LabelTree

    Returns
    -------
    phases : dict of str to float
    """
    lengths = np.diff(examples.X.indptr)[examples.source] + 1
    n_entries = int(lengths.sum())
    n_summed = int((lengths * np.diff(examples.Y.indptr)).sum())
    n_levels = tree_depth(
        examples.Y.shape[1], DEFAULT_INDEXER.branching, DEFAULT_INDEXER.max_leaf_size
    )
    training = trainer.COST * (100 * n_levels * n_entries + 90 * n_summed)
    phases = {}
    if not isinstance(indexer, LabelTree):
        if not takes_text(indexer):
            phases[EMBEDDING_PHASE] = EMBEDDING_COST * n_summed
        phases[CLUSTERING_PHASE] = CLUSTERING_COST * n_summed * n_levels
    n_rounds = n_reassignments(classifier)
    if n_rounds:
        phases |= estimated_rounds(n_rounds, training, matching.COST * n_entries * n_levels)
    else:
        phases[trainer.PHASE] = training
    return repeated(phases, int(classifier.n_trees))


def repeated(phases, n_trees):
    """Return the same phases for each of several trees."""
    if n_trees == 1:
        return phases
    names = [tree_name(t, n_trees) for t in range(n_trees)]
    return {f"{phase}, {name}": s for name in names for phase, s in phases.items()}


def tree_name(t, n_trees):
    """Return the name of the part of a fit that trains one of several trees."""
    return f"member {t + 1} of {n_trees}"
