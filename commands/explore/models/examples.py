"""What a predictor reads, and a first example of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors import TransformersPredictor

_MOST = 50
_MASK = "[MASK]"
_SENTENCE = {"sentence": "a quiet film with a great heart"}
_PAIR = {"premise": "two dogs run over a field", "hypothesis": "animals are outside"}
_QUESTION = {
    "question": "Who wrote the letter?",
    "passage": "Ada wrote the letter in May, and Grace read it in June.",
}
_EXAMPLES: dict[str, JsonDict] = {
    "text_classifier": _SENTENCE,
    "sentence_tagger": {"sentence": "Ada Lovelace met Charles Babbage in London."},
    "text-pair": _PAIR,
    "textual_entailment": _PAIR,
    "reading_comprehension": {key: _QUESTION[key] for key in ("passage", "question")},
    "transformer_qa": _QUESTION,
    "dialog_qa": {
        "paragraphs": [
            {
                "context": _QUESTION["passage"],
                "qas": [{"question": _QUESTION["question"], "id": "1", "answers": []}],
            }
        ]
    },
    "masked_language_model": {"sentence": "The capital of France is [MASK]."},
    "next_token_lm": {"sentence": "The capital of France is"},
    "semantic_role_labeling": {"sentence": "The keys were found by a neighbour."},
    "open_information_extraction": {"sentence": "The keys were found by a neighbour."},
    "coreference_resolution": {"document": "Ada met Grace. She showed her the letter."},
    "biaffine_dependency_parser": {"sentence": "The neighbour found the keys."},
    "constituency_parser": {"sentence": "The neighbour found the keys."},
    "seq2seq": {"source": "The neighbour found the keys."},
    "transformer_mc": {
        "prefix": "It rained all day.",
        "alternatives": ["She took an umbrella.", "She took her sunglasses."],
    },
    "transformers-text-classification": _SENTENCE,
    "transformers-token-classification": {"sentence": "Ada Lovelace lived in London."},
    "transformers-question-answering": _QUESTION,
    "transformers-multiple-choice": {
        "prompt": "It rained all day.",
        "choices": ["She took an umbrella.", "She took her sunglasses."],
    },
    "transformers-masked-lm": {"sentence": "The capital of France is [MASK]."},
    "transformers-causal-lm": {"prompt": "The capital of France is", "max_new_tokens": 5},
    "transformers-seq2seq": {"source": "The neighbour found the keys.", "max_new_tokens": 20},
}


def first_example(name: str, predictor: Predictor) -> JsonDict:
    """An input that a predictor reads; of one that is not known, a sentence.

    Args:
        name: Its registered name.
        predictor: The predictor.
    """
    example = dict(_EXAMPLES.get(name, _SENTENCE))
    if isinstance(predictor, TransformersPredictor):
        mask = getattr(predictor._dataset_reader.tokenizer, "mask_token", None) or _MASK
        return {
            key: value.replace(_MASK, mask) if isinstance(value, str) else value
            for key, value in example.items()
        }
    return example


def read_examples(path: Path) -> list[JsonDict]:
    """The first inputs of a file of JSON lines.

    Raises:
        ConfigurationError: If a line is no JSON object.
    """
    found: list[JsonDict] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if len(found) == _MOST:
                break
            if not line.strip():
                continue
            try:
                one = json.loads(line)
            except ValueError as error:
                raise ConfigurationError(f"{path}, line {number} is no JSON: {error}") from error
            if not isinstance(one, dict):
                raise ConfigurationError(f"{path}, line {number} is no JSON object")
            found.append(one)
    return found


def needed(examples: Sequence[JsonDict], known: Sequence[JsonDict]) -> list[JsonDict]:
    """Examples with what the predictor reads: a file of a dataset has gold labels, too.

    Args:
        examples: The examples.
        known: What the predictors read, an example each; an example with all keys of one of these
            keeps these and what stands for a switch of it.
    """
    found = []
    for example in examples:
        keys = next((set(one) for one in known if set(one) <= set(example)), set(example))
        found.append({key: value for key, value in example.items() if key in keys})
    return found


def readable_keys(name: str, predictor: Predictor) -> list[str]:
    """The keys that a predictor reads, as far as that is known: what must be given comes first."""
    keys = list(first_example(name, predictor))
    reads: Mapping[str, Any] = {}
    if isinstance(predictor, TransformersPredictor):
        reads = predictor.reads
    return [*keys, *(key for key in reads if key not in keys)]
