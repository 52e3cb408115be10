"""Hooks of the user's that the private copy has none of: those that capture what the user's model
computes, and those of backward passes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor
from torch import nn

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    LayerwiseRelevancePropagation,
)
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

TEXT = {"sentence": "a great film, but the plot was not very good"}
METHODS: Any = [InputXGradient, IntegratedGradients, DeepLift, LayerwiseRelevancePropagation]


def load() -> Predictor:
    return TransformersPredictor.from_pretrained(
        copy.deepcopy(model("bert", "text-classification")), tokenizer(KINDS["bert"].tokenizer)
    )


def scores(made: Predictor, method: Any = InputXGradient) -> list[float]:
    (explanation,) = method(made, target="logit").interpret_json(TEXT)
    return explanation.inputs[0].attributions


def test_what_is_captured_is_what_the_users_own_model_computed() -> None:
    made = load()
    right = scores(made)
    with made.capture_model_internals(r".*classifier") as seen:
        logits = made.predict_json(TEXT)["logits"]
        (captured,) = seen.values()
        assert captured["output"][0] == pytest.approx(logits, abs=1e-6)
        assert scores(made) == right
        scores(made, IntegratedGradients)
        (after,) = seen.values()
        assert after is captured


@pytest.mark.parametrize("register", ["full_backward_hook", "full_backward_pre_hook"])
def test_hooks_of_backward_passes_see_and_change_nothing(register: str) -> None:
    right = {method: scores(load(), method) for method in METHODS}
    made, seen = load(), []

    def cut(module: nn.Module, *gradients: Any) -> Any:
        seen.append(module)
        return tuple(None if one is None else one * 0 for one in gradients[0])

    query: Any = made._model.transformer.bert.encoder.layer[0].attention.self.query
    getattr(query, f"register_{register}")(cut)
    for method in METHODS:
        assert scores(made, method) == pytest.approx(right[method], abs=1e-6)
    assert not seen
    # It is still the user's.
    query(torch.zeros(1, query.in_features, requires_grad=True)).sum().backward()
    assert seen == [query]
