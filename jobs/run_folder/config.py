"""What a run is of: settings, model, inputs, versions, threads; and how two differ."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import torch

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.version import VERSION

from ..job import Job
from ..sources.source import Source

FORMAT = 1
_LIBRARIES = ("torch", "transformers", "allennlp", "numpy")
_SAME = ("settings", "model", "inputs", "parts")
_LONGEST = 80


def config_of(job: Job, model: JsonDict, source: Source) -> JsonDict:
    """The content of `config.json`.

    Args:
        job: The job, its `batch_tokens` measured.
        model: What the model is called, and the hash of what it is made of.
        source: The inputs that are explained.
    """
    count = source.count()
    content = {
        "format": FORMAT,
        "settings": job.identity(),
        "model": model,
        "inputs": {"name": source.name, "count": count, "sha256": source.sha256()},
        "parts": -(-count // job.part_size),
        "versions": versions(),
        # They decide the last digits as well; a run may go on with others.
        "torch_threads": torch.get_num_threads(),
    }
    copied: JsonDict = json.loads(json.dumps(content, default=str))
    return copied


def versions() -> JsonDict:
    """The versions that decide the last digits of scores."""
    found = {"allennlp-saliency": VERSION, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "?"
    return found


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """How what is asked for differs from what a folder holds: `steps: 50 there, 20 here`. What a
    model or a file is called makes no difference."""
    found: list[str] = []
    for section in _SAME:
        before, now = (_named(content.get(section)) for content in (there, here))
        for name, one, other in _differing(section, before, now):
            shown = name.removeprefix("settings.")
            found.append(f"{shown}: {_shown(one)} there, {_shown(other)} here")
    return found


def other_versions(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Versions that differ, `torch: 2.7.0 there, 2.8.0 here`."""
    pairs = _differing("", there.get("versions", {}), here.get("versions", {}))
    return [f"{name.lstrip('.')}: {one} there, {other} here" for name, one, other in pairs]


def _named(section: Any) -> Any:
    if not isinstance(section, Mapping):
        return section
    if "sha256" in section or "revision" in section:
        return {key: value for key, value in section.items() if key not in ("name", "model")}
    interpreters = section.get("interpreters")
    if not isinstance(interpreters, list):
        return section
    # By name where the same are asked for, so that what differs is a parameter.
    types = [one["type"] for one in interpreters]
    if len(set(types)) < len(types):
        return section
    return {**section, "interpreters": types, **{one["type"]: one for one in interpreters}}


_ABSENT = object()


def _differing(name: str, there: Any, here: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in {**there, **here}:
            one, other = there.get(key, _ABSENT), here.get(key, _ABSENT)
            yield from _differing(f"{name}.{key}", one, other)
    elif there is _ABSENT and isinstance(here, Mapping) and "type" in here:
        return  # an interpreter that only one of them has: the list of their names says so
    elif here is _ABSENT and isinstance(there, Mapping) and "type" in there:
        return
    elif there != here:
        yield name, there, here


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} […]"
