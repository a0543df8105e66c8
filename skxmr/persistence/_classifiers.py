"""XRLinearClassifier and what its parameters hold."""

import numpy as np

from .._saving.kinds import EstimatorKind, Kind, register
from .._utils.estimators import snapshot
from .._utils.folder import DENSE_COLUMNS
from ..indexers import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from ..linear import XRLinearClassifier
from ..linear._loading import read_classifier
from ..linear._params import check_params
from ..linear._saving import DENSE_PARAMETERS, classifier_state, without_dense_defaults
from ..tree import LabelTree


def register_all():
    """Enter the kinds of this module."""
    register(ClassifierKind(XRLinearClassifier))
    register(TreeKind(LabelTree, is_part=True))
    for indexer in (KMeansIndexer, TrieIndexer, TrieHybridIndexer):
        register(EstimatorKind(indexer, is_part=True))


class ClassifierKind(Kind):
    """XRLinearClassifier, whose fields are those of a folder with a classifier alone.

    The exception are indexers with a vectorizer, which are other models of the folder.
    """

    def describe(self, model, part):
        """Return the fields of a classifier."""
        model = snapshot(model)
        if "_fitted" not in vars(model):
            params = part.params(model)
            defaults = XRLinearClassifier().get_params(deep=False)
            later = {} if without_dense_defaults(params, defaults) else {"version": DENSE_COLUMNS}
            return {"params": params, "fitted": False, **later}
        indexer = model.indexer
        is_separate = getattr(indexer, "vectorizer", None) is not None
        if is_separate:
            check_params(model)
            model.indexer = None  # of the snapshot
        fields, arrays, checksums = classifier_state(model)
        if is_separate:
            fields["params"]["indexer"] = part.value(indexer, "indexer")
        part.arrays.update(arrays)
        part.checksums.update(checksums)
        return fields

    def rebuild(self, part):
        """Return the classifier that was described."""
        if "fitted" not in part.reader.manifest:
            return _read_fitted(part)
        part.check_fields(frozenset(["params", "fitted"]))
        return XRLinearClassifier(**part.params(XRLinearClassifier, DENSE_PARAMETERS))


def _read_fitted(part):
    """Read a fitted classifier, whose indexer may be another model of the folder."""
    params = part.get("params", dict)
    reference = params.get("indexer")
    if not isinstance(reference, dict) or "model" not in reference:
        return read_classifier(part.reader)
    indexer = part.value_of(reference)
    fields = {**part.reader.manifest, "params": {**params, "indexer": None}}
    classifier = read_classifier(part.reader.section(fields, ""))
    classifier.indexer = indexer
    check_params(classifier)
    return classifier


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
