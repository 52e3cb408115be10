"""AllenNLP's own transformer modules with the weights of a local folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import file_utils
from allennlp.common.checks import ConfigurationError
from allennlp.modules.transformer.t5 import T5
from huggingface_hub.errors import EntryNotFoundError
from torch.testing import assert_close
from transformers import AutoConfig, T5Config, T5ForConditionalGeneration
from transformers.utils import hub

from allennlp_saliency.compat.archives.source import _own_folders

IDS = torch.tensor([[3, 4, 5, 1], [6, 7, 1, 0]])


@pytest.fixture
def model() -> Any:
    """A random T5 with tied embeddings."""
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=12,
        d_model=8,
        d_kv=4,
        d_ff=16,
        num_layers=2,
        num_heads=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config).eval()


def _write_bin(model: Any, folder: Path) -> None:
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def _write_parts_of_bin(model: Any, folder: Path) -> None:
    model.config.save_pretrained(folder)
    names = sorted(model.state_dict())
    parts = {"pytorch_model-1.bin": names[::2], "pytorch_model-2.bin": names[1::2]}
    for file, held in parts.items():
        torch.save({name: model.state_dict()[name] for name in held}, folder / file)
    weight_map = {name: file for file, held in parts.items() for name in held}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))


WAYS = {
    "bin": _write_bin,
    "bin in parts": _write_parts_of_bin,
    "safetensors": lambda model, folder: model.save_pretrained(folder),
    "safetensors in parts": lambda model, folder: model.save_pretrained(
        folder, max_shard_size="2KB"
    ),
}


@pytest.mark.parametrize("write", WAYS.values(), ids=WAYS.keys())
def test_each_form_of_weights_is_read(model: Any, tmp_path: Path, write: Any) -> None:
    write(model, tmp_path)
    ours = T5.from_pretrained_module(str(tmp_path)).eval()
    labels = torch.tensor([[4, 1], [8, 1]])
    with torch.no_grad():
        expected = model(IDS, attention_mask=IDS != 0, labels=labels)
        found = ours(IDS, attention_mask=IDS != 0, labels=labels)
    # Two implementations of the same network in 32 bits.
    assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)


def test_what_is_missing_is_still_missed(model: Any, tmp_path: Path) -> None:
    _write_bin(model, tmp_path)
    state = model.state_dict()
    del state["encoder.block.0.layer.0.SelfAttention.q.weight"]
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(RuntimeError, match=r"Missing key.*encoder\.blocks\.0"):
        T5.from_pretrained_module(str(tmp_path))


def test_a_folder_without_weights_says_so(model: Any, tmp_path: Path) -> None:
    model.config.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"holds no weights.*save_pretrained"):
        T5.from_pretrained_module(str(tmp_path))


def test_the_folder_of_an_archive_needs_no_weights(model: Any, tmp_path: Path) -> None:
    model.config.save_pretrained(tmp_path)
    token = _own_folders.set(frozenset({str(tmp_path)}))
    try:
        assert T5.from_pretrained_module(str(tmp_path)).model_dim == 8
    finally:
        _own_folders.reset(token)


@pytest.mark.parametrize("error", [FileNotFoundError, EntryNotFoundError])
def test_a_model_of_the_hub_without_the_old_file(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    model.save_pretrained(tmp_path)

    def cached_path(url: str) -> str:
        raise error(url)

    def cached_file(model_name: str, name: str) -> str:
        if "absent" in model_name or not (tmp_path / name).is_file():
            raise OSError(f"no {name} in {model_name}")
        return str(tmp_path / name)

    monkeypatch.setattr(file_utils, "cached_path", cached_path)
    monkeypatch.setattr(hub, "cached_file", cached_file)
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda name, **kwargs: model.config)
    found = T5.from_pretrained_module("somebody/t5").state_dict()
    assert torch.equal(found["token_embeddings.weight"], model.shared.weight)
    # What AllenNLP says of a model that has neither.
    with pytest.raises(error, match=r"hf://somebody/absent/pytorch_model\.bin"):
        T5.from_pretrained_module("somebody/absent")
