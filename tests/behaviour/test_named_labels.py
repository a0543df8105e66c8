"""Labels as lists, frames and matrices with names: what fit takes, predict gives back."""

import pickle

import numpy as np
import pytest
from datasets import titles_with_labels
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer

import skxmr
from skxmr import CalibratedRanker, PropensityReranker, XRLinearClassifier
from skxmr.metrics import ndcg_at_5_scorer, precision_at_1_scorer, precision_at_k

TITLES, LISTS = titles_with_labels()
VECTORIZER = TfidfVectorizer(dtype=np.float32)
X = VECTORIZER.fit_transform(TITLES)
BINARIZER = MultiLabelBinarizer(sparse_output=True)
Y = sp.csr_matrix(BINARIZER.fit_transform(LISTS))
NAMES = BINARIZER.classes_


def classifier(**params):
    return XRLinearClassifier(**{"random_state": 0, "threshold": 0.3, **params})


def arrays_of(lists):
    array = np.empty(len(lists), dtype=object)
    array[:] = lists
    return array


def series_of(lists):
    return pytest.importorskip("pandas").Series(lists)


KINDS = {
    "lists": lambda: LISTS,
    "tuples": lambda: tuple(map(tuple, LISTS)),
    "sets": lambda: [set(row) for row in LISTS],
    "object array": lambda: arrays_of(LISTS),
    "series": lambda: series_of(LISTS),
    "repeated": lambda: [[*row, *row] for row in LISTS],
}


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_the_indicator_with_names(kind):
    y = KINDS[kind]()
    clf, plain = classifier().fit(X, y), classifier().fit(X, Y)
    assert clf.classes_.tolist() == NAMES.tolist()
    assert clf.multilabel_
    assert (clf.decision_function(X) != plain.decision_function(X)).nnz == 0
    assert clf.score(X, y) == plain.score(X, Y)
    predicted = clf.predict(X)
    as_list = kind not in ("object array", "series")
    assert isinstance(predicted, list if as_list else np.ndarray)
    assert (BINARIZER.transform(predicted) != plain.predict(X)).nnz == 0
    labels, scores = clf.rank(X, 3)
    for i, names in enumerate(predicted):
        expected = [NAMES[label] for label, s in zip(labels[i], scores[i], strict=True) if s > 0.3]
        assert names[:3] == expected
    assert precision_at_k(y, clf.rank(X, 1), k=1) == plain.score(X, Y)
    with pytest.raises(TypeError, match="Y_true must be an indicator unless"):
        precision_at_k(y, tuple(clf.rank(X, 1)), k=1)
    for scorer in (precision_at_1_scorer, ndcg_at_5_scorer):
        assert scorer(clf, X, y) == scorer(plain, X, Y)


def test_rows_without_labels_and_integers():
    y = [[7, 3], [], {5}] * 10
    clf = classifier().fit(X[:30], y)
    assert clf.classes_.tolist() == [3, 5, 7]
    assert clf.predict(X[:3])[0] in ([7, 3], [3, 7])


def test_nested_lists_of_one_length_are_a_matrix():
    clf = classifier().fit(X[:4], [[1, 0], [0, 1], [1, 1], [0, 0]])
    assert clf.classes_.tolist() == [0, 1]
    assert isinstance(clf.predict(X[:2]), np.ndarray)


@pytest.mark.parametrize("sparse", [False, True])
def test_frames_of_indicator_columns(sparse):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(Y.toarray(), columns=NAMES)
    if sparse:
        frame = pd.DataFrame.sparse.from_spmatrix(Y, columns=NAMES)
    clf, plain = classifier().fit(X, frame), classifier().fit(X, Y)
    assert clf.classes_.tolist() == NAMES.tolist()
    predicted = clf.predict(X)
    assert predicted.columns.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(predicted.to_numpy(), plain.predict(X).toarray())
    backwards = frame[frame.columns[::-1]]
    assert clf.score(X, backwards) == plain.score(X, Y)
    assert precision_at_1_scorer(clf, X, backwards) == plain.score(X, Y)
    with pytest.raises(
        ValueError, match=r"y must have the columns of fit, got 1 others .* lacks 1"
    ):
        clf.score(X, frame.rename(columns={NAMES[0]: "other"}))


def test_names_of_a_matrix(tmp_path):
    clf = classifier().fit(X, Y, label_names=NAMES)
    assert clf.classes_.tolist() == NAMES.tolist()
    assert (clf.predict(X) != classifier().fit(X, Y).predict(X)).nnz == 0
    assert clf.explain(X[:1], NAMES[1]).column == 1
    clf.save(tmp_path)
    for copy in (skxmr.load(tmp_path), pickle.loads(pickle.dumps(clf))):
        assert copy.classes_.tolist() == NAMES.tolist()


def test_different_labels_may_have_one_name():
    names = ["homonym", "homonym", *NAMES[2:]]
    clf = classifier().fit(X, Y, label_names=names)
    assert clf.score(X, Y) == classifier().fit(X, Y).score(X, Y)
    assert clf.explain(X[:1], 1).column == 1
    with pytest.raises(ValueError, match="label must be a position, because 2 labels are named"):
        clf.explain(X[:1], "homonym")
    with pytest.raises(ValueError, match="y must be a matrix, because several labels"):
        clf.score(X, LISTS)


def test_saved_lists_are_lists(tmp_path):
    clf = classifier().fit(X, LISTS)
    clf.save(tmp_path)
    for mmap in (False, True):
        assert skxmr.load(tmp_path, mmap=mmap).predict(X) == clf.predict(X)


def test_labels_that_are_unknown_are_misses():
    clf = classifier().fit(X, LISTS)
    assert clf.score(X, [["unheard of"]] * X.shape[0]) == 0
    known = ndcg_at_5_scorer(clf, X, LISTS)
    assert ndcg_at_5_scorer(clf, X, [[*row, "unheard of"] for row in LISTS]) < known


WRAPPERS = [
    lambda estimator: CalibratedRanker(estimator, cv=2, threshold=0.3, random_state=0),
    lambda estimator: PropensityReranker(estimator, threshold=0.3, random_state=0),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("kind", ["lists", "object array"])
def test_wrappers_take_lists(wrap, kind):
    y = KINDS[kind]()
    wrapped, plain = wrap(classifier()).fit(X, y), wrap(classifier()).fit(X, Y)
    assert wrapped.classes_.tolist() == NAMES.tolist()
    assert (BINARIZER.transform(wrapped.predict(X)) != plain.predict(X)).nnz == 0
    assert wrapped.score(X, y) == plain.score(X, Y)
    np.testing.assert_array_equal(wrapped.rank(X, 3)[0], plain.rank(X, 3)[0])
    frozen = clone(wrapped).set_params(estimator=FrozenEstimator(classifier().fit(X, LISTS)))
    frozen.fit(X[:50], y[:50])
    assert frozen.classes_.tolist() == NAMES.tolist()
    assert 0 < frozen.score(X, y) <= 1


def test_searches_take_lists():
    model = make_pipeline(TfidfVectorizer(), classifier())
    grid = {"xrlinearclassifier__beam_width": [1, 10]}
    search = GridSearchCV(model, grid, cv=KFold(2), error_score="raise").fit(TITLES, LISTS)
    assert search.predict(TITLES[:2]) == search.best_estimator_.predict(TITLES[:2])
    scores = skxmr.model_selection.cross_val_score(model, TITLES, LISTS, cv=2)
    assert scores.tolist() == pytest.approx(
        skxmr.model_selection.cross_val_score(model, TITLES, Y, cv=KFold(2)).tolist()
    )


@pytest.mark.parametrize("kind", ["lists", "frame", "names"])
def test_labels_added_have_names(kind):
    few = [[label for label in row if label != NAMES[0]] for row in LISTS]
    if kind == "lists":
        clf = classifier().fit(X, few)
        clf.add_labels(X, LISTS)
        names = NAMES.tolist()
    elif kind == "frame":
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(Y.toarray(), columns=NAMES)
        clf = classifier().fit(X, frame.drop(columns=NAMES[0]))
        clf.add_labels(X, frame)
        names = [*NAMES[1:], NAMES[0]]
    else:
        clf = classifier().fit(X, Y[:, 1:], label_names=NAMES[1:])
        with pytest.raises(ValueError, match="label_names must be names of the new labels"):
            clf.add_labels(X, sp.hstack((Y[:, 1:], Y[:, :1])))
        clf.add_labels(X, sp.hstack((Y[:, 1:], Y[:, :1])), label_names=[NAMES[0]])
        names = [*NAMES[1:], NAMES[0]]
    assert clf.classes_.tolist() == names
    position = names.index(NAMES[0])
    rows = np.flatnonzero(Y[:, [0]].toarray())
    assert (clf.rank(X[rows], 5)[0] == position).any(axis=1).mean() > 0.5


@pytest.mark.parametrize(
    ("y", "given", "error", "match"),
    [
        ([["a"], [None]], {}, TypeError, r"y must hold lists of labels that are all strings"),
        ([["a", 1], ["b"]], {}, TypeError, r"y must hold lists of labels that are all"),
        ([[], []], {}, ValueError, "y has no label"),
        ([["a"], [["b"]]], {}, TypeError, r"all strings, got \['b'\] in row 1"),
        ([["a"], ["b"]], {"label_names": ["a", "b"]}, ValueError, "label_names must be None"),
        (np.eye(2), {"label_names": ["a"]}, ValueError, "label_names must be names of the columns"),
        (["a", "b"], {"label_names": ["a", "b"]}, ValueError, "label_names must be names"),
        (arrays_of([[0, 1], [1, 0]]), {}, ValueError, "y holds lists of 0 and 1"),
    ],
)
def test_bad_labels_are_refused(y, given, error, match):
    clf = classifier()
    with pytest.raises(error, match=match):
        clf.fit(X[:2], y, **given)
    assert not hasattr(clf, "classes_")


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        ([["a"], [3]], TypeError, r"all strings, got 3 in row 1"),
        ([[3], [4]] * 2, ValueError, "y must hold classes of object"),
        (LISTS[:4], ValueError, "y must hold at least one label that is new"),
    ],
)
def test_bad_labels_are_not_added(y, error, match):
    clf = classifier().fit(X, LISTS)
    lists = [set(row) for row in y]
    with pytest.raises(error, match=match):
        clf.add_labels(X[: len(lists)], lists)
    assert clf.classes_.tolist() == NAMES.tolist()
