"""Texts and names of labels in pipelines, and the ranker of texts with recommended settings."""

import copy
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from datasets import catalogue_sample, titles_with_labels
from marks import TEXT_CHECKS
from numpy.testing import assert_array_equal
from saved_models import manifest_of, write_manifest
from scipy import sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler
from sklearn.utils import estimator_checks

import skxmr
from skxmr import TextRanker, XRLinearClassifier, make_text_ranker
from skxmr.metrics import precision_at_k
from skxmr.pipeline import Pipeline, make_pipeline
from skxmr.text import NGramTfidfVectorizer
from skxmr.text_ranker import LabelTextChoice

TITLES, SUBJECTS = titles_with_labels()
NAMES = sorted({name for row in SUBJECTS for name in row})
MATRIX = MultiLabelBinarizer(classes=NAMES, sparse_output=True).fit_transform(SUBJECTS)


def pipeline(**params):
    steps = [("words", TfidfVectorizer()), ("rank", XRLinearClassifier(random_state=0))]
    return Pipeline(steps, **params)


def by_hand(y=SUBJECTS, texts=NAMES, labels=None, **params):
    """A pipeline whose last step was fitted to features of the texts."""
    vectorizer = TfidfVectorizer()
    X = vectorizer.fit_transform(TITLES)
    examples = vectorizer.transform(texts)
    if labels is not None:
        examples = examples, np.array(labels)
    clf = XRLinearClassifier(random_state=0).fit(X, y, label_examples=examples, **params)
    return Pipeline([("words", vectorizer), ("rank", clf)])


def assert_same_rankings(found, expected, texts=TITLES):
    for a, b in zip(found.rank(texts, 5), expected.rank(texts, 5), strict=True):
        assert_array_equal(a, b)


FORMS = {
    "list": NAMES,
    "tuple": tuple(NAMES),
    "array": np.array(NAMES),
    "array of objects": np.array(NAMES, dtype=object),
    "series": pd.Series(NAMES),
    "mapping": {name: name for name in reversed(NAMES)},
    "mapping with an unknown label": {name: name for name in [*NAMES, "another"]},
    "lists of one text": [[name] for name in NAMES],
    "mapping to lists": {name: [name] for name in NAMES},
}


# ---- names and texts of labels in a pipeline ----


@pytest.mark.parametrize("form", FORMS)
def test_texts_of_labels_go_through_the_steps(form):
    model = pipeline().fit(TITLES, SUBJECTS, label_examples=FORMS[form])
    assert_same_rankings(model, by_hand())
    assert type(model[-1]) is XRLinearClassifier


def test_an_iterator_of_texts_is_read_once():
    model = pipeline().fit(TITLES, SUBJECTS, label_examples=iter(NAMES))
    assert_same_rankings(model, by_hand())


def test_a_label_may_have_several_texts_or_none():
    synonyms = {NAMES[3]: ["first words", "history of organs"], NAMES[7]: "music"}
    expected = by_hand(texts=["first words", "history of organs", "music"], labels=[3, 3, 7])
    found = pipeline().fit(TITLES, SUBJECTS, label_examples=synonyms)
    assert_same_rankings(found, expected)
    listed = [synonyms.get(name, []) for name in NAMES]
    assert_same_rankings(pipeline().fit(TITLES, SUBJECTS, label_examples=listed), expected)


def test_a_set_of_texts_is_used_in_a_fixed_order():
    texts = {NAMES[3]: {"b words", "a words"}}
    expected = by_hand(texts=["a words", "b words"], labels=[3, 3])
    assert_same_rankings(pipeline().fit(TITLES, SUBJECTS, label_examples=texts), expected)


@pytest.mark.parametrize("kind", ["matrix", "frame", "classes", "numbers"])
def test_mappings_have_the_labels_of_every_kind_of_y(kind):
    y, keys, params = {
        "matrix": (MATRIX, NAMES, {"label_names": NAMES}),
        "frame": (pd.DataFrame(MATRIX.toarray(), columns=NAMES), NAMES, {}),
        "classes": ([row[0] for row in SUBJECTS], NAMES, {}),
        "numbers": (MATRIX, range(len(NAMES)), {}),
    }[kind]
    examples = dict(zip(keys, NAMES, strict=True))
    if kind == "classes":
        examples = {key: text for key, text in examples.items() if key in set(y)}
    found = pipeline().fit(TITLES, y, label_examples=examples, **params)
    expected = by_hand(y, list(examples.values()), **params)
    assert_same_rankings(found, expected)
    assert_array_equal(found.classes_, expected.classes_)


def test_labels_of_one_name_have_the_same_text():
    names = ["same", "same", *NAMES[2:]]
    found = pipeline().fit(TITLES, MATRIX, label_names=names, label_examples={"same": "music"})
    expected = by_hand(MATRIX, ["music", "music"], [0, 1], label_names=names)
    assert_same_rankings(found, expected)


def test_names_of_columns_need_no_prefix():
    found = pipeline().fit(TITLES, MATRIX, label_names=NAMES)
    assert found.rank(TITLES[:1], 1).names[0][0] in NAMES
    assert_same_rankings(found, pipeline().fit(TITLES, MATRIX, rank__label_names=NAMES))


def test_rows_that_are_not_texts_are_transformed_as_well():
    rng = np.random.default_rng(0)
    X, examples = rng.random((60, 4)), rng.random((3, 4))
    y = np.eye(3)[np.arange(60) % 3]
    scaler = StandardScaler().fit(X)
    found = make_pipeline(StandardScaler(), XRLinearClassifier(random_state=0))
    clf = XRLinearClassifier(random_state=0)
    for given in (examples, examples.tolist(), (examples, np.arange(3))):
        found.fit(X, y, label_examples=given)
        clf.fit(scaler.transform(X), y, label_examples=scaler.transform(examples))
        assert_array_equal(found.rank(X, 3)[1], clf.rank(scaler.transform(X), 3)[1])


def test_a_pipeline_at_the_end_of_a_pipeline():
    inner = make_pipeline("passthrough", XRLinearClassifier(random_state=0))
    for examples in (NAMES, dict(zip(NAMES, NAMES, strict=True))):
        outer = make_pipeline(TfidfVectorizer(), clone(inner))
        assert_same_rankings(outer.fit(TITLES, SUBJECTS, label_examples=examples), by_hand())


def test_fitted_steps_are_kept_with_a_memory(tmp_path):
    model = pipeline(memory=str(tmp_path))
    unfitted = model[0]
    for _ in range(2):
        model.fit(TITLES, SUBJECTS, label_examples=NAMES)
        assert_same_rankings(model, by_hand())
    assert not hasattr(unfitted, "vocabulary_")


def test_the_memory_of_the_classifier_tells_examples_of_labels_apart(tmp_path):
    for labels in ([3, 3], [3, 7]):
        texts = {}
        for label, text in zip(labels, ["first words", "music"], strict=True):
            texts.setdefault(NAMES[label], []).append(text)
        model = pipeline().set_params(rank__memory=str(tmp_path))
        model.fit(TITLES, SUBJECTS, label_examples=texts)
        assert_same_rankings(model, by_hand(texts=["first words", "music"], labels=labels))


def test_searches_and_validation_pass_texts_of_labels_on():
    texts, folds = dict(zip(NAMES, NAMES, strict=True)), KFold(3)
    search = GridSearchCV(pipeline(), {"rank__C": [0.5, 1.0]}, cv=folds)
    search.fit(TITLES, SUBJECTS, label_examples=texts)
    best = clone(search.best_estimator_).fit(TITLES, SUBJECTS, label_examples=texts)
    assert_same_rankings(best, search.best_estimator_)
    scores = cross_val_score(
        pipeline(), TITLES, SUBJECTS, cv=folds, params={"label_examples": texts}
    )
    expected = []
    for train, test in folds.split(TITLES):
        part = pipeline().fit(
            [TITLES[i] for i in train], [SUBJECTS[i] for i in train], label_examples=texts
        )
        expected.append(part.score([TITLES[i] for i in test], [SUBJECTS[i] for i in test]))
    assert_array_equal(scores, expected)


def test_metadata_routing_may_be_enabled():
    with config_context(enable_metadata_routing=True):
        found = pipeline().fit(TITLES, MATRIX, label_names=NAMES, label_examples=NAMES)
        assert_same_rankings(found, by_hand(MATRIX, label_names=NAMES))
        routed = pipeline(transform_input=["label_examples"])
        routed[-1].set_fit_request(label_examples=True)
        routed.fit(TITLES, MATRIX, label_names=NAMES, label_examples=NAMES)
        assert_same_rankings(routed, found)
        routed[-1].set_fit_request(label_examples=True, label_names=True)
        routed.fit(TITLES, MATRIX, label_names=NAMES, label_examples=NAMES)
        assert_same_rankings(routed, found)
        assert make_text_ranker().fit(TITLES, SUBJECTS).label_texts_.used


def test_the_name_of_the_step_still_works():
    features = TfidfVectorizer().fit(TITLES).transform(NAMES)
    model = pipeline().fit(TITLES, SUBJECTS, rank__label_examples=features)
    assert_same_rankings(model, by_hand())


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"label_examples": NAMES[1:]}, ValueError, "must have 20 entries, one per label, got 19"),
        ({"label_examples": np.ones((3, 4))}, ValueError, "must have 20 entries.* got 3"),
        ({"label_examples": {"x": "y"}}, ValueError, "keys of label_examples must be labels"),
        ({"label_examples": {}}, ValueError, "keys of label_examples must be labels"),
        ({"label_examples": {NAMES[0]: []}}, ValueError, "at least one text, got none"),
        ({"label_examples": {NAMES[0]: 3}}, TypeError, f"got 3 for the label '{NAMES[0]}'"),
        ({"label_examples": [*NAMES[1:], None]}, TypeError, "must hold texts, got None"),
        ({"label_examples": [1] * 20}, TypeError, "must hold texts, got 1"),
        ({"label_examples": "abc"}, TypeError, "a sequence with one text per label.* got 'abc'"),
        ({"label_examples": set(NAMES)}, TypeError, "a sequence with one text per label"),
        ({"label_examples": NAMES, "rank__label_examples": 1}, ValueError, "got both"),
        ({"label_names": NAMES, "rank__label_names": NAMES}, ValueError, "got both"),
        ({"label_names": NAMES[1:]}, ValueError, "label_names must be None if y is lists"),
        ({"label_example": NAMES}, ValueError, "label_example"),
    ],
)
def test_wrong_texts_of_labels_are_refused_before_any_work(params, error, match):
    model = pipeline()
    with pytest.raises(error, match=match):
        model.fit(TITLES, SUBJECTS, **params)
    if "label_examples" in params:
        assert not hasattr(model[0], "vocabulary_")


@pytest.mark.parametrize("last", [LogisticRegression(), "passthrough", None, StandardScaler()])
def test_the_last_step_must_take_texts_of_labels(last):
    model = Pipeline([("words", TfidfVectorizer()), ("last", last)])
    for params in ({"label_examples": NAMES}, {"label_names": NAMES}):
        with pytest.raises(TypeError, match="the last step must take"):
            model.fit(TITLES, SUBJECTS, **params)


@pytest.mark.parametrize(
    ("rows", "labels", "match"),
    [
        (np.ones((2, 30)), [0, 12], r"must lie in \[0, 12\), got 12"),
        (np.ones((2, 30)), [0, -1], r"must lie in \[0, 12\), got -1"),
        (np.ones((2, 30)), [0, 1, 2], "rows of label_examples must have 3 rows, got 2"),
        (np.ones((2, 29)), [0, 1], "label_examples must have 30 features as X, got 29"),
        (np.ones((2, 30)), [0.0, 1.0], "array of integers, got float64"),
        (np.ones((2, 30)), [[0, 1]], r"one-dimensional array .* of shape \(1, 2\)"),
    ],
)
def test_wrong_pairs_of_rows_and_labels_are_refused(rows, labels, match):
    X, Y = sp.random(40, 30, 0.3, "csr", random_state=0), np.eye(12)[np.arange(40) % 12]
    with pytest.raises(ValueError, match=match):
        XRLinearClassifier().fit(X, Y, label_examples=(rows, labels))


# ---- TextRanker and make_text_ranker ----

DATA = catalogue_sample()
SOME, SOME_Y = list(DATA.text_train[::40]), DATA.Y_train[::40]


@cache
def few_labels():
    """Titles with some of 40 subjects."""
    return titles_with_labels(400, 40)


def names_that(help_rankings):
    names = np.array(DATA.label_names, dtype=object)
    return (names if help_rankings else np.roll(names, 1)).tolist()


@pytest.fixture(scope="module")
def ranker():
    return make_text_ranker(random_state=0).fit(SOME, SOME_Y, label_names=names_that(True))


def test_names_are_used_if_they_rank_better(ranker):
    choice = ranker.label_texts_
    assert choice.used is True
    assert sum(choice.with_texts) > sum(choice.without_texts)
    assert choice.n_held_out == len(SOME) // 10
    assert all(0 < p < 1 for p in choice.with_texts + choice.without_texts)
    used = make_text_ranker(use_label_texts=True, random_state=0)
    used.fit(SOME, SOME_Y, label_names=names_that(True))
    assert_same_rankings(ranker, used, DATA.text_test[:50])
    assert used.label_texts_ == (True, None, None, 0)


def test_names_of_other_labels_are_not_used():
    found = make_text_ranker(random_state=0).fit(SOME, SOME_Y, label_names=names_that(False))
    assert found.label_texts_.used is False
    assert sum(found.label_texts_.with_texts) < sum(found.label_texts_.without_texts)
    unused = make_text_ranker(use_label_texts=False, random_state=0).fit(SOME, SOME_Y)
    assert unused.label_texts_ == (False, None, None, 0)
    assert_same_rankings(found, unused, DATA.text_test[:50])


def test_the_measured_precisions_are_those_of_models_of_half_of_the_rows(ranker):
    choice = ranker.label_texts_
    vectorizer = ranker[0]
    rows = np.random.RandomState(0).permutation(np.flatnonzero(SOME_Y.sum(axis=1)))
    held_out, training = rows[: choice.n_held_out], rows[choice.n_held_out :][: len(rows) // 2]
    X = vectorizer.transform(SOME)
    clf = XRLinearClassifier(random_state=0)
    for examples, expected in (
        (vectorizer.transform(names_that(True)), choice.with_texts),
        (None, choice.without_texts),
    ):
        clf.fit(X[training], SOME_Y[training], label_examples=examples)
        ranking = clf.rank(X[held_out], 5)
        found = [precision_at_k(SOME_Y[held_out], ranking, k) for k in (1, 3, 5)]
        assert found == list(expected)


def test_it_ranks_better_than_words_alone(ranker):
    plain = make_pipeline(NGramTfidfVectorizer(min_df=3), XRLinearClassifier(random_state=0))
    plain.fit(SOME, SOME_Y)
    better, base = (model.rank(DATA.text_test, 5) for model in (ranker, plain))
    for k in (1, 3, 5):
        assert precision_at_k(DATA.Y_test, better, k) > precision_at_k(DATA.Y_test, base, k)


def test_few_rows_are_not_enough_to_measure():
    found = make_text_ranker(random_state=0).fit(TITLES, SUBJECTS)
    assert found.label_texts_ == (True, None, None, 0)


def test_labels_without_names_or_with_unknown_words_have_no_texts():
    for y in (MATRIX, [[f"p{NAMES.index(name)}" for name in row] for row in SUBJECTS]):
        found = make_text_ranker(random_state=0, use_label_texts=True).fit(TITLES, y)
        assert found.label_texts_.used is False


def test_texts_of_labels_replace_their_names():
    texts = {NAMES[3]: ["first words", "history of organs"]}
    found = make_text_ranker(random_state=0).fit(TITLES, SUBJECTS, label_examples=texts)
    assert found.label_texts_.used
    expected = make_text_ranker(random_state=0, use_label_texts=False)
    expected = Pipeline(expected.steps).fit(TITLES, SUBJECTS, label_examples=texts)
    assert_same_rankings(found, expected)


def test_parameters_with_a_value_per_row_are_split():
    texts, labels = few_labels()
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(labels)
    params = {
        "classifier__relevance": Y.multiply(2.0).tocsr(),
        "classifier__negatives": sp.csr_matrix(Y[::-1]),
        "classifier__sample_weight": np.full(400, 2.0),
    }
    found = make_text_ranker(random_state=0, n_neighbors=None).fit(texts, labels, **params)
    assert found.label_texts_.n_held_out == 40


def test_settings_that_multiply_the_training_are_not_part_of_the_measurement():
    params = {"n_trees": 2, "max_clusters_per_label": 2, "n_neighbors": "auto"}
    found, plain = (make_text_ranker(random_state=0, **p).fit(*few_labels()) for p in (params, {}))
    assert found.label_texts_ == plain.label_texts_
    assert len(found[-1].trees_) == 2


def test_a_random_state_that_is_an_object_is_not_advanced_by_the_measurement():
    after = []
    for use in ("auto", True):
        state = np.random.RandomState(3)
        ranker = make_text_ranker(random_state=state, use_label_texts=use).fit(*few_labels())
        assert (ranker.label_texts_.n_held_out > 0) == (use == "auto")
        after.append(state.randint(1 << 30))
    assert after[0] == after[1]


def test_the_methods_of_a_ranker(ranker):
    texts = list(DATA.text_test[:3])
    ranking = ranker.rank(texts, k=3)
    assert skxmr.rank(ranker, texts, 3).names == ranking.names
    assert ranker.predict(texts).shape == (3, 5000)
    assert 0 < ranker.score(DATA.text_test, DATA.Y_test) < 1
    name = ranking.names[0][0]
    assert name in str(ranker.explain(texts[:1], name))
    excluded = ranker.rank(texts[:1], k=3, exclude=[name]).names[0]
    assert name not in excluded


def test_a_ranker_has_the_parameters_of_its_steps():
    model = make_text_ranker(n_jobs=2, random_state=3, n_neighbors=None, use_label_texts=True)
    params = clone(model).get_params()
    assert params["classifier__n_neighbors"] is None
    assert params["classifier__n_jobs"] == params["vectorizer__n_jobs"] == 2
    assert params["classifier__random_state"] == 3
    assert params["use_label_texts"] is True
    assert type(clone(model)) is TextRanker
    with pytest.raises(TypeError, match=r"did you mean beam_width\?"):
        make_text_ranker(beam_size=3)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda ranker: pickle.loads(pickle.dumps(ranker))]
)
def test_copies_are_the_same(ranker, duplicate):
    found = duplicate(ranker)
    assert found.label_texts_ == ranker.label_texts_
    assert_same_rankings(found, ranker, DATA.text_test[:50])


def test_another_fit_is_the_same_and_the_number_of_jobs_has_no_effect():
    first, second = (
        make_text_ranker(random_state=0, n_jobs=n_jobs).fit(*few_labels()) for n_jobs in (None, 2)
    )
    for found in (second, clone(first).fit(*few_labels()), copy.deepcopy(first).fit(*few_labels())):
        assert found.label_texts_ == first.label_texts_
        assert_same_rankings(found, first)


@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_scikit_learn_checks_of_estimators_of_texts_pass(check):
    getattr(estimator_checks, check)("TextRanker", make_text_ranker())


def test_a_search_over_a_ranker():
    grid = {"classifier__C": [0.5, 1.0], "use_label_texts": [False, True]}
    search = GridSearchCV(make_text_ranker(random_state=0), grid, cv=KFold(2))
    search.fit(TITLES, SUBJECTS)
    assert isinstance(search.best_estimator_, TextRanker)
    assert search.best_estimator_.label_texts_.used == search.best_params_["use_label_texts"]


def test_small_and_empty_texts():
    def model():
        return make_text_ranker(random_state=0)

    assert model().fit(["cats purr"], [["cat"]]).rank(["my cats"], 2).names == [["cat"]]
    two = model().fit(["cats purr", "dogs bark"], ["cat", "dog"])
    assert two.predict(["a dog barks: dogs bark"]) == ["dog"]
    gaps = model().fit(["cats purr", "", "dogs bark", "eels"], [["cat"], ["dog"], ["dog"], []])
    assert len(gaps.rank([""], 2).names[0]) == 2
    assert gaps.predict(["cats purr"]) == [["cat"]]


@pytest.mark.parametrize(
    ("X", "y", "error", "match"),
    [
        (["cats", 3], ["cat", "dog"], TypeError, r"X must hold strings, but X\[1\] is 3"),
        (["cats", None], ["cat", "dog"], TypeError, r"X\[1\] is None"),
        (["cats", np.nan], ["cat", "dog"], TypeError, r"X\[1\] is nan"),
        ("cats", ["cat"], TypeError, "X must be a sequence of strings, got 'cats'"),
        ([["cats"], ["dogs"]], ["cat", "dog"], TypeError, r"X\[0\] is \['cats'\]"),
        ([], [], ValueError, "X must hold at least one string"),
        (["", ""], ["cat", "dog"], ValueError, "empty vocabulary"),
        (["cats"], None, ValueError, "requires y to be passed"),
        (["cats", "dogs"], ["cat"], ValueError, "y must have 2 rows, one per text, got 1"),
        (["cats", "dogs"], [[], []], ValueError, "y has no label"),
    ],
)
def test_wrong_texts_and_labels_are_refused(X, y, error, match):
    with pytest.raises(error, match=match):
        make_text_ranker().fit(X, y)


def test_wrong_parameters_are_refused():
    with pytest.raises(ValueError, match="use_label_texts must be 'auto', True or False, got 'x'"):
        make_text_ranker(use_label_texts="x").fit(TITLES, SUBJECTS)
    with pytest.raises(ValueError, match="label_examples must be None if use_label_texts is False"):
        make_text_ranker(use_label_texts=False).fit(TITLES, SUBJECTS, label_examples=NAMES)


@pytest.mark.parametrize("mmap", [False, True])
def test_a_saved_ranker_is_the_same(ranker, tmp_path, mmap):
    ranker.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model", mmap=mmap)
    assert type(loaded) is TextRanker
    assert loaded.label_texts_ == ranker.label_texts_
    assert isinstance(loaded.label_texts_, LabelTextChoice)
    assert repr(loaded.get_params()) == repr(ranker.get_params())
    assert_same_rankings(loaded, ranker, DATA.text_test[:50])


def test_a_ranker_whose_steps_were_fitted_alone_can_be_saved(tmp_path):
    steps = make_pipeline(NGramTfidfVectorizer(), XRLinearClassifier(random_state=0))
    model = TextRanker(steps.fit(TITLES, SUBJECTS).steps, use_label_texts=True)
    model.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert loaded.use_label_texts is True
    assert not hasattr(loaded, "label_texts_")
    assert_same_rankings(loaded, model)


@pytest.mark.parametrize(
    "wrong",
    [
        3,
        [True, None, None, 0],
        {"tuple": [True, None, None]},
        {"tuple": [1, None, None, 0]},
        {"tuple": [True, 2.0, None, 0]},
    ],
)
def test_a_damaged_choice_is_refused(tmp_path, wrong):
    make_text_ranker(random_state=0).fit(TITLES, SUBJECTS).save(tmp_path)
    manifest = manifest_of(tmp_path)
    spec = next(spec for spec in manifest["models"] if "label_texts" in spec)
    spec["label_texts"] = wrong
    write_manifest(tmp_path, manifest)
    with pytest.raises(ValueError, match="label_texts"):
        skxmr.load(tmp_path)


def test_a_failed_fit_leaves_the_choice_of_the_earlier_one(ranker):
    fitted = clone(ranker).fit(TITLES, SUBJECTS)
    with pytest.raises(ValueError, match="y must have"):
        fitted.fit(TITLES, SUBJECTS[1:])
    assert fitted.label_texts_.used
