"""Parses: one explanation for each span of a tree, or for each arc."""

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
from torch import Tensor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.inputs.explained import (
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import Forward

from ..hooks import heard, replaced
from ..places import PlacedLabels

_SPAN, _SPANS = "explained_span", "labels"
_NONE = "NO-LABEL"
_PROBABILITIES = "class_probabilities"
_ARC, _HEADS = "explained_tag", "head_tags"
_ARCS = "explained_arcs"
_TAGS = "explained_tags"
_ROOT = "ROOT"


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
    """The label of every span of a constituency parse, `positions` its tokens.

    What is explained is the log-probability of the span's label. "S-VP" is one label: an S that has
    nothing but a VP.
    """

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        labelled = []
        for span in _tree(predictor._model, outputs):
            positions = list(range(span.start, span.end))
            what = Explained({"positions": positions}, span.number, _SPAN)
            label = LabelField(span.label_index, _SPANS, skip_indexing=True)
            labelled.append(explained(instance, what, **{_SPAN: label}))
        return labelled

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = cast(Explained, explained_by(instance))
        return {_PROBABILITIES: outputs[_PROBABILITIES][what.choice]}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        layer: Any = model.tag_projection_layer
        labels = inputs.pop(_SPAN)
        inputs.pop("span_labels", None)
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
    none = model.vocab.get_token_index(_NONE, _SPANS)
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


class ArcLabels(PlacedLabels):
    """The arc of every word of a dependency parse: `label` is its tag, `positions` the word, `head`
    its head.

    What is explained of an arc is log p(head) + log p(tag | head): minus the mean of that over the
    words is the model's loss (Dozat and Manning 2017, arXiv 1611.01734).
    """

    words = "words"

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        words = outputs["words"]
        arcs = zip(outputs["predicted_heads"], outputs["predicted_dependencies"], strict=True)
        labelled = []
        for child, (head, tag) in enumerate(arcs):
            label = {
                "positions": [child],
                "head": words[head - 1] if head else _ROOT,
                "head_positions": [int(head) - 1] if head else [],
            }
            # Before the words, the model puts one that stands for the root.
            what = Explained(label, choice=(child + 1, int(head)), label_field=_ARC)
            index = predictor._model.vocab.get_token_index(tag, _HEADS)
            field = LabelField(index, _HEADS, skip_indexing=True)
            labelled.append(explained(instance, what, **{_ARC: field}))
        return labelled

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = cast(Explained, explained_by(instance))
        child, head = what.choice
        tag = cast(LabelField, instance[_ARC])._label_id
        return {LOG_LIKELIHOOD: outputs[_ARCS][child, head] + outputs[_TAGS][child, tag]}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        seen: dict[str, Tensor] = {}
        original: Any = model._construct_loss

        def construct_loss(**given: Tensor) -> Any:
            seen.update(given)
            return original(**given)

        with replaced(model, "_construct_loss", construct_loss):
            if what is None:
                outputs = run(**inputs)
                tag_logits = _tag_logits(model, seen, outputs["heads"].long())
                outputs[_ARCS] = seen["attended_arcs"].log_softmax(-1)
                outputs[_TAGS] = tag_logits.log_softmax(-1)
                return outputs
            tags = inputs.pop(_ARC)
            # What it decodes is known.
            decoders = ("_mst_decode", "_greedy_decode")
            with replaced(model, decoders[0], _no_arcs), replaced(model, decoders[1], _no_arcs):
                run(**inputs)
        return _of_arcs(model, seen, tags, torch.tensor([one.choice for one in what]))


def _of_arcs(
    model: Model, seen: Mapping[str, Tensor], tags: Tensor, choices: Tensor
) -> dict[str, Any]:
    """The outputs that a target reads, by what the model gave to its loss, the tag of each row's
    arc, `(rows,)`, and its child and head, `(rows, 2)`."""
    arcs = seen["attended_arcs"]
    rows = torch.arange(len(arcs), device=arcs.device)
    child, head = choices.to(arcs.device).unbind(1)
    heads = torch.zeros(arcs.shape[:2], dtype=torch.long, device=arcs.device)
    heads[rows, child] = head
    arc = arcs[rows, child]
    # `(rows, tags)`
    tag_logits = _tag_logits(model, seen, heads)[rows, child]
    log_p = arc.log_softmax(-1)[rows, head].unsqueeze(1) + tag_logits.log_softmax(-1)
    return {
        "logits": arc[rows, head].unsqueeze(1) + tag_logits,
        "probs": log_p.exp(),
        LOG_LIKELIHOOD: log_p[rows, tags],
    }


def _tag_logits(model: Any, seen: Mapping[str, Tensor], heads: Tensor) -> Tensor:
    """The logits of each word's tag given its head, `(rows, words, tags)`."""
    return model._get_head_tags(
        seen["head_tag_representation"], seen["child_tag_representation"], heads
    )


def _no_arcs(*given: Tensor) -> tuple[Tensor, Tensor]:
    none = torch.zeros_like(given[-1], dtype=torch.long)
    return none, none.clone()
