"""Cross-validation of rankers: folds, and clones fitted to some of the rows."""

import numpy as np
from sklearn.model_selection import KFold, check_cv
from sklearn.utils.validation import _num_samples

from .._ranking.wrapped import take_rows
from .._utils.cloning import clone_with
from .._utils.matrices import as_array

PREFIT = "prefit"


def splits(cv, X, y, random_state):
    """Return the folds of `cv` as pairs (train, test) of row numbers.

    If `cv` is a number of folds, the rows are shuffled, because many data sets are sorted. An
    iterable may yield row numbers or boolean masks, as in scikit-learn.
    """
    n_rows = _num_samples(X)
    folds = check_cv(cv, y)
    if isinstance(folds, KFold) and not hasattr(cv, "split"):
        folds = KFold(folds.n_splits, shuffle=True, random_state=random_state)
    pairs = list(folds.split(np.zeros((n_rows, 1)), y))
    if not pairs:
        raise ValueError("cv must yield pairs of training and test rows, got none")
    return [tuple(_row_numbers(rows, n_rows) for rows in pair) for pair in pairs]


def _row_numbers(rows, n_rows):
    """Return the rows of one side of a fold as numbers. Raise ValueError if there are none."""
    rows = as_array(rows, "cv")
    if rows.ndim != 1 or (rows.dtype.kind not in "iub" and len(rows)):
        raise ValueError(
            f"cv must yield one-dimensional row numbers or boolean masks, got an array of "
            f"{rows.dtype} with shape {rows.shape}"
        )
    if rows.dtype.kind == "b":
        if len(rows) != n_rows:
            raise ValueError(f"cv must yield masks of {n_rows} rows, got one of {len(rows)}")
        rows = np.flatnonzero(rows)
    if len(rows) == 0:
        raise ValueError("cv must yield training and test rows, got a fold without any")
    if rows.min() < -n_rows or rows.max() >= n_rows:
        raise ValueError(
            f"cv must yield row numbers below {n_rows}, got {rows.min()} to {rows.max()}"
        )
    return rows


def fitted_to(estimator, X, y, rows, fit_params, seed):
    """Return a clone of the estimator that is fitted to some of the rows.

    The clone gets the seed if its own `random_state` is None.
    """
    unfitted = clone_with(estimator, random_state=seed)
    return unfitted.fit(take_rows(X, rows), take_rows(y, rows), **fit_params)
