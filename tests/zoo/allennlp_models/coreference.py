"""Coreference resolution, with and without the coarse pass."""

from __future__ import annotations

from typing import Any

import allennlp_models.coref  # noqa: F401  registers its classes

from .archives import Folders, JsonDict, Parts, archive
from .by_hand import scores_of
from .language import WORDS

DOCUMENTS = (
    {"document": "Mary saw the actor. She knew him, and he gave her a book."},
    {"document": "awful book"},
    {"document": "The dog and the teacher lived in Paris. It was little. She was great, but it"},
)


def _links(prediction: JsonDict) -> int:
    return sum(len(cluster) - 1 for cluster in prediction["clusters"])


def _scores(model: Any, run: Any) -> tuple[Any, Any]:
    """What running the model gives, and the scores of each kept span's antecedents, none first."""
    seen: list[Any] = []
    original = model._compute_coreference_scores

    def compute(*given: Any) -> Any:
        seen.append(original(*given))
        return seen[-1]

    model._compute_coreference_scores = compute
    found = run()
    del model._compute_coreference_scores
    return found, seen[-1][0]


def _values(predictor: Any, inputs: JsonDict) -> list[float]:
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    outputs, scores = _scores(model, lambda: model.forward_on_instance(instance))
    probabilities = zip(scores.softmax(-1), outputs["predicted_antecedents"], strict=True)
    return [float(one[best + 1].log()) for one, best in probabilities if best >= 0]


def _by_hand(predictor: Any, inputs: JsonDict) -> list[list[float]]:
    model = predictor._model
    instance = predictor._json_to_instance(inputs)
    seen: list[Any] = []
    original = model._compute_coreference_scores

    def compute(*given: Any) -> Any:
        seen.append(original(*given))
        return seen[-1]

    def numbers(outputs: dict[str, Any]) -> list[Any]:
        links = zip(seen[-1][0].softmax(-1), outputs["predicted_antecedents"][0], strict=True)
        return [one[best + 1].log() for one, best in links if best >= 0]

    model._compute_coreference_scores = compute
    found = scores_of(model, model._text_field_embedder, instance, numbers)
    del model._compute_coreference_scores
    return [scores[0].tolist() for (scores,) in found]


def _lean(model: Any) -> None:
    """Lets some pairs of spans score less than none: then there are several clusters."""
    model._antecedent_scorer._module.bias -= 0.9


def _parts(folders: Folders, coarse: bool, seed: int) -> Parts:
    embedding, feature = 8, 4
    span = 2 * 12 + feature + embedding
    model = {
        "type": "coref",
        "text_field_embedder": {
            "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": embedding}}
        },
        "context_layer": {
            "type": "lstm",
            "input_size": embedding,
            "hidden_size": 6,
            "bidirectional": True,
        },
        "mention_feedforward": _forward(span),
        "antecedent_feedforward": _forward(3 * span + feature),
        "feature_size": feature,
        "max_span_width": 3,
        "spans_per_word": 0.5,
        "max_antecedents": 4,
        "coarse_to_fine": coarse,
        "inference_order": 2 if coarse else 1,
    }
    reader = {
        "type": "coref",
        "max_span_width": 3,
        "token_indexers": {"tokens": {"type": "single_id", "lowercase_tokens": True}},
    }
    return Parts(
        {"dataset_reader": reader, "model": model},
        {"tokens": WORDS},
        {"language": folders.language},
        adjust=_lean,
        seed=seed,
    )


def _forward(size: int) -> JsonDict:
    return {"input_dim": size, "num_layers": 1, "hidden_dims": 8, "activations": "tanh"}


_ABOUT: JsonDict = {
    "each": "link to an antecedent",
    "inputs": DOCUMENTS,
    "count": _links,
    "values": _values,
    "by_hand": _by_hand,
}


@archive("coreference", **_ABOUT)
def coreference(folders: Folders) -> Parts:
    return _parts(folders, coarse=False, seed=0)


@archive("coreference-coarse", **_ABOUT)
def coreference_coarse(folders: Folders) -> Parts:
    return _parts(folders, coarse=True, seed=0)
