"""Question answering in dialogs: why each question of a dialog has this answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from allennlp.data import Instance
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import (
    EXPLAINED,
    LOG_LIKELIHOOD,
    Explained,
    explained,
    explained_by,
)
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
)

from ..hooks import heard, replaced

_SPANS = f"{EXPLAINED}_spans"
_NUMBERS = f"{EXPLAINED}_log_likelihoods"
_SEARCH = "_get_best_span_yesno_followup"


class DialogQALabels(PredictionLabels):
    """The answer to each question of a dialog: log p(start) + log p(end) among all tokens of the
    passage.

    The answers to earlier questions, which the model reads as marks in the passage, are those that
    the input gives. Whether an answer is a yes, and what follows, is not explained.
    """

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        found = []
        for number, text in enumerate(outputs["best_span_str"]):
            first, last = (int(place) for place in outputs[_SPANS][number][:2])
            label: JsonDict = {
                "label": text,
                "positions": list(range(first, last + 1)),
                "field": "passage",
                "question": number,
            }
            found.append(explained(instance, Explained(label, (number, first, last))))
        return found

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        what = explained_by(instance)
        return {} if what is None else {LOG_LIKELIHOOD: outputs[_NUMBERS][what.choice[0]]}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        own: Any = model
        spans: list[Tensor] = []
        search = getattr(own, _SEARCH)

        def searching(*args: Any) -> Tensor:
            spans.append(search(*args))
            return spans[-1]

        layers = (own._span_start_predictor, own._span_end_predictor)
        with replaced(own, _SEARCH, searching), heard(*layers) as returned:
            outputs = run(**inputs)
        mask = get_text_field_mask(inputs["passage"])
        # The rows of the model are questions: as many of each dialog as the longest one has.
        count = spans[0].shape[0] // mask.shape[0]
        ends = []
        for (logits,) in returned:
            logits = logits.squeeze(-1).view(mask.shape[0], count, -1)
            ends.append(logits.masked_fill(~mask.unsqueeze(1), -torch.inf).log_softmax(-1))
        if what is None:
            best = spans[0].view(mask.shape[0], count, -1)
            outputs[_SPANS] = best
            both = [one.gather(2, best[..., n : n + 1]) for n, one in enumerate(ends)]
            outputs[_NUMBERS] = torch.cat(both, dim=2).sum(-1)
            return outputs
        rows = torch.arange(len(what), device=mask.device)
        chosen = torch.tensor([one.choice for one in what], device=mask.device)
        outputs[LOG_LIKELIHOOD] = sum(
            one[rows, chosen[:, 0], chosen[:, 1 + n]] for n, one in enumerate(ends)
        )
        return outputs
