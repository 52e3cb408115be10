"""No method changes anything of the user's, an exception included."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import (
    Target,
)
from tests.interpret.properties.cases import each_method, make, numbers, plain, same
from tests.zoo import Zoo


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
        for found, of_json in zip(results, expected, strict=True):
            # An instance does not have the text as it was written.
            known = [
                replace(one, inputs=[replace(text, text=None) for text in one.inputs])
                for one in of_json.explanations
            ]
            assert found.explanations == known
            assert found.prediction == of_json.prediction
