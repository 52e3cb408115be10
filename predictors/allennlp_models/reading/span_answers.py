"""Answers that are spans of a passage: BiDAF, an ensemble of it, QANet and models like these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.models import Model
from torch import Tensor, nn

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayers, layers_of

from ..listening import heard

_STARTS, _ENDS = "span_start", "span_end"


@dataclass(frozen=True)
class SpanAnswer:
    """An answer in the passage.

    Attributes:
        first: Its first token.
        last: Its last token.
    """

    first: int
    last: int


def span_answer(instance: Instance, outputs: Mapping[str, Any]) -> Instance:
    """The instance with the best span that the model found."""
    first, last = (int(place) for place in outputs["best_span"])
    text = outputs.get("best_span_str") or _text(instance, first, last)
    places = list(range(first, last + 1))
    label: JsonDict = {"label": text, "positions": places, "field": "passage"}
    return explained(instance, Explained(label, SpanAnswer(first, last)))


def of_spans(outputs: dict[str, Any], answers: Sequence[SpanAnswer]) -> dict[str, Any]:
    """The outputs with log p(start) + log p(end) of each row's span, which is minus the loss that
    these models are trained on."""
    logits = [outputs[f"{name}_logits"] for name in (_STARTS, _ENDS)]
    outputs[LOG_LIKELIHOOD] = _of_ends([one.log_softmax(-1) for one in logits], answers)
    return outputs


def of_ensemble(
    model: Model, run: Forward, inputs: dict[str, Any], answers: Sequence[SpanAnswer]
) -> dict[str, Any]:
    """The same of an ensemble, whose probabilities are the mean of its members'."""
    members: Any = model
    with heard(*members.submodels) as returned:
        outputs = run(**inputs)
    probabilities = [
        torch.stack([own[0][f"{name}_probs"] for own in returned]).mean(0)
        for name in (_STARTS, _ENDS)
    ]
    outputs[LOG_LIKELIHOOD] = _of_ends([one.log() for one in probabilities], answers)
    return outputs


def ensemble_layers(model: Model) -> EmbeddingLayers:
    """The layers that embed texts in any member of an ensemble; a token has a vector in each."""
    members: Any = model
    embedders: dict[int, nn.Module] = {
        id(one._text_field_embedder): one._text_field_embedder for one in members.submodels
    }
    layers = [layer for embedder in embedders.values() for layer in layers_of(embedder)]
    return EmbeddingLayers(tuple(embedders.values()), tuple(layers))


def _of_ends(log_probs: Sequence[Tensor], answers: Sequence[SpanAnswer]) -> Tensor:
    """The log-probabilities of the first and the last token, `(rows, positions)` each, added."""
    places = ([one.first for one in answers], [one.last for one in answers])
    chosen = [
        own.gather(1, torch.tensor(place, device=own.device).unsqueeze(1))
        for own, place in zip(log_probs, places, strict=True)
    ]
    return torch.cat(chosen, dim=1).sum(-1)


def _text(instance: Instance, first: int, last: int) -> str:
    known: Any = cast(MetadataField, instance["metadata"]).metadata
    offsets = known["token_offsets"]
    return known["original_passage"][offsets[first][0] : offsets[last][1]]
