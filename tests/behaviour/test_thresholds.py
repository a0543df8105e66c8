"""The labels that `predict` returns: without a threshold, with a number, with a chosen one."""

import json
import pickle

import numpy as np
import pytest
from datasets import catalogue_sample
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV

import skxmr
from skxmr import CalibratedRanker, KMeansIndexer, PropensityReranker, XRLinearClassifier
from skxmr.model_selection import tune_threshold


def example(n=600, n_labels=30, seed=0):
    """Labels have features, hidden in noise; about two labels a row, a few rows have none."""
    rng = np.random.default_rng(seed)
    Y = sp.csr_matrix((rng.random((n, n_labels)) < 0.07).astype(np.float32))
    noise = sp.random(n, 40, 0.1, "csr", dtype=np.float32, random_state=seed)
    return sp.hstack((Y, 2 * noise), format="csr").astype(np.float32), Y


def classifier(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=5)
    return XRLinearClassifier(indexer, **{"random_state": 0, "beam_width": 6, **params})


def expected_labels(labels, values):
    """Labels of one row by the rule of the docstring, with loops."""
    reached = [(label, value) for label, value in zip(labels, values, strict=True) if label >= 0]
    total = sum(value for _, value in reached[:20])
    chosen = {label for label, value in reached if value >= 0.1 * total and value > 0}
    return chosen | {label for label, _ in reached[:1]}


def predicted_labels(predicted):
    return [set(row.indices.tolist()) for row in sp.csr_matrix(predicted)]


# ---- without a threshold ----

VALUES = {
    "l3-hinge": lambda s: s,
    "sigmoid": lambda s: s,
    "log-sigmoid": np.exp,
    "log-l2-hinge": np.exp,
    "noop": lambda s: np.exp(-(np.maximum(0, 1 - s) ** 3)),
}


@pytest.mark.parametrize("n_neighbors", [20, None])
@pytest.mark.parametrize("post_processor", VALUES)
def test_the_best_label_and_those_with_a_tenth_of_the_sum(post_processor, n_neighbors):
    X, Y = example()
    clf = classifier(post_processor=post_processor, n_neighbors=n_neighbors).fit(X, Y)
    labels, scores = clf.rank(X, 30)
    values = VALUES[post_processor](scores.astype(float))
    expected = [expected_labels(*row) for row in zip(labels.tolist(), values, strict=True)]
    assert predicted_labels(clf.predict(X)) == expected
    assert clf.threshold_ is None


def test_margins_of_the_log_loss_are_turned_into_probabilities():
    X, Y = example()
    clf = classifier(post_processor="noop", loss="log_loss").fit(X, Y)
    labels, margins = clf.rank(X, 30)
    values = 1 / (1 + np.exp(-margins.astype(float)))
    expected = [expected_labels(*row) for row in zip(labels.tolist(), values, strict=True)]
    assert predicted_labels(clf.predict(X)) == expected


@pytest.mark.parametrize("post_processor", ["sigmoid", "l1-hinge", "l3-hinge", "l4-hinge"])
@pytest.mark.parametrize("params", [{}, {"n_neighbors": None}, {"n_trees": 2}])
def test_logarithms_predict_the_same_labels(post_processor, params):
    X, Y = example()
    clf = classifier(post_processor=post_processor, **params).fit(X, Y)
    plain = clf.predict(X)
    logarithms = clf.set_params(post_processor=f"log-{post_processor}").predict(X)
    assert (plain != logarithms).nnz == 0


EVEN_SCORES = {"l3-hinge": 0.5, "sigmoid": 0.5, "log-l3-hinge": float(np.log(0.5)), "noop": 0.0}


@pytest.mark.parametrize("post_processor", EVEN_SCORES)
def test_few_labels_need_a_score_of_one_half(post_processor):
    X, Y = example(n_labels=9)
    clf = classifier(post_processor=post_processor).fit(X, Y)
    predicted = clf.predict(X)
    clf.set_params(threshold=EVEN_SCORES[post_processor])
    assert (predicted != clf.predict(X)).nnz == 0


def test_wrappers_of_few_labels_need_a_score_of_one_half():
    X, Y = example(n_labels=4)
    clf = FrozenEstimator(classifier().fit(X, Y))
    for wrapper in (CalibratedRanker(clf, cv="prefit"), PropensityReranker(clf)):
        predicted = wrapper.fit(X, Y).predict(X)
        assert (predicted != wrapper.set_params(threshold=0.5).predict(X)).nnz == 0
    inner = FrozenEstimator(classifier(post_processor="log-l3-hinge").fit(X, Y))
    assert (PropensityReranker(inner).fit(X, Y).predict(X) != predicted).nnz == 0


def test_a_row_without_features_has_a_label():
    X, Y = example()
    assert classifier().fit(X, Y).predict(sp.csr_matrix((1, X.shape[1]), dtype=np.float32)).nnz >= 1


@pytest.mark.parametrize("wrapper", [CalibratedRanker, PropensityReranker])
def test_wrappers_leave_no_row_without_a_label(wrapper):
    X, Y = example()
    for post_processor in ("l3-hinge", "log-sigmoid"):
        inner = FrozenEstimator(classifier(post_processor=post_processor).fit(X, Y))
        cv = {"cv": "prefit"} if wrapper is CalibratedRanker else {}
        fitted = wrapper(inner, **cv).fit(X, Y)
        predicted = fitted.predict(X)
        assert np.diff(predicted.indptr).min() == 1
        labels, scores = fitted.rank(X, 20)
        is_log = getattr(fitted, "scale_", "") == "log"
        values = np.exp(scores - scores[:, :1]) if is_log else scores
        expected = [expected_labels(*row) for row in zip(labels.tolist(), values, strict=True)]
        assert predicted_labels(predicted) == expected
        best = tune_threshold(fitted, X, Y)
        found = fitted.set_params(threshold=best.threshold).predict(X)
        assert f1_score(Y, found, average="micro") == pytest.approx(best.score)


# ---- a number ----


def test_a_number_is_a_threshold_on_the_scores():
    X, Y = example()
    clf = classifier(threshold=0.3).fit(X, Y)
    assert clf.threshold_ == 0.3
    labels, scores = clf.rank(X, 30)
    expected = [
        set(row[above].tolist())
        for row, above in zip(labels, (scores > 0.3) & (labels >= 0), strict=True)
    ]
    assert predicted_labels(clf.predict(X)) == expected


# ---- chosen by fit ----


def test_the_choice_is_the_best_number_on_the_rows_held_out(monkeypatch):
    X, Y = example()
    kept = []

    def choose(held_out, options, **neighbors):
        kept.append((held_out, neighbors))
        return real(held_out, options, **neighbors)

    real = skxmr.linear._fit.choose_threshold
    monkeypatch.setattr(skxmr.linear._fit, "choose_threshold", choose)
    auto = classifier(threshold="auto", n_neighbors=None).fit(X, Y)
    held_out, neighbors = kept[0]
    assert neighbors["weighting"] is None
    assert neighbors["dense_weighting"] is None
    others = held_out.others
    part = classifier(n_neighbors=None).fit(X[others.source], others.Y)
    rest = np.setdiff1d(np.arange(X.shape[0]), others.source)
    best = tune_threshold(part, X[rest], Y[rest])
    assert auto.threshold_ == best.threshold
    given = classifier(threshold=best.threshold, n_neighbors=None).fit(X, Y)
    assert (auto.predict(X) != given.predict(X)).nnz == 0


@pytest.fixture
def trainings(monkeypatch):
    """Number of rows of every training of a tree."""
    found = []
    trainer = skxmr._training.trees.TreeTrainer
    real = trainer.train
    monkeypatch.setattr(
        trainer,
        "train",
        lambda self, data, *rest: (
            found.append(len(data.examples.source)) or real(self, data, *rest)
        ),
    )
    return found


def test_both_choices_share_the_rows_held_out(trainings):
    X, Y = example()
    clf = classifier(threshold="auto", n_neighbors="auto").fit(X, Y)
    assert len(trainings) == 2
    assert trainings[0] < trainings[1]
    assert isinstance(clf.threshold_, float)
    classifier().fit(X, Y)
    assert len(trainings) == 3


def test_logarithms_choose_the_logarithm():
    X, Y = example()
    plain = classifier(threshold="auto", post_processor="sigmoid").fit(X, Y)
    log = classifier(threshold="auto", post_processor="log-sigmoid").fit(X, Y)
    assert log.threshold_ == pytest.approx(np.log(plain.threshold_), abs=1e-5)


def test_few_rows_and_classes_choose_no_number(trainings):
    X, Y = example(200)
    clf = classifier(threshold="auto").fit(X, Y)
    assert clf.threshold_ is None
    assert (clf.predict(X) != classifier().fit(X, Y).predict(X)).nnz == 0
    del trainings[:]
    X, Y = example()
    classes = Y.argmax(axis=1).A1
    clf = classifier(threshold="auto").fit(X, classes)
    assert clf.threshold_ is None
    assert len(trainings) == 1
    assert_array_equal(clf.predict(X), classifier(threshold=2.0).fit(X, classes).predict(X))


@pytest.mark.parametrize("threshold", [None, 0.25, "auto"])
def test_copies_have_the_threshold(threshold, tmp_path):
    X, Y = example()
    clf = classifier(threshold=threshold).fit(X, Y)
    clf.save(tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(clf)), skxmr.load(tmp_path / "model")):
        assert copy.threshold == threshold
        assert copy.threshold_ == clf.threshold_
        assert (copy.predict(X) != clf.predict(X)).nnz == 0


@pytest.mark.parametrize("threshold", ["x", [0.5], True])
def test_a_saved_threshold_is_checked(threshold, tmp_path):
    from skxmr._utils.folder import write_folder
    from skxmr.linear._saving import classifier_state

    content, *arrays = classifier_state(classifier().fit(*example()))
    write_folder(tmp_path / "model", {**content, "threshold": threshold}, *arrays)
    with pytest.raises(ValueError, match="threshold"):
        skxmr.load(tmp_path / "model")


def test_folders_without_the_key_have_the_parameter(tmp_path):
    from skxmr._utils.folder import write_folder
    from skxmr.linear._saving import classifier_state

    for threshold, expected in ((0.25, 0.25), ("auto", None), (None, None)):
        content, *arrays = classifier_state(classifier(threshold=threshold).fit(*example()))
        assert json.dumps(content.pop("threshold"))
        write_folder(tmp_path / str(threshold), content, *arrays)
        assert skxmr.load(tmp_path / str(threshold)).threshold_ == expected


@pytest.mark.parametrize("params", [{}, {"n_neighbors": "auto"}])
def test_a_search_over_thresholds_trains_once(params, tmp_path, trainings):
    X, Y = example()
    clf = classifier(memory=str(tmp_path), **params)
    grid = {"threshold": [None, 0.05, 0.1, 0.2]}
    search = GridSearchCV(clf, grid, cv=2, refit=False, scoring="f1_micro", error_score="raise")
    search.fit(X, Y.toarray())
    assert len(trainings) == 2 * (1 + bool(params))
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    classifier(memory=str(tmp_path), **params, threshold="auto").fit(X, Y)
    chosen = classifier(memory=str(tmp_path), **params, threshold="auto", beam_width=2).fit(X, Y)
    alone = classifier(**params, threshold="auto", beam_width=2).fit(X, Y)
    assert chosen.threshold_ == alone.threshold_


# ---- real data ----


@pytest.mark.slow
def test_thresholds_on_the_sample():
    data = catalogue_sample()
    vectorizer = TfidfVectorizer(min_df=3, dtype=np.float32)
    X, X_test = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    auto = XRLinearClassifier(random_state=0, threshold="auto").fit(X, data.Y_train)
    f1 = {}
    for threshold in ("auto", None, 0.5):
        predicted = auto.set_params(threshold=threshold).predict(X_test)
        f1[threshold] = f1_score(data.Y_test, predicted, average="micro")
        if threshold is None:
            assert np.diff(predicted.indptr).min() >= 1
    assert f1[None] > 0.34
    assert f1["auto"] > 0.35
    assert f1[0.5] < 0.22
