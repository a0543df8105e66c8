"""The classifier and the vectorizer amid scikit-learn's furniture, on titles of the sample."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import needs_polars
from numpy.testing import assert_array_equal
from scipy import sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import Normalizer, OneHotEncoder

from skxmr import CalibratedRanker, PropensityReranker, XRLinearClassifier
from skxmr.datasets import load_catalogue_subjects
from skxmr.metrics import make_ranking_scorer, precision_at_1_scorer, precision_at_k
from skxmr.text import NGramTfidfVectorizer

DATA = load_catalogue_subjects()
TITLES, Y = list(DATA.text_train[::10]), DATA.Y_train[::10]
NEW_TITLES, NEW_Y = list(DATA.text_test[::5]), DATA.Y_test[::5]
LENGTHS = [str(min(len(title) // 20, 4)) for title in TITLES]


def classifier(**params):
    return XRLinearClassifier(random_state=0, **params)


def vectorizer(**params):
    return NGramTfidfVectorizer(min_df=2, **params)


FRAMES = pytest.mark.parametrize(
    "library", [pd, pytest.param(pl, marks=needs_polars)], ids=["pandas", "polars"]
)


@pytest.mark.parametrize("texts", [np.array, pd.Series, pl.Series, tuple])
def test_any_sequence_of_titles_goes_through_a_pipeline(texts):
    pipeline = make_pipeline(vectorizer(), classifier()).fit(TITLES, Y)
    other = clone(pipeline).fit(texts(TITLES), Y)
    expected = pipeline.predict(NEW_TITLES)
    assert (other.predict(texts(NEW_TITLES)) != expected).nnz == 0
    assert pipeline.score(texts(NEW_TITLES), NEW_Y) == other.score(NEW_TITLES, NEW_Y) > 0.15


@FRAMES
def test_columns_are_transformed_each_in_its_way(library):
    table = library.DataFrame({"title": TITLES, "length": LENGTHS})
    columns = ColumnTransformer(
        [("words", vectorizer(), "title"), ("length", OneHotEncoder(), ["length"])]
    )
    pipeline = make_pipeline(columns, Normalizer(), classifier()).fit(table, Y)
    X = columns.fit_transform(table)
    assert sp.issparse(X)
    expected = classifier().fit(Normalizer().transform(X), Y)
    assert_array_equal(
        pipeline[-1].rank(pipeline[:-1].transform(table), 5)[0],
        expected.rank(Normalizer().transform(X), 5)[0],
    )
    names = pipeline[:-1].get_feature_names_out()
    assert len(names) == X.shape[1]
    assert {"words__history", "length__length_2"} <= set(names)


def test_a_union_stands_beside_what_the_vectorizer_does_itself():
    kinds = {"words": ("word", (1, 1)), "pieces": ("char_wb", (3, 3))}
    union = FeatureUnion(
        [(name, vectorizer(analyzer=a, ngram_range=n)) for name, (a, n) in kinds.items()]
    )
    pipeline = make_pipeline(union, Normalizer(), classifier()).fit(TITLES, Y)
    assert pipeline.score(NEW_TITLES, NEW_Y) > 0.15
    assert len(pipeline[:-1].get_feature_names_out()) == pipeline[-1].n_features_in_
    theirs = make_union(vectorizer(), TfidfVectorizer(min_df=2, dtype=np.float32))
    X = theirs.fit_transform(TITLES)
    assert sp.issparse(X)
    assert X.dtype == np.float32


@FRAMES
def test_frames_between_the_steps(library):
    dense = make_pipeline(vectorizer(), TruncatedSVD(20, random_state=0))
    expected = make_pipeline(clone(dense), classifier()).fit(TITLES, Y)
    pipeline = make_pipeline(clone(dense), classifier())
    pipeline[0][-1].set_output(transform=library.__name__)
    pipeline.fit(TITLES, Y)
    assert (pipeline.predict(NEW_TITLES) != expected.predict(NEW_TITLES)).nnz == 0
    assert pipeline[-1].feature_names_in_[0] == "truncatedsvd0"


def test_texts_stay_sparse_where_a_program_asks_for_frames():
    with config_context(transform_output="pandas"):
        for words in (vectorizer(), TfidfVectorizer(min_df=2)):
            assert sp.issparse(words.fit_transform(TITLES))


SEARCHES = {
    "grid": GridSearchCV,
    "random": partial(RandomizedSearchCV, n_iter=2, random_state=0),
    # With "exhaust", its default, it looks for the classes of y, and refuses a sparse one.
    "halving": partial(HalvingGridSearchCV, factor=2, min_resources=3000, random_state=0),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_searches_over_a_pipeline_of_texts(search, tmp_path):
    pipeline = make_pipeline(vectorizer(), classifier(memory=tmp_path))
    grid = {
        "xrlinearclassifier__beam_width": [1, 10],
        "xrlinearclassifier__prune_threshold": [0.1, 0.5],
    }
    folds = KFold(3, shuffle=True, random_state=0)
    found = search(pipeline, grid, cv=folds, scoring=precision_at_1_scorer)
    found.fit(np.array(TITLES), Y)
    assert set(found.best_params_) == set(grid)
    assert found.best_score_ > 0.1
    assert found.score(NEW_TITLES, NEW_Y) == found.best_estimator_.score(NEW_TITLES, NEW_Y)


def test_groups_and_weights_are_routed():
    groups, weight = np.arange(len(TITLES)) % 5, np.ones(len(TITLES))
    weight[groups == 0] = 2
    with config_context(enable_metadata_routing=True):
        clf = classifier().set_fit_request(sample_weight=True)
        found = cross_validate(
            make_pipeline(vectorizer(), clf),
            np.array(TITLES),
            Y.toarray(),
            cv=GroupKFold(3),
            scoring=make_ranking_scorer(precision_at_k, k=1).set_score_request(sample_weight=True),
            params={"groups": groups, "sample_weight": weight},
            return_indices=True,
            return_estimator=True,
        )
    for test, fitted, score in zip(
        found["indices"]["test"], found["estimator"], found["test_score"], strict=True
    ):
        assert not set(groups[test]) & set(np.delete(groups, test))
        expected = fitted.score([TITLES[i] for i in test], Y[test], sample_weight=weight[test])
        assert score == pytest.approx(expected)


@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        CalibratedRanker(classifier()),
        PropensityReranker(classifier()),
        make_pipeline(vectorizer(), classifier(n_trees=2)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_pictures_and_words_of_estimators(model):
    page = model._repr_html_()
    assert "XRLinearClassifier" in page
    assert "sk-estimator" in page
    assert repr(clone(model)) == repr(model)
