"""What fell on earlier generated tokens is handed on through them to the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import (
    Explanation,
    GradientNorm,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
)
from allennlp_saliency.predictors.transformers.generation.hops import handed_on
from tests.zoo.task_models import predictor

GIVEN: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("causal-lm", {"prompt": "a great film", "continuation": " but the plot"}),
    "t5": ("seq2seq", {"source": "a great film", "target": "the plot was"}),
}
each_model = pytest.mark.parametrize("name", GIVEN)


def scores(explanation: Explanation) -> tuple[list[float], list[float]]:
    """Of the prompt and of what was generated."""
    generated, prompt = explanation.inputs
    return prompt.attributions, generated.attributions


class TestHandedOn:
    def test_by_hand(self) -> None:
        found = handed_on([1.0, 2.0], [4.0, -6.0], [[1.0, 3.0], [2.0, 1.0]])
        # 1 + 4 · 1/4 - 6 · 2/3, 2 + 4 · 3/4 - 6 · 1/3
        assert found == (pytest.approx([-2.0, 3.0]), [0.0, 0.0])

    def test_a_token_that_nothing_came_to_keeps_its_score(self) -> None:
        found = handed_on([1.0, 2.0], [4.0, 5.0], [[1.0, -1.0], [0.0, 2.0]])
        assert found == ([1.0, 7.0], [4.0, 0.0])

    def test_nothing_earlier(self) -> None:
        assert handed_on([1.0, 2.0], [], []) == ([1.0, 2.0], [])


@each_model
class TestHops:
    @pytest.mark.parametrize("explain", ["token", "span", [[3, 5], [1, 3]], [[2, 4]]])
    @pytest.mark.parametrize("method", [InputXGradient, GradientNorm])
    def test_by_the_explanations_without(self, name: str, explain: Any, method: Any) -> None:
        task, json = GIVEN[name]
        interpreter = method(predictor(name, task))
        tokens = [scores(one) for one in interpreter.interpret_json(json)]
        plain = interpreter.interpret_json({**json, "explain": explain})
        hopped = interpreter.interpret_json({**json, "explain": explain, "hops": 1})
        assert len(hopped) == len(plain)
        before = 0 if name == "gpt2" else 1
        for one, other in zip(plain, hopped, strict=True):
            prompt, generated = scores(one)
            expected = list(prompt)
            for number, score in enumerate(generated[before:]):
                shares = tokens[number][0]
                for place, share in enumerate(shares):
                    expected[place] += score * share / sum(shares)
            found, rest = scores(other)
            assert found == pytest.approx(expected, abs=1e-4, rel=1e-4)
            assert rest == generated[:before] + [0.0] * len(generated[before:])
            whole = sum(prompt) + sum(generated)
            assert sum(found) + sum(rest) == pytest.approx(whole, abs=1e-5)
            assert other.details["hops"] == 1
            assert other.target["label"] == one.target["label"]

    def test_complete_methods_stay_complete(self, name: str) -> None:
        task, json = GIVEN[name]
        asked = {**json, "explain": [[3, 5]], "hops": 1}
        interpreter = IntegratedGradients(predictor(name, task), granularity="word")
        (found,) = interpreter.interpret_json(asked)
        due = found.target["value"] - found.target["baseline_value"]
        whole = sum(map(sum, scores(found)))
        assert found.convergence_delta == pytest.approx(due - whole, abs=1e-5)
        assert found.inputs[1].tokens[:3] == ["a", "great", "film"]

    def test_in_a_batch_as_alone(self, name: str) -> None:
        task, json = GIVEN[name]
        text = "prompt" if name == "gpt2" else "source"
        inputs = [
            {**json, "explain": [[3, 5]], "hops": 1},
            {**json, text: "mary lives in paris", "hops": 1},
            {**json, "explain": "span"},
        ]
        interpreter = InputXGradient(predictor(name, task))
        for asked, each in zip(inputs, interpreter.interpret_batch_json(inputs), strict=True):
            for one, other in zip(each, interpreter.interpret_json(asked), strict=True):
                for own, alone in zip(scores(one), scores(other), strict=True):
                    assert own == pytest.approx(alone, abs=1e-4, rel=1e-4)

    def test_shares_that_cancel_are_warned_of(self, name: str) -> None:
        task, json = GIVEN[name]
        asked = {**json, "hops": 1}
        plain = InputXGradient(predictor(name, task)).interpret_json(json)
        cancels = [sum(map(abs, scores(one)[0])) > 10 * abs(sum(scores(one)[0])) for one in plain]
        hopped = InputXGradient(predictor(name, task)).interpret_json(asked)
        for number, one in enumerate(hopped):
            warned = any("mostly cancel" in warning for warning in one.warnings)
            assert warned == any(cancels[:number])


def test_settings() -> None:
    made: Any = predictor("gpt2", "causal-lm")
    json = GIVEN["gpt2"][1]
    hopping = type(made)(made._model, made._dataset_reader, explain=[[2, 4]], hops=1)
    (one,) = InputXGradient(hopping).interpret_json(json)
    assert one.details["hops"] == 1
    (one,) = InputXGradient(hopping).interpret_json({**json, "hops": 0})
    assert "hops" not in one.details
    with pytest.raises(InterpretationError, match="'hops' is 0 or 1, not 2"):
        InputXGradient(made).interpret_json({**json, "hops": 2})
    with pytest.raises(ConfigurationError, match="hops"):
        type(made)(made._model, made._dataset_reader, hops=2)
