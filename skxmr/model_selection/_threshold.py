"""Choice of thresholds, and scikit-learn's model selection for sparse y.

scikit-learn's searches (GridSearchCV and its relatives) take sparse y as they are; its functions
mostly refuse it. Here are those that do, otherwise unchanged.
"""

import numpy as np
from scipy import sparse
from sklearn import inspection, model_selection
from sklearn.utils import Bunch
from sklearn.utils.validation import _num_samples

from .._meta.held_out import PREFIT, fitted_to, splits
from .._ranking.wrapped import reached_scores, take_rows
from .._utils.cloning import draw_seed
from .._utils.matrices import check_indicator
from .._utils.params import check_option, check_random_state, check_real
from .._utils.targets import target_array
from ._f_curve import AVERAGES, f_curve
from ._sparse_targets import Answering, taking_sparse_y

cross_validate = taking_sparse_y(model_selection.cross_validate)
cross_val_score = taking_sparse_y(model_selection.cross_val_score)
learning_curve = taking_sparse_y(model_selection.learning_curve)
validation_curve = taking_sparse_y(model_selection.validation_curve)
permutation_importance = taking_sparse_y(inspection.permutation_importance)


def cross_val_predict(estimator, X, y=None, *, method="predict", **options):
    """Do what :func:`sklearn.model_selection.cross_val_predict` does, for sparse `y` as well.

    Parameters
    ----------
    estimator : estimator
    X : {array-like, sparse matrix, list} of length n_samples
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels), optional
    method : str, default="predict"
        With a sparse `y` any method of the fitted estimator that takes rows.
    **options
        As scikit-learn takes them: `groups`, `cv`, `n_jobs`, `params` and the like.

    Returns
    -------
    predictions : {ndarray, sparse matrix}
        What the method says of each row, in the container that it gives.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.model_selection import cross_val_predict
    >>> X = Y = sp.csr_array(np.tile(np.eye(4), (6, 1)))
    >>> clf = XRLinearClassifier(random_state=0)
    >>> cross_val_predict(clf, X, Y, cv=3, method="decision_function").shape
    (24, 4)
    """
    if sparse.issparse(y) and method != "predict":
        estimator, method = Answering(estimator, method), "predict"
    return model_selection.cross_val_predict(estimator, X, y, method=method, **options)


def tune_threshold(
    estimator, X, Y, *, average="micro", beta=1.0, cv=PREFIT, fit_params=None, random_state=None
):
    """Find the score above which labels are best predicted.

    Every score of every label that the estimator reaches is tried, so that the result is exact.
    :class:`sklearn.model_selection.TunedThresholdClassifierCV` does the same for two classes.

    Parameters
    ----------
    estimator : estimator
        With ``rank`` or ``decision_function``; may be a pipeline or a search that ends in one.
    X : {array-like, sparse matrix, list} of length n_samples
        Rows that the estimator was not fitted to, unless `cv` says otherwise.
    Y : {array-like, sparse matrix} of shape (n_samples, n_labels)
        Their labels, 0 or 1.
    average : {"micro", "samples", "macro"}, default="micro"
        Whether the F-score is that of all pairs of a row and a label, or the mean of those of the
        rows or of the labels, as in :func:`sklearn.metrics.fbeta_score`. F-scores of 0/0 count
        as 0: rows (labels) for which nothing is true.
    beta : float, default=1.0
        Recall counts `beta` times as much as precision.
    cv : "prefit", int, cross-validation generator or iterable, default="prefit"
        With "prefit" the estimator is fitted already. Else clones of it are fitted to the training
        rows of each split, and the scores of all test rows are put together. The folds of a number
        are drawn at random. An iterable yields pairs of training and test rows, as row numbers or
        boolean masks.
    fit_params : dict, optional
        Passed to ``fit`` by cross-validation, as a whole: not for what has a value for every row.
    random_state : int, RandomState instance or None, default=None
        Draws the folds, and seeds an estimator whose own is None.

    Returns
    -------
    Bunch
        With the attributes

        threshold : float
            The best threshold, for ``estimator.set_params(threshold=...)``: labels whose score is
            higher are predicted. Of several that are as good, the highest.
        score : float
            The F-score there.
        thresholds : ndarray
            All thresholds that make a difference, rising: one below all scores, then the scores.
        precision, recall, f_score : ndarray of float64
            What predicting the labels above each of them gives, averaged likewise.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as documented; the message names it. ValueError if the estimator
        reaches no label at all.

    Notes
    -----
    True labels that are not reached are misses. Time grows as n log n with the number of scores,
    about ``beam_width`` times the size of a leaf for each row, which are all held at once: several
    thousand rows suffice. The best F-score is a little optimistic, as it was chosen on these rows.

    References
    ----------
    .. [1] Z. C. Lipton, C. Elkan and B. Naryanaswamy, "Optimal thresholding of classifiers to
       maximize F1 measure", ECML PKDD 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skxmr import XRLinearClassifier
    >>> from skxmr.model_selection import tune_threshold
    >>> X = Y = np.repeat(np.eye(4), 3, axis=0)
    >>> clf = XRLinearClassifier(random_state=0).fit(X, Y)
    >>> best = tune_threshold(clf, X, Y)
    >>> best.score
    1.0
    >>> clf.set_params(threshold=best.threshold).predict(X[::3])
    array([[1, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 1, 0],
           [0, 0, 0, 1]])
    """
    check_option(average, "average", AVERAGES)
    check_real(beta, "beta", 0, above=True)
    Y = target_array(Y, "Y")
    if Y.ndim != 2:
        raise ValueError(f"Y must be a 0/1 indicator matrix, got {Y.ndim} dimension(s)")
    Y = Y.tocsr() if sparse.issparse(Y) else Y
    truth = check_indicator(Y, "Y", _num_samples(X))
    if isinstance(cv, str) and cv == PREFIT:
        scores = _checked_scores(estimator, X, Y)
    else:
        tested, scores = _cross_validated(estimator, X, Y, cv, fit_params or {}, random_state)
        truth = truth[tested]
    if scores.nnz == 0:
        raise ValueError("estimator must reach some label of X, got none")
    curve = f_curve(truth, scores, average, float(beta))
    best = len(curve.f_score) - 1 - int(np.argmax(curve.f_score[::-1]))
    return Bunch(
        threshold=float(curve.thresholds[best]),
        score=float(curve.f_score[best]),
        **curve._asdict(),
    )


def _checked_scores(estimator, X, Y):
    """Score rows; a label that Y does not know is an error, not a miss."""
    scores = reached_scores(estimator, X, Y.shape[1], sparse_y=sparse.issparse(Y))
    if scores.shape[1] != Y.shape[1]:
        raise ValueError(f"Y must have {scores.shape[1]} columns as in fit, got {Y.shape[1]}")
    return scores


def _cross_validated(estimator, X, Y, cv, fit_params, random_state):
    """Return the test rows of all splits, and their scores."""
    tested, scores = [], []
    rng = check_random_state(random_state)
    seed = draw_seed(rng)
    for train, test in splits(cv, X, Y, rng):
        fitted = fitted_to(estimator, X, Y, train, fit_params, seed)
        tested.append(test)
        scores.append(_checked_scores(fitted, take_rows(X, test), Y))
    return np.concatenate(tested), sparse.vstack(scores, format="csr")
