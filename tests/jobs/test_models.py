"""The model of a job: loaded by what it is named by, and known again by its hash."""

from __future__ import annotations

import json
import shutil
import tarfile
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.jobs.models import load, model_identity
from allennlp_saliency.jobs.weights import predictor_hash
from allennlp_saliency.predictors import TransformersPredictor
from allennlp_saliency.predictors.saliency import SaliencyPredictor
from tests.jobs import small_models

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "fixtures" / "sentiment" / "model.tar.gz"


@dataclass(frozen=True)
class Settings:
    model: Any
    task: str | None = None
    predictor: str | None = None
    overrides: str | JsonDict = ""
    cuda_device: int = -1
    dtype: str | None = None


@pytest.fixture(scope="module")
def sentiment() -> Predictor:
    return small_models.sentiment()


@pytest.fixture(scope="module")
def bert() -> TransformersPredictor:
    return small_models.bert()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier as Hugging Face saves it."""
    path = tmp_path_factory.mktemp("hard")
    with tarfile.open(ROOT / "fixtures" / "sentiment-hard" / "model.tar.gz") as file:
        file.extractall(path, filter="data")
    return path / "transformer"


def test_an_archive_and_its_folder(tmp_path: Path) -> None:
    archive = load(Settings(ARCHIVE))
    assert not archive._model.training
    with tarfile.open(ARCHIVE) as file:
        file.extractall(tmp_path, filter="data")
    unpacked = load(Settings(str(tmp_path)))
    given = {"sentence": "a great film"}
    assert archive.predict_json(given) == unpacked.predict_json(given)
    first = model_identity(Settings(str(tmp_path)), unpacked)
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "model_state_e1_b0.th").write_text("")
    assert model_identity(Settings(str(tmp_path)), unpacked) == first
    with open(tmp_path / "vocabulary" / "labels.txt", "a") as labels:
        labels.write("\n")
    assert model_identity(Settings(str(tmp_path)), unpacked) != first


def test_the_hash_of_an_archive_is_that_of_its_file(sentiment: Predictor) -> None:
    import hashlib

    found = model_identity(Settings(ARCHIVE), sentiment)
    expected = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    assert found == {"model": str(ARCHIVE), "sha256": expected}


def test_a_folder_of_hugging_face(folder: Path) -> None:
    own = load(Settings(str(folder)))
    archive = load(Settings(ROOT / "fixtures" / "sentiment-hard" / "model.tar.gz"))
    assert type(own) is type(archive)
    given = {own.text_keys[0]: "the film was good."}  # type: ignore[attr-defined]
    assert own.predict_json(given) == archive.predict_json(given)
    first = model_identity(Settings(folder), own)
    (folder / "README.md").write_text("words")
    (folder / "trainer_state.json").write_text("{}")
    (folder / "checkpoint-1").mkdir()
    (folder / "checkpoint-1" / "model.safetensors").write_text("")
    assert model_identity(Settings(folder), own) == first
    assert first["model"] == str(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    try:
        assert model_identity(Settings(folder), own) != first
    finally:
        (folder / "config.json").write_text(json.dumps(config))


def test_a_floating_type(folder: Path) -> None:
    own = load(Settings(folder, task="text-classification", dtype="bfloat16"))
    assert {one.dtype for one in own._model.parameters()} == {torch.bfloat16}
    assert len(predictor_hash(own)) == 64


def test_a_model_of_the_hub_goes_by_its_revision(bert: TransformersPredictor) -> None:
    own = deepcopy(bert)
    settings = Settings("some/model")
    assert model_identity(settings, own) == {"model": "some/model", "sha256": predictor_hash(own)}
    own._model.transformer.config._commit_hash = "abc123"
    assert model_identity(settings, own) == {"model": "some/model", "revision": "abc123"}


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".jsonnet", ""])
def test_a_config(folder: Path, tmp_path: Path, suffix: str) -> None:
    config = {"model": str(folder), "task": "text-classification", "overlong": "truncate"}
    path = tmp_path / f"model{suffix}"
    path.write_text(json.dumps(config))
    given = Settings(str(path) if suffix else config)
    own: Any = load(given)
    assert own._dataset_reader.overlong.policy == "truncate"
    assert model_identity(given, own)["model"] == str(folder)


def test_a_config_of_an_archive() -> None:
    own = load(Settings({"model": str(ARCHIVE), "predictor": "text_classifier"}))
    assert own.predict_json({"sentence": "a great film"})["label"]


def test_a_predictor_is_taken_as_it_is(sentiment: Predictor) -> None:
    assert load(Settings(sentiment)) is sentiment
    whole = SaliencyPredictor(sentiment._model, sentiment._dataset_reader, "gradient")
    assert load(Settings(whole)) is whole.predictor


def test_the_hash_of_a_predictor(sentiment: Predictor) -> None:
    settings = Settings(sentiment)
    first = model_identity(settings, sentiment)
    sentiment.predict_json({"sentence": "a great film"})
    assert model_identity(settings, sentiment) == first
    assert first["model"] == type(sentiment._model).__name__
    again = load(Settings(ARCHIVE))
    assert model_identity(Settings(again), again) == first
    with torch.no_grad():
        next(iter(again._model.parameters())).view(-1)[0] += 1e-3
    assert model_identity(Settings(again), again) != first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "missing/model.tar.gz"}, "missing/model.tar.gz cannot be loaded"),
        ({"model": "missing-folder"}, "an archive .*a folder of Hugging Face.*or a hub id"),
        ({"model": ARCHIVE, "task": "causal-lm"}, "task is 'causal-lm', and the archive"),
        ({"model": ARCHIVE, "dtype": "bfloat16"}, "dtype is 'bfloat16', and the archive"),
        ({"model": ARCHIVE, "predictor": "text_clasifier"}, "did you mean 'text_classifier'"),
        ({"model": {"model": str(ARCHIVE), "tasks": 1}}, "unknown key .*did you mean 'task'"),
        ({"model": {"task": "causal-lm"}}, "names no model"),
        ({"model": "missing.yaml"}, "the model's config missing.yaml cannot be read"),
        ({"model": 3}, "not a int"),
        ({"model": torch.nn.Linear(1, 1)}, r"TransformersPredictor.from_pretrained\(model"),
    ],
)
def test_what_cannot_be_loaded(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(Settings(**settings))


def test_settings_that_would_not_be_followed(folder: Path, sentiment: Predictor) -> None:
    with pytest.raises(ConfigurationError, match="overrides is"):
        load(Settings(folder, overrides="{}"))
    with pytest.raises(ConfigurationError, match="task is 'causal-lm', and a predictor takes none"):
        load(Settings(sentiment, task="causal-lm"))
    with pytest.raises(ConfigurationError, match="cuda_device is 0"):
        load(Settings(sentiment, cuda_device=0))
    with pytest.raises(ConfigurationError, match="is for text-classification, not for causal-lm"):
        load(Settings(folder, task="causal-lm"))


def test_a_broken_archive(tmp_path: Path) -> None:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(ARCHIVE.read_bytes()[:5000])
    with pytest.raises(ConfigurationError, match="it is cut short"):
        load(Settings(path))
    shutil.copy(ROOT / "README.md", tmp_path / "text.md")
    with pytest.raises(ConfigurationError, match=r"it is no \.tar\.gz archive"):
        load(Settings(tmp_path / "text.md"))
