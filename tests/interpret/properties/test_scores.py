"""Scores line up with tokens and predictions, in any batch and from any seed; a new method is
covered by being registered."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from allennlp_saliency.interpret import (
    NotApplicableError,
)
from tests.interpret.properties.cases import (
    COMMON,
    METHODS,
    NO_TRANSFORMERS,
    OF_TRANSFORMERS,
    ROUNDING,
    SOME_FAMILIES,
    applies,
    close,
    each_case,
    each_method,
    flat,
    interpreted,
    is_seeded,
    make,
    numbers,
)
from tests.zoo import FAMILIES, LABELS, Zoo


def test_our_methods_are_found() -> None:
    assert set(COMMON) <= set(METHODS)


@pytest.mark.parametrize("family", sorted(NO_TRANSFORMERS))
def test_a_method_says_that_it_does_not_apply(zoo: Zoo, family: str) -> None:
    predictor = zoo.predictor(family)
    inputs = zoo.inputs(family)
    for method in OF_TRANSFORMERS:
        errors = [one.error for one in make(method, predictor).interpret_each(inputs)]
        told = [error for error in errors if error is not None]
        assert told
        for error in told:
            assert isinstance(error, NotApplicableError)
            assert type(predictor._model).__name__ in str(error)
            assert "integrated-gradients" in str(error)


class TestScoresAndTokens:
    @each_case
    def test_scores_line_up_with_tokens(self, zoo: Zoo, method: str, family: str) -> None:
        kind = FAMILIES[family]
        inputs = zoo.inputs(family)
        results = interpreted(zoo, method, family)
        assert any(results)
        for given, explanations in zip(inputs, results, strict=True):
            for explanation in explanations:
                fields = [(one.field, one.grad_input) for one in explanation.inputs]
                assert fields == [
                    (name, f"grad_input_{number}")
                    for number, (name, _) in enumerate(kind.fields, start=1)
                ]
                for one, (_, key) in zip(explanation.inputs, kind.fields, strict=True):
                    assert len(one.tokens) == len(one.offsets) == len(one.attributions) > 0
                    assert all(map(math.isfinite, [*one.attributions, one.unassigned]))
                    check_offsets(given[key], one.tokens, one.offsets)
                if method != "random":
                    assert explanation.warnings or any(numbers([explanation]))

    @each_case
    def test_allennlps_contract(self, zoo: Zoo, method: str, family: str) -> None:
        interpreter = make(method, zoo.predictor(family))
        given, explanations = zoo.inputs(family)[2], interpreted(zoo, method, family)[2]
        contract = interpreter.saliency_interpret_from_json(given)
        assert [interpreter.grad_inputs(one) for one in explanations] == [
            {key: pytest.approx(shares, abs=1e-5) for key, shares in scores.items()}
            for scores in contract.values()
        ]
        for explanations in interpreted(zoo, method, family):
            contract = {
                f"instance_{number}": interpreter.grad_inputs(explanation)
                for number, explanation in enumerate(explanations, start=1)
            }
            assert list(contract) == [f"instance_{n}" for n in range(1, len(explanations) + 1)]
            for scores, explanation in zip(contract.values(), explanations, strict=True):
                assert list(scores) == [one.grad_input for one in explanation.inputs]
                for one in explanation.inputs:
                    shares = scores[one.grad_input]
                    assert len(shares) == len(one.tokens)
                    assert min(shares) >= 0
                    if any(one.attributions):
                        assert sum(shares) == pytest.approx(1, abs=1e-6)
                        strongest = np.argmax(np.abs(one.attributions))
                        assert shares[strongest] == max(shares)
                    else:
                        assert not any(shares)
                        assert any(one.field in warning for warning in explanation.warnings)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_one_instance_per_prediction(self, zoo: Zoo, family: str) -> None:
        predictor = zoo.predictor(family)
        interpreter = make("gradient", predictor)
        for given in zoo.inputs(family):
            predicted = predictor.predict_json(given)
            explanations = interpreter.interpret_json(given)
            if "tags" in predicted:
                positions = [p for e in explanations for p in e.target["positions"]]
                assert positions == [i for i, tag in enumerate(predicted["tags"]) if tag != "O"]
                for e in explanations:
                    tags = [predicted["tags"][p] for p in e.target["positions"]]
                    assert e.target["label"] == " ".join(tags)
                continue
            best = int(np.argmax(predicted["probs"]))
            (explanation,) = explanations
            assert explanation.target["label"] == LABELS[best]
            value = math.log(predicted["probs"][best])
            assert explanation.target["value"] == pytest.approx(value, abs=1e-5)


def check_offsets(text: str, tokens: list[str], offsets: list[tuple[int, int] | None]) -> None:
    """Every token but the added ones stands where it is in the text; where a tokenizer does not say
    where, that is found."""
    placed = 0
    for token, span in zip(tokens, offsets, strict=True):
        if span is None:
            continue
        placed += 1
        start, end = span
        assert 0 <= start < end <= len(text)
        bare = token.removeprefix("##").replace("Ġ", "")
        assert text[start:end].strip().lower() == bare.lower()
    added = sum(token in ("[CLS]", "[SEP]", "<s>", "</s>") for token in tokens)
    assert placed == len(tokens) - added


class TestBatches:
    @each_case
    def test_batch_equals_single(self, zoo: Zoo, method: str, family: str) -> None:
        predictor = zoo.predictor(family)
        inputs = zoo.inputs(family)
        interpreter = make(method, predictor)
        single = [interpreter.interpret_json(given) for given in inputs]
        together = interpreted(zoo, method, family)
        assert [len(es) for es in together] == [len(es) for es in single]
        tolerance = ROUNDING.get((method, family), 1e-5)
        assert close(flat(together), flat(single), tolerance)
        # All in one batch, whatever the padding costs, and hardly anything in a batch.
        for budget in (10**6, 60) if method in COMMON else (60,):
            packed = make(method, predictor, token_budget=budget)
            found = flat(packed.interpret_batch_json(inputs[::-1]))
            assert close(found, flat(single[::-1]), tolerance)

    @each_method
    def test_instances_that_are_padded_much_share_a_batch(
        self, zoo: Zoo, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from allennlp_saliency.interpret.space.packing import TokenBudget

        def groups(self: Any, lengths: list[int], rows: int, shapes: Any = None) -> Any:
            numbers = list(range(len(lengths)))
            return [numbers] if shapes is None else [[number] for number in numbers]

        monkeypatch.setattr(TokenBudget, "groups", groups)
        families = ("cnn", "pair", "bert-mismatched", "roberta", "xlnet")
        some = families if method in COMMON else families[1:3]
        for family in filter(partial(applies, method), some):
            inputs = zoo.inputs(family)
            interpreter = make(method, zoo.predictor(family))
            single = [interpreter.interpret_json(given) for given in inputs]
            assert close(flat(interpreter.interpret_batch_json(inputs)), flat(single)), family

    @each_method
    def test_no_inputs(self, zoo: Zoo, method: str) -> None:
        assert make(method, zoo.predictor("lstm")).interpret_batch_json([]) == []


class TestSeeds:
    @each_method
    def test_same_scores_again(self, zoo: Zoo, method: str) -> None:
        inputs = zoo.inputs("bert-mismatched")
        predictor = zoo.predictor("bert-mismatched")
        once = make(method, predictor).interpret_batch_json(inputs)
        torch.manual_seed(99)
        assert flat(make(method, predictor).interpret_batch_json(inputs)) == flat(once)

    @pytest.mark.parametrize("method", [method for method in METHODS if is_seeded(method)])
    def test_another_seed_other_scores(self, zoo: Zoo, method: str) -> None:
        inputs = zoo.inputs("bert-mismatched")
        predictor = zoo.predictor("bert-mismatched")
        one, same, other = (
            flat(make(method, predictor, seed=seed).interpret_batch_json(inputs))
            for seed in (1, 1, 2)
        )
        assert one == same
        assert not close(one, other, 1e-4)


class TestCompleteness:
    @each_case
    def test_what_is_missing_is_told(self, zoo: Zoo, method: str, family: str) -> None:
        interpreter = make(method, zoo.predictor(family))
        for explanations in interpreted(zoo, method, family):
            for explanation in explanations:
                delta = explanation.convergence_delta
                if delta is None or "baseline_value" not in explanation.target:
                    assert not interpreter.complete
                    continue
                change = explanation.target["value"] - explanation.target["baseline_value"]
                assert sum(numbers([explanation])) + delta == pytest.approx(change, abs=1e-6)
                # Few points miss little of smooth models.
                if interpreter.complete and family in SOME_FAMILIES:
                    assert abs(delta) <= 0.02 + 0.02 * abs(change)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_integrated_gradients_reach_a_tolerance(self, zoo: Zoo, family: str) -> None:
        interpreter = make(
            "integrated-gradients", zoo.predictor(family), steps=9, tolerance=0.01, max_steps=4096
        )
        for explanations in interpreter.interpret_batch_json(zoo.inputs(family)):
            for explanation in explanations:
                assert explanation.convergence_delta is not None
                assert abs(explanation.convergence_delta) <= 0.01
                assert explanation.details["converged"] is True
