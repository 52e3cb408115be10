"""SRL-BERT: word pieces, ids and old weights."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Token, Vocabulary
from allennlp.models import Model
from transformers import BertConfig, BertModel

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a b un ##break ##able bread ##s , . Bread é ##é ##".split()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A BERT's vocabulary and config; without weights."""
    from transformers import BertTokenizer

    path = tmp_path / "bert"
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer.from_pretrained(path).save_pretrained(path)
    _config().save_pretrained(path)
    return str(path)


def _config() -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=32,
    )


def _reader(folder: str) -> Any:
    from allennlp_models.structured_prediction.dataset_readers.srl import SrlReader

    return SrlReader(bert_model_name=folder)


@pytest.mark.parametrize(
    "word",
    [
        "unbreakable",
        "breads",
        "Bread",
        "bread,",
        "é",
        "unknown",
        "un" * 60,
        "a b",
        "",
        "##s",
        "bré",
    ],
)
def test_word_pieces_are_those_of_the_old_tokenizer(folder: str, word: str) -> None:
    from transformers.models.bert_japanese.tokenization_bert_japanese import WordpieceTokenizer

    vocab = {piece: index for index, piece in enumerate(WORDS)}
    expected = WordpieceTokenizer(vocab=vocab, unk_token="[UNK]").tokenize(word)
    assert _reader(folder).bert_tokenizer.wordpiece_tokenizer.tokenize(word) == expected


def test_instances_have_the_ids_and_offsets_of_the_pieces(folder: str) -> None:
    reader = _reader(folder)
    words = ["breads", "unbreakable", "zebra", "."]
    instance = reader.text_to_instance([Token(word) for word in words], [0, 1, 0, 0])
    tokens = instance["tokens"].tokens
    assert [token.text for token in tokens] == [
        *("[CLS]", "bread", "##s", "un", "##break", "##able", "[UNK]", ".", "[SEP]")
    ]
    assert [token.text_id for token in tokens] == [WORDS.index(token.text) for token in tokens]
    assert instance["metadata"]["offsets"] == [1, 3, 6, 7]
    assert instance["verb_indicator"].labels == [0, 0, 0, 1, 1, 1, 0, 0, 0]


def test_the_vocabulary_is_held_until_it_grows(folder: str) -> None:
    tokenizer = _reader(folder).bert_tokenizer
    assert tokenizer.vocab is tokenizer.vocab
    assert tokenizer.vocab == {piece: index for index, piece in enumerate(WORDS)}
    tokenizer.add_tokens(["zebra"])
    assert tokenizer.vocab["zebra"] == len(WORDS)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda reader: pickle.loads(pickle.dumps(reader))]
)
def test_readers_are_copied_for_workers(folder: str, copied: Any) -> None:
    other = copied(_reader(folder)).bert_tokenizer
    assert other.wordpiece_tokenizer.tokenize("breads") == ["bread", "##s"]
    assert other.vocab["bread"] == WORDS.index("bread")


def _vocabulary() -> Vocabulary:
    vocab = Vocabulary()
    for label in ("O", "B-V", "B-ARG0"):
        vocab.add_token_to_namespace(label, "labels")
    return vocab


def _model(bert: Any) -> Model:
    import allennlp_models.structured_prediction  # noqa: F401

    params = {"type": "srl_bert", "bert_model": bert, "srl_eval_path": None}
    return Model.from_params(Params(params), vocab=_vocabulary())


def test_old_weights_with_buffers_that_are_gone_are_loaded() -> None:
    model = _model(_config().to_dict())
    saved = {name: torch.full_like(value, 3) for name, value in model.state_dict().items()}
    gone = {"bert_model.embeddings.position_ids": torch.arange(512).expand(1, -1)}
    model.load_state_dict(saved | gone)
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())

    stray = {"bert_model.embeddings.other_ids": torch.zeros(1)}
    assert model.load_state_dict(saved | gone | stray, strict=False).unexpected_keys == [*stray]
    # Of the same name, but in no Hugging Face model.
    alien = {"embeddings.position_ids": torch.zeros(1)}
    assert model.load_state_dict(saved | alien, strict=False).unexpected_keys == [*alien]


def test_the_users_state_dict_stays_as_it_was() -> None:
    model = _model(_config().to_dict())
    state = model.state_dict() | {"bert_model.embeddings.position_ids": torch.zeros(1, 512)}
    names = list(state)
    model.load_state_dict(state)
    assert list(state) == names


def test_a_bert_of_a_folder_has_its_weights(folder: str) -> None:
    torch.manual_seed(0)
    bert = BertModel(_config())
    bert.save_pretrained(folder)
    found = _model(folder).bert_model
    assert type(found) is BertModel
    for name, value in found.state_dict().items():
        assert torch.equal(value, bert.state_dict()[name]), name


def test_an_archives_own_bert_needs_no_weights(folder: str) -> None:
    from allennlp_saliency.compat.archives.source import _own_folders

    with pytest.raises(OSError, match=r"model\.safetensors|pytorch_model"):
        _model(folder)
    token = _own_folders.set(frozenset({folder}))
    try:
        assert _model(folder).bert_model.config.hidden_size == 8
    finally:
        _own_folders.reset(token)


def test_an_archive_that_carries_its_bert(folder: str, tmp_path: Path) -> None:
    import allennlp_models.structured_prediction  # noqa: F401
    from allennlp.models import load_archive

    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copytree(folder, archive / "bert")
    model = _model(_config().to_dict())
    state = model.state_dict()
    state["bert_model.embeddings.position_ids"] = torch.arange(512).expand(1, -1)
    torch.save(state, archive / "weights.th")
    model.vocab.save_to_files(str(archive / "vocabulary"))
    config = {
        "dataset_reader": {"type": "srl", "bert_model_name": "bert"},
        "model": {"type": "srl_bert", "bert_model": "bert", "srl_eval_path": None},
    }
    (archive / "config.json").write_text(json.dumps(config))
    loaded = load_archive(archive)
    tokens = [Token("breads"), Token("un")]
    instance = loaded.dataset_reader.text_to_instance(tokens, [0, 1])
    found = loaded.model.eval().forward_on_instance(instance)["logits"]
    expected = model.eval().forward_on_instance(instance)["logits"]
    assert found.shape == (5, 3)
    assert (found == expected).all()
