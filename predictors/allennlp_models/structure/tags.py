"""Taggers: one explanation for each entity, and for each predicate of semantic roles and of open
information extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from allennlp.data import Instance
from allennlp.data.fields import MetadataField, SequenceLabelField, TextField
from allennlp.models import Model
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.explained import LOG_LIKELIHOOD, Explained, explained
from allennlp_saliency.interpret.inputs.texts import tag_spans
from allennlp_saliency.interpret.interpreter.labels.predictor_labels import (
    Forward,
    PredictionLabels,
)

from ..hooks import replaced
from ..places import piece_places, text_under, word_places

_TAGS = "tags"
# What is not allowed; a sum of a few hundred of them is finite.
_NEVER = -1e9


class RandomFieldLabels(PredictionLabels):
    """The tags of each entity that a conditional random field finds, `positions` its tokens.

    What is explained is the log-probability that the entity's tokens have the predicted tags,
    whatever the tags of the others: log Z with these tags alone allowed there, minus log Z.
    (AllenNLP's loss for one entity leaves the other tokens out by a mask with gaps, which its
    random field does not take: it then reads the tag of the first token in the place of the last.)
    """

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        model: Any = predictor._model
        text = cast(TextField, instance["tokens"])
        tags = SequenceLabelField(outputs["tags"], text, model.label_namespace)
        spans = [range(*span) for span in tag_spans(outputs["tags"])]
        entities = [Explained(label_field=_TAGS, positions=span) for span in spans]
        return [explained(instance, what, tags=tags) for what in entities]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        field: Any = model.crf
        tags = inputs.pop(_TAGS)
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


class SemanticRoleLabels(PredictionLabels):
    """The tags of every verb that the predictor finds, of an LSTM or of BERT's wordpieces.

    What is explained is the model's own loss: the mean, over the tokens, of the log-probability of
    the tag that Viterbi decoding gave a token. Single arguments are explained by the target
    `arguments`.
    """

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        sentence = text_under(inputs, "sentence")
        found: list[Instance] = predictor._sentence_to_srl_instances(inputs)  # type: ignore[attr-defined]
        if sentence is not None:
            for instance in found:
                _place_wordpieces(instance, sentence)
        return found

    def labelled(
        self, predictor: Predictor, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        metadata = cast(MetadataField, instance["metadata"]).metadata
        if metadata["verb_index"] is None:
            return []
        indicator = cast(SequenceLabelField, instance["verb_indicator"])
        places = [number for number, one in enumerate(indicator.labels) if one == 1]
        label = {"verb": metadata["verb"], "verb_positions": places}
        decoded = outputs["wordpiece_tags" if "wordpiece_tags" in outputs else "tags"]
        tags = SequenceLabelField(decoded, cast(TextField, instance["tokens"]), "labels")
        return [explained(instance, Explained(label, label_field=_TAGS), tags=tags)]

    def forward(
        self, model: Model, run: Forward, what: Sequence[Explained] | None, inputs: dict[str, Any]
    ) -> dict[str, Any]:
        if what is None:
            return run(**inputs)
        # With tags, the model would decode once more, and count.
        tags = inputs.pop(_TAGS)
        outputs = run(**inputs)
        mask = outputs["mask"].clone()
        for row, one in enumerate(what):
            if one.positions is not None:
                only = torch.zeros_like(mask[row])
                only[list(one.positions)] = True
                mask[row] &= only
        log_p = outputs["logits"].log_softmax(-1).gather(-1, tags.unsqueeze(-1)).squeeze(-1)
        outputs[LOG_LIKELIHOOD] = (log_p * mask).sum(-1) / mask.sum(-1)
        return outputs


class OpenInformationLabels(SemanticRoleLabels):
    """The tags of every predicate, before the predictor puts together those that overlap."""

    def instances(self, predictor: Predictor, inputs: JsonDict) -> list[Instance]:
        asked: Any = predictor
        tokens = asked._tokenizer.tokenize(inputs["sentence"])
        kinds = ("VERB", "AUX") if asked._language.startswith("en_") else ("VERB",)
        return [
            asked._json_to_instance({"sentence": tokens, "predicate_index": number})
            for number, token in enumerate(tokens)
            if token.pos_ in kinds
        ]


def _place_wordpieces(instance: Instance, sentence: str) -> None:
    """Says of an instance's wordpieces where in the sentence they stand; SRL-BERT's reader does
    not."""
    metadata = cast(MetadataField, instance["metadata"]).metadata
    starts = metadata.get("offsets")
    if starts is None:
        return
    tokens = cast(TextField, instance["tokens"]).tokens
    ends = [*starts[1:], len(tokens) - 1]
    words = word_places(metadata["words"], sentence)
    for word, start, end in zip(words, starts, ends, strict=True):
        pieces = tokens[start:end]
        if word is not None:
            spans = piece_places([piece.text or "" for piece in pieces], word)
            for piece, span in zip(pieces, spans, strict=True):
                piece.idx, piece.idx_end = span
