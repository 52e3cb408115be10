"""TransformerQA: several windows, and questions without an answer."""

from __future__ import annotations

import math
from typing import Any

import allennlp_models.rc  # noqa: F401  registers its classes

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of

QUESTIONS = (
    {"question": "who saw the film", "context": "mary saw a great film in paris ."},
    {"question": "what", "context": "awful"},
    {
        "question": "who had a book",
        "context": "john knew the actor and the dog had a little book in paris , but she lived in "
        "london with the actor and he had a new film and it was great . mary said it was awful",
    },
    {"question": "who wrote it", "passage": "he wrote a new film ."},
)


def windows(predictor: Any, inputs: JsonDict) -> list[Any]:
    """The windows of an input, and the outputs of the model for each."""
    made = predictor._json_to_instances(dict(inputs), qid=1)
    return list(zip(made, [predictor._model.forward_on_instance(one) for one in made], strict=True))


def _values(predictor: Any, inputs: JsonDict) -> list[float]:
    """By the best window alone. (The predictor puts all windows into one batch, and the model's
    probabilities leave a share to the padding.)"""
    best = max((found for _, found in windows(predictor, inputs)), key=_score)
    return [math.log(best["best_span_probs"])]


def _score(outputs: JsonDict) -> float:
    return float(outputs["best_span_scores"])


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    """By the logarithms of the model's probabilities of both ends of the best window's span.

    (What it returns as `best_span_probs` has a wrong gradient: the model changes the span in place
    after it has looked its probability up.)
    """
    model = predictor._model
    instance, known = max(windows(predictor, inputs), key=lambda pair: _score(pair[1]))
    before = instance["context_span"].span_start
    first, last = (int(place) + before if place >= 0 else 0 for place in known["best_span"])

    def number(outputs: dict[str, Any]) -> list[Any]:
        starts, ends = outputs["span_start_probs"][0], outputs["span_end_probs"][0]
        return [starts[first].log() + ends[last].log()]

    layer = model._text_field_embedder.token_embedder_tokens.transformer_model
    found = scores_of(model, layer.get_input_embeddings(), instance, number)
    return [scores[0].flatten().tolist() for scores in found]


@archive(
    "transformer-qa",
    each="question",
    inputs=QUESTIONS,
    count=lambda prediction: 1,
    values=_values,
    by_hand=_by_hand,
)
def transformer_qa(folders: Folders) -> Parts:
    folder = folders.transformer("bert")
    reader = {
        "type": "transformer_squad",
        "transformer_model_name": folder,
        "length_limit": 24,
        "stride": 4,
    }
    model = {"type": "transformer_qa", "transformer_model_name": folder}
    return Parts({"dataset_reader": reader, "model": model}, scale=2.0)
