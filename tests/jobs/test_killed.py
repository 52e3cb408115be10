"""A job that is killed at random moments goes on to the bytes of one that was not."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.jobs import Job, run_job

from .conftest import FOLDER, SENTENCES, MakeJob, contents, write_lines


def killed_at_random(job: Job, seed: int, deaths: int, of: int) -> int:
    """Runs a job of so many parts in processes that are killed at random moments, until so many
    were, and then to its end; how many were."""
    chance = random.Random(seed)
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            try:
                run_job(job, silent=True)
            finally:
                os._exit(0)
        if killed < deaths:
            # After so many more parts, while the next is explained or written. Each death has its
            # share of the parts, so that a fast machine leaves some to the last.
            last = of * (killed + 1) // (deaths + 1)
            wait_for(job, min(parts_of(job) + chance.randint(0, 2), last), child)
            moment = time.monotonic() + chance.uniform(0, 0.3)
            while time.monotonic() < moment and parts_of(job) < last:
                time.sleep(0.002)
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            return killed
        assert status == -signal.SIGKILL
        killed += 1


def parts_of(job: Job) -> int:
    """How many parts of a job are there."""
    return len(list((Path(job.output or "") / ".state").glob("part-*.json")))


def wait_for(job: Job, parts: int, child: int) -> None:
    """Waits until a job has so many parts."""
    while parts_of(job) < parts:
        time.sleep(0.002)
        assert os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None


def test_killed_at_random_moments_it_goes_on_to_the_same_bytes(
    make_job: MakeJob, inputs: Path, tmp_path: Path
) -> None:
    write_lines(inputs, [*({"sentence": one} for one in SENTENCES[:30]), "{"])
    settings: dict[str, Any] = {
        "interpreters": {"type": "integrated-gradients", "steps": 4},
        "part_size": 3,
    }
    whole = make_job("whole", **settings)
    run_job(whole, silent=True)
    assert killed_at_random(make_job("killed", **settings), 1, deaths=4, of=parts_of(whole)) == 4
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_twenty_thousand_inputs_killed_ten_times(
    make_job: MakeJob, inputs: Path, tmp_path: Path
) -> None:
    """Inputs of 3 to 200 tokens, integrated gradients; bytes as of an undisturbed run."""
    count = int(os.environ.get("JOB_INPUTS", "20000"))
    chance = random.Random(0)
    words = sorted({word for one in SENTENCES for word in re.findall("[a-z]+", one)})
    rows = [
        {"sentence": " ".join(chance.choices(words, k=chance.randint(1, 198)))}
        for _ in range(count)
    ]
    write_lines(inputs, rows)
    # Its texts end at 128 positions; longer ones are folded.
    folds = {
        "dataset_reader.token_indexers.tokens.max_length": 128,
        "model.text_field_embedder.token_embedders.tokens.max_length": 128,
    }
    predictor = Predictor.from_path(
        str(FOLDER / "model.tar.gz"), import_plugins=False, overrides=json.dumps(folds)
    )
    settings: dict[str, Any] = {
        "model": predictor,
        "interpreters": {"type": "integrated-gradients", "steps": 4},
        "part_size": max(count // 80, 1),
    }
    whole = run_job(make_job("whole", **settings), silent=True)
    assert whole["inputs"] == {"of": count, "done": count, "explained": count, "failed": 0}
    parts = parts_of(make_job("whole", **settings))
    assert killed_at_random(make_job("killed", **settings), seed=0, deaths=10, of=parts) == 10
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    print(f"{count} inputs, killed 10 times: {whole['timing']}")
