"""Transformer question answering: why the answer stands here, or why there is none.

The predictor reads a long context in windows, and its answer is that of the window where the sum
of the logits of both ends is highest: this window is explained.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy
import torch
from allennlp.data import Instance
from allennlp.data.fields import IndexField, MetadataField, SpanField
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.contracts import Expected
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
)

from ..hooks import heard
from .reading_comprehension import span_log_prob


class TransformerQALabels(PredictionLabels):
    """The best answer of all windows, or that there is none.

    The number is log p(start) + log p(end) over all tokens of the window, the logarithm of what the
    model calls `best_span_probs` if it reads the window alone. The target `span` is what it calls
    `best_span_scores`.
    """

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        reads: Any = predictor
        return reads._json_to_instances(inputs)

    def prediction(
        self, predictor: Predictor, inputs: JsonDict, instances: Sequence[Instance], outputs: Any
    ) -> JsonDict:
        # The predictor counts questions, and has counted this one.
        again: Any = copy.copy(predictor)
        known: Any = cast(MetadataField, instances[0]["metadata"]).metadata
        again._next_qid = int(known["id"])
        if len(instances) > 1:
            # It puts the windows into one batch, and the model's probabilities leave a share to
            # the padding: what it returns is not what it returns for each window alone.
            return again.predict_json(inputs)
        return super().prediction(again, inputs, instances, outputs)

    def chosen(self, outputs: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        """The window that has the answer: the first of those with the highest score."""
        scores = [float(one["best_span_scores"]) for one in outputs]
        return [scores.index(max(scores))]

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        first, last = (int(place) for place in outputs["best_span"])
        label: JsonDict = {"label": outputs["best_span_str"]}
        if first < 0:
            # The best span begins at the classification token, wherever it ends.
            index = instance.fields.get("cls_index")
            first = index.sequence_index if isinstance(index, IndexField) else 0
            last = first + int(numpy.argmax(outputs["span_end_logits"][first:]))
            label |= {"no_answer": True, "positions": [first]}
        else:
            before = cast(SpanField, instance["context_span"]).span_start
            first, last = before + first, before + last
            label["positions"] = list(range(first, last + 1))
        return [explained(instance, Explained(label, (first, last)))]

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        probability = max(float(outputs["best_span_probs"]), 1e-300)
        logits = {name: outputs[name] for name in ("span_start_logits", "span_end_logits")}
        # Where it underflows there is no logarithm to compare with.
        known = {LOG_LIKELIHOOD: math.log(probability)} if probability > 1e-30 else {}
        return {**logits, **known}

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        head: Any = model
        # With these the model would look up the answer's text again, of one row at a time.
        inputs["metadata"] = None
        with heard(head._linear_layer) as (returned,):
            outputs = run(**inputs)
        mask = get_text_field_mask(inputs["question_with_context"])
        # Of the model's own probabilities padding has a share, which a text alone does not have.
        logits = returned[0].masked_fill(~mask.unsqueeze(-1), -torch.inf)
        outputs[LOG_LIKELIHOOD] = span_log_prob(logits.log_softmax(1), [one.choice for one in what])
        return outputs
