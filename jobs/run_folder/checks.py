"""What the files of a run must hold to be one: somebody may have changed them, or brought them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict

from ..errors import JobError
from ..job import FORMATS
from .config import FORMAT

_STATISTICS = ("inputs", "failed")
_COUNTS = ("bytes", "rows", "tokens")


def check_config(found: Any, path: Path) -> JsonDict:
    """The content of a `config.json`, whole and of a format that is known.

    Args:
        found: What it holds.
        path: The file, for messages.

    Raises:
        JobError: If it is no run's, or a newer version's.
    """
    if not isinstance(found, dict) or not {"settings", "parts", "versions"} <= set(found):
        raise JobError(f"{path} is no run's: it lacks settings, parts or versions")
    if found.get("format") != FORMAT:
        raise JobError(
            f"{path} has format {found.get('format')!s:.20}, and this version reads {FORMAT}: "
            "take the version of allennlp-saliency that wrote it, or another folder"
        )
    settings, inputs = found["settings"], found.get("inputs")
    whole = (
        isinstance(settings, Mapping)
        and isinstance(inputs, Mapping)
        and isinstance(found["versions"], Mapping)
        and settings.get("output_format") in FORMATS
        and _are_interpreters(settings.get("interpreters"))
        and _is_count(settings.get("part_size"))
        and settings["part_size"] > 0
        and _is_count(inputs.get("count"))
        and found["parts"] == -(-inputs["count"] // settings["part_size"])
    )
    if not whole:
        raise JobError(f"{path} is no run's, or was changed: its settings do not hold together")
    return found


def is_state(found: Any) -> bool:
    """Whether this is what is known of a complete part."""
    if not isinstance(found, Mapping) or not all(_is_count(found.get(one)) for one in _COUNTS):
        return False
    statistics, errors = found.get("statistics"), found.get("errors")
    return (
        isinstance(statistics, Mapping)
        and all(_is_count(statistics.get(one)) for one in _STATISTICS)
        and isinstance(statistics.get("interpreters"), Mapping)
        and isinstance(errors, list)
        and all(_is_error(one) for one in errors)
    )


def check_apart(inputs: Any, output: Path) -> None:
    """Refuses inputs that stand in the folder of the run, which is cleared by `overwrite`.

    Args:
        inputs: What a job names.
        output: The folder.

    Raises:
        ConfigurationError: If a file of them is there.
    """
    if not isinstance(inputs, (list, tuple)):
        return
    place = output.resolve()
    for one in inputs:
        named = isinstance(one, (str, PathLike)) and os.path.exists(one)
        if named and Path(one).resolve().is_relative_to(place):
            raise ConfigurationError(
                f"the input {one} is in the output {output}, among the files of the run; name "
                "another folder with --output"
            )


def _are_interpreters(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(one, Mapping) and isinstance(one.get("type"), str) for one in found
    )


def _is_error(found: Any) -> bool:
    error = found.get("error") if isinstance(found, Mapping) else None
    return isinstance(error, Mapping) and isinstance(error.get("type"), str)


def _is_count(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and found >= 0
