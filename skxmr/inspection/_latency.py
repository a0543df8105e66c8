"""How long one query takes."""

import time

import numpy as np
from sklearn.utils.validation import _num_samples

from .._ranking.wrapped import best_scores, last_ranker, take_rows
from .._utils.params import check_integer
from ._plotting import despine, name_of, take_axes

#: Calls that are made before any is timed.
_WARM_UP = 20


class LatencyDisplay:
    """The distribution of the times of single calls.

    Use `from_estimator` or `from_times` to make one.

    Parameters
    ----------
    times : ndarray of float, shape (n_calls,)
        Seconds.
    name : str, optional

    Attributes
    ----------
    bars_ : matplotlib BarContainer
    lines_ : list of matplotlib Line2D
        One for each percentile.
    percentiles_ : dict of float to float
        The percentiles marked, in seconds.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from skxmr.inspection import LatencyDisplay
    >>> display = LatencyDisplay([0.001, 0.002, 0.003])
    >>> display.percentile(50)
    0.002
    """

    def __init__(self, times, *, name=None):
        self.times, self.name = times, name

    @classmethod
    def from_estimator(cls, estimator, X, *, k=10, name=None, ax=None, **kwargs):
        """Time a fitted estimator's ranking of each row by itself, and plot.

        Parameters
        ----------
        estimator : any that has `rank` or `decision_function`, also in a pipeline
            Of a pipeline the whole is timed, vectorizer included.
        X : what the estimator takes
            Each row is one call. They are taken apart before, and 20 calls made that do not count.
        k : int, default=10
            Labels asked for.
        name : str, optional
            By default that of the estimator's class.
        ax : matplotlib Axes, optional
        **kwargs
            Passed to `plot`.

        Returns
        -------
        display : LatencyDisplay
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
        """Plot times that were measured elsewhere.

        Parameters
        ----------
        times : array-like of float, shape (n_calls,)
            Seconds, above 0.
        name, ax, **kwargs
            See `from_estimator`.

        Returns
        -------
        display : LatencyDisplay
        """
        times = np.asarray(times, dtype=np.float64)
        if times.ndim != 1 or not len(times) or not (np.isfinite(times) & (times > 0)).all():
            raise ValueError("times must be one-dimensional, finite and above 0, and some there be")
        return cls(times, name=name).plot(ax, **kwargs)

    def percentile(self, q):
        """Return the time that q per cent of the calls do not exceed, in seconds."""
        return float(np.percentile(self.times, q))

    def plot(self, ax=None, *, name=None, percentiles=(50, 99), **kwargs):
        """Draw a histogram over microseconds, on a logarithmic scale, and mark percentiles.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        name : str, optional
        percentiles : sequence of float, default=(50, 99)
        **kwargs
            Passed to `ax.hist`.

        Returns
        -------
        self
        """
        ax = take_axes(self, ax)
        micros = 1e6 * np.asarray(self.times)
        lo, hi = micros.min(), micros.max()
        bins = np.geomspace(lo / 1.001, hi * 1.001, 50) if hi > lo else 10
        name = self.name if name is None else name
        style = {"bins": bins, "alpha": 0.6, "label": name, **kwargs}
        _, _, self.bars_ = ax.hist(micros, **style)
        self.percentiles_ = {q: self.percentile(q) for q in percentiles}
        color = self.bars_.patches[0].get_facecolor()[:3]
        self.lines_ = [_mark(ax, q, 1e6 * t, color) for q, t in self.percentiles_.items()]
        _label_axis(ax)
        return self


def _caller(estimator, k, n_labels):
    """Return what is timed: the estimator's own `rank`, if it has one."""
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
