"""The command line, in a process of its own, from its start to its end."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allennlp.predictors import Predictor

from ..case import Case, Job, Scores, normalized
from ..workloads import FIXTURES


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    return job(case, {})


def job(case: Case, environment: Mapping[str, str]) -> Job:
    """A run of the command.

    Args:
        case: The case; its method is the subcommand.
        environment: What is set for the command alone.
    """

    def run() -> Scores:
        with tempfile.TemporaryDirectory() as folder:
            inputs, outputs = Path(folder, "inputs.jsonl"), Path(folder, "outputs.jsonl")
            inputs.write_text("".join(f"{json.dumps(text)}\n" for text in case.texts))
            arguments = [case.method]
            if case.method == "predict":
                arguments += [str(FIXTURES / case.model / "model.tar.gz"), str(inputs)]
                arguments += ["--predictor", "saliency", "--output-file", str(outputs), "--silent"]
            subprocess.run(
                [sys.executable, "-m", "allennlp", *arguments],
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
                check=True,
            )
            lines = outputs.read_text().splitlines() if outputs.exists() else []
        return [_scores(json.loads(line)) for line in lines]

    return Job(run, clock=processor_seconds)


def processor_seconds() -> float:
    """What all processes that this one has waited for took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _scores(line: dict[str, Any]) -> list[float]:
    return normalized(line["instance_1"]["grad_input_1"])
