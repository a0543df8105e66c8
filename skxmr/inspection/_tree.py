"""Plots of label trees."""

from itertools import pairwise

import numpy as np

from .._ranking.wrapped import last_ranker
from .._utils.params import check_integer, check_option
from .._utils.texts import check_texts
from ..tree import LabelTree
from ._plotting import despine, take_axes

_TEXT_COLOR = "#24292f"
_EDGE_COLOR = "#b8c0c8"
_PREFIX_COLOR = "#2563a8"
_CLUSTER_COLOR = "#d97b29"
_BOX_COLORS = ("#9dbfe0", "#5b93c7")

#: Boxes narrower than this fraction of the width have no borders, which would cover them.
_NARROW = 1 / 200


class LabelTreeDisplay:
    """Plot of a label tree: an icicle, a histogram of the cluster sizes, or all nodes.

    Create it with `from_estimator`, or from a LabelTree.

    Parameters
    ----------
    tree : LabelTree
        Tree to draw.
    label_names : sequence of str, default=None
        Name of each label. None: the indices of the labels.
    node_text : callable, default=None
        Function ``node_text(level, node)`` that returns the text of a node, or None.

    Attributes
    ----------
    tree : LabelTree
        Tree that is drawn.
    label_names : list of str or None
        Name of each label.
    node_text : callable or None
        Function that returns the text of a node.
    levels_ : list of matplotlib PolyCollection
        Boxes of each level, after `plot` with ``kind="icicle"``.
    bars_ : matplotlib BarContainer
        Bars of the histogram, after `plot` with ``kind="sizes"``.
    texts_ : dict of int to matplotlib Text
        Names of the labels by slot, after `plot` with ``kind="nodes"``.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> from skxmr import LabelTree
    >>> from skxmr.inspection import LabelTreeDisplay
    >>> display = LabelTreeDisplay(LabelTree.from_clusters([0, 0, 1]))
    >>> display.sizes(1).tolist()
    [2, 1]
    """

    def __init__(self, tree, *, label_names=None, node_text=None):
        if not isinstance(tree, LabelTree):
            raise TypeError(f"tree must be a LabelTree, got {type(tree).__name__}")
        self.tree = tree
        self.node_text = node_text
        self.label_names = _check_names(label_names, tree.n_labels)

    @classmethod
    def from_estimator(cls, estimator, *, tree=0, label_names=None, ax=None, **kwargs):
        """Plot the label tree of a fitted classifier or indexer.

        Parameters
        ----------
        estimator : XRLinearClassifier or indexer, also in a pipeline
            Fitted estimator.
        tree : int, default=0
            Index of the tree, if there are several.
        label_names : sequence of str, default=None
            Name of each label. None: the classes.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LabelTreeDisplay

        Raises
        ------
        TypeError
            If the estimator has no label tree, or `tree` is not an integer.
        ValueError
            If there is no tree with this index, or `label_names` has the wrong length.
        ImportError
            If matplotlib is not installed.
        """
        fitted = last_ranker(estimator)
        trees = getattr(fitted, "trees_", None) or [getattr(fitted, "tree_", None)]
        if trees[0] is None:
            raise TypeError(f"estimator must have a label tree once fitted, got {fitted!r}")
        check_integer(tree, "tree", 0, len(trees) - 1)
        if label_names is None and hasattr(fitted, "classes_"):
            label_names = [str(label) for label in fitted.classes_]
        indexer = getattr(fitted, "indexer_", fitted) if tree == 0 else None
        texts = _prefix_of(indexer) if getattr(indexer, "tree_", None) == trees[tree] else None
        return cls(trees[tree], label_names=label_names, node_text=texts).plot(ax, **kwargs)

    def sizes(self, level):
        """Count the slots below each node of a level.

        Parameters
        ----------
        level : int
            Level of the nodes; the root is level 0.

        Returns
        -------
        sizes : ndarray of int64, shape (n_nodes,)
        """
        return np.diff(self._slot_pointers(level))

    def plot(self, ax=None, *, kind="icicle", label=None, max_labels=40, **kwargs):
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        kind : {"icicle", "sizes", "nodes"}, default="icicle"
            "icicle": a row of boxes for each level. The width of a box is the number of labels
            below the node. "sizes": a histogram of the number of labels per leaf cluster.
            "nodes": all nodes, and the names of the labels.
        label : int, default=None
            For "nodes": draw only the path to the first slot of this label, and its cluster.
        max_labels : int, default=40
            For "nodes": maximum number of labels that are drawn.
        **kwargs
            Passed to PolyCollection, `ax.hist`, or `ax.text` of the names of labels.

        Returns
        -------
        self : LabelTreeDisplay

        Raises
        ------
        TypeError
            If `label` or `max_labels` is not an integer.
        ValueError
            If `kind` or `label` does not exist, or if ``kind="nodes"``, the tree has more than
            `max_labels` slots and `label` is None.
        ImportError
            If matplotlib is not installed.
        """
        check_option(kind, "kind", ("icicle", "sizes", "nodes"))
        check_integer(max_labels, "max_labels", 1)
        if kind == "nodes":
            shown = self._shown(label, max_labels)
            height = max(2, 0.28 * len(shown[-1]))
            ax = take_axes(self, ax, figsize=(9, height), layout="constrained")
            self._draw_nodes(ax, shown, label, kwargs)
            return self
        ax = take_axes(self, ax, figsize=(9, 4), layout="constrained")
        if kind == "icicle":
            self._draw_icicle(ax, kwargs)
        else:
            self._draw_sizes(ax, kwargs)
        return self

    def _slot_pointers(self, level):
        """Return the first slot below each node of a level, and the end of the last node."""
        pointers = np.arange(self.tree.n_slots + 1)
        for children in reversed(self.tree.child_ptr[level:]):
            pointers = pointers[children]
        return pointers

    # ---- icicle and sizes ----

    def _draw_icicle(self, ax, kwargs):
        from matplotlib.collections import PolyCollection

        self.levels_ = []
        for level in range(self.tree.n_levels):
            edges = self._slot_pointers(level)
            spans = [(lo, hi) for lo, hi in pairwise(edges) if hi > lo]
            boxes = [_box(lo, hi, level) for lo, hi in spans]
            borders = [0.6 * (hi - lo > _NARROW * edges[-1]) for lo, hi in spans]
            style = {"facecolors": _BOX_COLORS, "edgecolors": "white", "linewidths": borders}
            self.levels_.append(PolyCollection(boxes, **{**style, **kwargs}))
            ax.add_collection(self.levels_[-1])
        names = [self._level_name(level) for level in range(self.tree.n_levels)]
        ax.set_yticks(np.arange(len(names)), names)
        ax.set(xlim=(0, self.tree.n_slots), ylim=(len(names) - 0.5, -0.5))
        ax.set(xlabel="labels, in the order of the tree", title=self._title())
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)

    def _level_name(self, level):
        if level == 0:
            return "root"
        sizes = self.sizes(level)
        n = f"{len(sizes):,} node{'s' if len(sizes) > 1 else ''}"
        return f"level {level}\n{n} of\n{sizes.min():,} to {sizes.max():,}"

    def _title(self):
        copies = self.tree.n_slots - self.tree.n_labels
        more = f" in {self.tree.n_slots:,} slots" if copies else ""
        return f"{self.tree.n_labels:,} labels{more}, {self.tree.n_levels} levels"

    def _draw_sizes(self, ax, kwargs):
        sizes = self.sizes(self.tree.n_levels - 1)
        _, _, self.bars_ = ax.hist(sizes, **{"bins": min(50, np.ptp(sizes) + 1), **kwargs})
        ax.axvline(sizes.mean(), color=_TEXT_COLOR, linewidth=1, label=f"mean {sizes.mean():.1f}")
        ax.set(xlabel="labels in a leaf cluster", ylabel="leaf clusters", title=self._title())
        ax.legend(frameon=False)
        despine(ax)

    # ---- nodes ----

    def _shown(self, label, max_labels):
        """Return the nodes to draw of each level, and the slots at the end."""
        tree = self.tree
        if label is None:
            if tree.n_slots > max_labels:
                raise ValueError(
                    f"max_labels must be at least {tree.n_slots}, the number of slots, got "
                    f"{max_labels}; or give a label to see its branch"
                )
            return [np.arange(tree.n_nodes(level)) for level in range(tree.n_levels + 1)]
        check_integer(label, "label", 0, tree.n_labels - 1)
        path = (0, *tree.path(label)[0])
        lo, hi = tree.child_ptr[-1][path[-2] : path[-2] + 2]
        first = int(np.clip(path[-1] - max_labels // 2, lo, max(lo, hi - max_labels)))
        slots = np.arange(first, min(first + max_labels, hi))
        return [*(np.array([node]) for node in path[:-1]), slots]

    def _draw_nodes(self, ax, shown, label, kwargs):
        heights = self._heights(shown)
        x = np.linspace(0, 1, len(shown))
        for level, nodes in enumerate(shown[:-1]):
            for node in nodes.tolist():
                if not self._is_redundant(level, node, label):
                    y = heights[level][node]
                    self._draw_node(ax, level, node, x[level], y, branch=label is not None)
        for level, nodes in enumerate(shown[1:], 1):
            parents = self.tree.parents(level)[nodes]
            for child, parent in zip(nodes.tolist(), parents.tolist(), strict=True):
                above = heights[level - 1][parent]
                below = heights[level][child]
                _draw_edge(ax, x[level - 1 : level + 1], above, below)
        self._draw_labels(ax, heights[-1], label, kwargs)
        ax.set(xlim=(-0.1, 1.35), ylim=(-len(shown[-1]) - 0.3, 0.9))
        ax.axis("off")

    def _heights(self, shown):
        """Return the height of each node by level, at the center of its children."""
        below = {slot: -float(i) for i, slot in enumerate(shown[-1].tolist())}
        levels = [below]
        for level in range(len(shown) - 2, -1, -1):
            pointers = self.tree.child_ptr[level]
            heights = {}
            height = 0.0
            for node in shown[level].tolist():
                children = range(pointers[node], pointers[node + 1])
                found = [below[child] for child in children if child in below]
                if found:
                    height = float(np.mean(found))
                heights[node] = height
            levels.insert(0, heights)
            below = heights
        return levels

    def _is_redundant(self, level, node, label):
        """Return whether a node has a single label, or is the only child of its parent."""
        if self.sizes(level)[node] <= 1:
            return True
        if label is not None or level == 0 or self._text_of(level, node) is not None:
            return False
        parent = self.tree.parents(level)[node]
        return np.diff(self.tree.child_ptr[level - 1])[parent] == 1

    def _text_of(self, level, node):
        return None if self.node_text is None else self.node_text(level, node)

    def _draw_node(self, ax, level, node, x, y, branch):
        """Draw a box with the text of a node, or a dot, with the number of labels in a branch."""
        text = self._text_of(level, node)
        if text is not None:
            box = {"boxstyle": "round,pad=0.28", "facecolor": "white", "edgecolor": _PREFIX_COLOR}
            style = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 10}
            ax.text(x, y, text, color=_PREFIX_COLOR, bbox=box, zorder=3, **style)
            return
        ax.plot(x, y, "o", color=_CLUSTER_COLOR, markersize=8, zorder=3)
        if branch:
            what = "root" if level == 0 else f"level {level}, node {node}"
            note = f"{what}\n{self.sizes(level)[node]:,} labels"
            ax.annotate(note, (x, y), (0, 9), textcoords="offset points", ha="center", fontsize=8)

    def _draw_labels(self, ax, heights, label, kwargs):
        self.texts_ = {}
        for slot, y in heights.items():
            number = int(self.tree.slot_label[slot])
            name = str(number) if self.label_names is None else self.label_names[number]
            weight = "bold" if number == label else "normal"
            style = {
                "va": "center",
                "fontsize": 9,
                "color": _TEXT_COLOR,
                "weight": weight,
                **kwargs,
            }
            self.texts_[slot] = ax.text(1.02, y, name, **{**style, **kwargs})
        cluster = self.tree.parents(self.tree.n_levels)[next(iter(heights))]
        hidden = int(np.diff(self.tree.child_ptr[-1])[cluster]) - len(heights)
        if label is not None and hidden:
            y = min(heights.values()) - 1
            ax.text(1.02, y, f"and {hidden:,} more", va="center", fontsize=9, color="0.5")


def _box(lo, hi, level):
    top = level - 0.42
    bottom = level + 0.42
    return [(lo, top), (hi, top), (hi, bottom), (lo, bottom)]


def _draw_edge(ax, x, above, below):
    """Draw a line from a node to its child, with two bends."""
    middle = (x[0] + x[1]) / 2
    ends = [above, above, below, below]
    ax.plot([x[0], middle, middle, x[1]], ends, color=_EDGE_COLOR, linewidth=1.2, zorder=1)


def _prefix_of(indexer):
    """Return a function that returns the text of a node of a trie, or None for other indexers."""
    edges = getattr(indexer, "edges_", None)
    if edges is None:
        return None

    def text(level, node):
        """Return the text of a node, a letter for the empty text, or None for a cluster."""
        if level and edges[level][node] < 0:
            return None
        return indexer.node_text(level, node) or "ε"

    return text


def _check_names(names, n_labels):
    if names is None:
        return None
    names = check_texts(names, "label_names")
    if len(names) != n_labels:
        raise ValueError(f"label_names must be {n_labels} strings, got {len(names)}")
    return names
