"""A generated token compared with a foil's, or with what comes after another text: by hand."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret import InterpretationError, SaliencyInterpreter
from tests.zoo.task_models import KINDS, predictor, tokenizer


def explain(name: str, task: str, given: dict[str, Any], target: Any) -> Any:
    settings = {} if target is None else {"target": target}
    interpreter: Any = SaliencyInterpreter.by_name("input-x-gradient")(
        predictor(name, task), **settings
    )
    return interpreter.interpret_json(given)


def ids(name: str, text: str, special: bool = True) -> torch.Tensor:
    own = tokenizer(KINDS[name].tokenizer)
    return own(text, add_special_tokens=special, return_tensors="pt").input_ids


class TestGPT2:
    given: ClassVar = {"prompt": "mary lives in", "continuation": " paris, not london"}

    def vectors(self, prompt: str) -> tuple[Any, torch.Tensor, torch.Tensor]:
        own = predictor("gpt2", "causal-lm")._model.transformer  # type: ignore[union-attr]
        return own, ids("gpt2", prompt), ids("gpt2", self.given["continuation"])[0]

    @pytest.mark.parametrize("of", ["logit", "probability"])
    def test_foil(self, of: str) -> None:
        own, before, after = self.vectors(self.given["prompt"])
        foil = ids("gpt2", " london and")[0]
        given = {**self.given, "foil": " london and"}
        explanations = explain("gpt2", "causal-lm", given, {"type": "foil-difference", "of": of})
        assert len(explanations) == min(len(foil), len(after)) > 1
        for step, explanation in enumerate(explanations):
            whole = torch.cat([before[0], after[:step]]).unsqueeze(0)
            vectors = own.transformer.wte(whole).detach().requires_grad_()
            scores = own(inputs_embeds=vectors).logits[0, -1]
            scores = scores if of == "logit" else scores.softmax(-1)
            value = scores[after[step]] - scores[foil[step]]
            check(explanation, value, vectors)

    @pytest.mark.parametrize("more", [{}, {"explain": "span"}, {"hops": 1}])
    def test_a_foil_that_the_target_does_not_read_is_named(self, more: dict[str, Any]) -> None:
        given = {**self.given, "foil": " london and", **more}
        first, *others = explain("gpt2", "causal-lm", given, "logit" if not more else None)
        named = [one for one in first.warnings if "compares nothing with the foil" in one]
        assert len(named) == 1
        assert "use the target 'foil-difference'" in named[0]
        assert not any("the foil" in text for one in others for text in one.warnings)

    def test_a_function_may_read_the_foil(self) -> None:
        given = {**self.given, "foil": " london and"}
        found = explain("gpt2", "causal-lm", given, lambda outputs: outputs.logits[:, 0])
        assert not any("the foil" in text for one in found for text in one.warnings)

    def test_changed_prompt(self) -> None:
        own, before, after = self.vectors(self.given["prompt"])
        other = ids("gpt2", "john smith had never lived in")
        given = {**self.given, "changed_prompt": "john smith had never lived in"}
        explanations = explain("gpt2", "causal-lm", given, "kl-divergence")
        assert len(explanations) == len(after)
        for step, explanation in enumerate(explanations):
            whole = torch.cat([before[0], after[:step]]).unsqueeze(0)
            changed = torch.cat([other[0], after[:step]]).unsqueeze(0)
            with torch.no_grad():
                q = own(input_ids=changed).logits[0, -1].softmax(-1)
            vectors = own.transformer.wte(whole).detach().requires_grad_()
            p = own(inputs_embeds=vectors).logits[0, -1].softmax(-1)
            value = torch.distributions.kl_divergence(
                torch.distributions.Categorical(p), torch.distributions.Categorical(q)
            )
            check(explanation, value, vectors)

    def test_the_same_prompt_is_no_change(self) -> None:
        given = {**self.given, "changed_prompt": self.given["prompt"]}
        for explanation in explain("gpt2", "causal-lm", given, "kl-divergence"):
            assert explanation.target["value"] == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize(
        ("target", "key"), [("foil-difference", "'foil'"), ("kl-divergence", "'changed_prompt'")]
    )
    def test_nothing_to_compare_with(self, target: str, key: str) -> None:
        with pytest.raises(InterpretationError, match=f"no {key}"):
            explain("gpt2", "causal-lm", self.given, target)

    def test_neither(self) -> None:
        with pytest.raises(ConfigurationError, match="'logit' or 'probability'"):
            explain("gpt2", "causal-lm", self.given, {"type": "foil-difference", "of": "loss"})


def test_t5() -> None:
    given = {
        "source": "mary lives in paris",
        "target": "in paris",
        "foil": "london",
        "changed_source": "john lives in london",
    }
    own = predictor("t5", "seq2seq")._model.transformer  # type: ignore[union-attr]
    start = torch.tensor([[tokenizer("pieces-eos").pad_token_id]])
    target, foil = (ids("t5", text, special=False)[0] for text in ("in paris", "london"))
    with torch.no_grad():
        logits, other = (
            own(input_ids=ids("t5", given[key]), decoder_input_ids=start).logits[0, -1]
            for key in ("source", "changed_source")
        )
    first = explain("t5", "seq2seq", given, "foil-difference")[0]
    assert first.target["value"] == pytest.approx(
        (logits[target[0]] - logits[foil[0]]).item(), abs=1e-5
    )
    p, q = logits.log_softmax(-1), other.log_softmax(-1)
    first = explain("t5", "seq2seq", given, "kl-divergence")[0]
    assert first.target["value"] == pytest.approx((p.exp() * (p - q)).sum().item(), abs=1e-5)


def check(explanation: Any, value: torch.Tensor, vectors: torch.Tensor) -> None:
    (gradient,) = torch.autograd.grad(value, vectors)
    scores = (gradient * vectors).sum(-1)[0].tolist()
    generated, before = explanation.inputs
    assert before.attributions + generated.attributions == pytest.approx(scores, abs=1e-5)
    assert explanation.target["value"] == pytest.approx(value.item(), abs=1e-5)


def test_an_empty_foil() -> None:
    json = {"prompt": "a great film", "continuation": " was", "foil": ""}
    with pytest.raises(InterpretationError, match="the foil has no tokens"):
        predictor("gpt2", "causal-lm").predict_json(json)


def test_a_foil_of_the_tokens_that_are_explained() -> None:
    json = {"prompt": "a great film", "continuation": " was", "foil": " was"}
    with pytest.raises(InterpretationError, match=r"the foil has the tokens that are explained"):
        explain("gpt2", "causal-lm", json, "foil-difference")
    # Where only some tokens are alike, the others are compared.
    longer = {"prompt": "a great film", "continuation": " was good", "foil": " was bad"}
    values = [
        one.target["value"] for one in explain("gpt2", "causal-lm", longer, "foil-difference")
    ]
    assert values[0] == 0.0
    assert any(values)
