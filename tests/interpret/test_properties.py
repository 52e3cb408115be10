"""What holds for every method and every model; a new method is covered by being registered."""

from __future__ import annotations

import copy
import inspect
import json
import math
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import allennlp.interpret.saliency_interpreters as allennlp_interpreters
import numpy as np
import pytest
import torch
from allennlp.common import Params
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import (
    Explanation,
    NotApplicableError,
    SaliencyInterpreter,
    Target,
)
from allennlp_saliency.interpret.methods.attention.attention_interpreter import AttentionInterpreter
from tests.zoo import FAMILIES, LABELS, Zoo

METHODS = sorted(
    name
    for name in SaliencyInterpreter.list_available()
    if issubclass(SaliencyInterpreter.by_name(name), SaliencyInterpreter)
)
# Few points, so that tests are quick; enough for complete methods to be complete.
SETTINGS: dict[str, dict[str, Any]] = {
    "integrated-gradients": {"steps": 24},
    "sequential-integrated-gradients": {"steps": 6},
    "smooth-gradients": {"num_samples": 3},
    "context-cite": {"num_ablations": 8, "resamples": 4},
    "integrated-hessians": {"steps": 6},
    "kernel-shap": {"num_samples": 32, "exact_units": 3},
    "lime": {"num_samples": 16},
    "minimal-sufficient-set": {"stride": 8},
    "owen": {"max_evaluations": 24},
    "pair-interactions": {"best": 3},
    "reagent": {"steps": 8},
    "shapley-sampling": {"num_pairs": 2},
    "sobol": {"num_designs": 2},
}
# The methods that most people use see every kind of model; the others a choice of them.
COMMON = (
    "gradient",
    "gradient-norm",
    "input-x-gradient",
    "integrated-gradients",
    "random",
    "smooth-gradients",
)
SOME_FAMILIES = ("lstm", "pair", "bert-mismatched", "bert-tagger")
MORE_FAMILIES = (*SOME_FAMILIES, "bert", "gpt2", "bert-and-words")
SOME_METHODS = ("gradient", "integrated-gradients", "smooth-gradients")
# Methods that look inside a transformer say nothing of models that have none.
OF_TRANSFORMERS = frozenset(
    name for name in METHODS if issubclass(SaliencyInterpreter.by_name(name), AttentionInterpreter)
)
NO_TRANSFORMERS = frozenset({"lstm", "boe", "cnn", "pair", "lstm-tagger"})


def applies(method: str, family: str) -> bool:
    return method not in OF_TRANSFORMERS or family not in NO_TRANSFORMERS


def plain(method: str) -> str:
    """The simplest family that a method applies to."""
    return "lstm" if applies(method, "lstm") else "bert"


def _cases() -> list[Any]:
    quick = {(method, family) for method in METHODS for family in SOME_FAMILIES}
    quick |= {(method, family) for method in COMMON for family in MORE_FAMILIES}
    quick |= {(method, family) for method in SOME_METHODS for family in FAMILIES}
    every = [(m, f) for m in METHODS for f in FAMILIES if applies(m, f)]
    slow = [pytest.mark.slow]
    return [pytest.param(*case, marks=[] if case in quick else slow) for case in every]


each_case = pytest.mark.parametrize(("method", "family"), _cases())
each_method = pytest.mark.parametrize("method", METHODS)


def make(method: str, predictor: Predictor, **settings: Any) -> SaliencyInterpreter:
    made = SaliencyInterpreter.by_name(method)(
        predictor, **{**SETTINGS.get(method, {}), **settings}
    )
    assert isinstance(made, SaliencyInterpreter)
    return made


# The gradients along T5's path cancel: here float32 scores lie up to 1.6e-4 from those in float64,
# whatever the batch. In one run of the suite a batch and its inputs alone were 8e-6 apart; run
# by itself the test finds no difference, and why that run did is not known.
ROUNDING = {("layer-integrated-gradients", "t5"): 5e-5}

_INTERPRETED: dict[tuple[int, str, str], list[list[Explanation]]] = {}


def interpreted(zoo: Zoo, method: str, family: str) -> list[list[Explanation]]:
    """What a method says of the inputs of a family, all at once; asked once a session."""
    key = (id(zoo), method, family)
    if key not in _INTERPRETED:
        interpreter = make(method, zoo.predictor(family))
        _INTERPRETED[key] = interpreter.interpret_batch_json(zoo.inputs(family))
    return _INTERPRETED[key]


def numbers(explanations: list[Explanation]) -> list[float]:
    """All scores, one after the other."""
    return [
        number
        for explanation in explanations
        for one in explanation.inputs
        for number in (*one.attributions, one.unassigned)
    ]


def flat(results: list[list[Explanation]]) -> list[float]:
    return [number for explanations in results for number in numbers(explanations)]


def close(left: list[float], right: list[float], tolerance: float = 1e-5) -> bool:
    scale = max(1.0, *map(abs, right)) if right else 1.0
    same_length = len(left) == len(right)
    return same_length and bool(np.allclose(left, right, rtol=0, atol=tolerance * scale))


def is_seeded(method: str) -> bool:
    return "seed" in inspect.signature(SaliencyInterpreter.by_name(method).__init__).parameters


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
                    check_offsets(given[key], one.tokens, one.offsets, kind.offsets)
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


def check_offsets(
    text: str, tokens: list[str], offsets: list[tuple[int, int] | None], given: bool
) -> None:
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
    assert placed == (len(tokens) - added if given else 0)


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


class Exploding(Target):
    """A target that fails from a look at the outputs on, the first of which is number 1.

    From then on: what fails in a batch of several rows is tried again row by row.
    """

    def __init__(self, last: int = -1) -> None:
        super().__init__()
        self.last = last
        self.looks = 0

    def __call__(self, outputs: Any) -> torch.Tensor:
        self.looks += 1
        if 0 < self.last <= self.looks:
            raise ZeroDivisionError(f"at look {self.last}")
        return outputs.log_likelihood


def state_of(predictor: Predictor) -> dict[str, Any]:
    """All that an interpretation could leave behind."""
    model = predictor._model
    return {
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
        "storage": [parameter.data_ptr() for parameter in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "training": [module.training for module in model.modules()],
        "hooks": [list(hooks(module)) for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "metrics": model.get_metrics(),
        "vocabulary": {
            namespace: dict(entries) for namespace, entries in model.vocab._token_to_index.items()
        },
        "offsets": list(predictor._token_offsets),
        "predictor": {name: id(value) for name, value in vars(predictor).items()},
        "torch": torch.get_rng_state(),
        "numpy": str(np.random.get_state()),
        "python": random.getstate(),
        "gradients on": torch.is_grad_enabled(),
        "cudnn": torch.backends.cudnn.enabled,
    }


def hooks(module: nn.Module) -> Iterator[tuple[str, int, int]]:
    for name, value in vars(module).items():
        if name.endswith("_hooks"):
            yield from ((name, key, id(hook)) for key, hook in value.items())


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class TestNobodyNotices:
    @each_method
    @pytest.mark.parametrize("frozen", [True, False])
    @pytest.mark.parametrize("fails", [False, True])
    @pytest.mark.parametrize("words", [False, True])
    def test_the_users_model_stays_as_it_is(
        self, zoo: Zoo, method: str, words: bool, frozen: bool, fails: bool
    ) -> None:
        family = plain(method) if words else "bert-mismatched"
        predictor = zoo.build(family, frozen=frozen)
        # A life before: predictions, gradients, a frozen part, hooks, metrics, leftovers.
        predictor.predict_json(zoo.inputs(family)[0])  # transformers' indexers fill vocabularies
        calls: list[int] = []
        for number, parameter in enumerate(predictor._model.parameters()):
            parameter.requires_grad = bool(number % 2)
            parameter.grad = torch.full_like(parameter, 0.5) if number % 3 else None
        for module in predictor._model.modules():
            module.register_forward_hook(lambda *_: calls.append(1))
        predictor._token_offsets.append(torch.ones(1, 2))
        inputs = zoo.inputs(family)
        given = copy.deepcopy(inputs)
        before = state_of(predictor)
        counting = Exploding()
        assert make(method, predictor, target=counting).interpret_json(inputs[0])
        if fails:
            # At the first look, in the middle and at the last.
            for look in {1, counting.looks // 2 + 1, counting.looks}:
                with pytest.raises(ZeroDivisionError):
                    make(method, predictor, target=Exploding(look)).interpret_json(inputs[0])
        else:
            assert any(make(method, predictor).interpret_batch_json(inputs))
        after = state_of(predictor)
        assert [name for name in before if not same(before[name], after[name])] == []
        assert inputs == given
        assert same(predictor._token_offsets[0], torch.ones(1, 2))

    @each_method
    def test_dropout_is_off_where_the_model_trains(self, zoo: Zoo, method: str) -> None:
        given = zoo.inputs("bert")[2]
        training = make(method, zoo.build("bert", frozen=False)).interpret_json(given)
        assert numbers(training) == numbers(
            make(method, zoo.predictor("bert")).interpret_json(given)
        )

    def test_instances_stay_as_they_are(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert")
        instances = [predictor._json_to_instance(given) for given in zoo.inputs("bert")]
        fields = [dict(instance.fields) for instance in instances]
        results = make("gradient", predictor).interpret_each_instance(instances, predict=True)
        assert [instance.fields for instance in instances] == fields
        expected = make("gradient", predictor).interpret_each(zoo.inputs("bert"), predict=True)
        assert results == expected


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
