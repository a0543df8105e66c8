"""The classifier and the vectorizer amid scikit-learn's furniture, on titles of the sample."""

from functools import cache, partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasets import catalogue_sample
from frames import needs_polars
from marks import slow_except
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

import skxmr
from skxmr import CalibratedRanker, PropensityReranker, Ranking, XRLinearClassifier
from skxmr.inspection import (
    ExplanationDisplay,
    LabelTreeDisplay,
    LatencyDisplay,
    RankingMetricsDisplay,
    ReliabilityDisplay,
    SearchQualityDisplay,
    explain,
)
from skxmr.metrics import (
    join_ranking_scorers,
    make_ranking_scorer,
    ndcg_at_5_scorer,
    precision_at_1_scorer,
    precision_at_k,
)
from skxmr.model_selection import tune_threshold
from skxmr.pipeline import Pipeline
from skxmr.pipeline import make_pipeline as make_ranking_pipeline
from skxmr.text import NGramTfidfVectorizer

DATA = catalogue_sample()
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
    expected = make_pipeline(clone(dense), classifier()).fit(TITLES[:1000], Y[:1000])
    pipeline = make_pipeline(clone(dense), classifier())
    pipeline[0][-1].set_output(transform=library.__name__)
    pipeline.fit(TITLES[:1000], Y[:1000])
    assert_same_rankings(skxmr.rank(pipeline, NEW_TITLES, 5), skxmr.rank(expected, NEW_TITLES, 5))
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


@pytest.mark.parametrize("search", slow_except([GridSearchCV], SEARCHES.values()), ids=SEARCHES)
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


# ---- whatever a ranker is wrapped in ----


def shapes(seed=0):
    """Rows of 6 kinds that no ranker tells apart unless they are scaled, and their kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 6, 120)
    return 100 + np.eye(6)[kinds] * 3 + rng.normal(size=(120, 6)), np.eye(6)[kinds]


RAW, KINDS = shapes()
SCALED = MinMaxScaler().fit_transform(StandardScaler().fit_transform(RAW))


def scalers():
    return StandardScaler(), MinMaxScaler()


def searched(estimator):
    return GridSearchCV(estimator, {}, cv=2, scoring=precision_at_1_scorer)


def piped(*steps):
    return make_pipeline(*steps).fit(RAW, KINDS)


def half_way():
    """A fitted pipeline that wants rows that one scaler has seen."""
    return make_pipeline(MinMaxScaler(), classifier()).fit(
        StandardScaler().fit_transform(RAW), KINDS
    )


BARE = classifier().fit(SCALED, KINDS)
WRAPPED = {
    "frozen": lambda: (FrozenEstimator(BARE), SCALED),
    "pipeline": lambda: (piped(*scalers(), classifier()), RAW),
    "frozen pipeline": lambda: (FrozenEstimator(piped(*scalers(), classifier())), RAW),
    "frozen twice": lambda: (
        FrozenEstimator(FrozenEstimator(piped(*scalers(), "passthrough", classifier()))),
        RAW,
    ),
    "pipeline in a pipeline": lambda: (
        piped(StandardScaler(), "passthrough", make_pipeline(MinMaxScaler(), classifier())),
        RAW,
    ),
    "frozen pipeline in a pipeline": lambda: (
        piped(StandardScaler(), FrozenEstimator(half_way())),
        RAW,
    ),
    "frozen ranker in a frozen pipeline": lambda: (
        FrozenEstimator(piped(*scalers(), FrozenEstimator(BARE))),
        RAW,
    ),
    "pipeline in a search": lambda: (
        searched(make_pipeline(*scalers(), classifier())).fit(RAW, KINDS),
        RAW,
    ),
    "search in a pipeline": lambda: (piped(*scalers(), searched(classifier())), RAW),
    "search in a frozen pipeline": lambda: (
        FrozenEstimator(piped(*scalers(), searched(classifier()))),
        RAW,
    ),
    "frozen pipeline in a search": lambda: (
        searched(
            make_pipeline("passthrough", FrozenEstimator(piped(*scalers(), classifier())))
        ).fit(RAW, KINDS),
        RAW,
    ),
}


def reranked(estimator, X):
    return PropensityReranker(FrozenEstimator(estimator)).fit(X, KINDS, np.arange(120) % 3)


CONSUMERS = {
    "scorer": lambda e, X: precision_at_1_scorer(e, X, KINDS),
    "joined scorers": lambda e, X: list(
        join_ranking_scorers({"p": precision_at_1_scorer, "n": ndcg_at_5_scorer})(
            e, X, KINDS
        ).values()
    ),
    "calibrated": lambda e, X: (
        CalibratedRanker(e, cv="prefit", random_state=0).fit(X, KINDS).predict_proba(X)
    ),
    "scorer of a frozen calibrated ranker": lambda e, X: ndcg_at_5_scorer(
        FrozenEstimator(CalibratedRanker(e, cv="prefit", random_state=0).fit(X, KINDS)), X, KINDS
    ),
    "reranked": lambda e, X: reranked(e, X).rank(X, 3)[1],
    "threshold": lambda e, X: tune_threshold(e, X, KINDS).f_score,
    "metrics": lambda e, X: RankingMetricsDisplay.from_estimator(e, X, KINDS).values["ndcg"],
    "reliability": lambda e, X: ReliabilityDisplay.from_estimator(e, X, KINDS).curve.observed,
    "search quality": lambda e, X: (
        SearchQualityDisplay.from_estimator(
            e, X, KINDS, beam_widths=[1, 3], prune_thresholds=[0.1, 0.5]
        ).quality
    ),
    "explanation": lambda e, X: explain(e, X, 2).scores,
    "explanation shown": lambda e, X: [
        bar.get_width() for bar in ExplanationDisplay.from_estimator(e, X, 2).bars_[0]
    ],
    "tree": lambda e, X: LabelTreeDisplay.from_estimator(e).tree.slot_label,
    "latency": lambda e, X: [
        len(d.times) + len(d.name) for d in [LatencyDisplay.from_estimator(e, X[:3])]
    ],
}


@cache
def of_bare(name):
    """What a consumer gives for the ranker that is not wrapped."""
    return CONSUMERS[name](BARE, SCALED)


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_a_wrapped_ranker_says_what_it_says_by_itself(wrapping):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    estimator, X = WRAPPED[wrapping]()
    assert 0.6 < precision_at_1_scorer(BARE, SCALED, KINDS) < 1
    for name, ask in CONSUMERS.items():
        assert_allclose(ask(estimator, X), of_bare(name), rtol=1e-6, err_msg=name)
        pyplot.close("all")


@pytest.mark.parametrize("wrapping", sorted(set(WRAPPED) - {"frozen"}))
def test_names_of_features_go_through_all_steps_before_the_ranker(wrapping):
    estimator, X = WRAPPED[wrapping]()
    assert_array_equal(explain(estimator, X[:1], 2).feature_names, [f"x{i}" for i in range(6)])


def test_a_frozen_pipeline_of_texts_is_given_texts():
    pipeline = make_pipeline(vectorizer(), classifier()).fit(TITLES, Y)
    frozen = FrozenEstimator(pipeline)
    expected = pipeline.score(NEW_TITLES, NEW_Y)
    assert precision_at_1_scorer(frozen, NEW_TITLES, NEW_Y) == expected > 0.15
    calibrated = CalibratedRanker(frozen, cv="prefit", random_state=0).fit(NEW_TITLES, NEW_Y)
    assert calibrated.score(NEW_TITLES, NEW_Y) == expected
    assert "history" in explain(frozen, NEW_TITLES[:1], 0).feature_names


BINARY = {
    "fixed threshold": lambda: FixedThresholdClassifier(classifier(post_processor="sigmoid")),
    "fixed threshold of a frozen pipeline": lambda: FixedThresholdClassifier(
        FrozenEstimator(
            make_pipeline("passthrough", classifier(post_processor="sigmoid")).fit(
                SCALED, KINDS[:, 0].astype(int)
            )
        )
    ),
    "self-training": lambda: SelfTrainingClassifier(
        classifier(loss="log_loss", post_processor="sigmoid"), max_iter=0
    ),
}


@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
@pytest.mark.parametrize("what", BINARY)
def test_estimators_that_hand_scores_on_are_looked_through(what):
    y = KINDS[:, 0].astype(int)
    estimator = BINARY[what]().fit(SCALED, y)
    loss = "log_loss" if what == "self-training" else "squared_hinge"
    bare = classifier(loss=loss, post_processor="sigmoid").fit(SCALED, y)
    found, expected = (
        ReliabilityDisplay.from_estimator(e, SCALED, y).curve for e in (estimator, bare)
    )
    assert_array_equal(found.mean_predicted, expected.mean_predicted)
    for scorer in (precision_at_1_scorer, ndcg_at_5_scorer):
        assert scorer(estimator, SCALED, y) == scorer(bare, SCALED, y)


WEIGHED = {
    "pipeline in a pipeline": lambda: make_pipeline(
        "passthrough", make_pipeline("passthrough", classifier())
    ),
    "search": lambda: searched(classifier()),
    "search over a pipeline": lambda: searched(make_pipeline("passthrough", classifier())),
    "search in a pipeline": lambda: make_pipeline("passthrough", searched(classifier())),
}


@pytest.mark.parametrize("what", WEIGHED)
@pytest.mark.parametrize("wrap", [PropensityReranker, partial(CalibratedRanker, cv=2)])
def test_weights_reach_the_ranker_inside(what, wrap):
    weight = np.random.default_rng(0).random(120)
    found = wrap(WEIGHED[what](), random_state=0).fit(SCALED, KINDS, sample_weight=weight)
    expected = classifier().fit(SCALED, KINDS, sample_weight=weight).decision_function(SCALED)
    assert_array_equal(found.estimator_.decision_function(SCALED), expected)
    assert (expected != BARE.decision_function(SCALED)).any()


def test_weights_are_routed_through_a_pipeline_that_is_reranked():
    weight = np.random.default_rng(0).random(120)
    expected = classifier().fit(SCALED, KINDS, sample_weight=weight).decision_function(SCALED)
    with config_context(enable_metadata_routing=True):
        asking = make_pipeline("passthrough", classifier().set_fit_request(sample_weight=True))
        reranker = PropensityReranker(asking).fit(SCALED, KINDS, sample_weight=weight)
    assert_array_equal(reranker.estimator_.decision_function(SCALED), expected)


def test_frozen_rankers_need_no_weights():
    weight = np.full(120, 1e-300)  # too little to train with
    pipeline = make_pipeline("passthrough", FrozenEstimator(BARE)).fit(SCALED, KINDS)
    for estimator in (FrozenEstimator(BARE), pipeline):
        found = PropensityReranker(estimator).fit(SCALED, KINDS, sample_weight=weight)
        expected = PropensityReranker(estimator).fit(SCALED, KINDS).propensities_
        assert_array_equal(found.propensities_, expected)


# ---- pipelines that rank, and rank for any model ----


def assert_same_rankings(found, expected):
    assert isinstance(found, Ranking)
    for a, b in zip(found, expected, strict=True):
        assert_array_equal(a, b)


def text_pipeline(**params):
    return make_ranking_pipeline(vectorizer(), classifier(**params))


TEXT_MODEL = text_pipeline().fit(TITLES[:2000], Y[:2000])
X_NEW = TEXT_MODEL[0].transform(NEW_TITLES)


@pytest.mark.parametrize("n_rows", [1, 20])
def test_a_pipeline_ranks_as_its_last_step(n_rows):
    found = TEXT_MODEL.rank(NEW_TITLES[:n_rows], k=4)
    assert_same_rankings(found, TEXT_MODEL[-1].rank(X_NEW[:n_rows], 4))
    assert_same_rankings(skxmr.rank(TEXT_MODEL, NEW_TITLES[:n_rows], k=4), found)
    assert found.names == found.labels.tolist()


def test_a_pipeline_passes_parameters_on_to_rank():
    nodes = np.ones((5, 1), dtype=np.float32)
    with pytest.raises((TypeError, ValueError), match="frontier"):
        TEXT_MODEL.rank(NEW_TITLES[:5], frontier=(99, sp.csr_matrix(nodes)))
    with pytest.raises(TypeError, match="nothing"):
        TEXT_MODEL.rank(NEW_TITLES[:5], nothing=1)
    with pytest.raises((TypeError, ValueError), match="k must be"):
        TEXT_MODEL.rank(NEW_TITLES[:5], 0)
    with config_context(enable_metadata_routing=True):
        assert_same_rankings(TEXT_MODEL.rank(NEW_TITLES, k=4), TEXT_MODEL[-1].rank(X_NEW, 4))
        with pytest.raises(TypeError, match="nothing"):
            TEXT_MODEL.rank(NEW_TITLES[:5], nothing=1)


def test_a_pipeline_explains_as_the_function_does():
    label = int(TEXT_MODEL.rank(NEW_TITLES[:1], 1).labels[0, 0])
    found = TEXT_MODEL.explain(NEW_TITLES[:1], label, label_name="first")
    assert str(found) == str(explain(TEXT_MODEL, NEW_TITLES[:1], label, label_name="first"))


@needs_polars
def test_texts_of_polars_give_frames_of_polars():
    for rank in (TEXT_MODEL.rank, partial(skxmr.rank, TEXT_MODEL)):
        assert isinstance(rank(pl.Series(NEW_TITLES[:3])).to_frame(), pl.DataFrame)
        assert isinstance(rank(NEW_TITLES[:3]).to_frame(), pd.DataFrame)


@pytest.mark.parametrize("last", [StandardScaler(), "passthrough", LogisticRegression()])
def test_a_pipeline_has_the_methods_of_its_last_step_only(last):
    pipeline = make_ranking_pipeline(StandardScaler(), last)
    for method in ("rank", "explain"):
        assert not hasattr(pipeline, method)
        with pytest.raises(AttributeError, match=f"'Pipeline' has no attribute '{method}'"):
            getattr(pipeline, method)
    assert hasattr(pipeline.set_params(steps=[("rank", classifier())]), "rank")


@pytest.mark.parametrize(
    "last",
    [
        lambda: make_pipeline(MinMaxScaler(), classifier()),
        lambda: make_ranking_pipeline("passthrough", MinMaxScaler(), classifier()),
        lambda: searched(make_pipeline(MinMaxScaler(), classifier())),
        lambda: FrozenEstimator(half_way()),
    ],
)
def test_the_last_step_may_hold_the_ranker(last):
    pipeline = make_ranking_pipeline(StandardScaler(), last()).fit(RAW, KINDS)
    expected = BARE.rank(SCALED, 3)
    assert_same_rankings(pipeline.rank(RAW, 3), expected)
    assert_same_rankings(skxmr.rank(pipeline, RAW, 3), expected)
    assert_array_equal(pipeline.explain(RAW, 2).scores, BARE.explain(SCALED, 2).scores)


def test_pipelines_are_copied_and_sliced_as_those_of_scikit_learn():
    pipeline = make_ranking_pipeline(*scalers(), classifier(), memory="cache", verbose=True)
    theirs = make_pipeline(*scalers(), classifier(), memory="cache", verbose=True)
    assert type(pipeline) is type(clone(pipeline)) is type(pipeline[1:]) is Pipeline
    assert repr(pipeline) == repr(theirs)
    assert repr(pipeline.get_params()) == repr(theirs.get_params())
    assert pipeline[:-1].memory == "cache"
    assert hasattr(pipeline[1:], "rank")
    assert not hasattr(pipeline[:1], "rank")
    changed = clone(pipeline).set_params(minmaxscaler="passthrough", xrlinearclassifier__n_trees=2)
    assert changed[1] == "passthrough"
    assert changed[-1].n_trees == 2
    assert isinstance(make_ranking_pipeline(classifier(), transform_input=["V"]), Pipeline)
    assert "XRLinearClassifier" in pipeline._repr_html_()


def test_a_pipeline_that_is_not_fitted():
    for pipeline in (text_pipeline(), make_ranking_pipeline("passthrough", classifier())):
        for rank in (pipeline.rank, partial(skxmr.rank, pipeline)):
            with pytest.raises(NotFittedError):
                rank([[1.0, 2.0]])


def test_a_search_over_a_pipeline_that_ranks(tmp_path):
    pipeline = make_ranking_pipeline(*scalers(), classifier(), memory=str(tmp_path))
    grid = {"minmaxscaler": ["passthrough", MinMaxScaler()]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=precision_at_1_scorer).fit(RAW, KINDS)
    assert type(search.best_estimator_) is Pipeline
    expected = search.best_estimator_.rank(RAW, 3)
    assert_same_rankings(skxmr.rank(search, RAW, 3), expected)


def test_weights_are_routed_through_a_pipeline_that_ranks():
    weight = np.random.default_rng(0).random(120)
    expected = classifier().fit(SCALED, KINDS, sample_weight=weight).rank(SCALED, 3)
    half = StandardScaler().fit_transform(RAW)
    with config_context(enable_metadata_routing=True):
        asking = classifier().set_fit_request(sample_weight=True)
        pipeline = make_ranking_pipeline(MinMaxScaler(), asking)
        pipeline.fit(half, KINDS, sample_weight=weight)
        assert_same_rankings(pipeline.rank(half, 3), expected)


@FRAMES
def test_frames_between_the_steps_of_a_pipeline_that_ranks(library):
    pipeline = make_ranking_pipeline(*scalers(), classifier())
    pipeline.set_output(transform=library.__name__).fit(RAW, KINDS)
    assert pipeline[-1].feature_names_in_[0] == "x0"
    found = pipeline.rank(RAW, 3)
    assert_same_rankings(found, BARE.rank(SCALED, 3))
    assert isinstance(found.to_frame(), pd.DataFrame)  # X is an array


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_rank_finds_the_ranker_in_any_wrapper(wrapping):
    estimator, X = WRAPPED[wrapping]()
    assert_same_rankings(skxmr.rank(estimator, X, 3), BARE.rank(SCALED, 3))


ANIMALS = np.array(["ant", "bee", "cat", "dog", "eel", "fox"])[KINDS.argmax(axis=1)]


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),  # decision_function
        GaussianNB(),  # predict_proba
        make_pipeline("passthrough", CalibratedClassifierCV(GaussianNB(), cv=2)),
    ],
)
def test_estimators_without_rank_are_ranked_by_their_scores(model):
    model.fit(SCALED, ANIMALS)
    ranking = skxmr.rank(model, SCALED, 8)
    assert [row[0] for row in ranking.names] == model.predict(SCALED).tolist()
    assert (ranking.labels[:, 6:] == -1).all()
    assert ranking.scores[:, 5].min() > -np.inf


def test_two_classes_of_an_estimator_without_rank():
    model = LogisticRegression().fit(SCALED, ANIMALS == "ant")
    names = skxmr.rank(model, SCALED, 2).names
    assert [row[0] for row in names] == model.predict(SCALED).tolist()
    assert [row[1] for row in names] == (~model.predict(SCALED)).tolist()


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
        MultiOutputClassifier(GaussianNB()),
        OneVsRestClassifier(GaussianNB()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_multilabel_estimators_without_rank(model):
    several = KINDS[:, :4].astype(int)  # the last column has no positive
    several[:, 3] = 0
    if isinstance(model, (MultiOutputClassifier, OneVsRestClassifier)):
        several = KINDS.astype(int)
    ranking = skxmr.rank(model.fit(SCALED, several), SCALED, 2)
    predicted = model.predict(SCALED)
    rows = np.flatnonzero(predicted.sum(axis=1) == 1)
    assert len(rows) > 20
    assert (predicted[rows, ranking.labels[rows, 0]] == 1).mean() > 0.9
    assert ranking.names == ranking.labels.tolist()


def test_rank_refuses_what_does_not_rank():
    for model in (
        LinearRegression().fit(SCALED, KINDS),
        TEXT_MODEL[0],
        make_pipeline(vectorizer()),
    ):
        with pytest.raises(TypeError, match="model must have rank, decision_function or"):
            skxmr.rank(model, NEW_TITLES)
    logistic = LogisticRegression().fit(SCALED, ANIMALS)
    with pytest.raises(TypeError, match="LogisticRegression has no method rank"):
        skxmr.rank(logistic, SCALED, frontier=None)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        skxmr.rank(logistic, SCALED, 0)


def test_rank_gives_names_to_the_pairs_of_other_rankers():
    class First:
        classes_ = np.array(["ant", "bee"])

        def rank(self, X, k):
            return np.zeros((len(X), k), dtype=int), np.ones((len(X), k))

    assert skxmr.rank(First(), [0, 0], 1).names == [["ant"], ["ant"]]
