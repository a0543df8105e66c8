"""Choice of thresholds, and scikit-learn's model selection for sparse y.

scikit-learn's searches (GridSearchCV and its relatives) take sparse y as they are; its functions
mostly refuse it. Here are those that do, otherwise unchanged.
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
