"""DeepLIFT and LRP on architectures that decide, gate, scan and hash, on the bare models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from allennlp_saliency.interpret.rules.deeplift.passes import every_expert, recording, replaying
from allennlp_saliency.interpret.rules.lrp_rules import LRP_RULES, LrpPass
from allennlp_saliency.interpret.rules.rule_mode import RuleMode
from allennlp_saliency.interpret.rules.watch import Tape
from tests.zoo.transformers import spread

SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
MIXTURE = {**SMALL, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}
DELTA = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
    "num_experts": 4,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
STATES = {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16}
CONFIGS: dict[str, dict[str, Any]] = {
    "bloom": {"vocab_size": 40, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mixtral": MIXTURE,
    "gpt_oss": MIXTURE,
    "qwen3_next": {**MIXTURE, **DELTA},
    "phimoe": MIXTURE,
    "llama4_text": {**MIXTURE, "intermediate_size_mlp": 64},
    "mamba": {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "mamba2": {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, **STATES},
    "rwkv": {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "use_cache": False},
    "recurrent_gemma": {**SMALL, "head_dim": 8, "lru_width": 32, "num_hidden_layers": 3},
    "fnet": SMALL,
    "yoso": SMALL,
    "mra": SMALL,
}
IDS = torch.tensor([[3, 17, 5, 23, 31, 9, 33, 14, 12, 7, 30, 2]])
# In float32: sums of a few thousand terms, and of numbers that divide each other.
ROUNDING = 2e-4


def model_of(model_type: str) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    model = AutoModel.from_config(AutoConfig.for_model(model_type, **CONFIGS[model_type])).eval()
    spread(model, 0)
    return model.requires_grad_(False)


@contextmanager
def embedded(model: Any, points: Tensor) -> Iterator[None]:
    hook = model.get_input_embeddings().register_forward_hook(lambda *_: points)
    try:
        yield
    finally:
        hook.remove()


def value(model: Any, points: Tensor) -> Tensor:
    with embedded(model, points):
        states = model(input_ids=IDS)[0]
    return states[0, -1, :5].double().sum()


def points(model: Any, seed: int) -> tuple[Tensor, Tensor]:
    x = model.get_input_embeddings()(IDS)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, noise * x.std() / 2


@pytest.mark.parametrize("model_type", CONFIGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_deeplift_is_complete(model_type: str, seed: int) -> None:
    model = model_of(model_type)
    x, x_0 = points(model, seed)
    tape = Tape()
    with every_expert(model):
        with recording(tape):
            before = value(model, x_0.clone().requires_grad_() * 1)
        leaf = x.clone().requires_grad_()
        with replaying(tape) as mode:
            after = value(model, leaf * 1)
    tape.close()
    assert float(after) == pytest.approx(float(value(model, x)), abs=1e-5)
    (m,) = torch.autograd.grad(after, leaf)
    contributions = _sizes(m * (x - x_0))
    change = float(after - before)
    assert abs(change) > 1e-2
    assert sum(contributions) == pytest.approx(change, abs=ROUNDING * max(1, abs(change)))
    assert mode.unsupported_ops == set()


@pytest.mark.parametrize("model_type", CONFIGS)
def test_relevance_is_accounted_for_and_of_the_values_size(model_type: str) -> None:
    model = model_of(model_type)
    x, _ = points(model, 1)
    leaf, passed = x.clone().requires_grad_(), LrpPass(1e-6)
    with RuleMode(LRP_RULES.bound(passed)) as mode:
        y = value(model, leaf * 1)
    (g,) = torch.autograd.grad(y, leaf)
    total = sum(_sizes(g * x))
    size = max(1, abs(float(y)))
    assert total + sum(passed.absorbed.values()) == pytest.approx(float(y), abs=ROUNDING * size)
    assert abs(total) < 10 * size
    assert max(map(abs, passed.absorbed.values())) < 10 * size
    assert mode.unsupported_ops == set()


def _sizes(scores: Tensor) -> Sequence[float]:
    return scores.double().sum(-1).flatten().tolist()
