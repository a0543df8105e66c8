"""Marks that tests share."""

import pytest


def slow_except(quick, values):
    """The values of a parameter, all but the quick ones marked as slow."""
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]


#: Checks of scikit-learn that apply to estimators of strings, which it does not check by itself.
TEXT_CHECKS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]
