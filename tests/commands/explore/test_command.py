"""`allennlp explore`: what it serves, what it says, and what one copies from the page."""

from __future__ import annotations

import argparse
import io
import json
import runpy
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.commands import main
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.commands.explore import command
from allennlp_saliency.commands.explore.jobs import ModelQueue
from allennlp_saliency.commands.explore.limits import Limits
from allennlp_saliency.commands.explore.models import served
from allennlp_saliency.commands.explore.models.served import Loading, ServedModel, load
from allennlp_saliency.commands.explore.snippets import snippets
from allennlp_saliency.predictors import TransformersPredictor

from .conftest import ROOT, SENTENCE, Models, TestClient

TOPICS = str(ROOT / "fixtures" / "topics" / "model.tar.gz")
Run = Callable[..., None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `allennlp` with these arguments."""

    def run(*words: Any) -> None:
        monkeypatch.setattr(sys, "argv", ["allennlp", *map(str, words)])
        main(prog="allennlp")

    return run


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Models, argparse.Namespace, int]]:
    """What the command would serve, with the options and the port."""
    seen = []

    def serve(models: Models, options: argparse.Namespace, listening: socket.socket) -> None:
        seen.append((models, options, listening.getsockname()[1]))

    monkeypatch.setattr(command, "serve", serve)
    return seen


def test_an_archive_is_served(run: Run, serving: list[Any], tmp_path: Path) -> None:
    examples = tmp_path / "mine.jsonl"
    examples.write_text('{"sentence": "our bonds", "label": "finance"}\n\n', encoding="utf-8")
    run("explore", TOPICS, "--port", 0, "--examples", examples, "--predictor", "sentence_tagger")
    ((models, options, port),) = serving
    assert list(models) == ["topics"]
    assert list(models["topics"].predictors) == ["text_classifier", "sentence_tagger"]
    assert models["topics"].examples == [{"sentence": "our bonds"}]
    assert port > 0
    assert options.host == "127.0.0.1"


def test_who_waits_for_a_model_is_told_so(
    run: Run, serving: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("explore", "nobody.tar.gz", "--port", 0)
    assert "loading nobody.tar.gz …\n" in capsys.readouterr().err


def test_folders_are_hidden_beyond_this_machine(run: Run, serving: list[Any]) -> None:
    run("explore", TOPICS, "--port", 0, "--host", "0.0.0.0")
    ((models, *_),) = serving
    assert models["topics"].to_json()["source"] == "model.tar.gz"


def test_a_hugging_face_model_is_served(transformer: ServedModel) -> None:
    assert list(transformer.predictors) == ["transformers-causal-lm"]
    assert not transformer.archive
    assert transformer.to_json()["predictors"][0]["keys"][0] == "prompt"


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """The fixture `copy-lm` as a folder of Hugging Face's."""
    archive = str(ROOT / "fixtures" / "copy-lm" / "model.tar.gz")
    from allennlp.predictors import Predictor

    made = Predictor.from_path(archive)
    assert isinstance(made, TransformersPredictor)
    folder = tmp_path_factory.mktemp("models") / "my model"
    made._model.transformer.save_pretrained(folder)
    made._dataset_reader.tokenizer.save_pretrained(folder)
    (found,) = load([str(folder)], Loading(), Limits()).values()
    found.queue.close()
    return found


def test_names_are_unlike() -> None:
    taken: dict[str, Any] = {}
    sources = ("a/sentiment/model.tar.gz", "b/sentiment.tar.gz", "./sentiment/", "../..", "ü/ö&")
    for source in sources:
        taken[served._name(source, taken)] = None
    assert list(taken) == ["sentiment", "sentiment-2", "sentiment-3", "model", "model-2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such-model.tar.gz"], "no-such-model.tar.gz"),
        ([TOPICS, "--predictor", "nobody"], "unknown predictor to interpret: 'nobody'"),
        ([TOPICS, "--examples", "nothing.jsonl"], "nothing.jsonl"),
        ([TOPICS, "--host", "256.1.1.1"], "cannot listen at 256.1.1.1"),
        ([TOPICS, "--port", "99999"], "cannot listen at 127.0.0.1, port 99999"),
    ],
    ids=range(5),
)
def test_what_is_wrong_is_said(run: Run, serving: list[Any], words: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("explore", "--port", 0, *words)
    assert str(stopped.value).startswith("allennlp explore: error: ")
    assert told in str(stopped.value)
    assert not serving


def test_a_port_that_is_taken(run: Run, serving: list[Any]) -> None:
    told = pytest.raises(SystemExit, match="--port 0 takes one that is free")
    with socket.create_server(("127.0.0.1", 0)) as taken, told:
        run("explore", TOPICS, "--port", taken.getsockname()[1])


def test_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"pip install 'allennlp-saliency\[explore\]'"):
        run("explore", TOPICS)


def test_images_are_refused(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    class VisionReader:
        pass

    _, predictor = models["topics"].predictor(None)
    monkeypatch.setattr(predictor, "_dataset_reader", VisionReader())
    with pytest.raises(ConfigurationError, match="reads images"):
        served._refuse_images(predictor)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "192.168.1.7", "example.org", "localhost.x")],
)
def test_a_token_is_asked_for_beyond_this_machine(
    models: Models,
    host: str,
    loopback: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import uvicorn

    apps = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: apps.append(self.config.app))
    monkeypatch.setattr(ModelQueue, "close", lambda self, seconds: True)
    options = argparse.Namespace(
        host=host,
        allow_host=[],
        max_characters=100,
        max_number=100,
        max_seconds=1.0,
        max_waiting=1,
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command.serve(models, options, listening)
    printed = capsys.readouterr().out
    assert ("#token=" in printed) is not loopback
    client = TestClient(apps[0], base_url="http://127.0.0.1:8000")
    assert client.get("/models").status_code == (200 if loopback else 401)
    if not loopback:
        token = printed.split("#token=")[1].split()[0]
        assert len(token) >= 32
        own = {"Authorization": f"Bearer {token}"}
        assert client.get("/models", headers=own).status_code == 200


PARAMETERS = {"type": "integrated-gradients", "steps": 16, "target": {"type": "logit"}}


def scores(instances: list[Any]) -> list[list[float]]:
    return [one["attributions"] for found in instances for one in found["inputs"]]


def expected(model: ServedModel, inputs: dict[str, Any]) -> list[list[float]]:
    name = next(iter(model.predictors))
    found = model.interpreter(name, PARAMETERS).interpret_json(dict(inputs))
    return scores([one.to_json() for one in found])


HARD = {"sentence": "the lender's \"bonds\" — 'our' $HOME \\n `x` 100 % bonds"}


@pytest.mark.parametrize("inputs", [SENTENCE, HARD], ids=["easy", "hard"])
def test_the_copied_python_gives_the_same(
    models: Models, inputs: dict[str, Any], tmp_path: Path
) -> None:
    model = models["topics"]
    script = tmp_path / "copied.py"
    script.write_text(snippets(model, "text_classifier", inputs, PARAMETERS)["python"], "utf-8")
    found = runpy.run_path(str(script))["explanations"]
    assert scores([one.to_json() for one in found]) == expected(model, inputs)


def test_the_copied_python_of_a_hugging_face_model(
    transformer: ServedModel, tmp_path: Path
) -> None:
    inputs = {"prompt": "cedar ivory cedar", "max_new_tokens": 2}
    script = tmp_path / "copied.py"
    (name,) = transformer.predictors
    script.write_text(snippets(transformer, name, inputs, PARAMETERS)["python"], "utf-8")
    found = runpy.run_path(str(script))["explanations"]
    assert scores([one.to_json() for one in found]) == expected(transformer, inputs)
    copied = snippets(transformer, name, inputs, PARAMETERS)["command"].splitlines()
    assert shlex.split(copied[0]) == [
        "allennlp-saliency",
        "archive",
        transformer.source,
        "model.tar.gz",
    ]


@pytest.mark.parametrize("inputs", [SENTENCE, HARD], ids=["easy", "hard"])
def test_the_copied_command_gives_the_same(
    models: Models,
    inputs: dict[str, Any],
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = models["topics"]
    monkeypatch.chdir(tmp_path)
    copied = snippets(model, "text_classifier", inputs, PARAMETERS)["command"]
    words = shlex.split(copied)
    pipe = words.index("|")
    assert words[:2] == ["printf", "%s\\n"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(words[2] + "\n"))
    assert words[pipe + 1] == "allennlp"
    run(*words[pipe + 2 :])
    line = json.loads((tmp_path / "out.jsonl").read_text("utf-8"))
    found = [line["instance_1"]["explanation"]]
    for one, other in zip(scores(found), expected(model, inputs), strict=True):
        assert one == pytest.approx(other, abs=1e-6)
