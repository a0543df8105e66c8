"""Rows and labels that a fitted XRLinearClassifier learns later."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from .._data.examples import distinct_examples
from .._data.features import leading_columns
from .._ranking.ensemble import EnsembleCache
from .._ranking.neighbors import join_neighbor_rows, update_neighbor_rows
from .._training import matching, trainer
from .._training.negatives import sampling_of
from .._training.new_labels import (
    assign_by_indexer,
    assign_by_search,
    check_indexer_assigns,
    extended_classes,
    extended_columns,
    extended_lists,
    extended_ranker,
    extended_tree,
    rows_with,
    warn_of_absent,
)
from .._utils import progress
from .._utils.cloning import draw_seed
from .._utils.matrices import check_features
from .._utils.named_targets import aligned_frame, checked_names, is_frame, lists_for
from .._utils.targets import check_classes, known_truth
from .._utils.texts import check_texts
from .._utils.weights import check_sample_weight
from ..indexers._base import takes_text
from ._fitted import Names, check_loss_of_fit
from ._inputs import check_label_features, check_label_text, check_texts_suffice, without_flags
from ._params import train_params, tree_seeds
from ._progress import repeated, tree_name


class Placement(NamedTuple):
    """How the clusters of new labels are found, and what is trained.

    Attributes
    ----------
    by_indexer : bool
        Whether the indexer finds the clusters, instead of the search.
    n_clusters : int
        Clusters per label that the search finds, at most.
    retrain_siblings : bool
        Whether the known labels of these clusters are trained again.
    label_features, label_text : object
        Of the new labels, for the indexer; not checked yet.
    label_names : object
        Of the new columns; not checked yet.
    """

    by_indexer: bool
    n_clusters: int
    retrain_siblings: bool
    label_features: object
    label_text: object
    label_names: object


def with_more_rows(classifier, X, y, sample_weight):
    """Return the FittedState with more rows for nearest neighbors.

    Parameters
    ----------
    classifier : XRLinearClassifier
        Fitted.
    X, y, sample_weight
        As `add_neighbors` takes them.
    """
    fitted = classifier._fitted
    if fitted.neighbors is None and fitted.embeddings is None:
        raise ValueError("add_neighbors needs a model fitted with n_neighbors, got None")
    X = check_features(classifier, X, reset=False)
    Y = _known_indicator(classifier, y, X.shape[0])
    weight = check_sample_weight(sample_weight, X.shape[0])
    added = {}
    for kind, rows in fitted.neighbors_by_kind.items():
        part = leading_columns(without_flags(X), rows.n_features)
        added[kind] = join_neighbor_rows(rows, distinct_examples(part, Y, weight))
    return fitted._replace(**added, ensembles=EnsembleCache())


def _known_indicator(classifier, y, n_rows):
    """Return new targets as a matrix with a column for each known label."""
    if classifier.multilabel_:
        return known_truth(classifier, y, n_rows)
    Y = known_truth(classifier, check_classes(y), n_rows)
    if not np.diff(Y.indptr).all():
        raise ValueError("y must hold classes that fit has seen, got others")
    return Y


def with_more_labels(classifier, X, y, sample_weight, placement):
    """Return the FittedState with more labels.

    Parameters
    ----------
    classifier : XRLinearClassifier
        Fitted, with valid parameters.
    X, y, sample_weight
        As `add_labels` takes them.
    placement : Placement
    """
    fitted = classifier._fitted
    check_loss_of_fit(classifier)
    X = check_features(classifier, X, reset=False)
    weight = check_sample_weight(sample_weight, X.shape[0], classifier.C)
    targets = _extended_targets(classifier, y, X.shape[0], placement.label_names)
    X = without_flags(X)
    trained_on = leading_columns(X, fitted.rankers[0].n_features)
    examples = distinct_examples(trained_on, targets.indicator, weight)
    positives = rows_with(examples, targets.new)
    found = None
    if placement.by_indexer:
        found = _found_by_indexer(classifier, positives, targets, placement)
    n_trees = len(fitted.rankers)
    estimated = repeated({matching.PHASE: 1.0, trainer.PHASE: 3.0}, n_trees)
    extended = []
    with progress.reporting("adding labels", estimated, classifier.verbose):
        for t, seed in enumerate(tree_seeds(classifier.random_state, n_trees)):
            with progress.part(tree_name(t, n_trees)):
                extended.append(
                    _extend(classifier, t, seed, examples, positives, targets, found, placement)
                )
    trees, rankers, n_iters = zip(*extended, strict=True)
    warn_of_absent(examples, trees[0], targets.new, retrain_siblings=placement.retrain_siblings)
    updated = {}
    for kind, rows in fitted.neighbors_by_kind.items():
        part = examples
        if rows.n_features != trained_on.shape[1]:
            part = distinct_examples(leading_columns(X, rows.n_features), targets.indicator, weight)
        updated[kind] = update_neighbor_rows(rows, part, targets.renumbered)
    return fitted._replace(
        **updated,
        trees=trees,
        rankers=rankers,
        classes=Names(values=targets.classes),
        n_iter=max(fitted.n_iter, *n_iters),
        ensembles=EnsembleCache(),
    )


def _extended_targets(classifier, y, n_rows, label_names):
    """Check the known and new labels of the rows, in whatever form fit was given labels."""
    container = classifier._fitted.container
    classes = classifier.classes_
    if label_names is not None and container in ("classes", "lists", "arrays", "frame"):
        raise ValueError(f"label_names must be None for the kind of y of this model ({container})")
    if container == "classes":
        return extended_classes(y, n_rows, classes)
    lists = lists_for(classifier, y)
    if container in ("lists", "arrays"):
        if lists is None:
            raise TypeError(f"y must hold lists of labels as in fit, got {type(y).__name__}")
        return extended_lists(lists, n_rows, classes)
    if container == "frame":
        if not is_frame(y):
            raise TypeError(f"y must be a DataFrame as in fit, got {type(y).__name__}")
        known = set(classes.tolist())
        new = [name for name in y.columns if name not in known]
        names = checked_names([*classes.tolist(), *new], "the columns of y")
        return extended_columns(aligned_frame(y, names), n_rows, len(classes), names)
    has_names = classes.dtype.kind in "UO"
    if has_names != (label_names is not None):
        raise ValueError(
            f"label_names must be {'names of the new labels' if has_names else 'None'}, as in fit, "
            f"got {label_names!r:.80}"
        )
    if not has_names:
        return extended_columns(y, n_rows, len(classes))
    new = check_texts(label_names, "label_names")
    names = checked_names([*classes.tolist(), *new], "label_names", distinct=False)
    return extended_columns(y, n_rows, len(classes), names)


def _found_by_indexer(classifier, positives, targets, placement):
    """Check what the indexer needs to know of the new labels, and let it find their clusters."""
    kind = classifier.label_embedding
    indexer = classifier.indexer_
    check_indexer_assigns(indexer, kind, len(classifier._fitted.rankers))
    kind = "pifa" if takes_text(indexer) else kind
    label_features = check_label_features(placement.label_features, kind, len(targets.new))
    classes = targets.classes[targets.new]
    classes = classes if classes.dtype.kind in "UO" or not classifier.multilabel_ else None
    label_text = check_label_text(placement.label_text, len(targets.new), classes)
    check_texts_suffice(label_text, kind, indexer)
    return assign_by_indexer(
        positives,
        targets.new,
        indexer,
        kind,
        label_features=label_features,
        label_text=label_text,
        n_jobs=classifier.n_jobs,
    )


def _extend(classifier, t, random_state, examples, positives, targets, found, placement):
    """Give the new labels to tree t; return the tree, its ranker and the number of passes."""
    ranker = classifier._fitted.rankers[t]
    params = train_params(classifier, classifier.prune_threshold, ranker.n_dense)
    tree = classifier._fitted.trees[t]
    if found is None:
        found = assign_by_search(
            positives,
            targets.new,
            ranker,
            tree,
            params,
            n_clusters=placement.n_clusters,
            n_jobs=classifier.n_jobs,
        )
    extended = extended_tree(tree, targets.renumbered, found)
    ranker, n_iter = extended_ranker(
        ranker,
        extended,
        examples,
        params,
        retrain_siblings=placement.retrain_siblings,
        sampling=sampling_of(classifier.negative_sampling, classifier.training_beam_width),
        # The seed that fitting this very tree would draw.
        seed=draw_seed(check_random_state(random_state)),
        n_jobs=classifier.n_jobs,
    )
    return extended, ranker, n_iter
