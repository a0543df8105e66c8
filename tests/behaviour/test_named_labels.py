"""Labels as lists, frames and matrices with names: what fit takes, predict gives back."""

import pickle
from functools import partial

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
from skxmr.model_selection import tune_threshold

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


def cycled(labels):
    """Return 10 rows for each label, and an indicator with one label per row."""
    Y = np.tile(np.eye(len(labels), dtype=np.float32), (10, 1))
    return Y, Y.astype(int)


FROZEN = {
    "calibrated": lambda clf: CalibratedRanker(FrozenEstimator(clf), cv="prefit", random_state=0),
    "propensity": lambda clf: PropensityReranker(FrozenEstimator(clf), random_state=0),
}


@pytest.mark.parametrize("wrap", FROZEN)
@pytest.mark.parametrize("kind", ["frame", "lists", "names", "classes"])
def test_frames_in_another_order(wrap, kind):
    pd = pytest.importorskip("pandas")
    rows, indicator = cycled("abc")
    frame = pd.DataFrame(indicator, columns=list("abc"))
    forms = {
        "frame": (frame, {}),
        "lists": ([[name] for name in "abc" * 10], {}),
        "names": (indicator, {"label_names": list("abc")}),
        "classes": (list("abc" * 10), {}),
    }
    y, given = forms[kind]
    clf = classifier().fit(rows, y, **given)
    reordered = frame[["c", "a", "b"]]
    ranker = FROZEN[wrap](clf).fit(rows, reordered)
    assert ranker.rank(rows[:3], 1).names == [["a"], ["b"], ["c"]]
    assert ranker.predict(rows)[["a", "b", "c"]].to_numpy().tolist() == indicator.tolist()
    models = [ranker] if kind == "classes" else [ranker, clf]
    for model in models:
        assert model.score(rows, reordered) == model.score(rows, frame) == 1
        assert model.score(rows, pd.DataFrame(indicator)) == 1
    assert precision_at_1_scorer(clf, rows, reordered) == 1
    assert tune_threshold(clf, rows, reordered).score == 1
    unknown = reordered.rename(columns={"c": "z"})
    for use in (ranker.fit, ranker.score, partial(tune_threshold, clf)):
        with pytest.raises(ValueError, match=r"got 1 others \(\['z'\]\) and lacks 1 \(\['c'\]\)"):
            use(rows, unknown)


def test_frames_whose_names_are_numbers():
    pd = pytest.importorskip("pandas")
    rows, indicator = cycled("abc")
    clf = classifier().fit(rows, pd.DataFrame(indicator, columns=[1, 2, 3]))
    assert clf.score(rows, pd.DataFrame(indicator[:, ::-1], columns=[3, 2, 1])) == 1
    with pytest.raises(ValueError, match=r"got 1 others \(\[0\]\) and lacks 1 \(\[3\]\)"):
        clf.score(rows, pd.DataFrame(indicator))
    plain = classifier().fit(rows, indicator)
    assert plain.score(rows, pd.DataFrame(indicator, columns=list("abc"))) == 1


def test_frames_with_repeated_names():
    pd = pytest.importorskip("pandas")
    rows, indicator = cycled("abc")
    clf = classifier().fit(rows, indicator, label_names=list("abc"))
    with pytest.raises(ValueError, match="columns of y must be distinct"):
        clf.score(rows, pd.DataFrame(indicator, columns=list("aab")))
    homonyms = classifier().fit(rows, indicator, label_names=list("aab"))
    with pytest.raises(ValueError, match="y must be a matrix, because several labels"):
        homonyms.score(rows, pd.DataFrame(indicator, columns=list("aba")))


IDS = [10, 20, 30, 40]
ID_ROWS, ID_INDICATOR = cycled(IDS)
ID_LISTS = [[label] for label in IDS * 10]


@pytest.mark.parametrize("wrap", FROZEN)
@pytest.mark.parametrize("to_label", [int, str])
def test_held_out_rows_lack_a_label(wrap, to_label):
    y = [{to_label(label)} for (label,) in ID_LISTS]
    clf = classifier().fit(ID_ROWS, y)
    kept = [i for i, row in enumerate(y) if row != {to_label(10)}]
    expected = FROZEN[wrap](clf).fit(ID_ROWS[kept], ID_INDICATOR[kept])
    with_unknown = [{to_label(20), to_label(50)} if y[i] == {to_label(20)} else y[i] for i in kept]
    for held_out in ([y[i] for i in kept], with_unknown):
        ranker = FROZEN[wrap](clf).fit(ID_ROWS[kept], held_out)
        np.testing.assert_array_equal(ranker.rank(ID_ROWS, 4), expected.rank(ID_ROWS, 4))
        assert ranker.score(ID_ROWS, y) == 1


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrappers_keep_integer_labels(wrap, tmp_path):
    ranker = wrap(classifier()).fit(ID_ROWS, [set(row) for row in ID_LISTS])
    skxmr.save(ranker, tmp_path)
    for model in (ranker, skxmr.load(tmp_path)):
        assert model.classes_.tolist() == IDS
        assert model.rank(ID_ROWS[:4], 1).names == ID_LISTS[:4]
        assert model.predict(ID_ROWS[:4]) == ID_LISTS[:4]
        assert model.score(ID_ROWS, ID_LISTS) == 1


def test_lists_of_integers_are_true_labels():
    clf = classifier().fit(ID_ROWS, [set(row) for row in ID_LISTS])
    ranking = clf.rank(ID_ROWS[:4], 2)
    assert precision_at_k([[10], [20, 30], [], [50]], ranking, k=1) == 0.5
    assert precision_at_k(ID_LISTS[:4], ranking, k=1) == 1
    assert clf.score(ID_ROWS[:2], [[10, 20], [20, 10]]) == 1
    assert clf.score(ID_ROWS[:2], [[20, 30], [20, 10]]) == 0.5
    assert precision_at_1_scorer(clf, ID_ROWS[:2], [[20], [20]]) == 0.5
    assert clf.score(ID_ROWS[:4], ID_INDICATOR[:4].tolist()) == 1
    assert precision_at_k(ID_INDICATOR[:4].tolist(), ranking, k=1) == 1
    with pytest.raises(ValueError, match="Y_true must have rows of one length"):
        precision_at_k([[10], [20, 30], [], []], tuple(ranking), k=1)
    extended = clf.add_labels(ID_ROWS, [[*row, 50] for row in ID_LISTS])
    assert extended.classes_.tolist() == [*IDS, 50]


def test_lists_of_zeros_and_ones():
    clf = classifier().fit(ID_ROWS[:, :2], [{0}, {1}, {0}, {1}] * 10)
    two = clf.rank(ID_ROWS[:2, :2], 1).names
    assert clf.score(ID_ROWS[:2, :2], two) == 1  # rows of one label are no indicator of two
    with pytest.raises(ValueError, match="y holds lists of 0 and 1"):
        clf.score(ID_ROWS[:2, :2], [[0, 1], [1, 0]])


@pytest.mark.parametrize("to_label", [int, str])
def test_thresholds_of_lists(to_label):
    y = [[to_label(label) for label in row] for row in ID_LISTS]
    clf = classifier().fit(ID_ROWS, [set(row) for row in y])
    found = tune_threshold(clf, ID_ROWS, y)
    matrix = tune_threshold(clf, ID_ROWS, sp.csr_matrix(ID_INDICATOR))
    assert (found.threshold, found.score) == (matrix.threshold, 1)
    folds = {"cv": 2, "random_state": 0}
    sets = [set(row) for row in y]
    assert (
        tune_threshold(classifier(), ID_ROWS, sets, **folds).score
        == tune_threshold(classifier(), ID_ROWS, sp.csr_matrix(ID_INDICATOR), **folds).score
    )
    # Of 80 true labels, the 40 that the model does not know are misses.
    more = [[*row, to_label(50)] for row in y]
    assert tune_threshold(clf, ID_ROWS, more).score == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="Y must have 4 columns as in fit, got 3"):
        tune_threshold(clf, ID_ROWS, ID_INDICATOR[:, :3])


@pytest.mark.parametrize("dtype", ["List", "Array", "Object"])
def test_series_of_polars(dtype):
    pl = pytest.importorskip("polars")
    lists = [[name] for name in "abcd" * 10]
    series = {
        "List": pl.Series(lists),
        "Array": pl.Series(lists, dtype=pl.Array(pl.String, 1)),
        "Object": pl.Series([set(row) for row in lists], dtype=pl.Object),
    }
    clf = classifier().fit(ID_ROWS, series[dtype])
    assert clf.classes_.tolist() == list("abcd")
    assert clf.predict(ID_ROWS[:4]).tolist() == lists[:4]
    assert clf.score(ID_ROWS, series[dtype]) == 1
    wrapped = CalibratedRanker(classifier(), cv=2, random_state=0).fit(ID_ROWS, series[dtype])
    assert wrapped.rank(ID_ROWS[:4], 1).names == lists[:4]


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="needs NumPy 2")
def test_classes_as_variable_strings():
    dtype = np.dtypes.StringDType(na_object=None)
    names = list("abcd" * 10)
    y = np.array(names, dtype=dtype)
    clf, plain = classifier().fit(ID_ROWS, y), classifier().fit(ID_ROWS, names)
    assert clf.classes_.dtype == plain.classes_.dtype
    assert clf.predict(ID_ROWS).tolist() == names
    assert clf.score(ID_ROWS, y) == precision_at_1_scorer(clf, ID_ROWS, y) == 1
    assert CalibratedRanker(classifier(), cv=2).fit(ID_ROWS, y).score(ID_ROWS, y) == 1
    y[0] = None
    with pytest.raises(ValueError, match=r"y .*missing value"):
        clf.fit(ID_ROWS, y)


@pytest.mark.parametrize("wrap", FROZEN)
def test_names_of_more_labels_than_the_frozen_ranker_has(wrap):
    pd = pytest.importorskip("pandas")
    clf = classifier().fit(ID_ROWS, ID_INDICATOR)
    wider = np.hstack((ID_INDICATOR, ID_INDICATOR[:, :1]))
    with pytest.raises(ValueError, match="y must have 4 columns as in fit, got 5"):
        FROZEN[wrap](clf).fit(ID_ROWS, pd.DataFrame(wider, columns=list("abcde")))
