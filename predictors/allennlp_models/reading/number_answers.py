"""NAQANet's answers: spans of the passage or of the question, counts, and sums of numbers.

The model has a probability of each kind of answer, and of each answer among all of its kind. What
is explained is the logarithm of their product (Dua et al. 2019, section 6.2): the term of the
marginal likelihood that the model is trained on which belongs to its prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from torch import Tensor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward

from ..hooks import heard

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


@dataclass(frozen=True)
class Answer:
    """An answer of one of four kinds.

    Attributes:
        kind: What the model calls its type.
        choice: The first and last token of a span; the number that is counted; of a sum the sign
            of each number of the passage, 0 for none, 1 for plus, 2 for minus.
    """

    kind: str
    choice: tuple[int, ...]


def number_answer(instance: Instance, outputs: Mapping[str, Any]) -> Instance:
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
    return explained(instance, Explained({**label, "answer_type": kind}, Answer(kind, choice)))


def of_numbers(
    model: Model, run: Forward, inputs: dict[str, Any], answers: Sequence[Answer]
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
    answer: Answer, scores: Sequence[Tensor], inputs: Mapping[str, Any], row: int
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
