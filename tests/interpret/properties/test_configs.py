"""Every method is made from a config, and an explanation says how."""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import allennlp.interpret.saliency_interpreters as allennlp_interpreters
import pytest
from allennlp.common import Params

from allennlp_saliency.interpret import (
    Explanation,
    SaliencyInterpreter,
)
from tests.interpret.properties.cases import (
    SETTINGS,
    each_case,
    each_method,
    interpreted,
    is_seeded,
    make,
    plain,
)
from tests.zoo import Zoo


class TestConfigs:
    @each_case
    def test_json_round_trip(self, zoo: Zoo, method: str, family: str) -> None:
        for explanations in interpreted(zoo, method, family):
            for explanation in explanations:
                text = json.dumps(explanation.to_json(), allow_nan=False)
                assert Explanation.from_json(json.loads(text)) == explanation

    @each_method
    @pytest.mark.parametrize(
        "base", [SaliencyInterpreter, allennlp_interpreters.SaliencyInterpreter]
    )
    def test_from_params(self, zoo: Zoo, method: str, base: type) -> None:
        family = plain(method)
        predictor = zoo.predictor(family)
        settings = {
            **SETTINGS.get(method, {}),
            "target": {"type": "logit", "label": "positive"},
            "normalization": "max-abs",
            "aggregation": "mean",
            "token_budget": 100,
        }
        made = base.from_params(  # type: ignore[attr-defined]
            Params({"type": method, **copy.deepcopy(settings)}), predictor=predictor
        )
        assert type(made) is SaliencyInterpreter.by_name(method)
        given = zoo.inputs(family)[2]
        (explanation,) = made.interpret_json(given)
        assert explanation.target["type"] == "logit"
        assert explanation.target["label"] == "positive"
        direct = SaliencyInterpreter.by_name(method)(predictor, **settings)
        assert made.saliency_interpret_from_json(given) == direct.saliency_interpret_from_json(
            given
        )
        scores = made.saliency_interpret_from_json(given)["instance_1"]["grad_input_1"]
        assert max(map(abs, scores)) == pytest.approx(1)

    @each_method
    def test_parameters_are_kept_and_told(self, zoo: Zoo, method: str) -> None:
        interpreter = make(method, zoo.predictor("bert-mismatched"))
        config = interpreter.config()
        assert config["type"] == method
        assert json.loads(json.dumps(config)) == config
        for name in parameters(type(interpreter)):
            assert hasattr(interpreter, name), f"{method} does not keep {name!r}"
            told = name in ("predictor", "target", "token_budget") or name in config
            # What says nothing need not be told: the usual way that it is.
            usual = name == "granularity" and interpreter.granularity == "token"
            told = told or usual or getattr(interpreter, name) is None
            assert told, f"{method} does not tell {name!r}"

    @each_method
    def test_an_explanation_says_how_to_make_it_again(self, zoo: Zoo, method: str) -> None:
        predictor = zoo.predictor("bert-mismatched")
        given = zoo.inputs("bert-mismatched")[2]
        settings: dict[str, Any] = {
            "aggregation": "mean",
            "normalization": "l1",
            "granularity": "word",
        }
        if is_seeded(method):
            settings["seed"] = 5
        if "baseline" in parameters(SaliencyInterpreter.by_name(method)):
            settings["baseline"] = {"type": "token", "token": "the", "keep_special_tokens": False}
        target = {"type": "contrast", "against": "negative", "label": "positive"}
        interpreter = make(method, predictor, target=target, **settings)
        (explanation,) = interpreter.interpret_json(given)
        told = {key: explanation.target[key] for key in ("type", "against", "label")}
        assert told == target
        config = json.loads(json.dumps(explanation.interpreter))
        again = SaliencyInterpreter.from_params(
            Params({**config, "target": told}), predictor=predictor
        )
        assert isinstance(again, SaliencyInterpreter)
        assert again.interpret_json(given) == [explanation]
        assert again.saliency_interpret_from_json(
            given
        ) == interpreter.saliency_interpret_from_json(given)

    def test_others_interpreters_are_found_too(self, zoo: Zoo) -> None:
        made = SaliencyInterpreter.from_params(
            Params({"type": "simple-gradient"}), predictor=zoo.predictor("lstm")
        )
        assert type(made) is allennlp_interpreters.SimpleGradient


def parameters(cls: type) -> set[str]:
    """The constructor's parameters, with those that it hands on."""
    names: set[str] = set()
    for parent in cls.__mro__:
        if "__init__" in vars(parent):
            found = inspect.signature(vars(parent)["__init__"]).parameters.values()
            names |= {p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD}
            if not any(p.kind is p.VAR_KEYWORD for p in found):
                break
    return names - {"self"}
