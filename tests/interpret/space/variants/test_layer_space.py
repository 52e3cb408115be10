"""Blocks below an inner layer are left out of its forward passes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from allennlp.modules.scalar_mix import ScalarMix
from torch import Tensor, nn

from allennlp_saliency.interpret import InterpretationError, LayerIntegratedGradients, Target
from allennlp_saliency.interpret.interpreter.labels.labelling import label_json
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.registry import construct
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.interpret.space.session import Session
from allennlp_saliency.interpret.space.variants.layer_space import LayerSpace, _alike, blocks_below
from allennlp_saliency.interpret.target.row_loss import RowLoss
from tests.interpret.methods.test_layer_methods import BERT, TARGET, explain, scores
from tests.interpret.space.test_embedding_space import (
    DIM,
    TEXTS,
    VECTORS,
    YES,
    gradient,
    random_points,
    squares,
    value,
)
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


class Block(nn.Module):
    """Doubles its states, and counts how often.

    Args:
        kind: What it returns: the states, or a tuple that begins with them.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.passes = 0

    def forward(self, states: Tensor, scale: float = 2.0) -> Any:
        self.passes += 1
        return scale * states if self.kind == "states" else (scale * states, None)


class Stacked(nn.Module):
    """Three blocks; then Σ (w · s_t)² of what the last returns, and maybe of what the first does.

    Args:
        kind: What the blocks return.
        named: Whether they are called by keyword.
        all_layers: Whether the first block's states are read, too.
    """

    def __init__(self, kind: str, named: bool = False, all_layers: bool = False) -> None:
        super().__init__()
        self.stack = nn.ModuleList([Block(kind) for _ in range(3)])
        self.named = named
        self.all_layers = all_layers

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for block in self.stack:
            states = block(scale=2.0, states=x) if self.named else block(x)
            x = states[0] if block.kind == "tuple" else states
            found.append(x)
        return squares(x) + (squares(found[0]) if self.all_layers else 0)


def layer_space(function: Stacked, layer: str) -> tuple[LayerSpace, Callable[[], list[int]]]:
    """The space, and a function that tells how often each block has run."""
    twin = Twin(predictor_of(function, VECTORS))
    texts: Any = [{"sentence": text} for text in TEXTS]
    instances = [one.instances[0].instance for one in label_json(twin.predictor, texts, True)]
    session = Session(twin, construct(Target, YES), TokenBudget(1000))
    space = LayerSpace(session, instances, RowLoss(), layer)
    model: Any = twin.model
    return space, lambda: [block.passes for block in model.function.stack]


class TestClosedForms:
    ROWS = torch.tensor([1, 0, 0])

    @pytest.mark.parametrize("named", [False, True])
    @pytest.mark.parametrize("kind", ["states", "tuple"])
    @pytest.mark.parametrize(("number", "scale"), [(0, 4), (1, 2), (2, 1)])
    def test_blocks_below_run_no_more(
        self, number: int, scale: int, kind: str, named: bool
    ) -> None:
        """F(s) = Σ (w · 2^k s_t)² behind k blocks, and none of those before is needed."""
        space, passes = layer_space(Stacked(kind, named), f"function.stack.{number}")
        x = random_points(3)
        own = space.embeddings.view(2, 3, DIM)
        assert torch.allclose(space.values, value(scale * own), rtol=1e-5)
        assert torch.allclose(space.evaluate(x.flatten(1), self.ROWS), value(scale * x), rtol=1e-5)
        before = passes()
        ((_, values, found),) = space.values_and_gradients(x.flatten(1), self.ROWS)
        assert values is not None
        assert torch.allclose(values, value(scale * x), rtol=1e-5)
        assert torch.allclose(found, scale * gradient(scale * x).flatten(1), rtol=1e-4)
        once_more = [now - then for now, then in zip(passes(), before, strict=True)]
        assert once_more == [int(block > number) for block in range(3)]

    def test_blocks_that_serve_elsewhere_run(self) -> None:
        """F(s) = Σ (w · s_t)² and a constant of the instance."""
        space, passes = layer_space(Stacked("states", all_layers=True), "function.stack.2")
        x, first = random_points(3), space.at_input_embeddings().embeddings.view(2, 3, DIM)
        expected = value(x) + value(2 * first)[self.ROWS]
        assert torch.allclose(space.evaluate(x.flatten(1), self.ROWS), expected, rtol=1e-5)
        before = passes()
        space.evaluate(x.flatten(1), self.ROWS)
        assert [now - then for now, then in zip(passes(), before, strict=True)] == [1, 1, 1]

    def test_it_is_tried_out_once(self) -> None:
        space, passes = layer_space(Stacked("states"), "function.stack.1")
        x = random_points(3).flatten(1)
        space.evaluate(x, self.ROWS)
        before = passes()[2]
        for _ in range(3):
            space.evaluate(x, self.ROWS)
        assert passes()[2] == before + 3

    def test_states_of_other_embeddings(self) -> None:
        """What the layer returns is found without the blocks behind it."""
        space, passes = layer_space(Stacked("tuple"), "function.stack.1")
        first, x = space.at_input_embeddings(), random_points(2)
        assert first is space.at_input_embeddings()
        before = passes()
        assert torch.equal(space.states_at(x.flatten(1)), 4 * x.flatten(1))
        assert [now - then for now, then in zip(passes(), before, strict=True)] == [1, 1, 0]
        assert torch.equal(space.states_at(first.embeddings), space.embeddings)

    def test_a_layer_that_nothing_reads(self) -> None:
        class Deaf(Stacked):
            def forward(self, x: Tensor) -> Tensor:
                super().forward(x)
                return squares(x)

        space, _ = layer_space(Deaf("states"), "function.stack.0")
        with pytest.raises(InterpretationError, match=r"does not depend on .*'function.stack.0'"):
            _ = space.input_gradients


class TestAlike:
    """Rounding errors are relative to the largest number."""

    @pytest.mark.parametrize("largest", [1e-3, 1.0, 1e3])
    def test_within_rounding(self, largest: float) -> None:
        one = torch.tensor([largest, -largest / 2, 0.0], dtype=torch.float64)
        step = torch.tensor([0.0, 0.0, largest], dtype=torch.float64)
        assert _alike(one + 0.9e-5 * step, one)
        assert not _alike(one + 1.1e-5 * step, one)
        assert not _alike(one - 1.1e-5 * step, one)

    def test_other_shapes_and_no_numbers(self) -> None:
        assert not _alike(torch.zeros(2), torch.zeros(1, 2))
        assert _alike(torch.zeros(0), torch.zeros(0))
        assert not _alike(torch.full((1,), torch.nan), torch.full((1,), torch.nan))
