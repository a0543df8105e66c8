import copy
import pickle
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import label_trees

from skxmr import LabelTree

# Two clusters of an empty and two other clusters; label 2 has a slot in both of the latter.
POINTERS, SLOTS = [[0, 2], [0, 1, 3], [0, 0, 3, 5]], [0, 2, 3, 1, 2]


def example():
    return LabelTree(POINTERS, SLOTS)


# ---- validation ----


@pytest.mark.parametrize(
    ("child_ptr", "slot_label", "message"),
    [
        ([], [0], "must begin with the root's level"),
        ([[0]], [0], "must begin with the root's level"),
        ([[0, 1, 2]], [0, 1], "must begin with the root's level"),
        ([[]], [0], r"child_ptr\[0\] must start at 0"),
        ([[1, 2]], [0], r"child_ptr\[0\] must start at 0"),
        ([[-1, 1]], [0], r"child_ptr\[0\] must start at 0"),
        ([[0, 3], [0, 2, 1, 3]], [0, 1, 2], r"child_ptr\[1\] must start at 0 and never decrease"),
        ([[0, -1]], [0], r"child_ptr\[0\] must start at 0 and never decrease"),
        ([[[0, 1]]], [0], r"child_ptr\[0\] must be one-dimensional, got shape \(1, 2\)"),
        ([[0, 1]], [[0]], r"slot_label must be one-dimensional, got shape \(1, 1\)"),
        ([[0, 2]], [0], r"child_ptr\[0\] ends at 2, but level 1 has 1 nodes"),
        ([[0, 2], [0, 1]], [0], r"child_ptr\[0\] ends at 2, but level 1 has 1 nodes"),
        ([[0, 1], [0, 1]], [0, 1], r"child_ptr\[1\] ends at 1, but level 2 has 2 nodes"),
        ([[0, 0]], [], "slot_label must hold at least one label"),
        ([[0, 2]], [0, -1], r"slot_label must lie in \[0, n_labels\), got -1..0"),
        ([[0, 2]], [0, 2], r"slot_label must lie in \[0, n_labels\), got 0..2"),
        ([[0, 3]], [0, 2, 2], "slot_label leaves label 1 without a slot"),
    ],
)
def test_a_tree_that_contradicts_itself_is_refused(child_ptr, slot_label, message):
    with pytest.raises(ValueError, match=message):
        LabelTree(child_ptr, slot_label)


@pytest.mark.parametrize(
    ("child_ptr", "slot_label", "name"),
    [
        ([[0.0, 1.0]], [0], r"child_ptr\[0\]"),
        ([["0", "1"]], [0], r"child_ptr\[0\]"),
        ([[0, 1]], [0.0], "slot_label"),
        ([[0, 1]], [False], "slot_label"),
        ([[0, 1]], ["a"], "slot_label"),
    ],
)
def test_arrays_must_hold_integers(child_ptr, slot_label, name):
    with pytest.raises(TypeError, match=f"{name} must hold integers"):
        LabelTree(child_ptr, slot_label)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_any_integers_will_do(dtype):
    tree = LabelTree([np.array(p, dtype=dtype) for p in POINTERS], np.array(SLOTS, dtype=dtype))
    assert tree == example()
    assert [p.dtype for p in tree.child_ptr] == [np.int64] * 3
    assert tree.slot_label.dtype == np.int32


@given(label_trees())
def test_every_valid_tree_is_accepted(tree):
    assert LabelTree(tree.child_ptr, tree.slot_label) == tree


# ---- immutability and values ----


def test_attributes_cannot_be_set_or_deleted():
    tree = example()
    for name in ("child_ptr", "slot_label", "n_labels", "anything"):
        with pytest.raises(AttributeError, match=f"immutable; '{name}' cannot be set"):
            setattr(tree, name, None)
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del tree.slot_label
    assert tree == example()


def test_arrays_cannot_be_written_to():
    tree = example()
    for array in (*tree.child_ptr, tree.slot_label):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_tree_does_not_change_with_the_arrays_it_was_made_of():
    pointers, slots = [np.array(p) for p in POINTERS], np.array(SLOTS, dtype=np.int32)
    tree = LabelTree(pointers, slots)
    slots[0], pointers[0][1], pointers[2][1] = 3, 0, 1
    assert tree == example()
    assert slots.flags.writeable


def test_trees_are_equal_by_value():
    tree = example()
    assert tree == LabelTree([np.array(p) for p in POINTERS], np.array(SLOTS))
    assert hash(tree) == hash(example())
    assert len({tree, example()}) == 1
    assert tree != LabelTree(POINTERS, [2, 0, 3, 1, 2])
    assert tree != LabelTree([[0, 2], [0, 2, 3], [0, 0, 3, 5]], SLOTS)
    assert tree != LabelTree(POINTERS[:1] + [[0, 2, 5]], SLOTS)
    assert tree != "tree"


@given(label_trees(), label_trees())
def test_equal_trees_hash_alike_and_others_are_told_apart(a, b):
    same = [p.tolist() for p in a.child_ptr] == [p.tolist() for p in b.child_ptr]
    same = same and a.slot_label.tolist() == b.slot_label.tolist()
    assert (a == b) == same
    assert hash(a) == hash(LabelTree(a.child_ptr, a.slot_label.tolist()))


@pytest.mark.parametrize(
    "copied", [lambda tree: pickle.loads(pickle.dumps(tree)), copy.copy, copy.deepcopy]
)
def test_copies_are_equal_and_as_immutable(copied):
    tree = copied(example())
    assert tree == example()
    assert not any(array.flags.writeable for array in (*tree.child_ptr, tree.slot_label))


def test_the_repr_shows_the_sizes_of_the_levels():
    assert repr(example()) == "LabelTree(1-2-3-5, n_labels=4)"


# ---- structure ----


def test_sizes():
    tree = example()
    assert (tree.n_levels, tree.n_slots, tree.n_labels, tree.max_copies) == (3, 5, 4, 2)
    assert [tree.n_nodes(level) for level in range(4)] == [1, 2, 3, 5]


@pytest.mark.parametrize("level", [-1, 4])
def test_a_level_that_does_not_exist_has_no_nodes(level):
    with pytest.raises(ValueError, match=rf"level must lie in \[0, 3\], got {level}"):
        example().n_nodes(level)


def test_parents():
    tree = example()
    assert tree.parents(1).tolist() == [0, 0]
    assert tree.parents(2).tolist() == [0, 1, 1]
    assert tree.parents(3).tolist() == [1, 1, 1, 2, 2]
    assert tree.parents(3).dtype == np.int32


def test_paths_lead_to_every_slot_of_a_label():
    tree = example()
    assert tree.path(0) == [(1, 1, 0)]
    assert tree.path(1) == [(1, 2, 3)]
    assert tree.path(2) == [(1, 1, 1), (1, 2, 4)]
    assert tree.path(3) == [(1, 1, 2)]


def test_clusters_are_the_labels_in_the_same_leaves():
    tree = example()
    assert [tree.cluster(label).tolist() for label in range(4)] == [
        [0, 2, 3],
        [1, 2],
        [0, 1, 2, 3],
        [0, 2, 3],
    ]
    assert tree.leaf_clusters.tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_does_not_exist_has_no_path_and_no_cluster(label):
    for method in (example().path, example().cluster):
        with pytest.raises(ValueError, match=rf"label must lie in \[0, 4\), got {label}"):
            method(label)


def test_indicators():
    tree = example()
    assert tree.indicator(0).toarray().tolist() == [[1], [1], [1], [1]]
    assert tree.indicator(1).toarray().tolist() == [[0, 1], [0, 1], [0, 1], [0, 1]]
    assert tree.indicator(2).toarray().tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0]]
    assert tree.indicator(3).shape == (4, 5)
    assert tree.indicator(1).dtype == np.float32


@given(label_trees())
def test_all_views_of_a_tree_agree(tree):
    parents = [tree.parents(level).tolist() for level in range(1, tree.n_levels + 1)]
    for label in range(tree.n_labels):
        paths = tree.path(label)
        assert [path[-1] for path in paths] == np.flatnonzero(tree.slot_label == label).tolist()
        assert len(paths) <= tree.max_copies
        for path in paths:
            assert [parents[i][node] for i, node in enumerate(path)] == [0, *path[:-1]]
        for level in range(1, tree.n_levels + 1):
            nodes = np.flatnonzero(tree.indicator(level)[[label]].toarray())
            assert nodes.tolist() == sorted({path[level - 1] for path in paths})
        leaf_of_slot = parents[-1]
        leaves = {leaf_of_slot[path[-1]] for path in paths}
        mates = np.unique(tree.slot_label[np.isin(leaf_of_slot, list(leaves))])
        assert tree.cluster(label).tolist() == mates.tolist()
        assert tree.leaf_clusters[label] == leaf_of_slot[paths[0][-1]]


# ---- from_clusters ----


@given(st.lists(st.integers(0, 5), min_size=1, max_size=10), st.integers(0, 3))
def test_from_clusters_puts_each_label_under_its_cluster(clusters, n_empty):
    n_clusters = max(clusters) + 1 + n_empty
    tree = LabelTree.from_clusters(clusters, n_clusters)
    assert tree.n_levels == 2
    assert tree.n_nodes(1) == n_clusters
    assert tree.n_labels == tree.n_slots == len(clusters)
    assert tree.leaf_clusters.tolist() == clusters
    assert (tree == LabelTree.from_clusters(np.array(clusters))) == (n_empty == 0)


@pytest.mark.parametrize(
    ("clusters", "n_clusters"), [([], None), ([], 3), ([-1, 0], None), ([0, 3], 3), ([0], 0)]
)
def test_clusters_out_of_range_are_refused(clusters, n_clusters):
    with pytest.raises(ValueError, match="clusters must be non-empty and lie in"):
        LabelTree.from_clusters(clusters, n_clusters)


# ---- networkx ----


class Graph:
    """As much of a networkx.DiGraph as the export uses."""

    def __init__(self):
        self.nodes, self.edges = {}, set()

    def add_node(self, node):
        self.nodes.setdefault(node, {})

    def add_edges_from(self, edges):
        for above, below in edges:
            self.add_node(above)
            self.add_node(below)
            self.edges.add((above, below))


def test_the_graph_has_a_node_per_node_and_an_edge_per_child(monkeypatch):
    stub = types.ModuleType("networkx")
    stub.DiGraph = Graph
    monkeypatch.setitem(sys.modules, "networkx", stub)
    tree = example()
    graph = tree.to_networkx()
    assert set(graph.nodes) == {(lev, i) for lev in range(4) for i in range(tree.n_nodes(lev))}
    assert graph.edges == {
        ((level - 1, int(parent)), (level, node))
        for level in range(1, 4)
        for node, parent in enumerate(tree.parents(level))
    }
    assert [graph.nodes[3, slot]["label"] for slot in range(5)] == SLOTS
    assert graph.nodes[2, 0] == {}


def test_the_export_needs_networkx(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="networkx"):
        example().to_networkx()


@pytest.mark.parametrize("level", [-1, 0, 4])
def test_only_levels_below_the_root_have_parents(level):
    tree = LabelTree([[0, 2], [0, 1, 3], [0, 0, 3, 5]], [0, 2, 3, 1, 2])
    with pytest.raises(ValueError, match="level"):
        tree.parents(level)


def test_a_read_only_view_of_writable_memory_is_copied():
    base = np.array([0, 1], dtype=np.int32)
    view = base.view()
    view.setflags(write=False)
    tree = LabelTree([[0, 2]], view)
    base[:] = [1, 0]
    assert tree == LabelTree([[0, 2]], [0, 1])
