"""Models that load a Hugging Face model themselves, from the folder of an archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.data import Vocabulary
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from allennlp_saliency.compat.archives.source import _own_folders
from allennlp_saliency.compat.models.weights import _LOADERS, WeightlessClass

SMALL_BERT = BertConfig(
    vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
)
SMALL_GPT2 = GPT2Config(vocab_size=11, n_embd=8, n_layer=1, n_head=2, n_positions=16)


@contextmanager
def _of_an_archive(folder: Path) -> Iterator[str]:
    token = _own_folders.set(frozenset({str(folder)}))
    try:
        yield str(folder)
    finally:
        _own_folders.reset(token)


@pytest.mark.parametrize(
    ("name", "kind", "model", "config", "part"),
    [
        ("bert", "BertLanguageModelHead", BertForMaskedLM, SMALL_BERT, "cls"),
        ("gpt2", "Gpt2LanguageModelHead", GPT2LMHeadModel, SMALL_GPT2, "lm_head"),
    ],
)
def test_language_model_heads(
    tmp_path: Path, name: str, kind: str, model: Any, config: Any, part: str
) -> None:
    module = import_module(f"allennlp_models.lm.modules.language_model_heads.{name}")
    head_class = getattr(module, kind)
    config.save_pretrained(tmp_path)
    with _of_an_archive(tmp_path) as folder:
        bare = head_class(folder)
    torch.manual_seed(0)
    whole = model(config)
    whole.save_pretrained(tmp_path)
    head = head_class(str(tmp_path))
    hidden = torch.randn(2, 3, 8)
    assert bare(hidden).shape == (2, 3, 11)
    assert torch.equal(head(hidden), getattr(whole, part)(hidden))


def test_bart_of_an_archive(bart: Any, save: Any, tmp_path: Path) -> None:
    from allennlp_models.generation.models.bart import Bart

    save(bart, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with _of_an_archive(tmp_path) as folder:
        model = Bart(folder, Vocabulary())
    model.load_state_dict({f"bart.{name}": value for name, value in bart.state_dict().items()})
    ids = torch.tensor([[0, 5, 2]])
    with torch.no_grad():
        found = model.eval().bart(ids, decoder_input_ids=ids).logits
        assert torch.equal(found, bart(ids, decoder_input_ids=ids).logits)


def test_the_classes_of_transformers_are_untouched() -> None:
    for name, classes in _LOADERS.items():
        module = import_module(name)
        for class_name in classes:
            held = getattr(module, class_name)
            assert isinstance(held, WeightlessClass)
            assert held.config_class is held.model_class.config_class
