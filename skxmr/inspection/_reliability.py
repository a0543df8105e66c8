"""Calibration of scores as probabilities."""

import numpy as np

from .._ranking.wrapped import best_scores, last_ranker
from .._utils.params import check_integer
from .._utils.targets import truth_for
from ..calibration._reliability import reliability_curve
from ._plotting import despine, name_of, take_axes

#: Total area of the dots of a curve, in square points.
_AREA = 400


class ReliabilityDisplay:
    """Plot of the observed frequencies of labels over their predicted probabilities.

    Create it with `from_estimator` or `from_predictions`. Several displays can share one Axes.

    Parameters
    ----------
    curve : Bunch
        Result of :func:`skxmr.calibration.reliability_curve`.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    curve : Bunch
        Result of :func:`skxmr.calibration.reliability_curve`.
    name : str or None
        Name in the legend.
    line_ : matplotlib Line2D
        Line of the curve, after `plot`.
    dots_ : matplotlib PathCollection
        Dot of each bin, after `plot`. Bins with more labels have larger dots.
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure of the plot.

    See Also
    --------
    skxmr.calibration.reliability_curve : Computes the curve.
    skxmr.CalibratedRanker : Converts scores to probabilities.

    Examples
    --------
    >>> from skxmr.calibration import reliability_curve
    >>> from skxmr.inspection import ReliabilityDisplay
    >>> Y_true, Y_proba = [[1, 0], [0, 1]], [[0.8, 0.2], [0.4, 0.6]]
    >>> display = ReliabilityDisplay(reliability_curve(Y_true, Y_proba, n_bins=2))
    >>> display.curve.count.tolist()
    [2, 2]
    """

    def __init__(self, curve, *, name=None):
        self.curve = curve
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        k=5,
        n_bins=10,
        strategy="uniform",
        name=None,
        ax=None,
        **kwargs,
    ):
        """Rank rows with a fitted estimator, compare its scores with the true labels and plot.

        Parameters
        ----------
        estimator : estimator with `rank` or `decision_function`, also in a pipeline
            Fitted estimator. Its scores must lie in [0, 1].
        X : input of the estimator
            Rows to rank labels for.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            True labels of the rows.
        k : int, default=5
            Number of labels of each row that are used, from the top of the ranking.
        n_bins, strategy
            See :func:`skxmr.calibration.reliability_curve`.
        name : str, default=None
            Name in the legend. None: the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        TypeError, ValueError
            If a parameter is not as documented; the message names it.
        ImportError
            If matplotlib is not installed.
        """
        check_integer(k, "k", 1)
        ranker = last_ranker(estimator)
        truth = truth_for(ranker, y)
        ranked = best_scores(estimator, X, k, truth.shape[1])
        options = {"n_bins": n_bins, "strategy": strategy, "name": name_of(ranker, name)}
        return cls.from_predictions(truth, ranked, ax=ax, **options, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_proba,
        *,
        k=None,
        n_bins=10,
        strategy="uniform",
        name=None,
        ax=None,
        **kwargs,
    ):
        """Compare probabilities with the true labels and plot.

        Parameters
        ----------
        y_true, y_proba, k, n_bins, strategy
            See :func:`skxmr.calibration.reliability_curve`.
        name : str, default=None
            Name in the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        TypeError, ValueError
            If a parameter is not as documented; the message names it.
        ImportError
            If matplotlib is not installed.
        """
        curve = reliability_curve(y_true, y_proba, n_bins=n_bins, strategy=strategy, k=k)
        return cls(curve, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, ref_line=True, **kwargs):
        """Draw the curve and its dots.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a figure.
        name : str, default=None
            Name in the legend. None: `name` of the display.
        ref_line : bool, default=True
            Whether to draw the line of a perfectly calibrated model.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        self : ReliabilityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = take_axes(self, ax)
        if ref_line:
            ax.plot([0, 1], [0, 1], color="0.75", linewidth=1.2, zorder=1)
        name = self.name if name is None else name
        curve = self.curve
        figures = f"ECE {curve.ece:.3f}, Brier {curve.brier:.3f}"
        style = {"label": figures if name is None else f"{name}: {figures}", **kwargs}
        (self.line_,) = ax.plot(curve.mean_predicted, curve.observed, **style)
        area = _AREA * np.sqrt(curve.count / curve.count.sum())
        dots = {"color": self.line_.get_color(), "alpha": 0.45, "linewidth": 0}
        self.dots_ = ax.scatter(curve.mean_predicted, curve.observed, area, **dots)
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
        ax.set(xlabel="mean score or probability in a bin", ylabel="fraction of true labels")
        ax.legend(loc="upper left", frameon=False)
        despine(ax)
        return self
