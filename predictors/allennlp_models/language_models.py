"""Language models of allennlp-models: which words make the next one, or the one in a gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import (
    IndexField,
    LabelField,
    ListField,
    TextField,
)
from allennlp.data.tokenizers import Token
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
)
from allennlp_saliency.interpret.interpreter.predictor_labels import (
    Forward,
    PredictionLabels,
    labels_for,
)

from .listening import heard
from .replaced import replaced
from .sampling import draws, generation_details
from .token_choices import expected_log_prob, with_log_prob

_PREDICTORS = "allennlp_models.lm.predictors"
_LABEL = "label"
_SAME = 1e-3


@dataclass(frozen=True)
class Word:
    """The token that an instance stands for.

    Attributes:
        number: Its id.
        log_prob: Its log-probability; None before that is known.
        gap: The number of the gap that it fills; 0 for the next token.
    """

    number: int
    log_prob: float | None = None
    gap: int = 0


class WordLabels(PredictionLabels):
    """What both kinds have in common: a classification over the vocabulary."""

    def expected(self, model: Model, instance: Instance, outputs: Mapping[str, Any]) -> Expected:
        """The log-probability of the token that was predicted; nothing of another one."""
        return expected_log_prob(instance, _LABEL)

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """What the model predicts, or for labelled rows the logits of each row's token."""
        label = inputs.pop(_LABEL, None)
        if label is None or what is None:
            return run(**inputs)
        head: Any = model
        # A search goes on from the next token, which is all that is explained.
        searches = hasattr(model, "_beam_search_generator")
        alone = replaced(model, "_beam_search_generator", None) if searches else nullcontext()
        with alone, heard(head._language_model_head) as (returned,):
            outputs = run(**inputs)
        logits = returned[0]
        if logits.dim() > 2:
            gaps = torch.tensor([one.choice.gap for one in what], device=logits.device)
            logits = logits[torch.arange(len(gaps), device=logits.device), gaps]
        outputs.update(_of_words(logits, label))
        return outputs

    def _labelled(self, model: Model, instance: Instance, word: Word, **more: Any) -> Instance:
        known: Any = model
        namespace = known._target_namespace
        name = model.vocab.get_token_from_index(word.number, namespace)
        what = Explained({"label": name, **more}, word, _LABEL)
        return explained(instance, what, label=LabelField(word.number, namespace, True))


@labels_for(f"{_PREDICTORS}.next_token_lm.NextTokenLMPredictor")
class NextTokenLabels(WordLabels):
    """The best next token; where the model goes on by beam search, each token of the best text,
    given what comes before it.

    AllenNLP's own predictor takes the first character of the token in its place.
    """

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        model = predictor._model
        ids = _up_to_end(model, [int(one) for one in outputs["top_indices"][0]])
        predicted = math.log(max(float(outputs["probabilities"][0]), 1e-300))
        if len(ids) == 1:
            return [self._labelled(model, instance, Word(ids[0], predicted))]
        steps = [
            self._labelled(model, self._followed(model, instance, ids[:place]), Word(number))
            for place, number in enumerate(ids)
        ]
        for step in steps:
            predictor._dataset_reader.apply_token_indexers(step)
        found = [float(model.forward_on_instance(step)[LOG_LIKELIHOOD]) for step in steps]
        if not draws(_search_of(model)) and abs(sum(found) - predicted) > _SAME * max(
            abs(predicted), 1.0
        ):
            raise InterpretationError(
                f"{type(model).__name__} predicted a text with the log-probability "
                f"{predicted:.6g}, and its tokens one by one have {sum(found):.6g}, so "
                "explanations of these would be of another number; explain the next token alone "
                "by an archive without beam_search_generator"
            )
        return [with_log_prob(*pair) for pair in zip(steps, found, strict=True)]

    def details(self, predictor: Predictor, outputs: Mapping[str, Any]) -> JsonDict:
        """Whether the text was drawn at random."""
        return generation_details(_search_of(predictor._model))

    def _followed(self, model: Model, instance: Instance, ids: Sequence[int]) -> Instance:
        """An instance whose text goes on with tokens that were predicted."""
        known: Any = model
        copy = instance.duplicate()
        text = cast(TextField, copy["tokens"])
        kind = (text.tokens[-1].type_id or 0) if text.tokens else 0
        added = [
            Token(
                model.vocab.get_token_from_index(number, known._target_namespace),
                text_id=number,
                type_id=kind,
            )
            for number in ids
        ]
        copy.fields["tokens"] = TextField([*text.tokens, *added], text._token_indexers)
        copy.indexed = False
        return copy


@labels_for(f"{_PREDICTORS}.masked_language_model.MaskedLanguageModelPredictor")
class MaskedTokenLabels(WordLabels):
    """The best token of every gap, each by itself."""

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        gaps = cast(ListField, instance["mask_positions"]).field_list
        found = []
        for number, gap in enumerate(gaps):
            best = int(outputs["top_indices"][number][0])
            log_prob = math.log(max(float(outputs["probabilities"][number][0]), 1e-300))
            place = {"positions": [cast(IndexField, gap).sequence_index]}
            word = Word(best, log_prob, number)
            found.append(self._labelled(predictor._model, instance, word, **place))
        return found


def _of_words(logits: Tensor, label: Tensor) -> JsonDict:
    """The outputs of a classification over the vocabulary, `(rows, vocabulary)`."""
    log_probs = logits.log_softmax(-1)
    chosen = log_probs.gather(-1, label.unsqueeze(-1)).squeeze(-1)
    return {LOG_LIKELIHOOD: chosen, "logits": logits, "probs": log_probs.exp()}


def _up_to_end(model: Model, ids: list[int]) -> list[int]:
    """The ids up to the one that ends a text."""
    end = getattr(_search_of(model), "_end_index", None)
    return ids[: ids.index(end) + 1] if end in ids else ids


def _search_of(model: Model) -> Any:
    """The beam search that goes on from the next token, None without one."""
    return getattr(getattr(model, "_beam_search_generator", None), "_beam_search", None)
