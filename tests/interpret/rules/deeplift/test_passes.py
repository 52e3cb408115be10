"""Mixtures of experts, every expert computed for every token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from allennlp_saliency.interpret.rules.deeplift.passes import every_expert
from tests.zoo.transformers import spread

SMALL: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
}


def model_of(model_type: str) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    sizes = dict(SMALL)
    if model_type == "switch_transformers":
        sizes = {
            "vocab_size": 30,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 32,
            "num_layers": 2,
            "num_decoder_layers": 2,
            "num_heads": 2,
            "num_experts": 4,
            "expert_capacity": 3,
        }
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **sizes)).eval()
    spread(model, 0)
    return model.requires_grad_(False)


@pytest.mark.parametrize("model_type", ["mixtral", "gpt_oss", "granitemoe", "switch_transformers"])
def test_the_same_values(model_type: str) -> None:
    model = model_of(model_type)
    given = {"input_ids": torch.arange(2, 14).view(2, 6)}
    if model_type == "switch_transformers":
        given["decoder_input_ids"] = torch.arange(3, 9).view(2, 3)
    with torch.no_grad():
        plain = model(**given).last_hidden_state
        with every_expert(model):
            dense = model(**given).last_hidden_state
        after = model(**given).last_hidden_state
    assert torch.allclose(dense, plain, atol=1e-5)
    assert torch.equal(after, plain)
    assert not any("forward" in vars(module) for module in model.modules())


def test_other_modules_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.MultiheadAttention(2, 1))
    with every_expert(model):
        assert not any("forward" in vars(module) for module in model.modules())
