"""Training of the trees of XRLinearClassifier by its parameters."""

import numpy as np

from .._training import matching
from .._training.disentangle import disentangle, round_name
from .._training.negatives import needs_matcher, sampling_of
from .._training.trees import TrainingOptions
from .._utils import progress
from ._cache import CACHED_THRESHOLD
from ._params import DEFAULT_INDEXER, n_reassignments, train_params, tree_seeds
from ._progress import tree_name


def indexer_of(classifier):
    """Return the indexer that the parameters give, or the default."""
    return DEFAULT_INDEXER if classifier.indexer is None else classifier.indexer


def train_all(classifier, data, columns, trainer):
    """Train every tree."""
    n_trees = int(classifier.n_trees)
    seeds = tree_seeds(classifier.random_state, n_trees)
    if n_trees == 1:
        return [train_tree(classifier, data, columns, trainer, seeds[0])]
    trained = []
    for t, seed in enumerate(seeds):
        with progress.part(tree_name(t, n_trees)):
            trained.append(train_tree(classifier, data, columns, trainer, seed))
    return trained


def ranker_of(classifier, data, columns, trainer):
    """Train one tree, and return its ranker."""
    seed = classifier.random_state
    return train_tree(classifier, data, columns, trainer, seed).ranker(columns.n_in_trees)


def train_tree(classifier, data, columns, trainer, random_state):
    """Train one tree, disentangle its labels if that is asked for, and prune its weights."""
    has_memory = classifier.memory is not None
    needs_search = needs_matcher(classifier.negative_sampling)
    threshold = _training_threshold(classifier, has_memory, needs_search)
    weight_dtype = "float32" if has_memory or needs_search else classifier.weight_dtype
    options = TrainingOptions(
        classifier.label_embedding,
        train_params(classifier, threshold, columns.n_dense_in_trees),
        sampling_of(classifier.negative_sampling, classifier.training_beam_width),
        weight_dtype,
        random_state,
    )
    n_rounds = n_reassignments(classifier)
    indexer = indexer_of(classifier)
    if n_rounds:
        first_indexer, indexer = disentangle(
            trainer,
            data,
            indexer,
            _options_of_rounds(options, has_memory),
            n_most=int(classifier.max_clusters_per_label),
            n_rounds=n_rounds,
            width=int(classifier.training_beam_width),
        )
    with progress.part(round_name(n_rounds, n_rounds)):
        trained = trainer.train(data, indexer, options)
    if n_rounds:
        trained = trained._replace(indexer=first_indexer)
    if (threshold, weight_dtype) == (classifier.prune_threshold, classifier.weight_dtype):
        return trained
    pruned = [
        layer.prune(
            columns.n_in_trees,
            classifier.prune_threshold,
            classifier.bias,
            classifier.weight_dtype,
            trainer.make_array,
        )
        for layer in trained.layers
    ]
    return trained._replace(layers=pruned)


def _options_of_rounds(options, has_memory):
    """Return the options of the trees that labels are moved by."""
    if has_memory and options.params.threshold < matching.THRESHOLD:
        return options  # the memory has the tree for other parameters, too
    params = options.params._replace(threshold=matching.THRESHOLD)
    return options._replace(params=params, weight_dtype="float32")


def _training_threshold(classifier, has_memory, needs_search):
    """Return the threshold to train with. With a memory it serves many to prune with later."""
    if has_memory:
        return CACHED_THRESHOLD if classifier.prune_threshold >= CACHED_THRESHOLD else 0.0
    most = matching.THRESHOLD if needs_search else np.inf
    return float(min(classifier.prune_threshold, most))
