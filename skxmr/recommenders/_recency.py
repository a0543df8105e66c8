"""Weights of purchases by their age."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._utils.matrices import canonical_csr, check_sparse_structure, widened
from ._times import days_of


class Recency(TransformerMixin, BaseEstimator):
    """Turn the ages of purchases into weights.

    Parameters
    ----------
    half_life : str, number or timedelta, default=None
        Age at which a purchase has half of its weight; a number is days. None: all weights are 1.
    window : str, number or timedelta, default=None
        Older purchases have the weight 0. Their zeros are stored, so that recommenders still
        exclude them as seen.

    Attributes
    ----------
    n_features_in_ : int
        Number of items.

    See Also
    --------
    temporal_examples : Makes matrices of ages.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from skxmr.recommenders import Recency
    >>> ages = csr_matrix([[1.0, 30.0, 90.0]])
    >>> Recency(half_life="30D", window="60D").fit_transform(ages).toarray().round(2)
    array([[0.98, 0.5 , 0.  ]], dtype=float32)
    """

    def __init__(self, half_life=None, window=None):
        self.half_life = half_life
        self.window = window

    def fit(self, X, y=None):
        """Check the parameters and the ages. Nothing is learned.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
            Ages in days.
        y : None
            Ignored.

        Returns
        -------
        self : Recency
        """
        self._durations()
        self._check(X, reset=True)
        return self

    def transform(self, X):
        """Return the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_items)
            Ages in days. Zeros that a sparse matrix stores are ages of 0.

        Returns
        -------
        weights : csr_matrix of float32, shape (n_samples, n_items)
            In [0, 1], with the entries of X.

        Raises
        ------
        ValueError
            If an age is negative, which is a time after the cutoff, or not finite.
        """
        check_is_fitted(self)
        half_life, window = self._durations()
        ages = self._check(X, reset=False)
        weights = np.ones(ages.nnz, dtype=np.float32)
        if half_life is not None:
            weights = np.exp2(-ages.data.astype(np.float64) / half_life).astype(np.float32)
        if window is not None:
            weights[ages.data > window] = 0
        return sp.csr_matrix((weights, ages.indices.copy(), ages.indptr.copy()), shape=ages.shape)

    def _durations(self):
        pairs = (("half_life", self.half_life), ("window", self.window))
        return [None if value is None else days_of(value, name) for name, value in pairs]

    def _check(self, X, reset):
        check_sparse_structure(X, "X")
        X = validate_data(self, widened(X), accept_sparse="csr", dtype=np.float32, reset=reset)
        X = canonical_csr(X, "X", keep_zeros=True)
        if len(X.data) and X.data.min() < 0:
            raise ValueError(
                "Negative values in data: X must hold ages in days before the cutoff, "
                f"got {X.data.min()}, a time after it"
            )
        return X

    def __sklearn_is_fitted__(self):
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
