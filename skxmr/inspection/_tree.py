"""Label trees of any size."""

from itertools import pairwise

import numpy as np

from .._ranking.wrapped import last_ranker
from .._utils.params import check_integer, check_option
from .._utils.texts import check_texts
from ..tree import LabelTree
from ._plotting import despine, take_axes

_INK, _FAINT, _PREFIX, _CLUSTER = "#24292f", "#b8c0c8", "#2563a8", "#d97b29"
_SHADES = "#9dbfe0", "#5b93c7"

#: Boxes narrower than this part of the width have no borders: they would be nothing else.
_NARROW = 1 / 200


class LabelTreeDisplay:
    """A label tree: whole as an icicle, as sizes of clusters, or node by node.

    Use `from_estimator` to make one, or give it a LabelTree.

    Parameters
    ----------
    tree : LabelTree
    label_names : sequence of str, optional
        By default the labels' numbers.
    node_text : callable, optional
        ``node_text(level, node)`` says what a node stands for, or None.

    Attributes
    ----------
    levels_ : list of matplotlib PolyCollection
        Of an icicle.
    bars_ : matplotlib BarContainer
        Of sizes.
    texts_ : dict of int to matplotlib Text
        The names of labels by their slot, where nodes are drawn.
    ax_, figure_ : matplotlib Axes and Figure

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
        self.tree, self.node_text = tree, node_text
        self.label_names = _check_names(label_names, tree.n_labels)

    @classmethod
    def from_estimator(cls, estimator, *, tree=0, label_names=None, ax=None, **kwargs):
        """Plot the label tree of a fitted classifier or indexer.

        Parameters
        ----------
        estimator : XRLinearClassifier or an indexer, also in a pipeline
        tree : int, default=0
            Which of several trees.
        label_names : sequence of str, optional
            By default the classes.
        ax : matplotlib Axes, optional
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LabelTreeDisplay
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
        """Count the slots below each node of a level; ndarray of int64."""
        return np.diff(self._slot_pointers(level))

    def plot(self, ax=None, *, kind="icicle", label=None, max_labels=40, **kwargs):
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        kind : {"icicle", "sizes", "nodes"}, default="icicle"
            "icicle": a row of boxes for each level, as wide as there are labels below. "sizes": how
            many leaf clusters have how many labels. "nodes": every node and the names of labels.
        label : int, optional
            For "nodes": only the way to this label's first slot, and its cluster.
        max_labels : int, default=40
            For "nodes": the most labels that are shown.
        **kwargs
            Passed to PolyCollection, `ax.hist`, or `ax.text` of the names of labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a tree has more than `max_labels` slots and no label was given for "nodes".
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
        (self._draw_icicle if kind == "icicle" else self._draw_sizes)(ax, kwargs)
        return self

    def _slot_pointers(self, level):
        """Where the slots below each node of a level begin, and where the last ones end."""
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
            style = {"facecolors": _SHADES, "edgecolors": "white", "linewidths": borders}
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
        ax.axvline(sizes.mean(), color=_INK, linewidth=1, label=f"mean {sizes.mean():.1f}")
        ax.set(xlabel="labels in a leaf cluster", ylabel="leaf clusters", title=self._title())
        ax.legend(frameon=False)
        despine(ax)

    # ---- nodes ----

    def _shown(self, label, max_labels):
        """The nodes drawn of each level, the slots last."""
        tree = self.tree
        if label is None:
            if tree.n_slots > max_labels:
                raise ValueError(
                    f"max_labels={max_labels} are fewer than the {tree.n_slots} slots of the tree; "
                    "give a label to see its branch"
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
                if not self._goes_without_saying(level, node, label):
                    place = x[level], heights[level][node]
                    self._draw_node(ax, level, node, *place, branch=label is not None)
        for level, nodes in enumerate(shown[1:], 1):
            parents = self.tree.parents(level)[nodes]
            for child, parent in zip(nodes.tolist(), parents.tolist(), strict=True):
                ends = heights[level - 1][parent], heights[level][child]
                _draw_edge(ax, x[level - 1 : level + 1], *ends)
        self._draw_labels(ax, heights[-1], label, kwargs)
        ax.set(xlim=(-0.1, 1.35), ylim=(-len(shown[-1]) - 0.3, 0.9))
        ax.axis("off")

    def _heights(self, shown):
        """At which height each node shown is drawn, by level: in the middle of its children."""
        below = {slot: -float(i) for i, slot in enumerate(shown[-1].tolist())}
        levels = [below]
        for level in range(len(shown) - 2, -1, -1):
            pointers, here, last = self.tree.child_ptr[level], {}, 0.0
            for node in shown[level].tolist():
                children = range(*pointers[node : node + 2].tolist())
                found = [levels[0][child] for child in children if child in levels[0]]
                last = here[node] = float(np.mean(found)) if found else last
            levels.insert(0, here)
        return levels

    def _goes_without_saying(self, level, node, label):
        """Whether a node has a single label, or merely stands in for its parent."""
        if self.sizes(level)[node] <= 1:
            return True
        if label is not None or level == 0 or self._text_of(level, node) is not None:
            return False
        parent = self.tree.parents(level)[node]
        return np.diff(self.tree.child_ptr[level - 1])[parent] == 1

    def _text_of(self, level, node):
        return None if self.node_text is None else self.node_text(level, node)

    def _draw_node(self, ax, level, node, x, y, branch):
        """A box for what has a text, else a dot; in a branch, with the number of its labels."""
        text = self._text_of(level, node)
        if text is not None:
            box = {"boxstyle": "round,pad=0.28", "facecolor": "white", "edgecolor": _PREFIX}
            style = {"ha": "center", "va": "center", "family": "monospace", "fontsize": 10}
            ax.text(x, y, text, color=_PREFIX, bbox=box, zorder=3, **style)
            return
        ax.plot(x, y, "o", color=_CLUSTER, markersize=8, zorder=3)
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
            style = {"va": "center", "fontsize": 9, "color": _INK, "weight": weight, **kwargs}
            self.texts_[slot] = ax.text(1.02, y, name, **style)
        cluster = self.tree.parents(self.tree.n_levels)[next(iter(heights))]
        hidden = int(np.diff(self.tree.child_ptr[-1])[cluster]) - len(heights)
        if label is not None and hidden:
            y = min(heights.values()) - 1
            ax.text(1.02, y, f"and {hidden:,} more", va="center", fontsize=9, color="0.5")


def _box(lo, hi, level):
    top, bottom = level - 0.42, level + 0.42
    return [(lo, top), (hi, top), (hi, bottom), (lo, bottom)]


def _draw_edge(ax, x, above, below):
    """From a node to its child, with two bends."""
    middle = (x[0] + x[1]) / 2
    ends = [above, above, below, below]
    ax.plot([x[0], middle, middle, x[1]], ends, color=_FAINT, linewidth=1.2, zorder=1)


def _prefix_of(indexer):
    """What says which text the nodes of a trie stand for, or None for other indexers."""
    edges = getattr(indexer, "edges_", None)
    if edges is None:
        return None

    def text(level, node):
        """The empty text at the root is shown as a letter; clusters stand for none."""
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
