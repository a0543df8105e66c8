"""What all estimators and indexers have in common, whatever they estimate."""

import copy
import inspect
import pickle
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from datasets import (
    KINDS,
    TEXTS,
    classifier,
    first_labels,
    fitted_classifier,
    named_catalogue,
    random_labels,
)
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

import skxmr
from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    PropensityReranker,
    SessionQueryCompleter,
    TextReranker,
    TrieHybridIndexer,
    TrieIndexer,
    make_text_ranker,
)
from skxmr.pipeline import Pipeline
from skxmr.text import NGramTfidfVectorizer

X, Y = random_labels()
CODES = first_labels(Y)
NAMES = np.array([f"label {i:02}" for i in range(12)])[CODES]
TITLES, SUBJECTS, _ = named_catalogue(80, n_labels=12)
PAIRS = np.array([(text, text[:2]) for text in TEXTS], dtype=object)


@dataclass(frozen=True, eq=False)
class Case:
    """An estimator, what it is fitted to, and the methods that use the fit.

    `calls` are pairs of a method and its arguments. `rank` is the input of rank, for rankers, and
    `n_labels` is their number of labels and `score_dtype` the type of their scores.
    """

    estimator: BaseEstimator
    data: tuple
    calls: tuple
    rank: object = None
    n_labels: int = 0
    score_dtype: type = np.float32

    def fitted(self, **params):
        return clone(self.estimator).set_params(**params).fit(*self.data)

    def unfitted(self):
        return clone(self.estimator)


@cache
def shared_fit(case):
    """A fitted estimator that no test may change."""
    return case.fitted()


def ranker(estimator, *methods, y=Y, score_dtype=np.float32):
    calls = ("rank", (X, 5)), *((method, (X,)) for method in ("predict", *methods))
    return Case(estimator, (X, y), calls, X, 12, score_dtype)


def indexer(estimator, data):
    return Case(estimator, (data,), (("predict", (data,)), ("score", (data,))))


CASES = {
    **{kind: ranker(classifier(kind), "decision_function") for kind in KINDS},
    "log loss": ranker(classifier(loss="log_loss", post_processor="sigmoid"), "predict_proba"),
    "matched negatives": ranker(classifier(negative_sampling="tfn+man"), "decision_function"),
    "several clusters": ranker(classifier(max_clusters_per_label=2), "decision_function"),
    "float16": ranker(classifier(weight_dtype="float16"), "decision_function"),
    "classes": ranker(classifier(), "decision_function", y=CODES),
    "names": ranker(classifier("neighbors"), "decision_function", y=NAMES),
    "CalibratedRanker": ranker(
        CalibratedRanker(classifier(), cv=2, random_state=0),
        "predict_proba",
        score_dtype=np.float64,
    ),
    "PropensityReranker": ranker(
        PropensityReranker(classifier(), random_state=0),
        "decision_function",
        score_dtype=np.float64,
    ),
    "TextReranker": Case(
        TextReranker(make_text_ranker(random_state=0), held_out=0.5, random_state=0),
        (TITLES, SUBJECTS),
        (("rank", (TITLES, 5)), ("decision_function", (TITLES,)), ("predict_proba", (TITLES,))),
        TITLES,
        12,
        np.float64,
    ),
    "SessionQueryCompleter": Case(
        SessionQueryCompleter(random_state=0),
        (PAIRS, TEXTS),
        (("rank", (PAIRS, 5)), ("predict", (PAIRS,)), ("complete", ("c",))),
        PAIRS,
        len(TEXTS),
    ),
    "NGramTfidfVectorizer": Case(
        NGramTfidfVectorizer(),
        (TEXTS,),
        (("transform", (TEXTS,)), ("get_feature_names_out", ())),
    ),
    "KMeansIndexer": indexer(KMeansIndexer(2, 3, random_state=0), X),
    "KMeansIndexer, unbalanced": indexer(KMeansIndexer(3, 3, balanced=False, random_state=0), X),
    "TrieIndexer": indexer(TrieIndexer(max_leaf_size=3), TEXTS),
    "TrieHybridIndexer": indexer(TrieHybridIndexer(1, 2, branching=2, random_state=0), TEXTS),
}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_ranker = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name) for name, case in CASES.items() if case.rank is not None],
)


def plain(value):
    """Something that compares by value: arrays of matrices and trees, texts of all else."""
    if sp.issparse(value):
        value = value.tocsr()
        return [value.indptr, value.indices, value.data]
    if isinstance(value, tuple):
        return [array for part in value for array in plain(part)]
    return [np.asarray(value)]


def results(case, fitted):
    """All that an estimator gives, as arrays."""
    found = [getattr(fitted, method)(*arguments) for method, arguments in case.calls]
    arrays = [array for value in found for array in plain(value)]
    tree = getattr(fitted, "tree_", None)
    if tree is not None:
        arrays += [tree.slot_label, *(tree.parents(level) for level in range(1, tree.n_levels + 1))]
    if hasattr(fitted, "labels_"):
        arrays.append(fitted.labels_)
    return arrays


def assert_same_results(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def test_every_public_estimator_has_a_case():
    public = [getattr(skxmr, name) for name in skxmr.__all__]
    estimators = {c for c in public if inspect.isclass(c) and issubclass(c, BaseEstimator)}
    # The methods of pipelines are those of their steps; test_text_ranker.py tests the others.
    estimators = {c for c in estimators if not issubclass(c, Pipeline)}
    assert estimators <= {type(case.estimator) for case in CASES.values()}


@each_case
def test_params_can_be_read_and_set_again(case):
    estimator = case.unfitted()
    params = estimator.get_params()
    assert repr(type(estimator)(**estimator.get_params(deep=False)).get_params()) == repr(params)
    assert estimator.set_params(**params) is estimator
    assert repr(estimator.get_params()) == repr(params)
    names = set(inspect.signature(type(estimator)).parameters)
    assert set(estimator.get_params(deep=False)) == names


@each_case
def test_a_clone_is_not_fitted_and_fits_alike(case):
    fitted = shared_fit(case)
    cloned = clone(fitted)
    assert repr(cloned.get_params()) == repr(fitted.get_params())
    for method, arguments in case.calls:
        with pytest.raises(NotFittedError):
            getattr(cloned, method)(*arguments)
    assert_same_results(results(case, cloned.fit(*case.data)), results(case, fitted))


@each_case
def test_calls_before_fit_raise_an_error_that_names_the_estimator(case):
    estimator = case.unfitted()
    for method, arguments in case.calls:
        with pytest.raises(NotFittedError, match=type(estimator).__name__):
            getattr(estimator, method)(*arguments)


@each_case
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda fitted: pickle.loads(pickle.dumps(fitted))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_gives_the_same(case, duplicate):
    fitted = shared_fit(case)
    expected = results(case, fitted)
    assert_same_results(results(case, duplicate(fitted)), expected)
    assert_same_results(results(case, fitted), expected)


@each_case
def test_fitting_again_gives_the_same(case):
    fitted = case.fitted()
    expected = results(case, fitted)
    assert fitted.fit(*case.data) is fitted
    assert_same_results(results(case, fitted), expected)


@each_case
def test_fit_changes_neither_its_input_nor_parameters(case):
    estimator, before = case.unfitted(), copy.deepcopy(case.data)
    params = estimator.get_params()
    estimator.fit(*case.data)
    results(case, estimator)
    assert estimator.get_params() == params
    for found, expected in zip(case.data, before, strict=True):
        assert type(found) is type(expected)
        assert_same_results(plain(found), plain(expected))


@each_case
def test_n_jobs_changes_nothing(case):
    names = [name for name in case.estimator.get_params() if name.endswith("n_jobs")]
    expected = results(case, shared_fit(case))
    assert_same_results(results(case, case.fitted(**dict.fromkeys(names, 2))), expected)


class Wrong:
    """No parameter takes an object of this type."""

    def __repr__(self):
        return "Wrong()"


def parameters():
    for case in {type(case.estimator): case for case in CASES.values()}.values():
        # Of verbose, only the truth value is used.
        names = inspect.signature(type(case.estimator)).parameters
        for name in sorted(names.keys() - {"verbose"}):
            yield pytest.param(case, name, id=f"{type(case.estimator).__name__}-{name}")


@pytest.mark.parametrize(("case", "name"), list(parameters()))
def test_a_parameter_of_a_wrong_type_is_named_and_leaves_the_earlier_fit(case, name):
    fitted = copy.deepcopy(shared_fit(case))
    expected = results(case, fitted)
    right = fitted.get_params(deep=False)[name]
    fitted.set_params(**{name: Wrong()})
    with pytest.raises((TypeError, ValueError), match=name):
        fitted.fit(*case.data)
    fitted.set_params(**{name: right})
    assert_same_results(results(case, fitted), expected)


# ---- rankings ----


@each_ranker
def test_rankings_have_fixed_shapes_and_are_padded(case):
    k = case.n_labels + 7
    labels, scores = shared_fit(case).rank(case.rank, k)
    assert labels.shape == scores.shape == (np.shape(case.rank)[0], k)
    assert labels.dtype == np.int32
    assert scores.dtype == case.score_dtype
    padding = labels == -1
    assert padding[:, case.n_labels :].all()
    assert (scores[padding] == -np.inf).all()
    assert np.isfinite(scores[~padding]).all()
    assert (np.diff(padding.astype(int)) >= 0).all()
    for row in labels:
        found = row[row >= 0]
        assert len(set(found)) == len(found)
        assert not len(found) or found.max() < case.n_labels


@each_ranker
def test_a_shorter_ranking_is_the_beginning_of_a_longer_one(case):
    fitted = shared_fit(case)
    labels, scores = fitted.rank(case.rank, case.n_labels)
    for k in (1, 2, 5):
        found = fitted.rank(case.rank, k)
        assert_array_equal(found[0], labels[:, :k])
        assert_array_equal(found[1], scores[:, :k])


@each_ranker
def test_scores_fall_and_ties_are_in_the_order_of_labels(case):
    labels, scores = shared_fit(case).rank(case.rank, case.n_labels)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    tied = (scores[:, :-1] == scores[:, 1:]) & (labels[:, 1:] >= 0)
    assert (labels[:, :-1] < labels[:, 1:])[tied].all()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_are_in_the_order_of_labels(kind):
    # No features: all labels have the same scores, whatever the tree.
    empty, everything = sp.csr_matrix((12, 4), dtype=np.float32), np.ones((12, 12))
    clf = classifier(kind, beam_width=20).fit(empty, everything)
    labels, scores = clf.rank(empty, 12)
    assert (scores == scores[:, :1]).all()
    assert_array_equal(labels, np.tile(np.arange(12), (12, 1)))


@each_ranker
def test_an_empty_row_is_ranked(case):
    if sp.issparse(case.rank):
        empty = sp.csr_matrix((2, case.rank.shape[1]), dtype=np.float32)
    else:
        empty = [""] * 2 if case.rank is TITLES else np.array([("", "")] * 2, dtype=object)
    labels, scores = shared_fit(case).rank(empty, 3)
    assert labels.shape == (2, 3)
    assert (labels[:, 0] >= 0).all()
    assert_array_equal(labels[0], labels[1])
    assert_array_equal(scores[0], scores[1])


@each_ranker
def test_rows_are_ranked_alike_alone_and_together(case):
    fitted = shared_fit(case)
    labels, scores = fitted.rank(case.rank, 5)
    for i in range(5):
        found = fitted.rank(case.rank[i : i + 1], 5)
        assert_array_equal(found[0][0], labels[i])
        assert_array_equal(found[1][0], scores[i])


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_mapped_from_disk_ranks_alike(tmp_path, kind):
    expected = fitted_classifier(kind).rank(X, 5)
    for found, array in zip(fitted_classifier(kind, tmp_path).rank(X, 5), expected, strict=True):
        assert_array_equal(found, array)
