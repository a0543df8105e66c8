"""Bar charts of explanations."""

from .._utils.params import check_integer
from ._explain import explain
from ._plotting import despine, take_axes

_FOR, _AGAINST, _INK = "#2563a8", "#d97b29", "#57606a"


class ExplanationDisplay:
    """Bar chart of the largest contributions to the score of a label, per level.

    Create it with `from_estimator`, or from an Explanation.

    Parameters
    ----------
    explanation : Explanation
        Explanation of one or several rows.

    Attributes
    ----------
    explanation : Explanation
        Explanation that is drawn.
    bars_ : list of matplotlib BarContainer
        Bars of each level, after `plot`.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    See Also
    --------
    explain : Computes an Explanation.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.inspection import ExplanationDisplay, explain
    >>> X = np.eye(3)
    >>> clf = XRLinearClassifier(random_state=0).fit(X, ["cat", "dog", "eel"])
    >>> display = ExplanationDisplay(explain(clf, X[:1], "cat"))
    >>> display.explanation.label_name
    'cat'
    """

    def __init__(self, explanation):
        self.explanation = explanation

    @classmethod
    def from_estimator(
        cls, estimator, X, label, *, feature_names=None, label_name=None, ax=None, **kwargs
    ):
        """Explain the score of a label and plot the explanation.

        Parameters
        ----------
        estimator, X, label, feature_names, label_name
            See :func:`skxmr.inspection.explain`.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ExplanationDisplay

        Raises
        ------
        TypeError
            If the estimator cannot explain its scores.
        ImportError
            If matplotlib is not installed.
        """
        names = {"feature_names": feature_names, "label_name": label_name}
        return cls(explain(estimator, X, label, **names)).plot(ax, **kwargs)

    def plot(self, ax=None, *, row=0, tree=0, k=6, **kwargs):
        """Draw a group of bars for each level, with the children of the root at the top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        row : int, default=0
            Row of the explanation.
        tree : int, default=0
            Tree of the explanation.
        k : int, default=6
            Maximum number of features per level. The bias is shown in addition.
        **kwargs
            Passed to `ax.barh`.

        Returns
        -------
        self : ExplanationDisplay

        Raises
        ------
        TypeError, ValueError
            If `row`, `tree` or `k` is not an integer in its range.
        ImportError
            If matplotlib is not installed.
        """
        check_integer(k, "k", 1)
        levels = self.explanation.top(k, row=row, tree=tree)
        explained = self.explanation.trees[tree]
        n_lines = sum(map(len, levels)) + 2 * len(levels)
        ax = take_axes(self, ax, figsize=(7, 1 + 0.25 * n_lines), layout="constrained")
        self.bars_ = []
        heights = []
        names = []
        y = 0
        for level, largest in enumerate(levels):
            bars = [*largest, ("(bias)", float(explained.bias[row, level]))]
            ax.text(0, -y, _heading(explained, level, row), va="center", **_heading_style(ax))
            level_heights = [-(y + 1 + i) for i in range(len(bars))]
            self.bars_.append(_draw_bars(ax, level_heights, [value for _, value in bars], kwargs))
            heights += level_heights
            names += [str(name) for name, _ in bars]
            y += len(bars) + 1.4
        ax.set_yticks(heights, names)
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=1)
        ax.margins(x=0.15)
        ax.set(ylim=(-y + 0.5, 0.8), xlabel="contribution to the margin of the level")
        ax.set_title(_title(self.explanation, row, tree), fontsize="medium")
        ax.tick_params(axis="y", length=0)
        despine(ax)
        return self


def _draw_bars(ax, heights, values, kwargs):
    colors = [_FOR if value > 0 else _AGAINST for value in values]
    bars = ax.barh(heights, values, **{"color": colors, "height": 0.7, "zorder": 2, **kwargs})
    ax.bar_label(bars, fmt="%+.2f", padding=3, fontsize="small", color=_INK)
    return bars


def _heading_style(ax):
    style = {"fontsize": "small", "fontweight": "bold", "color": _INK, "ha": "left"}
    return {**style, "transform": ax.get_yaxis_transform()}


def _heading(tree, level, row):
    margin = tree.margins[row, level]
    factor = tree.factors[row, level]
    lost = level < tree.n_levels - 1 and tree.ranks[row, level] < 0
    beam = ", lost by the beam" if lost else ""
    return f" level {level + 1}, node {tree.nodes[row, level]}: {margin:.2f} → {factor:.3f}{beam}"


def _title(explanation, row, tree):
    """Return the label, its score, and the contributions of the tree and the neighbors."""
    score = f"score {explanation.scores[row]:.3f}"
    title = f"{explanation.label_name}: {score}"
    kinds = [
        ("neighbors", explanation.neighbors),
        ("neighbors by embeddings", explanation.dense_neighbors),
    ]
    kinds = [(name, neighbors) for name, neighbors in kinds if neighbors is not None]
    if len(explanation.trees) > 1 or kinds:
        one = explanation.trees[tree]
        title += f"\ntree {tree}: {one.scores[row, -1]:.3f}, times {one.weight:.3g}"
    for name, neighbors in kinds:
        title += f"; {name}: {neighbors.scores[row]:.3f}, times {neighbors.weight:.3g}"
    return title
