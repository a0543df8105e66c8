"""Checks of what the methods of XRLinearClassifier are given."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import Frontier, NumberSets, indptr_of
from .._data.examples import distinct_examples
from .._data.features import leading_columns
from .._data.label_embeddings import split_kind
from .._data.label_examples import check_label_examples, with_label_examples
from .._data.training_data import TrainingInput
from .._ranking.constraint import Constraint, SetPair
from .._ranking.restriction import Restriction
from .._training.negatives import check_negatives
from .._training.relevance import check_relevance
from .._utils.mapped_csr import MappedCSR
from .._utils.matrices import as_array, canonical_csr, check_matrix, summed_csr
from .._utils.pairs import row_of_entries
from .._utils.params import check_integer, check_lower_bound
from .._utils.texts import check_texts
from .._utils.weights import check_sample_weight
from ..indexers._base import takes_text


class FitInput(NamedTuple):
    """What fit is given besides X and y, not checked yet."""

    sample_weight: object
    label_features: object
    label_text: object
    label_examples: object
    relevance: object
    negatives: object
    label_names: object

    def listed(self):
        """Return the same with texts of an iterator in a list, so that they can be read twice."""
        is_iterator = isinstance(self.label_text, Iterator)
        return self._replace(label_text=list(self.label_text)) if is_iterator else self


def prepare(classifier, X, targets, given, columns):
    """Check what fit is given, and merge equal rows.

    Parameters
    ----------
    classifier : XRLinearClassifier
    X : csr_matrix or MappedCSR
        Of valid structure.
    targets : callable
        Returns the Targets.
    given : FitInput
    columns : DenseColumns

    Returns
    -------
    prepared : TrainingInput
    """
    if not isinstance(X, MappedCSR):
        X = without_flags(canonical_csr(X, "X"))
    targets = targets()
    indicator = targets.indicator
    n_labels = indicator.shape[1]
    weight = check_sample_weight(given.sample_weight, X.shape[0], classifier.C)
    kind = classifier.label_embedding
    label_features = check_label_features(given.label_features, kind, n_labels)
    label_text = check_label_text(given.label_text, n_labels, targets.classes)
    check_texts_suffice(label_text, kind, classifier.indexer)
    relevance = given.relevance
    if relevance is not None:
        relevance = check_relevance(relevance, indicator, weight, classifier.C)
    negatives = given.negatives
    if negatives is not None:
        negatives = check_negatives(negatives, indicator)
    label_examples = None
    if given.label_examples is not None:
        label_examples = check_label_examples(given.label_examples, n_labels, X.shape[1])
    embedded = None
    if columns.are_embeddings:
        example_weight = float(classifier.label_example_weight)
        labels = (indicator, weight, None, None)
        embedded = _examples_of(X, labels, label_examples, columns.n_features, example_weight)
    labels = (indicator, weight, relevance, negatives)
    examples = _examples_of(X, labels, label_examples, columns.n_in_trees)
    return TrainingInput(examples, label_features, label_text, embedded)


def _examples_of(X, labels, label_examples, n_columns, example_weight=1.0):
    """Return the Examples of the first columns of rows and label examples."""
    rows = leading_columns(X, n_columns)
    if label_examples is not None:
        added = leading_columns(label_examples.rows, n_columns)
        added = label_examples._replace(rows=added)
        rows, labels = with_label_examples(rows, labels, added, example_weight)
    return distinct_examples(rows, *labels)


def without_flags(matrix):
    """Return the same matrix without the flags that scipy notes on an object.

    A memory would take matrices with other flags for other matrices.
    """
    return sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


def check_label_features(label_features, kind, n_labels):
    """Check the features of labels, which some label embeddings need."""
    if label_features is not None:
        return without_flags(check_matrix(label_features, "label_features", n_labels))
    if "features" in split_kind(kind):
        raise ValueError(f"label_embedding={kind!r} needs label_features, got None")
    return None


def check_label_text(label_text, n_labels, classes):
    """Check the texts of labels. By default they are the classes, if these are strings."""
    if label_text is None and classes is not None and classes.dtype.kind in "UO":
        return [str(c) for c in classes]
    if label_text is None:
        return None
    label_text = check_texts(label_text, "label_text")
    if len(label_text) != n_labels:
        raise ValueError(f"label_text must be {n_labels} strings, one per label")
    return label_text


def check_texts_suffice(label_text, kind, indexer):
    """Refuse a lack of texts if the labels' embedding or the indexer needs them."""
    if takes_text(indexer):
        if label_text is None:
            raise ValueError(f"indexer={indexer!r} needs label_text or string classes, got neither")
    elif "text" in split_kind(kind):
        if label_text is None:
            raise ValueError(f"label_embedding={kind!r} needs label_text, got None")
        if not any(text.strip() for text in label_text):
            raise ValueError("label_text must hold some text, got blanks only")


def check_frontier(frontier, trees, X):
    """Check where the search of the rows of X is to start, and return a Frontier for each tree."""
    if frontier is None:
        return None
    starts = [frontier] if len(trees) == 1 else frontier
    if not isinstance(starts, list) or len(starts) != len(trees):
        raise ValueError(
            f"frontier must be a list of {len(trees)} pairs (level, nodes) or matchers, one per "
            f"tree, got {frontier!r:.80}"
        )
    return tuple(_check_start(start, tree, X) for start, tree in zip(starts, trees, strict=True))


def _check_start(start, tree, X):
    match = getattr(start, "match", None)
    if callable(match):
        start = match(X)
    if not isinstance(start, tuple) or len(start) != 2:
        raise TypeError(f"frontier must be a pair (level, nodes) or a matcher, got {start!r:.80}")
    level, nodes = start
    check_integer(level, "frontier level", 0)
    if level >= tree.n_levels:
        raise ValueError(f"frontier level must lie in [0, {tree.n_levels}), got {level}")
    nodes = check_matrix(nodes, "frontier", X.shape[0], keep_zeros=True)
    if nodes.shape[1] != tree.n_nodes(level):
        raise ValueError(
            f"frontier must have {tree.n_nodes(level)} columns, the nodes of level {level}, "
            f"got {nodes.shape[1]}"
        )
    return Frontier(
        int(level),
        np.ascontiguousarray(nodes.indptr.astype(np.int64)),
        np.ascontiguousarray(nodes.indices),
        np.ascontiguousarray(nodes.data),
    )


def check_restriction(restriction, trees, n_rows):
    """Check that a restriction is one of these trees' labels, with a range for each row."""
    if restriction is None:
        return
    if not isinstance(restriction, Restriction):
        raise TypeError(
            f"restriction must be what LabelOrder.restricted_to returns, got {restriction!r:.80}"
        )
    widths = [
        (*(tree.n_nodes(level) for level in range(1, tree.n_levels)), tree.n_slots)
        for tree in trees
    ]
    if [positions.widths for positions in restriction.order.by_tree] != widths:
        raise ValueError("restriction must be made for the trees of this model")
    ranges = restriction.ranges
    fits = isinstance(ranges, np.ndarray) and ranges.shape == (n_rows, 2)
    if not fits or ranges.dtype != np.int64 or not ranges.flags.c_contiguous:
        raise ValueError(f"restriction must have int64 ranges of shape {(n_rows, 2)}")


class LabelLimits(NamedTuple):
    """Limits of the labels that `rank` returns, not checked yet.

    Attributes
    ----------
    exclude, among, min_score
        As `rank` takes them.
    """

    exclude: object
    among: object
    min_score: object


def check_limits(limits, trees, n_rows, classes):
    """Check which labels each row may have.

    Parameters
    ----------
    limits : LabelLimits or None
    trees : sequence of TreeRanker
        The `trees` of the ranker.
    n_rows : int
    classes : Names

    Returns
    -------
    constraint : Constraint or None
    floor : float
        Lowest score of a label that is returned.
    """
    if limits is None:
        return None, -np.inf
    floor = -np.inf
    if limits.min_score is not None:
        floor = check_lower_bound(limits.min_score, "min_score")
    n_labels = trees[0].n_labels
    sets = SetPair(
        check_label_sets(limits.among, "among", n_rows, n_labels, classes),
        check_label_sets(limits.exclude, "exclude", n_rows, n_labels, classes),
    )
    constraint = None if sets == (None, None) else Constraint.for_trees(trees, sets)
    return constraint, floor


def check_label_sets(labels, name, n_rows, n_labels, classes):
    """Check labels that are given as one set, or as a sparse matrix with a set per row.

    Returns
    -------
    sets : NumberSets or None
    """
    if labels is None:
        return None
    if not sp.issparse(labels):
        return NumberSets.shared(check_labels(labels, name, n_labels, classes))
    if labels.shape != (n_rows, n_labels):
        raise ValueError(
            f"{name} as a matrix must have shape {(n_rows, n_labels)}, a row for each row of X and "
            f"a column for each label, got {labels.shape}"
        )
    matrix = summed_csr(labels, name)
    stored = matrix.data != 0
    rows = row_of_entries(matrix)[stored]
    members = matrix.indices[stored].astype(np.int32, copy=False)
    return NumberSets(indptr_of(np.bincount(rows, minlength=n_rows)), members, False)


def check_labels(labels, name, n_labels, classes):
    """Check a sequence of labels, given by their numbers or by names.

    Parameters
    ----------
    labels : sequence of int or str, or set
        Labels may be repeated.
    name : str
        Name of the parameter.
    n_labels : int
    classes : Names

    Returns
    -------
    numbers : ndarray of int32
        In increasing order, without repetitions.
    """
    if isinstance(labels, (set, frozenset)):
        labels = list(labels)
    if isinstance(labels, (str, bytes)):
        raise TypeError(f"{name} must be a sequence of labels, got {labels!r:.80}")
    labels = as_array(labels, name)
    if labels.ndim != 1:
        raise ValueError(
            f"{name} must be a one-dimensional sequence of labels, or a sparse matrix where it can "
            f"have a set per row, got shape {labels.shape}"
        )
    if labels.size == 0:
        return np.empty(0, dtype=np.int32)
    if labels.dtype.kind in "iu":
        if labels.min() < 0 or labels.max() >= n_labels:
            wrong = labels[(labels < 0) | (labels >= n_labels)][0]
            raise ValueError(f"{name} must hold labels in [0, {n_labels}), got {wrong}")
        return np.unique(labels).astype(np.int32)
    if labels.dtype.kind not in "UO" or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"{name} must hold label indices or names, got {labels.dtype}")
    if classes.values.dtype.kind not in "UO":
        raise TypeError(
            f"{name} must hold label indices, as classes_ are not strings, got {labels[0]!r:.80}"
        )
    numbers, unknown = classes.find(labels)
    if len(unknown):
        raise ValueError(f"{name} must hold names from classes_, got {str(unknown[0])!r:.80}")
    return np.unique(numbers).astype(np.int32)
