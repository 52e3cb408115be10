"""The settings of a job: what they may be, and which decide what is written."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from allennlp.common.checks import ConfigurationError

from allennlp_saliency.jobs import Job

LEAST: dict[str, Any] = {"model": "m", "inputs": "i", "interpreters": "lime"}


def test_interpreters_by_name_or_parameters_and_the_target_of_all() -> None:
    one = {"type": "lime", "target": "logit"}
    job = Job("m", ["a", "b"], ["gradient", one], target="probability")
    assert job.interpreters == (
        {"type": "gradient", "target": "probability"},
        {"type": "lime", "target": "logit"},
    )
    assert one == {"type": "lime", "target": "logit"}
    assert Job(**LEAST).interpreters == ({"type": "lime"},)


def test_from_settings_as_a_file_has_them(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("model: m\ninput: a.jsonl\ninterpreter: lime\npart-size: 3\nshard: 1/4\n")
    job = Job.from_yaml(file)
    assert job == Job("m", "a.jsonl", "lime", part_size=3, shard=(1, 4))
    assert job.inputs == ("a.jsonl",)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"intepreters": "lime"}, "did you mean 'interpreters'"),
        ({"model": None, "part_size": 0}, "part_size"),
        ({"interpreters": []}, "at least one interpreter"),
        ({"interpreters": 3}, "interpreters are names or parameters"),
        ({"interpreters": [{"steps": 3}]}, "an interpreter is a registered name"),
        ({"interpreters": ["lime", {"type": "lime"}]}, "named twice"),
        ({"columns": "sentence=text"}, "columns is an object"),
        ({"dtype": "int8"}, "dtype"),
        ({"engine": "spark"}, "engine"),
        ({"workers": 2}, "workers is for the engine ray, .*: add --engine ray"),
        ({"address": "auto"}, "address is for the engine ray"),
        ({"shard": "4/4"}, "shard is i/n"),
        ({"shard": "one"}, "shard is i/n"),
        ({"batch_tokens": "much"}, "batch_tokens"),
        ({"limit": 0}, "limit"),
        ({"overwrite": True, "retry_errors": True}, "one of them"),
        ({"overwrite": True, "shard": "0/2"}, "a shard is a piece of one"),
    ],
)
def test_what_a_setting_cannot_be(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Job.from_dict({**LEAST, **changed})


@pytest.mark.parametrize(
    ("text", "message"),
    [("model: [", "cannot be read"), ("- lime\n", "no settings by name"), ("a: 1\n", "unknown")],
)
def test_a_file_that_holds_no_job(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "job.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        Job.from_yaml(tmp_path / "job.yaml")


def test_what_decides_what_is_written(tmp_path: Path) -> None:
    same: list[dict[str, Any]] = [
        {"output": "elsewhere"},
        {"engine": "ray", "workers": 3, "address": "auto"},
        {"shard": (0, 2)},
        {"retry_errors": True},
        {"overwrite": True},
    ]
    other: list[dict[str, Any]] = [
        {"interpreters": "gradient"},
        {"target": "logit"},
        {"task": "text-classification"},
        {"predictor": "p"},
        {"overrides": {"a": 1}},
        {"format": "csv"},
        {"columns": {"a": "b"}},
        {"id_key": "key"},
        {"keep": ["label"]},
        {"part_size": 3},
        {"output_format": "parquet"},
        {"limit": 3},
        {"ids": ["1"]},
        {"batch_tokens": 9},
        {"max_tokens": 9},
        {"cuda_device": 0},
        {"dtype": "bfloat16"},
    ]
    identity = Job(**LEAST).identity()
    assert all(Job(**{**LEAST, **one}).identity() == identity for one in same)
    assert not [one for one in other if Job(**{**LEAST, **one}).identity() == identity]
    assert Job(**LEAST, cuda_device=1).identity() == Job(**LEAST, cuda_device=0).identity()
    (tmp_path / "ids").write_text("2\n1\n")
    by_file = Job(**LEAST, ids=tmp_path / "ids").identity()
    assert by_file == Job(**LEAST, ids=["1", "2", "1"]).identity()


def test_a_job_can_be_sent() -> None:
    job = Job(**LEAST, shard="0/2", columns={"a": "b"})
    assert pickle.loads(pickle.dumps(job)) == job
