"""Pipelines, wrappers, vectorizers and completers come back from one folder as they were."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from saved_models import (
    CLASSIFIER,
    PAIRS,
    QUESTIONS,
    TEXTS,
    TOPICS,
    Shortened,
    assert_same_rankings,
    completer,
    composed_model,
    linux,
    manifest_of,
    split,
    texts_of,
)
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import MaxAbsScaler
from strategies import examples

import skxmr
from skxmr import (
    CalibratedRanker,
    KMeansIndexer,
    LabelTree,
    PropensityReranker,
    TrieHybridIndexer,
    XRLinearClassifier,
)
from skxmr._saving.values import decode, encode
from skxmr.pipeline import Pipeline, make_pipeline
from skxmr.text import NGramTfidfVectorizer

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

WORDS = NGramTfidfVectorizer()
HASHED = HashingVectorizer(n_features=32, alternate_sign=False)
NAMES = [topics[0] for topics in TOPICS]
each_mmap = pytest.mark.parametrize("mmap", [False, True])


@pytest.fixture
def skops():
    return pytest.importorskip("skops.io")


@pytest.fixture
def no_skops(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)


def fitted(model, y=TOPICS):
    return clone(model).fit(TEXTS, y)


MODELS = {
    "pipeline": lambda: fitted(make_pipeline(WORDS, CLASSIFIER)),
    "scikit-learn's pipeline": lambda: fitted(
        SklearnPipeline([("w", WORDS), ("c", CLASSIFIER)], verbose=False, memory=None)
    ),
    "a class per row": lambda: fitted(make_pipeline(WORDS, CLASSIFIER), NAMES),
    "numbers": lambda: fitted(make_pipeline(WORDS, CLASSIFIER), np.arange(30) % 5 * 10),
    "composed": composed_model,
    "sigmoid": lambda: fitted(
        CalibratedRanker(make_pipeline(WORDS, CLASSIFIER), method="sigmoid", cv=2), NAMES
    ),
    "inside": lambda: fitted(make_pipeline(WORDS, PropensityReranker(CLASSIFIER, alpha=0.5))),
    "passthrough": lambda: fitted(
        Pipeline([("w", WORDS), ("p", "passthrough"), ("c", CLASSIFIER)])
    ),
    "nested pipelines": lambda: fitted(make_pipeline(make_pipeline(WORDS), CLASSIFIER)),
    "vectorizers of scikit-learn": lambda: fitted(
        make_pipeline(
            FeatureUnion(
                [
                    ("a", TfidfVectorizer(stop_words=["and", "an"], dtype=np.float32)),
                    ("b", TfidfVectorizer(ngram_range=(1, 2), use_idf=False, max_features=5)),
                    ("c", make_pipeline(CountVectorizer(min_df=2), TfidfTransformer())),
                    ("d", CountVectorizer(vocabulary={"cats": 1, "dogs": 0})),
                ],
                transformer_weights={"d": 0.5},
            ),
            CLASSIFIER,
        )
    ),
    "completer": completer,
    "completer without accents": lambda: completer(strip_accents="unicode", lowercase=False),
    "completer with classifier": lambda: completer(
        classifier=XRLinearClassifier(
            TrieHybridIndexer(vectorizer=NGramTfidfVectorizer("char")), n_trees=2
        ),
        previous_vectorizer=NGramTfidfVectorizer("char_wb", (1, 2)),
    ),
}


def comparable(value):
    """A parameter as plain values, with the classes and parameters of estimators."""
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        return type(value), {name: comparable(inner) for name, inner in params.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(comparable, value))
    return type(value), value


@each_mmap
@pytest.mark.parametrize("name", MODELS)
def test_models_come_back_as_they_were(tmp_path, no_skops, name, mmap):
    model = MODELS[name]()
    skxmr.save(model, tmp_path / "a")
    loaded = skxmr.load(tmp_path / "a", mmap=mmap)
    assert comparable(loaded) == comparable(model)
    assert_same_rankings(loaded, model, texts_of(model))
    predicted = loaded.predict(texts_of(model))
    assert type(predicted) is type(model.predict(texts_of(model)))
    assert_array_equal(
        np.asarray(predicted, object), np.asarray(model.predict(texts_of(model)), object)
    )
    skxmr.save(loaded, tmp_path / "b")
    assert manifest_of(tmp_path / "b")["models"] == manifest_of(tmp_path / "a")["models"]
    skxmr.save(loaded, tmp_path / "a")  # the folder that it is mapped from
    assert_same_rankings(skxmr.load(tmp_path / "a", mmap=mmap), model, texts_of(model))
    assert not list(tmp_path.rglob("*.pickle"))


@each_mmap
@pytest.mark.parametrize("params", [{}, {"use_idf": False, "norm": None, "binary": True}])
def test_vectorizers_come_back_as_they_were(tmp_path, mmap, params):
    stop_words = {"and", "an"}
    analyzer = ("word", "char_wb")
    vectorizer = NGramTfidfVectorizer(
        analyzer, [(1, 2), (2, 4)], stop_words=stop_words, max_df=0.9, n_jobs=1, **params
    ).fit(TEXTS)
    skxmr.save(vectorizer, tmp_path)
    loaded = skxmr.load(tmp_path, mmap=mmap)
    assert comparable(loaded) == comparable(vectorizer)
    assert loaded.vocabulary_ == vectorizer.vocabulary_
    assert (loaded.transform(QUESTIONS) != vectorizer.transform(QUESTIONS)).nnz == 0
    for a, b in zip(loaded.transform_one("a cat"), vectorizer.transform_one("a cat"), strict=True):
        assert_array_equal(a, b)
    # The fitted state, and not the parameters, determines the result.
    vectorizer.set_params(lowercase=False, analyzer="char")
    skxmr.save(vectorizer, tmp_path)
    again = skxmr.load(tmp_path, mmap=mmap).transform(["CATS"])
    assert (again != vectorizer.transform(["CATS"])).nnz == 0


def test_suggestions_are_the_same(tmp_path):
    model = completer()
    skxmr.save(model, tmp_path)
    loaded = skxmr.load(tmp_path, mmap=True)
    for prefix in ("", "c", "cat", "CAT ", "catame", "catamé", "zebra"):
        for previous in ("", "sailing"):
            options = {"previous": previous, "exclude": ["cat toys"]}
            assert loaded.complete(prefix, **options) == model.complete(prefix, **options)
    assert_array_equal(loaded.popularity_, model.popularity_)
    assert loaded.n_features_in_ == 2
    assert not hasattr(loaded, "feature_names_in_")


def test_columns_of_frames_are_kept(tmp_path):
    frames = pytest.importorskip("pandas")
    X = frames.DataFrame({"title": TEXTS, "body": TEXTS[::-1], "length": range(len(TEXTS))})
    columns = [("t", WORDS, "title"), ("b", NGramTfidfVectorizer("char"), "body")]
    columns += [("no", "drop", ["length"])]
    model = make_pipeline(ColumnTransformer(columns), clone(CLASSIFIER)).fit(X, TOPICS)
    skxmr.save(model, tmp_path)
    loaded = skxmr.load(tmp_path, mmap=True)
    assert_same_rankings(loaded, model, X[["length", "body", "title"]])
    assert_array_equal(loaded.feature_names_in_, ["title", "body", "length"])
    pairs = frames.DataFrame(PAIRS, columns=["previous", "prefix"])
    suggesting = skxmr.SessionQueryCompleter().fit(pairs, [pair[1] or "x" for pair in PAIRS])
    skxmr.save(suggesting, tmp_path)
    assert_array_equal(skxmr.load(tmp_path).feature_names_in_, ["previous", "prefix"])


def is_mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def test_arrays_are_mapped(tmp_path):
    fitted(make_pipeline(WORDS, CLASSIFIER)).save(tmp_path)
    for mmap in (False, True):
        model = skxmr.load(tmp_path, mmap=mmap)
        ranker = model[-1]._fitted.rankers[0]
        assert is_mapped(ranker.layers[-1].payload) is mmap
        assert is_mapped(model[-1]._fitted.neighbors.arrays["words"]) is mmap
        assert is_mapped(model[0]._model.terms[0].bytes) is mmap


def test_estimators_that_are_one_object_stay_one(tmp_path):
    ranker = fitted(make_pipeline(WORDS, CLASSIFIER))
    for wrapper in (
        CalibratedRanker(ranker, cv="prefit").fit(TEXTS, TOPICS),
        PropensityReranker(FrozenEstimator(ranker)).fit(TEXTS, TOPICS),
    ):
        skxmr.save(wrapper, tmp_path)
        loaded = skxmr.load(tmp_path)
        assert loaded.estimator_ is loaded.estimator
        assert_same_rankings(loaded, wrapper, QUESTIONS)
        loaded.fit(TEXTS, TOPICS)


def test_a_classifier_alone_has_the_folder_of_its_method(tmp_path):
    model = fitted(make_pipeline(WORDS, CLASSIFIER))[-1]
    skxmr.save(model, tmp_path / "a")
    model.save(tmp_path / "b")
    manifests = [manifest_of(tmp_path / name) for name in "ab"]
    for manifest in manifests:
        del manifest["arrays_in"], manifest["crc32"]
    assert manifests[0] == manifests[1]
    assert "models" not in manifests[0]


@each_mmap
def test_a_vectorizer_of_an_indexer_is_kept(tmp_path, mmap):
    indexer = TrieHybridIndexer(vectorizer=NGramTfidfVectorizer("char"), max_leaf_size=2)
    model = XRLinearClassifier(indexer, random_state=0)
    X = WORDS.fit_transform(TEXTS)
    model.fit(X, NAMES, label_text=sorted(set(NAMES)))
    model.save(tmp_path)
    loaded = skxmr.load(tmp_path, mmap=mmap)
    assert comparable(loaded) == comparable(model)
    assert_same_rankings(loaded, model, X)


def test_a_classifier_that_is_not_fitted_is_kept_as_a_parameter(tmp_path):
    tree = LabelTree([[0, 2], [0, 2, 3]], [0, 2, 1])
    unfitted = XRLinearClassifier(tree, negative_sampling=["tfn", "man"], threshold="auto")
    model = completer()
    model.classifier = unfitted
    skxmr.save(model, tmp_path)
    loaded = skxmr.load(tmp_path)
    assert loaded.classifier.indexer == tree
    assert loaded.classifier.negative_sampling == ["tfn", "man"]
    assert not hasattr(loaded.classifier, "classes_")


# ---- steps of other classes ----

FOREIGN = [
    HASHED,
    SklearnPipeline([("w", WORDS), ("select", SelectKBest(chi2, k=4))]),
    SklearnPipeline([("w", TfidfVectorizer()), ("svd", TruncatedSVD(3, random_state=0))]),
    SklearnPipeline([("w", WORDS), ("scaled", MaxAbsScaler())]),
]


@each_mmap
@pytest.mark.parametrize(
    "step", FOREIGN, ids=lambda step: type(getattr(step, "steps", [[step]])[-1][-1])
)
def test_steps_of_scikit_learn_are_kept(tmp_path, skops, step, mmap):
    model = fitted(make_pipeline(step, CLASSIFIER), NAMES)
    model.save(tmp_path / "a")
    loaded = skxmr.load(tmp_path / "a", mmap=mmap)
    assert_same_rankings(loaded, model, QUESTIONS)
    assert repr(loaded.get_params()) == repr(model.get_params())
    skxmr.save(loaded, tmp_path / "b")
    assert_same_rankings(skxmr.load(tmp_path / "b"), model, QUESTIONS)


def test_vectorizers_of_scikit_learn_are_the_same(tmp_path, no_skops):
    for vectorizer in (TfidfVectorizer(dtype=np.float32, stop_words=["a"]), CountVectorizer()):
        vectorizer.fit(TEXTS)
        skxmr.save(vectorizer, tmp_path)
        loaded = skxmr.load(tmp_path, mmap=True)
        assert loaded.get_params() == vectorizer.get_params()
        assert list(loaded.vocabulary_.items()) == list(vectorizer.vocabulary_.items())
        found, expected = (v.transform(QUESTIONS) for v in (loaded, vectorizer))
        assert found.dtype == expected.dtype
        assert (found != expected).nnz == 0


def test_functions_of_vectorizers_need_skops_and_trust(tmp_path, skops, monkeypatch):
    model = fitted(make_pipeline(TfidfVectorizer(tokenizer=split, token_pattern=None), CLASSIFIER))
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"not trusted: saved_models.split"):
        skxmr.load(tmp_path)
    loaded = skxmr.load(tmp_path, trusted=["saved_models.split"])
    assert_same_rankings(loaded, model, QUESTIONS)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match="skops"):
        model.save(tmp_path / "other")


def test_files_of_skops_are_replaced_with_the_model(tmp_path, skops):
    (tmp_path / "notes.skops").write_text("of somebody else")
    fitted(make_pipeline(HASHED, CLASSIFIER)).save(tmp_path)
    (file,) = tmp_path.glob("arrays-*/*skops")
    assert isinstance(skops.load(file), HashingVectorizer)
    fitted(make_pipeline(WORDS, CLASSIFIER)).save(tmp_path)
    assert [path.name for path in tmp_path.rglob("*skops")] == ["notes.skops"]
    assert len(list(tmp_path.iterdir())) == 3


def test_without_skops_nothing_is_written(tmp_path, no_skops):
    model = fitted(Pipeline([("words", HASHED), ("labels", CLASSIFIER)]))
    with pytest.raises(
        ImportError, match=r"steps\['words'\] is a HashingVectorizer.*skxmr\[skops\]"
    ):
        skxmr.save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_without_skops_a_step_of_skops_is_not_loaded(tmp_path, skops, monkeypatch):
    fitted(make_pipeline(HASHED, CLASSIFIER)).save(tmp_path)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"HashingVectorizer.*skxmr\[skops\]"):
        skxmr.load(tmp_path)


def test_types_that_are_not_trusted_are_not_loaded(tmp_path, skops):
    model = fitted(make_pipeline(Shortened(), WORDS, CLASSIFIER))
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"not trusted: saved_models.Shortened.*trusted=\["):
        skxmr.load(tmp_path)
    for trusted in (["saved_models.Shortened"], {Shortened}):
        loaded = skxmr.load(tmp_path, trusted=trusted)
        assert_same_rankings(loaded, model, QUESTIONS)
    with pytest.raises(ValueError, match="not trusted"):
        skxmr.load(tmp_path, trusted=["saved_models.Other"])


@pytest.mark.parametrize("trusted", [True, None, "saved_models.Shortened", [3]])
def test_trusted_types_are_checked(tmp_path, trusted):
    with pytest.raises(TypeError, match=r"trusted must .*got"):
        skxmr.load(tmp_path, trusted=trusted)


# ---- what cannot be saved ----


class Derived(XRLinearClassifier):
    """A classifier of a user."""


def refused_models():
    classifiers = make_pipeline(WORDS, CLASSIFIER)
    search = GridSearchCV(classifiers, {"xrlinearclassifier__C": [1.0]}, cv=2).fit(TEXTS, NAMES)
    X = clone(WORDS).fit_transform(TEXTS)
    yield search, TypeError, "model is a GridSearchCV.*best_estimator_"
    yield FrozenEstimator(search), TypeError, r"model\.estimator is a GridSearchCV.*best_estimator_"
    yield OneVsRestClassifier(CLASSIFIER).fit(X, NAMES), TypeError, "OneVsRestClassifier.*of skxmr"
    yield Derived().fit(X, NAMES), TypeError, "Derived, a subclass of XRLinearClassifier"
    yield KMeansIndexer().fit(X), TypeError, "got a KMeansIndexer.*part of others"
    yield classifiers, NotFittedError, "fit"
    yield XRLinearClassifier(), NotFittedError, "fit"
    yield XRLinearClassifier, TypeError, "model must be a fitted estimator"
    yield None, TypeError, "model must be a fitted estimator, got None"


def test_models_that_cannot_be_saved_are_refused_before_anything_is_written(tmp_path, skops):
    for model, error, message in refused_models():
        with pytest.raises(error, match=message):
            skxmr.save(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()


def test_a_wrapper_whose_estimator_has_changed_is_refused(tmp_path):
    model = fitted(PropensityReranker(make_pipeline(WORDS, CLASSIFIER)), NAMES)
    inner = model.estimator_
    inner[-1].fit(inner[0].transform(TEXTS), ["a", "b"] * 15)
    with pytest.raises(NotFittedError, match="fit again"):
        skxmr.save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_parameters_without_a_form_become_defaults(tmp_path):
    model = CalibratedRanker(make_pipeline(WORDS, CLASSIFIER), cv=KFold(2)).fit(TEXTS, TOPICS)
    with pytest.warns(UserWarning, match=r"parameter cv=KFold.*cannot be saved"):
        skxmr.save(model, tmp_path)
    loaded = skxmr.load(tmp_path)
    assert loaded.cv == 5
    assert_same_rankings(loaded, model, QUESTIONS)


# ---- replacement ----


def test_a_save_that_is_interrupted_leaves_the_old_model(tmp_path, monkeypatch, skops):
    old = fitted(make_pipeline(WORDS, CLASSIFIER))
    old.save(tmp_path)
    new = fitted(make_pipeline(HASHED, CLASSIFIER))
    for function in ("replace", "fsync"):
        with monkeypatch.context() as patch:

            def interrupted(*args):
                raise KeyboardInterrupt

            patch.setattr(os, function, interrupted)
            with pytest.raises(KeyboardInterrupt):
                new.save(tmp_path)
        assert_same_rankings(skxmr.load(tmp_path), old, QUESTIONS)
        assert len(list(tmp_path.iterdir())) == 2


@linux
@pytest.mark.slow
def test_a_process_that_is_killed_while_saving_leaves_the_old_model(tmp_path, skops):
    old = fitted(make_pipeline(WORDS, CLASSIFIER))
    old.save(tmp_path / "model")
    fitted(make_pipeline(HASHED, CLASSIFIER)).save(tmp_path / "other")
    script = """if True:
        import os, signal, sys, skxmr
        model = skxmr.load(sys.argv[2])
        before = int(sys.argv[3])
        real = os.fsync
        def killed(handle, calls=[]):
            calls.append(handle)
            if len(calls) > before:
                os.kill(os.getpid(), signal.SIGKILL)
        os.fsync = killed
        model.save(sys.argv[1])
    """
    command = [sys.executable, "-c", script, str(tmp_path / "model"), str(tmp_path / "other")]
    for n_before in ("3", "20"):
        done = subprocess.run([*command, n_before], cwd=tmp_path, check=False)
        assert done.returncode == -signal.SIGKILL
        assert_same_rankings(skxmr.load(tmp_path / "model", mmap=True), old, QUESTIONS)
    old.save(tmp_path / "model")
    assert len(list((tmp_path / "model").iterdir())) == 2


# ---- values of parameters ----

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=5)
)
arrays = st.one_of(
    st.lists(st.floats(width=32), max_size=3).map(lambda v: np.array(v, np.float32)),
    st.lists(st.text(max_size=3), min_size=1, max_size=3).map(lambda v: np.array(v, object)),
)
hashable = st.one_of(scalars, st.tuples(scalars, scalars))
values = st.recursive(
    st.one_of(scalars, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(hashable, inner, max_size=3),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
        st.builds(slice, st.integers(), st.integers()),
    ),
    max_leaves=6,
)


class Kept:
    """Takes and gives the arrays of values, in place of a folder."""

    def __init__(self):
        self.arrays = []

    def array_value(self, value, *where):
        if where:
            self.arrays.append(value)
            return len(self.arrays) - 1
        return self.arrays[value]


@given(values)
@examples(100)
def test_values_keep_their_types(value):
    part = Kept()
    encoded = json.loads(json.dumps(encode(value, part, "value"), allow_nan=False))
    assert repr(decode(encoded, part)) == repr(value) or decode(encoded, part) == value


# ---- kept folders ----

SAVED = Path(__file__).parents[1] / "data" / "saved" / "models"


@each_mmap
@pytest.mark.parametrize("name", sorted(path.stem for path in SAVED.glob("*.zip")))
def test_folders_of_earlier_versions_are_read(tmp_path, name, mmap):
    shutil.unpack_archive(SAVED / f"{name}.zip", tmp_path)
    with np.load(SAVED / "expected.npz") as file:
        expected = dict(file)
    loaded = skxmr.load(tmp_path, mmap=mmap)
    labels, scores = skxmr.rank(loaded, texts_of(loaded), 3)
    assert_array_equal(labels, expected[f"{name}.labels"])
    assert_allclose(scores, expected[f"{name}.scores"], rtol=1e-5)
