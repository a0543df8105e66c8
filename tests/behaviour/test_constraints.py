"""Rankings limited to labels of given sets, labels that are removed, and suggestions left out."""

import pickle
import threading

import joblib
import numpy as np
import pytest
from datasets import KINDS, classifier, first_labels, fitted_classifier, random_labels
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import (
    assert_same_ranking,
    beam_search,
    draw_beam,
    fixed_tree,
    frontier_of,
    nodes_above,
    padded,
    quantized_csr,
    quantized_model,
    rank_all,
)
from scipy import sparse as sp
from sklearn.exceptions import NotFittedError
from strategies import examples, label_trees, seeds

import skxmr
from skxmr import KMeansIndexer, LabelTree
from skxmr._core import INT, LabelRestrictionView, NumberSets, RestrictionView, combine
from skxmr._ranking.constraint import Constraint, SetPair
from skxmr.completion import SessionQueryCompleter
from skxmr.linear import LabelOrder
from skxmr.metrics import precision_at_k

X, Y = random_labels()
N_ROWS, N_LABELS = Y.shape
WIDE = 1000


def number_sets(sets):
    """Sets of Python, one per row, as NumberSets."""
    members = np.array([m for row in sets for m in sorted(row)], dtype=np.int32)
    ptr = np.concatenate(([0], np.cumsum([len(row) for row in sets]))).astype(np.int64)
    return NumberSets(ptr, members, False)


def entered_nodes(tree, among, exclude):
    """The nodes of each level that a search enters, by the definition."""
    permitted = set(range(tree.n_labels)) if among is None else among
    levels = nodes_above(tree, permitted - (exclude or set()))
    if among is None:  # nodes without any labels have none that is excluded
        filled = nodes_above(tree, set(range(tree.n_labels)))
        for level, nodes in enumerate(levels):
            nodes |= set(range(tree.n_nodes(level))) - filled[level]
    return levels


def filtered(ranking, k, among=None, exclude=None, min_score=-np.inf):
    """A full ranking without labels that a row may not have; sets are one per row."""
    out = []
    for i, (labels, scores) in enumerate(zip(*ranking, strict=True)):
        pairs = [
            (label, score)
            for label, score in zip(labels.tolist(), scores.tolist(), strict=True)
            if label >= 0
            and score >= min_score
            and (among is None or label in among[i])
            and (exclude is None or label not in exclude[i])
        ]
        out.append(padded(pairs[:k], k))
    labels, scores = zip(*out, strict=True)
    return np.array(labels), np.array(scores, dtype=np.float32)


def random_sets(rng, n_rows, n_labels, share):
    return [set(np.flatnonzero(rng.random(n_labels) < share).tolist()) for _ in range(n_rows)]


def matrix_of(sets, n_labels=N_LABELS):
    matrix = sp.lil_matrix((len(sets), n_labels))
    for i, labels in enumerate(sets):
        matrix[i, sorted(labels)] = -2.5
    return sp.csr_matrix(matrix)


# ---- the search of one tree ----


def label_sets(n_labels):
    return st.none() | st.lists(
        st.sets(st.integers(0, n_labels - 1), max_size=n_labels), min_size=3, max_size=3
    )


@examples(300)
@given(label_trees(), seeds, st.integers(1, 6) | st.just(WIDE), st.integers(1, 8), st.data())
def test_the_search_is_that_of_the_reference(tree, seed, beam_width, k, data):
    rng = np.random.default_rng(seed)
    model = quantized_model(rng, tree, 10)
    ranker = model.compile()
    queries = quantized_csr(rng, 3, 10, per_row=3)
    among, exclude = data.draw(label_sets(tree.n_labels)), data.draw(label_sets(tree.n_labels))
    sets = SetPair(*(None if part is None else number_sets(part) for part in (among, exclude)))
    starts = None
    if data.draw(st.booleans()):
        level = data.draw(st.integers(0, tree.n_levels - 1))
        starts = [(level, draw_beam(rng, tree.n_nodes(level), beam_width)) for _ in range(3)]
    options = {"k": k, "beam_width": beam_width, "post_processor": "log-l2-hinge"}
    labels, scores = rank_all(
        ranker,
        queries,
        frontier=frontier_of(starts) if starts else None,
        constraint=Constraint.for_trees([ranker], sets),
        **options,
    )
    for i, x in enumerate(queries.toarray()):
        entered = entered_nodes(
            tree, None if among is None else among[i], None if exclude is None else exclude[i]
        )
        start = starts[i] if starts else None
        expected, _ = beam_search(model, x, start=start, entered=entered, **options)
        assert (labels[i].tolist(), scores[i].tolist()) == padded(expected, k)


# The wider the nodes, the fewer rows make a block.
@pytest.mark.parametrize(
    ("sizes", "n_rows"), [((6, 40, 150), 2100), ((1, 2000), 300), ((3000,), 300)]
)
def test_blocks_of_rows_and_wide_nodes(sizes, n_rows):
    """Rows beyond the first block of the search, and nodes of several chunks."""
    rng = np.random.default_rng(0)
    tree = fixed_tree(sizes=sizes, n_labels=sizes[-1] * 4 // 5)
    ranker = quantized_model(rng, tree, 10).compile()
    queries = quantized_csr(rng, n_rows, 10, per_row=3)
    options = {"beam_width": WIDE, "post_processor": "l3-hinge"}
    some = np.arange(0, n_rows, n_rows // 25)
    whole = rank_all(ranker, queries[some], k=tree.n_labels, **options)
    exclude = random_sets(rng, n_rows, tree.n_labels, 0.1)
    among = random_sets(rng, n_rows, tree.n_labels, 0.5)
    for sets in [(among, None), (None, exclude), (among, exclude)]:
        pair = SetPair(*(None if part is None else number_sets(part) for part in sets))
        found = rank_all(
            ranker, queries, k=5, constraint=Constraint.for_trees([ranker], pair), **options
        )
        of_some = [None if part is None else [part[i] for i in some] for part in sets]
        assert_same_ranking([part[some] for part in found], filtered(whole, 5, *of_some))


def test_forbidden_nodes_are_not_in_the_beam():
    """k labels are found even by the narrowest beam, where all but one cluster are forbidden."""
    clf = classifier(beam_width=1).fit(X, Y)
    clusters = [clf.tree_.cluster(label).tolist() for label in range(N_LABELS)]
    for cluster in clusters:
        others = sorted(set(range(N_LABELS)) - set(cluster))
        for limits in ({"among": cluster}, {"exclude": others}):
            labels, _ = clf.rank(X, len(cluster), **limits)
            assert (np.sort(labels, axis=1) == cluster).all()


# ---- every kind of model ----

PARAMS = [*KINDS.items(), ("half precision", {"weight_dtype": "float16"})]
PARAMS += [
    ("copies", {"max_clusters_per_label": 2}),
    ("logarithms", {"post_processor": "log-sigmoid"}),
]


@pytest.mark.parametrize("params", [p for _, p in PARAMS], ids=[name for name, _ in PARAMS])
def test_every_kind_of_model(params):
    """Batches, single rows on every path, and jobs; one tree's scores are those of any ranking."""
    rng = np.random.default_rng(1)
    clf = classifier(**params, beam_width=WIDE).fit(X, Y)
    exclude = random_sets(rng, N_ROWS, N_LABELS, 0.3)
    among = random_sets(rng, N_ROWS, N_LABELS, 0.6)
    whole = clf.rank(X, N_LABELS)
    alone = not {"n_trees", "n_neighbors"} & params.keys()
    shared = {3, 5, 7}
    cases = [
        ({"exclude": matrix_of(exclude)}, {"exclude": exclude}),
        ({"among": matrix_of(among)}, {"among": among}),
        ({"exclude": matrix_of(exclude), "among": matrix_of(among)}, None),
        ({"exclude": shared}, {"exclude": [shared] * N_ROWS}),
        ({"among": list(shared)}, {"among": [shared] * N_ROWS}),
        ({"among": np.array([3, 5, 5, 1]), "exclude": matrix_of(exclude)}, None),
        ({"exclude": [3], "among": matrix_of(among)}, None),
    ]
    expected_sets = {
        2: {"exclude": exclude, "among": among},
        5: {"among": [{1, 3, 5}] * N_ROWS, "exclude": exclude},
        6: {"among": among, "exclude": [{3}] * N_ROWS},
    }
    for number, (limits, sets) in enumerate(cases):
        sets = expected_sets[number] if sets is None else sets
        found = clf.rank(X, 4, **limits)
        expected = filtered(whole, 4, **sets)
        if alone:
            assert_same_ranking(found, expected)
        else:  # scores may differ, the labels that are found may not
            full = clf.rank(X, N_LABELS, **limits)
            assert_same_ranking(found, [part[:, :4] for part in full])
            for row, other in zip(full[0], filtered(whole, N_LABELS, **sets)[0], strict=True):
                assert set(row.tolist()) == set(other.tolist())
        with_jobs = clf.set_params(n_jobs=2).rank(X, 4, **limits)
        clf.set_params(n_jobs=None)
        assert_same_ranking(with_jobs, found)
        for i in range(0, N_ROWS, 25):
            one = {n: v[[i]] if sp.issparse(v) else v for n, v in limits.items()}
            for row in (X[i], (X[i].indices, X[i].data), X[i].toarray()):
                for _ in range(2):  # the second time without checks
                    assert_same_ranking(clf.rank(row, 4, **one), [p[[i]] for p in found])


@pytest.mark.parametrize("kind", KINDS)
def test_no_limits_are_no_change(kind):
    clf = fitted_classifier(kind, beam_width=3)
    plain = clf.rank(X, 5)
    for limits in (
        {"exclude": []},
        {"exclude": sp.csr_matrix((N_ROWS, N_LABELS))},
        {"min_score": -np.inf},
        {"among": range(N_LABELS), "exclude": set()},
    ):
        assert_same_ranking(clf.rank(X, 5, **limits), plain)
    for limits in ({"among": []}, {"exclude": range(N_LABELS)}, {"min_score": np.inf}):
        labels, scores = clf.rank(X, 5, **limits)
        assert (labels == -1).all()
        assert (scores == -np.inf).all()


@pytest.mark.parametrize("kind", KINDS)
def test_min_score(kind):
    clf = fitted_classifier(kind)
    whole = clf.rank(X, N_LABELS)
    for score in (0.25, float(whole[1][7, 1]), 0.1, -1, 10**400):
        expected = filtered(whole, N_LABELS, min_score=score)
        assert_same_ranking(clf.rank(X, N_LABELS, min_score=score), expected)
        for _ in range(2):
            one = clf.rank(X[7], N_LABELS, min_score=score)
            assert_same_ranking(one, [part[[7]] for part in expected])
    just_above = np.nextafter(float(whole[1][7, 1]), 1)  # between two numbers of single precision
    assert (clf.rank(X[7], N_LABELS, min_score=just_above)[1] > whole[1][7, 1]).sum() == 1
    found = clf.rank(X, 5, min_score=0.2, exclude=[2])
    assert_same_ranking(found, filtered(clf.rank(X, 5, exclude=[2]), 5, min_score=0.2))


@pytest.mark.parametrize("kind", KINDS)
def test_together_with_restriction_and_frontier(kind):
    rng = np.random.default_rng(2)
    clf = fitted_classifier(kind, beam_width=WIDE)
    position = rng.permutation(N_LABELS).astype(np.int32)
    order = LabelOrder(clf.trees_, position)
    begin = np.arange(N_ROWS) % N_LABELS
    ranges = np.stack((begin, np.minimum(begin + 6, N_LABELS)), axis=1).astype(np.int64)
    restriction = order.restricted_to(ranges)
    exclude = random_sets(rng, N_ROWS, N_LABELS, 0.3)
    in_range = [set(np.flatnonzero((position >= a) & (position < b)).tolist()) for a, b in ranges]
    limits = {"exclude": matrix_of(exclude)}
    both = clf.rank(X, N_LABELS, restriction=restriction, **limits)
    assert_same_ranking(both, clf.rank(X, N_LABELS, among=matrix_of(in_range), **limits))
    for i in range(0, N_ROWS, 10):
        one = order.restricted_to(ranges[[i]])
        for _ in range(2):
            ranking = clf.rank(X[i], N_LABELS, restriction=one, exclude=limits["exclude"][[i]])
            assert_same_ranking(ranking, [part[[i]] for part in both])
    root = 0, sp.csr_matrix(np.ones((N_ROWS, 1), dtype=np.float32))
    start = root if len(clf.trees_) == 1 else [root] * len(clf.trees_)
    assert_same_ranking(clf.rank(X, 5, frontier=start, **limits), clf.rank(X, 5, **limits))


def test_a_frontier_of_forbidden_nodes_is_left_out():
    clf = classifier(beam_width=1).fit(X, Y)
    level = clf.n_levels_ - 1
    n_nodes = clf.tree_.n_nodes(level)
    scores = np.tile(np.linspace(0.9, 0.1, n_nodes, dtype=np.float32), (N_ROWS, 1))
    cluster = clf.tree_.slot_label[clf.tree_.child_ptr[-1][-2] :]
    labels, _ = clf.rank(X, len(cluster), among=cluster, frontier=(level, sp.csr_matrix(scores)))
    assert (np.sort(labels, axis=1) == np.sort(cluster)).all()


def test_names():
    names = np.array([f"label {i:02}" for i in range(N_LABELS)])
    first = first_labels(Y)
    for classes in (names, names.astype(object)):
        clf = classifier("neighbors").fit(X, classes[first])
        known = clf.classes_
        expected = clf.rank(X, 3, exclude=[0, 2])
        for some in ([known[0], known[2]], {str(known[0]), str(known[2])}, known[[2, 0]]):
            assert_same_ranking(clf.rank(X, 3, exclude=some), expected)
            assert_same_ranking(clf.rank(X[4], 3, exclude=some), [p[[4]] for p in expected])
        with pytest.raises(ValueError, match="among must hold names from classes_, got 'label x'"):
            clf.rank(X, 3, among=["label 01", "label x"])


def test_names_of_columns():
    """Names of columns need not be sorted, nor distinct if they are given beside a matrix."""
    names = [f"label {i * 7 % N_LABELS:02}" for i in range(N_LABELS)]
    names[5] = names[2]
    clf = classifier().fit(X, Y, label_names=names)
    expected = clf.rank(X, 3, exclude=[0, 2, 5])
    assert_same_ranking(clf.rank(X, 3, exclude={names[2], names[0]}), expected)
    assert_same_ranking(clf.rank(X[3], 3, among=names[1:2]), clf.rank(X[3], 3, among=[1]))
    clf.remove_labels([names[2]])
    assert clf.classes_.tolist() == [name for name in names if name != names[2]]
    lists = [[f"x{j:02}" for j in row.indices] for row in Y]
    clf = classifier().fit(X, lists).remove_labels(["x03"])
    assert clf.classes_.tolist() == [f"x{j:02}" for j in range(N_LABELS) if j != 3]
    numbers = [[int(j) * 10 for j in row.indices] for row in Y]
    clf = classifier().fit(X, numbers).remove_labels([3])
    assert clf.classes_.tolist() == [j * 10 for j in range(N_LABELS) if j != 3]


BAD = [
    ({"exclude": [N_LABELS]}, ValueError, r"exclude must hold labels in \[0, 12\), got 12"),
    ({"among": [0, -1]}, ValueError, r"among must hold labels in \[0, 12\), got -1"),
    ({"exclude": ["cat"]}, TypeError, "exclude must hold label indices, as classes_ are not str"),
    ({"exclude": "cat"}, TypeError, "exclude must be a sequence of labels, got 'cat'"),
    ({"exclude": 3}, ValueError, "exclude must be a one-dimensional sequence"),
    ({"exclude": np.ones((2, 2), int)}, ValueError, "exclude must be a one-dimensional sequence"),
    ({"among": [1.0]}, TypeError, "among must hold label indices or names, got float64"),
    ({"among": [True, False]}, TypeError, "among must hold label indices or names, got bool"),
    ({"exclude": [None]}, TypeError, "exclude must hold label indices or names, got object"),
    (
        {"exclude": sp.csr_matrix((1, 3))},
        ValueError,
        r"exclude as a matrix must have shape \(\d+, ",
    ),
    ({"among": sp.csr_matrix((9, N_LABELS))}, ValueError, "among as a matrix must have shape"),
    ({"min_score": np.nan}, ValueError, "min_score must be a number, got nan"),
    ({"min_score": True}, TypeError, "min_score must be a number, got True"),
    ({"min_score": "1"}, TypeError, "min_score must be a number, got '1'"),
]


@pytest.mark.parametrize(("limits", "error", "match"), BAD)
def test_bad_limits(limits, error, match):
    clf = fitted_classifier("neighbors")
    for rows in (X, X[0]):
        for _ in range(2):
            with pytest.raises(error, match=match):
                clf.rank(rows, 3, **limits)
            clf.rank(rows, 3)


def test_matrices_are_read_as_they_are_meant():
    clf = fitted_classifier(beam_width=WIDE)
    sets = [{i % N_LABELS, 3} for i in range(N_ROWS)]
    expected = clf.rank(X, 5, exclude=matrix_of(sets))
    matrix = matrix_of(sets)
    for same in (
        matrix.astype(bool),
        matrix.tocsc(),
        matrix.tocoo(),
        sp.csr_array(matrix),
        matrix * 1e-300,
        matrix.astype(np.int8),
    ):
        assert_same_ranking(clf.rank(X, 5, exclude=same), expected)
    with_zeros = sp.csr_matrix(matrix + sp.csr_matrix(np.eye(N_ROWS, N_LABELS, dtype=np.float64)))
    with_zeros.data[with_zeros.data == 1] = 0
    assert_same_ranking(clf.rank(X, 5, exclude=with_zeros), expected)
    broken = matrix.copy()
    broken.indices[0] = 99
    with pytest.raises(ValueError, match="exclude has a column index outside"):
        clf.rank(X, 5, exclude=broken)


def test_unfitted():
    with pytest.raises(NotFittedError):
        classifier().rank(X, 3, exclude=[1])
    with pytest.raises(NotFittedError):
        classifier().remove_labels([1])


@pytest.mark.slow
def test_pickles_and_processes():
    clf = fitted_classifier("trees and neighbors")
    expected = clf.rank(X, 3, exclude=[1])
    assert all("_label_slots" not in r.__getstate__() for r in clf._fitted.rankers)
    assert_same_ranking(pickle.loads(pickle.dumps(clf)).rank(X, 3, exclude=[1]), expected)
    with joblib.parallel_config("loky", n_jobs=2):
        assert_same_ranking(clf.rank(X, 3, exclude=[1]), expected)


def test_damaged_slots(tmp_path):
    """Labels out of range in a mapped model are no labels."""
    ranker = fitted_classifier()._fitted.rankers[0]
    damaged = pickle.loads(pickle.dumps(ranker))
    damaged.slot_label = ranker.slot_label.copy()
    damaged.slot_label[:3] = [-5, 2**31 - 1, damaged.slot_label[4]]
    sets = SetPair(number_sets([set(range(N_LABELS))] * N_ROWS), None)
    options = {"k": N_LABELS, "beam_width": WIDE, "post_processor": "l3-hinge"}
    labels, _ = rank_all(damaged, X, constraint=Constraint.for_trees([damaged], sets), **options)
    assert labels.max() < N_LABELS


# ---- sets of any content in C ----


@pytest.mark.parametrize("pointers", [[0, 5], [-1, 2], [2, 1], [3, 9]])
def test_sets_outside_of_their_members_are_refused(pointers):
    ranker = fitted_classifier()._fitted.rankers[0]
    wrong = NumberSets(np.array(pointers), np.arange(4, dtype=INT), True)
    for slots in (SetPair(wrong, None), SetPair(None, wrong)):
        constraint = Constraint(slots, (slots,))
        options = {"k": 3, "beam_width": 2, "post_processor": "l3-hinge"}
        with pytest.raises(ValueError, match="SKX_EARG"):
            rank_all(ranker, X, constraint=constraint, **options)
        limits = LabelRestrictionView(N_LABELS, 1, None, None, *slots)
        with pytest.raises(ValueError, match="SKX_EARG"):
            combine(np.zeros((1, 1), INT), np.zeros((1, 1), np.float32), 1, N_LABELS, n_head=1,
                    restriction=limits)  # fmt: skip


def test_sets_of_other_rows_are_refused():
    sets = number_sets([{1}, {2}])
    view = RestrictionView(exclude=sets)
    view.struct_for((1, 2), 2)
    with pytest.raises(ValueError, match="other rows"):
        view.struct_for((1, 2), 3)
    limits = LabelRestrictionView(N_LABELS, 3, exclude=sets)
    assert not limits.fits(N_LABELS, 3)


@examples(100)
@given(label_trees(), seeds)
def test_members_of_any_content_are_safe(tree, seed):
    rng = np.random.default_rng(seed)
    ranker = quantized_model(rng, tree, 10).compile()
    queries = quantized_csr(rng, 3, 10, per_row=3)
    members = rng.integers(-(2**31), 2**31, 12).astype(INT)
    members[rng.random(12) < 0.5] = rng.integers(-1, tree.n_slots + 1)
    wild = NumberSets(np.array([0, 3, 3, 12]), members, False)
    for slots in (SetPair(wild, None), SetPair(None, wild), SetPair(wild, wild)):
        labels, _ = rank_all(
            ranker,
            queries,
            k=4,
            beam_width=2,
            post_processor="noop",
            constraint=Constraint(slots, (slots,)),
        )
        assert labels.max(initial=-1) < tree.n_labels


# ---- labels that are removed ----


@pytest.mark.parametrize("params", [p for _, p in PARAMS], ids=[name for name, _ in PARAMS])
@pytest.mark.parametrize("removed", [[0], [2, 5, 11], list(range(1, 12))])
def test_removed_labels(params, removed):
    """The ranking is that with the labels excluded; the labels that stay are renumbered."""
    clf = classifier(**params, beam_width=WIDE, prune_threshold=0.01).fit(X, Y)
    kept = np.setdiff1d(np.arange(N_LABELS), removed)
    expected = clf.rank(X, len(kept), exclude=removed)
    same = pickle.loads(pickle.dumps(clf)).remove_labels(removed)
    assert same.n_labels_ == len(kept)
    assert_array_equal(same.classes_, np.arange(len(kept)))
    labels, scores = same.rank(X, len(kept))
    assert_array_equal(kept[labels], expected[0])
    if "n_neighbors" not in params:
        assert_array_equal(scores, expected[1])
        assert same.tree_.n_nodes(same.n_levels_ - 1) == clf.tree_.n_nodes(clf.n_levels_ - 1)
    assert same.predict(X).shape == (N_ROWS, len(kept))
    for layer in same._fitted.rankers[0].layers:
        layer.check(X.shape[1])
    same._fitted.check()


def test_removed_classes(tmp_path):
    names = np.array([f"label {i:02}" for i in range(N_LABELS)])[first_labels(Y)]
    clf = classifier("neighbors", beam_width=WIDE).fit(X, names)
    first, second, *rest = clf.classes_.tolist()
    clf.remove_labels({first}).remove_labels([second])
    assert clf.classes_.tolist() == rest
    assert set(clf.predict(X)) <= set(rest)
    rows = clf._fitted.neighbors
    rows.check()
    assert rows.n_rows == np.isin(names, rest).sum()
    assert (np.diff(rows.arrays["label_ptr"]) == 1).all()
    clf.save(tmp_path)
    loaded = skxmr.load(tmp_path)
    assert_same_ranking(loaded.rank(X, 3), clf.rank(X, 3))
    loaded.add_labels(X, names)
    assert loaded.classes_.tolist() == [first, second, *rest]
    loaded.remove_labels(rest[1:])
    loaded.remove_labels([first, second])
    assert set(loaded.predict(X)) == {rest[0]}
    assert_same_ranking(clf.remove_labels([]).rank(X, 3), skxmr.load(tmp_path).rank(X, 3))


def test_many_children():
    """Clusters of several chunks are divided again."""
    rows, Z = random_labels(800, 30, 700, label_density=0.004)
    for dtype in ("float32", "float16"):
        params = {"n_neighbors": None, "weight_dtype": dtype, "prune_threshold": 0.0}
        clf = skxmr.XRLinearClassifier(LabelTree.from_clusters([0] * 700), **params).fit(rows, Z)
        removed = np.r_[3, 5, 250:400, 699]
        kept = np.setdiff1d(np.arange(700), removed)
        expected = clf.rank(rows, 10, exclude=removed)
        labels, scores = clf.remove_labels(removed).rank(rows, 10)
        assert_array_equal(kept[labels], expected[0])
        assert_array_equal(scores, expected[1])


def test_neighbors_without_labels_are_removed():
    clf = classifier("neighbors").fit(X, Y)
    only = np.flatnonzero(Y.getnnz(axis=0) == Y.getnnz(axis=0).min())[0]
    clf.add_neighbors(X[:2], Y[:2])
    clf.remove_labels(np.setdiff1d(np.arange(N_LABELS), [only]))
    assert clf._fitted.neighbors.n_rows == Y[:, [only]].nnz + Y[:2, [only]].nnz
    extended = classifier("neighbors").fit(X, sp.hstack([Y, sp.csr_matrix((N_ROWS, 1))]).tocsr())
    extended.remove_labels(range(N_LABELS))  # no row has the remaining label
    assert extended.neighbors_ is None
    assert extended.rank(X, 1)[0].tolist() == [[0]] * N_ROWS


def test_bad_labels_to_remove():
    clf = fitted_classifier("neighbors")
    before = clf._fitted
    for labels, error, match in (
        (range(N_LABELS), ValueError, "labels must leave at least one label, got all 12"),
        ([N_LABELS], ValueError, r"labels must hold labels in \[0, 12\), got 12"),
        (["cat"], TypeError, "labels must hold label indices"),
        (sp.csr_matrix((1, N_LABELS)), ValueError, "labels must be a one-dimensional"),
    ):
        with pytest.raises(error, match=match):
            clf.remove_labels(labels)
    assert clf._fitted is before


def test_threads_rank_while_labels_are_removed():
    """A ranking is that of the model before a change or after it."""
    clf = classifier("neighbors").fit(X, Y)
    valid = [N_LABELS]
    failures = []
    stop = threading.Event()

    def rank():
        while not stop.is_set():
            try:
                labels, _ = clf.rank(X[0], 3, exclude=[0])
                if (labels == 0).any() or labels.max() >= N_LABELS:
                    failures.append(labels)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=rank) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(N_LABELS - 2):
        clf.remove_labels([1])
        valid.append(clf.n_labels_)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert valid[-1] == 2


# ---- completion ----


@pytest.mark.parametrize("constrained", [True, False])
def test_suggestions_that_are_left_out(constrained):
    queries = ["cat", "cat food", "cats", "Cathedral", "dog", "dog food", "cafe\u0301", "caf"]
    pairs = [("", q[:n]) for q in queries for n in range(len(q))]
    y = [q for q in queries for _ in range(len(q))]
    completer = SessionQueryCompleter(constrained=constrained, random_state=0).fit(pairs, y)
    completer.classifier_.set_params(beam_width=WIDE)
    for prefix in ("", "c", "cat", "cat ", "d", "cafe", "zz", " "):
        whole = completer.complete(prefix, k=100)
        for out in (["CAT  ", "unknown", "ca"], {"cathedral", "dog"}, [], ["caf\u00e9"], queries):
            names = {completer._normalizer.query(q) for q in out}
            rest = [found for found in whole if completer._normalizer.query(found[0]) not in names]
            expected = [(found.query, found.match) for found in rest]
            for k in (100, 2):
                left = completer.complete(prefix, k=k, exclude=out)
                assert [(found.query, found.match) for found in left] == expected[:k]
    for wrong in ("cat", 3, [3], [None]):
        with pytest.raises(TypeError, match="exclude must"):
            completer.complete("c", exclude=wrong)


def test_precision_of_a_ranking_with_limits():
    """Padded rankings are what the metrics take."""
    clf = fitted_classifier("neighbors")
    ranking = clf.rank(X, 5, exclude=range(10))
    assert 0 <= precision_at_k(Y, ranking[0], 5) <= 1


def test_a_model_of_one_cluster():
    clf = classifier(indexer=KMeansIndexer(max_leaf_size=100)).fit(X, Y)
    whole = clf.rank(X, N_LABELS)
    assert_same_ranking(clf.rank(X, 3, exclude=[0]), filtered(whole, 3, exclude=[{0}] * N_ROWS))
