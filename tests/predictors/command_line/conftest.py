"""A small archive, and `allennlp predict` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model
from allennlp.models.archival import archive_model

from tests.predictors.bag_of_embeddings import BAG_OF_EMBEDDINGS

GOOD = '{"sentence": "a good film"}'


@dataclass
class Done:
    """What came of a run of the command.

    Attributes:
        status: The exit status.
        error: The message that it ended with, empty for none.
        out: What it wrote to the standard output.
        err: What it wrote to the standard error.
        text: The output file; None if there is none.
    """

    status: int
    error: str
    out: str
    err: str
    text: str | None

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of the output file."""
        return [json.loads(line) for line in (self.text or "").splitlines()]

    @property
    def said(self) -> list[str]:
        """What the command itself wrote to the standard error."""
        return [line for line in self.err.splitlines() if line.startswith("allennlp predict: ")]


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of embeddings, as training would have left it."""
    folder = tmp_path_factory.mktemp("command") / "model"
    vocab = Vocabulary()
    for word in ("a", "good", "bad", "film"):
        vocab.add_token_to_namespace(word)
    for label in ("positive", "negative"):
        vocab.add_token_to_namespace(label, "labels")
    torch.manual_seed(0)
    model = Model.from_params(
        Params(json.loads(json.dumps(BAG_OF_EMBEDDINGS["model"]))), vocab=vocab
    )
    folder.mkdir()
    vocab.save_to_files(str(folder / "vocabulary"))
    (folder / "config.json").write_text(json.dumps(BAG_OF_EMBEDDINGS), encoding="utf-8")
    torch.save(model.state_dict(), folder / "weights.th")
    archive_model(folder, weights="weights.th")
    return folder / "model.tar.gz"


@pytest.fixture
def run(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command on bytes, or on a file that is there, in a folder of its own."""
    from allennlp.commands import main

    monkeypatch.chdir(tmp_path)
    # Other plugins take their time, each time.
    monkeypatch.setattr("allennlp.common.plugins.DEFAULT_PLUGINS", ("allennlp_saliency.plugin",))

    def command(
        content: bytes | str | None,
        *arguments: str,
        model: str | Path = archive,
        given: str = "in.jsonl",
        output: str | None = "out.jsonl",
        settings: str | dict[str, Any] | None = None,
        words: Sequence[str] = ("--silent",),
    ) -> Done:
        shown = settings if isinstance(settings, str) else json.dumps(settings or FAST)
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / "in.jsonl").write_bytes(data)
        argv = ["allennlp", "predict", str(model), given, "--predictor", "saliency"]
        argv += ["--predictor-args", shown, *words, *arguments]
        argv += [] if output is None else ["--output-file", output]
        monkeypatch.setattr("sys.argv", argv)
        capsys.readouterr()
        status, error = 0, ""
        try:
            main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
            error = stop.code if isinstance(stop.code, str) else ""
        captured = capsys.readouterr()
        there = output is not None and Path(output).is_file()
        text = Path(output).read_text("utf-8", "replace") if there and output else None
        return Done(status, error, captured.out, captured.err, text)

    return command


FAST = {"interpreter": "gradient"}
