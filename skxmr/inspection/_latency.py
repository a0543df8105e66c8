"""Latency of single queries."""

import time

import numpy as np
from sklearn.utils.validation import _num_samples

from .._ranking.wrapped import best_scores, last_ranker, take_rows
from .._utils.params import check_integer
from ._plotting import despine, name_of, take_axes

#: Number of calls before the first one that is timed.
_WARM_UP = 20


class LatencyDisplay:
    """Histogram of the times of single calls.

    Create it with `from_estimator` or `from_times`.

    Parameters
    ----------
    times : ndarray of float, shape (n_calls,)
        Seconds of each call.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    times : ndarray of float, shape (n_calls,)
        Seconds of each call.
    name : str or None
        Name in the legend.
    bars_ : matplotlib BarContainer
        Bars of the histogram, after `plot`.
    lines_ : list of matplotlib Line2D
        Line of each percentile, after `plot`.
    percentiles_ : dict of float to float
        Seconds of each percentile that is drawn.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    Examples
    --------
    >>> from skxmr.inspection import LatencyDisplay
    >>> display = LatencyDisplay([0.001, 0.002, 0.003])
    >>> display.percentile(50)
    0.002
    """

    def __init__(self, times, *, name=None):
        self.times = times
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, *, k=10, name=None, ax=None, **kwargs):
        """Measure the time to rank each row in its own call, and plot.

        Parameters
        ----------
        estimator : estimator with `rank` or `decision_function`, also in a pipeline
            Fitted estimator. The time of a pipeline includes all steps, such as the vectorizer.
        X : input of the estimator
            Rows, each for one call. They are split before the measurement, and the first 20 calls
            are not counted.
        k : int, default=10
            Number of labels per row.
        name : str, default=None
            Name in the legend. None: the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LatencyDisplay

        Raises
        ------
        TypeError
            If the estimator has neither `rank` nor `decision_function`, or `k` is not an integer.
        ValueError
            If `k` < 1.
        ImportError
            If matplotlib is not installed.
        """
        check_integer(k, "k", 1)
        n_labels = len(getattr(last_ranker(estimator), "classes_", ()))
        call = _caller(estimator, k, n_labels)
        rows = [take_rows(X, [i]) for i in range(_num_samples(X))]
        for i in range(_WARM_UP):
            call(rows[i % len(rows)])
        times = np.array([_timed(call, row) for row in rows])
        return cls(times, name=name_of(last_ranker(estimator), name)).plot(ax, **kwargs)

    @classmethod
    def from_times(cls, times, *, name=None, ax=None, **kwargs):
        """Plot given times.

        Parameters
        ----------
        times : array-like of float, shape (n_calls,)
            Seconds of each call, above 0.
        name : str, default=None
            Name in the legend.
        ax, **kwargs
            See `from_estimator`.

        Returns
        -------
        display : LatencyDisplay

        Raises
        ------
        ValueError
            If `times` is not a non-empty vector of finite numbers above 0.
        ImportError
            If matplotlib is not installed.
        """
        times = np.asarray(times, dtype=np.float64)
        if times.ndim != 1 or not len(times) or not (np.isfinite(times) & (times > 0)).all():
            raise ValueError(
                "times must be a non-empty vector of finite numbers above 0, got an array with "
                f"shape {times.shape}"
            )
        return cls(times, name=name).plot(ax, **kwargs)

    def percentile(self, q):
        """Return the q-th percentile of the times.

        Parameters
        ----------
        q : float
            Percentage in [0, 100].

        Returns
        -------
        seconds : float
        """
        return float(np.percentile(self.times, q))

    def plot(self, ax=None, *, name=None, percentiles=(50, 99), **kwargs):
        """Draw a histogram over microseconds on a logarithmic scale, and lines at percentiles.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name in the legend. None: `name` of the display.
        percentiles : sequence of float, default=(50, 99)
            Percentiles to draw.
        **kwargs
            Passed to `ax.hist`.

        Returns
        -------
        self : LatencyDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = take_axes(self, ax)
        micros = 1e6 * np.asarray(self.times)
        least = micros.min()
        most = micros.max()
        bins = np.geomspace(least / 1.001, most * 1.001, 50) if most > least else 10
        name = self.name if name is None else name
        style = {"bins": bins, "alpha": 0.6, "label": name, **kwargs}
        _, _, self.bars_ = ax.hist(micros, **style)
        self.percentiles_ = {q: self.percentile(q) for q in percentiles}
        color = self.bars_.patches[0].get_facecolor()[:3]
        self.lines_ = [_mark(ax, q, 1e6 * t, color) for q, t in self.percentiles_.items()]
        _label_axis(ax)
        return self


def _caller(estimator, k, n_labels):
    """Return the function to time: the `rank` method of the estimator, if it has one."""
    if hasattr(estimator, "rank"):
        return lambda row: estimator.rank(row, k)
    return lambda row: best_scores(estimator, row, k, n_labels)


def _timed(call, row):
    start = time.perf_counter()
    call(row)
    return time.perf_counter() - start


def _mark(ax, q, micros, color):
    label = f"p{q:g}: {micros:,.0f} µs" if micros >= 10 else f"p{q:g}: {micros:.2g} µs"
    style = "--" if q > 50 else "-"
    return ax.axvline(micros, color=color, linestyle=style, linewidth=1.5, label=label)


def _label_axis(ax):
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set(xscale="log", xlabel="microseconds per call of one row", ylabel="calls")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.6g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend(frameon=False)
    despine(ax)
