"""Calibration of ranking scores to probabilities."""

from functools import partial

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._meta.base import RankerWrapper, weight_params
from .._meta.held_out import PREFIT, fitted_to, splits
from .._ranking.wrapped import best_scores, reached_scores, take_rows
from .._utils.cloning import draw_seed
from .._utils.estimators import consistent, fitted_in_one_step
from .._utils.named_targets import SPARSE_CONTAINERS
from .._utils.pairs import first_k
from .._utils.params import check_integer, check_option, check_real, check_seed
from .._utils.targets import known_truth
from .._utils.weights import rows_counted, weight_array
from ._maps import METHODS, Pairs, sample_pairs, strictly_rising

#: Minimum number of labels per row in the fit of the map. Fewer rows are used otherwise.
_FEWEST_PER_ROW = 16

#: Number of rows whose scores are in memory at once.
_BLOCK = 2048


def _decides(wrapper):
    return hasattr(getattr(wrapper, "estimator_", wrapper.estimator), "decision_function")


class CalibratedRanker(RankerWrapper):
    """Convert the scores of a ranker to probabilities, by one increasing map for all labels.

    The scores of a ranker order the labels of a row, but they are not probabilities: a score of 0.3
    does not mean that three of ten such labels are true. This also holds for products of logistic
    models along the paths of a tree, because each model is trained on selected negatives. This
    estimator uses rows that the ranker was not fitted to, and learns how often labels with a given
    score are true.

    All labels share one map, because most labels have too few rows for a map of their own [1]_. The
    probabilities are therefore correct on average over labels. If the scores of some group of
    labels are too high, its probabilities are too high as well.

    Parameters
    ----------
    estimator : estimator
        A ranker with ``rank`` or ``decision_function``, such as XRLinearClassifier with any loss
        and post-processor. It may be a pipeline or a search that ends in one.
    method : {"isotonic", "sigmoid"}, default="isotonic"
        "isotonic" fits the best increasing step function [2]_. "sigmoid" fits a logistic curve
        [3]_ to the scores, or to their log-odds if all scores are in [0, 1]. Most data sets have
        enough pairs of a row and a label for "isotonic"; use "sigmoid" for very small ones.
    cv : int, cross-validation generator, iterable or "prefit", default=5
        Determines the rows that the map is fitted to. The map is fitted to the scores of held-out
        rows by clones that are fitted to the other rows. The estimator is then fitted to all rows.
        With a number of folds, the rows are shuffled. An iterable yields pairs of training and
        test rows, as row numbers or boolean masks. With "prefit", the estimator must be fitted, and
        the rows passed to `fit` are only used for the map. They must not be rows that the
        estimator was fitted to. Use :class:`sklearn.frozen.FrozenEstimator` to keep an estimator
        fitted when it is cloned.
    k : int, default=None
        Number of labels per row that the map is fitted to, those ranked first. By default, the map
        is fitted to all labels that are reached. Probabilities are correct on average over the
        labels that the map is fitted to. Of labels with the same low score, one that is ranked
        first is true more often than one of a lower rank. With `k`, the probabilities of labels of
        lower ranks are thus too high.
    subsample : int, default=1_000_000
        Approximate number of pairs of a row and a label that the map is fitted to. The labels
        ranked first in a row are always included. The others are sampled less often the lower
        their rank, and have accordingly larger weights.
    threshold : float or None, default=None
        `predict` returns the labels with a larger probability. Only used for a multilabel y. None
        as for XRLinearClassifier: the best label, and all others with a tenth of the sum of the 20
        highest probabilities; with fewer than 10 labels, 0.5. Most rows of the bundled sample have
        no label with a probability above 0.5.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of the sampled pairs. It also seeds the estimator if the
        `random_state` of the estimator is None.

    Attributes
    ----------
    estimator_ : estimator
        The fitted ranker.
    calibrator_ : object
        The map. ``calibrator_.predict(scores)`` returns probabilities.
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
    reliability_curve : Compare probabilities with observed frequencies.
    sklearn.calibration.CalibratedClassifierCV : Calibrate each class separately; no sparse y.

    Notes
    -----
    If the classes or features of ``estimator_`` change after the fit, for example by
    ``add_labels``, every method raises NotFittedError until this estimator is fitted again.

    The ranking is exactly that of the estimator. Where the map is constant, probabilities are
    increased by a relative amount of less than one millionth to keep the order of the scores. They
    are float64 for this reason. Labels that are not reached have no score and no probability.

    References
    ----------
    .. [1] N. Ullah, E. Schultheis, J. Zhang and R. Babbar, "Labels in extremes: how well calibrated
       are extreme multi-label classifiers?", arXiv:2411.04276 (2024).
    .. [2] B. Zadrozny and C. Elkan, "Transforming classifier scores into accurate multiclass
       probability estimates", KDD 2002.
    .. [3] J. Platt, "Probabilistic outputs for support vector machines and comparisons to
       regularized likelihood methods", Advances in Large Margin Classifiers (1999).

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import CalibratedRanker, XRLinearClassifier
    >>> X = np.repeat(np.eye(4), 25, axis=0)
    >>> Y = X * (np.arange(100) % 5 > 0)[:, np.newaxis]  # a fifth of the labels are missing
    >>> ranker = CalibratedRanker(XRLinearClassifier(random_state=0), random_state=0).fit(X, Y)
    >>> labels, probabilities = ranker.rank(X[:1], k=2)
    >>> labels
    array([[0, ...]], dtype=int32)
    >>> probabilities.round(1)
    array([[0.8, 0. ]])
    """

    def __init__(
        self,
        estimator,
        *,
        method="isotonic",
        cv=5,
        k=None,
        subsample=1_000_000,
        threshold=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.k = k
        self.subsample = subsample
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None, **fit_params):
        """Fit the map, and the ranker unless `cv` is "prefit".

        Parameters
        ----------
        X : {array-like, sparse matrix, list} of length n_samples
            Any input that the estimator accepts.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            0/1 indicator matrix, or one class per row.
        sample_weight : array-like of shape (n_samples,), optional
            Passed to the estimator, or to the last step of a pipeline. The map is fitted with the
            same weights. Only the ratios of the weights matter for the map. If all weights are
            multiples of the smallest positive one, they are the numbers of equal rows. Otherwise
            the positive weights are scaled to an average of 1.
        **fit_params
            Passed to all fits of the estimator without changes. They must not have one value per
            row.

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
        counts = rows_counted(sample_weight, y.shape[0])
        weight = None if sample_weight is None else weight_array(sample_weight, y.shape[0])
        rng = check_random_state(self.random_state)
        fit = partial(self._fitted_to, X, y, weight, fit_params=fit_params, seed=draw_seed(rng))
        all_rows = np.arange(y.shape[0])
        if self._uses_fitted_estimator:
            check_is_fitted(self.estimator)
            self._take_estimator(self.estimator)
            folds = [(self.estimator, all_rows)]
        else:
            folds = ((fit(train), test) for train, test in splits(self.cv, X, y, rng))
            self._take_estimator(fit(all_rows))
        pairs = self._held_out_pairs(folds, X, known_truth(self, y), counts, rng)
        self.calibrator_ = METHODS[self.method](pairs)

    def _check_params(self):
        check_option(self.method, "method", tuple(METHODS))
        if self.k is not None:
            check_integer(self.k, "k", 1)
        check_integer(self.subsample, "subsample", 1)
        if self.threshold is not None:
            check_real(self.threshold, "threshold", -np.inf)
        check_seed(self.random_state, "random_state")

    def _fitted_to(self, X, y, weight, rows, *, fit_params, seed):
        weights = weight_params(self.estimator, None if weight is None else weight[rows])
        return fitted_to(self.estimator, X, y, rows, {**fit_params, **weights}, seed)

    def _held_out_pairs(self, folds, X, truth, weight, rng):
        n_rows = truth.shape[0]
        per_row = max(_FEWEST_PER_ROW, self.subsample // n_rows)
        n_sampled = max(1, self.subsample // per_row)
        is_sampled = np.ones(n_rows, dtype=bool)
        if n_sampled < n_rows:
            is_sampled[rng.permutation(n_rows)[n_sampled:]] = False
        parts = []
        for fitted, test in folds:
            rows = test[is_sampled[test]]
            for begin in range(0, len(rows), _BLOCK):
                block = rows[begin : begin + _BLOCK]
                parts.append(self._sample(fitted, X, block, truth, weight, per_row, rng))
        pairs = Pairs(*map(np.concatenate, zip(*parts, strict=True))) if parts else None
        if pairs is None or not len(pairs.scores):
            raise ValueError("estimator must reach some label of X that is held out, got none")
        return pairs

    def _sample(self, fitted, X, rows, truth, weight, per_row, rng):
        sparse_y = self._container in SPARSE_CONTAINERS
        n_labels = self.n_labels_
        scores = reached_scores(fitted, take_rows(X, rows), n_labels, sparse_y=sparse_y)
        if not self.multilabel_:
            columns = np.searchsorted(self.classes_, fitted.classes_)
            truth = truth[:, columns]
        return sample_pairs(first_k(scores, self.k), truth[rows], weight[rows], per_row, rng)

    def _changed(self, scores, labels):
        return strictly_rising(self.calibrator_.predict(scores.astype(np.float64)), scores)

    @consistent
    def rank(self, X, k=10):
        """Rank the k best labels of each row, with their probabilities.

        The ranking is that of the estimator.

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

            - `labels` (int32): best first, padded with -1.
            - `scores` (float64): the probabilities, padded with -inf. For a one-dimensional y, the
              probability of each class is calibrated separately, and the probabilities of a row
              need not sum to 1.
        """
        self._check_fitted()
        labels, scores = best_scores(self.estimator_, X, k, self.n_labels_)
        probabilities = np.full(scores.shape, -np.inf)
        reached = labels >= 0
        probabilities[reached] = self._changed(scores[reached], labels[reached])
        return self._ranking(X, labels, probabilities)

    @property
    def _uses_fitted_estimator(self):
        return isinstance(self.cv, str) and self.cv == PREFIT

    def _check_gives_probabilities(self):
        return True

    @property
    def _unreached_score(self):
        return 0.0

    @available_if(_decides)
    @consistent
    def decision_function(self, X):
        """Return the scores of the estimator, or a function of the probability for two classes.

        Parameters
        ----------
        X : {array-like, sparse matrix, list} of length n_samples
            Any input that the estimator accepts.

        Returns
        -------
        scores : {ndarray, sparse matrix}
            Result of the ``decision_function`` of the estimator. For two classes, the probability
            of the second class minus 0.5, which orders rows as ``predict_proba`` does.
        """
        self._check_fitted()
        if not self.multilabel_ and self.n_labels_ == 2:
            # The difference of two scores would order rows in another way.
            return self.predict_proba(X)[:, 1] - 0.5
        return self.estimator_.decision_function(X)
