"""Threshold selection, and scikit-learn's model selection functions for sparse y.

The searches of scikit-learn, such as GridSearchCV, accept a sparse y. Most of its functions do not.
This module has versions of these functions that accept it.
"""

from ._threshold import (
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_importance,
    tune_threshold,
    validation_curve,
)

__all__ = [
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "permutation_importance",
    "tune_threshold",
    "validation_curve",
]


def __dir__():
    return __all__
