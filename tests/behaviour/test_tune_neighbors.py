"""The choice of the neighbors on held-out rows, and examples of labels."""

import math
import pickle

import numpy as np
import pytest
from datasets import catalogue_sample
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

import skxmr
from skxmr import KMeansIndexer, XRLinearClassifier
from skxmr._data.examples import distinct_examples
from skxmr._data.label_examples import LabeledRows, with_label_examples
from skxmr._ranking.base import SearchOptions
from skxmr._ranking.neighbors import make_neighbor_rows
from skxmr._ranking.post_processors import POST_PROCESSORS
from skxmr._training.held_out import hold_out
from skxmr._training.tune_neighbors import NeighborWeighting, choose_weighting
from skxmr.metrics import precision_at_k


def example(n=400, n_labels=12, seed=0):
    rng = np.random.default_rng(seed)
    X = sp.random(n, 30, 0.2, "csr", dtype=np.float32, random_state=seed)
    X = X + sp.csr_matrix(([1.0] * n, (np.arange(n), rng.integers(0, 30, n))), X.shape)
    Y = sp.csr_matrix((rng.random((n, n_labels)) < 0.15).astype(np.float32))
    return X.tocsr().astype(np.float32), Y


def classifier(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=3)
    return XRLinearClassifier(indexer, **{"random_state": 0, "beam_width": 4, **params})


def pairs(n=600, n_words=150, seed=0):
    """Rows come twice, with words that no other rows have: only the twin knows the labels."""
    rng = np.random.default_rng(seed)
    own = sp.csr_matrix((np.ones(n), (np.arange(n), np.arange(n) // 2)), (n, n // 2))
    noise = sp.random(n, n_words, 0.02, "csr", random_state=seed)
    Y = sp.csr_matrix((rng.random((n // 2, 10)) < 0.2).astype(np.float32))
    Y = Y[np.arange(n) // 2]
    return sp.hstack((own, 0.3 * noise), format="csr").astype(np.float32), Y.tocsr()


def known_from_features(n=600):
    """Each label has a feature, and much else in the rows means nothing."""
    Y = sp.csr_matrix((np.random.default_rng(0).random((n, 10)) < 0.2).astype(np.float32))
    noise = sp.random(n, 60, 0.2, "csr", dtype=np.float32, random_state=1)
    return sp.hstack((0.5 * Y, 3 * noise), format="csr").astype(np.float32), Y


# ---- automatic choice ----


def test_neighbors_are_chosen_if_they_help_and_left_out_otherwise():
    X, Y = pairs()
    helped = classifier(n_neighbors="auto").fit(X, Y)
    assert helped.neighbors_ is not None
    assert helped.neighbors_.weight > 0.3  # only the twin is of any use
    X, Y = known_from_features()
    plain = classifier(n_neighbors="auto", beam_width=20).fit(X, Y)
    assert plain.neighbors_ is None
    assert plain._fitted.neighbors is None


def test_the_choice_is_the_best_of_all_on_the_rows_held_out(monkeypatch):
    X, Y = pairs()
    examples = distinct_examples(X, Y)
    clf = classifier(n_neighbors=None)
    chosen, tried = [], []

    def train(kept):
        chosen.append(kept)
        return clf.fit(kept.X[kept.source], kept.Y)._fitted.rankers

    real = skxmr._training.tune_neighbors.ndcg_at_k
    monkeypatch.setattr(
        "skxmr._training.tune_neighbors.ndcg_at_k",
        lambda *a, **k: tried.append(real(*a, **k)) or tried[-1],
    )
    options = SearchOptions(4, POST_PROCESSORS["l3-hinge"])
    found = choose_weighting(hold_out(examples, X.shape[0], train), options)
    values = skxmr._training.tune_neighbors._VALUES
    assert len(tried) == math.prod(map(len, values)) + 1
    assert max(tried) > tried[-1]  # the last one is without neighbors
    assert isinstance(found, NeighborWeighting)
    held = np.setdiff1d(examples.source, chosen[0].source)
    assert len(held) == -(-len(examples.source) // 10)


def test_auto_ranks_as_what_it_chose_does(tmp_path):
    X, Y = pairs()
    auto = classifier(n_neighbors="auto").fit(X, Y)
    n, power, share = auto.neighbors_
    given = classifier(n_neighbors=n, neighbor_power=power, neighbor_weight=share).fit(X, Y)
    auto.save(tmp_path / "model")
    for copy in (auto, pickle.loads(pickle.dumps(auto)), skxmr.load(tmp_path / "model")):
        assert copy.neighbors_ == (n, power, share)
        for a, b in zip(copy.rank(X, 5), given.rank(X, 5), strict=True):
            assert_array_equal(a, b)
    assert given.neighbors_ == auto.neighbors_


def test_the_order_of_rows_does_not_change_the_choice():
    X, Y = pairs()
    order = np.random.default_rng(3).permutation(X.shape[0])
    a = classifier(n_neighbors="auto").fit(X, Y)
    b = classifier(n_neighbors="auto").fit(X[order], Y[order])
    assert a.neighbors_ == b.neighbors_
    assert_array_equal(a.rank(X, 5)[1], b.rank(X, 5)[1])


def test_few_rows_leave_the_parameters_as_they_are():
    X, Y = example(40)
    clf = classifier(n_neighbors="auto", neighbor_power=2.0, neighbor_weight=0.1).fit(X, Y)
    assert clf.neighbors_ == (20, 2.0, 0.1)


# ---- many rows: trained once, without the rows held out ----


def many(n=20_000):
    """Two labels per row at most; many words, and the rows of a word have its label."""
    rng = np.random.default_rng(5)
    word = rng.integers(0, 40, n)
    own = sp.csr_matrix((np.ones(n), (np.arange(n), word)), (n, 40))
    noise = sp.random(n, 60, 0.05, "csr", random_state=5)
    noise[:, 0] = rng.random((n, 1))  # no two rows are equal
    Y = sp.csr_matrix((rng.random((n, 41)) < 0.02).astype(np.float32))
    Y += sp.csr_matrix((np.ones(n), (np.arange(n), word)), (n, 41))
    Y.data[:] = 1
    return sp.hstack((own, noise), format="csr").astype(np.float32), Y.tocsr()


@pytest.mark.parametrize("params", [{}, {"n_trees": 2, "threshold": "auto", "n_jobs": 2}])
def test_many_rows_are_trained_on_once_and_all_are_neighbors(params, monkeypatch):
    X, Y = many()
    trained = []
    real = skxmr.linear._fit.train_all

    def train_all(classifier, data, *rest):
        trained.append(data.examples.source)
        return real(classifier, data, *rest)

    monkeypatch.setattr("skxmr.linear._fit.train_all", train_all)
    monkeypatch.delattr("skxmr.linear._fit.ranker_of")  # it would train a second time
    clf = classifier(n_neighbors="auto", **params).fit(X, Y)
    (rows,) = trained
    n_examples = len(distinct_examples(X, Y).source)
    assert n_examples * 0.98 <= len(rows) < n_examples
    if clf.neighbors_ is not None:
        assert clf._fitted.neighbors.n_rows == n_examples
    assert (clf.threshold_ is None) == ("threshold" not in params)
    kept = np.sort(rows)
    n, power, weight = clf.neighbors_ or (None, 3.0, 0.2)
    by_hand = classifier(n_neighbors=n, neighbor_power=power, neighbor_weight=weight)
    by_hand.set_params(n_trees=params.get("n_trees", 1)).fit(X[kept], Y[kept])
    for a, b in zip(clf._fitted.rankers, by_hand._fitted.rankers, strict=True):
        for first, second in zip(a.layers, b.layers, strict=True):
            for name in first.DTYPES:
                assert_array_equal(getattr(first, name), getattr(second, name))


def test_no_label_loses_its_only_rows():
    X, Y = many()
    examples = distinct_examples(X, Y)
    alone = sp.lil_matrix((Y.shape[0], 400), dtype=np.float32)
    real = np.sort(examples.source[::50])
    alone[real[:380], np.arange(380)] = 1  # their only rows would be held out
    examples = distinct_examples(X, sp.hstack((Y, alone.tocsr()), format="csr"))
    held, kept = skxmr._training.held_out._split(examples, X.shape[0])
    assert 0 < len(held) <= 400
    assert_array_equal(np.sort(np.r_[held, kept]), np.arange(len(examples.source)))
    n_rows = np.asarray(examples.Y.sum(axis=0)).ravel()
    n_kept = np.asarray(examples.Y[kept].sum(axis=0)).ravel()
    assert_array_equal(n_kept > 0, n_rows > 0)


def test_the_order_of_many_rows_does_not_change_the_model():
    X, Y = many()
    order = np.random.default_rng(3).permutation(X.shape[0])
    a = classifier(n_neighbors="auto").fit(X, Y)
    b = classifier(n_neighbors="auto").fit(X[order], Y[order])
    assert a.neighbors_ == b.neighbors_
    assert_array_equal(a.rank(X[:500], 5)[1], b.rank(X[:500], 5)[1])


# ---- neighbors and post-processors ----


@pytest.mark.parametrize("params", [{"n_neighbors": 20}, {"n_neighbors": None, "n_trees": 2}])
def test_logarithms_are_taken_of_the_mixture(params):
    X, Y = example()
    product = classifier(post_processor="sigmoid", **params).fit(X, Y)
    log = classifier(post_processor="log-sigmoid", **params).fit(X, Y)
    labels, scores = product.rank(X, 6)
    with np.errstate(divide="ignore"):
        assert_array_equal(log.rank(X, 6)[0], labels)
        assert_allclose(log.rank(X, 6)[1], np.log(scores), rtol=1e-5, atol=1e-7)
    assert_array_equal(log.rank(X[[3]], 6)[1][0], log.rank(X, 6)[1][3])
    log.threshold, product.threshold = float(np.log(0.3)), 0.3
    assert (log.predict(X) != product.predict(X)).nnz == 0


def test_margins_use_no_neighbors():
    X, Y = example()
    margins = classifier(post_processor="noop").fit(X, Y)
    plain = classifier(post_processor="noop", n_neighbors=None).fit(X, Y)
    assert_array_equal(margins.rank(X, 5)[1], plain.rank(X, 5)[1])
    margins.set_params(post_processor="l3-hinge")
    with_neighbors = classifier().fit(X, Y)
    assert_array_equal(margins.rank(X, 5)[1], with_neighbors.rank(X, 5)[1])


@pytest.mark.parametrize(
    "settings", [[0, 3.0, 0.3], [20, 3.0], [20, -1.0, 0.3], [20, 3.0, 2.0], "x"]
)
def test_saved_settings_are_checked(settings, tmp_path):
    from skxmr._utils.folder import write_folder
    from skxmr.linear._saving import classifier_state

    clf = classifier().fit(*example())
    content, *arrays = classifier_state(clf)
    write_folder(tmp_path / "model", {**content, "neighbors": settings}, *arrays)
    with pytest.raises(ValueError, match="neighbors"):
        skxmr.load(tmp_path / "model")


# ---- what labels say of themselves ----


def test_examples_of_labels_are_rows_like_others():
    X, Y = example()
    rows, _ = example(12, seed=8)
    rows[3] = 0
    rows.eliminate_zeros()
    weight = np.linspace(0.5, 2, X.shape[0]).astype(np.float32)
    own = sp.identity(12, dtype=np.float32, format="csr")
    kept = np.delete(np.arange(12), 3)
    by_hand = classifier().fit(
        sp.vstack((X, rows[kept])), sp.vstack((Y, own[kept])), np.r_[weight, np.ones(11)]
    )
    given = classifier().fit(X, Y, weight, label_examples=rows)
    for a, b in zip(given.rank(X, 5), by_hand.rank(X, 5), strict=True):
        assert_array_equal(a, b)
    assert given._fitted.neighbors.n_rows == by_hand._fitted.neighbors.n_rows


def test_examples_of_labels_beside_relevance_and_negatives():
    X, Y = example()
    rows, _ = example(12, seed=8)
    relevance = Y.copy()
    relevance.data[:] = np.linspace(0.5, 2, Y.nnz)
    negatives = sp.csr_matrix(Y[::-1])
    targets = Y, None, relevance, negatives
    stacked, (indicator, weight, more, most) = with_label_examples(
        X, targets, LabeledRows(rows, np.arange(12))
    )
    assert weight is None
    assert stacked.shape == (412, 30)
    assert_array_equal(indicator.toarray()[400:], np.eye(12))
    assert_array_equal(more.toarray()[400:], np.eye(12))
    assert_array_equal(most.toarray()[400:], np.zeros((12, 12)))
    assert make_neighbor_rows(distinct_examples(stacked, indicator)).n_labels == 12
    given = {"relevance": relevance, "negatives": negatives, "label_examples": rows}
    clf = classifier().fit(X, Y, **given)
    by_hand = classifier().fit(stacked, indicator, relevance=more, negatives=most)
    assert_array_equal(clf.rank(X, 5)[1], by_hand.rank(X, 5)[1])


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (np.ones((11, 30)), "label_examples must have 12 rows, got 11"),
        (np.ones((12, 29)), "label_examples must have 30 features as X, got 29"),
        (np.full((12, 30), np.nan), "label_examples"),
        (np.array(["a"] * 12), "label_examples"),
    ],
)
def test_wrong_examples_of_labels_are_refused(rows, match):
    clf = classifier()
    with pytest.raises(ValueError, match=match):
        clf.fit(*example(), label_examples=rows)
    assert not hasattr(clf, "n_labels_")


@pytest.mark.slow
def test_names_of_labels_help_and_come_through_a_pipeline():
    data = catalogue_sample()
    texts, Y = data.text_train[:20000], data.Y_train[:20000]
    names = list(data.label_names)
    with config_context(enable_metadata_routing=True):
        steps = [
            ("words", TfidfVectorizer(min_df=2)),
            ("rank", XRLinearClassifier(random_state=0).set_fit_request(label_examples=True)),
        ]
        named = Pipeline(steps, transform_input=["label_examples"])
        named.fit(texts, Y, label_examples=names)
        plain = clone(Pipeline(steps)).fit(texts, Y)
        ranked = [model[:-1].transform(data.text_test) for model in (plain, named)]
    a, b = (
        precision_at_k(data.Y_test, model[-1].rank(X, 5)[0], k=5)
        for model, X in zip((plain, named), ranked, strict=True)
    )
    assert b > a + 0.01
