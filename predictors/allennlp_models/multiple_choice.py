"""Multiple choice: every alternative is an input of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField, ListField, MetadataField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.inputs.token_groups import text_of_tokens
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
)
from allennlp_saliency.interpret.space.alignment import added_ids, is_added

_LABEL = "explained_alternative"
_TEXTS = "explained_texts"
# Labels of other namespaces than "*labels" have two names, "@@PADDING@@" and "@@UNKNOWN@@".
_NAMESPACE = "alternative_labels"


class AlternativeLabels(PredictionLabels):
    """The alternative with the highest logit, by its number; `alternative` is its text."""

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        # A predictor that is derived from AllenNLP's may read other keys.
        given = dict(inputs).get("alternatives")
        texts = list(given) if isinstance(given, list | tuple) else []
        (instance,) = super().instances(predictor, inputs)
        if len(texts) == len(cast(ListField, instance["alternatives"]).field_list):
            instance.add_field(_TEXTS, MetadataField(texts))
        return [instance]

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        given = instance.fields.get(_TEXTS)
        texts = given.metadata if isinstance(given, MetadataField) else None
        choices = []
        alternatives = cast(Sequence[Any], instance["alternatives"])
        for number, one in enumerate(alternatives):
            if not isinstance(one, TextField):
                raise InterpretationError(
                    f"the alternatives are each a {type(one).__name__}, which has ids and no "
                    "tokens to score; take a reader and a model for text fields ('piqa' and "
                    "'transformer_mc', not those that end with '_tt')"
                )
            own = _own_tokens(one)
            text = texts[number] if texts else text_of_tokens(one.tokens[own.start : own.stop])
            field = f"alternatives[{number}]"
            choices.append({"alternative": text, "field": field, "positions": list(own)})
        what = Explained(label_field=_LABEL, choices=choices)
        best = LabelField(int(np.argmax(outputs["logits"])), _NAMESPACE, skip_indexing=True)
        return [explained(instance, what, **{_LABEL: best})]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        labels = inputs.pop(_LABEL)
        inputs.pop(_TEXTS, None)
        inputs.pop("correct_alternative", None)
        outputs = run(**inputs)
        logits = outputs["logits"]
        counts = torch.tensor([len(one.choices) for one in what], device=logits.device)
        # Where another row has more alternatives, the last are padding.
        padding = torch.arange(logits.shape[1], device=logits.device) >= counts.unsqueeze(1)
        outputs["logits"] = logits.masked_fill(padding, torch.finfo(logits.dtype).min)
        log_p = outputs["logits"].log_softmax(-1)
        outputs[LOG_LIKELIHOOD] = log_p.gather(1, labels.view(-1, 1)).squeeze(1)
        return outputs


def _own_tokens(text: TextField) -> range:
    """The tokens of an alternative behind its prompt: those between the last two tokens that the
    tokenizer added."""
    added = added_ids(next(iter((text._token_indexers or {}).values()), None))
    end = len(text.tokens)
    while end and is_added(text.tokens[end - 1], added):
        end -= 1
    start = end
    while start and not is_added(text.tokens[start - 1], added):
        start -= 1
    return range(start, end)
