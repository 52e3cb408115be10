"""Blocks below an inner layer are left out of its forward passes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from allennlp.modules.scalar_mix import ScalarMix
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    LayerIntegratedGradients,
)
from allennlp_saliency.interpret.space.variants.layer_space import blocks_below
from tests.interpret.methods.test_layer_methods import BERT, TARGET, explain, scores
from tests.zoo import FAMILIES, Zoo
from tests.zoo.functions import predictor_of, spread_vectors
from tests.zoo.task_models import predictor


class Fussy(nn.Module):
    """Whose blocks have to return pairs, and whose states must not be small."""

    class Block(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return 2 * x, x

    def __init__(self, least: float) -> None:
        super().__init__()
        self.stack = nn.ModuleList([self.Block(), self.Block()])
        self.least = least

    def forward(self, x: Tensor) -> Tensor:
        for block in self.stack:
            states = block(x)
            if not isinstance(states, tuple):
                raise TypeError("a block returned no pair")
            x = states[0]
        if x.abs().amax((1, 2)).min() < self.least:
            raise ArithmeticError("too small for the model")
        return x.sum(1)[:, :2]


class TestBlocksBelow:
    """What the layer's blocks stand on is computed once, and changes nothing."""

    @pytest.mark.parametrize("family", ["bert", "gpt2", "distilbert", "albert", "t5", "llama"])
    def test_the_same_scores(self, family: str, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor = zoo.predictor(family)
        stacks = [
            name
            for name, module in predictor._model.named_modules()
            if isinstance(module, torch.nn.ModuleList) and "embed" in name
        ]
        layer = f"{stacks[0]}.1" if len(predictor._model.get_submodule(stacks[0])) > 1 else None
        layer = layer or f"{stacks[0]}.0"
        method = LayerIntegratedGradients(predictor, layer=layer, steps=5)
        text = {"sentence": FAMILIES[family].sentences[0]}
        found = method.interpret_json(text)[0].inputs[0].attributions
        monkeypatch.setattr(
            "allennlp_saliency.interpret.space.variants.layer_space.blocks_below", lambda *_: []
        )
        expected = method.interpret_json(text)[0].inputs[0].attributions
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)

    def test_blocks_are_left_out(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        from transformers.models.bert.modeling_bert import BertLayer

        calls = []
        forward = BertLayer.forward

        def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(self)
            return forward(self, *args, **kwargs)

        monkeypatch.setattr(BertLayer, "forward", counting)
        predictor = zoo.predictor("bert")
        (stack,) = [
            name
            for name, module in predictor._model.named_modules()
            if isinstance(module, torch.nn.ModuleList)
        ]
        count = len(predictor._model.get_submodule(stack))
        method = LayerIntegratedGradients(
            predictor, layer=f"{stack}.{count - 1}", steps=64, token_budget=16
        )
        method.interpret_json({"sentence": FAMILIES["bert"].sentences[0]})
        # To predict, to record and for the baseline's states; then none.
        assert len(calls) <= 3 * count

    def test_all_layers_mixed(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the blocks below serve for something else, they are run."""
        predictor = copy.deepcopy(zoo.predictor("bert"))
        embedder: Any = predictor._model.get_submodule(BERT.rpartition(".")[0])
        embedder.config.output_hidden_states = True
        embedder.transformer_model.config.output_hidden_states = True
        embedder._scalar_mix = ScalarMix(embedder.config.num_hidden_layers)
        method = LayerIntegratedGradients(
            predictor, layer=f"{BERT}.encoder.layer.1", steps=5, target=TARGET
        )
        found = scores(method)
        monkeypatch.setattr(
            "allennlp_saliency.interpret.space.variants.layer_space.blocks_below", lambda *_: []
        )
        assert found == pytest.approx(scores(method), rel=1e-5, abs=1e-7)

    def test_a_model_that_fails_without_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor = predictor_of(Fussy(0), spread_vectors(("up",), 3))
        method = LayerIntegratedGradients(predictor, layer="function.stack.1", steps=5)
        found = explain(method, "up").inputs[0].attributions
        monkeypatch.setattr(
            "allennlp_saliency.interpret.space.variants.layer_space.blocks_below", lambda *_: []
        )
        assert found == explain(method, "up").inputs[0].attributions
        assert any(found)

    def test_an_error_that_has_other_causes(self) -> None:
        # Both ends of the path are large, what is between them is not.
        vectors = {"up": [1.0, 2.0, 3.0], "down": [-1.0, -2.0, -3.0]}
        method = LayerIntegratedGradients(
            predictor_of(Fussy(least=6), vectors),
            layer="function.stack.1",
            baseline={"type": "token", "token": "down"},
            steps=5,
        )
        with pytest.raises(ArithmeticError, match="too small for the model"):
            explain(method, "up")

    def test_which_blocks(self) -> None:
        model = torch.nn.Module()
        model.stack = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
        assert blocks_below(model, "stack.1") == list(model.stack)
        assert blocks_below(model, "stack.0") == [model.stack[0]]
        assert blocks_below(model, "stack") == []


@pytest.mark.parametrize("layer", ["transformer.bert.encoder.layer.0", "bert.encoder.layer.0", 0])
def test_a_block_sees_each_choice_with_the_prompt(layer: str | int) -> None:
    """Every position of a choice's sequence is the prompt's or that choice's."""
    owner = predictor("bert", "multiple-choice")
    method = LayerIntegratedGradients(owner, layer=layer, target="logit", steps=32)
    for choices in (["in paris", "a plot"], ["x", "y", "z"]):
        (one,) = method.interpret_json({"prompt": "mary lives", "choices": choices})
        own = [f"choices[{number}]" for number in range(len(choices))]
        assert [each.field for each in one.inputs] == ["prompt", *own]
        assert one.convergence_delta == pytest.approx(0, abs=1e-4)
        best = int(one.target["label"])
        for number, each in enumerate(one.inputs[1:]):
            # The logit of a choice depends on that choice and the prompt alone.
            assert any(each.attributions) == (number == best)
