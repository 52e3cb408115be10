"""How a run ends: its status, its last line, what it shows on the way."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.predictors import Predictor, TextClassifierPredictor
from transformers.utils import logging as transformers_logging

from allennlp_saliency.predictors.command_line import output
from allennlp_saliency.predictors.command_line.command import Terminated, quiet, terminating
from allennlp_saliency.predictors.command_line.output import Progress, Tally

from .conftest import GOOD, Run

BAD = '{"text": "no sentence"}'
SECONDS = r"\d+\.\d s"


def test_all_is_well(run: Run) -> None:
    done = run(f"{GOOD}\n{BAD}\n{GOOD}\n")
    assert done.status == 0
    (said,) = done.said
    assert said.startswith("allennlp predict: 3 inputs, 1 error, ")
    assert said.endswith(" s; output in out.jsonl")


def test_silent_is_silent(run: Run) -> None:
    done = run(f"{GOOD}\n{BAD}\n")
    assert done.out == ""
    # `allennlp_models` without its own needs says so before the command is reached.
    own = [line for line in done.err.splitlines() if "nltk_data" not in line]
    assert own == done.said
    assert len(own) == 1


@pytest.mark.parametrize("before", [True, False])
def test_silent_shows_no_bar_of_transformers(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALLENNLP_DEBUG", "ALLENNLP_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(transformers_logging, "_tqdm_active", before)
    with quiet(True):
        assert not transformers_logging.is_progress_bar_enabled()
    assert transformers_logging.is_progress_bar_enabled() is before


@pytest.mark.parametrize("batch", ["1", "2", "16"])
def test_every_input_failed(run: Run, batch: str) -> None:
    done = run(f"{BAD}\n" * 3, "--batch-size", batch)
    assert done.status == 1
    assert done.error == (
        "allennlp predict: error: every input failed; the first: line 1: InterpretationError: the "
        "input lacks the key 'sentence' that TextClassifierPredictor reads; it has 'text'"
    )
    assert done.said[-1].startswith("allennlp predict: 3 inputs, 3 errors, ")
    assert [line["error"]["line"] for line in done.lines] == [1, 2, 3]


def test_stopped_at_the_first_error(run: Run) -> None:
    done = run(f"{GOOD}\n{BAD}\n{GOOD}\n", settings={"on_error": "raise"})
    assert done.status == 1
    assert done.error.startswith("allennlp predict: error: line 2: InterpretationError: ")
    assert "stopped after 1 of 3 inputs, 0 errors" in done.said[0]
    assert len(done.lines) == 1


def test_what_is_printed(run: Run) -> None:
    done = run(f"{GOOD}\n", words=(), output=None)
    first, second, rest = done.out.split("\n", 2)
    assert first == f"input 0:  {GOOD}"
    assert second.startswith('prediction:  {"prediction": ')
    assert rest.strip() == ""
    assert done.said[-1].startswith("allennlp predict: 1 input, 0 errors, ")


def test_the_dataset_reader(run: Run) -> None:
    content = '{"text": "a good film", "label": "positive"}\n{"text": "bad", "label": "negative"}\n'
    done = run(content, "--use-dataset-reader", words=())
    assert done.status == 0
    assert [len(line["instance_1"]["grad_input_1"]) for line in done.lines] == [3, 1]
    assert "input 1:  Instance with fields" in done.out


@pytest.mark.parametrize("batch", ["1", "16"])
def test_what_the_dataset_reader_cannot_read(run: Run, batch: str) -> None:
    good = '{"text": "a good film", "label": "positive"}\n'
    done = run(f"{good}not json\n{good}", "--use-dataset-reader", "--batch-size", batch)
    assert done.status == 1
    assert done.error == (
        "allennlp predict: error: the dataset reader TextClassificationJsonReader cannot read "
        "in.jsonl: JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
    )
    assert len(done.lines) == (1 if batch == "1" else 0)


@pytest.mark.parametrize("overrides", ['{"model.nope": 1}', '{"nope.x.y": 1}'])
def test_overrides_that_fit_nothing(run: Run, archive: Path, overrides: str) -> None:
    done = run(GOOD, "--overrides", overrides)
    assert (done.status, "nope" in done.error, "\n" in done.error) == (1, True, False)
    assert f"The archive {archive} was not loaded: " in done.error


def test_weights_of_another_model(run: Run, archive: Path, tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.th")
    done = run(GOOD, "--weights-file", "other.th")
    assert (done.status, "\n" in done.error) == (1, False)
    assert "Missing keys" in done.error
    assert str(archive) in done.error


class Stops(TextClassifierPredictor):
    """A predictor during whose third input something happens."""

    happens: Any = None
    seen = 0

    def _json_to_instance(self, json_dict: Any) -> Any:
        Stops.seen += 1
        if Stops.seen == 3:
            Stops.happens()
        return super()._json_to_instance(json_dict)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> type[Stops]:
    Predictor.register("test-stops", exist_ok=True)(Stops)
    monkeypatch.setattr(Stops, "seen", 0)
    return Stops


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal(
    run: Run,
    stops: type[Stops],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
    word: str,
) -> None:
    monkeypatch.setattr(stops, "happens", staticmethod(lambda: os.kill(os.getpid(), number)))
    before = signal.getsignal(signal.SIGTERM)
    done = run(f"{GOOD}\n" * 6, settings={"interpreter": "gradient", "predictor": "test-stops"})
    assert done.status == status
    (said,) = done.said
    assert said.startswith(f"allennlp predict: {word} after 2 of 6 inputs, 0 errors, ")
    assert said.endswith("; output in out.jsonl")
    assert len(done.lines) == 2
    assert signal.getsignal(signal.SIGTERM) is before


def test_memory_that_ends_costs_one_line(
    run: Run, stops: type[Stops], monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens() -> None:
        raise MemoryError

    monkeypatch.setattr(stops, "happens", staticmethod(happens))
    done = run(f"{GOOD}\n" * 4, settings={"interpreter": "gradient", "predictor": "test-stops"})
    assert done.status == 0
    assert [line.get("error", {}).get("type") for line in done.lines] == [
        None, None, "MemoryError", None,
    ]  # fmt: skip


def test_another_error_leaves_whole_lines_and_says_what_was_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor

    original, seen = SaliencyPredictor.dump_line, []

    def dump_line(self: Any, outputs: Any) -> str:
        seen.append(1)
        if len(seen) == 2:
            raise AssertionError("a mistake of ours")
        return original(self, outputs)

    monkeypatch.setattr(SaliencyPredictor, "dump_line", dump_line)
    with pytest.raises(AssertionError, match="of ours"):
        run(f"{GOOD}\n" * 3)
    assert "failed after 1 of 3 inputs, 0 errors" in capsys.readouterr().err
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 1


class Closed:
    """A standard output that nobody reads any more."""

    encoding = "utf-8"

    def __init__(self, error: OSError) -> None:
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


def test_a_closed_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(BrokenPipeError()))
    done = run(f"{GOOD}\n" * 3, output=None, words=())
    assert (done.status, done.error) == (141, "")
    assert "the standard output was closed after 0 of 3 inputs" in done.err


def test_a_closed_pipe_beside_a_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(BrokenPipeError()))
    done = run(f"{GOOD}\n" * 3, words=())
    assert (done.status, len(done.lines)) == (0, 3)


def test_a_standard_output_that_is_full(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Closed(OSError(28, "No space left on device")))
    done = run(GOOD, output=None, words=())
    assert done.error.endswith("cannot write to the standard output: No space left on device")


class TestProgress:
    def test_a_line_every_thirty_seconds(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        now = 0.0
        monkeypatch.setattr(output.time, "monotonic", lambda: now)
        count = Tally(total=100)
        progress = Progress(count)
        for _ in range(100):
            now += 1.0
            count.add(failed=False)
            progress.update()
        progress.close()
        said = capsys.readouterr().err.splitlines()
        assert said == [
            f"allennlp predict: {seconds} of 100 inputs, 0 errors, {seconds}.0 s"
            for seconds in (30, 60, 90)
        ]

    @pytest.mark.parametrize("silent", [True, False])
    def test_a_bar_on_a_terminal(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        silent: bool,
    ) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        count = Tally(total=4)
        progress = Progress(count, silent=silent)
        count.add(failed=True)
        progress.update()
        progress.close()
        assert ("allennlp predict:   0%" in capsys.readouterr().err) is not silent

    def test_the_total_where_it_is_not_known(self) -> None:
        assert Tally().summary(with_total=True).startswith("0 inputs, 0 errors, ")


def test_logging_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALLENNLP_DEBUG", "ALLENNLP_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    before = logging.root.manager.disable
    with quiet(True):
        assert not logging.getLogger("allennlp").isEnabledFor(logging.WARNING)
        assert logging.getLogger("allennlp").isEnabledFor(logging.ERROR)
    assert logging.root.manager.disable == before
    monkeypatch.setenv("ALLENNLP_LOG_LEVEL", "INFO")
    with quiet(True):
        assert logging.root.manager.disable == before


def test_other_predictors_run_the_command_as_before(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from allennlp.commands import main

    (tmp_path / "in.jsonl").write_text(f"{GOOD}\n", encoding="utf-8")
    output = tmp_path / "out.jsonl"
    argv = ["allennlp", "predict", str(archive), str(tmp_path / "in.jsonl"), "--silent"]
    monkeypatch.setattr(sys, "argv", [*argv, "--output-file", str(output)])
    main()
    assert set(json.loads(output.read_text(encoding="utf-8"))) >= {"label", "probs"}


@pytest.mark.parametrize(("number", "kind"), [(15, Terminated), (2, KeyboardInterrupt)])
def test_sigterm_is_told_from_ctrl_c_where_a_library_takes_them_for_one(
    number: int, kind: type[BaseException]
) -> None:
    def library() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None  # as Ray does

    with pytest.raises(KeyboardInterrupt) as caught, terminating():
        library()
    assert caught.type is kind
