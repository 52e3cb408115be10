"""DialogQA: dialogs of several questions on one passage."""

from __future__ import annotations

from typing import Any

import allennlp_models.rc  # noqa: F401  registers its classes
import torch

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

_PASSAGES = (
    (
        "mary saw a great film in paris .",
        [("who saw it", "mary"), ("what", "film"), ("where", "paris")],
    ),
    (
        "john knew the actor and the dog had a little book , but she lived in london",
        [("who had a book", "dog"), ("where was she", "london")],
    ),
)


def _dialog(passage: str, questions: list[tuple[str, str]]) -> JsonDict:
    asked = [
        {
            "id": str(number),
            "question": question,
            "answers": [{"text": answer, "answer_start": passage.index(answer)}],
            "yesno": "x",
            "followup": "y",
        }
        for number, (question, answer) in enumerate(questions)
    ]
    return {"paragraphs": [{"context": passage, "qas": asked}]}


DIALOGS = tuple(_dialog(passage, list(questions)) for passage, questions in _PASSAGES)


def _instance(predictor: Any, inputs: JsonDict) -> Any:
    instance = predictor._json_to_instance(inputs)
    predictor._dataset_reader.apply_token_indexers(instance)
    return instance


def _spans(predictor: Any, inputs: JsonDict) -> list[tuple[int, int]]:
    """The tokens of the answers, by their texts' places; each answer's text stands once."""
    passage = inputs["paragraphs"][0]["context"]
    offsets = _instance(predictor, inputs)["metadata"].metadata["token_offsets"]
    spans = []
    for text in predictor.predict_json(inputs)["best_span_str"]:
        assert passage.count(text) == 1, text
        start = passage.index(text)
        first = next(n for n, offset in enumerate(offsets) if offset[0] == start)
        last = next(n for n, offset in enumerate(offsets) if offset[1] == start + len(text))
        spans.append((first, last))
    return spans


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model = predictor._model
    spans = _spans(predictor, inputs)
    logits: list[Any] = []
    hooks = [
        layer.register_forward_hook(lambda module, args, output: logits.append(output))
        for layer in (model._span_start_predictor, model._span_end_predictor)
    ]

    def numbers(outputs: dict[str, Any]) -> list[torch.Tensor]:
        starts, ends = (one[..., 0].log_softmax(-1) for one in logits)
        return [
            starts[number, first] + ends[number, last] for number, (first, last) in enumerate(spans)
        ]

    try:
        found = scores_of(model, model._text_field_embedder, _instance(predictor, inputs), numbers)
    finally:
        for hook in hooks:
            hook.remove()
    lengths = [len(one.tokens) for one in _instance(predictor, inputs)["question"].field_list]
    return [
        [
            *passage.flatten().tolist(),
            *(
                score
                for own, length in zip(question.view(len(lengths), -1), lengths, strict=True)
                for score in own[:length].tolist()
            ),
        ]
        for question, passage in found
    ]


@archive(
    "dialog-qa",
    each="question",
    inputs=DIALOGS,
    count=lambda prediction: len(prediction["best_span_str"]),
    by_hand=_by_hand,
    refused=dict.fromkeys(
        ("discretized-integrated-gradients", "one-hot-gradient"), "is no matrix of word vectors"
    ),
)
def dialog_qa(folders: Folders) -> Parts:
    indexers = {
        "tokens": {"type": "single_id", "lowercase_tokens": True},
        "token_characters": {"type": "characters", "min_padding_length": 3},
    }
    embedders = {
        "tokens": {"type": "embedding", "embedding_dim": 4},
        "token_characters": {
            "type": "character_encoding",
            "embedding": {"num_embeddings": 262, "embedding_dim": 4},
            "encoder": {
                "type": "cnn",
                "embedding_dim": 4,
                "num_filters": 4,
                "ngram_filter_sizes": [3],
            },
        },
    }

    def lstm(width: int) -> JsonDict:
        return {"type": "lstm", "input_size": width, "hidden_size": 4, "bidirectional": True}

    model = {
        "type": "dialog_qa",
        "text_field_embedder": {"token_embedders": embedders},
        "num_context_answers": 1,
        "marker_embedding_dim": 2,
        "phrase_layer": lstm(10),
        "residual_encoder": lstm(8),
        "span_start_encoder": lstm(8),
        "span_end_encoder": lstm(16),
    }
    reader = {"type": "quac", "token_indexers": indexers, "num_context_answers": 1}
    reader["tokenizer"] = {"type": "letters_digits"}
    marks = [f"<1_{name}>" for name in ("start", "in", "end", "")]
    vocabulary = {
        "tokens": WORDS,
        "token_characters": tuple("abcdefghijklmnopqrstuvwxyz.,"),
        "answer_tags": ("O", *marks),
        "yesno_labels": ("y", "x", "n"),
        "followup_labels": ("y", "m", "n"),
    }
    config = {"dataset_reader": reader, "model": model}
    return Parts(config, vocabulary, {"language": folders.language}, seed=1, scale=2.0)
