"""Models of several tasks: an explanation is of the head that an input's task asks."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from allennlp.data import Instance
from allennlp.data.fields import LabelField, MetadataField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.errors import InterpretationError, close_names
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import Explained, explained
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
    labels_of,
)
from allennlp_saliency.interpret.target.outputs import LOGITS, PROBABILITIES
from allennlp_saliency.interpret.target.prediction_check import expected_outputs

from .classification import ClassLabels

_TASK = "task"


class TaskLabels(PredictionLabels):
    """What the predictor of an input's own task would label.

    The model names a head's outputs `TASK_logits` and weighs the heads' losses; what is explained
    has the names and the loss that the head itself gives them.
    """

    # A head scores the rows of its task alone: what it returns for several cannot be told apart.
    writes = True

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        known: Any = predictor.predictors  # type: ignore[attr-defined]
        task = inputs.get(_TASK)
        if _TASK in inputs and task not in known:
            raise InterpretationError(
                f"the model has no task {task!r}; {close_names(str(task), list(known))}"
            )
        if task in known and type(known[task]) is Predictor:
            raise InterpretationError(
                f"the head of the task {task!r} names no predictor, so nothing reads its inputs; "
                "name one as `default_predictor` of the head's class"
            )
        (instance,) = super().instances(predictor, inputs)
        readers: Any = predictor._dataset_reader
        readers.readers[task].apply_token_indexers(instance)
        return [instance]

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        task = _task_of(instance)
        model: Any = predictor._model
        own = copy.copy(predictor.predictors[task])  # type: ignore[attr-defined]
        own._model = model
        of_head = _of_head(outputs, task)
        labels = labels_of(own)
        unlabelled = Predictor.predictions_to_labeled_instances
        if labels is None and type(own).predictions_to_labeled_instances is unlabelled:
            labels = ClassLabels()
        if labels is not None:
            found = labels.labelled(own, instance, of_head)
        else:
            found = own.predictions_to_labeled_instances(instance, dict(of_head))
        head: Any = model._heads[task]
        return [_named_by(head, one) for one in found]

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        return expected_outputs(model, instance, _of_head(outputs, _task_of(instance)))

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        tasks = inputs.get(_TASK)
        outputs = run(**inputs)
        if what is None or tasks is None:
            return outputs
        if len(set(tasks)) == 1:
            return {**outputs, **_of_head(outputs, tasks[0])}
        together = _of_rows(outputs, tasks)
        label = inputs.get("label")
        if "logits" in together and isinstance(label, Tensor):
            together["loss"] = F.cross_entropy(together["logits"], label.long().view(-1))
        return {**outputs, **together}


def _task_of(instance: Instance) -> str:
    field: Any = instance[_TASK]
    assert isinstance(field, MetadataField)
    return str(field.metadata)


def _of_head(outputs: Mapping[str, Any], task: str) -> dict[str, Any]:
    """A head's outputs by the names that it gives them."""
    prefix = f"{task}_"
    return {
        name.removeprefix(prefix): one for name, one in outputs.items() if name.startswith(prefix)
    }


def _of_rows(outputs: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, Any]:
    """The scores of all rows, each of its own head: `(rows, classes)`, lowest for classes that a
    head does not have. A head has scored the rows of its task alone."""
    found: dict[str, Any] = {}
    for names, lowest in ((LOGITS, torch.finfo(torch.float32).min), (PROBABILITIES, 0.0)):
        own = {task: _scores(_of_head(outputs, task), names) for task in set(tasks)}
        known = [one for one in own.values() if one is not None]
        if len(known) < len(own):
            continue
        widest = max(one.shape[-1] for one in known)
        next_row = {task: iter(one) for task, one in own.items() if one is not None}
        rows = [next(next_row[task]) for task in tasks]
        found[names[0]] = torch.stack(
            [F.pad(row, (0, widest - row.shape[-1]), value=lowest) for row in rows]
        )
    return found


def _scores(outputs: Mapping[str, Any], names: Sequence[str]) -> Tensor | None:
    found = next((outputs[name] for name in names if name in outputs), None)
    return found if isinstance(found, Tensor) and found.dim() == 2 else None


def _named_by(head: Any, instance: Instance) -> Instance:
    """A labelled instance whose class is called as in the namespace of a head."""
    label, namespace = instance.fields.get("label"), getattr(head, "_label_namespace", None)
    what = Explained(label_field="label" if isinstance(label, LabelField) else None)
    if not isinstance(label, LabelField) or namespace is None:
        return instance if what.label_field is None else explained(instance, what)
    named = LabelField(label.label, namespace, skip_indexing=label._skip_indexing)
    return explained(instance, what, label=named)
