"""scikit-learn's own checks of estimators, without exemptions."""

import numpy as np
import pytest
from marks import TEXT_CHECKS
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    PropensityReranker,
    SessionQueryCompleter,
    TrieHybridIndexer,
    TrieIndexer,
    XRLinearClassifier,
)
from skxmr.text import NGramTfidfVectorizer

# The checks of clusterers look for as many clusters as their data has on 50 rows, which the default
# indexer keeps in one leaf; and their clusters differ in more than direction.
ESTIMATORS = [
    XRLinearClassifier(),
    XRLinearClassifier(loss="log_loss", post_processor="sigmoid"),
    KMeansIndexer(max_leaf_size=17, spherical=False),
    KMeansIndexer(max_leaf_size=17, branching=3, spherical=False, balanced=False),
    NGramTfidfVectorizer(),
    CalibratedRanker(XRLinearClassifier()),
    PropensityReranker(XRLinearClassifier()),
]
OTHER_SETTINGS = [
    CalibratedRanker(XRLinearClassifier(post_processor="noop"), method="sigmoid"),
    PropensityReranker(XRLinearClassifier(post_processor="noop"), alpha=0.5),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_check_passes(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(OTHER_SETTINGS)
def test_scikit_learn_check_passes_with_other_settings(estimator, check):
    check(estimator)


# What the other checks of scikit-learn look at in numbers is looked at in texts further down.
TEXTS = np.array([a + b + c for a in "xyz" for b in ("", "a", "b", "ab") for c in ("", "é", "zz")])

TEXT_ESTIMATORS = pytest.mark.parametrize(
    "estimator",
    [
        TrieIndexer(max_leaf_size=3),
        TrieHybridIndexer(1, 3, random_state=0),
        TrieHybridIndexer(0, 3, balanced=False, spherical=False, random_state=0),
    ],
)


@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_scikit_learn_check_of_the_completer_passes(check):
    getattr(estimator_checks, check)("SessionQueryCompleter", SessionQueryCompleter())


@TEXT_ESTIMATORS
@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_scikit_learn_check_of_an_estimator_of_texts_passes(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


@TEXT_ESTIMATORS
def test_an_estimator_of_texts_says_so(estimator):
    tags = estimator.__sklearn_tags__()
    assert tags.estimator_type == "clusterer"
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array


@TEXT_ESTIMATORS
def test_fitting_texts_changes_neither_parameters_nor_input(estimator):
    fitted, texts = clone(estimator), TEXTS.copy()
    texts.setflags(write=False)
    before = fitted.get_params()
    assert fitted.fit(texts, np.zeros(len(texts))) is fitted
    assert fitted.get_params() == before
    assert all(name.endswith("_") for name in set(vars(fitted)) - set(before))
    assert_array_equal(texts, TEXTS)


@TEXT_ESTIMATORS
def test_fitting_texts_again_gives_the_same(estimator):
    fitted = clone(estimator).fit(TEXTS)
    tree, labels = fitted.tree_, fitted.labels_
    assert fitted.fit(TEXTS).tree_ == tree
    assert fitted.fit(TEXTS[::-1]).fit(TEXTS).tree_ == tree
    assert_array_equal(clone(estimator).fit_predict(TEXTS), labels)


@TEXT_ESTIMATORS
def test_predictions_depend_on_a_text_alone_and_change_nothing(estimator):
    fitted = clone(estimator).fit(TEXTS)
    before = dict(vars(fitted))
    found = fitted.predict(TEXTS)
    assert found.shape == fitted.labels_.shape
    assert found.dtype == fitted.labels_.dtype
    assert_array_equal(fitted.predict(TEXTS[::-1]), found[::-1])
    assert_array_equal(np.concatenate([fitted.predict([text]) for text in TEXTS]), found)
    assert isinstance(fitted.score(TEXTS, np.zeros(len(TEXTS))), float)
    assert vars(fitted) == before
