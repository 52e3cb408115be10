"""Taggers with a conditional random field."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import allennlp_models.tagging  # noqa: F401  registers its classes
import torch
from allennlp.modules.conditional_random_field import allowed_transitions

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
SENTENCES = (
    {"sentence": "Mary saw a great film in Paris ."},
    {"sentence": "awful"},
    {"sentence": "the dog and the actor had a little book"},
)


def _spans(tags: list[str]) -> list[tuple[int, int]]:
    """Entities begin with a B, or with an I of another type than what comes before."""
    spans: list[tuple[int, int]] = []
    for place, (before, tag) in enumerate(pairwise(["O", *tags])):
        if tag[0] == "B" or (tag[0] == "I" and tag[2:] != before[2:]):
            spans.append((place, place + 1))
        elif tag[0] == "I":
            spans[-1] = (spans[-1][0], place + 1)
    return spans


def _log_z(model: Any, logits: Any, only: dict[int, int]) -> Any:
    """The logarithm of the sum over all sequences that have some tags at some places: the last tag
    is summed out first."""
    field = model.crf
    choices = [[only[n]] if n in only else list(range(len(TAGS))) for n in range(len(logits))]
    total = logits[-1][choices[-1]] + field.end_transitions[choices[-1]]
    for place, (own, following) in reversed(list(enumerate(pairwise(choices)))):
        steps = field.transitions[own][:, following]
        total = logits[place][own] + (steps + total).logsumexp(1)
    return (field.start_transitions[choices[0]] + total).logsumexp(0)


def _numbers(predictor: Any, inputs: JsonDict) -> tuple[Any, Any, list[Any]]:
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    predictor._dataset_reader.apply_token_indexers(instance)
    tags = model.forward_on_instance(instance)["tags"]
    return model, instance, [(start, tags[start:end]) for start, end in _spans(tags)]


def _log_p(model: Any, logits: Any, entity: tuple[int, list[str]]) -> Any:
    start, tags = entity
    only = {start + n: TAGS.index(tag) for n, tag in enumerate(tags)}
    return _log_z(model, logits, only) - _log_z(model, logits, {})


def _values(predictor: Any, inputs: JsonDict) -> list[float]:
    model, instance, entities = _numbers(predictor, inputs)
    logits = torch.tensor(model.forward_on_instance(instance)["logits"])
    return [_log_p(model, logits, one).item() for one in entities]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model, instance, entities = _numbers(predictor, inputs)
    found = scores_of(
        model,
        model.text_field_embedder,
        instance,
        lambda outputs: [_log_p(model, outputs["logits"][0], one) for one in entities],
    )
    return [scores[0].tolist() for (scores,) in found]


def _constrained(model: Any) -> None:
    """Sets which tags may follow each other, which is a parameter of the model's."""
    names = model.vocab.get_index_to_token_vocabulary("labels")
    mask = model.crf._constraint_mask
    mask.fill_(0)
    for one, other in allowed_transitions("BIO", names):
        mask[one, other] = 1


@archive(
    "crf-tagger",
    each="entity",
    inputs=SENTENCES,
    count=lambda prediction: len(_spans(prediction["tags"])),
    values=_values,
    by_hand=_by_hand,
)
def crf_tagger(folders: Folders) -> Parts:
    model = {
        "type": "crf_tagger",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}
        },
        "encoder": {"type": "lstm", "input_size": 8, "hidden_size": 8, "bidirectional": True},
        "label_encoding": "BIO",
        "constrain_crf_decoding": True,
    }
    reader = {
        "type": "conll2003",
        "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
    }
    return Parts(
        {"dataset_reader": reader, "model": model},
        {"tokens": WORDS, "labels": TAGS},
        {"language": folders.language},
        adjust=_constrained,
        scale=2.0,
    )
