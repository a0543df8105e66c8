"""Labels that are removed from a fitted XRLinearClassifier."""

import numpy as np

from .._ranking.ensemble import EnsembleCache
from .._ranking.neighbors import without_labels
from .._training.removed_labels import reduced_ranker, reduced_tree
from ._fitted import Names
from ._inputs import check_labels


def with_fewer_labels(classifier, labels):
    """Return the FittedState without some labels.

    Parameters
    ----------
    classifier : XRLinearClassifier
        Fitted.
    labels
        As `remove_labels` takes them.
    """
    fitted = classifier._fitted
    n_labels = fitted.n_labels
    removed = check_labels(labels, "labels", n_labels, fitted.classes)
    if len(removed) == n_labels:
        raise ValueError(f"labels must leave at least one label, got all {n_labels}")
    kept = np.setdiff1d(np.arange(n_labels, dtype=np.int32), removed)
    renumbered = np.full(n_labels, -1, dtype=np.int32)
    renumbered[kept] = np.arange(len(kept), dtype=np.int32)
    trees = tuple(reduced_tree(tree, renumbered) for tree in fitted.trees)
    rankers = tuple(
        reduced_ranker(ranker, tree, renumbered)
        for ranker, tree in zip(fitted.rankers, trees, strict=True)
    )
    reduced = {
        kind: without_labels(rows, kept, keep_unlabeled=kind == "embeddings")
        for kind, rows in fitted.neighbors_by_kind.items()
    }
    for kind, weighting in (("neighbors", "weighting"), ("embeddings", "dense_weighting")):
        if reduced.get(kind) is None:
            reduced[weighting] = None
    return fitted._replace(
        trees=trees,
        rankers=rankers,
        **reduced,
        classes=Names(values=_remaining_classes(fitted, kept)),
        ensembles=EnsembleCache(),
    )


def _remaining_classes(fitted, kept):
    """Return the names of the labels that stay, or the numbers of columns without names."""
    classes = fitted.classes.values[kept]
    has_columns = fitted.container in ("dense", "spmatrix", "sparray")
    return np.arange(len(kept)) if has_columns and classes.dtype.kind not in "UO" else classes
