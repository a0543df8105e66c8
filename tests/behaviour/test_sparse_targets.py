"""scikit-learn's model selection with sparse y: the same as with a dense one."""

import inspect
from functools import cache

import numpy as np
import pytest
import sklearn.inspection
import sklearn.model_selection
from datasets import labels_as_features
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold

import skxmr.model_selection as ms
from skxmr import CalibratedRanker, XRLinearClassifier

CONTAINERS = pytest.mark.parametrize(
    "container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.coo_array]
)


def rows_and_labels():
    X, Y = labels_as_features(120, 8, label_density=0.2, noise=0.3)
    return X.toarray(), Y.toarray()


def classifier(**params):
    return XRLinearClassifier(random_state=0, C=10, **params)


CALLS = {
    "cross_val_score": ({"cv": 3}, "model_selection"),
    "cross_validate": ({"cv": KFold(3, shuffle=True, random_state=0)}, "model_selection"),
    "learning_curve": ({"cv": 3, "train_sizes": [0.5, 1.0], "n_jobs": 2}, "model_selection"),
    "validation_curve": (
        {"cv": 3, "param_name": "beam_width", "param_range": [1, 3]},
        "model_selection",
    ),
    "permutation_importance": ({"n_repeats": 2, "random_state": 0}, "inspection"),
}


def figures(result):
    """Arrays of a result, without times."""
    if isinstance(result, dict):
        return [result[name] for name in sorted(result) if not name.endswith("time")]
    return [result] if isinstance(result, np.ndarray) else list(result)


@cache
def figures_of_scikit_learn(name):
    """With dense targets."""
    X, Y = rows_and_labels()
    options, module = CALLS[name]
    return figures(getattr(getattr(sklearn, module), name)(classifier().fit(X, Y), X, Y, **options))


@CONTAINERS
@pytest.mark.parametrize("name", CALLS)
def test_sparse_targets_give_what_dense_ones_give(name, container):
    X, Y = rows_and_labels()
    options, module = CALLS[name]
    theirs, ours = getattr(getattr(sklearn, module), name), getattr(ms, name)
    expected = figures_of_scikit_learn(name)
    found = figures(ours(classifier().fit(X, container(Y)), X, container(Y), **options))
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert name in ours.__doc__


def test_only_sparse_targets_go_unchecked():
    X, Y = rows_and_labels()
    with pytest.raises(ValueError, match="'cv' parameter"):
        ms.cross_validate(classifier(), X, Y, cv="three")
    assert not get_config()["skip_parameter_validation"]

    class Sees(BaseEstimator):
        def fit(self, X, y):
            self.seen_ = get_config()["skip_parameter_validation"]
            return self

        def score(self, X, y):
            return float(self.seen_)

    assert not ms.cross_val_score(Sees(), X, Y, cv=2).any()
    assert ms.cross_val_score(Sees(), X, sp.csr_array(Y), cv=2).all()


@CONTAINERS
@pytest.mark.parametrize("method", ["predict", "decision_function", "predict_proba"])
def test_predictions_of_held_out_rows(method, container):
    X, Y = rows_and_labels()
    clf = classifier(loss="log_loss", post_processor="sigmoid")
    folds = KFold(3, shuffle=True, random_state=0)
    expected = sklearn.model_selection.cross_val_predict(clf, X, Y, cv=folds, method=method)
    found = ms.cross_val_predict(clf, sp.csr_matrix(X), container(Y), cv=folds, method=method)
    assert isinstance(found, sp.sparray) == issubclass(container, sp.sparray)
    assert_array_equal(found.toarray(), expected)
    assert_array_equal(ms.cross_val_predict(clf, X, Y, cv=folds, method=method), expected)


def test_predictions_of_any_method_of_a_wrapped_ranker():
    X, Y = rows_and_labels()
    clf = CalibratedRanker(classifier(), random_state=0)
    found = ms.cross_val_predict(clf, X, sp.csr_array(Y), cv=2, method="predict_proba", n_jobs=2)
    assert found.shape == Y.shape
    assert 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize("routing", [False, True])
def test_predictions_with_weights(routing):
    X, Y = rows_and_labels()
    weight = np.arange(len(X)) + 1.0
    sparse_Y, clf = sp.csr_array(Y), classifier()
    with config_context(enable_metadata_routing=routing):
        if routing:
            clf.set_fit_request(sample_weight=True)
        options = {"cv": 3, "params": {"sample_weight": weight}, "method": "decision_function"}
        found = ms.cross_val_predict(clf, X, sparse_Y, **options)
    train, test = next(KFold(3).split(X))
    by_hand = classifier().fit(X[train], sparse_Y[train], weight[train]).decision_function(X[test])
    assert_allclose(found[test].toarray(), by_hand.toarray())


def test_groups_are_kept_together():
    X, Y = rows_and_labels()
    groups = np.arange(len(X)) % 5
    found = ms.cross_validate(
        classifier(), X, sp.csr_array(Y), groups=groups, cv=GroupKFold(5), return_indices=True
    )
    for rows in found["indices"]["test"]:
        assert len(set(groups[rows])) == 1
