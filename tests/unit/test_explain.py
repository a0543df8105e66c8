"""Explanations beside a slow reference, and beside what ranking gives."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import random_labels
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import fixed_tree, joined, random_csr, random_model
from scipy import sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from strategies import examples

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier, pecos
from skxmr._core import CSRView
from skxmr._ranking.base import SearchOptions
from skxmr._ranking.explain import explain_label
from skxmr._ranking.post_processors import POST_PROCESSORS
from skxmr.inspection import explain

PRODUCTS = ["sigmoid", "l1-hinge", "l3-hinge"]
WIDE = 10**6


example = random_labels


X, Y = example()
MIXTURES = [
    {},
    {"n_trees": 3},
    {"n_neighbors": 5},
    {"n_trees": 2, "n_neighbors": 5},
    {"max_clusters_per_label": 3},
    {"weight_dtype": "float16"},
    {"bias": 0.0},
]


def classifier(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=3)
    return XRLinearClassifier(indexer, **{"random_state": 0, "beam_width": WIDE, **params})


# ---- against the reference ----


@examples(30)
@given(st.integers(0, 1000), st.sampled_from(sorted(POST_PROCESSORS)), st.integers(0, 119))
def test_levels_are_those_of_the_reference(seed, post_processor, label):
    rng = np.random.default_rng(seed)
    tree = fixed_tree()
    dense = random_model(rng, tree, n_features=15)
    queries = random_csr(rng, 4, 15)
    options = SearchOptions(WIDE, POST_PROCESSORS[post_processor])
    scores, _, (found,), *neighbors = explain_label(
        dense.compile(), [tree], queries, label, options
    )
    assert neighbors == [None, None]
    for i, x in enumerate(queries.toarray().astype(np.float64)):
        ends = []
        for path in tree.path(label):
            score = 0.0 if "log" in post_processor else 1.0
            for level, node in enumerate(path):
                margin = x @ dense.weights[level][:, node] + dense.biases[level][node]
                score = joined(post_processor, margin, score)
            ends.append(score)
        path = tuple(found.nodes[i].tolist())
        assert path in tree.path(label)
        assert_allclose(scores[i], max(ends), rtol=2e-5, atol=1e-30)
        assert_allclose(ends[tree.path(label).index(path)], max(ends), rtol=2e-5, atol=1e-30)
        for level, node in enumerate(path):
            weights = dense.weights[level][:, node]
            assert_array_equal(
                found.contributions[level][[i]].toarray()[0],
                queries[[i]].toarray()[0] * weights,
            )
            assert_array_equal(found.weights[level][[i]].toarray()[0], np.where(x != 0, weights, 0))


@pytest.mark.parametrize("params", MIXTURES)
def test_contributions_add_up_to_margins_as_the_search_adds_them(params):
    explanation = classifier(**params).fit(X, Y).explain(X, 4)
    for tree in explanation.trees:
        for level in range(tree.n_levels):
            level_of_rows = tree.contributions[level].toarray()  # adding zeros changes nothing
            added = np.cumsum(level_of_rows, axis=1, dtype=np.float32)[:, -1]
            assert_array_equal(added + tree.bias[:, level], tree.margins[:, level])


def test_ranks_are_those_in_the_beam():
    rng = np.random.default_rng(3)
    tree = fixed_tree()
    dense = random_model(rng, tree, n_features=15)
    queries = random_csr(rng, 6, 15).astype(np.float32)
    options = SearchOptions(4, POST_PROCESSORS["sigmoid"])
    for label in range(0, 120, 7):
        _, _, (found,), *_ = explain_label(dense.compile(), [tree], queries, label, options)
        for i, x in enumerate(queries.toarray().astype(np.float64)):
            beam = [(0, 1.0)]
            for level in range(tree.n_levels - 1):
                pointers = tree.child_ptr[level]
                margins = x @ dense.weights[level] + dense.biases[level]
                children = [
                    (child, joined("sigmoid", margins[child], score))
                    for node, score in beam
                    for child in range(pointers[node], pointers[node + 1])
                ]
                beam = sorted(children, key=lambda pair: (-pair[1], pair[0]))[:4]
                kept = [node for node, _ in beam]
                node = found.nodes[i, level]
                assert found.ranks[i, level] == (kept.index(node) if node in kept else -1)


# ---- beside ranking ----


def decision(clf, X, column):
    scores = clf.decision_function(X)
    return np.asarray(scores[:, [column]].todense()).ravel()


@pytest.mark.parametrize("post_processor", PRODUCTS)
@pytest.mark.parametrize("params", MIXTURES)
def test_scores_are_those_of_ranking_bit_by_bit(params, post_processor):
    clf = classifier(**params, post_processor=post_processor).fit(X, Y)
    labels, scores = clf.rank(X, 12)
    for label in (0, 5, 11):
        explanation = clf.explain(X, label)
        assert explanation.reached.all()
        assert_array_equal(explanation.scores, decision(clf, X, label))
        assert_array_equal(explanation.scores, scores[labels == label])


@pytest.mark.parametrize("post_processor", ["noop", "log-sigmoid", "log-l2-hinge"])
def test_scores_that_are_sums_are_those_of_ranking(post_processor):
    clf = classifier(post_processor=post_processor).fit(X, Y)
    for label in (0, 7):
        assert_array_equal(clf.explain(X, label).scores, decision(clf, X, label))


@pytest.mark.parametrize("params", MIXTURES)
def test_scores_are_mixed_as_the_weights_say(params):
    explanation = classifier(**params, neighbor_weight=0.4).fit(X, Y).explain(X, 3)
    parts = [tree.weight * tree.scores[:, -1].astype(float) for tree in explanation.trees]
    weights = [tree.weight for tree in explanation.trees]
    if explanation.neighbors is not None:
        parts.append(explanation.neighbors.weight * explanation.neighbors.scores)
        weights.append(explanation.neighbors.weight)
    assert sum(weights) == pytest.approx(1)
    assert_allclose(np.sum(parts, axis=0), explanation.scores, atol=1e-6)


@pytest.mark.parametrize("params", [{}, {"n_trees": 2}])
def test_a_narrow_beam_reaches_what_explanations_say(params):
    clf = classifier(**params, beam_width=1).fit(X, Y)
    seen = set()
    for label in range(12):
        explanation = clf.explain(X, label)
        scores = [
            ranker.rank(CSRView(X), 0, 150, 12, SearchOptions(1, POST_PROCESSORS["l3-hinge"]))[0]
            for ranker in clf._fitted.rankers
        ]
        reached = np.all([(found == label).any(axis=1) for found in scores], axis=0)
        assert_array_equal(explanation.reached, reached)
        seen |= set(reached.tolist())
        there = decision(clf, X, label)
        assert_array_equal(explanation.scores[reached], there[reached])
    assert seen == {False, True}


def test_the_best_slot_counts():
    clf = classifier(max_clusters_per_label=3).fit(X, Y)
    label = int(np.argmax(np.bincount(clf.tree_.slot_label)))
    explanation = clf.explain(X, label)
    paths = clf.tree_.path(label)
    assert len(paths) > 1
    chosen = {tuple(nodes) for nodes in explanation.trees[0].nodes.tolist()}
    assert chosen <= set(paths)
    assert len(chosen) > 1


@pytest.mark.parametrize("one_by_one", [False, True])
def test_rows_are_explained_alike_alone(one_by_one):
    clf = classifier(n_trees=2, n_neighbors=4).fit(X, Y)
    whole = clf.explain(X, 5)
    for i in (0, 17, 149):
        one = whole[i] if one_by_one else clf.explain((X[[i]].indices, X[[i]].data), 5)
        assert len(one) == 1
        assert one.scores[0] == whole.scores[i]
        assert one.to_text() == whole.to_text(row=i).replace(f"in row {i}", "in row 0")
        assert_array_equal(one.neighbors.rows[0], whole.neighbors.rows[i])
    assert len(whole[-1]) == 1
    assert_array_equal(whole[3:6].scores, whole.scores[3:6])


def test_what_is_pruned_contributes_nothing():
    clf = classifier(prune_threshold=0.4).fit(X, Y)
    for label in range(12):
        for tree in clf.explain(X, label).trees:
            for weights, contributions in zip(tree.weights, tree.contributions, strict=True):
                assert (np.abs(weights.data) >= 0.4).all()
                assert weights.nnz == contributions.nnz
    everything = classifier(prune_threshold=1e9).fit(X, Y).explain(X, 0)
    assert all(m.nnz == 0 for m in everything.trees[0].contributions)
    assert (everything.trees[0].margins == 0).all()


def test_rows_without_features_are_explained_by_the_biases():
    clf = classifier().fit(X, Y)
    empty = sp.csr_matrix((2, 20), dtype=np.float32)
    explanation = clf.explain(empty, 1)
    assert_array_equal(explanation.trees[0].margins, explanation.trees[0].bias)
    assert_array_equal(explanation.scores, decision(clf, empty, 1))
    assert explanation.top(3) == [[] for _ in range(clf.n_levels_)]


# ---- nearest neighbors ----


def slow_neighbors(clf, row, column, n_rows):
    """Cosines with the training rows; the n most similar count by the power of these."""
    steps = X.toarray()[:n_rows].astype(float)  # rows have 127 steps up to their largest value
    steps = np.rint(127 * steps / np.maximum(steps.max(axis=1, keepdims=True), 1e-30))
    norms = np.linalg.norm(steps, axis=1) * np.linalg.norm(row)
    similarity = steps @ row / np.where(norms > 0, norms, 1)
    order = np.argsort(-similarity, kind="stable")[: clf.n_neighbors]
    order = order[similarity[order] > 1e-6]
    parts = similarity[order] ** clf.neighbor_power
    parts /= parts.sum()
    has = Y.toarray()[order, column] > 0
    return order, similarity[order], parts, has


def test_neighbors_are_named_by_their_rows():
    clf = classifier(n_neighbors=6).fit(X, Y)
    neighbors = clf.explain(X[:20], 2).neighbors
    for i in range(20):
        row = X[[i]].toarray().ravel().astype(float)
        order, similarity, parts, has = slow_neighbors(clf, row, 2, 150)
        with_labels = np.diff(Y.indptr)[order] > 0
        if not with_labels.all():
            continue  # such rows have no neighbors
        n = len(order)
        assert_array_equal(neighbors.rows[i, :n], order)
        assert_allclose(neighbors.similarities[i, :n], similarity, rtol=1e-5)
        assert_allclose(neighbors.parts[i, :n], parts, rtol=1e-5)
        assert_array_equal(neighbors.carries[i, :n], has)
        assert neighbors.scores[i] == pytest.approx(parts[has].sum(), rel=1e-5)


def test_a_row_of_weight_counts_as_many_as_are_left():
    weight = np.full(150, 2.0)
    clf = classifier(n_neighbors=3).fit(X, Y, sample_weight=weight)
    neighbors = clf.explain(X[:10], 2).neighbors
    similar = neighbors.similarities.astype(float) ** 3
    shares = similar * [2, 1, 0] / (similar * [2, 1, 0]).sum(axis=1, keepdims=True)
    assert_allclose(neighbors.parts, shares, rtol=1e-5)


def test_equal_rows_are_told_by_the_first_and_added_rows_numbered_on():
    twice = np.repeat(np.arange(150), 2)
    clf = classifier(n_neighbors=4).fit(X[twice], Y[twice])
    assert (clf.explain(X, 1).neighbors.rows % 2 == 0).all()
    clf = classifier(n_neighbors=4).fit(X[:100], Y[:100])
    clf.add_neighbors(X[100:130], Y[100:130]).add_neighbors(X[130:], Y[130:])
    rows = clf.explain(X[100:], 1).neighbors.rows[:, 0]
    labeled = np.diff(Y.indptr)[100:] > 0
    found = rows == np.arange(100, 150)
    # A row finds itself unless none of its labels is ranked, and twelve labels all are.
    assert found[labeled].all()


def test_models_saved_without_rows_use_neighbors(tmp_path):
    clf = classifier(n_neighbors=4).fit(X, Y)
    clf._fitted.neighbors.source = None
    clf.save(tmp_path / "model")
    loaded = skxmr.load(tmp_path / "model")
    assert loaded._fitted.neighbors.source is None
    explanation = loaded.explain(X, 3)
    assert (explanation.neighbors.rows == -1).all()
    assert_array_equal(explanation.scores, clf.explain(X, 3).scores)
    assert "a row of training" in "".join(map(str, (explanation[i] for i in range(20))))
    loaded.add_neighbors(X[:5], Y[:5])
    assert loaded._fitted.neighbors.source is None


def test_rows_that_were_not_given_are_damage(tmp_path):
    clf = classifier(n_neighbors=4).fit(X, Y)
    clf._fitted.neighbors.n_given = 10
    with pytest.raises(ValueError, match="rows that were not given"):
        clf._fitted.neighbors.check()


# ---- copies and other models ----


@pytest.mark.parametrize("params", MIXTURES)
def test_copies_explain_alike(params, tmp_path):
    clf = classifier(**params).fit(X, Y)
    clf.save(tmp_path / "model")
    copies = [pickle.loads(pickle.dumps(clf))]
    copies += [skxmr.load(tmp_path / "model", mmap=mmap) for mmap in (False, True)]
    expected = clf.explain(X[:9], 6)
    for copy in copies:
        found = copy.explain(X[:9], 6)
        assert found.to_text(20, row=4) == expected.to_text(20, row=4)
        assert_array_equal(found.scores, expected.scores)


def test_imports_from_pecos_are_explained(pytestconfig):
    folder = pytestconfig.rootpath / "tests" / "data" / "pecos"
    models = [path.parents[1] for path in sorted(folder.rglob("ranker/param.json"))]
    assert models
    for path in models:
        clf = pecos.load(path).set_params(beam_width=WIDE)
        rows = random_csr(np.random.default_rng(0), 5, clf.n_features_in_)
        for label in range(0, clf.n_labels_, max(1, clf.n_labels_ // 5)):
            explanation = clf.explain(rows, label)
            assert_array_equal(explanation.scores, decision(clf, rows, label))


def test_a_damaged_mapped_model_is_refused(tmp_path):
    clf = classifier().fit(X, Y)
    clf.save(tmp_path / "model")
    file = next(tmp_path.rglob("tree.0.layer.0.payload.npy"))
    whole = bytearray(file.read_bytes())
    whole[-40:] = b"\xff" * 40
    file.write_bytes(whole)
    mapped = skxmr.load(tmp_path / "model", mmap=True)
    with pytest.raises(ValueError, match="malformed"):
        mapped.explain(X, 0)


# ---- what labels and features are called ----


def test_classes_are_given_by_themselves_or_by_position():
    names = np.array([f"class {i % 5}" for i in range(150)])
    clf = classifier().fit(X, names)
    by_name = clf.explain(X, "class 3")
    assert (by_name.label, by_name.column) == ("class 3", 3)
    assert clf.explain(X, np.str_("class 3")).label == "class 3"
    assert clf.explain(X, np.int32(3)).to_text() == by_name.to_text()
    numbers = classifier().fit(X, np.arange(150) % 5 * 10)
    assert numbers.explain(X, 30).column == 3
    assert_array_equal(numbers.explain(X, 30).scores, by_name.scores)


@pytest.mark.parametrize("label", [12, -1, 1.5, True, "0", None, [0], np.nan])
def test_unknown_labels_are_refused(label):
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="label must be one of the 12 classes"):
        clf.explain(X, label)


@pytest.mark.parametrize("label", ["class 9", 5, -1, True, None])
def test_unknown_string_classes_are_refused(label):
    clf = classifier().fit(X, [f"class {i % 5}" for i in range(150)])
    with pytest.raises(ValueError, match="label must be one of the 5 classes"):
        clf.explain(X, label)


def test_wrong_names_and_rows_are_refused():
    clf = classifier().fit(X, Y)
    with pytest.raises(ValueError, match="feature_names must be 20 strings"):
        clf.explain(X, 0, feature_names=["a"])
    with pytest.raises(TypeError, match="feature_names"):
        clf.explain(X, 0, feature_names=range(20))
    with pytest.raises(ValueError, match="features"):
        clf.explain(X[:, :3], 0)
    explanation = clf.explain(X[:2], 0)
    for k, row, tree in [(0, 0, 0), (1, 2, 0), (1, -1, 0), (1, 0, 1)]:
        with pytest.raises(ValueError, match="must be at"):
            explanation.top(k, row=row, tree=tree)
    with pytest.raises(IndexError):
        explanation[2]


def test_the_largest_contributions_come_first():
    explanation = classifier().fit(X, Y).explain(X, 3, feature_names=[f"f{i}" for i in range(20)])
    for i in range(5):
        for level, largest in enumerate(explanation.top(30, row=i)):
            row = explanation.trees[0].contributions[level][[i]]
            assert dict(largest) == {
                f"f{c}": v for c, v in zip(row.indices, row.data.tolist(), strict=True)
            }
            sizes = [abs(value) for _, value in largest]
            assert sizes == sorted(sizes, reverse=True)
            assert explanation.top(2, row=i)[level] == largest[:2]


def test_arrays_and_frames_hold_everything():
    clf = classifier(n_trees=2).fit(X, Y)
    explanation = clf.explain(X[:7], 3, feature_names=[f"f{i}" for i in range(20)])
    columns = explanation.to_arrays()
    assert {len(column) for column in columns.values()} == {len(columns["row"])}
    margins = np.zeros((7, 2, clf.n_levels_))
    at = columns["row"], columns["tree"], columns["level"] - 1
    np.add.at(margins, at, columns["contribution"])
    expected = np.stack([tree.margins for tree in explanation.trees], axis=1)
    assert_allclose(margins, expected, atol=1e-6)
    assert_allclose(columns["value"] * columns["weight"], columns["contribution"], rtol=1e-6)
    is_bias = columns["feature"] < 0
    assert (columns["name"][is_bias] == "(bias)").all()
    assert list(columns["name"][~is_bias]) == [f"f{i}" for i in columns["feature"][~is_bias]]
    values = X.toarray()[columns["row"][~is_bias], columns["feature"][~is_bias]]
    assert_array_equal(columns["value"][~is_bias], values)
    assert "name" not in clf.explain(X[:7], 3).to_arrays()


def test_frames_need_pandas(monkeypatch):
    explanation = classifier().fit(X, Y).explain(X[:2], 0)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="to_arrays"):
        explanation.to_frame()


def test_a_frame_is_the_arrays():
    pd = pytest.importorskip("pandas")
    explanation = classifier().fit(X, Y).explain(X[:2], 0)
    pd.testing.assert_frame_equal(explanation.to_frame(), pd.DataFrame(explanation.to_arrays()))


def test_names_of_columns_are_taken_from_fit():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.toarray(), columns=[f"column {i}" for i in range(20)])
    clf = classifier().fit(frame, Y.toarray())
    assert clf.explain(frame[:3], 0).top(1)[0][0][0].startswith("column ")


def test_texts_say_what_is_there():
    clf = classifier(beam_width=1, n_neighbors=3).fit(X, Y)
    explanation = clf.explain(X, 3, label_name="kelp")
    i = int(np.flatnonzero(~explanation.reached)[0])
    text = explanation.to_text(2, row=i)
    assert text.startswith(
        f"kelp, which the beam does not reach, scores {explanation.scores[i]:.4f}"
    )
    assert "not in the beam" in text
    assert "other feature" in text
    assert "nearest neighbors: " in text
    assert repr(explanation[i]).startswith("Explanation(label='kelp', n_rows=1, score=")
    assert str(explanation) == explanation.to_text()


# ---- behind vectorizers ----

TEXTS = ["cats purr softly", "dogs bark at night", "eels slip away", "owls see at night"]


@pytest.mark.parametrize(
    "wrap", [lambda p: p, lambda p: GridSearchCV(p, {}, cv=[([0, 1, 2, 3],) * 2])]
)
def test_pipelines_are_explained_by_words(wrap):
    model = wrap(make_pipeline(TfidfVectorizer(), XRLinearClassifier(random_state=0)))
    model.fit(TEXTS, ["cat", "dog", "eel", "owl"])
    explanation = explain(model, ["the cats purr"], "cat")
    assert {name for name, _ in explanation.top(5)[-1]} <= {"cats", "purr"}
    assert explanation.feature_names is not None


def test_pipelines_without_names_are_explained_by_numbers():
    steps = HashingVectorizer(n_features=64), XRLinearClassifier(random_state=0)
    model = make_pipeline(*steps).fit(TEXTS, ["cat", "dog", "eel", "owl"])
    assert explain(model, TEXTS[:1], "cat").feature_names is None
    names = [f"hash {i}" for i in range(64)]
    named = explain(model, TEXTS[:1], "cat", feature_names=names, label_name="Felis")
    assert named.feature_names[63] == "hash 63"
    assert named.label_name == "Felis"


def test_other_estimators_cannot_explain():
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [0, 1, 0, 1])
    with pytest.raises(TypeError, match="has explain"):
        explain(model, TEXTS, 0)
    with pytest.raises(TypeError, match="has explain"):
        explain(SimpleNamespace(), TEXTS, 0)
