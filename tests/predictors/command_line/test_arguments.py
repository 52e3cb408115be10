"""Arguments that cannot be followed are refused before anything is read or written."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.predictors.saliency.predictor import SaliencyPredictor

from .conftest import GOOD, Run

OLD = '{"old": 1}\n'


@pytest.mark.parametrize("spelling", ["same", "dot", "parent", "absolute", "symbolic", "hard"])
def test_an_output_that_is_the_input(run: Run, tmp_path: Path, spelling: str) -> None:
    given = tmp_path / "in.jsonl"
    given.write_text(GOOD + "\n", encoding="utf-8")
    os.symlink(given, tmp_path / "symbolic")
    os.link(given, tmp_path / "hard")
    output = {
        "same": "in.jsonl",
        "dot": "./in.jsonl",
        "parent": f"../{tmp_path.name}/in.jsonl",
        "absolute": str(given),
    }.get(spelling, spelling)
    done = run(None, output=output)
    assert done.status == 1
    assert "is the same file as the input" in done.error
    assert "--output-file" in done.error
    assert given.read_text(encoding="utf-8") == GOOD + "\n"


def test_an_output_that_is_the_standard_input(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Path
) -> None:
    given = tmp_path / "stream.jsonl"
    given.write_text(GOOD, encoding="utf-8")
    with given.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        from allennlp.commands import main

        argv = ["allennlp", "predict", str(archive), "-", "--predictor", "saliency"]
        monkeypatch.setattr(sys, "argv", [*argv, "--output-file", str(given)])
        with pytest.raises(SystemExit, match="same file as the input"):
            main()
    assert given.read_text(encoding="utf-8") == GOOD


def test_an_output_that_is_the_archive(run: Run, archive: Path) -> None:
    before = archive.read_bytes()
    done = run(GOOD, output=str(archive))
    assert "same file as the archive" in done.error
    assert archive.read_bytes() == before


def test_two_ends_of_a_device_are_no_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").symlink_to(os.devnull)
    done = run(None, output=os.devnull)
    assert (done.status, done.error) == (0, "")


@pytest.mark.parametrize(
    ("output", "told"), [(".", "is a folder"), ("no/such/out.jsonl", "there is no folder")]
)
def test_an_output_that_cannot_be(run: Run, output: str, told: str) -> None:
    done = run(GOOD, output=output)
    assert (done.status, told in done.error) == (1, True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{interpreter: gradient}", "--predictor-args is no JSON"),
        ("[]", "--predictor-args is a JSON object"),
        ('"gradient"', "--predictor-args is a JSON object"),
        ("[" * 100_000, "--predictor-args is no JSON"),
        ({"model": 3}, "cannot set 'model'"),
        ({"dataset_reader": {}}, "cannot set 'dataset_reader'"),
        ({"frozen": "no"}, "frozen is true or false, not 'no'"),
        ({"frozen": 1}, "frozen is true or false, not 1"),
        ({"predictor_args": []}, "predictor_args is an object"),
        ({"on_error": ["line"]}, "on_error is 'line' or 'raise'"),
        ({"interpreter": 3}, "interpreter is a registered name"),
        ({"interpreter": {"type": "integrated-gradients", "steps": 2.5}}, "steps is an integer"),
        ({"interpreter": {"type": "integrated-gradients", "steps": "9"}}, "steps is an integer"),
        (
            {"interpreter": {"type": "gradient", "target": {"type": "logit", "label": "positiv"}}},
            "label 'positiv': the model has no label 'positiv' in its namespace 'labels'; did you "
            "mean 'positive'",
        ),
        (
            {"interpreter": {"type": "gradient", "target": {"type": "contrast", "against": "no"}}},
            "against 'no': the model has no label 'no'",
        ),
        (
            {
                "interpreter": {
                    "type": "gradient",
                    "target": {"type": "all-labels", "of": {"type": "logit", "label": "no"}},
                }
            },
            "label 'no'",
        ),
        (
            {"interpreter": {"type": "layer-integrated-gradients", "layer": "encoder.9"}},
            "has no layer 'encoder.9'",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_settings_that_are_wrong_without_an_input(
    run: Run, tmp_path: Path, settings: Any, told: str
) -> None:
    (tmp_path / "out.jsonl").write_text(OLD, encoding="utf-8")
    done = run(GOOD, settings=settings)
    assert done.status == 1
    assert told in done.error
    assert done.text == OLD


@pytest.mark.parametrize(
    ("interpreter", "told"),
    [
        ("attention", "attention"),
        ({"type": "gradient", "target": "span"}, "returns no span logits"),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch", ["1", "3"])
def test_settings_that_the_first_input_shows_to_be_wrong(
    run: Run, tmp_path: Path, interpreter: Any, told: str, batch: str
) -> None:
    (tmp_path / "out.jsonl").write_text(OLD, encoding="utf-8")
    content = f"{GOOD}\n" * 5
    done = run(content, "--batch-size", batch, settings={"interpreter": interpreter})
    assert done.status == 1
    assert "--predictor-args" in done.error
    assert "whatever the input" in done.error
    assert told in done.error
    assert done.text == OLD


def test_silent_without_an_output(run: Run) -> None:
    done = run(GOOD, output=None)
    assert (done.status, done.out) == (1, "")
    assert "--silent" in done.error


@pytest.mark.parametrize("size", ["0", "-1"])
def test_a_batch_of_nothing(run: Run, size: str) -> None:
    done = run(GOOD, "--batch-size", size)
    assert (done.status, "--batch-size is an integer of at least 1" in done.error) == (1, True)


def test_an_input_that_is_not_there(run: Run) -> None:
    done = run(None)
    assert done.status == 1
    assert "in.jsonl" in done.error
    assert done.text is None


@pytest.mark.parametrize(
    ("fixture", "known", "unknown"),
    [("topics", "law", "lawn"), ("copy-lm", "violet", "violets of spring")],
)
def test_labels_of_hugging_face_models(fixture: str, known: str, unknown: str) -> None:
    """Of a class's name, and of a token as the text that it is."""
    path = Path(__file__).parents[3] / "fixtures" / fixture / "model.tar.gz"
    for label in (known, unknown):
        settings = {"type": "gradient", "target": {"type": "logit", "label": label}}
        if label == known:
            SaliencyPredictor.from_path(path, interpreter=settings)
        else:
            with pytest.raises(ConfigurationError, match=f"no label '{unknown}'"):
                SaliencyPredictor.from_path(path, interpreter=settings)


@pytest.mark.parametrize("given", ['{"model.x": ', "model.x=3", "[1]", "5"])
def test_overrides_that_are_no_json_object(run: Run, given: str) -> None:
    done = run(GOOD, "--overrides", given)
    assert done.status == 1
    assert "--overrides is no JSON object" in done.error
    assert "between single quotes" in done.error


def test_a_gpu_that_is_not_there(run: Run) -> None:
    done = run(GOOD, "--cuda-device", "77")
    assert done.status == 1
    assert "--cuda-device 77: torch finds" in done.error
    assert "leave it out to run on the CPU" in done.error


def test_a_predictor_that_is_not_there(run: Run) -> None:
    done = run(GOOD, "--predictor", "saliencyy", model="gone.tar.gz")
    assert done.status == 1
    assert done.error.startswith("allennlp predict: error: --predictor: 'saliencyy' is not")
    assert "did you mean 'saliency'?" in done.error
    assert "\n" not in done.error
