"""Quality as a function of the beam width and the pruning."""

import copy

import numpy as np

from .._ranking.wrapped import last_ranker, unwrapped
from .._utils.params import check_integer, check_option, check_real
from ..linear._fitted import pruned, weight_bytes
from ._plotting import despine, name_of, take_axes


class SearchQualityDisplay:
    """Plot of the quality of a fitted model with other beam widths and pruning thresholds.

    Nothing is trained. Create it with `from_estimator`.

    Parameters
    ----------
    beam_widths : ndarray of int, shape (n_widths,)
        Beam widths.
    prune_thresholds : ndarray of float, shape (n_thresholds,)
        Thresholds below which weights are pruned.
    quality : ndarray of float, shape (n_thresholds, n_widths)
        Score of each combination.
    nbytes : ndarray of int, shape (n_thresholds,)
        Size of the rankers of the model in bytes, with each threshold.
    metric_name : str, default="quality"
        Name of the scores.
    name : str, default=None
        Title of the plot.

    Attributes
    ----------
    beam_widths, prune_thresholds, quality, nbytes, metric_name, name
        The parameters.
    lines_ : list of matplotlib Line2D
        Line of each threshold, after `plot` with ``kind="lines"``.
    image_ : matplotlib QuadMesh
        Heatmap, after `plot` with ``kind="heatmap"``.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr.inspection import SearchQualityDisplay
    >>> beam_widths, prune_thresholds = np.array([1, 10]), np.array([0.1])
    >>> quality, nbytes = np.array([[0.7, 0.8]]), np.array([1_000_000])
    >>> display = SearchQualityDisplay(beam_widths, prune_thresholds, quality, nbytes)
    >>> display.quality.max(axis=0)
    array([0.7, 0.8])
    """

    def __init__(
        self, beam_widths, prune_thresholds, quality, nbytes, *, metric_name="quality", name=None
    ):
        self.beam_widths = beam_widths
        self.prune_thresholds = prune_thresholds
        self.quality = quality
        self.nbytes = nbytes
        self.metric_name = metric_name
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        beam_widths=(1, 2, 5, 10, 20, 50),
        prune_thresholds=None,
        scoring=None,
        metric_name=None,
        name=None,
        kind="lines",
        ax=None,
        **kwargs,
    ):
        """Score a fitted classifier with each beam width and threshold, and plot.

        Parameters
        ----------
        estimator : XRLinearClassifier, also in a pipeline
            Fitted estimator. It is not changed.
        X : input of the estimator
            Rows to rank labels for.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            True labels of the rows.
        beam_widths : sequence of int, default=(1, 2, 5, 10, 20, 50)
            Beam widths.
        prune_thresholds : sequence of float, default=None
            Thresholds of at least the `prune_threshold` of the estimator, which has removed the
            weights below. None: this threshold only.
        scoring : callable, default=None
            Scorer ``scoring(estimator, X, y)``, such as those of :mod:`skxmr.metrics`. None:
            precision at 1.
        metric_name : str, default=None
            Name of the scores. None: derived from `scoring`.
        name : str, default=None
            Title of the plot. None: the name of the estimator's class.
        kind : {"lines", "heatmap"}, default="lines"
            Kind of the plot.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `ax.plot`, or to `ax.pcolormesh` for a heatmap.

        Returns
        -------
        display : SearchQualityDisplay

        Raises
        ------
        TypeError
            If the estimator does not end in a fitted XRLinearClassifier.
        ValueError
            If a parameter is not as documented; the message names it.
        ImportError
            If matplotlib is not installed.
        """
        ranker = last_ranker(estimator)
        if not hasattr(ranker, "beam_width") or not hasattr(ranker, "trees_"):
            raise TypeError(f"estimator must end in a fitted XRLinearClassifier, got {ranker!r}")
        if prune_thresholds is None:
            prune_thresholds = [ranker.prune_threshold]
        widths, thresholds = _check_grid(ranker, beam_widths, prune_thresholds)
        _, X = unwrapped(estimator, X)
        copies = [pruned(ranker, threshold) for threshold in thresholds]
        quality = [[_score(p, int(w), scoring, X, y) for w in widths] for p in copies]
        nbytes = np.array([weight_bytes(ranker) for ranker in copies])
        names = {"metric_name": _metric_name(scoring, metric_name), "name": name_of(ranker, name)}
        display = cls(widths, thresholds, np.array(quality), nbytes, **names)
        return display.plot(ax, kind=kind, **kwargs)

    def plot(self, ax=None, *, kind="lines", name=None, **kwargs):
        """Draw a line over the beam widths for each threshold, or a heatmap of both.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        kind : {"lines", "heatmap"}, default="lines"
            Kind of the plot.
        name : str, default=None
            Title of the plot. None: `name` of the display.
        **kwargs
            Passed to `ax.plot`, or to `ax.pcolormesh` for a heatmap.

        Returns
        -------
        self : SearchQualityDisplay

        Raises
        ------
        ValueError
            If `kind` is not one of the options.
        ImportError
            If matplotlib is not installed.
        """
        check_option(kind, "kind", ("lines", "heatmap"))
        ax = take_axes(self, ax)
        if kind == "lines":
            self._draw_lines(ax, **kwargs)
        else:
            self._draw_heatmap(ax, **kwargs)
        name = self.name if name is None else name
        ax.set(xlabel="beam width", title=name or "")
        return self

    def _thresholds(self):
        """Return the name of each threshold, with the size of the model."""
        sizes = zip(self.prune_thresholds, self.nbytes / 1e6, strict=True)
        return [f"{threshold:g} ({size:.3g} MB)" for threshold, size in sizes]

    def _draw_lines(self, ax, **kwargs):
        self.lines_ = []
        for label, values in zip(self._thresholds(), self.quality, strict=True):
            style = {"marker": "o", "markersize": 4, "label": label, **kwargs}
            self.lines_ += ax.plot(self.beam_widths, values, **style)
        ax.set_xscale("log")
        ax.set_xticks(self.beam_widths, self.beam_widths)
        ax.minorticks_off()
        ax.set_ylabel(self.metric_name)
        ax.legend(title="weights pruned below", frameon=False)
        despine(ax)

    def _draw_heatmap(self, ax, **kwargs):
        self.image_ = ax.pcolormesh(self.quality, **kwargs)
        ax.set_xticks(np.arange(len(self.beam_widths)) + 0.5, self.beam_widths)
        ax.set_yticks(np.arange(len(self.prune_thresholds)) + 0.5, self._thresholds())
        ax.set_ylabel("weights pruned below")
        light = self.image_.norm(self.quality) < 0.5
        for (i, j), value in np.ndenumerate(self.quality):
            color = "white" if light[i, j] else "black"
            ax.text(j + 0.5, i + 0.5, f"{value:.3f}", ha="center", va="center", color=color)
        ax.figure.colorbar(self.image_, ax=ax, label=self.metric_name)


def _check_grid(ranker, beam_widths, prune_thresholds):
    widths = np.atleast_1d(beam_widths)
    thresholds = np.atleast_1d(prune_thresholds)
    for name, values in (("beam_widths", widths), ("prune_thresholds", thresholds)):
        if len(values) == 0:
            raise ValueError(f"{name} must hold at least one number, got none")
    for width in widths.tolist():
        check_integer(width, "beam_widths", 1)
    for threshold in thresholds.tolist():
        check_real(threshold, "prune_thresholds", 0)
        if threshold < ranker.prune_threshold:
            raise ValueError(
                f"prune_thresholds must be at least {ranker.prune_threshold}, because the weights "
                f"below were pruned, got {threshold}"
            )
    return widths, thresholds


def _score(ranker, beam_width, scoring, X, y):
    ranker = copy.copy(ranker)
    ranker.beam_width = beam_width
    return ranker.score(X, y) if scoring is None else scoring(ranker, X, y)


def _metric_name(scoring, name):
    if name is not None:
        return name
    if scoring is None:
        return "precision at 1"
    metric = getattr(scoring, "metric", scoring)
    kwargs = getattr(scoring, "kwargs", {})
    name = getattr(metric, "__name__", "quality").replace("_at_k", "").replace("_", " ")
    return f"{name} at {kwargs['k']}" if "k" in kwargs else name
