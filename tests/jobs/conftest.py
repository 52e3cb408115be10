"""A small job: the model of the fixture `sentiment`, its sentences, and runs of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.jobs import Job, run_job

from .stand_in import put_in

put_in()

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "fixtures" / "sentiment"
SENTENCES = [
    json.loads(line)["sentence"] for line in (FOLDER / "inputs.jsonl").read_text().splitlines()
]

MakeJob = Callable[..., Job]


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.from_path(str(FOLDER / "model.tar.gz"), import_plugins=False)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Ten sentences with ids, in a file."""
    path = tmp_path / "inputs.jsonl"
    write_lines(path, [{"id": f"s{n}", "sentence": one} for n, one in enumerate(SENTENCES[:10])])
    return path


@pytest.fixture
def make_job(predictor: Predictor, inputs: Path, tmp_path: Path) -> MakeJob:
    """Makes a job of three parts; settings may be changed."""

    def make(output: str = "run", **changed: Any) -> Job:
        settings: dict[str, Any] = {
            "model": predictor,
            "inputs": inputs,
            "interpreters": "gradient",
            "output": tmp_path / output,
            "part_size": 4,
        }
        return Job(**{**settings, **changed})

    return make


@pytest.fixture
def run(make_job: MakeJob) -> Callable[..., dict[str, Any]]:
    """Runs such a job, and returns its summary."""

    def run(output: str = "run", **changed: Any) -> dict[str, Any]:
        return run_job(make_job(output, **changed), silent=True)

    return run


def write_lines(path: Path, rows: list[Any]) -> None:
    """Writes JSON lines; a text is a line by itself."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def read_lines(path: Path) -> list[Any]:
    """Reads JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(folder: Path) -> dict[str, Any]:
    """All files of a run by name, without what may differ: times, and the locks' empty files."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or "locks" in path.parts or name == ".state/times.jsonl":
            continue
        found[name] = path.read_bytes()
        if name == "summary.json":
            found[name] = {**json.loads(found[name]), "timing": None}
    return found


def in_child(do: Callable[[], object]) -> int:
    """Does something in a process of its own; its exit status, or minus the signal."""
    child = os.fork()
    if child == 0:
        try:
            do()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
