"""Reading comprehension: why the answer stands here, or is this number.

BiDAF, an ensemble of it, QANet and models like these answer with spans of the passage; NAQANet with
spans of the passage or of the question, counts, and sums of numbers. NAQANet has a probability of
each kind of answer, and of each answer among all of its kind. What is explained is the logarithm of
their product (Dua et al. 2019, section 6.2): the term of the marginal likelihood that the model is
trained on which belongs to its prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
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
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
)
from allennlp_saliency.interpret.model.embedding_layers import EmbeddingLayers, layers_of

from .. import kinds_of
from ..hooks import heard

_ENDS = ("span_start", "span_end")
# By the kind of an answer, the ability of the model that gives it and the layers that score it.
_SCORED = {
    "passage_span": (
        "passage_span_extraction",
        ("_passage_span_start_predictor", "_passage_span_end_predictor"),
    ),
    "question_span": (
        "question_span_extraction",
        ("_question_span_start_predictor", "_question_span_end_predictor"),
    ),
    "count": ("counting", ("_count_number_predictor",)),
    "arithmetic": ("addition_subtraction", ("_number_sign_predictor",)),
}
_TEXTS = {"passage_span": "passage", "question_span": "question"}
_SIGNS = {0: 0, 1: 1, -1: 2}


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
            return [_number_answer(instance, outputs)]
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
        if isinstance(choices[0], NumberAnswer):
            return _of_numbers(model, run, inputs, choices)
        return _of_spans(model, run, inputs, choices)

    def attach(self, model: Model) -> None:
        """As for others; an ensemble names the layers of all its members."""
        super().attach(model)
        members = _members(model)
        if members:
            own: Any = model
            own.text_layers = partial(_layers, members)


def _members(model: Any) -> Sequence[Any]:
    """The members of an ensemble; none of any other model."""
    ensemble = "allennlp_models.rc.models.bidaf_ensemble.BidafEnsemble"
    return list(model.submodels) if ensemble in kinds_of(model) else ()


def _layers(members: Sequence[Any]) -> EmbeddingLayers:
    """The layers that embed texts in any member of an ensemble; a token has a vector in each."""
    embedders = tuple({one._text_field_embedder: None for one in members})
    return EmbeddingLayers(embedders, tuple(layer for one in embedders for layer in layers_of(one)))


def _span_answer(instance: Instance, outputs: Mapping[str, Any]) -> Instance:
    """The instance with the best span that the model found."""
    first, last = (int(place) for place in outputs["best_span"])
    text = outputs.get("best_span_str")
    if not text:
        known: Any = cast(MetadataField, instance["metadata"]).metadata
        offsets = known["token_offsets"]
        text = known["original_passage"][offsets[first][0] : offsets[last][1]]
    places = list(range(first, last + 1))
    label: JsonDict = {"label": text, "positions": places, "field": "passage"}
    return explained(instance, Explained(label, (first, last)))


def _of_spans(
    model: Model, run: Forward, inputs: dict[str, Any], answers: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """The outputs with log p(start) + log p(end) of each row's span, which is minus the loss that
    these models are trained on. An ensemble's probabilities are the mean of its members'."""
    with heard(*_members(model)) as returned:
        outputs = run(**inputs)
    if returned:
        both = [torch.stack([own[0][f"{name}_probs"] for own in returned]) for name in _ENDS]
        log_probs = [one.mean(0).log() for one in both]
    else:
        log_probs = [outputs[f"{name}_logits"].log_softmax(-1) for name in _ENDS]
    outputs[LOG_LIKELIHOOD] = span_log_prob(torch.stack(log_probs, dim=-1), answers)
    return outputs


def span_log_prob(log_probs: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """The log-probabilities of both ends of a span, added.

    Args:
        log_probs: `(rows, positions, 2)`.
        spans: The first and last position of each row's span.
    """
    places = torch.tensor(spans, device=log_probs.device).unsqueeze(1)
    return log_probs.gather(1, places).sum((1, 2))


@dataclass(frozen=True)
class NumberAnswer:
    """An answer of one of four kinds.

    Attributes:
        kind: What the model calls its type.
        choice: The first and last token of a span; the number that is counted; of a sum the sign
            of each number of the passage, 0 for none, 1 for plus, 2 for minus.
    """

    kind: str
    choice: tuple[int, ...]


def _number_answer(instance: Instance, outputs: Mapping[str, Any]) -> Instance:
    """The instance with the answer that the model gives."""
    answer = outputs["answer"]
    kind = answer["answer_type"]
    known: Any = cast(MetadataField, instance["metadata"]).metadata
    label: JsonDict
    if kind in _TEXTS:
        ((start, end),) = answer["spans"]
        offsets = known[f"{_TEXTS[kind]}_token_offsets"]
        first = next(n for n, offset in enumerate(offsets) if offset[0] == start)
        last = next(n for n, offset in enumerate(offsets) if offset[1] == end and n >= first)
        choice: tuple[int, ...] = (first, last)
        label = {"label": answer["value"], "positions": list(range(first, last + 1))}
        label["field"] = _TEXTS[kind]
    elif kind == "count":
        choice = (int(answer["count"]),)
        label = {"label": str(int(answer["count"]))}
    else:
        signs = [_SIGNS[int(one["sign"])] for one in answer["numbers"]]
        places = [n for n, sign in zip(known["number_indices"], signs, strict=False) if sign]
        # The last number is none, but a place for passages without.
        choice = (*signs, *(0 for _ in known["number_indices"][len(signs) :]))
        label = {"label": str(answer["value"]), "positions": places, "field": "passage"}
    return explained(
        instance, Explained({**label, "answer_type": kind}, NumberAnswer(kind, choice))
    )


def _of_numbers(
    model: Model, run: Forward, inputs: dict[str, Any], answers: Sequence[NumberAnswer]
) -> dict[str, Any]:
    """The outputs with the log-probability of each row's answer."""
    parts: Any = model
    abilities = parts.answering_abilities
    names = [n for kind in _SCORED if _SCORED[kind][0] in abilities for n in _SCORED[kind][1]]
    several = len(abilities) > 1
    names += ["_answer_ability_predictor"] if several else []
    with heard(*(getattr(parts, name) for name in names)) as returned:
        outputs = run(**inputs)
    scores = {name: own[-1] for name, own in zip(names, returned, strict=True)}
    found = []
    for row, answer in enumerate(answers):
        ability, layers = _SCORED[answer.kind]
        own = _log_prob(answer, [scores[name][row] for name in layers], inputs, row)
        if several:
            kinds = scores["_answer_ability_predictor"][row].log_softmax(-1)
            own = own + kinds[abilities.index(ability)]
        found.append(own)
    outputs[LOG_LIKELIHOOD] = torch.stack(found)
    return outputs


def _log_prob(
    answer: NumberAnswer, scores: Sequence[Tensor], inputs: Mapping[str, Any], row: int
) -> Tensor:
    """The log-probability of an answer among all of its kind."""
    if answer.kind in _TEXTS:
        mask = get_text_field_mask(inputs[_TEXTS[answer.kind]])[row]
        ends = zip(scores, answer.choice, strict=True)
        own = [one.squeeze(-1)[mask].log_softmax(-1)[place] for one, place in ends]
        return own[0] + own[1]
    if answer.kind == "count":
        return scores[0].log_softmax(-1)[answer.choice[0]]
    real = inputs["number_indices"][row].view(-1) != -1
    signs = torch.tensor(answer.choice, device=real.device)
    signs = torch.nn.functional.pad(signs, (0, len(real) - len(signs)))
    own_signs = scores[0].log_softmax(-1).gather(-1, signs.unsqueeze(-1)).squeeze(-1)
    return own_signs[real].sum()
