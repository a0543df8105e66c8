"""Several trees and nearest neighbors, compared with a slow reference."""

import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby

import numpy as np
import pytest
from datasets import catalogue_sample, random_labels
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference import assert_same_ranking, best_first, padded, stored_entries
from scipy import sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from strategies import csr_matrices, examples

import skxmr
from skxmr import KMeansIndexer, SessionQueryCompleter, XRLinearClassifier
from skxmr._core import CSRView, NeighborList, NeighborRows, _neighbor_memo, _voters, combine
from skxmr._data.examples import distinct_examples
from skxmr._ranking.ensemble import EnsembleCache
from skxmr._ranking.neighbors import make_neighbor_rows
from skxmr._utils.targets import known_truth
from skxmr.linear import LabelOrder
from skxmr.metrics import precision_at_k
from skxmr.text import NGramTfidfVectorizer

values = st.sampled_from([-1.0, 0.5, 1.0, 2.0])


# ---- neighbors, against the reference ----


@st.composite
def corpora(draw):
    """Rows, their labels, their weights, and queries."""
    n_columns, n_labels = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    sizes = {"min_columns": n_columns, "max_columns": n_columns}
    X = draw(csr_matrices(values, min_rows=1, max_rows=8, **sizes))
    n = X.shape[0]
    Y = draw(csr_matrices(st.just(1.0), n, n_labels, n, n_labels))
    weight = draw(st.none() | st.lists(st.sampled_from([0.5, 1, 3]), min_size=n, max_size=n))
    queries = draw(csr_matrices(values, min_rows=1, max_rows=3, **sizes))
    return X, Y, None if weight is None else np.array(weight, np.float32), queries


def numbers_of(neighbor_rows, examples):
    """The number of each neighbor row among the examples, and -1 for -1."""
    number = {source: i for i, source in enumerate(examples.source.tolist())}
    return np.array([*(number[source] for source in neighbor_rows.source.tolist()), -1])


def slow_neighbors(examples, query, labels, n_neighbors):
    """Pairs (row, similarity) of the rows most similar to a query that have one of the labels.

    Rows have 255 steps between their largest value and its negative.
    """
    found = []
    for row in range(examples.Y.shape[0]):
        x = examples.X[examples.source[row]].toarray().ravel().astype(float)
        x = np.rint(x * 127 / max(abs(x).max(), 1e-30))
        norms = np.linalg.norm(x) * np.linalg.norm(query)
        own_labels = {label for label, _ in stored_entries(examples.Y, row)}
        similarity = x @ query / norms if norms else 0.0
        if own_labels & set(labels) and similarity > 1e-6:
            found.append((row, similarity))
    return best_first(found)[:n_neighbors]


@examples(200)
@given(corpora(), st.integers(1, 10), st.data())
def test_neighbors_are_those_of_the_reference(corpus, n_neighbors, data):
    X, Y, weight, queries = corpus
    examples = distinct_examples(X, Y, weight)
    if not len(examples.source):
        return
    n = queries.shape[0]
    lists = st.lists(st.integers(-1, Y.shape[1] - 1), min_size=3, max_size=3)
    listed = np.array(data.draw(st.lists(lists, min_size=n, max_size=n)), dtype=np.int32)
    neighbor_rows = make_neighbor_rows(examples)
    rows, similarity = neighbor_rows.find(CSRView(queries), 0, n, listed, n_neighbors, 10**6)
    rows = numbers_of(neighbor_rows, examples)[rows]
    for i in range(n):
        query = queries[[i]].toarray().ravel().astype(float)
        expected = slow_neighbors(examples, query, listed[i].tolist(), n_neighbors)
        pairs = zip(rows[i].tolist(), similarity[i].tolist(), strict=True)
        found = [(row, s) for row, s in pairs if row >= 0 and s > 1e-6]
        assert_allclose([s for _, s in found], [s for _, s in expected], atol=1e-6)
        # Rows that are about as similar as the last one may stand for one another.
        clear = [row for row, s in expected if s > expected[-1][1] + 1e-5]
        assert set(clear) <= {row for row, _ in found}
        assert (similarity[i][rows[i] < 0] == 0).all()


@pytest.mark.parametrize("most", [10**6, 150])
def test_repeated_searches_find_the_same_neighbors(most):
    """Labels exceed the memo's, and rows exceed its list, so that parts of it are made anew."""
    rng = np.random.default_rng(0)
    X = sp.random(600, 30, 0.3, "csr", np.float32, rng)
    Y = sp.random(600, 60, 0.05, "csr", np.float32, rng, lambda n: np.ones(n))
    neighbor_rows = make_neighbor_rows(distinct_examples(X, Y))
    queries = CSRView(sp.random(20, 30, 0.3, "csr", np.float32, rng))
    labels = np.array([rng.permutation(60)[:12] for _ in range(20)], dtype=np.int32)
    for repeat in range(30):
        changed = rng.random(labels.shape) < 0.15
        labels = np.where(changed, rng.integers(-1, 60, labels.shape), labels).astype(np.int32)
        n_neighbors = (3, 3, 7)[repeat % 3]
        neighbor_rows.key = None
        expected = neighbor_rows.find(queries, 5, 20, labels[5:], n_neighbors, most)
        neighbor_rows.key = f"repeated {most}"
        found = neighbor_rows.find(queries, 5, 20, labels[5:], n_neighbors, most)
        assert_array_equal(found[0], expected[0])
        assert_array_equal(found[1], expected[1])


def test_threads_may_repeat_a_search_at_once():
    rng = np.random.default_rng(0)
    X = sp.random(600, 30, 0.3, "csr", np.float32, rng)
    Y = sp.random(600, 60, 0.05, "csr", np.float32, rng, lambda n: np.ones(n))
    neighbor_rows = make_neighbor_rows(distinct_examples(X, Y))
    lists = [np.array([rng.permutation(60)[:12]] * 600, dtype=np.int32) for _ in range(8)]
    find = partial(neighbor_rows.find, CSRView(X), 0, 600, n_neighbors=5, n_candidates=10**6)
    expected = [find(labels=labels) for labels in lists]
    neighbor_rows.key = "threads"
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda labels: find(labels=labels), lists))
    assert_array_equal([rows for rows, _ in found], [rows for rows, _ in expected])
    assert_array_equal([s for _, s in found], [s for _, s in expected])


def test_results_of_searches_are_kept_within_a_limit(monkeypatch):
    memos = _neighbor_memo.NeighborMemos()
    monkeypatch.setattr(_neighbor_memo, "_MOST_BYTES", 3 * 10 * (4 * 12 + 8 * 47))
    view = CSRView(sp.csr_matrix(np.eye(40, dtype=np.float32)))
    made = [memos.find("rows", view, 10 * i, 10 * i + 10, 2, 3) for i in range(3)]
    assert memos.find("rows", view, 0, 10, 2, 3) is made[0]
    assert memos.find("others", view, 0, 10, 2, 3) not in made  # replaces the oldest, made[1]
    assert memos.find("rows", view, 20, 30, 2, 3) is made[2]
    assert memos.find("rows", view, 10, 20, 2, 3) is not made[1]
    assert memos.find("rows", view, 0, 40, 2, 3) is None


def test_no_more_rows_are_compared_than_allowed():
    X = sp.csr_matrix(np.eye(6, dtype=np.float32)[[0] * 6] + np.eye(6, dtype=np.float32))
    Y = sp.csr_matrix(np.repeat(np.eye(2), 3, axis=0).astype(np.float32))
    examples = distinct_examples(X, Y)
    neighbor_rows = make_neighbor_rows(examples)
    for most in range(1, 7):
        listed = np.array([[1, 0]], dtype=np.int32)
        rows, _ = neighbor_rows.find(CSRView(X[[0]]), 0, 1, listed, 6, most)
        found = rows[0][rows[0] >= 0]
        assert len(found) == most
        own_labels = examples.Y[numbers_of(neighbor_rows, examples)[found]].indices
        assert (own_labels == 1).sum() == min(3, -(-most // 2))  # half of the rows, and the odd one


@given(corpora())
def test_rows_that_share_their_most_frequent_label_lie_side_by_side(corpus):
    examples = distinct_examples(*corpus[:3])
    neighbor_rows = make_neighbor_rows(examples)
    assert_array_equal(np.sort(neighbor_rows.source), np.sort(examples.source))
    labels = [
        [label for label, _ in stored_entries(examples.Y, row)]
        for row in numbers_of(neighbor_rows, examples)[:-1]
    ]
    frequency = Counter(label for row in labels for label in row)
    most_frequent = [
        max(row, key=lambda label: (frequency[label], -label), default=-1) for row in labels
    ]
    assert len(set(most_frequent)) == len(list(groupby(most_frequent)))


# ---- sums ----


def reference_sums(listed, scores, n_lists, n_head, logarithms):
    """The score of each label: a sum of the heads, or what a list says further down."""
    added, alone = {}, {}
    length = len(listed) // n_lists
    for rank, (label, score) in enumerate(zip(listed, scores, strict=True)):
        if label >= 0:
            (added if rank % length < n_head else alone).setdefault(label, []).append(score)
    total = (lambda parts: np.logaddexp.reduce(parts)) if logarithms else sum
    sums = {label: float(total(parts)) for label, parts in added.items()}
    for label, parts in alone.items():
        sums[label] = max(*parts, sums.get(label, -np.inf))
    return sums


@given(st.data())
def test_sums_are_those_of_the_reference(data):
    n_labels, n, n_lists = 6, 2, data.draw(st.integers(1, 3))
    m = n_lists * data.draw(st.integers(1, 4))
    quarters = st.integers(0, 4).map(lambda v: v / 4)
    listed = np.array(data.draw(st.lists(st.integers(-1, 5), min_size=n * m, max_size=n * m)))
    scores = np.array(data.draw(st.lists(quarters, min_size=n * m, max_size=n * m)))
    k, floor = data.draw(st.integers(1, 9)), data.draw(st.sampled_from([-np.inf, 0.5]))
    n_head = data.draw(st.integers(0, 5))
    listed = listed.astype(np.int32).reshape(n, m)
    scores = scores.astype(np.float32).reshape(n, m)
    how = {"n_lists": n_lists, "n_head": n_head, "floor": floor}
    labels, sums = combine(listed, scores, k, n_labels, **how)
    logs = combine(listed, scores, k, n_labels, logarithms=True, **how)
    for i in range(n):
        row = listed[i].tolist(), scores[i].tolist(), n_lists, n_head
        expected = reference_sums(*row, False).items()
        kept = [(label, score) for label, score in expected if score >= floor]
        assert (labels[i].tolist(), sums[i].tolist()) == padded(best_first(kept)[:k], k)
        expected = reference_sums(*row, True)
        found = dict(zip(logs[0][i].tolist(), logs[1][i].tolist(), strict=True))
        found.pop(-1, None)
        for label, score in found.items():
            assert score == pytest.approx(expected[label], abs=1e-6)
        assert len(found) == min(k, sum(score >= floor for score in expected.values()))


@examples(100)
@given(corpora(), st.integers(1, 5), st.sampled_from([1.0, 3.0]), st.sampled_from([0.25, 1.0]))
def test_scores_are_those_of_the_reference(corpus, n_neighbors, power, share):
    X, Y, weight, queries = corpus
    examples = distinct_examples(X, Y, weight)
    n, n_labels = queries.shape[0], Y.shape[1]
    if not len(examples.source):
        return
    neighbor_rows = make_neighbor_rows(examples)
    listed = np.tile(np.arange(n_labels, dtype=np.int32), (n, 1))
    scores = np.full(listed.shape, 0.5, dtype=np.float32)
    rows, similarity = neighbor_rows.find(CSRView(queries), 0, n, listed, n_neighbors, 100)
    neighbors = [NeighborList(neighbor_rows, n_neighbors, power, share, (rows, similarity))]
    weighted = scores * np.float32(1 - share)
    labels, mixed = combine(
        listed, weighted, n_labels, n_labels, n_head=n_labels, neighbors=neighbors
    )
    rows = numbers_of(neighbor_rows, examples)[rows]
    for i in range(n):
        left, count = n_neighbors, np.zeros(n_labels)
        for row, s in zip(rows[i].tolist(), similarity[i].tolist(), strict=True):
            w = 0 if row < 0 else 1 if examples.weight is None else float(examples.weight[row])
            w = min(w, left)
            left -= w
            for label, _ in stored_entries(examples.Y, row) if row >= 0 else ():
                count[label] += w * s**power
        total = sum(
            min_weight * s**power
            for min_weight, s in counted_weights(examples, rows[i], similarity[i], n_neighbors)
        )
        expected = (1 - share) * 0.5 + (share * count / total if total > 0 else 0)
        found = dict(zip(labels[i].tolist(), mixed[i].tolist(), strict=True))
        assert_allclose([found[label] for label in range(n_labels)], expected, atol=1e-5)


def counted_weights(examples, rows, similarity, n_neighbors):
    """Pairs (weight, similarity) of a row's neighbors, until their weights reach the number."""
    left = n_neighbors
    for row, s in zip(rows.tolist(), similarity.tolist(), strict=True):
        if row >= 0:
            weight = min(1 if examples.weight is None else float(examples.weight[row]), left)
            left -= weight
            yield weight, s


@given(st.data())
def test_any_content_of_the_arrays_is_safe(data):
    def array(dtype, n):
        kind = np.dtype(dtype).kind
        numbers = {"i": st.integers(-3, 9), "u": st.integers(0, 2**32 - 1)}.get(kind)
        numbers = st.floats(width=32) if numbers is None else numbers
        return np.array(data.draw(st.lists(numbers, min_size=n, max_size=n)), dtype=dtype)

    n_rows, n_labels, n_entries, nnz = 3, 4, 5, 6
    sizes = {"word_ptr": n_rows + 1, "words": nnz, "label_ptr": n_rows + 1}
    sizes |= {"labels": n_entries, "posting_ptr": n_labels + 1, "postings": n_entries}
    sizes["weight"] = n_rows
    arrays = {name: array(NeighborRows.dtypes()[name], n) for name, n in sizes.items()}
    neighbor_rows = NeighborRows(5, n_labels, **arrays)
    queries = sp.csr_matrix(np.ones((2, 5), dtype=np.float32))
    listed = np.array([[0, 1, 2, 3, 9]] * 2, dtype=np.int32)
    rows, similarity = neighbor_rows.find(CSRView(queries), 0, 2, listed, 3, 50)
    assert ((rows >= -1) & (rows < n_rows)).all()
    listed, scores = np.zeros((2, 1), dtype=np.int32), np.ones((2, 1), dtype=np.float32)
    neighbors = [NeighborList(neighbor_rows, 3, 3.0, 0.5, (rows, similarity))]
    labels, _ = combine(listed, scores, 9, n_labels, n_head=1, neighbors=neighbors)
    assert ((labels >= -1) & (labels < n_labels)).all()


# ---- as parts of a classifier ----


example = partial(random_labels, every_label=False)


X, Y = example()


PLAIN = {"random_state": 0, "beam_width": 4, "n_neighbors": None}


def classifier(**params):
    indexer = KMeansIndexer(branching=2, max_leaf_size=3)
    return XRLinearClassifier(indexer, **{**PLAIN, **params})


def with_models(clf, models):
    """The state of a classifier with other models."""
    return clf._fitted._replace(rankers=models, ensembles=EnsembleCache())


def test_scores_of_trees_are_averaged():
    ensemble = classifier(n_trees=3).fit(X, Y)
    assert ensemble.trees_[0] == ensemble.tree_ == classifier().fit(X, Y).tree_
    assert len(set(ensemble.trees_)) == 3
    singles = []
    for model in ensemble._fitted.rankers:
        single = clone(ensemble).fit(X, Y)
        single._fitted = with_models(single, (model,))
        singles.append(single.decision_function(X).toarray())
    found = ensemble.decision_function(X).toarray()
    assert_allclose(found, np.mean(singles, axis=0), atol=1e-6)


WIDE = [
    {"n_neighbors": 5},
    {"n_trees": 2},
    {"n_trees": 3, "n_neighbors": 5},
    {"n_neighbors": 5, "neighbor_weight": 1.0},
    {"n_neighbors": 5, "neighbor_power": 1e4},
    {"n_neighbors": 5, "max_clusters_per_label": 2},
]


@pytest.fixture(scope="module")
def many_labels():
    """Rows of 200 labels: more than any list has that is ranked to find a few."""
    rng = np.random.default_rng(0)
    X = sp.random(600, 40, 0.2, "csr", dtype=np.float32, random_state=0)
    return X, sp.csr_matrix((rng.random((600, 200)) < 0.03).astype(np.float32))


@pytest.mark.parametrize("params", WIDE)
@pytest.mark.parametrize("post_processor", ["l3-hinge", "log-sigmoid"])
def test_a_shorter_ranking_is_the_beginning_of_a_longer_one(many_labels, params, post_processor):
    X, Y = many_labels
    clf = classifier(**params, post_processor=post_processor, beam_width=20).fit(X, Y)
    labels, scores = clf.rank(X[:120], 200)
    for k in (1, 7, 20, 21, 50, 51, 120):
        shorter = clf.rank(X[:120], k)
        assert_array_equal(shorter[0], labels[:, :k])
        assert_array_equal(shorter[1], scores[:, :k])
    assert_array_equal(clf.rank(X[5], 60)[0][0], labels[5, :60])
    reached = clf.decision_function(X[:120])
    for i in range(120):
        row = padded(best_first(stored_entries(reached, i)), 200)
        assert (labels[i].tolist(), scores[i].tolist()) == row


@pytest.mark.parametrize("params", WIDE)
@pytest.mark.parametrize("power", [1, 4])
def test_logarithms_of_faint_scores_are_finite_and_rank_as_the_scores_do(
    many_labels, params, power
):
    X, Y = many_labels
    fitted = classifier(**params, post_processor=f"l{power}-hinge", beam_width=20).fit(X, Y)
    logs = pickle.loads(pickle.dumps(fitted)).set_params(post_processor=f"log-l{power}-hinge")
    labels, scores = logs.rank(X[:200], 200)
    assert np.isfinite(scores[labels >= 0]).all()
    plain = fitted.decision_function(X[:200])
    reached = logs.decision_function(X[:200])
    both = (plain > 1e-30).multiply(reached != 0).tocoo()
    assert_allclose(
        np.asarray(reached[both.row, both.col]).ravel(),
        np.log(np.asarray(plain[both.row, both.col]).ravel().astype(float)),
        rtol=1e-4,
        atol=1e-5,
    )
    # The scores of some labels are too small for single precision, their logarithms are not.
    if power == 4:
        assert (plain.data == 0).any()
        assert len(np.unique(reached.data)) > len(np.unique(plain.data))


@pytest.mark.parametrize("params", WIDE)
def test_explanations_are_of_the_scores_that_rank(many_labels, params):
    X, Y = many_labels
    clf = classifier(**params, beam_width=200).fit(X, Y)
    scores = clf.decision_function(X[:60]).toarray()
    seen = set()
    for label in range(0, 200, 25):
        explanation = clf.explain(X[:60], label)
        assert_array_equal(explanation.scores, scores[:, label])
        seen |= set(explanation.summed.tolist())
    assert seen == {False, True}


def test_progress_goes_from_tree_to_tree(capsys):
    classifier(n_trees=2, max_clusters_per_label=2, verbose=1).fit(X, Y)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    steps = [f"tree {i} of 2, member {j} of 2" for j in (1, 2) for i in (1, 2)]
    positions = [text.find(f"training rankers, {step}") for step in steps]
    assert -1 < positions[0] < positions[1] < positions[2] < positions[3]


MIXTURES = [{"n_trees": 3}, {"n_neighbors": 5}, {"n_trees": 2, "n_neighbors": 5}]


@pytest.mark.parametrize("params", MIXTURES)
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_all_ways_to_rank_agree(params, n_jobs):
    clf = classifier(**params, n_jobs=n_jobs).fit(X, Y)
    for a, b in zip(clf.rank(X, 4), classifier(**params).fit(X, Y).rank(X, 4), strict=True):
        assert_array_equal(a, b)
    labels, scores = clf.rank(X, 4)
    for i in range(20):
        dense = X[[i]].toarray()
        for row in (X[[i]], dense, (X[[i]].indices, X[[i]].data)):
            found = clf.rank(row, 4)
            assert_array_equal(found[0][0], labels[i])
            assert_array_equal(found[1][0], scores[i])
    padded_labels, _ = clf.rank(X, 50)
    assert padded_labels.shape == (X.shape[0], 50)
    assert (padded_labels[:, 12:] == -1).all()
    decision = clf.decision_function(X)
    best = np.asarray(decision[np.arange(len(labels)), labels[:, 0]]).ravel()
    assert_allclose(best, scores[:, 0], rtol=1e-6)


@pytest.mark.parametrize("params", MIXTURES)
def test_copies_rank_alike(params, tmp_path):
    clf = classifier(**params).fit(X, Y)
    clf.save(tmp_path / "model")
    copies = [pickle.loads(pickle.dumps(clf))]
    copies += [skxmr.load(tmp_path / "model", mmap=mmap) for mmap in (False, True)]
    for copy in copies:
        for a, b in zip(copy.rank(X, 5), clf.rank(X, 5), strict=True):
            assert_array_equal(a, b)
        assert copy.trees_ == clf.trees_


@pytest.mark.parametrize("params", MIXTURES)
def test_a_row_of_weight_two_is_the_row_twice(params):
    weight = np.random.default_rng(1).integers(0, 3, X.shape[0])
    twice = np.repeat(np.arange(X.shape[0]), weight)
    a = classifier(**params).fit(X, Y, sample_weight=weight)
    b = classifier(**params).fit(X[twice], Y[twice])
    for left, right in zip(a.rank(X, 5), b.rank(X, 5), strict=True):
        assert_array_equal(left, right)


def test_the_number_of_neighbors_can_change_after_fit():
    clf = classifier(n_neighbors=5).fit(X, Y)
    plain = classifier().fit(X, Y)
    with_neighbors = clf.rank(X, 5)
    for params in ({"n_neighbors": None}, {"neighbor_weight": 0}):
        off = pickle.loads(pickle.dumps(clf)).set_params(**params)
        labels, scores = off.rank(X, 5)
        assert_array_equal(labels, plain.rank(X, 5)[0])
        assert_allclose(scores, plain.rank(X, 5)[1], rtol=1e-6)
    for params in ({"n_neighbors": 50}, {"neighbor_power": 1}, {"neighbor_weight": 0.9}):
        changed = pickle.loads(pickle.dumps(clf)).set_params(**params)
        fitted = classifier(n_neighbors=5).set_params(**params).fit(X, Y)
        assert_array_equal(changed.rank(X, 5)[1], fitted.rank(X, 5)[1])
        assert not np.array_equal(changed.rank(X, 5)[1], with_neighbors[1])


@pytest.mark.parametrize("one_dimensional", [False, True])
def test_rows_added_are_neighbors_as_if_they_had_been_there(one_dimensional):
    y = np.array([f"label {c}" for c in np.asarray(Y.argmax(axis=1)).ravel()])
    targets = y if one_dimensional else Y
    clf = classifier(n_neighbors=5, neighbor_weight=1.0).fit(X, targets)
    more, _ = example(seed=5)
    more_targets = targets[::-1] if one_dimensional else Y[::-1]
    added = pickle.loads(pickle.dumps(clf)).add_neighbors(more, more_targets, np.full(150, 2.0))
    assert added._fitted.neighbors.n_rows == clf._fitted.neighbors.n_rows + 150
    added._fitted.neighbors.check()
    weight = np.repeat(np.array([1, 2], dtype=np.float32), 150)
    Y_both = sp.vstack((known_truth(clf, targets), known_truth(clf, more_targets)))
    both = distinct_examples(sp.vstack((X, more), format="csr"), Y_both.tocsr(), weight)
    listed, _ = clf.rank(more, 12)
    options = CSRView(more), 0, 150, listed, 5, 10**6
    expected = make_neighbor_rows(both).find(*options)
    assert_allclose(added._fitted.neighbors.find(*options)[1], expected[1], rtol=1e-6)
    assert not np.array_equal(added.rank(more, 3)[0], clf.rank(more, 3)[0])
    wrong = ["unheard of"] * 150 if one_dimensional else Y[:, :3]
    with pytest.raises(ValueError, match="y must"):
        clf.add_neighbors(more, wrong)
    with pytest.raises(ValueError, match="n_neighbors"):
        classifier().fit(X, targets).add_neighbors(more, more_targets)


def test_a_search_over_neighbors_trains_each_fold_once(tmp_path, monkeypatch):
    grid = {"n_neighbors": [None, 3, 10], "neighbor_weight": [0.2, 0.4]}
    search = GridSearchCV(classifier(memory=tmp_path), grid, cv=2, refit=False)
    trained = []
    real = skxmr._training.trees.train_layers
    monkeypatch.setattr(
        "skxmr._training.trees.train_layers", lambda *a, **k: trained.append(1) or real(*a, **k)
    )
    search.fit(X, np.asarray(Y.argmax(axis=1)).ravel())
    assert len(trained) == 2


def test_a_row_without_features_and_an_unknown_one():
    clf = classifier(n_neighbors=5, n_trees=2).fit(X, Y)
    empty = sp.csr_matrix((1, 20), dtype=np.float32)
    labels, scores = clf.rank(empty, 3)
    assert (labels >= 0).all()
    assert np.isfinite(scores).all()


def test_classes_in_one_dimension_and_the_fallback_of_predict():
    y = np.asarray(Y.argmax(axis=1)).ravel()
    clf = classifier(n_neighbors=3, n_trees=2, beam_width=1).fit(X, y)
    assert clf.predict(X).shape == y.shape
    assert clf.score(X, y) > 0.5


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_trees": 0}, "n_trees"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"n_neighbors": 2.5}, "n_neighbors"),
        ({"neighbor_weight": 1.5}, "neighbor_weight"),
        ({"neighbor_weight": -0.5}, "neighbor_weight"),
        ({"neighbor_power": -1}, "neighbor_power"),
        ({"n_neighbors": "some"}, "n_neighbors"),
        ({"n_trees": 2, "post_processor": "noop"}, "post_processor"),
    ],
)
def test_wrong_parameters_are_named(params, match):
    with pytest.raises((ValueError, TypeError), match=match):
        classifier(**params).fit(X, Y)
    if "n_trees" not in params:
        clf = classifier(n_neighbors=3).fit(X, Y)
        clf.rank(X[[0]], 3)
        clf.set_params(**params)
        for rows in (X, X[[0]]):
            with pytest.raises((ValueError, TypeError), match=match):
                clf.rank(rows, 3)


KINDS = [{}, {"n_neighbors": 3}, {"n_trees": 2}, {"n_trees": 2, "n_neighbors": 3}]


@pytest.mark.parametrize("params", KINDS)
def test_every_kind_of_model_starts_at_a_frontier(params):
    clf = classifier(**params).fit(X, Y)
    root = 0, sp.csr_matrix(np.ones((X.shape[0], 1), dtype=np.float32))
    start = [root] * 2 if "n_trees" in params else root
    assert_same_ranking(clf.rank(X, 3, frontier=start), clf.rank(X, 3))
    if "n_trees" in params:
        with pytest.raises(ValueError, match="frontier must be a list of 2 pairs"):
            clf.rank(X, 3, frontier=root)


@pytest.mark.parametrize("params", KINDS)
def test_every_kind_of_model_is_restricted(params):
    """A score depends on the row and the label only, and labels outside are left out."""
    clf = classifier(**params, beam_width=100).fit(X, Y)
    n_labels = Y.shape[1]
    position = np.random.default_rng(0).permutation(n_labels).astype(np.int32)
    order = LabelOrder(clf.trees_, position)
    begin = np.arange(X.shape[0]) % n_labels
    ranges = np.stack((begin, np.minimum(begin + 4, n_labels)), axis=1).astype(np.int64)
    labels, scores = clf.rank(X, n_labels, restriction=order.restricted_to(ranges))
    for i, (first, end) in enumerate(ranges.tolist()):
        permitted = np.flatnonzero((position >= first) & (position < end))
        found = labels[i][labels[i] >= 0]
        assert set(found.tolist()) == set(permitted.tolist())
        one = order.restricted_to(ranges[[i]])
        for row in (X[i], (X[i].indices, X[i].data), X[i].toarray()):
            for _ in range(2):  # the second time without checks
                ranking = clf.rank(row, n_labels, restriction=one)
                assert_array_equal(ranking[0][0], labels[i])
                assert_array_equal(ranking[1][0], scores[i])
    every = order.restricted_to(np.tile([0, n_labels], (X.shape[0], 1)).astype(np.int64))
    assert_same_ranking(clf.rank(X, 5, restriction=every), clf.rank(X, 5))
    if "n_neighbors" not in params:
        whole = clf.decision_function(X).toarray()
        reached = labels >= 0
        rows = np.nonzero(reached)[0]
        assert_allclose(scores[reached], whole[rows, labels[reached]], rtol=1e-6)


def test_restrictions_are_checked():
    clf = classifier(n_trees=2).fit(X, Y)
    n_labels = Y.shape[1]
    order = LabelOrder(clf.trees_, np.arange(n_labels, dtype=np.int32))
    everything = np.tile([0, n_labels], (X.shape[0], 1)).astype(np.int64)
    with pytest.raises(TypeError, match="restriction must be what LabelOrder"):
        clf.rank(X, 3, restriction=everything)
    with pytest.raises(ValueError, match="restriction must have int64 ranges"):
        clf.rank(X, 3, restriction=order.restricted_to(everything[:3]))
    with pytest.raises(ValueError, match="restriction must have int64 ranges"):
        clf.rank(X[0], 3, restriction=order.restricted_to(everything[:1].astype(float)))
    other = LabelOrder([clf.tree_], np.arange(n_labels, dtype=np.int32))
    for rows in (X, X[0]):
        one = other.restricted_to(everything[: rows.shape[0]])
        with pytest.raises(ValueError, match="restriction must be made for the trees"):
            clf.rank(rows, 3, restriction=one)


def test_a_completer_may_have_several_trees():
    pairs = [("", "a"), ("birds", "b"), ("", "ar"), ("art", "bi"), ("", "bo")]
    queries = ["art", "birds", "artists", "birch", "books"]
    completer = SessionQueryCompleter(XRLinearClassifier(n_trees=2, random_state=0))
    completer.fit(pairs * 3, queries * 3)
    assert {query for query, _ in completer.complete("b")} == {"birds", "birch", "books"}
    labels, _ = completer.rank(pairs, 5)
    for (_, prefix), row in zip(pairs, labels, strict=True):
        found = completer.classes_[row[row >= 0]]
        assert sorted(found) == sorted(q for q in queries if q.startswith(prefix))


def test_a_completer_uses_no_neighbors():
    completer = SessionQueryCompleter(XRLinearClassifier())
    completer.fit([("", "a"), ("", "b")], ["art", "birds"])
    assert completer.classifier_.neighbors_ is None
    assert completer.predict([("", "a")])[0] == "art"


@pytest.mark.slow
def test_trees_and_neighbors_rank_a_catalogue_better():
    data = catalogue_sample()
    vectorizer = NGramTfidfVectorizer(min_df=3)
    X, X_test = vectorizer.fit_transform(data.text_train), vectorizer.transform(data.text_test)
    clf = XRLinearClassifier(random_state=0, n_jobs=2, n_trees=3, n_neighbors=20)
    clf.fit(X, data.Y_train)
    mixed = precision_at_k(data.Y_test, clf.rank(X_test, 5), k=5)
    clf._fitted = with_models(clf, clf._fitted.rankers[:1])
    one_tree = precision_at_k(data.Y_test, clf.rank(X_test, 5), k=5)
    clf.set_params(n_neighbors=None)
    assert precision_at_k(data.Y_test, clf.rank(X_test, 5), k=5) + 0.005 < one_tree < mixed


def test_neighbors_pickled_by_an_earlier_release_load():
    clf = classifier(n_neighbors=5).fit(X, Y)
    rows = clf._fitted.neighbors
    old = object.__new__(_voters.Voters)
    vars(old).update(rows.__getstate__())
    old.arrays = {
        {"posting_ptr": "carrier_ptr", "postings": "carriers"}.get(name, name): array
        for name, array in rows.arrays.items()
    }
    data = pickle.dumps(old)
    assert b"skxmr._core._voters" in data
    loaded = pickle.loads(data)
    assert type(loaded) is NeighborRows
    assert loaded.arrays.keys() == rows.arrays.keys()
    for name, array in rows.arrays.items():
        assert_array_equal(loaded.arrays[name], array)
    options = CSRView(X), 0, X.shape[0], clf.rank(X, 5)[0], 5, 100
    for found, expected in zip(loaded.find(*options), rows.find(*options), strict=True):
        assert_array_equal(found, expected)
    assert b"_voters" not in pickle.dumps(loaded)
