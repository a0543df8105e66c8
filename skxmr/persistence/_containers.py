"""Pipelines and other estimators of scikit-learn that contain estimators."""

import sklearn
from sklearn import pipeline as sklearn_pipeline
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion

from .._saving.kinds import EstimatorKind, register
from ..pipeline import Pipeline

#: Attribute with the containers that `set_output` chose.
_OUTPUT = "_sklearn_output_config"


def register_all():
    """Enter the kinds of this module."""
    register(PipelineKind(Pipeline))
    register(PipelineKind(sklearn_pipeline.Pipeline, name="sklearn.pipeline.Pipeline"))
    register(EstimatorKind(FrozenEstimator, name="sklearn.frozen.FrozenEstimator"))
    for cls, name in (
        (FeatureUnion, "sklearn.pipeline.FeatureUnion"),
        (ColumnTransformer, "sklearn.compose.ColumnTransformer"),
    ):
        fields = ("attributes", "sklearn")
        register(EstimatorKind(cls, _pack_attributes, _unpack_attributes, fields, name=name))


class PipelineKind(EstimatorKind):
    """Pipelines, whose fitted state is that of their steps."""

    def rebuild(self, part):
        """Return the pipeline that was described."""
        model = super().rebuild(part)
        model._validate_names([_step_name(part, step) for step in model.steps])
        if not model.steps:
            part.fail("a pipeline has no steps")
        return model


def _step_name(part, step):
    if not isinstance(step, tuple) or len(step) != 2 or not isinstance(step[0], str):
        part.fail(f"{step!r:.80} is not a step of a pipeline")
    return step[0]


def _pack_attributes(estimator, part):
    """Describe all attributes that are not parameters, which differ between releases."""
    params = estimator.get_params(deep=False)
    attributes = {name: value for name, value in vars(estimator).items() if name not in params}
    attributes.pop("_metadata_request", None)
    return {"attributes": part.value(attributes, "attributes"), "sklearn": sklearn.__version__}


def _unpack_attributes(estimator, part):
    attributes = part.value("attributes")
    if not isinstance(attributes, dict):
        part.fail(f"its attributes are {attributes!r:.80}")
    params = estimator.get_params(deep=False)
    for name in attributes:
        is_attribute = isinstance(name, str) and (name.startswith("_") or name.endswith("_"))
        if not is_attribute or name.startswith("__") or name in params:
            part.fail(f"{name!r:.80} is not an attribute of a {type(estimator).__name__}")
    # Warns if another release of scikit-learn fitted it.
    state = {**params, **attributes, "_sklearn_version": part.get("sklearn", str)}
    estimator.__setstate__(state)
