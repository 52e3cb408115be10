"""Whatever a generation config says, the greedy text is written, and details say what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from allennlp_saliency.interpret import InputXGradient, InterpretationError
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

TASKS = {"causal-lm": ("gpt2", "prompt"), "seq2seq": ("bart", "source")}
STRATEGIES: tuple[dict[str, Any], ...] = (
    {"return_dict_in_generate": True},
    {"output_scores": True, "output_attentions": True, "return_dict_in_generate": True},
    {"num_beams": 2, "num_return_sequences": 2},
    {"do_sample": True, "temperature": 3.0, "top_k": 5},
    {"penalty_alpha": 0.6, "top_k": 4},
    {"prompt_lookup_num_tokens": 3},
    {"max_length": 3},
    {"max_time": 1e-9},
)
SAID = {"num_beams", "num_return_sequences", "do_sample", "penalty_alpha", "max_time"}


def made(task: str, **generation: Any) -> tuple[Any, str]:
    name, key = TASKS[task]
    own = model(name, task)
    own.generation_config.update(**generation)
    return TransformersPredictor.from_pretrained(own, tokenizer(KINDS[name].tokenizer)), key


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("config", STRATEGIES, ids=str)
def test_the_greedy_text(task: str, config: dict[str, Any]) -> None:
    plain, key = made(task)
    expected = plain.predict_json({key: "john smith", "max_new_tokens": 4})
    other, _ = made(task, **config)
    before = other._model.transformer.generation_config.to_dict()
    assert other.predict_json({key: "john smith", "max_new_tokens": 4}) == expected
    explained = InputXGradient(other).interpret_json({key: "john smith", "max_new_tokens": 4})
    assert len(explained) == len(expected["tokens"])
    said = SAID & set(config)
    for one, log_prob in zip(explained, expected["log_probs"], strict=True):
        assert one.target["value"] == pytest.approx(log_prob, abs=1e-5)
        told = one.details.get("generation", "")
        assert all(f"{name}={config[name]}" in told for name in said)
        assert ("generation" in one.details) is bool(said)
    assert other._model.transformer.generation_config.to_dict() == before


@pytest.mark.parametrize("task", TASKS)
def test_nothing_is_said_of_a_text_that_is_given(task: str) -> None:
    own, key = made(task, do_sample=True)
    other = "continuation" if task == "causal-lm" else "target"
    for one in InputXGradient(own).interpret_json({key: "john", other: " smith"}):
        assert "generation" not in one.details


@pytest.mark.parametrize("task", TASKS)
def test_rules_count_when_writing_and_are_said(task: str) -> None:
    plain, key = made(task)
    asked = {key: "john smith", "max_new_tokens": 4}
    (first, *_) = plain.predict_json(asked)["token_ids"]
    own, _ = made(task, suppress_tokens=[first])
    written = own.predict_json(asked)
    assert first not in written["token_ids"]
    explained = InputXGradient(own).interpret_json(asked)
    for one, log_prob in zip(explained, written["log_probs"], strict=True):
        assert f"suppress_tokens=[{first}]" in one.details["generation_rules"]
        # Of the model's own outputs, in which nothing is suppressed.
        assert one.target["value"] == pytest.approx(log_prob, abs=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rule", ["none", "forced_eos_token_id", "stop_strings"])
def test_inputs_that_ask_for_different_lengths(task: str, rule: str) -> None:
    """In a batch each has what it has alone, also where texts end at their longest."""
    own, key = made(task)
    config = own._model.transformer.generation_config
    if rule == "forced_eos_token_id":
        config.forced_eos_token_id = own._dataset_reader.tokenizer.eos_token_id
    elif rule == "stop_strings":
        text = own.predict_json({key: "mary", "max_new_tokens": 2})["text"]
        config.stop_strings = [text[-1]] if text else None
    asked = [
        {key: "john smith lives in london", "max_new_tokens": 2},
        {key: "mary", "max_new_tokens": 5},
        {key: "a great film", "max_new_tokens": 2},
    ]
    together = own.predict_batch_json(asked)
    for one, alone in zip(together, map(own.predict_json, asked), strict=True):
        assert one["token_ids"] == alone["token_ids"]
        assert one["log_probs"] == pytest.approx(alone["log_probs"], abs=1e-5)


def test_a_long_prompt_beside_a_long_answer() -> None:
    """Each fits alone, so they fit in a batch."""
    own, _ = made("causal-lm")
    asked = [{"prompt": "a " * 60, "max_new_tokens": 1}, {"prompt": "a", "max_new_tokens": 100}]
    together = own.predict_batch_json(asked)
    assert [len(one["token_ids"]) <= most for one, most in zip(together, (1, 100), strict=True)]


def test_an_overlong_prompt_is_named() -> None:
    own, _ = made("causal-lm")
    with pytest.raises(InterpretationError, match="field 'prompt' has"):
        InputXGradient(own).interpret_json({"prompt": "a " * 200, "max_new_tokens": 2})


def test_an_error_of_the_model_is_its_own() -> None:
    """What is to be written has no tokens yet: that is not why a model fails."""
    own, _ = made("causal-lm")
    own._model.transformer.generate = torch.zeros(1)
    with pytest.raises(Exception, match=r"^(?!.*has no tokens)"):
        InputXGradient(own).interpret_json({"prompt": "a", "max_new_tokens": 2})
