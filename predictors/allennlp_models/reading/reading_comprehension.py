"""Reading comprehension: why the answer stands here, or is this number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError
from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import (
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward, PredictionLabels
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayers, layers_of

from .. import kinds_of
from ..hooks import heard
from .number_answers import Answer, number_answer, of_numbers

_ENDS = ("span_start", "span_end")


class ReadingComprehensionLabels(PredictionLabels):
    """The best answer: a span by log p(start) + log p(end), one of NAQANet's four kinds by its
    log-probability and that of its kind."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        if "best_span" in outputs:
            return [_span_answer(instance, outputs)]
        answer = outputs.get("answer")
        if isinstance(answer, dict) and "answer_type" in answer:
            return [number_answer(instance, outputs)]
        raise InterpretationError(
            f"{type(predictor._model).__name__} returns neither a 'best_span' nor an 'answer' with "
            f"a type, only {sorted(outputs)}, so what it answers is not known here; override "
            f"predictions_to_labeled_instances in {type(predictor).__name__}"
        )

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The logits of spans; the log-probability of other answers, by the same input alone."""
        what = explained_by(instance)
        names = ("span_start_logits", "span_end_logits")
        if what is None or all(name in outputs for name in names):
            return super().expected(model, instance, outputs)
        alone = model.forward_on_instance(instance)
        return {LOG_LIKELIHOOD: float(alone[LOG_LIKELIHOOD])}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        choices = [one.choice for one in what]
        if isinstance(choices[0], Answer):
            return of_numbers(model, run, inputs, choices)
        if _is_ensemble(model):
            return _of_ensemble(model, run, inputs, choices)
        return _of_spans(run(**inputs), choices)

    def attach(self, model: Model) -> None:
        """As for others; an ensemble names the layers of all its members."""
        super().attach(model)
        if _is_ensemble(model):
            own: Any = model
            own.text_layers = partial(_ensemble_layers, model)


def _is_ensemble(model: Model) -> bool:
    return "allennlp_models.rc.models.bidaf_ensemble.BidafEnsemble" in kinds_of(model)


def _span_answer(instance: Instance, outputs: Mapping[str, Any]) -> Instance:
    """The instance with the best span that the model found."""
    first, last = (int(place) for place in outputs["best_span"])
    text = outputs.get("best_span_str") or _text(instance, first, last)
    places = list(range(first, last + 1))
    label: JsonDict = {"label": text, "positions": places, "field": "passage"}
    return explained(instance, Explained(label, (first, last)))


def _of_spans(outputs: dict[str, Any], answers: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The outputs with log p(start) + log p(end) of each row's span, which is minus the loss that
    these models are trained on."""
    logits = torch.stack([outputs[f"{name}_logits"] for name in _ENDS], dim=-1)
    outputs[LOG_LIKELIHOOD] = span_log_prob(logits.log_softmax(1), answers)
    return outputs


def _of_ensemble(
    model: Model, run: Forward, inputs: dict[str, Any], answers: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """The same of an ensemble, whose probabilities are the mean of its members'."""
    members: Any = model
    with heard(*members.submodels) as returned:
        outputs = run(**inputs)
    both = [
        torch.stack([own[0][f"{name}_probs"] for own in returned]).mean(0).log() for name in _ENDS
    ]
    outputs[LOG_LIKELIHOOD] = span_log_prob(torch.stack(both, dim=-1), answers)
    return outputs


def _ensemble_layers(model: Model) -> EmbeddingLayers:
    """The layers that embed texts in any member of an ensemble; a token has a vector in each."""
    members: Any = model
    embedders = tuple({one._text_field_embedder: None for one in members.submodels})
    return EmbeddingLayers(embedders, tuple(layer for one in embedders for layer in layers_of(one)))


def span_log_prob(log_probs: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """The log-probabilities of both ends of a span, added.

    Args:
        log_probs: `(rows, positions, 2)`.
        spans: The first and last position of each row's span.
    """
    places = torch.tensor(spans, device=log_probs.device).unsqueeze(1)
    return log_probs.gather(1, places).sum((1, 2))


def _text(instance: Instance, first: int, last: int) -> str:
    known: Any = cast(MetadataField, instance["metadata"]).metadata
    offsets = known["token_offsets"]
    return known["original_passage"][offsets[first][0] : offsets[last][1]]
