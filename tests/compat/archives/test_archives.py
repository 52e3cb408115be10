"""Archives load safely, offline, from any folder, and leave nothing behind."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from allennlp.common import cached_transformers
from allennlp.common.checks import ConfigurationError
from allennlp.models import load_archive
from allennlp.predictors import Predictor

Pack = Callable[[Path, Path], Path]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that AllenNLP extracts into, to see what stays in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("mismatched", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_archive_with_its_transformer_predicts_from_any_folder(
    make_archive: Callable[..., Path],
    pack: Pack,
    temporary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mismatched: bool,
    packed: bool,
) -> None:
    folder = make_archive(mismatched)
    expected = torch.load(folder / "weights.th", weights_only=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    archive = load_archive(pack(folder, tmp_path / "model.tar.gz") if packed else folder)
    predictor = Predictor.from_archive(archive, "text_classifier")
    output = predictor.predict_json({"sentence": "a good film"})

    for name, parameter in archive.model.state_dict().items():
        assert torch.equal(parameter, expected[name]), name
    assert sum(output["probs"]) == pytest.approx(1)
    assert output["label"] in ("positive", "negative")
    # torch makes a folder of its own where something asks it whether to compile.
    left = [path for path in temporary.iterdir() if not path.name.startswith("torchinductor")]
    assert left == []
    assert (
        archive.config["model"]["text_field_embedder"]["token_embedders"]["tokens"]["model_name"]
        == "transformer"
    )


def test_nothing_of_an_archive_stays_in_the_caches(
    make_archive: Callable[..., Path], pack: Pack, tmp_path: Path
) -> None:
    archive = pack(make_archive(), tmp_path / "model.tar.gz")
    before = (set(cached_transformers._model_cache), set(cached_transformers._tokenizer_cache))
    load_archive(archive)
    after = (set(cached_transformers._model_cache), set(cached_transformers._tokenizer_cache))
    assert after == before


def test_a_changed_archive_folder_is_read_again(make_archive: Callable[..., Path]) -> None:
    folder = make_archive()
    first = load_archive(folder).dataset_reader
    words = (folder / "transformer" / "tokenizer.json").read_text()
    (folder / "transformer" / "tokenizer.json").write_text(words.replace('"film"', '"movie"'))
    second = load_archive(folder).dataset_reader
    assert "film" in [t.text for t in first._tokenizer.tokenize("film")]
    assert "film" not in [t.text for t in second._tokenizer.tokenize("film")]


def test_overrides_still_work(make_archive: Callable[..., Path]) -> None:
    overrides = {"dataset_reader.tokenizer.max_length": 4}
    reader = load_archive(make_archive(), overrides=overrides).dataset_reader
    assert len(reader._tokenizer.tokenize("good good good good good")) == 4


def test_overridden_transformer_outside_the_archive_is_left_alone(
    make_archive: Callable[..., Path], transformer_folder: Path
) -> None:
    overrides = {"dataset_reader.tokenizer.model_name": str(transformer_folder)}
    reader = load_archive(make_archive(), overrides=overrides).dataset_reader
    assert reader._tokenizer._model_name == str(transformer_folder)


def test_readers_survive_pickling_once_the_archive_is_gone(
    make_archive: Callable[..., Path], pack: Pack, tmp_path: Path
) -> None:
    reader = load_archive(pack(make_archive(True), tmp_path / "model.tar.gz")).dataset_reader
    again = pickle.loads(pickle.dumps(reader))
    instance = again.text_to_instance("a good films")
    again.apply_token_indexers(instance)
    from allennlp.data import Vocabulary

    instance.index_fields(Vocabulary())
    indexed = instance["tokens"].as_tensor(instance["tokens"].get_padding_lengths())["tokens"]
    # [CLS] a good film ##s [SEP]
    assert indexed["token_ids"].tolist() == [2, 5, 7, 9, 10, 3]
    assert indexed["offsets"].tolist() == [[1, 1], [2, 2], [3, 4]]


def _tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = link
    member.size = 1 if kind == tarfile.REGTYPE else 0
    return member


MALICIOUS = {
    "path traversal": (_member("../escaped"),),
    "deep traversal": (_member("vocabulary/../../escaped"),),
    "link outside": (_member("link", tarfile.SYMTYPE, "../.."), _member("link/escaped")),
    "absolute link": (_member("link", tarfile.SYMTYPE, "OUTSIDE"), _member("link/escaped")),
    "hard link outside": (_member("link", tarfile.LNKTYPE, "../secret"),),
    "device": (_member("null", tarfile.CHRTYPE),),
}


@pytest.mark.parametrize("members", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_nothing_is_extracted_outside(
    temporary: Path, tmp_path: Path, members: tuple[tarfile.TarInfo, ...]
) -> None:
    (tmp_path / "outside").mkdir()
    for member in members:
        member.linkname = member.linkname.replace("OUTSIDE", str(tmp_path / "outside"))
    archive = _tar(tmp_path / "evil.tar.gz", *members)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigurationError, match=r"evil\.tar\.gz was not loaded.*not safe"):
        load_archive(archive)
    assert sorted(tmp_path.rglob("*")) == before


class _Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_pickled_code_in_the_weights_is_not_run(
    make_archive: Callable[..., Path], pack: Pack, temporary: Path, tmp_path: Path
) -> None:
    folder = make_archive()
    target = tmp_path / "payload-ran"
    torch.save({"weight": _Payload(target)}, folder / "weights.th")
    with pytest.raises(ConfigurationError, match=r"weights\.th was not loaded.*could run code"):
        load_archive(pack(folder, tmp_path / "model.tar.gz"))
    assert not target.exists()
    assert list(temporary.iterdir()) == []


def test_model_names_that_are_not_folders_of_the_archive_stay(tmp_path: Path) -> None:
    from allennlp.common import Params

    from allennlp_saliency.compat.archives.source import own_transformers

    (tmp_path / "archive" / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    names = ["bert-base-uncased", "../outside", ".", str(tmp_path / "outside"), "inside"]
    config = Params({"readers": [{"model_name": name} for name in names], "model_name": 3})
    with own_transformers(config, tmp_path / "archive") as located:
        found = [reader["model_name"] for reader in located.as_dict()["readers"]]
    assert found == [*names[:-1], str(tmp_path / "archive" / "inside")]
