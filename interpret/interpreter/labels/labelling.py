"""From a predictor's JSON to its prediction and the labelled instances that explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from allennlp.common.util import JsonDict
from allennlp.data import Instance
from allennlp.data.fields import FlagField, LabelField, SequenceLabelField
from allennlp.data.fields.sequence_field import SequenceField
from allennlp.predictors import Predictor, SentenceTaggerPredictor

from ...contracts import (
    AddsDetails,
    CombinesExplanations,
    ExplainedInstance,
    LabelsUnpredicted,
    overrides,
)
from ...errors import InterpretationError
from ...inputs.texts import tag_spans, text_items
from ...space.packing import let_go
from ..reading import LengthCheck, read_input, too_long
from .batched_predictions import FEW, BatchedPredictions, Known, Outputs, predicts_plainly
from .predictor_labels import PredictionLabels, without_explained


class OwnLabels(PredictionLabels):
    """The labels of a predictor that labels its instances itself."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        own = SentenceTaggerPredictor.predictions_to_labeled_instances
        if not isinstance(predictor, SentenceTaggerPredictor) or overrides(predictor, own):
            return predictor.predictions_to_labeled_instances(instance, cast(Any, outputs))
        # One instance per entity, whatever the tags' scheme: AllenNLP's own takes BIOUL alone.
        labelled = []
        for start, end in tag_spans(outputs["tags"]):
            only = [tag if start <= i < end else "O" for i, tag in enumerate(outputs["tags"])]
            copy = instance.duplicate()
            tokens = cast(SequenceField, copy["tokens"])
            copy.add_field("tags", SequenceLabelField(only, tokens), predictor._model.vocab)
            copy.add_field("ignore_loss_on_o_tags", FlagField(True))
            labelled.append(copy)
        return labelled


@dataclass(frozen=True)
class LabelledInstance:
    """One prediction to explain.

    Attributes:
        instance: The instance with its label, token indexers applied.
        outputs: The model's outputs that the label comes from; empty where it comes from elsewhere.
        labels: The labels that labelled it.
    """

    instance: Instance
    outputs: Mapping[str, Any] = field(default_factory=dict)
    labels: PredictionLabels = field(default_factory=OwnLabels)


@dataclass
class Labelled:
    """An input with its prediction and labelled instances.

    Attributes:
        prediction: The result of `predict_json`, None where it was not wanted.
        instances: One labelled instance per prediction to explain.
        error: The error, where there are no instances.
        details: What the predictor adds to the details of their explanations.
        combine: What the predictor makes of the labelled instances and their explanations; None for
            the explanations as they are.
        again: Predicts and labels the input alone; None where that was done.
    """

    prediction: JsonDict | None = None
    instances: list[LabelledInstance] = field(default_factory=list)
    error: Exception | None = None
    details: JsonDict = field(default_factory=dict)
    combine: Callable[[Sequence[ExplainedInstance]], Sequence[ExplainedInstance]] | None = None
    again: Callable[[], Labelled] | None = None


def label_json(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    predict: bool,
    labels: PredictionLabels | None = None,
) -> list[Labelled]:
    """Predicts and labels inputs, with one forward pass for both where the predictor allows it.
    Many are predicted in batches; see `BatchedPredictions`.

    Args:
        predictor: A predictor that may be run freely (a twin's).
        inputs: The inputs, as for `predict_json`.
        predict: Whether the predictions are wanted.
        labels: The labels to use, attached to the predictor's model; None where the predictor
            labels its instances itself.

    Returns:
        One per input, in order; an input that fails carries its error.
    """
    lengths = LengthCheck(predictor)
    alone = partial(_predict, predictor, lengths)
    label = [partial(_label_json, predictor, labels, json, predict) for json in inputs]
    if len(inputs) <= FEW or not predicts_plainly(predictor, labels):
        return [_isolated(predictor, partial(one, None, alone)) for one in label]
    instances = partial((labels or OwnLabels()).instances, predictor)
    read = [partial(read_input, predictor, instances, json, reads=True) for json in inputs]
    batched = BatchedPredictions(predictor, alone, lengths)
    known = batched.of(batched.read(read))
    return [_known(predictor, *pair, alone) for pair in zip(label, known, strict=True)]


def label_instances(
    predictor: Predictor,
    instances: Sequence[Instance],
    predict: bool,
    labels: PredictionLabels | None = None,
) -> list[Labelled]:
    """As `label_json`, for instances that a dataset reader made; they are left as they are."""
    lengths = LengthCheck(predictor)
    alone = partial(_predict, predictor, lengths)
    label = [partial(_label_instance, predictor, labels, one, predict) for one in instances]
    if len(instances) <= FEW or not predicts_plainly(predictor, labels):
        return [_isolated(predictor, partial(one, None, alone)) for one in label]
    copies = [[one.duplicate()] for one in instances]
    known = BatchedPredictions(predictor, alone, lengths).of(copies)
    return [_known(predictor, *pair, alone) for pair in zip(label, known, strict=True)]


def reading(predictor: Predictor, labels: PredictionLabels | None, json: JsonDict) -> Instance:
    """The one instance, without a label, that a predictor makes of an input.

    Args:
        predictor: The predictor; it may be run freely.
        labels: The labels to use; None where the predictor labels its instances itself.
        json: The input.

    Raises:
        InterpretationError: If the input cannot be read, or the predictor makes several instances
            of it.
    """
    read = partial((labels or OwnLabels()).instances, predictor)
    instances = read_input(predictor, read, json, reads=True)
    if len(instances) != 1:
        raise InterpretationError(
            f"{type(predictor).__name__} makes {len(instances)} instances of an input"
        )
    predictor._dataset_reader.apply_token_indexers(instances[0])
    return instances[0]


def _isolated(predictor: Predictor, label: Callable[[Labelled], None]) -> Labelled:
    """The result that a function fills; if it fails, the error and the prediction, if that was
    made."""
    labelled = Labelled()
    try:
        label(labelled)
        for one in labelled.instances:
            predictor._dataset_reader.apply_token_indexers(one.instance)
            for own in one.instance.fields.values():
                # Added by its name, without the vocabulary, to an instance that was indexed before.
                unnamed = isinstance(own, LabelField) and own._label_id is None
                if unnamed or (isinstance(own, SequenceLabelField) and not own._indexed_labels):
                    own.index(predictor._model.vocab)
        return labelled
    except Exception as error:
        let_go(error)
        if isinstance(error, RuntimeError) and "implement this method" in str(error):
            error = InterpretationError(
                f"predictor {type(predictor).__name__!r} did not label the instance, so there is "
                "no prediction to explain; override predictions_to_labeled_instances in it"
            )
        return Labelled(labelled.prediction, error=error)


def _known(
    predictor: Predictor,
    label: Callable[..., None],
    known: Known | None,
    alone: Callable[[Instance], Outputs],
) -> Labelled:
    """The result for an input that may have been read and predicted before: among others, or by a
    predictor that has read others since, so that it may be made again alone."""
    if known is None or known.outputs is None:
        instances = None if known is None else known.instances
        return _isolated(predictor, partial(label, instances, alone))
    outputs = known.outputs
    labelled = _isolated(predictor, partial(label, known.instances, lambda _: outputs))
    again = partial(_isolated, predictor, partial(label, None, alone))
    if labelled.error is not None:
        return again()
    labelled.again = again
    return labelled


def _label_json(
    predictor: Predictor,
    labels: PredictionLabels | None,
    json: JsonDict,
    predict: bool,
    instances: Sequence[Instance] | None,
    outputs_of: Callable[[Instance], Outputs],
    labelled: Labelled,
) -> None:
    """Fills in what an input gives.

    Args:
        instances: What the predictor makes of the input; None to read it.
        outputs_of: What the model returns for an instance.
    """
    predicts = (Predictor.predict_json, Predictor.predict_instance)
    if labels is None and (
        overrides(predictor, Predictor.json_to_labeled_instances)
        or (predict and any(overrides(predictor, method) for method in predicts))
    ):
        if predict:
            labelled.prediction = read_input(predictor, predictor.predict_json, json)
        own = read_input(predictor, predictor.json_to_labeled_instances, json)
        labelled.instances = [LabelledInstance(one) for one in own]
        return
    labels = labels or OwnLabels()
    if instances is None:
        instances = read_input(predictor, partial(labels.instances, predictor), json, reads=True)
    _label(predictor, labels, json, predict, instances, outputs_of, labelled)


def _label_instance(
    predictor: Predictor,
    labels: PredictionLabels | None,
    given: Instance,
    predict: bool,
    instances: Sequence[Instance] | None,
    outputs_of: Callable[[Instance], Outputs],
    labelled: Labelled,
) -> None:
    """As `_label_json`, for an instance, which is left as it is; `instances` has a copy of it."""
    copies = [given.duplicate()] if instances is None else instances
    _label(predictor, labels or OwnLabels(), None, predict, copies, outputs_of, labelled)


def _label(
    predictor: Predictor,
    labels: PredictionLabels,
    json: JsonDict | None,
    predict: bool,
    instances: Sequence[Instance],
    outputs_of: Callable[[Instance], Outputs],
    labelled: Labelled,
) -> None:
    """Fills in what the instances of one input give; `json` is the input, None where it is an
    instance."""
    for one in instances:
        predictor._dataset_reader.apply_token_indexers(one)
    known = None
    if not predict and isinstance(predictor, LabelsUnpredicted):
        known = predictor.labeled_instances(instances[0])
    if known is not None:
        labelled.instances = [LabelledInstance(one) for one in known]
    else:
        outputs = [outputs_of(one) for one in instances]
        if predict and json is None:
            labelled.prediction = without_explained(outputs[0])
        elif predict:
            labelled.prediction = labels.prediction(predictor, dict(json or {}), instances, outputs)
        labelled.instances = [
            LabelledInstance(explained, outputs[number], labels)
            for number in labels.chosen(outputs)
            for explained in labels.labelled(predictor, instances[number], outputs[number])
        ]
        if len(outputs) == 1:
            labelled.details = labels.details(predictor, outputs[0])
    if len(instances) == 1 and isinstance(predictor, AddsDetails):
        own = predictor.explanation_details(instances[0])
        labelled.details = {**labelled.details, **own}
    if len(instances) == 1 and isinstance(predictor, CombinesExplanations):
        labelled.combine = partial(predictor.combined, instances[0])


def _predict(predictor: Predictor, lengths: LengthCheck, instance: Instance) -> dict[str, Any]:
    lengths.check(instance)
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
