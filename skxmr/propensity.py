"""Reranking of labels by their propensities."""

import numpy as np
from sklearn.utils import check_random_state

from ._meta.base import RankerWrapper, weight_params
from ._meta.held_out import fitted_to
from ._ranking.selection import exponentials
from ._ranking.wrapped import best_scores, last_ranker
from ._utils.cloning import draw_seed
from ._utils.estimators import consistent, fitted_in_one_step
from ._utils.pairs import ranking_csr, top_k
from ._utils.params import check_integer, check_option, check_real, check_seed
from ._utils.targets import known_truth
from ._utils.weights import rows_counted, weight_array
from .metrics._propensity import propensities_of_counts

__all__ = ["PropensityReranker"]

#: Minimum number of rows for which the published formula is defined.
_FEWEST_ROWS = 3


class PropensityReranker(RankerWrapper):
    r"""Rerank labels, with labels of few training rows ranked higher than by the estimator.

    Annotators miss rare labels more often than frequent ones, and rare labels tend to be more
    informative. The labels ranked first in a row are ranked again by

    .. math:: s_l / p_l^\alpha \quad \text{or} \quad s_l - \alpha \ln p_l

    where :math:`s_l` is the score of label l and the propensity :math:`p_l` is the probability that
    label l is annotated if it applies [1]_. The second form is for scores that are logarithms. If
    scores are probabilities, ``alpha=1`` is optimal for the propensity-scored precision, and
    ``alpha=0`` for the precision [2]_. Values in between are a trade-off.

    Parameters
    ----------
    estimator : estimator
        A ranker with ``rank`` or ``decision_function``. It may be a pipeline or a search that ends
        in one, or a CalibratedRanker. To use a fitted estimator, pass it as
        :class:`sklearn.frozen.FrozenEstimator`; y must then be that of its training.
    alpha : float, default=1.0
        Exponent of the propensities, in [0, 1]. With 0, the ranking does not change.
    A : float, default=0.55
        Parameter of the propensities; see :func:`skxmr.metrics.propensities`.
    B : float, default=1.5
        Parameter of the propensities; see :func:`skxmr.metrics.propensities`.
    n_candidates : int or None, default=50
        Number of labels per row that are ranked again. The results have no other labels. None for
        all labels that are reached.
    scale : {"auto", "ratio", "log"}, default="auto"
        Form of the new score. "ratio" divides scores by powers of the propensities, "log" subtracts
        logarithms. "auto" is "log" if the post-processor of the ranker is "noop" or one of the
        logarithms, and "ratio" otherwise.
    threshold : float or None, default=None
        `predict` returns the candidates with a larger new score. Only used for a multilabel y.
        :func:`skxmr.model_selection.tune_threshold` chooses a threshold. None as for
        XRLinearClassifier: the best candidate, and all others with a tenth of the sum of the 20
        highest scores; with fewer than 10 labels, the candidates that score above 0.5.
    random_state : int, RandomState instance or None, default=None
        Seed of the estimator if the `random_state` of the estimator is None.

    Attributes
    ----------
    estimator_ : estimator
        The fitted ranker.
    propensities_ : ndarray of float64, shape (n_labels,)
        Propensity of each label.
    scale_ : {"ratio", "log"}
        Form of the new score.
    classes_ : ndarray of shape (n_labels,)
        The labels: column numbers of an indicator matrix, or sorted classes.
    n_labels_ : int
        Number of labels.
    multilabel_ : bool
        Whether y is an indicator matrix.
    n_features_in_ : int
        Number of features. Only defined if the fitted estimator has it.
    feature_names_in_ : ndarray of str
        Names of the features. Only defined if the fitted estimator has them.

    See Also
    --------
    skxmr.metrics.psp_at_k : Precision with larger weights of rare labels.
    CalibratedRanker : Convert scores to probabilities.

    Notes
    -----
    If the classes or features of ``estimator_`` change after the fit, for example by
    ``add_labels``, every method raises NotFittedError until this estimator is fitted again.

    PfastreXML [1]_ trains trees for the propensity-scored loss and reranks their labels with
    classifiers for tail labels. This estimator works with any ranker and only changes the last
    step.

    On two library catalogues, the default of `alpha` was best for the propensity-scored precision
    and lowered the precision hardly or not at all. The change of the ranking is larger if scores
    are calibrated first.

    References
    ----------
    .. [1] H. Jain, Y. Prabhu, M. Varma, "Extreme multi-label loss functions for recommendation,
       tagging, ranking & other missing label applications", KDD 2016.
    .. [2] M. Wydmuch, K. Jasinska-Kobus, R. Babbar and K. Dembczynski, "Propensity-scored
       probabilistic label trees", SIGIR 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import PropensityReranker, XRLinearClassifier
    >>> X = np.ones((100, 1))
    >>> Y = np.repeat([[1, 0], [0, 1]], [55, 45], axis=0)  # the second label is rarer
    >>> clf = XRLinearClassifier(loss="log_loss", post_processor="sigmoid", n_neighbors=None)
    >>> clf.fit(X, Y).rank(X[:1], k=2)
    Ranking(
      0: 0 (0.5), 1 (0.5)
    )
    >>> labels, _ = PropensityReranker(clf).fit(X, Y).rank(X[:1], k=2)
    >>> labels
    array([[1, 0]], dtype=int32)
    """

    def __init__(
        self,
        estimator,
        *,
        alpha=1.0,
        A=0.55,
        B=1.5,
        n_candidates=50,
        scale="auto",
        threshold=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.A = A
        self.B = B
        self.n_candidates = n_candidates
        self.scale = scale
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None, **fit_params):
        """Fit the ranker and estimate the propensities of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, list} of length n_samples
            Any input that the estimator accepts.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            0/1 indicator matrix, or one class per row.
        sample_weight : array-like of shape (n_samples,), optional
            Passed to the estimator, or to the last step of a pipeline. The propensities only
            depend on the ratios of the weights. If all weights are multiples of the smallest
            positive one, they are the numbers of equal rows. Otherwise the positive weights are
            scaled to an average of 1.
        **fit_params
            Passed to the fit of the estimator.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is not as documented; the message names it.
        """
        self._check_params()
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X, y, sample_weight, fit_params)
        return self

    def _fit(self, X, y, sample_weight, fit_params):
        y = self._take_targets(X, y)
        rows = rows_counted(sample_weight, y.shape[0])
        if rows.sum() < _FEWEST_ROWS:
            raise ValueError(
                f"y must have at least {_FEWEST_ROWS} rows, got n_samples={rows.sum():g}"
            )
        weight = None if sample_weight is None else weight_array(sample_weight, y.shape[0])
        params = {**fit_params, **weight_params(self.estimator, weight)}
        seed = draw_seed(check_random_state(self.random_state))
        all_rows = np.arange(y.shape[0])
        self._take_estimator(fitted_to(self.estimator, X, y, all_rows, params, seed))
        counts = known_truth(self, y).T @ rows
        self.propensities_ = propensities_of_counts(counts, rows.sum(), self.A, self.B)
        self.scale_ = _scale_of(self.estimator_) if self.scale == "auto" else self.scale

    def _check_params(self):
        check_real(self.alpha, "alpha", 0)
        if self.alpha > 1:
            raise ValueError(f"alpha must be at most 1, got {self.alpha!r}")
        check_real(self.A, "A", 0, above=True)
        check_real(self.B, "B", 0, above=True)
        if self.n_candidates is not None:
            check_integer(self.n_candidates, "n_candidates", 1)
        check_option(self.scale, "scale", ("auto", "ratio", "log"))
        if self.threshold is not None:
            check_real(self.threshold, "threshold", -np.inf)
        check_seed(self.random_state, "random_state")

    def _changed(self, scores, labels):
        scores = scores.astype(np.float64)
        propensities = self.propensities_[labels]
        if self.scale_ == "log":
            return scores - self.alpha * np.log(propensities)
        if len(scores) and scores.min() < 0:
            raise ValueError(
                f"scale must be 'log' for scores that can be negative, got {self.scale!r} and a "
                f"score of {scores.min():g}"
            )
        return scores / propensities**self.alpha

    def _estimated_scores(self, X):
        if self.n_candidates is None:
            return super()._estimated_scores(X)
        k = min(self.n_candidates, self.n_labels_)
        labels, scores = best_scores(self.estimator_, X, k, self.n_labels_)
        return ranking_csr(labels, scores, self.n_labels_)

    @consistent
    def rank(self, X, k=10):
        """Rank the k best candidates of each row by their new scores.

        Parameters
        ----------
        X : {array-like, sparse matrix, list} of length n_samples
            Any input that the estimator accepts.
        k : int, default=10
            Number of labels per row.

        Returns
        -------
        ranking : Ranking
            A pair of arrays with the shape (n_samples, k). ``ranking.names`` lists the names.

            - `labels` (int32): best first, padded with -1. Ties are broken by the lower label.
            - `scores` (float64): padded with -inf.
        """
        check_integer(k, "k", 1, np.iinfo(np.int32).max)
        labels, scores = top_k(self._reached_scores(self._check_rows(X)), k)
        return self._ranking(X, labels.astype(np.int32), scores)

    @property
    def _even_score(self):
        return 0.5 if self.scale_ == "ratio" else float(np.log(0.5))

    def _compared_values(self, scores):
        return exponentials(scores) if self.scale_ == "log" else scores

    @property
    def _unreached_score(self):
        return 0.0 if self.scale_ == "ratio" else float(np.finfo(np.float32).min)


def _scale_of(estimator):
    """Return "log" or "ratio", whichever fits the post-processor of a fitted estimator."""
    post_processor = getattr(last_ranker(estimator), "post_processor", "")
    return "log" if post_processor == "noop" or post_processor.startswith("log-") else "ratio"
