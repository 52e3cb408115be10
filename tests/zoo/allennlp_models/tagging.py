"""A tagger with a conditional random field: one explanation for each entity."""

from __future__ import annotations

from typing import Any

import allennlp_models.tagging  # noqa: F401  registers its classes
from allennlp.data.fields import FlagField, SequenceLabelField
from allennlp.modules.conditional_random_field import allowed_transitions

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
SENTENCES = (
    {"sentence": "mary saw a great film in paris"},
    {"sentence": "awful"},
    {"sentence": "john knew the actor and the dog had a little book in paris but she was in"},
)


def _entities(prediction: JsonDict) -> list[list[int]]:
    """The tokens of each entity: a tag that begins one, and those that go on with it."""
    found: list[list[int]] = []
    for place, tag in enumerate(prediction["tags"]):
        if tag.startswith("B-"):
            found.append([place])
        elif tag.startswith("I-"):
            found[-1].append(place)
    return found


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By the model's loss where the other tags do not count."""
    model = predictor._model
    prediction = predictor.predict_json(dict(inputs))
    scores = []
    for places in _entities(prediction):
        instance = predictor._json_to_instance(dict(inputs))
        predictor._dataset_reader.apply_token_indexers(instance)
        tags = [tag if n in places else "O" for n, tag in enumerate(prediction["tags"])]
        instance.add_field("tags", SequenceLabelField(tags, instance["tokens"]))
        instance.add_field("ignore_loss_on_o_tags", FlagField(True))
        layer = model.text_field_embedder
        ((found,),) = scores_of(model, layer, instance, lambda outputs: [-outputs["loss"]])
        scores.append(found.flatten().tolist())
    return scores


def _constrained(model: Any) -> None:
    """Sets which tags may follow each other, which is a parameter of the model's."""
    names = model.vocab.get_index_to_token_vocabulary("labels")
    mask = model.crf._constraint_mask
    mask.fill_(0)
    for one, other in allowed_transitions("BIO", names):
        mask[one, other] = 1


@archive(
    "crf-tagger",
    inputs=SENTENCES,
    count=lambda prediction: len(_entities(prediction)),
    by_hand=_by_hand,
    predictor="sentence_tagger",
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
        "calculate_span_f1": False,
    }
    reader = {
        "type": "sequence_tagging",
        "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
    }
    config = {"dataset_reader": reader, "model": model}
    vocabulary = {"tokens": WORDS, "labels": TAGS}
    args = {"language": folders.language}
    return Parts(config, vocabulary, args, adjust=_constrained, scale=2.0)
