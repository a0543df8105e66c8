"""Probabilities of labels that can be taken at their word."""

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
from .._utils.pairs import first_k
from .._utils.params import check_integer, check_option, check_real, check_seed
from .._utils.targets import known_truth
from .._utils.weights import rows_counted, weight_array
from ._maps import METHODS, Pairs, sample_pairs, strictly_rising

#: Labels of each row that the map is fitted to, at least; else fewer rows are looked at.
_FEWEST_PER_ROW = 16

#: Rows whose scores are held at once.
_BLOCK = 2048


def _decides(wrapper):
    return hasattr(getattr(wrapper, "estimator_", wrapper.estimator), "decision_function")


class CalibratedRanker(RankerWrapper):
    """Turn a ranker's scores into probabilities, by one rising map for all labels.

    Scores of a ranker order the labels of a row, but a score of 0.3 does not mean that three in ten
    such labels are true; nor do products of logistic models along the paths of a tree, since each
    was trained on chosen negatives. This estimator looks at rows that the ranker was not fitted to
    and learns how often labels of a score are true.

    The map is one for all labels, because most of them have a few rows only, from which no map of
    their own could be learned [1]_. So the probabilities are right on average over labels, and a
    kind of label whose scores are too high throughout stays so.

    Parameters
    ----------
    estimator : estimator
        With ``rank`` or ``decision_function``, such as XRLinearClassifier with any loss and
        post-processor; may be a pipeline or a search that ends in one.
    method : {"isotonic", "sigmoid"}, default="isotonic"
        "isotonic" fits the best rising step function [2]_, "sigmoid" a logistic curve [3]_: of the
        scores, or of their log-odds where all lie in [0, 1]. There are plenty of pairs of a row and
        a label, so that the curve is for very small data.
    cv : int, cross-validation generator, iterable or "prefit", default=5
        Scores of rows that were held out, from clones fitted to the others, make the map; then the
        estimator is fitted to all rows. The folds of a number are drawn at random. An iterable
        yields pairs of training and test rows, as row numbers or boolean masks. With "prefit"
        the estimator is fitted already, and the rows given to fit are used for the map alone: they
        must be others. A fitted estimator that is to survive cloning goes into
        :class:`sklearn.frozen.FrozenEstimator`.
    k : int, default=None
        Fit the map to the k labels ranked first in each row only. A label that is first with a low
        score is more often true than one that is lower down with the same score: probabilities are
        right on average over the labels that the map is fitted to, by default all that are reached.
        With `k`, those of labels ranked lower are too high.
    subsample : int, default=1_000_000
        About how many pairs the map is fitted to. Of each row the labels ranked first are taken,
        and of the others fewer the further down they are, which count more in turn.
    threshold : float or None, default=None
        `predict` returns the labels that are more probable (multilabel y only). None as for
        XRLinearClassifier: the best label, and all others with a tenth of the sum of the 20 highest
        probabilities; with fewer than 10 labels, 0.5. Most rows of the bundled sample have no label
        that is more probable than 0.5.
    random_state : int, RandomState instance or None, default=None
        Draws the folds and the pairs, and seeds an estimator whose own is None.

    Attributes
    ----------
    estimator_ : estimator
        The fitted ranker.
    calibrator_ : object
        The map: ``calibrator_.predict(scores)``.
    classes_ : ndarray of shape (n_labels,)
    n_labels_ : int
    multilabel_ : bool
        Whether y was an indicator matrix.
    n_features_in_ : int
        Only where the estimator has it, as with `feature_names_in_`.

    See Also
    --------
    reliability_curve : Tells how far probabilities can be trusted.
    sklearn.calibration.CalibratedClassifierCV : Calibrates class by class; no sparse y.

    Notes
    -----
    If the classes or features of ``estimator_`` change after fit, as by ``add_labels``, every
    method raises NotFittedError until this estimator is fitted again.

    Labels are ranked exactly as the estimator ranks them: where the map is flat, probabilities are
    raised by less than a millionth of themselves to keep the order of the scores, which is why they
    are float64. Labels that are not reached have no score and get no probability.

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
    >>> Y = X * (np.arange(100) % 5 > 0)[:, np.newaxis]  # a fifth of the labels are not noted
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
        """Fit the ranker, unless it is fitted already, and the map.

        Parameters
        ----------
        X : {array-like, sparse matrix, list} of length n_samples
            As the estimator takes it.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels) or (n_samples,)
            0/1 indicator matrix, or one class per row.
        sample_weight : array-like of shape (n_samples,), optional
            Passed to the estimator; in a pipeline, to its last step. The map is fitted with the
            same weights, of which only the ratios count: where all are multiples of the smallest
            positive one, they are numbers of equal rows; else rows with a positive weight count
            as one row on average.
        **fit_params
            Passed to the fits of the estimator as they are, so that they must not have a value for
            each row.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or an input is not as documented; the message names it.
        """
        check_option(self.method, "method", tuple(METHODS))
        if self.k is not None:
            check_integer(self.k, "k", 1)
        check_integer(self.subsample, "subsample", 1)
        if self.threshold is not None:
            check_real(self.threshold, "threshold", -np.inf)
        check_seed(self.random_state, "random_state")
        with fitted_in_one_step(self) as fresh:
            fresh._fit(X, y, sample_weight, fit_params)
        return self

    def _fit(self, X, y, sample_weight, fit_params):
        y = self._take_targets(X, y)
        counts = rows_counted(sample_weight, y.shape[0])
        weight = None if sample_weight is None else weight_array(sample_weight, y.shape[0])
        rng = check_random_state(self.random_state)
        fit = partial(self._fitted_to, X, y, weight, fit_params=fit_params, seed=draw_seed(rng))
        everything = np.arange(y.shape[0])
        if isinstance(self.cv, str) and self.cv == PREFIT:
            check_is_fitted(self.estimator)
            self._take_estimator(self.estimator)
            folds = [(self.estimator, everything)]
        else:
            folds = ((fit(train), test) for train, test in splits(self.cv, X, y, rng))
            self._take_estimator(fit(everything))
        pairs = self._held_out_pairs(folds, X, known_truth(self, y), counts, rng)
        self.calibrator_ = METHODS[self.method](pairs)

    def _fitted_to(self, X, y, weight, rows, *, fit_params, seed):
        weights = weight_params(self.estimator, None if weight is None else weight[rows])
        return fitted_to(self.estimator, X, y, rows, {**fit_params, **weights}, seed)

    def _held_out_pairs(self, folds, X, truth, weight, rng):
        n_rows = truth.shape[0]
        per_row = max(_FEWEST_PER_ROW, self.subsample // n_rows)
        n_looked_at = max(1, self.subsample // per_row)
        looked_at = np.ones(n_rows, dtype=bool)
        if n_looked_at < n_rows:
            looked_at[rng.permutation(n_rows)[n_looked_at:]] = False
        parts = [
            self._sample(fitted, X, rows[lo : lo + _BLOCK], truth, weight, per_row, rng)
            for fitted, rows in ((fitted, test[looked_at[test]]) for fitted, test in folds)
            for lo in range(0, len(rows), _BLOCK)
        ]
        pairs = Pairs(*map(np.concatenate, zip(*parts, strict=True))) if parts else None
        if pairs is None or not len(pairs.scores):
            raise ValueError("estimator must reach some label of X that is held out, got none")
        return pairs

    def _sample(self, fitted, X, rows, truth, weight, per_row, rng):
        sparse_y = self._container in ("spmatrix", "sparray")
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
        """Rank the k best labels of each row as the estimator does, with their probabilities.

        Parameters
        ----------
        X : as the estimator takes it
        k : int, default=10

        Returns
        -------
        labels : ndarray of int32, shape (n_samples, k)
            Best first, padded with -1.
        probabilities : ndarray of float64, shape (n_samples, k)
            Padded with -inf. For one-dimensional y they are those of each class by itself, and
            rows need not sum to one.
        """
        self._check_fitted()
        labels, scores = best_scores(self.estimator_, X, k, self.n_labels_)
        probabilities = np.full(scores.shape, -np.inf)
        reached = labels >= 0
        probabilities[reached] = self._changed(scores[reached], labels[reached])
        return labels, probabilities

    def _check_gives_probabilities(self):
        return True

    @property
    def _unreached_score(self):
        return 0.0

    @available_if(_decides)
    @consistent
    def decision_function(self, X):
        """Score labels as the estimator does, but for two classes by their probabilities.

        Parameters
        ----------
        X : as the estimator takes it

        Returns
        -------
        scores : {ndarray, sparse matrix}
            What the estimator's ``decision_function`` returns; for two classes, the second's
            probability minus one half, which orders rows as ``predict_proba`` does.
        """
        self._check_fitted()
        if not self.multilabel_ and self.n_labels_ == 2:
            # The map of two scores does not order rows as their difference does.
            return self.predict_proba(X)[:, 1] - 0.5
        return self.estimator_.decision_function(X)
