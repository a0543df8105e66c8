"""XRLinearClassifier and what its parameters hold."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._saving.kinds import EstimatorKind, Kind, register
from .._utils.estimators import snapshot
from ..indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from ..linear import XRLinearClassifier
from ..linear._loading import read_classifier
from ..linear._saving import classifier_state
from ..tree import LabelTree


def register_all():
    """Enter the kinds of this module."""
    register(ClassifierKind(XRLinearClassifier))
    register(TreeKind(LabelTree, is_part=True))
    for indexer in (KMeansIndexer, TrieIndexer, TrieHybridIndexer):
        register(EstimatorKind(indexer, is_part=True))


class ClassifierKind(Kind):
    """XRLinearClassifier, whose fitted form is that of a folder with a classifier alone."""

    def describe(self, model, part):
        """Return the fields of a classifier."""
        model = snapshot(model)
        if "_fitted" not in vars(model):
            return {"params": part.params(model), "fitted": False}
        check_is_fitted(model)
        fields, arrays, checksums = classifier_state(model)
        part.arrays.update(arrays)
        part.checksums.update(checksums)
        return fields

    def rebuild(self, part):
        """Return the classifier that was described."""
        if "fitted" not in part.reader.manifest:
            return read_classifier(part.reader)
        part.check_fields(frozenset(["params", "fitted"]))
        return XRLinearClassifier(**part.params(XRLinearClassifier))


class TreeKind(Kind):
    """LabelTree, as the indexer of a classifier that is not fitted."""

    def describe(self, model, part):
        """Return the fields of a tree."""
        part.arrays |= {f"child_ptr.{i}": pointers for i, pointers in enumerate(model.child_ptr)}
        part.arrays["slot_label"] = model.slot_label
        return {"n_levels": model.n_levels}

    def rebuild(self, part):
        """Return the tree that was described."""
        part.check_fields(frozenset(["n_levels"]))
        n_levels = part.get("n_levels", int)
        child_ptr = [part.array(f"child_ptr.{i}", np.dtype(np.int64)) for i in range(n_levels)]
        return LabelTree(child_ptr, part.array("slot_label", np.dtype(np.int32)))
