"""An explanation as bars."""

from .._utils.params import check_integer
from ._explain import explain
from ._plotting import despine, take_axes

_FOR, _AGAINST, _INK = "#2563a8", "#d97b29", "#57606a"


class ExplanationDisplay:
    """The largest contributions to a label's score, level by level.

    Use `from_estimator` to make one, or give it an Explanation.

    Parameters
    ----------
    explanation : Explanation

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        One for each level.
    ax_, figure_ : matplotlib Axes and Figure
    """

    def __init__(self, explanation):
        self.explanation = explanation

    @classmethod
    def from_estimator(
        cls, estimator, X, label, *, feature_names=None, label_name=None, ax=None, **kwargs
    ):
        """Explain a label's score and plot.

        Parameters
        ----------
        estimator, X, label, feature_names, label_name
            As skxmr.inspection.explain takes them.
        ax : matplotlib Axes, optional
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : ExplanationDisplay
        """
        names = {"feature_names": feature_names, "label_name": label_name}
        return cls(explain(estimator, X, label, **names)).plot(ax, **kwargs)

    def plot(self, ax=None, *, row=0, tree=0, k=6, **kwargs):
        """Draw a group of bars for each level, the root's children on top.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        row, tree : int, default=0
        k : int, default=6
            Features shown at a level, at most; the bias is shown besides.
        **kwargs
            Passed to `ax.barh`.

        Returns
        -------
        self
        """
        check_integer(k, "k", 1)
        levels = self.explanation.top(k, row=row, tree=tree)
        explained, n_lines = self.explanation.trees[tree], sum(map(len, levels)) + 2 * len(levels)
        ax = take_axes(self, ax, figsize=(7, 1 + 0.25 * n_lines), layout="constrained")
        self.bars_, ticks, y = [], [], 0
        for level, largest in enumerate(levels):
            bars = [*largest, ("(bias)", float(explained.bias[row, level]))]
            ax.text(0, -y, _heading(explained, level, row), va="center", **_heading_style(ax))
            places = [-(y + 1 + i) for i in range(len(bars))]
            self.bars_.append(_draw_bars(ax, places, [value for _, value in bars], kwargs))
            ticks += [(place, str(name)) for place, (name, _) in zip(places, bars, strict=True)]
            y += len(bars) + 1.4
        ax.set_yticks(*zip(*ticks, strict=True))
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=1)
        ax.margins(x=0.15)
        ax.set(ylim=(-y + 0.5, 0.8), xlabel="contribution to the margin of the level")
        ax.set_title(_title(self.explanation, row, tree), fontsize="medium")
        ax.tick_params(axis="y", length=0)
        despine(ax)
        return self


def _draw_bars(ax, places, values, kwargs):
    colors = [_FOR if value > 0 else _AGAINST for value in values]
    bars = ax.barh(places, values, **{"color": colors, "height": 0.7, "zorder": 2, **kwargs})
    ax.bar_label(bars, fmt="%+.2f", padding=3, fontsize="small", color=_INK)
    return bars


def _heading_style(ax):
    style = {"fontsize": "small", "fontweight": "bold", "color": _INK, "ha": "left"}
    return {**style, "transform": ax.get_yaxis_transform()}


def _heading(tree, level, row):
    margin, factor = tree.margins[row, level], tree.factors[row, level]
    lost = level < tree.n_levels - 1 and tree.ranks[row, level] < 0
    beam = ", lost by the beam" if lost else ""
    return f" level {level + 1}, node {tree.nodes[row, level]}: {margin:.2f} → {factor:.3f}{beam}"


def _title(explanation, row, tree):
    """The label, its score, and what the tree and the nearest neighbors contribute to it."""
    score = f"score {explanation.scores[row]:.3f}"
    title = f"{explanation.label_name}: {score}"
    if len(explanation.trees) > 1 or explanation.neighbors is not None:
        one = explanation.trees[tree]
        title += f"\ntree {tree}: {one.scores[row, -1]:.3f}, times {one.weight:.3g}"
    if explanation.neighbors is not None:
        neighbors = explanation.neighbors
        title += f"; neighbors: {neighbors.scores[row]:.3f}, times {neighbors.weight:.3g}"
    return title
