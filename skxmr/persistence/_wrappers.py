"""Estimators around a ranker, and the maps of calibration."""

import numpy as np
from sklearn import __version__
from sklearn.isotonic import IsotonicRegression

from .._saving.kinds import EstimatorKind, register
from .._utils.params import check_option
from ..calibration import CalibratedRanker
from ..calibration._maps import SigmoidMap
from ..linear._loading import CONTAINERS
from ..propensity import PropensityReranker
from ..reranking import TextReranker
from ..reranking._boosting import N_LEAVES, BoostedTrees
from ..reranking._candidates import Candidates, LabelCounts
from ..reranking._name_matches import NameMatches

_TARGETS = ("estimator", "container", "n_labels", "classes")
_THRESHOLDS = ("X_thresholds_", "y_thresholds_")
_LIMITS = ("X_min_", "X_max_")

#: Arrays of the nodes of boosted trees.
_NODES = {"tree": np.int32, "feature": np.int32, "threshold": np.float64, "mask": np.uint32}


def register_all():
    """Enter the kinds of this module."""
    calibrated = ("calibrator", *_TARGETS)
    register(EstimatorKind(CalibratedRanker, _pack_calibrated, _unpack_calibrated, calibrated))
    reranker = ("scale_", *_TARGETS)
    register(EstimatorKind(PropensityReranker, _pack_reranker, _unpack_reranker, reranker))
    texts = ("has_neighbors", "n_ranked", "baseline", *_TARGETS)
    register(EstimatorKind(TextReranker, _pack_text_reranker, _unpack_text_reranker, texts))
    sigmoid = ("slope", "intercept", "takes_odds")
    register(EstimatorKind(SigmoidMap, _pack_sigmoid, _unpack_sigmoid, sigmoid, is_part=True))
    name = "sklearn.isotonic.IsotonicRegression"
    isotonic = (*_LIMITS, "increasing_")
    register(
        EstimatorKind(
            IsotonicRegression, _pack_isotonic, _unpack_isotonic, isotonic, name=name, is_part=True
        )
    )


def _pack_calibrated(ranker, part):
    calibrator = part.model(ranker.calibrator_, "calibrator_")
    return {"calibrator": calibrator, **_pack_wrapper(ranker, part)}


def _unpack_calibrated(ranker, part):
    _unpack_wrapper(ranker, part)
    ranker.calibrator_ = part.model("calibrator", IsotonicRegression, SigmoidMap)


def _pack_reranker(reranker, part):
    part.arrays["propensities"] = reranker.propensities_
    return {"scale_": reranker.scale_, **_pack_wrapper(reranker, part)}


def _unpack_reranker(reranker, part):
    _unpack_wrapper(reranker, part)
    reranker.propensities_ = part.array("propensities", np.dtype(np.float64))
    if len(reranker.propensities_) != reranker.n_labels_:
        part.fail(f"{len(reranker.propensities_)} propensities, {reranker.n_labels_} labels")
    reranker.scale_ = part.get("scale_", str)
    check_option(reranker.scale_, "scale_", ("ratio", "log"))


def _pack_text_reranker(reranker, part):
    candidates = reranker._candidates
    model = reranker._model
    part.arrays |= candidates.counts._asdict()
    part.arrays |= {name: getattr(model, name) for name in _NODES}
    part.arrays["values"] = model.values.ravel()
    return {
        "has_neighbors": candidates.has_neighbors,
        "n_ranked": candidates.n_ranked,
        "baseline": model.baseline,
        **_pack_wrapper(reranker, part),
    }


def _unpack_text_reranker(reranker, part):
    _unpack_wrapper(reranker, part)
    counts = LabelCounts(*(part.array(name, np.dtype(np.int64)) for name in LabelCounts._fields))
    n_labels = reranker.n_labels_
    if any(len(array) != n_labels or (array < 0).any() for array in counts):
        part.fail(f"the counts of {n_labels} labels are not valid")
    n_ranked = part.get("n_ranked", int)
    if n_ranked < 1:
        part.fail(f"'n_ranked' is {n_ranked}")
    names = reranker.classes_.tolist()
    if not reranker.multilabel_ or not all(isinstance(name, str) for name in names):
        part.fail("its labels have no names")
    matches = NameMatches(names)
    has_neighbors = part.get("has_neighbors", bool)
    reranker._candidates = Candidates(matches, counts, n_ranked, has_neighbors)
    reranker._model = _unpack_trees(part, reranker._candidates.n_features)


def _unpack_trees(part, n_features):
    """Read boosted trees, after checking everything that is used as an index."""
    baseline = part.get("baseline", float)
    values = part.array("values", np.dtype(np.float64))
    nodes = {name: part.array(name, np.dtype(dtype)) for name, dtype in _NODES.items()}
    n_trees, rest = divmod(len(values), N_LEAVES)
    if rest or len({len(array) for array in nodes.values()}) > 1:
        part.fail("the arrays of its trees have different lengths")
    numbers = (values, nodes["threshold"], baseline)
    if not all(np.isfinite(some).all() for some in numbers):
        part.fail("a tree has an infinite value")
    for name, n in (("tree", n_trees), ("feature", n_features)):
        if ((nodes[name] < 0) | (nodes[name] >= n)).any():
            part.fail(f"a node of its trees has a {name} beyond {n}")
    if (nodes["mask"] >> N_LEAVES - 1 == 0).any():
        part.fail("a node of its trees leaves none of the leaves")
    return BoostedTrees(baseline, values.reshape(n_trees, N_LEAVES), **nodes)


def _pack_wrapper(wrapper, part):
    """Describe the estimator and the targets of a wrapper."""
    wrapper._check_params()
    wrapper._check_fitted()
    classes = wrapper.classes_
    is_copied = isinstance(classes, list) or classes is wrapper._copied.get("classes_")
    return {
        "estimator": part.model(wrapper.estimator_, "estimator_"),
        "container": wrapper._container,
        "n_labels": int(wrapper.n_labels_),
        "classes": None if is_copied else part.strings("classes", classes),
    }


def _unpack_wrapper(wrapper, part):
    wrapper._check_params()
    wrapper._container = part.get("container", str)
    check_option(wrapper._container, "container", CONTAINERS)
    wrapper.multilabel_ = wrapper._container != "classes"
    wrapper.n_labels_ = part.get("n_labels", int)
    estimator = part.model("estimator")
    if part.value("classes") is not None:
        wrapper.classes_ = part.strings("classes", wrapper.n_labels_)
    else:
        wrapper.classes_ = getattr(estimator, "classes_", np.arange(1))
    wrapper._take_estimator(estimator)


def _pack_sigmoid(calibrator, part):
    return {
        "slope": calibrator.slope_,
        "intercept": calibrator.intercept_,
        "takes_odds": calibrator.takes_odds_,
    }


def _unpack_sigmoid(calibrator, part):
    calibrator.slope_ = part.get("slope", float)
    calibrator.intercept_ = part.get("intercept", float)
    calibrator.takes_odds_ = part.get("takes_odds", bool)


def _pack_isotonic(isotonic, part):
    part.arrays |= {name: getattr(isotonic, name) for name in _THRESHOLDS}
    limits = {name: float(getattr(isotonic, name)) for name in _LIMITS}
    return {**limits, "increasing_": bool(isotonic.increasing_)}


def _unpack_isotonic(isotonic, part):
    state = {name: part.array(name, np.dtype(np.float64)) for name in _THRESHOLDS}
    x, y = state.values()
    if len(x) != len(y) or not len(x) or (np.diff(x) < 0).any():
        part.fail(f"the thresholds of a map do not fit: {len(x)} scores, {len(y)} probabilities")
    state |= {name: part.get(name, float) for name in _LIMITS}
    state["increasing_"] = part.get("increasing_", bool)
    isotonic.__setstate__({**isotonic.get_params(), **state, "_sklearn_version": __version__})
