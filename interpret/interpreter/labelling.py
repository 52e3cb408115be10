"""From a predictor's JSON to its prediction and the labelled instances that explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from allennlp.common.util import JsonDict, sanitize
from allennlp.data import Instance
from allennlp.data.fields import FlagField, SequenceLabelField
from allennlp.data.fields.sequence_field import SequenceField
from allennlp.predictors import Predictor, SentenceTaggerPredictor

from ..contracts import AddsDetails, LabelsUnpredicted, overrides
from ..errors import InterpretationError
from ..inputs.tag_spans import tag_spans
from ..inputs.texts import text_items
from ..space.packing import let_go
from .lengths import check_length, too_long
from .predictor_labels import PredictionLabels
from .reading import read_input
from .replayed_prediction import without_explained


@dataclass(frozen=True)
class LabelledInstance:
    """One prediction to explain.

    Attributes:
        instance: The instance with its label, token indexers applied.
        outputs: The model's outputs that the label comes from; empty where it comes from elsewhere.
        labels: The labels that labelled it, None if the predictor did.
    """

    instance: Instance
    outputs: Mapping[str, Any] = field(default_factory=dict)
    labels: PredictionLabels | None = None


@dataclass
class Labelled:
    """An input with its prediction and labelled instances.

    Attributes:
        prediction: The result of `predict_json`, None where it was not wanted.
        instances: One labelled instance per prediction to explain.
        error: The error, where there are no instances.
        details: What the predictor adds to the details of their explanations.
    """

    prediction: JsonDict | None = None
    instances: list[LabelledInstance] = field(default_factory=list)
    error: Exception | None = None
    details: JsonDict = field(default_factory=dict)


def label_json(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    predict: bool,
    labels: PredictionLabels | None = None,
) -> list[Labelled]:
    """Predicts and labels inputs, with one forward pass for both where the predictor allows it.

    Args:
        predictor: A predictor that may be run freely (a twin's).
        inputs: The inputs, as for `predict_json`.
        predict: Whether the predictions are wanted.
        labels: The labels to use, attached to the predictor's model; None where the predictor
            labels its instances itself.

    Returns:
        One per input, in order; an input that fails carries its error.
    """
    label = _label_json if labels is None else partial(_label_json_by, labels)
    return [_isolated(predictor, partial(label, predictor, one, predict)) for one in inputs]


def label_instances(
    predictor: Predictor,
    instances: Sequence[Instance],
    predict: bool,
    labels: PredictionLabels | None = None,
) -> list[Labelled]:
    """As `label_json`, for instances that a dataset reader made; they are left as they are."""
    label = _label_instance if labels is None else partial(_label_instance_by, labels)
    return [
        _isolated(predictor, partial(label, predictor, one.duplicate(), predict))
        for one in instances
    ]


def _isolated(predictor: Predictor, label: Callable[[Labelled], None]) -> Labelled:
    """The result that a function fills; if it fails, the error and the prediction, if that was
    made."""
    labelled = Labelled()
    try:
        label(labelled)
        for one in labelled.instances:
            predictor._dataset_reader.apply_token_indexers(one.instance)
        return labelled
    except Exception as error:
        let_go(error)
        return Labelled(labelled.prediction, error=_explained(predictor, error))


def _label_json(predictor: Predictor, json: JsonDict, predict: bool, labelled: Labelled) -> None:
    own = Predictor
    if overrides(predictor, own.json_to_labeled_instances) or (
        predict
        and (overrides(predictor, own.predict_json) or overrides(predictor, own.predict_instance))
    ):
        labelled.prediction = (
            read_input(predictor, predictor.predict_json, json) if predict else None
        )
        instances = read_input(predictor, predictor.json_to_labeled_instances, json)
        labelled.instances = [LabelledInstance(one) for one in instances]
    else:
        instance = read_input(predictor, predictor._json_to_instance, json)
        _label_instance(predictor, instance, predict, labelled)


def _label_json_by(
    labels: PredictionLabels,
    predictor: Predictor,
    json: JsonDict,
    predict: bool,
    labelled: Labelled,
) -> None:
    """As `_label_json`, where the labels are not the predictor's own."""
    instances = read_input(predictor, partial(labels.instances, predictor), json, reads=True)
    outputs = [_indexed_and_predicted(predictor, one) for one in instances]
    if predict:
        given = dict(json)
        labelled.prediction = labels.prediction(predictor, given, instances, outputs)
    labelled.instances = [
        LabelledInstance(explained, outputs[number], labels)
        for number in labels.chosen(outputs)
        for explained in labels.labelled(predictor, instances[number], outputs[number])
    ]
    if len(outputs) == 1:
        labelled.details = _details_by(labels, predictor, instances[0], outputs[0])


def _label_instance_by(
    labels: PredictionLabels,
    predictor: Predictor,
    instance: Instance,
    predict: bool,
    labelled: Labelled,
) -> None:
    outputs = _indexed_and_predicted(predictor, instance)
    labelled.prediction = without_explained(outputs) if predict else None
    found = labels.labelled(predictor, instance, outputs)
    labelled.instances = [LabelledInstance(one, outputs, labels) for one in found]
    labelled.details = _details_by(labels, predictor, instance, outputs)


def _details_by(
    labels: PredictionLabels, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
) -> JsonDict:
    own = predictor.explanation_details(instance) if isinstance(predictor, AddsDetails) else {}
    return {**labels.details(predictor, outputs), **own}


def _indexed_and_predicted(predictor: Predictor, instance: Instance) -> dict[str, Any]:
    predictor._dataset_reader.apply_token_indexers(instance)
    return _predict(predictor, instance)


def _label_instance(
    predictor: Predictor, instance: Instance, predict: bool, labelled: Labelled
) -> None:
    predictor._dataset_reader.apply_token_indexers(instance)
    _label(predictor, instance, predict, labelled)
    if isinstance(predictor, AddsDetails):
        labelled.details = predictor.explanation_details(instance)


def _label(predictor: Predictor, instance: Instance, predict: bool, labelled: Labelled) -> None:
    if not predict and isinstance(predictor, LabelsUnpredicted):
        known = predictor.labeled_instances(instance)
        if known is not None:
            labelled.instances = [LabelledInstance(one) for one in known]
            return
    outputs = _predict(predictor, instance)
    labelled.prediction = sanitize(outputs) if predict else None
    if _is_plain_tagger(predictor):
        instances = _label_spans(predictor, instance, outputs["tags"])
    else:
        instances = predictor.predictions_to_labeled_instances(instance, outputs)
    labelled.instances = [LabelledInstance(one, outputs) for one in instances]


def _predict(predictor: Predictor, instance: Instance) -> dict[str, Any]:
    check_length(predictor, instance)
    try:
        return predictor._model.forward_on_instance(instance)
    except InterpretationError:
        raise
    except Exception as error:
        # The field that a model generates into has no tokens yet.
        unwritten = getattr(predictor._model, "generated_field", None)
        empty = [
            item.name(name)
            for name, field in instance.fields.items()
            for item in text_items(field)
            if not item.text.tokens and name != unwritten
        ]
        if not empty:
            long = too_long(predictor, instance)
            if long is None:
                raise
            raise long from error
        raise InterpretationError(
            f"field {empty[0]!r} has no tokens, and {type(predictor._model).__name__} cannot take "
            f"that ({error}); leave the input out or give it a text"
        ) from error


def _is_plain_tagger(predictor: Predictor) -> bool:
    return isinstance(predictor, SentenceTaggerPredictor) and not (
        overrides(predictor, SentenceTaggerPredictor.predictions_to_labeled_instances)
    )


def _label_spans(predictor: Predictor, instance: Instance, tags: list[str]) -> list[Instance]:
    """One instance per entity, whatever the tags' scheme (AllenNLP's own takes BIOUL alone)."""
    labelled = []
    for start, end in tag_spans(tags):
        only = [tag if start <= i < end else "O" for i, tag in enumerate(tags)]
        copy = instance.duplicate()
        tokens = cast(SequenceField, copy["tokens"])
        copy.add_field("tags", SequenceLabelField(only, tokens), predictor._model.vocab)
        copy.add_field("ignore_loss_on_o_tags", FlagField(True))
        labelled.append(copy)
    return labelled


def _explained(predictor: Predictor, error: Exception) -> Exception:
    """The error, replaced by one with advice where there is any."""
    name = type(predictor).__name__
    if isinstance(error, RuntimeError) and "implement this method" in str(error):
        return InterpretationError(
            f"predictor {name!r} did not label the instance, so there is no prediction to explain; "
            "override predictions_to_labeled_instances in it"
        )
    return error
