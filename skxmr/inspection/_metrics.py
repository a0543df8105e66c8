"""Ranking metrics as a function of k."""

import numpy as np

from .._ranking.wrapped import last_ranker, ranked_by
from .._utils.params import check_integer, check_option
from .._utils.targets import truth_for
from ..metrics._propensity import psp_at_k
from ..metrics._ranking import ndcg_at_k, precision_at_k, recall_at_k
from ._plotting import despine, name_of, take_axes

_METRICS = {
    "precision": precision_at_k,
    "recall": recall_at_k,
    "ndcg": ndcg_at_k,
    "psp": psp_at_k,
}

_TITLES = {
    "precision": "precision",
    "recall": "recall",
    "ndcg": "nDCG",
    "psp": "propensity-scored precision",
}


class RankingMetricsDisplay:
    """Plot of precision, recall and other ranking metrics over k.

    Create it with `from_estimator` or `from_predictions`. Several displays can share one Axes.

    Parameters
    ----------
    ks : ndarray of int, shape (n_ks,)
        Values of k.
    values : dict of str to ndarray of float, shape (n_ks,)
        Values of each metric. The keys are "precision", "recall", "ndcg" and "psp".
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    ks : ndarray of int, shape (n_ks,)
        Values of k.
    values : dict of str to ndarray of float, shape (n_ks,)
        Values of each metric.
    name : str or None
        Name in the legend.
    lines_ : list of matplotlib Line2D
        Line of each metric, after `plot`.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    See Also
    --------
    skxmr.metrics : The metrics.

    Examples
    --------
    >>> from skxmr.inspection import RankingMetricsDisplay
    >>> Y_true, ranked = [[1, 0, 1], [0, 1, 0]], [[0, 1, 2], [2, 1, 0]]
    >>> display = RankingMetricsDisplay.from_predictions(
    ...     Y_true, ranked, ks=[1, 2], metrics=["recall"])
    >>> display.values["recall"]
    array([0.25, 0.75])
    """

    def __init__(self, ks, values, *, name=None):
        self.ks = ks
        self.values = values
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        ks=(1, 2, 3, 4, 5),
        metrics=("precision", "recall", "ndcg"),
        propensities=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Rank rows with a fitted estimator, compute the metrics and plot them.

        Parameters
        ----------
        estimator : estimator with `rank` or `decision_function`, also in a pipeline
            Fitted estimator.
        X : input of the estimator
            Rows to rank labels for.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            True labels of the rows.
        ks : sequence of int, default=(1, 2, 3, 4, 5)
            Values of k.
        metrics : sequence of str, default=("precision", "recall", "ndcg")
            Metrics to draw, from "precision", "recall", "ndcg" and "psp".
        propensities : array-like of shape (n_labels,), default=None
            Propensities for "psp", from :func:`skxmr.metrics.propensities`.
        name : str, default=None
            Name in the legend. None: the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        display : RankingMetricsDisplay

        Raises
        ------
        TypeError, ValueError
            If a parameter is not as documented; the message names it.
        ImportError
            If matplotlib is not installed.
        """
        ks = _check_ks(ks)
        ranker = last_ranker(estimator)
        truth = truth_for(ranker, y)
        ranked = ranked_by(estimator, X, int(ks.max()))
        options = {"ks": ks, "metrics": metrics, "propensities": propensities, "ax": ax}
        options["name"] = name_of(ranker, name)
        return cls.from_predictions(truth, ranked, **options, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_ranked,
        *,
        ks=(1, 2, 3, 4, 5),
        metrics=("precision", "recall", "ndcg"),
        propensities=None,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Compute the metrics of a ranking and plot them.

        Parameters
        ----------
        y_true : {array-like, sparse matrix} of shape (n_samples, n_labels)
            True labels, 0 or 1.
        y_ranked : {array-like, sparse matrix} or tuple of two arrays
            Ranking or scores; see :mod:`skxmr.metrics`.
        ks, metrics, propensities, ax, **kwargs
            See `from_estimator`.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : RankingMetricsDisplay

        Raises
        ------
        TypeError, ValueError
            If a parameter is not as documented; the message names it.
        ImportError
            If matplotlib is not installed.
        """
        ks = _check_ks(ks)
        values = {}
        for metric in _check_metrics(metrics, propensities):
            extra = {"propensities": propensities} if metric == "psp" else {}
            found = [_METRICS[metric](y_true, y_ranked, k=int(k), **extra) for k in ks]
            values[metric] = np.array(found)
        return cls(ks, values, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw a line for each metric.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name in the legend. None: `name` of the display.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        self : RankingMetricsDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = take_axes(self, ax)
        name = self.name if name is None else name
        self.lines_ = []
        for metric, values in self.values.items():
            label = _TITLES[metric] if name is None else f"{name}: {_TITLES[metric]}"
            style = {"marker": "o", "markersize": 4, "label": label, **kwargs}
            self.lines_ += ax.plot(self.ks, values, **style)
        ax.set(xlabel="k", ylabel="metric at k", xticks=self.ks)
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False)
        despine(ax)
        return self


def _check_ks(ks):
    ks = list(np.atleast_1d(ks).tolist())
    if not ks:
        raise ValueError("ks must hold at least one integer, got none")
    for k in ks:
        check_integer(k, "ks", 1)
    return np.array(ks)


def _check_metrics(metrics, propensities):
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in metrics:
        check_option(metric, "metrics", tuple(_METRICS))
    if "psp" in metrics and propensities is None:
        raise ValueError("metrics with 'psp' need propensities, got None")
    return metrics
