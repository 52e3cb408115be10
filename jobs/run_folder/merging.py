"""The parts of several runs of one job in one folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from allennlp_saliency.interpret.explanation import JsonDict

from ..errors import JobError
from .config import differences
from .durable import read_file, write_file
from .folder import RunFolder, check_place, locks_of

_SHOWN = 5


def merge_runs(runs: Sequence[str | PathLike[str]], output: str | PathLike[str]) -> JsonDict:
    """Puts the parts of runs of one job, such as its shards, into one folder.

    Args:
        runs: The folders.
        output: The folder to make; it is what one run of the whole job would have been.

    Returns:
        The summary.

    Raises:
        JobError: If the runs differ in settings, model or inputs, if they hold different rows for
            one part, or if a part is in none of them; each is named.
        ConfigurationError: If the folder has files that are no run's.
    """
    folders = [RunFolder(Path(run)) for run in runs]
    if not folders:
        raise JobError("there are no runs to merge; name their folders")
    first = folders[0]
    for other in folders[1:]:
        different = differences(first.config, other.config)
        if different:
            raise JobError(
                f"{first.path} (there) and {other.path} (here) are no runs of one job: "
                f"{'; '.join(different)}"
            )
    chosen = _chosen(folders)
    missing = [number for number in range(first.parts) if number not in chosen]
    if missing:
        shown = ", ".join(map(str, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        raise JobError(
            f"{len(missing):,} of {first.parts:,} parts are complete in none of the runs (number "
            f"{shown}); run the shards that have them to the end first"
        )
    check_place(Path(output))
    with locks_of(Path(output)).parts(None):
        merged, _ = RunFolder.make(Path(output), first.config)
        merged.remove_unfinished(None)
        for number, folder in chosen.items():
            if folder.path.resolve() == merged.path.resolve() or merged.state(number) is not None:
                continue
            _copy(folder, merged, number)
        return merged.finish()


def _chosen(folders: Sequence[RunFolder]) -> dict[int, RunFolder]:
    """By the number of each part the first run that has it."""
    chosen: dict[int, RunFolder] = {}
    for number in range(folders[0].parts):
        hashes: dict[str, RunFolder] = {}
        for folder in folders:
            state = folder.state(number)
            if state is not None:
                hashes.setdefault(str(state.get("sha256")), folder)
        if len(hashes) > 1:
            one, other, *_ = hashes.values()
            raise JobError(
                f"part {number} has other rows in {one.path} than in {other.path}; they were "
                "written by other versions or on another machine: leave one of the runs out"
            )
        for folder in hashes.values():
            chosen[number] = folder
    return chosen


def _copy(source: RunFolder, target: RunFolder, number: int) -> None:
    content, state = (read_file(path(number)) for path in (source.part_path, source.state_path))
    if hashlib.sha256(content).hexdigest() != json.loads(state)["sha256"]:
        raise JobError(
            f"{source.part_path(number)} was changed since it was written: remove it, and run the "
            "command again that wrote it"
        )
    write_file(target.part_path(number), content)
    write_file(target.state_path(number), state)
