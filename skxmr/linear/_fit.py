"""Fitting of XRLinearClassifier: from X and y to a FittedState."""

from functools import cache, partial

import numpy as np

from .._data.training_data import TrainingData
from .._ranking.base import SearchOptions
from .._ranking.ensemble import EnsembleCache, NeighborWeighting
from .._ranking.neighbors import make_neighbor_rows
from .._ranking.post_processors import POST_PROCESSORS, without_logarithm
from .._training import matching
from .._training.disentangle import disentangle, round_name
from .._training.held_out import hold_out
from .._training.negatives import needs_matcher, sampling_of
from .._training.trees import TrainingOptions, TreeTrainer
from .._training.tune_neighbors import choose_weighting
from .._training.tune_threshold import choose_threshold
from .._utils import caching, progress
from .._utils.named_targets import named_targets
from .._utils.targets import check_features_and_targets, encode_targets
from ._cache import CACHED_THRESHOLD, FitResult, keys_of
from ._fitted import FittedState, Names
from ._inputs import prepare
from ._params import (
    DEFAULT_INDEXER,
    given_weighting,
    is_auto,
    n_reassignments,
    train_params,
    tree_seeds,
)
from ._progress import estimated_phases, tree_name

#: Number of neighbors if there are too few rows to choose it.
_DEFAULT_N_NEIGHBORS = 20


def fitted_state(classifier, X, y, given):
    """Fit to X and y.

    Parameters
    ----------
    classifier : XRLinearClassifier
        With valid parameters, and not used for anything else: `n_features_in_` and
        `feature_names_in_` are set on it.
    X, y : as fit takes them
    given : FitInput

    Returns
    -------
    state : FittedState
    """
    named = named_targets(y, given.label_names)
    X, y = check_features_and_targets(classifier, X, named.y)
    given = given.listed()
    keys = keys_of(classifier, [X, y, *given, named.names, named.container])
    # They are prepared only if the memory does not have the result.
    targets = cache(partial(encode_targets, y, named.names, named.container))
    data = TrainingData(partial(prepare, classifier, X, targets, given), keys.data)
    memory = caching.open_memory(classifier.memory)
    trainer = TreeTrainer(memory, classifier.n_jobs)
    if keys.result is None:
        learned = _learn(classifier, data, targets, X.shape, trainer)
    else:
        learn = partial(_learn, classifier, data, targets, X.shape, trainer)
        learned = caching.recall(memory, keys.result, keys.training, learn)
    weighting = (
        learned.weighting if is_auto(classifier.n_neighbors) else given_weighting(classifier)
    )
    neighbors = None
    if weighting is not None:  # the same rows for every threshold and type of weights
        make = partial(_neighbor_rows, data)
        neighbors = caching.recall(memory, keys.data, keys.data, make)
    names = getattr(classifier, "feature_names_in_", None)
    return FittedState(
        trees=tuple(learned.trees),
        rankers=tuple(learned.rankers),
        indexer=learned.indexer,
        neighbors=neighbors,
        weighting=weighting,
        classes=Names(values=learned.classes),
        container=learned.container,
        n_iter=learned.n_iter,
        n_features=X.shape[1],
        feature_names=None if names is None else Names(values=names),
        ensembles=EnsembleCache(),
        threshold=learned.threshold if is_auto(classifier.threshold) else _number(classifier),
    )


def _number(classifier):
    """Return the threshold that is given, as one type."""
    return None if classifier.threshold is None else float(classifier.threshold)


def _neighbor_rows(data):
    return make_neighbor_rows(data.examples)


def _learn(classifier, data, targets, shape, trainer):
    """Train all trees, and choose the parameters that fit is to choose."""
    estimated = {}
    if classifier.verbose:
        estimated = estimated_phases(classifier, data.examples, _indexer(classifier))
    with progress.reporting("fitting", estimated, classifier.verbose):
        weighting, threshold = _choose(classifier, data, targets, shape, trainer)
        trained = _train_all(classifier, data, shape[1], trainer)
    classes = targets().classes
    if classes is None:
        classes = np.arange(targets().indicator.shape[1])
    return FitResult(
        trees=[t.tree for t in trained],
        rankers=[t.ranker(shape[1]) for t in trained],
        weighting=weighting,
        threshold=threshold,
        classes=classes,
        container=targets().container,
        n_iter=max(t.n_iter for t in trained),
        indexer=trained[0].indexer,
    )


def _indexer(classifier):
    return DEFAULT_INDEXER if classifier.indexer is None else classifier.indexer


def _choose(classifier, data, targets, shape, trainer):
    """Return the settings of the neighbors and the threshold that are "auto".

    Settings that are given are returned as they are. A threshold that is given is not returned. It
    has no effect on what is cached.
    """
    weighting = given_weighting(classifier)
    needs_weighting = is_auto(classifier.n_neighbors)
    needs_threshold = is_auto(classifier.threshold) and targets().container != "classes"
    if not needs_weighting and not needs_threshold:
        return weighting, None
    n_rows, n_features = shape

    def train(examples):
        part = TrainingData(lambda: data.with_examples(examples))
        seed = classifier.random_state
        return _train_tree(classifier, part, n_features, trainer, seed).ranker(n_features)

    with progress.part(f"to tune {'nearest neighbors' if needs_weighting else 'the threshold'}"):
        held_out = hold_out(data.examples, n_rows, train)
    if needs_weighting:
        weighting = _choose_weighting(classifier, held_out)
    threshold = None
    if needs_threshold and held_out is not None:
        options = SearchOptions(
            int(classifier.beam_width), POST_PROCESSORS[classifier.post_processor]
        )
        threshold = choose_threshold(held_out, weighting, options)
    return weighting, threshold


def _choose_weighting(classifier, held_out):
    """Return the settings of the nearest neighbors that rank best, or None."""
    if held_out is None:
        return NeighborWeighting(
            _DEFAULT_N_NEIGHBORS,
            float(classifier.neighbor_power),
            float(classifier.neighbor_weight),
        )
    post_processor = POST_PROCESSORS[classifier.post_processor]
    if not post_processor.can_be_combined:  # may be changed after fit
        post_processor = POST_PROCESSORS["l3-hinge"]
    options = SearchOptions(int(classifier.beam_width), without_logarithm(post_processor))
    return choose_weighting(held_out, options)


def _train_all(classifier, data, n_features, trainer):
    """Train every tree."""
    n_trees = int(classifier.n_trees)
    seeds = tree_seeds(classifier.random_state, n_trees)
    if n_trees == 1:
        return [_train_tree(classifier, data, n_features, trainer, seeds[0])]
    trained = []
    for t, seed in enumerate(seeds):
        with progress.part(tree_name(t, n_trees)):
            trained.append(_train_tree(classifier, data, n_features, trainer, seed))
    return trained


def _train_tree(classifier, data, n_features, trainer, random_state):
    """Train one tree, disentangle its labels if that is asked for, and prune its weights."""
    has_memory = classifier.memory is not None
    needs_search = needs_matcher(classifier.negative_sampling)
    threshold = _training_threshold(classifier, has_memory, needs_search)
    weight_dtype = "float32" if has_memory or needs_search else classifier.weight_dtype
    options = TrainingOptions(
        classifier.label_embedding,
        train_params(classifier, threshold),
        sampling_of(classifier.negative_sampling, classifier.training_beam_width),
        weight_dtype,
        random_state,
    )
    n_rounds = n_reassignments(classifier)
    indexer = _indexer(classifier)
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
            n_features, classifier.prune_threshold, classifier.bias, classifier.weight_dtype
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
