"""Draws docs/images/label_trees.png: eight strings as a plain tree, a hybrid and a trie."""

from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skxmr import KMeansIndexer, TrieHybridIndexer, TrieIndexer
from skxmr.indexers._texts import default_vectorizer

TEXTS = ["a", "ab", "abc", "abd", "abfgh", "abfgi", "bcde", "bcdf"]
TYPED = "ab"

INK, FAINT, PREFIX, CLUSTER = "#24292f", "#b8c0c8", "#2563a8", "#d97b29"
MONO = {"family": "DejaVu Sans Mono", "fontsize": 10.5}

OPTIONS = {"branching": 2, "balanced": False, "random_state": 0}


def fit_trees():
    """The three fitted indexers with their titles."""
    plain = KMeansIndexer(max_leaf_size=1, **OPTIONS)
    hybrid = TrieHybridIndexer(trie_depth=1, max_leaf_size=1, **OPTIONS)
    return [
        ("KMeansIndexer", plain.fit(default_vectorizer(TEXTS).fit_transform(TEXTS))),
        ("TrieHybridIndexer(trie_depth=1)", hybrid.fit(TEXTS)),
        ("TrieIndexer", TrieIndexer(max_leaf_size=1).fit(TEXTS)),
    ]


def heights(tree):
    """Height at which each node of each level is drawn: the middle of its slots."""
    below = [-np.arange(tree.n_slots, dtype=float)]
    for pointers in reversed(tree.child_ptr):
        below.insert(0, np.array([below[0][lo:hi].mean() for lo, hi in pairwise(pointers)]))
    return below


def is_only_copy(fitted, level, node):
    """Whether a node merely stands in for its parent, with the same labels."""
    tree = fitted.tree_
    parent = tree.parents(level)[node] if level else 0
    edges = getattr(fitted, "edges_", None)
    same = edges is None or edges[level][node] < 0
    return level > 0 and same and np.diff(tree.child_ptr[level - 1])[parent] == 1


def draw_node(ax, fitted, level, node, x, y):
    """A prefix in a box or a dot for a cluster; nothing for mere copies and single labels."""
    if fitted.tree_.indicator(level)[:, [node]].sum() == 1 or is_only_copy(fitted, level, node):
        return
    edges = getattr(fitted, "edges_", None)
    if edges is None or (level > 0 and edges[level][node] < 0):
        ax.plot(x, y, "o", color=CLUSTER, markersize=9, zorder=3)
        return
    text = fitted.node_text(level, node) or "ε"
    box = {"boxstyle": "round,pad=0.28", "facecolor": "white", "edgecolor": PREFIX}
    ax.text(x, y, text, ha="center", va="center", color=PREFIX, bbox=box, zorder=3, **MONO)


def draw_tree(ax, title, fitted):
    """One tree from its root at the left to its labels at the right."""
    tree, y = fitted.tree_, heights(fitted.tree_)
    x = np.linspace(0, 1, tree.n_levels + 1)
    for level in range(tree.n_levels):
        for node in range(tree.n_nodes(level)):
            draw_node(ax, fitted, level, node, x[level], y[level][node])
        for child, parent in enumerate(tree.parents(level + 1)):
            middle = (x[level] + x[level + 1]) / 2
            ends = [y[level][parent]] * 2 + [y[level + 1][child]] * 2
            ax.plot([x[level], middle, middle, x[level + 1]], ends, color=FAINT, lw=1.3, zorder=1)
    for slot, label in enumerate(tree.slot_label):
        completes = TEXTS[label].startswith(TYPED)
        style = {"color": INK, "weight": "bold"} if completes else {"color": "#7a838c"}
        ax.text(1.03, -slot, TEXTS[label], va="center", **MONO, **style)
    ax.set_title(title, color=INK, fontsize=11.5, pad=12, x=0.55)
    ax.set(xlim=(-0.08, 1.28), ylim=(-tree.n_slots + 0.4, 0.6))
    ax.axis("off")


def main():
    """Draw the three trees side by side."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), width_ratios=(1, 1, 1.25))
    for ax, (title, fitted) in zip(axes, fit_trees(), strict=True):
        draw_tree(ax, title, fitted)
    note = f"boxes: prefixes    dots: clusters by k-means    bold: labels that complete “{TYPED}”"
    figure.text(0.5, 0.03, note, ha="center", color="#57606a", fontsize=10)
    figure.subplots_adjust(left=0.02, right=0.99, top=0.87, bottom=0.1, wspace=0.06)
    path = Path(__file__).parent / "images" / "label_trees.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    main()
