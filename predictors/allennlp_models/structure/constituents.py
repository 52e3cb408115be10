"""Constituency parses: one explanation for each span of the tree.

What is explained is the log-probability of the span's label. "S-VP" is one label: an S that has
nothing but a VP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.inputs.explained import (
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward

from ..hooks import heard
from ..places import PlacedLabels

_LABEL = "explained_span"
_NAMESPACE = "labels"
_NONE = "NO-LABEL"
_PROBABILITIES = "class_probabilities"


@dataclass(frozen=True)
class _Span:
    """A span as the model resolves overlaps between them, its end exclusive."""

    start: int
    end: int
    label_prob: float
    no_label_prob: float
    label_index: int
    number: int


class ConstituentLabels(PlacedLabels):
    """The label of every span of the predicted tree, `positions` its tokens."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        labelled = []
        for span in _tree(predictor._model, outputs):
            positions = list(range(span.start, span.end))
            what = Explained({"positions": positions}, span.number, _LABEL)
            label = LabelField(span.label_index, _NAMESPACE, skip_indexing=True)
            labelled.append(explained(instance, what, **{_LABEL: label}))
        return labelled

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = cast(Explained, explained_by(instance))
        return {_PROBABILITIES: outputs[_PROBABILITIES][what.choice]}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        labels = inputs.pop(_LABEL)
        inputs.pop("span_labels", None)
        layer: Any = model.tag_projection_layer
        with heard(layer) as (seen,):
            outputs = run(**inputs)
        rows = torch.arange(len(what), device=labels.device)
        spans = torch.tensor([one.choice for one in what], device=labels.device)
        logits = seen[-1][rows, spans]
        return {
            "logits": logits,
            _PROBABILITIES: outputs[_PROBABILITIES][rows, spans],
            LOG_LIKELIHOOD: logits.log_softmax(-1)[rows, labels],
        }


def _tree(model: Any, outputs: Mapping[str, Any]) -> list[_Span]:
    """The spans of the predicted tree: those with a label and the whole sentence, without those
    that overlap with better ones."""
    none = model.vocab.get_token_index(_NONE, _NAMESPACE)
    chosen = []
    for number, (span, probabilities) in enumerate(
        zip(outputs["spans"], np.asarray(outputs[_PROBABILITIES]), strict=True)
    ):
        start, end = int(span[0]), int(span[1]) + 1
        best = int(np.argmax(probabilities))
        if best != none or (start == 0 and end == len(outputs["tokens"])):
            numbers = float(probabilities[best]), float(probabilities[none])
            chosen.append(_Span(start, end, *numbers, best, number))
    return model.resolve_overlap_conflicts_greedily(chosen)
