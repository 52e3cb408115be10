"""Hugging Face models inside AllenNLP: old state dicts, re-initialisation, collation, T5."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import cached_transformers
from allennlp.data.data_loaders.data_collator import LanguageModelingDataCollator
from allennlp.modules.token_embedders import (
    PretrainedTransformerEmbedder,
    PretrainedTransformerMismatchedEmbedder,
)
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    BertModel,
    GPT2Config,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

OLD_BUFFERS = {
    "bert": (
        BertConfig(
            vocab_size=11,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
        ),
        {"embeddings.position_ids": torch.arange(512).expand(1, -1)},
    ),
    "albert": (
        AlbertConfig(
            vocab_size=11,
            embedding_size=4,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
        ),
        {"embeddings.position_ids": torch.arange(512).expand(1, -1)},
    ),
    "roberta": (
        RobertaConfig(
            vocab_size=11,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
        ),
        {
            "embeddings.position_ids": torch.arange(512).expand(1, -1),
            "embeddings.token_type_ids": torch.zeros(1, 512),
        },
    ),
    "gpt2": (
        GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=16),
        {
            "h.0.attn.bias": torch.ones(1, 1, 16, 16),
            "h.0.attn.masked_bias": torch.tensor(-1e4),
        },
    ),
}


@pytest.fixture
def folder_of(tmp_path: Path, transformer_folder: Path) -> Any:
    """A folder with the tokenizer of `transformer_folder` and a config of any family."""

    def make(config: Any) -> str:
        folder = tmp_path / "model"
        folder.mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(transformer_folder / name, folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(transformer_folder)
        tokenizer.save_pretrained(folder)
        config.save_pretrained(folder)
        return str(folder)

    return make


@pytest.mark.parametrize(("config", "buffers"), OLD_BUFFERS.values(), ids=OLD_BUFFERS.keys())
@pytest.mark.parametrize("mismatched", [False, True])
def test_buffers_of_old_archives_are_dropped_and_nothing_else(
    folder_of: Any, config: Any, buffers: dict[str, torch.Tensor], mismatched: bool
) -> None:
    kind = PretrainedTransformerMismatchedEmbedder if mismatched else PretrainedTransformerEmbedder
    embedder = kind(folder_of(config), load_weights=False)
    prefix = "_matched_embedder.transformer_model." if mismatched else "transformer_model."
    saved = {name: torch.full_like(value, 3) for name, value in embedder.state_dict().items()}
    old = saved | {prefix + name: value for name, value in buffers.items()}

    # A model holds the embedder deeper down, and AllenNLP collects the leftovers.
    model = torch.nn.ModuleDict({"embedder": embedder})
    result = model.load_state_dict({f"embedder.{k}": v for k, v in old.items()}, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    for name, value in embedder.state_dict().items():
        assert torch.equal(value, saved[name]), name

    stray = {f"embedder.{prefix}embeddings.other_ids": torch.zeros(1)}
    result = model.load_state_dict({f"embedder.{k}": v for k, v in old.items()} | stray, False)
    assert result.unexpected_keys == list(stray)


def test_attention_biases_that_a_model_has_are_loaded(folder_of: Any) -> None:
    embedder = PretrainedTransformerEmbedder(folder_of(OLD_BUFFERS["bert"][0]), load_weights=False)
    embedder.transformer_model.attn = torch.nn.Linear(2, 2)
    state = embedder.state_dict()
    state["transformer_model.attn.bias"] = torch.tensor([5.0, 6.0])
    embedder.load_state_dict(state)
    assert embedder.transformer_model.attn.bias.tolist() == [5.0, 6.0]


@pytest.mark.parametrize("modules", [1, (1,), (r"encoder\.layer\.1",)])
def test_reinit_modules_changes_the_last_layer_alone(
    tmp_path: Path, transformer_folder: Path, modules: Any
) -> None:
    folder = str(tmp_path / "weights")
    shutil.copytree(transformer_folder, folder)
    model = BertModel(BertConfig.from_pretrained(folder))
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, 7.0)
    model.save_pretrained(folder)
    fresh = cached_transformers.get(folder, make_copy=True, reinit_modules=modules)
    for name, parameter in fresh.named_parameters():
        assert torch.all(parameter == 7).item() is ("encoder.layer.1." not in name), name


def test_transformers_own_auto_model_is_untouched(transformer_folder: Path) -> None:
    assert cached_transformers.AutoModel is not AutoModel
    with pytest.raises(OSError, match=r"model\.safetensors|pytorch_model"):
        cached_transformers.get(str(transformer_folder), make_copy=False)


def test_collator_masks_the_wanted_fraction(transformer_folder: Path) -> None:
    torch.manual_seed(0)
    never = LanguageModelingDataCollator(str(transformer_folder), mlm_probability=0.0)
    always = LanguageModelingDataCollator(str(transformer_folder), mlm_probability=1.0)
    ids = torch.tensor([[2, 5, 6, 7, 3]])

    def batch() -> Any:
        return {"source": {"tokens": {"token_ids": ids.clone()}}}

    assert never.process_tokens(batch())["source"]["tokens"]["labels"].tolist() == [[-100] * 5]
    labels = always.process_tokens(batch())["source"]["tokens"]["labels"]
    assert labels.tolist() == [[-100, 5, 6, 7, -100]]


def test_t5_decodes_from_the_pad_id() -> None:
    from allennlp.modules.transformer.t5 import T5
    from transformers import T5Config

    config = T5Config(
        vocab_size=12,
        d_model=8,
        d_kv=4,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=1,
    )
    model = T5._from_config(config)
    assert model.decoder_start_token_id == 0
    ids = torch.tensor([[3, 4, 1]])
    assert model(ids, labels=ids).loss.isfinite()
