"""Damaged archives: one clear error that names the archive and its member."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.models import load_archive

Pack = Callable[[Path, Path], Path]
Damage = Callable[[Path], object]


def _without(key: str) -> Damage:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        del config[key]
        (folder / "config.json").write_text(json.dumps(config))

    return damage


def _remove(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def _write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def _cut(folder: Path) -> None:
    whole = (folder / "weights.th").read_bytes()
    (folder / "weights.th").write_bytes(whole[: len(whole) // 2])


def _folder_as_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


DAMAGED: dict[str, tuple[Damage, str]] = {
    "no config": (_remove("config.json"), "it has no member 'config.json'"),
    "no weights": (_remove("weights.th"), "it has no member 'weights.th'"),
    "no vocabulary": (_remove("vocabulary"), "it has no member 'vocabulary'"),
    "no namespaces": (
        _remove("vocabulary/non_padded_namespaces.txt"),
        "it has no member 'vocabulary/non_padded_namespaces.txt'",
    ),
    "empty config": (_write("config.json", b""), "its config.json cannot be read"),
    "cut config": (_write("config.json", b'{"model": '), "its config.json cannot be read"),
    "config of bytes": (_write("config.json", b"\xff\xfe\x00"), "its config.json cannot be read"),
    "deep config": (_write("config.json", b"[" * 99_999), "its config.json cannot be read"),
    "deep valid config": (
        _write("config.json", b"[" * 99_999 + b"]" * 99_999),
        "its config.json cannot be read",
    ),
    "list as config": (_write("config.json", b"[]"), "its config.json is no JSON object but list"),
    "folder as config": (_folder_as_config, "its config.json cannot be read"),
    "no model": (_without("model"), "its config.json has no 'model'"),
    "no reader": (_without("dataset_reader"), "its config.json has no 'dataset_reader'"),
    "a model without a type": (
        _write("config.json", b'{"model": {}, "dataset_reader": {}}'),
        "the 'model' of its config.json has no 'type'",
    ),
    "an unknown reader": (
        _write("config.json", b'{"model": {"type": "x"}, "dataset_reader": {"type": "x"}}'),
        "x not in acceptable choices for dataset_reader.type",
    ),
    "a number as a type": (
        _write("config.json", b'{"model": {"type": "x"}, "dataset_reader": {"type": 5}}'),
        "the 'dataset_reader.type' of its config.json is no string but 5",
    ),
    "empty weights": (_write("weights.th", b""), "The weights file weights.th was not loaded"),
    "two bytes": (_write("weights.th", b"\x80\x02."), "weights.th was not loaded: it is damaged"),
    "a page of HTML": (_write("weights.th", b"<html>"), "weights.th was not loaded: it is damaged"),
    "cut weights": (_cut, "weights.th was not loaded: it is damaged"),
    "a list of weights": (
        lambda folder: torch.save([1], folder / "weights.th"),
        "weights.th was not loaded: it is damaged",
    ),
    "numbered weights": (
        lambda folder: torch.save({1: torch.zeros(1)}, folder / "weights.th"),
        "weights.th was not loaded: it is no state dict",
    ),
    "broken meta": (_write("meta.json", b"{"), "its meta.json cannot be read"),
    "another meta": (_write("meta.json", b'{"x": 1}'), "its meta.json cannot be read"),
    "a version that is none": (
        _write("meta.json", b'{"version": 5}'),
        "its meta.json cannot be read",
    ),
}


@pytest.mark.parametrize("packed", [True, False], ids=["file", "folder"])
@pytest.mark.parametrize(("damage", "says"), DAMAGED.values(), ids=DAMAGED.keys())
def test_archive_and_member_are_named(
    plain_archive: Path,
    pack: Pack,
    tmp_path: Path,
    temporary: Path,
    damage: Damage,
    says: str,
    packed: bool,
) -> None:
    damage(plain_archive)
    archive = pack(plain_archive, tmp_path / "m.tar.gz") if packed else plain_archive
    with pytest.raises(ConfigurationError) as caught:
        load_archive(archive)
    message = str(caught.value)
    assert message.startswith(f"The archive {archive} was not loaded: ")
    assert message.count("The archive") == 1
    assert says in message
    assert str(temporary) not in message


def _set(path: str, value: object) -> Damage:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        *sections, key = path.split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
        (folder / "config.json").write_text(json.dumps(config))

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_set("vocabulary.padding_token", {"a": 1}), "TypeError: "),
        (
            _set("dataset_reader.tokenizer", {"type": "spacy", "language": "never_heard_of"}),
            "The spaCy model 'never_heard_of' is not installed, and 'never' is no language",
        ),
        (_set("model.nope", 1), "unexpected keyword argument 'nope'"),
    ],
)
def test_values_that_fit_nothing(plain_archive: Path, damage: Damage, says: str) -> None:
    damage(plain_archive)
    with pytest.raises(ConfigurationError) as caught:
        load_archive(plain_archive)
    message = str(caught.value)
    assert message.startswith(f"The archive {plain_archive} was not loaded: ")
    assert says in message


@pytest.mark.parametrize("overrides", [{"model.nope": 1}, {"nope.x.y": 1}])
def test_overrides_that_fit_nothing(plain_archive: Path, overrides: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="nope") as caught:
        load_archive(plain_archive, overrides=overrides)
    assert str(caught.value).startswith(f"The archive {plain_archive} was not loaded: ")


def test_weights_of_another_model_name_the_archive(
    plain_archive: Path, pack: Pack, tmp_path: Path, temporary: Path
) -> None:
    torch.save({"other": torch.zeros(1)}, plain_archive / "weights.th")
    archive = pack(plain_archive, tmp_path / "m.tar.gz")
    with pytest.raises(RuntimeError, match="Missing keys") as caught:
        load_archive(archive)
    assert caught.value.__notes__ == [f"This happened while the archive {archive} was loaded."]


def test_a_file_outside_the_archive_keeps_its_error(plain_archive: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-weights") as caught:
        load_archive(plain_archive, weights_file="no-such-weights")
    assert caught.value.__notes__ == [
        f"This happened while the archive {plain_archive} was loaded."
    ]


def test_no_archive_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_archive(tmp_path / "nowhere.tar.gz")
