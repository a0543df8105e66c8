"""Threshold selection, and scikit-learn's model selection functions for sparse y."""

import numpy as np
from scipy import sparse
from sklearn import inspection, model_selection
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import _num_samples

from .._meta.held_out import PREFIT, fitted_to, splits
from .._ranking.wrapped import last_ranker, reached_scores, take_rows
from .._utils.cloning import draw_seed
from .._utils.matrices import check_indicator
from .._utils.named_targets import is_frame, label_lists, lists_for, named_targets, names_in
from .._utils.params import check_option, check_real
from .._utils.targets import target_array, truth_for
from ..metrics._f_curve import AVERAGES, f_curve
from ._sparse_targets import PredictsBy, accepting_sparse_y

cross_validate = accepting_sparse_y(model_selection.cross_validate)
cross_val_score = accepting_sparse_y(model_selection.cross_val_score)
learning_curve = accepting_sparse_y(model_selection.learning_curve)
validation_curve = accepting_sparse_y(model_selection.validation_curve)
permutation_importance = accepting_sparse_y(inspection.permutation_importance)


def cross_val_predict(estimator, X, y=None, *, method="predict", **options):
    """Run :func:`sklearn.model_selection.cross_val_predict`, also with a sparse `y`.

    Parameters
    ----------
    estimator : estimator
        Estimator to clone and fit.
    X : {array-like, sparse matrix, list} of length n_samples
        Rows.
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels), default=None
        Classes, or a 0/1 indicator of the labels.
    method : str, default="predict"
        Method of the fitted estimator to call. With a sparse `y`, any method that takes rows.
    **options
        Other parameters of scikit-learn's function: `groups`, `cv`, `n_jobs`, `params` and others.

    Returns
    -------
    predictions : {ndarray, sparse matrix} of shape (n_samples,) or (n_samples, n_columns)
        Result of the method for each row, in the container that the method returns.

    Raises
    ------
    ValueError, TypeError
        As :func:`sklearn.model_selection.cross_val_predict`. If `y` is sparse, parameters are not
        validated.

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
        estimator = PredictsBy(estimator, method)
        method = "predict"
    return model_selection.cross_val_predict(estimator, X, y, method=method, **options)


def tune_threshold(
    estimator, X, Y, *, average="micro", beta=1.0, cv=PREFIT, fit_params=None, random_state=None
):
    """Find the threshold on the scores with the best F-score.

    All scores of all labels that the estimator reaches are compared, so that the result is exact.
    :class:`sklearn.model_selection.TunedThresholdClassifierCV` does the same for two classes.

    Parameters
    ----------
    estimator : estimator
        Estimator with ``rank`` or ``decision_function``, also at the end of a pipeline or inside a
        search.
    X : {array-like, sparse matrix, list} of length n_samples
        Rows. With ``cv="prefit"``, they must not be the training rows.
    Y : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_labels), or list
        Labels of the rows, 0 or 1, or a list of labels per row. With ``cv="prefit"``, the columns
        of a frame are found by their names if the labels of the estimator have names, and lists
        hold these names. Otherwise, clones are fitted to the matrix of the labels.
    average : {"micro", "samples", "macro"}, default="micro"
        "micro": F-score of all pairs of a row and a label. "samples", "macro": mean of the F-scores
        of the rows or of the labels, as in :func:`sklearn.metrics.fbeta_score`. F-scores of 0/0,
        of rows or labels without positives, count as 0.
    beta : float, default=1.0
        Weight of the recall relative to the precision.
    cv : "prefit", int, cross-validation generator or iterable, default="prefit"
        With "prefit", the estimator is already fitted. Otherwise, clones are fitted to the training
        rows of each split, and the scores of all test rows are used. An integer is the number of
        random folds. An iterable yields pairs of training and test rows, as row numbers or boolean
        masks.
    fit_params : dict, default=None
        Passed to ``fit`` in cross-validation. They are not split: values per row are not possible.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds, and of an estimator whose `random_state` is None.

    Returns
    -------
    Bunch
        With the attributes

        threshold : float
            Best threshold, for ``estimator.set_params(threshold=...)``. Labels with higher scores
            are predicted. Of equally good thresholds, this is the highest.
        score : float
            F-score at this threshold.
        thresholds : ndarray of shape (n_thresholds,)
            All thresholds with different predictions, in increasing order: one below all scores,
            then the scores.
        precision, recall, f_score : ndarray of float64, shape (n_thresholds,)
            Averages at each threshold.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as documented; the message names it. ValueError if the estimator
        does not reach any label.

    Notes
    -----
    True labels that are not reached are misses. There are about ``beam_width`` times the size of a
    leaf cluster scores per row. All are held in memory, and the time is n log n for n scores, so
    use several thousand rows. The best F-score is slightly too high, because the threshold is
    chosen on the same rows.

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
    is_fitted = isinstance(cv, str) and cv == PREFIT
    Y, are_lists = _truth_of(estimator, Y) if is_fitted else (_matrix_of(Y), False)
    Y = target_array(Y, "Y")
    if Y.ndim != 2:
        raise ValueError(f"Y must be a 0/1 indicator matrix, got {Y.ndim} dimension(s)")
    Y = Y.tocsr() if sparse.issparse(Y) else Y  # rows of other formats cannot be taken
    truth = check_indicator(Y, "Y", _num_samples(X))
    if is_fitted:
        scores = _checked_scores(estimator, X, Y, with_unknown=are_lists)
    else:
        tested, scores = _cross_validated(estimator, X, Y, cv, fit_params or {}, random_state)
        truth = truth[tested]
    if scores.nnz == 0:
        raise ValueError("estimator must reach some label of X, but reaches none")
    curve = f_curve(truth, scores, average, float(beta))
    best = len(curve.f_score) - 1 - int(np.argmax(curve.f_score[::-1]))
    return Bunch(
        threshold=float(curve.thresholds[best]),
        score=float(curve.f_score[best]),
        **curve._asdict(),
    )


def _matrix_of(Y):
    """Return lists of labels as a matrix, and other labels as they are."""
    return Y if label_lists(Y) is None else named_targets(Y).y


def _truth_of(estimator, Y):
    """Return Y with names as a matrix with the columns of a fitted estimator.

    Returns
    -------
    Y : object
        Unchanged without names.
    are_lists : bool
        Whether Y is lists. The matrix then has a further column for each unknown label.
    """
    ranker = last_ranker(estimator)
    are_lists = lists_for(ranker, Y) is not None
    is_named_frame = is_frame(Y) and names_in(ranker) is not None
    return truth_for(ranker, Y) if are_lists or is_named_frame else Y, are_lists


def _checked_scores(estimator, X, Y, *, with_unknown=False):
    """Score rows and check that Y has a column for each label of the estimator.

    With `with_unknown`, Y may have further columns, of labels that the estimator does not know.
    """
    n_labels = Y.shape[1]
    scores = reached_scores(estimator, X, n_labels, sparse_y=sparse.issparse(Y))
    if with_unknown:
        scores.resize(scores.shape[0], n_labels)
    if scores.shape[1] != n_labels:
        raise ValueError(f"Y must have {scores.shape[1]} columns as in fit, got {n_labels}")
    return scores


def _cross_validated(estimator, X, Y, cv, fit_params, random_state):
    """Return the test rows of all splits and their scores."""
    tested = []
    scores = []
    rng = check_random_state(random_state)
    seed = draw_seed(rng)
    for train, test in splits(cv, X, Y, rng):
        fitted = fitted_to(estimator, X, Y, train, fit_params, seed)
        tested.append(test)
        scores.append(_checked_scores(fitted, take_rows(X, test), Y))
    return np.concatenate(tested), sparse.vstack(scores, format="csr")
