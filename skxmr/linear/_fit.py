"""Fitting of XRLinearClassifier: from X and y to a FittedState."""

import copy
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from .._data.features import dense_columns_of, with_leading_columns
from .._data.training_data import TrainingData
from .._ranking.base import SearchOptions
from .._ranking.ensemble import EnsembleCache, NeighborWeighting
from .._ranking.neighbors import make_embedding_rows, make_neighbor_rows
from .._ranking.post_processors import POST_PROCESSORS, without_logarithm
from .._training.held_out import LARGE, hold_out
from .._training.trees import TreeTrainer
from .._training.tune_neighbors import choose_dense_weighting, choose_weighting
from .._training.tune_threshold import choose_threshold
from .._utils import caching, progress
from .._utils.named_targets import named_targets
from .._utils.targets import check_features_and_targets, encode_targets
from ._cache import FitResult, keys_of
from ._fitted import FittedState, Names
from ._inputs import prepare
from ._params import given_dense_weighting, given_weighting, is_auto
from ._progress import estimated_phases
from ._trees import indexer_of, ranker_of, train_all

#: Numbers of neighbors if there are too few rows to choose them.
_DEFAULT_N_NEIGHBORS = 20
_DEFAULT_N_DENSE_NEIGHBORS = 50


def fitted_state(classifier, X, y, given, files=None):
    """Fit to X and y.

    Parameters
    ----------
    classifier : XRLinearClassifier
        With valid parameters, and not used for anything else: `n_features_in_` and
        `feature_names_in_` are set on it.
    X, y : as fit takes them
    given : FitInput
    files : ArrayFiles, optional
        Where the weights are written to while they are trained.

    Returns
    -------
    state : FittedState
    """
    named = named_targets(y, given.label_names)
    X, y = check_features_and_targets(classifier, X, named.y)
    given = given.listed()
    X, columns = dense_columns_of(X, classifier.dense_columns, classifier.dense_use)
    keys = keys_of(classifier, [X, y, *given, named.names, named.container], columns)
    # The targets and the data are prepared only if the memory does not have the result.
    targets = cache(partial(encode_targets, y, named.names, named.container))
    data = TrainingData(partial(prepare, classifier, X, targets, given, columns), keys.data)
    memory = caching.open_memory(classifier.memory)
    trainer = TreeTrainer(memory, classifier.n_jobs, files)
    if keys.result is None:
        learned = _learn(classifier, data, targets, X.shape[0], columns, trainer)
    else:
        learn = partial(_learn, classifier, data, targets, X.shape[0], columns, trainer)
        learned = caching.recall(memory, keys.result, keys.training, learn)
    weighting = (
        learned.weighting if is_auto(classifier.n_neighbors) else given_weighting(classifier)
    )
    if columns.n_of_neighbors == 0:
        weighting = None
    neighbors = None
    if weighting is not None:  # the same rows for every threshold and type of weights
        make = partial(_neighbor_rows, data, columns, trainer.make_array)
        neighbors = caching.recall(memory, keys.data, keys.data, make)
        neighbors.key = keys.data
    dense_weighting = None
    embeddings = None
    if columns.are_embeddings:
        dense_weighting = given_dense_weighting(classifier)
        if is_auto(classifier.n_dense_neighbors):
            dense_weighting = learned.dense_weighting
    if dense_weighting is not None:
        make = partial(_embedding_rows, data, columns)
        embeddings = caching.recall(memory, keys.embeddings, keys.embeddings, make)
    names = getattr(classifier, "feature_names_in_", None)
    return FittedState(
        trees=tuple(learned.trees),
        rankers=tuple(learned.rankers),
        indexer=copy.copy(learned.indexer),  # other fits may get the same result from the memory
        neighbors=neighbors,
        weighting=weighting,
        embeddings=embeddings,
        dense_weighting=dense_weighting,
        columns=columns if columns.n_dense else None,
        classes=Names(values=_unshared(learned.classes)),
        container=learned.container,
        n_iter=learned.n_iter,
        n_features=X.shape[1],
        feature_names=None if names is None else Names(values=names),
        ensembles=EnsembleCache(),
        threshold=learned.threshold if is_auto(classifier.threshold) else _number(classifier),
        loss=classifier.loss,
    )


def _unshared(array):
    """Return the array, or a copy if it could be changed. A memory may return it once more."""
    return array.copy() if array.flags.writeable else array


def _number(classifier):
    """Return the threshold that is given, as one type."""
    return None if classifier.threshold is None else float(classifier.threshold)


def _neighbor_rows(data, columns, make_array):
    examples = with_leading_columns(data.examples, columns.n_of_neighbors)
    return make_neighbor_rows(examples, make_array)


def _embedding_rows(data, columns):
    return make_embedding_rows(data.embedded, columns.n_dense)


def _learn(classifier, data, targets, n_rows, columns, trainer):
    """Train all trees, and choose the parameters that fit is to choose."""
    estimated = {}
    if classifier.verbose:
        estimated = estimated_phases(classifier, data.examples, indexer_of(classifier))
    with progress.reporting("fitting", estimated, classifier.verbose):
        training = _Training(classifier, data, n_rows, columns, trainer)
        chosen = _choose(classifier, training, targets, columns)
        trained = training.result()
    classes = targets().classes
    if classes is None:
        classes = np.arange(targets().indicator.shape[1])
    return FitResult(
        trees=[t.tree for t in trained],
        rankers=[t.ranker(columns.n_in_trees) for t in trained],
        weighting=chosen.weighting,
        dense_weighting=chosen.dense_weighting,
        threshold=chosen.threshold,
        classes=classes,
        container=targets().container,
        n_iter=max(t.n_iter for t in trained),
        indexer=trained[0].indexer,
    )


class _Chosen(NamedTuple):
    """Settings of the neighbors, and the threshold if fit chose it."""

    weighting: NeighborWeighting | None
    dense_weighting: NeighborWeighting | None
    threshold: float | None = None


class _Training:
    """The training of a fit, which leaves examples out if parameters are chosen on these.

    With few rows, one tree is trained for the choice, and all trees are then trained on all rows.
    With many, the trees are trained once, without the examples held out.
    """

    def __init__(self, classifier, data, n_rows, columns, trainer):
        self._classifier = classifier
        self._data = data
        self._n_rows = n_rows
        self._columns = columns
        self._trainer = trainer
        self._trained = None

    def hold_out(self, what):
        """Return the HeldOut for the choice of `what`, or None if there are too few rows."""
        if self._n_rows >= LARGE:
            return self._held_out(self._train_finally)
        with progress.part(f"to tune {what}"):
            return self._held_out(self._train_once)

    def result(self):
        """Return the Trained of each tree."""
        if self._trained is None:
            self._trained = self._train_all(self._data)
        return self._trained

    def _held_out(self, train):
        data = self._data
        return hold_out(data.examples, self._n_rows, train, self._columns, data.embedded)

    def _train_once(self, examples):
        return [ranker_of(self._classifier, self._part(examples), self._columns, self._trainer)]

    def _train_finally(self, examples):
        self._trained = self._train_all(self._part(examples))
        return [trained.ranker(self._columns.n_in_trees) for trained in self._trained]

    def _part(self, examples):
        return TrainingData(partial(self._data.with_examples, examples))

    def _train_all(self, data):
        return train_all(self._classifier, data, self._columns, self._trainer)


def _choose(classifier, training, targets, columns):
    """Return the settings of the neighbors and the threshold that are "auto".

    Settings that are given are returned as they are. A threshold that is given is not returned. It
    has no effect on what is cached.
    """
    weighting = given_weighting(classifier) if columns.n_of_neighbors else None
    dense_weighting = given_dense_weighting(classifier) if columns.are_embeddings else None
    chosen = _Chosen(weighting, dense_weighting)
    needs_weighting = is_auto(classifier.n_neighbors) and columns.n_of_neighbors > 0
    needs_dense = is_auto(classifier.n_dense_neighbors) and columns.are_embeddings
    needs_threshold = is_auto(classifier.threshold) and targets().container != "classes"
    if not (needs_weighting or needs_dense or needs_threshold):
        return chosen
    what = "nearest neighbors" if needs_weighting or needs_dense else "the threshold"
    held_out = training.hold_out(what)
    if needs_weighting:
        chosen = chosen._replace(weighting=_choose_weighting(classifier, held_out))
    if needs_dense:
        dense_weighting = _choose_dense_weighting(classifier, held_out, chosen.weighting)
        chosen = chosen._replace(dense_weighting=dense_weighting)
    if needs_threshold and held_out is not None:
        options = SearchOptions(
            int(classifier.beam_width), POST_PROCESSORS[classifier.post_processor]
        )
        threshold = choose_threshold(
            held_out,
            options,
            weighting=chosen.weighting,
            dense_weighting=chosen.dense_weighting,
            among_all=classifier.dense_candidates == "all",
        )
        chosen = chosen._replace(threshold=threshold)
    return chosen


def _choose_weighting(classifier, held_out):
    """Return the settings of the nearest neighbors that rank best, or None."""
    if held_out is None:
        return NeighborWeighting(
            _DEFAULT_N_NEIGHBORS,
            float(classifier.neighbor_power),
            float(classifier.neighbor_weight),
        )
    return choose_weighting(held_out, _options_without_logarithm(classifier))


def _choose_dense_weighting(classifier, held_out, weighting):
    """Return the settings of the neighbors by embeddings that rank best, or None."""
    if held_out is None:
        return NeighborWeighting(
            _DEFAULT_N_DENSE_NEIGHBORS,
            float(classifier.dense_neighbor_power),
            float(classifier.dense_neighbor_weight),
        )
    return choose_dense_weighting(
        held_out,
        weighting,
        _options_without_logarithm(classifier),
        among_all=classifier.dense_candidates == "all",
    )


def _options_without_logarithm(classifier):
    post_processor = POST_PROCESSORS[classifier.post_processor]
    if not post_processor.can_be_combined:  # may be changed after fit
        post_processor = POST_PROCESSORS["l3-hinge"]
    return SearchOptions(int(classifier.beam_width), without_logarithm(post_processor))
