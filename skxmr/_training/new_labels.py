"""Addition of labels to a fitted model: new slots in its leaf clusters."""

import warnings
from inspect import signature
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import CHUNK_WIDTH, Layer, compile_chunk, divide_into_chunks, indptr_of, read_chunk
from .._data.examples import Examples
from .._data.label_embeddings import embed_examples, split_kind
from .._ranking.tree_ranker import TreeRanker
from .._utils.folder import check_unread
from .._utils.matrices import check_indicator
from .._utils.named_targets import distinct_labels, indicator_of_lists
from .._utils.sparse import group_pointers
from .._utils.targets import check_classes, holds_text
from ..indexers._base import takes_text
from ..tree import LabelTree
from .disentangle import matched_clusters
from .trainer import train_leaf_chunks

PLACEMENTS = ("search", "indexer")

#: Largest fraction of the known siblings of new labels that may lack rows without a warning.
_MAX_ABSENT = 0.25


class ExtendedTargets(NamedTuple):
    """Targets with labels that a model does not have yet.

    Attributes
    ----------
    indicator : csr_matrix of float32, shape (n, n_labels)
        All entries are 1. It has one column for every known or new label.
    classes : ndarray
        The class of each column.
    new : ndarray of int32
        Columns of the new labels, in increasing order.
    renumbered : ndarray of int32
        Columns of the known labels, in increasing order.
    """

    indicator: sp.csr_matrix
    classes: np.ndarray
    new: np.ndarray
    renumbered: np.ndarray


def extended_columns(y, n_rows, n_known, names=None):
    """Validate an indicator matrix with columns of the known labels and then of the new ones."""
    Y = check_indicator(y, "y", n_rows)
    if Y.shape[1] <= n_known:
        raise ValueError(
            f"y must have more than {n_known} columns, those of the known labels and then the new "
            f"ones, got {Y.shape[1]}"
        )
    if names is None:
        names = np.arange(Y.shape[1])
    elif len(names) != Y.shape[1]:
        raise ValueError(
            f"label_names must be the names of the {Y.shape[1] - n_known} new columns of y, got "
            f"{len(names) - n_known}"
        )
    columns = np.arange(Y.shape[1], dtype=np.int32)
    return ExtendedTargets(Y, names, columns[n_known:], columns[:n_known])


def extended_lists(lists, n_rows, known):
    """Check lists of labels some of which are new, and number all labels in sorted order."""
    if len(lists) != n_rows:
        raise ValueError(f"y must hold a list for each of {n_rows} rows, got {len(lists)}")
    given = distinct_labels(lists)
    _check_kind(given, known)
    classes, new, renumbered = _numbered_again(known, given, "label")
    return ExtendedTargets(indicator_of_lists(lists, classes), classes, new, renumbered)


def extended_classes(y, n_rows, known):
    """Validate classes, some of which are new, and number all classes in sorted order."""
    y = check_classes(y)
    if len(y) != n_rows:
        raise ValueError(f"y must hold one class for each of {n_rows} rows, got {len(y)}")
    _check_kind(y, known)
    classes, new, renumbered = _numbered_again(known, y, "class")
    columns = np.searchsorted(classes, y).astype(np.int32)
    entries = (np.ones(n_rows, dtype=np.float32), columns, np.arange(n_rows + 1))
    Y = sp.csr_matrix(entries, shape=(n_rows, len(classes)))
    return ExtendedTargets(Y, classes, new, renumbered)


def _check_kind(y, known):
    """Refuse labels that are strings if the known ones are not, and the reverse."""
    if holds_text(y) != holds_text(known):
        raise ValueError(f"y must hold classes of {known.dtype}, as in fit, got {y.dtype}")


def _numbered_again(known, given, what):
    """Number known and given labels in sorted order.

    Returns
    -------
    classes : ndarray
        All labels, sorted.
    new : ndarray of int32
        The numbers of the new labels.
    renumbered : ndarray of int32
        The number of each known label.
    """
    classes = np.unique(np.concatenate((known, given)))
    if len(classes) == len(known):
        raise ValueError(f"y must hold at least one {what} that is new, got known ones only")
    renumbered = np.searchsorted(classes, known).astype(np.int32)
    new = np.setdiff1d(np.arange(len(classes), dtype=np.int32), renumbered)
    return classes, new, renumbered


class ClusterAssignment(NamedTuple):
    """Leaf clusters of labels: label ``label[i]`` belongs to cluster ``leaf[i]``."""

    label: np.ndarray
    leaf: np.ndarray


def rows_with(examples, labels):
    """Return the examples with any of these new labels. Raise ValueError if there are none."""
    rows = np.flatnonzero(np.diff(examples.Y[:, labels].indptr)).astype(np.int32)
    if len(rows) == 0:
        raise ValueError("y must have a row with a new label and a weight above 0, got none")
    weight = None if examples.weight is None else examples.weight[rows]
    X = examples.X[examples.source[rows]]
    Y = examples.Y[rows]
    return Examples(X, Y, np.arange(len(rows), dtype=np.int32), weight)


def assign_by_search(examples, new, ranker, tree, params, *, n_clusters, n_jobs=None):
    """Find the leaf clusters that are reached by most examples of each new label.

    Parameters
    ----------
    examples : Examples
        Examples with a new label.
    new : ndarray of int32
        The new labels.
    ranker : TreeRanker
    tree : LabelTree
        The tree of the ranker.
    params : TrainParams
    n_clusters : int
        Maximum number of clusters per label, and number of nodes kept per level. A wider beam
        would favor clusters that fit most rows a little over clusters that fit some rows well.
    n_jobs : int, optional

    Returns
    -------
    assignment : ClusterAssignment
        A label without examples is assigned to the smallest cluster.
    """
    examples = examples._replace(Y=sp.csr_matrix(examples.Y[:, new]))
    if tree.n_levels == 1:
        return ClusterAssignment(new, np.zeros(len(new), dtype=np.int32))
    clusters = matched_clusters(examples, tree, ranker.layers, params, n_clusters, n_jobs=n_jobs)
    clusters = clusters[:, :n_clusters].copy()
    unmatched = clusters[:, 0] < 0
    clusters[unmatched, 0] = np.argmin(np.diff(tree.child_ptr[-1]))
    row, _ = np.nonzero(clusters >= 0)
    return ClusterAssignment(new[row], clusters[clusters >= 0])


def check_indexer_assigns(indexer, kind, n_trees):
    """Raise ValueError if an indexer cannot assign new labels to clusters."""
    if not callable(getattr(indexer, "predict", None)):
        raise ValueError(
            "placement='indexer' needs the fitted indexer and its predict, got "
            f"indexer_={indexer!r}; use placement='search'"
        )
    if n_trees > 1:
        raise ValueError(
            f"placement='indexer' needs a model of one tree, got {n_trees}; use placement='search'"
        )
    unknown = [part for part in split_kind(kind) if part in ("pii", "text")]
    if unknown and not takes_text(indexer):
        raise ValueError(
            f"placement='indexer' cannot embed new labels beside those of fit by {unknown[0]!r}, "
            f"got label_embedding={kind!r}; use placement='search'"
        )


def assign_by_indexer(
    examples, new, indexer, kind, *, label_features=None, label_text=None, n_jobs=None
):
    """Assign each new label to a leaf cluster by the `predict` of an indexer.

    Parameters
    ----------
    examples : Examples
        Examples with a new label.
    new : ndarray of int32
        The new labels.
    indexer : estimator
        The fitted indexer.
    kind : str
        The label embedding.
    label_features : csr_matrix of float32, shape (n_new, d), optional
    label_text : list of str, length n_new, optional
        For an indexer that takes strings.
    n_jobs : int, optional

    Returns
    -------
    assignment : ClusterAssignment
    """
    if takes_text(indexer):
        takes_features = "label_features" in signature(indexer.predict).parameters
        if label_features is not None and takes_features:
            leaf = indexer.predict(label_text, label_features=label_features)
        else:
            leaf = indexer.predict(label_text)
        return _checked_assignment(new, leaf, indexer)
    if label_features is not None:  # with an empty row for each known label
        lengths = np.zeros(examples.Y.shape[1], dtype=np.int64)
        lengths[new] = np.diff(label_features.indptr)
        entries = (label_features.data, label_features.indices, indptr_of(lengths))
        label_features = sp.csr_matrix(entries, (len(lengths), label_features.shape[1]))
    Z = embed_examples(kind, examples, label_features=label_features, n_jobs=n_jobs)[new]
    return _checked_assignment(new, indexer.predict(Z), indexer)


def _checked_assignment(new, leaf, indexer):
    """Return a ClusterAssignment. Raise ValueError if the clusters are not valid."""
    leaf = np.asarray(leaf)
    n_leaves = len(indexer.tree_.child_ptr[-1]) - 1
    integers = leaf.shape == new.shape and leaf.dtype.kind in "iu"
    if not integers or leaf.min() < 0 or leaf.max() >= n_leaves:
        raise ValueError(
            f"indexer_.predict must give a leaf cluster in [0, {n_leaves}) for each of {len(new)} "
            f"new labels, got {leaf!r:.80}"
        )
    return ClusterAssignment(new, leaf)


def extended_tree(tree, renumbered, assignment):
    """Append slots of labels to leaf clusters.

    Parameters
    ----------
    tree : LabelTree
    renumbered : ndarray of int32, shape (n_labels,)
        New number of each label of the tree.
    assignment : ClusterAssignment

    Returns
    -------
    tree : LabelTree
        A tree with the same nodes above the slots.
    """
    leaf = np.concatenate((tree.parents(tree.n_levels), assignment.leaf))
    label = np.concatenate((renumbered[tree.slot_label], assignment.label))
    pointers = group_pointers(leaf, tree.n_nodes(tree.n_levels - 1))
    return LabelTree([*tree.child_ptr[:-1], pointers], label[np.argsort(leaf, kind="stable")])


def extended_ranker(ranker, tree, examples, params, *, retrain_siblings, sampling, seed, n_jobs):
    """Train the weights of the new slots of a tree and add them to a ranker.

    Parameters
    ----------
    ranker : TreeRanker
    tree : LabelTree
        As returned by `extended_tree`.
    examples : Examples
        All examples that train the new weights.
    params : TrainParams
    retrain_siblings : bool
        Whether to train all weights of the clusters with new slots again.
    sampling : Sampling
    seed : int
    n_jobs : int or None

    Returns
    -------
    ranker : TreeRanker
    n_iter : int
        Largest number of passes of the solver.
    """
    layer = ranker.layers[-1]
    n_features = ranker.n_features
    check_unread(vars(layer), layer.checksums)
    pointers = tree.child_ptr[-1]
    n_before = np.diff(layer.child_ptr)
    touched = np.flatnonzero(np.diff(pointers) > n_before)
    n_kept = np.zeros_like(n_before) if retrain_siblings else n_before
    new_chunks = [
        (leaf, first, min(first + CHUNK_WIDTH, int(pointers[leaf + 1])))
        for leaf in touched.tolist()
        for first in range(int(pointers[leaf] + n_kept[leaf]), int(pointers[leaf + 1]), CHUNK_WIDTH)
    ]
    trained, n_iter = train_leaf_chunks(
        examples,
        tree,
        new_chunks,
        ranker.layers[:-1],
        params,
        sampling=sampling,
        weight_dtype=layer.weight_dtype,
        seed=seed,
        n_jobs=n_jobs,
    )
    trained_of = {leaf: [] for leaf in touched.tolist()}
    for (leaf, _, _), chunk in zip(new_chunks, trained, strict=True):
        trained_of[leaf].append(chunk)

    def chunks():
        for leaf in range(len(n_before)):
            new = trained_of.get(leaf, [])
            if retrain_siblings and new:
                yield from new
                continue
            begin, end = layer.chunk_ptr[leaf : leaf + 2].tolist()
            known = [layer.chunk(i) for i in range(begin, end)]
            yield from _joined_chunks(known, new, n_features)

    layers = [*ranker.layers[:-1], Layer.from_chunks(pointers, chunks())]
    return TreeRanker(layers, tree.slot_label, tree.n_labels, n_features), n_iter


def warn_of_absent(examples, tree, new, *, retrain_siblings):
    """Warn if many known labels in the clusters of new labels have no examples."""
    leaf = tree.parents(tree.n_levels)
    known = ~np.isin(tree.slot_label, new)
    beside = known & np.isin(leaf, leaf[~known])
    siblings = np.unique(tree.slot_label[beside])
    n_absent = int((np.bincount(examples.Y.indices, minlength=tree.n_labels)[siblings] == 0).sum())
    max_fraction = 0 if retrain_siblings else _MAX_ABSENT
    if n_absent <= max_fraction * len(siblings):
        return
    effect = "are no longer ranked" if retrain_siblings else "may be ranked too low"
    warnings.warn(
        f"X has no rows of {n_absent} of the {len(siblings)} known labels in the clusters of the "
        f"new labels. These labels {effect}. Pass their rows to add_labels if fit had any.",
        stacklevel=4,
    )


def _joined_chunks(known, new, n_features):
    """Return the chunks of the known children of a node, followed by those of the new ones."""
    if not new:
        return known
    full = [chunk for chunk in known if len(chunk.bias) == CHUNK_WIDTH]
    columns = [read_chunk(chunk, n_features) for chunk in known[len(full) :] + new]
    weight_dtype = new[0].weight_dtype
    return full + [compile_chunk(c, n_features, weight_dtype) for c in divide_into_chunks(columns)]
