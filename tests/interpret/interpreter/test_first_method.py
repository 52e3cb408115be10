"""What somebody's first method returned wrongly is named, with the way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    Attribution,
    InputXGradient,
    InterpretationError,
    SaliencyInterpreter,
    Target,
)
from allennlp_saliency.interpret.reduction import Sum, reduce_coordinates
from allennlp_saliency.interpret.registry import construct


class Returning(SaliencyInterpreter):
    """Returns what a function makes of the space."""

    def __init__(self, predictor: Predictor, make: Any) -> None:
        super().__init__(predictor)
        self._make = make

    def attribute(self, space: Any) -> Attribution:
        made: Attribution = self._make(space)
        return made


def per_coordinate(space: Any) -> Attribution:
    return Attribution(space.embeddings * space.input_gradients)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            per_coordinate,
            r"'Returning' returned scores of shape \(1, \d+\), and there are \(1, \d+\).*"
            r"reduce_coordinates\(numbers, space\.layout, Sum\(\)\)",
        ),
        (lambda space: per_coordinate(space).scores, r"returned a Tensor; return Attribution"),
        (lambda space: None, r"returned a NoneType; return Attribution"),
    ],
    ids=["a number per coordinate", "a tensor", "nothing"],
)
def test_what_is_returned_is_checked(make: Any, message: str) -> None:
    predictor = Predictor.from_path("fixtures/topics/model.tar.gz", import_plugins=False)
    with pytest.raises(InterpretationError, match=message):
        Returning(predictor, make).interpret_json({"sentence": "the verdict was late."})


def test_the_way_out_works() -> None:
    def per_position(space: Any) -> Attribution:
        numbers = per_coordinate(space).scores
        return Attribution(reduce_coordinates(numbers, space.layout, Sum()))

    predictor = Predictor.from_path("fixtures/topics/model.tar.gz", import_plugins=False)
    (found,) = Returning(predictor, per_position).interpret_json("the verdict was late.")
    assert any(found.inputs[0].attributions)


def test_a_label_in_the_place_of_a_target() -> None:
    predictor = Predictor.from_path("fixtures/topics/model.tar.gz", import_plugins=False)
    with pytest.raises(ConfigurationError, match="there is no target 'law'") as raised:
        InputXGradient(predictor, target="law")
    named = str(raised.value).rpartition("type ")[2]
    assert construct(Target, json.loads(named.replace("'", '"'))).label == "law"


@pytest.mark.parametrize("given", ["a/folder", Path("model.tar.gz")])
def test_a_path_in_the_place_of_a_predictor(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"from_path\(…\).*from_pretrained\(…\)"):
        InputXGradient(given)
