"""Any estimator that ranks, as a recommender."""

import inspect

import numpy as np
import scipy.sparse as sp

from .._ranking.wrapped import best_scores, unwrapped
from ._base import BaseRecommender


def fit_estimator(estimator, training, y, weights=None):
    """Fit an estimator. Its last step gets what is known about the rows, if it takes it."""
    given = {
        "users": training.users,
        "target_times": None,
        "cutoffs": training.cutoffs,
        "sample_weight": weights,
    }
    if training.times is not None:
        parts = (training.times, y.indices, y.indptr)
        given["target_times"] = sp.csr_matrix(parts, shape=y.shape)
    prefix = ""
    last = estimator
    while hasattr(last, "steps"):
        prefix += last.steps[-1][0] + "__"
        last = last.steps[-1][1]
    taken = inspect.signature(last.fit).parameters
    params = {
        prefix + name: value for name, value in given.items() if value is not None and name in taken
    }
    return estimator.fit(training.X, y, **params)


def scores_of(estimator, X, n_items, n_candidates, limits=None):
    """Return the scores of all items; of estimators that search, those of the best ones.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : csr_matrix
    n_items, n_candidates : int
    limits : Limits, optional
        Items that a search leaves out, or is restricted to.

    Returns
    -------
    scores : ndarray of float32, shape (n, n_items)
        -inf for items that are not ranked.
    """
    inner, rows = unwrapped(estimator, X)
    if isinstance(inner, BaseRecommender):
        return inner.decision_function(rows)
    k = min(n_candidates, n_items)
    options = {} if limits is None else _search_options(inner, X, limits)
    if options:
        labels, values = inner.rank(rows, k, **options)
    else:
        labels, values = best_scores(inner, rows, k, n_items)
    scores = np.full((labels.shape[0], n_items), -np.inf, dtype=np.float32)
    found, columns = np.nonzero(labels >= 0)
    scores[found, labels[found, columns]] = values[found, columns]
    return scores


def _search_options(estimator, X, limits):
    """Return the limits as arguments of the method rank, without those that it does not take."""
    rank = getattr(estimator, "rank", None)
    taken = () if rank is None else inspect.signature(rank).parameters
    options = {}
    if "exclude" in taken:
        options["exclude"] = _excluded(X, limits)
    if "among" in taken and limits.among is not None:
        options["among"] = _matrix_of(limits.among, X.shape)
    return options


def _excluded(X, limits):
    """Return the excluded items of each row as a matrix."""
    matrix = sp.csr_matrix(X.shape, dtype=np.float32)
    if limits.exclude_stored:
        ones = np.ones(X.nnz, dtype=np.float32)
        matrix = matrix + sp.csr_matrix((ones, X.indices, X.indptr), shape=X.shape)
    if limits.exclude is not None:
        matrix = matrix + _matrix_of(limits.exclude, X.shape)
    return matrix


def _matrix_of(sets, shape):
    """Return sets of items, one for each row or the same for all, as a matrix."""
    pointers = sets.ptr - sets.ptr[0]
    members = sets.members[sets.ptr[0] : sets.ptr[-1]]
    if sets.is_shared:
        pointers = np.arange(shape[0] + 1) * len(members)
        members = np.tile(members, shape[0])
    ones = np.ones(len(members), dtype=np.float32)
    return sp.csr_matrix((ones, members, pointers), shape=shape)
