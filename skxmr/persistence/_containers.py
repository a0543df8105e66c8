"""Pipelines and other estimators of scikit-learn that contain estimators."""

from sklearn import pipeline as sklearn_pipeline
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion

from .._saving.kinds import EstimatorKind, register
from ..pipeline import Pipeline
from ._attributes import FIELDS, pack_attributes, unpack_attributes


def register_all():
    """Enter the kinds of this module."""
    register(PipelineKind(Pipeline))
    register(PipelineKind(sklearn_pipeline.Pipeline, name="sklearn.pipeline.Pipeline"))
    register(EstimatorKind(FrozenEstimator, name="sklearn.frozen.FrozenEstimator"))
    for cls, name in (
        (FeatureUnion, "sklearn.pipeline.FeatureUnion"),
        (ColumnTransformer, "sklearn.compose.ColumnTransformer"),
    ):
        register(EstimatorKind(cls, pack_attributes, unpack_attributes, FIELDS, name=name))


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
