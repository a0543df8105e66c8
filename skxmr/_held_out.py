"""Scores of rows by rankers that were fitted to other rows."""

import numpy as np
from scipy import sparse
from sklearn.model_selection import KFold, check_cv
from sklearn.utils.validation import _num_samples

from ._cloning import clone_with
from ._rankers import take_rows

PREFIT = "prefit"


def splits(cv, X, y, random_state):
    """Return the pairs (train, test) of row numbers that `cv` asks for.

    Folds of a number are drawn at random: corpora tend to be sorted.
    """
    folds = check_cv(cv, y)
    if isinstance(folds, KFold) and not hasattr(cv, "split"):
        folds = KFold(folds.n_splits, shuffle=True, random_state=random_state)
    return list(folds.split(np.zeros((_num_samples(X), 1)), y))


def fitted_to(estimator, X, y, rows, fit_params, seed):
    """Return a clone of the estimator, with the seed if it has none, fitted to some of the rows."""
    fresh = clone_with(estimator, random_state=seed)
    return fresh.fit(take_rows(X, rows), take_rows(y, rows), **fit_params)


def sliceable(y):
    """Return y as something whose rows can be taken: CSR if it is sparse, else an array."""
    return y.tocsr() if sparse.issparse(y) else np.asarray(y)
