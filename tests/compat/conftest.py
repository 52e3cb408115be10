"""A transformer small enough to build in a moment, and archives that carry it."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.archives.attempts import Attempt

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "good", "bad", "film", "##s"]


@pytest.fixture(scope="session")
def transformer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT's config and tokenizer, without weights."""
    from transformers import BertConfig, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert") / "transformer"
    folder.mkdir()
    BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    ).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


def classifier_config(model_name: str, mismatched: bool) -> dict[str, Any]:
    """The configuration of a BERT classifier, as a user would write it."""
    kind = "pretrained_transformer_mismatched" if mismatched else "pretrained_transformer"
    tokenizer = (
        {"type": "whitespace"}
        if mismatched
        else {"type": "pretrained_transformer", "model_name": model_name}
    )
    indexer = {"type": kind, "model_name": model_name, "namespace": "tags"}
    return {
        "dataset_reader": {
            "type": "text_classification_json",
            "tokenizer": tokenizer,
            "token_indexers": {"tokens": indexer},
        },
        "model": {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {"tokens": {"type": kind, "model_name": model_name}}
            },
            "seq2vec_encoder": {"type": "bag_of_embeddings", "embedding_dim": 8},
            "namespace": "tags",
        },
    }


@pytest.fixture(scope="session")
def pack() -> Callable[[Path, Path], Path]:
    """Make a `.tar.gz` of a folder's content."""

    def make(folder: Path, archive: Path) -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        return archive

    return make


@pytest.fixture
def make_archive(tmp_path: Path, transformer_folder: Path) -> Callable[..., Path]:
    """Build the folder of an archive whose transformer is inside; `pack` makes the file of it."""

    def make(mismatched: bool = False, name: str = "serialization") -> Path:
        import torch
        from allennlp.common import Params
        from allennlp.data import Vocabulary
        from allennlp.models import Model

        folder = tmp_path / name
        folder.mkdir()
        shutil.copytree(transformer_folder, folder / "transformer")
        (folder / "config.json").write_text(
            json.dumps(classifier_config("transformer", mismatched))
        )
        vocab = Vocabulary()
        for label in ("positive", "negative"):
            vocab.add_token_to_namespace(label, "labels")
        located = classifier_config(str(folder / "transformer"), mismatched)["model"]
        located["text_field_embedder"]["token_embedders"]["tokens"]["load_weights"] = False
        torch.manual_seed(1)
        model = Model.from_params(Params(located), vocab=vocab)
        vocab.save_to_files(str(folder / "vocabulary"))
        torch.save(model.state_dict(), folder / "weights.th")
        return folder

    return make


@pytest.fixture(scope="session")
def _plain_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag-of-embeddings classifier: the folder of an archive."""
    import torch
    from allennlp.common import Params
    from allennlp.data import Vocabulary
    from allennlp.models import Model

    folder = tmp_path_factory.mktemp("plain") / "archive"
    folder.mkdir()
    config = {
        "dataset_reader": {"type": "text_classification_json", "tokenizer": {"type": "whitespace"}},
        "model": {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 4}}
            },
            "seq2vec_encoder": {"type": "bag_of_embeddings", "embedding_dim": 4},
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    vocab = Vocabulary()
    for name, namespace in (("good", "tokens"), ("pos", "labels"), ("neg", "labels")):
        vocab.add_token_to_namespace(name, namespace)
    torch.manual_seed(1)
    model = Model.from_params(Params(config["model"]), vocab=vocab)
    vocab.save_to_files(str(folder / "vocabulary"))
    torch.save(model.state_dict(), folder / "weights.th")
    (folder / "meta.json").write_text('{"version": "2.10.1"}')
    return folder


@pytest.fixture
def plain_archive(_plain_archive: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed at will."""
    return Path(shutil.copytree(_plain_archive, tmp_path / "archive"))


@pytest.fixture
def attempt(
    plain_archive: Path,
    transformer_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Attempt]:
    """An archive to be made hostile, and a working folder with modules that touch the canary."""
    work = tmp_path / "work"
    (work / "evil_package").mkdir(parents=True)
    canary = tmp_path / "canary"
    made = Attempt(
        plain_archive,
        canary,
        json.loads((plain_archive / "config.json").read_text()),
        work,
        transformer_folder,
    )
    body = made.code() + "class Evil:\n    pass\n"
    (work / "evil_module.py").write_text(body)
    (work / "evil_package" / "__init__.py").write_text(body)
    (work / "evil_package" / "part.py").write_text(body)
    (tmp_path / "canary.py").write_text(body)
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(work))
    monkeypatch.setenv("SECRET", "s3cret")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "hf-modules"))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield made
    assert not canary.exists()
    assert "evil_module" not in sys.modules
    assert "evil_package" not in sys.modules
    # torch makes a folder of its own where something asks it whether to compile.
    left = [path for path in folder.iterdir() if not path.name.startswith("torchinductor")]
    assert left == []
