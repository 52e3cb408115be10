"""Layers that pass no gradient are named; values explain all the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    InputXGradient,
    InterpretationError,
    SaliencyInterpreter,
)
from allennlp_saliency.interpret.model.model_checks import GradientPaths
from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

TEXT = {"sentence": "a great film, but the plot was not very good"}
BY_GRADIENTS = [
    *("gradient", "input-x-gradient", "integrated-gradients", "deeplift", "lrp"),
    *("attention-x-gradient", "gradient-shap", "smooth-gradients"),
]
BY_VALUES = ["attention", "attention-rollout", "value-zeroing", "random"]


def made(changed: nn.Module, name: str = "bert") -> TransformersPredictor:
    return TransformersPredictor.from_pretrained(changed, tokenizer(KINDS[name].tokenizer))


def quantised() -> nn.Module:
    own = copy.deepcopy(model("bert", "text-classification"))
    return torch.ao.quantization.quantize_dynamic(own, {nn.Linear}, dtype=torch.qint8)


def explain(predictor: TransformersPredictor, method: str) -> Any:
    interpreter: Any = SaliencyInterpreter.by_name(method)(predictor)
    return interpreter.interpret_json(TEXT)[0]


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_a_quantised_model_gives_no_gradient(method: str) -> None:
    with pytest.raises(
        InterpretationError, match=r"query', a torch\.ao.*gives no gradient.*perturbation method"
    ):
        explain(made(quantised()), method)


@pytest.mark.parametrize("method", BY_VALUES)
def test_a_quantised_model_has_values(method: str) -> None:
    assert any(explain(made(quantised()), method).inputs[0].attributions)


class Frozen(nn.Module):
    """Adds what a part computes that is run without gradients: a part of the gradient is lost."""

    def __init__(self, own: nn.Module, inner: nn.Module) -> None:
        super().__init__()
        self.own = own
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            added = self.inner(x)
        return self.own(x) + added


class NoGradient(nn.Module):
    """Runs a part without gradients."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = self.inner(x)
        return result


class Steps(nn.Module):
    """As large as its input, and the same for all."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(x.shape[-1]).to(x)


@pytest.mark.parametrize("method", ["input-x-gradient", "integrated-gradients", "lrp"])
def test_a_part_of_the_gradient_that_is_lost(method: str) -> None:
    own = copy.deepcopy(model("bert", "text-classification"))
    dense = own.bert.pooler.dense
    own.bert.pooler.dense = Frozen(dense, nn.Linear(dense.in_features, dense.out_features))
    with pytest.raises(InterpretationError, match=r"'transformer\.bert\.pooler\.dense\.inner'"):
        explain(made(own), method)


def test_what_is_made_of_a_shape_needs_no_gradient() -> None:
    own = copy.deepcopy(model("bert", "text-classification"))
    own.bert.pooler.dense = Frozen(own.bert.pooler.dense, Steps())
    assert any(explain(made(own), "input-x-gradient").inputs[0].attributions)


def test_a_model_that_is_quantised_later() -> None:
    predictor = made(copy.deepcopy(model("bert", "text-classification")))
    interpreter = InputXGradient(predictor)
    interpreter.interpret_json(TEXT)
    torch.ao.quantization.quantize_dynamic(
        predictor._model, {nn.Linear}, dtype=torch.qint8, inplace=True
    )
    with pytest.raises(InterpretationError, match="gives no gradient"):
        interpreter.interpret_json(TEXT)


def test_four_bits(tmp_path: Path) -> None:
    """bitsandbytes packs weights for a kernel without a backward pass once it may."""
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=tokenizer(KINDS["llama"].tokenizer).vocab_size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    own = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        quantization_config=BitsAndBytesConfig(load_in_4bit=True),
        device_map="cpu",
    ).eval()
    weights = {name: weight.clone() for name, weight in own.state_dict().items()}
    predictor = made(own, "llama")
    given = {"prompt": "a great film", "max_new_tokens": 1}
    explanation = InputXGradient(predictor, target="logit").interpret_json(given)[0]
    after = own.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in weights.items())
    (prompt,) = [one for one in explanation.inputs if one.field == "prompt"]

    encoded = tokenizer(KINDS["llama"].tokenizer)("a great film", return_tensors="pt")
    x = own.get_input_embeddings()(encoded["input_ids"]).detach().requires_grad_()
    logits = own(inputs_embeds=x, attention_mask=encoded["attention_mask"]).logits
    (gradient,) = torch.autograd.grad(logits[0, -1].max(), x)
    assert prompt.attributions == pytest.approx((x * gradient).sum(-1)[0].tolist(), abs=1e-5)


class Recomputed(torch.autograd.Function):
    """Runs a module without a graph, and backwards once more with one, as reversible layers do."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, inner: nn.Module) -> Tensor:
        ctx.inner = inner
        ctx.save_for_backward(x)
        return inner(x)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(ctx.inner(x), x, gradients)
        return gradient, None


class Reversible(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.last = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(Recomputed.apply(x, self.inner))  # type: ignore[no-any-return]


def test_a_part_that_brings_its_own_backward_pass() -> None:
    own = copy.deepcopy(model("bert", "text-classification"))
    expected = explain(made(copy.deepcopy(own)), "integrated-gradients").inputs[0].attributions
    own.bert.pooler.dense = Reversible(nn.Sequential(nn.Identity(), own.bert.pooler.dense))
    scores = explain(made(own), "integrated-gradients").inputs[0].attributions
    assert scores == pytest.approx(expected, abs=1e-5)


def test_a_layer_whose_forward_is_wrapped_later() -> None:
    predictor = made(copy.deepcopy(model("bert", "text-classification")))
    interpreter = InputXGradient(predictor)
    interpreter.interpret_json(TEXT)
    transformer: Any = predictor._model.transformer
    dense = transformer.bert.encoder.layer[0].intermediate.dense
    dense.forward = torch.no_grad()(dense.forward)
    with pytest.raises(InterpretationError, match=r"intermediate\.dense', .*gives no gradient"):
        interpreter.interpret_json(TEXT)


@pytest.mark.parametrize("method", ["gradient", "input-x-gradient", "smooth-gradients", "lrp"])
def test_tokens_that_share_a_pass(method: str) -> None:
    own = copy.deepcopy(model("gpt2", "causal-lm"))
    block: Any = own.transformer.h[0]
    block.mlp = NoGradient(block.mlp)
    interpreter: Any = SaliencyInterpreter.by_name(method)(made(own, "gpt2"))
    with pytest.raises(InterpretationError, match=r"h\.0\.mlp', a .*gives no gradient"):
        interpreter.interpret_json({"prompt": "a great film", "continuation": " was not good"})


class Looks(nn.Module):
    """Attends to the keys that an indexer chooses, as DeepSeek's sparse attention does.

    Args:
        decides: Whether the indexer returns places; else it returns numbers.
    """

    def __init__(self, decides: bool) -> None:
        super().__init__()
        self.indexer = Indexer(decides)
        self.values = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.indexer(x)
        values: Tensor = self.values(x)
        if chosen.is_floating_point():
            return values + chosen.unsqueeze(-1)
        return values.gather(1, chosen.unsqueeze(-1).expand_as(values))


class Indexer(nn.Module):
    """Scores positions without gradients."""

    def __init__(self, decides: bool) -> None:
        super().__init__()
        self.decides = decides
        self.queries = nn.Linear(16, 1)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.queries(x).squeeze(-1)
        return scores.argsort(-1) if self.decides else scores


@pytest.mark.parametrize("decides", [True, False])
def test_what_decides_has_no_derivative_anyway(decides: bool) -> None:
    """Places that are found without gradients are no gap; numbers are."""
    module = Looks(decides)
    embeddings = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    paths = GradientPaths(module, module, set())
    with paths.watching():
        module(embeddings.requires_grad_())
    if decides:
        paths.check()
    else:
        with pytest.raises(InterpretationError, match="indexer"):
            paths.check()
