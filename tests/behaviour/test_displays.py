"""Displays hold the figures that they should, and draw them."""

import importlib.util
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from datasets import random_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skxmr import KMeansIndexer, LabelTree, TrieIndexer, XRLinearClassifier, metrics
from skxmr.calibration import reliability_curve
from skxmr.inspection import (
    ExplanationDisplay,
    LabelTreeDisplay,
    LatencyDisplay,
    RankingMetricsDisplay,
    ReliabilityDisplay,
    SearchQualityDisplay,
)

pytest.importorskip("matplotlib").use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


example = partial(random_labels, n_rows=120)


X, Y = example()
INDEXER = KMeansIndexer(branching=2, max_leaf_size=3)


def classifier(**params):
    return XRLinearClassifier(INDEXER, **{"random_state": 0, "beam_width": 3, **params})


FITTED = classifier().fit(X, Y)
CLASSES = np.array([f"class {i % 5}" for i in range(120)])
TEXTS = [f"word{i % 5} word{i % 7}" for i in range(120)]


def pipeline():
    return make_pipeline(TfidfVectorizer(), classifier(threshold=0.2)).fit(TEXTS, CLASSES)


MADE = {
    "metrics": lambda **o: RankingMetricsDisplay.from_estimator(FITTED, X, Y, **o),
    "search": lambda **o: SearchQualityDisplay.from_estimator(FITTED, X, Y, **o),
    "tree": lambda **o: LabelTreeDisplay.from_estimator(FITTED, **o),
    "latency": lambda **o: LatencyDisplay.from_estimator(FITTED, X, **o),
    "reliability": lambda **o: ReliabilityDisplay.from_estimator(FITTED, X, Y, **o),
    "explanation": lambda **o: ExplanationDisplay.from_estimator(FITTED, X[:2], 3, **o),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_displays_draw_where_they_are_told(make):
    _, ax = plt.subplots()
    display = make(ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.has_data()
    assert display.plot() is display
    assert display.ax_ is not ax
    display.figure_.canvas.draw()


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_without_matplotlib_the_extra_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"Display.plot needs matplotlib.*'skxmr\[plot\]'"):
        make()


# ---- metrics ----


def test_metrics_are_those_of_the_functions():
    p = metrics.propensities(Y)
    names = ["precision", "recall", "ndcg", "psp"]
    options = {"ks": [1, 3, 5], "metrics": names, "propensities": p}
    display = RankingMetricsDisplay.from_estimator(FITTED, X, Y, **options, linewidth=7)
    ranked = FITTED.rank(X, 5)
    for i, k in enumerate([1, 3, 5]):
        expected = [
            metrics.precision_at_k(Y, ranked, k=k),
            metrics.recall_at_k(Y, ranked, k=k),
            metrics.ndcg_at_k(Y, ranked, k=k),
            metrics.psp_at_k(Y, ranked, k=k, propensities=p),
        ]
        assert [display.values[name][i] for name in names] == expected
    for name, line in zip(names, display.lines_, strict=True):
        assert_array_equal(line.get_ydata(), display.values[name])
        assert line.get_linewidth() == 7
    again = RankingMetricsDisplay.from_predictions(Y, ranked, **options)
    for name in names:
        assert_array_equal(again.values[name], display.values[name])
    assert display.lines_[0].get_label() == "XRLinearClassifier: precision"
    assert again.plot(name="mine").lines_[0].get_label() == "mine: precision"


def test_classes_and_pipelines_are_measured():
    model = pipeline()
    display = RankingMetricsDisplay.from_estimator(model, TEXTS, CLASSES, ks=[1])
    assert display.values["precision"][0] == pytest.approx(model.score(TEXTS, CLASSES))
    other = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, CLASSES)
    display = RankingMetricsDisplay.from_estimator(other, TEXTS, CLASSES, ks=[1])
    assert display.values["precision"][0] == pytest.approx(other.score(TEXTS, CLASSES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": []}, "ks must hold"),
        ({"ks": [0]}, "ks must be at least 1"),
        ({"metrics": ["accuracy"]}, "metrics must be one of"),
        ({"metrics": "psp"}, "need propensities"),
    ],
)
def test_wrong_metrics_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RankingMetricsDisplay.from_estimator(FITTED, X, Y, **options)


# ---- search ----


@pytest.mark.parametrize("params", [{}, {"n_trees": 2, "n_neighbors": 3}])
def test_quality_is_that_of_models_fitted_so(params):
    clf = classifier(**params).fit(X, Y)
    before = clf.rank(X, 5)
    grid = {"beam_widths": [1, 3], "prune_thresholds": [0.1, 0.4, 0.8]}
    scoring = metrics.precision_at_3_scorer
    display = SearchQualityDisplay.from_estimator(clf, X, Y, **grid, scoring=scoring)
    for i, threshold in enumerate(grid["prune_thresholds"]):
        for j, width in enumerate(grid["beam_widths"]):
            other = classifier(**params, prune_threshold=threshold, beam_width=width).fit(X, Y)
            assert display.quality[i, j] == scoring(other, X, Y)
        assert display.nbytes[i] == sum(model.nbytes for model in other._fitted.rankers)
    assert len(np.unique(display.quality)) > 2
    assert display.metric_name == "precision at 3"
    for line, values in zip(display.lines_, display.quality, strict=True):
        assert_array_equal(line.get_ydata(), values)
    for a, b in zip(before, clf.rank(X, 5), strict=True):
        assert_array_equal(a, b)
    assert clf.beam_width == 3


def test_quality_of_pipelines_as_a_heatmap():
    model = pipeline()
    grid = {"beam_widths": [1, 2, 9], "prune_thresholds": [0.1, 0.5]}
    display = SearchQualityDisplay.from_estimator(model, TEXTS, CLASSES, **grid, kind="heatmap")
    assert_array_equal(np.ravel(display.image_.get_array()), display.quality.ravel())
    assert display.quality[0, 2] == model.set_params(xrlinearclassifier__beam_width=9).score(
        TEXTS, CLASSES
    )
    assert display.metric_name == "precision at 1"
    shown = {text.get_text() for text in display.ax_.texts}
    assert {f"{value:.3f}" for value in display.quality.ravel()} == shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_widths": [0]}, "beam_widths must be at least 1"),
        ({"beam_widths": []}, "beam_widths must hold"),
        ({"prune_thresholds": [0.05]}, r"prune_thresholds must be at least 0.1.*0.05"),
        ({"prune_thresholds": [np.nan]}, "prune_thresholds"),
        ({"kind": "pie"}, "kind must be"),
    ],
)
def test_wrong_searches_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SearchQualityDisplay.from_estimator(FITTED, X, Y, **options)


def test_only_searches_of_ours_can_be_varied():
    with pytest.raises(TypeError, match="must end in a fitted XRLinearClassifier"):
        SearchQualityDisplay.from_estimator(LogisticRegression(), X, Y)
    with pytest.raises(TypeError, match="must end in a fitted XRLinearClassifier"):
        SearchQualityDisplay.from_estimator(classifier(), X, Y)


# ---- trees ----

UNEVEN = LabelTree([[0, 3], [0, 2, 2, 3], [0, 4, 5, 7]], [0, 2, 1, 2, 3, 4, 5])


def test_sizes_count_what_is_below():
    display = LabelTreeDisplay(UNEVEN)
    assert [display.sizes(level).tolist() for level in range(4)] == [
        [7],
        [5, 0, 2],
        [4, 1, 2],
        [1] * 7,
    ]
    for level in range(FITTED.n_levels_ + 1):
        below = np.asarray(FITTED.tree_.indicator(level).sum(axis=0)).ravel()
        assert_array_equal(LabelTreeDisplay(FITTED.tree_).sizes(level), below)


def test_an_icicle_has_a_box_for_each_node_with_labels():
    display = LabelTreeDisplay(UNEVEN).plot(alpha=0.5)
    boxes = [[path.get_extents() for path in level.get_paths()] for level in display.levels_]
    spans = [[(box.x0, box.x1) for box in level] for level in boxes]
    assert spans == [[(0, 7)], [(0, 5), (5, 7)], [(0, 4), (4, 5), (5, 7)]]
    assert display.levels_[0].get_alpha() == 0.5
    assert "6 labels in 7 slots" in display.ax_.get_title()


def test_sizes_of_leaf_clusters_are_counted():
    display = LabelTreeDisplay(UNEVEN).plot(kind="sizes")
    assert sum(bar.get_height() for bar in display.bars_) == 3


def test_small_trees_are_drawn_node_by_node():
    names = ["ant", "bee", "cat", "dog", "eel", "fox"]
    display = LabelTreeDisplay(UNEVEN, label_names=names).plot(kind="nodes", fontsize=5)
    shown = {slot: text.get_text() for slot, text in display.texts_.items()}
    assert shown == {s: names[label] for s, label in enumerate(UNEVEN.slot_label)}
    assert display.texts_[0].get_fontsize() == 5


def test_of_large_trees_a_branch_is_drawn():
    clusters = np.repeat(np.arange(10), 300)
    display = LabelTreeDisplay(LabelTree.from_clusters(clusters))
    with pytest.raises(ValueError, match="give a label"):
        display.plot(kind="nodes")
    for label in (600, 733, 899):
        display.plot(kind="nodes", label=label, max_labels=20)
        shown = {int(text.get_text()): text for text in display.texts_.values()}
        assert len(shown) == 20
        assert shown[label].get_weight() == "bold"
        assert min(shown) >= 600
        assert max(shown) < 900
        said = " ".join(text.get_text() for text in display.ax_.texts)
        assert "and 280 more" in said
        assert "level 1, node 2\n300 labels" in said
    with pytest.raises(ValueError, match="label must be at most 2999"):
        display.plot(kind="nodes", label=3000)


def test_nodes_of_tries_show_their_prefixes():
    texts = ["ab", "abc", "abd", "b", "bc"]
    indexer = TrieIndexer(max_leaf_size=1).fit(texts)
    display = LabelTreeDisplay.from_estimator(indexer, label_names=texts, kind="nodes")
    said = {text.get_text() for text in display.ax_.texts}
    assert said == {"ε", "ab", "b", *texts} | (said & {"a"})
    clf = XRLinearClassifier(TrieIndexer(max_leaf_size=1), random_state=0)
    clf.fit(np.eye(5, dtype=np.float32), texts)
    display = LabelTreeDisplay.from_estimator(clf, kind="nodes")
    assert {text.get_text() for text in display.ax_.texts} == said


def test_any_of_several_trees_is_drawn():
    clf = classifier(n_trees=2).fit(X, Y)
    assert LabelTreeDisplay.from_estimator(clf, tree=1).tree == clf.trees_[1]
    with pytest.raises(ValueError, match="tree must be at most 1"):
        LabelTreeDisplay.from_estimator(clf, tree=2)
    with pytest.raises(TypeError, match="label tree"):
        LabelTreeDisplay.from_estimator(LogisticRegression())
    with pytest.raises(TypeError, match="LabelTree"):
        LabelTreeDisplay([0, 1])
    with pytest.raises(ValueError, match="label_names must be 12"):
        LabelTreeDisplay.from_estimator(clf, label_names=["a"])
    with pytest.raises(ValueError, match="kind must be one of"):
        LabelTreeDisplay.from_estimator(clf, kind="pie")


# ---- latency ----


def test_times_are_those_given():
    times = np.arange(1, 101) / 1e4
    display = LatencyDisplay.from_times(times, name="mine", percentiles=(50, 90), alpha=0.3)
    assert display.percentiles_ == {50: np.percentile(times, 50), 90: np.percentile(times, 90)}
    assert sum(bar.get_height() for bar in display.bars_) == 100
    assert_allclose([line.get_xdata()[0] for line in display.lines_], [5050, 9010])
    assert display.ax_.get_legend().get_texts()[0].get_text() == "mine"
    LatencyDisplay.from_times([0.001])


@pytest.mark.parametrize("times", [[], [[1.0]], [0.0], [-1.0], [np.nan], [np.inf]])
def test_wrong_times_are_refused(times):
    with pytest.raises(ValueError, match="times must be"):
        LatencyDisplay.from_times(times)


@pytest.mark.parametrize("given", [X[:30], X[:30].toarray()])
def test_each_row_is_one_call(given, monkeypatch):
    calls = []
    rank = XRLinearClassifier.rank
    monkeypatch.setattr(
        XRLinearClassifier,
        "rank",
        lambda self, row, k: calls.append((row, k)) or rank(self, row, k),
    )
    display = LatencyDisplay.from_estimator(FITTED, given, k=7)
    assert len(display.times) == 30
    assert {(row.shape, k) for row, k in calls} == {((1, 20), 7)}
    timed = [row for row, _ in calls[-30:]]
    assert_array_equal(sp.vstack([sp.csr_matrix(row) for row in timed]).toarray(), X[:30].toarray())


def test_pipelines_are_timed_as_a_whole(monkeypatch):
    model, seen = pipeline(), []
    transform = TfidfVectorizer.transform
    monkeypatch.setattr(
        TfidfVectorizer, "transform", lambda self, raw: seen.append(raw) or transform(self, raw)
    )
    display = LatencyDisplay.from_estimator(model, TEXTS[:9])
    assert seen[-9:] == [[text] for text in TEXTS[:9]]
    assert (display.times > 0).all()
    other = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, CLASSES)
    assert len(LatencyDisplay.from_estimator(other, TEXTS[:9]).times) == 9


# ---- reliability ----


def test_reliability_is_that_of_the_function():
    display = ReliabilityDisplay.from_estimator(FITTED, X, Y, k=4, n_bins=6, color="red")
    expected = reliability_curve(Y, FITTED.rank(X, 4), n_bins=6)
    for name in ("mean_predicted", "observed", "count", "ece", "brier"):
        assert_array_equal(display.curve[name], expected[name])
    assert_array_equal(display.line_.get_xdata(), expected.mean_predicted)
    assert_array_equal(display.line_.get_ydata(), expected.observed)
    assert display.line_.get_color() == "red"
    assert len(display.dots_.get_offsets()) == len(expected.count)
    again = ReliabilityDisplay.from_predictions(Y, FITTED.rank(X, 4), n_bins=6)
    assert again.curve.ece == expected.ece
    n_lines = len(again.ax_.lines)
    assert len(again.plot(ref_line=False).ax_.lines) == n_lines - 1


def test_scores_that_exceed_one_by_rounding_are_one():
    curve = reliability_curve([[1, 0]], np.array([[np.nextafter(np.float32(1), 2), 0]]))
    assert curve.mean_predicted.max() == 1
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        reliability_curve([[1, 0]], [[1.001, 0]])


# ---- explanations ----


def test_bars_are_the_largest_contributions():
    model = pipeline()
    display = ExplanationDisplay.from_estimator(model, TEXTS[:3], "class 2", row=2, k=1)
    explanation = display.explanation
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    expected = []
    for level, largest in enumerate(explanation.top(1, row=2)):
        bars = [*largest, ("(bias)", float(explanation.trees[0].bias[2, level]))]
        widths = [bar.get_width() for bar in display.bars_[level]]
        assert_allclose(widths, [value for _, value in bars])
        expected += [name for name, _ in bars]
    assert ticks == expected
    assert "class 2: score" in display.ax_.get_title()


def test_titles_name_trees_and_neighbors():
    clf = classifier(n_trees=2, n_neighbors=3).fit(X, Y)
    display = ExplanationDisplay(clf.explain(X[:1], 3, label_name="kelp")).plot(tree=1, height=0.2)
    title = display.ax_.get_title()
    assert title.startswith("kelp: score")
    assert "tree 1" in title
    assert "neighbors" in title
    assert display.bars_[0][0].get_height() == pytest.approx(0.2)
    with pytest.raises(ValueError, match="tree must be at most 1"):
        ExplanationDisplay(display.explanation).plot(tree=2)


# ---- the example ----


@pytest.mark.slow
def test_the_example_prints_words_and_draws(tmp_path, monkeypatch, capsys):
    path = Path(__file__).parents[2]
    spec = importlib.util.spec_from_file_location(
        "seeing_the_model", path / "examples" / "seeing_the_model.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    load = example.load_catalogue_subjects

    def few():
        data = load()
        data.text_train, data.Y_train = data.text_train[:4000], data.Y_train[:4000]
        data.text_test, data.Y_test = data.text_test[:100], data.Y_test[:100]
        return data

    monkeypatch.setattr(example, "load_catalogue_subjects", few)
    monkeypatch.setattr(sys, "argv", ["seeing_the_model.py", str(tmp_path / "pictures")])
    example.main()
    printed = capsys.readouterr().out
    assert "  music\n" in printed
    assert "(bias)" in printed
    pictures = sorted(file.stem for file in (tmp_path / "pictures").iterdir())
    assert pictures == sorted(
        ["explanation", "metrics", "search", "tree", "branch", "reliability", "latency"]
    )
