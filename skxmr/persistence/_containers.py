"""Pipelines and other estimators of scikit-learn that contain estimators."""

from sklearn import pipeline as sklearn_pipeline
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion

from .._saving.kinds import EstimatorKind, register
from ..pipeline import Pipeline
from ..text_ranker import LabelTextChoice, TextRanker
from ._attributes import FIELDS, pack_attributes, unpack_attributes


def register_all():
    """Enter the kinds of this module."""
    register(PipelineKind(Pipeline))
    register(PipelineKind(sklearn_pipeline.Pipeline, name="sklearn.pipeline.Pipeline"))
    register(PipelineKind(TextRanker, _pack_choice, _unpack_choice, ["label_texts"]))
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


def _pack_choice(ranker, part):
    choice = getattr(ranker, "label_texts_", None)  # not there if only the steps were fitted
    return {"label_texts": part.value(choice and tuple(choice), "label_texts_")}


def _unpack_choice(ranker, part):
    values = part.value("label_texts")
    if values is None:
        return
    is_choice = isinstance(values, tuple) and len(values) == len(LabelTextChoice._fields)
    if not is_choice or not _is_valid(LabelTextChoice(*values)):
        part.fail(f"its label_texts are {values!r:.80}")
    ranker.label_texts_ = LabelTextChoice(*values)


def _is_valid(choice):
    measured = [p for p in (choice.with_texts, choice.without_texts) if p is not None]
    are_numbers = all(
        isinstance(p, tuple) and len(p) == 3 and all(isinstance(value, float) for value in p)
        for p in measured
    )
    return are_numbers and isinstance(choice.used, bool) and isinstance(choice.n_held_out, int)


def _step_name(part, step):
    if not isinstance(step, tuple) or len(step) != 2 or not isinstance(step[0], str):
        part.fail(f"{step!r:.80} is not a step of a pipeline")
    return step[0]
