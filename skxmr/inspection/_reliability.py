"""How far scores can be trusted as probabilities."""

import numpy as np

from .._ranking.wrapped import best_scores, last_ranker
from .._utils.params import check_integer
from .._utils.targets import truth_for
from ..calibration._reliability import reliability_curve
from ._plotting import despine, name_of, take_axes

#: Points squared of the dots of a curve together.
_AREA = 400


class ReliabilityDisplay:
    """Predicted beside observed frequencies of labels.

    Use `from_estimator` or `from_predictions` to make one. Several can share an ax.

    Parameters
    ----------
    curve : Bunch
        As of skxmr.calibration.reliability_curve.
    name : str, optional

    Attributes
    ----------
    line_ : matplotlib Line2D
    dots_ : matplotlib PathCollection
        One for each bin; the larger, the more labels are in it.
    ax_, figure_ : matplotlib Axes and Figure

    See Also
    --------
    skxmr.calibration.reliability_curve : The figures.
    skxmr.CalibratedRanker : Makes probabilities of scores.
    """

    def __init__(self, curve, *, name=None):
        self.curve, self.name = curve, name

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
        """Rank rows with a fitted estimator, compare its scores with the truth and plot.

        Parameters
        ----------
        estimator : any that has `rank` or `decision_function`, also in a pipeline
            Its scores must lie in [0, 1].
        X : what the estimator takes
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
        k : int, default=5
            Labels of each row that count, the highest ranked.
        n_bins, strategy
            As of reliability_curve.
        name : str, optional
            By default that of the estimator's class.
        ax : matplotlib Axes, optional
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        display : ReliabilityDisplay
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
        """Compare probabilities with the truth and plot.

        Parameters
        ----------
        y_true, y_proba, k, n_bins, strategy
            As of reliability_curve.
        name : str, optional
        ax : matplotlib Axes, optional
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        curve = reliability_curve(y_true, y_proba, n_bins=n_bins, strategy=strategy, k=k)
        return cls(curve, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, ref_line=True, **kwargs):
        """Draw the curve and its dots.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        name : str, optional
        ref_line : bool, default=True
            Whether to draw where a calibrated model would lie.
        **kwargs
            Passed to `ax.plot`.

        Returns
        -------
        self
        """
        ax = take_axes(self, ax)
        if ref_line:
            ax.plot([0, 1], [0, 1], color="0.75", linewidth=1.2, zorder=1)
        name, curve = self.name if name is None else name, self.curve
        figures = f"ECE {curve.ece:.3f}, Brier {curve.brier:.3f}"
        style = {"label": figures if name is None else f"{name}: {figures}", **kwargs}
        (self.line_,) = ax.plot(curve.mean_predicted, curve.observed, **style)
        area = _AREA * np.sqrt(curve.count / curve.count.sum())
        dots = {"color": self.line_.get_color(), "alpha": 0.45, "linewidth": 0}
        self.dots_ = ax.scatter(curve.mean_predicted, curve.observed, area, **dots)
        ax.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
        ax.set(xlabel="mean score or probability in a bin", ylabel="share of labels that are true")
        ax.legend(loc="upper left", frameon=False)
        despine(ax)
        return self
