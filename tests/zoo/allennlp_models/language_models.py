"""Models of the next token, and of masked ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import allennlp_models.lm  # noqa: F401  registers its classes
from torch import Tensor

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of

TEXTS = (
    {"sentence": "mary saw a great"},
    {"sentence": "awful"},
    {"sentence": "the dog had a little book in paris but she lived with"},
    {"sentence": "he wrote a new film and"},
)
GAPS = (
    {"sentence": "mary saw a [MASK] film ."},
    {"sentence": "[MASK]"},
    {"sentence": "the [MASK] had a little book in paris but [MASK] lived with the [MASK] ."},
    {"sentence": "he wrote [MASK] new film"},
)
# Of a language model that goes on, BERT's "[SEP]".
END = 3
# Vocabularies put padding and the unknown word first in namespaces with other names.
_NAMESPACE = "piece_tags"


def _head(model: Any, outputs: list[Tensor]) -> Any:
    return model._language_model_head.register_forward_hook(
        lambda module, args, output: outputs.append(output)
    )


def _by_hand(numbers: Callable[[Tensor], list[Tensor]]) -> Any:
    """By the logits that the model's head returns."""

    def by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
        model = predictor._model
        instance = predictor._json_to_instance(inputs)
        predictor._dataset_reader.apply_token_indexers(instance)
        logits: list[Tensor] = []
        hook = _head(model, logits)
        embedder = model._text_field_embedder.token_embedder_tokens.transformer_model
        try:
            found = scores_of(
                model, embedder.get_input_embeddings(), instance, lambda _: numbers(logits[0][0])
            )
        finally:
            hook.remove()
        return [scores[0].flatten().tolist() for scores in found]

    return by_hand


def _best_of_each(logits: Tensor) -> list[Tensor]:
    return list(logits.log_softmax(-1).max(-1).values.reshape(-1))


def _config(kind: str, folder: str, **more: Any) -> JsonDict:
    part = {"type": "pretrained_transformer", "model_name": folder}
    return {
        "dataset_reader": {
            "type": kind.replace("language_model", "language_modeling"),
            "tokenizer": dict(part),
            "token_indexers": {"tokens": {**part, "namespace": _NAMESPACE}},
        },
        "model": {
            "type": kind,
            "text_field_embedder": {"token_embedders": {"tokens": dict(part)}},
            "language_model_head": {
                "type": "linear",
                "input_dim": 16,
                "vocab_namespace": _NAMESPACE,
            },
            "target_namespace": _NAMESPACE,
            "dropout": 0.3,
            **more,
        },
    }


def _pieces(folder: str) -> tuple[str, ...]:
    """The tokenizer's pieces in the order of their ids."""
    from transformers import AutoTokenizer

    known = AutoTokenizer.from_pretrained(folder).get_vocab()
    return tuple(sorted(known, key=known.__getitem__))


def _parts(folders: Folders, architecture: str, kind: str, **more: Any) -> Parts:
    folder = folders.transformer(architecture)
    return Parts(_config(kind, folder, **more), {_NAMESPACE: _pieces(folder)}, scale=3.0)


@archive(
    "next-token-lm",
    each="next token",
    inputs=TEXTS,
    count=lambda prediction: 1,
    expected=lambda prediction: [math.log(prediction["probabilities"][0])],
    by_hand=_by_hand(_best_of_each),
    tokens_labelled=False,
)
def next_token_lm(folders: Folders) -> Parts:
    return _parts(folders, "gpt2", "next_token_lm")


def _texts(prediction: JsonDict) -> int:
    ids = prediction["top_indices"][0]
    return len(ids[: ids.index(END) + 1] if END in ids else ids)


@archive(
    "next-token-lm-search",
    each="token of the best text",
    inputs=TEXTS,
    count=_texts,
    expected_total=lambda prediction: math.log(prediction["probabilities"][0]),
    tokens_labelled=False,
)
def next_token_lm_search(folders: Folders) -> Parts:
    search = {
        "type": "transformer",
        "beam_search": {"end_index": END, "max_steps": 4, "beam_size": 3},
    }
    return _parts(folders, "bert", "next_token_lm", beam_search_generator=search)


@archive(
    "masked-lm",
    each="gap",
    inputs=GAPS,
    count=lambda prediction: len(prediction["top_indices"]),
    expected=lambda prediction: [math.log(own[0]) for own in prediction["probabilities"]],
    by_hand=_by_hand(_best_of_each),
)
def masked_lm(folders: Folders) -> Parts:
    return _parts(folders, "bert", "masked_language_model")
