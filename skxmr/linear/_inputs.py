"""Checks of what the methods of XRLinearClassifier are given."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._core import Frontier
from .._data.examples import distinct_examples
from .._data.label_embeddings import split_kind
from .._data.label_examples import check_label_examples, with_label_examples
from .._data.training_data import TrainingInput
from .._ranking.restriction import Restriction
from .._training.negatives import check_negatives
from .._training.relevance import check_relevance
from .._utils.matrices import canonical_csr, check_matrix
from .._utils.params import check_integer
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


def prepare(classifier, X, targets, given):
    """Check what fit is given, and merge equal rows.

    Parameters
    ----------
    classifier : XRLinearClassifier
    X : csr_matrix
        Of valid structure.
    targets : Targets
    given : FitInput

    Returns
    -------
    prepared : TrainingInput
    """
    X = canonical_csr(X, "X")
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
    rows = without_flags(X)
    labels = (indicator, weight, relevance, negatives)
    if given.label_examples is not None:
        examples = check_label_examples(given.label_examples, n_labels, X.shape[1])
        rows, labels = with_label_examples(rows, labels, examples)
    return TrainingInput(distinct_examples(rows, *labels), label_features, label_text)


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
