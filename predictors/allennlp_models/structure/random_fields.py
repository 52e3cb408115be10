"""Taggers with a conditional random field: one explanation for each entity.

What is explained is the log-probability that the entity's tokens have the predicted tags, whatever
the tags of the others: log Z with these tags alone allowed there, minus log Z. (AllenNLP's loss for
one entity leaves the other tokens out by a mask with gaps, which its random field does not take: it
then reads the tag of the first token in the place of the last.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import SequenceLabelField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.inputs.tag_spans import tag_spans
from allennlp_saliency.interpret.interpreter.predictor_labels import Forward, PredictionLabels

from ..hooks import replaced

_TAGS = "tags"
# What is not allowed; a sum of a few hundred of them is finite.
_NEVER = -1e9


class RandomFieldLabels(PredictionLabels):
    """The tags of each entity, `positions` its tokens."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        model: Any = predictor._model
        text = cast(TextField, instance["tokens"])
        tags = SequenceLabelField(outputs["tags"], text, model.label_namespace)
        spans = [
            Explained(None, None, _TAGS, (), range(*one)) for one in tag_spans(outputs["tags"])
        ]
        return [explained(instance, what, tags=tags) for what in spans]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        tags = inputs.pop(_TAGS)
        field: Any = model.crf
        # The best tags are known.
        with replaced(field, "viterbi_tags", _no_tags):
            outputs = run(**inputs)
        logits, mask = outputs["logits"], outputs["mask"]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        others = torch.ones_like(logits, dtype=torch.bool).scatter(-1, tags.unsqueeze(-1), False)
        for row, one in enumerate(what):
            free = torch.ones_like(mask[row])
            free[list(one.positions or ())] = False
            others[row, free] = False
        only = field._input_likelihood(logits.masked_fill(others, _NEVER), field.transitions, mask)
        every = field._input_likelihood(logits, field.transitions, mask)
        return {**outputs, LOG_LIKELIHOOD: only - every}


def _no_tags(logits: Tensor, *given: Any, **options: Any) -> list[list[tuple[list[int], float]]]:
    return [[([0], 0.0)] for _ in logits]
