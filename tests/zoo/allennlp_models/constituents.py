"""Constituency parsers."""

from __future__ import annotations

from typing import Any

import allennlp_models.structured_prediction  # noqa: F401  registers its classes
from nltk import Tree

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import TAGS, WORDS

LABELS = ("NO-LABEL", "NP", "S", "PP", "S-VP")
SENTENCES = (
    {"sentence": "Mary saw a great film."},
    {"sentence": "awful"},
    {"sentence": "the dog and the actor had a little book"},
)


def spans_of(prediction: JsonDict) -> dict[tuple[int, int], str]:
    """The labelled spans of a predicted tree, read from its bracketed form; chains of labels over
    one span are one label."""
    found: dict[tuple[int, int], str] = {}

    def read(tree: Tree, start: int) -> int:
        if not isinstance(tree[0], Tree):
            return start + 1
        end = start
        for child in tree:
            end = read(child, end)
        below = found.get((start, end))
        label = tree.label()
        found[start, end] = label if below is None else f"{label}-{below}"
        return end

    read(Tree.fromstring(prediction["trees"]), 0)
    return found


def _expected(prediction: JsonDict) -> list[float]:
    from math import log

    places = {(start, end + 1): n for n, (start, end) in enumerate(prediction["spans"])}
    wanted = sorted(spans_of(prediction), key=places.__getitem__)
    return [log(max(prediction["class_probabilities"][places[span]])) for span in wanted]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    prediction = predictor.predict_json(inputs)
    places = {(start, end + 1): n for n, (start, end) in enumerate(prediction["spans"])}
    wanted = sorted(places[span] for span in spans_of(prediction))

    def numbers(outputs: dict[str, Any]) -> list[Any]:
        return [outputs["class_probabilities"][0, place].max().log() for place in wanted]

    found = scores_of(model, model.text_field_embedder, instance, numbers)
    return [scores[0].tolist() for (scores,) in found]


@archive(
    "constituents",
    each="span of the tree",
    inputs=SENTENCES,
    count=lambda prediction: len(spans_of(prediction)),
    expected=_expected,
    by_hand=_by_hand,
)
def constituents(folders: Folders) -> Parts:
    model = {
        "type": "constituency_parser",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}
        },
        "pos_tag_embedding": {"embedding_dim": 4, "vocab_namespace": "pos"},
        "encoder": {"type": "lstm", "input_size": 12, "hidden_size": 8, "bidirectional": True},
        "span_extractor": {"type": "bidirectional_endpoint", "input_dim": 16},
        "evalb_directory_path": None,
    }
    reader = {
        "type": "ptb_trees",
        "use_pos_tags": True,
        "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
    }
    vocabulary = {"tokens": WORDS, "pos": TAGS, "labels": LABELS}
    return Parts(
        {"dataset_reader": reader, "model": model},
        vocabulary,
        {"language": folders.language},
        scale=2.0,
    )
