"""Dependency parsers."""

from __future__ import annotations

from typing import Any

import allennlp_models.structured_prediction  # noqa: F401  registers its classes
import torch

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import POS, WORDS

DEPENDENCIES = ("root", "nsubj", "obj", "det", "punct", "amod")
SENTENCES = (
    {"sentence": "Mary saw a great film."},
    {"sentence": "awful"},
    {"sentence": "the dog and the actor had a little book, but no plot"},
)


def _arcs(prediction: JsonDict) -> int:
    return len(prediction["words"])


def _total(prediction: JsonDict) -> float:
    """The model's loss is the mean over the words."""
    return -prediction["loss"] * len(prediction["words"])


def _numbers(model: Any, heads: list[int], tags: list[int], seen: dict[str, Any]) -> list[Any]:
    """By the formula: biaffine scores of heads, bilinear scores of tags."""
    numbers = []
    first, second = seen["head_arc"][0], seen["child_arc"][0]
    bias = first.new_ones(len(first), 1)
    matrix = model.arc_attention._weight_matrix
    arcs = torch.cat([first, bias], 1) @ matrix @ torch.cat([second, bias], 1).T
    arcs = (arcs + model.arc_attention._bias).log_softmax(-1)
    for child, (head, tag) in enumerate(zip(heads, tags, strict=True), start=1):
        weights = model.tag_bilinear
        logits = torch.einsum(
            "i,kij,j->k", seen["head_tag"][0, head], weights.weight, seen["child_tag"][0, child]
        )
        logits = logits + weights.bias
        numbers.append(arcs[child, head] + logits.log_softmax(-1)[tag])
    return numbers


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    decoded = model.forward_on_instance(instance)
    heads = [int(head) for head in decoded["predicted_heads"]]
    names = decoded["predicted_dependencies"]
    tags = [model.vocab.get_token_index(name, "head_tags") for name in names]
    seen: dict[str, Any] = {}
    hooks = []
    for name in ("head_arc", "child_arc", "head_tag", "child_tag"):

        def keep(module: Any, args: Any, output: Any, name: str = name) -> None:
            seen[name] = output

        hooks.append(getattr(model, f"{name}_feedforward").register_forward_hook(keep))
    found = scores_of(
        model,
        model.text_field_embedder,
        instance,
        lambda outputs: _numbers(model, heads, tags, seen),
    )
    for hook in hooks:
        hook.remove()
    return [scores[0].tolist() for (scores,) in found]


def _parts(folders: Folders, decoding: bool) -> Parts:
    encoder = {"type": "lstm", "input_size": 12, "hidden_size": 8, "bidirectional": True}
    model = {
        "type": "biaffine_parser",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 8}}
        },
        "pos_tag_embedding": {"embedding_dim": 4, "vocab_namespace": "pos"},
        "encoder": encoder,
        "arc_representation_dim": 8,
        "tag_representation_dim": 6,
        "use_mst_decoding_for_validation": decoding,
    }
    reader = {
        "type": "universal_dependencies",
        "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
    }
    vocabulary = {"tokens": WORDS, "pos": POS, "head_tags": DEPENDENCIES}
    return Parts(
        {"dataset_reader": reader, "model": model}, vocabulary, {"language": folders.language}
    )


@archive(
    "dependencies",
    each="arc",
    inputs=SENTENCES,
    count=_arcs,
    expected_total=_total,
    by_hand=_by_hand,
)
def dependencies(folders: Folders) -> Parts:
    return _parts(folders, decoding=True)
