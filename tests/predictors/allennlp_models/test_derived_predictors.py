"""Predictors that a user derives from allennlp-models' and that read other keys."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from tests.zoo.allennlp_models import ARCHIVES, Archives

# By an archive's name, the method that reads an input.
READS = {
    "dependencies": "_json_to_instance",
    "constituents": "_json_to_instance",
    "coreference": "_json_to_instance",
    "choices-piqa": "_json_to_instance",
    "srl-lstm": "_sentence_to_srl_instances",
    "srl-bert": "_sentence_to_srl_instances",
}


def reading_other_keys(predictor: Any, method: str) -> Any:
    """The predictor, by a class of its own that reads each key with a prefix."""
    kind = type(predictor)

    def read(self: Any, json_dict: dict[str, Any]) -> Any:
        keys = ("sentence", "document", "prefix", "alternatives")
        theirs = {key: json_dict[f"my_{key}"] for key in keys if f"my_{key}" in json_dict}
        assert theirs
        return getattr(kind, method)(self, theirs)

    predictor.__class__ = type("MyPredictor", (kind,), {method: read})
    return predictor


@pytest.mark.parametrize("name", READS)
def test_other_keys_are_read(archives: Archives, name: str) -> None:
    given = dict(ARCHIVES[name].inputs[0])
    expected = InputXGradient(archives.predictor(name)).interpret_json(given)
    derived = reading_other_keys(archives.predictor(name), READS[name])
    found = InputXGradient(derived).interpret_json({f"my_{key}": given[key] for key in given})
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.target["label"] == other.target["label"]
        assert one.target["value"] == other.target["value"]
        for text, same in zip(one.inputs, other.inputs, strict=True):
            assert text.attributions == same.attributions


@pytest.mark.parametrize("name", READS)
def test_a_key_that_the_predictor_misses_is_named(archives: Archives, name: str) -> None:
    with pytest.raises(InterpretationError, match="the input lacks the key"):
        InputXGradient(archives.predictor(name)).interpret_json({"my_text": "film"})
