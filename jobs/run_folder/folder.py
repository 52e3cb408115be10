"""The folder of a run, part by part."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from allennlp.common.checks import ConfigurationError

from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.predictors.saliency.json_lines import utf8_json_line

from ..errors import JobError
from ..parts.part import Part
from .checks import check_config, is_state
from .config import differences, other_versions
from .durable import aside_of, opened_itself, read_file, remove_file, telling, write_file
from .formats import encoder, read_rows, to_lines
from .locks import Locks
from .summary import summary_of

CONFIG, SUMMARY, ERRORS = "config.json", "summary.json", "errors.jsonl"
_STATE = ".state"
_TIMES = "times.jsonl"
_SHOWN = 3


class RunFolder:
    """The folder of a run: `config.json`, the parts, `errors.jsonl`, `summary.json`.

    A part is there once its state is: a file with its errors and what the summary adds up. It is
    written after the rows, so a part without one is done again, to the same bytes.

    Args:
        path: The folder, which holds a run.

    Attributes:
        path: The folder.
        config: The content of `config.json`.

    Raises:
        JobError: If it holds no run.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = _config_in(self.path)
        self._state = self.path / _STATE
        self._format = self.config["settings"]["output_format"]
        self._encode = encoder(self._format)

    @classmethod
    def make(
        cls, path: Path, config: JsonDict, overwrite: bool = False, alone: bool = False
    ) -> tuple[Self, list[str]]:
        """The folder of a run: a new one, or the same run's that goes on.

        Args:
            path: The folder.
            config: What the run is of.
            overwrite: Whether to remove another run that is there; the caller holds all its parts.
            alone: Whether the caller holds all parts, so that a run of which none is complete may
                make room for another.

        Returns:
            The folder; and the versions that differ from those that it was begun with.

        Raises:
            ConfigurationError: If the folder has files that are no run's.
            JobError: If it holds another run, or cannot be written.
        """
        check_place(path)
        with locks_of(path).finishing():  # Two that begin at once are one after the other.
            if overwrite:
                _clear(path)
            if not (path / CONFIG).exists():
                _begin(path, config)
                return cls(path), []
            there = _config_in(path)
            different = differences(there, config)
            if different and alone and not any((path / _STATE).glob("part-*.json")):
                _clear(path)
                _begin(path, config)
                return cls(path), []
        if different:
            raise JobError(
                f"{path} holds another run; {'; '.join(different)}. Go on with the settings that "
                "are there, name another folder with --output, or remove what is there with "
                "--overwrite"
            )
        return cls(path), other_versions(there, config)

    @property
    def parts(self) -> int:
        """How many parts the run has."""
        return int(self.config["parts"])

    def part_path(self, number: int) -> Path:
        """The file of the rows of a part."""
        return self.path / f"part-{number:05d}-of-{self.parts:05d}.{self._format}"

    def state_path(self, number: int) -> Path:
        """The file that says that a part is complete, and what the summary adds up."""
        return self._state / f"part-{number:05d}.json"

    def state(self, number: int) -> JsonDict | None:
        """What is known of a part; None if it is not complete."""
        try:
            found: JsonDict = json.loads(read_file(self.state_path(number)))
            size = self.part_path(number).stat().st_size
        except (OSError, ValueError, RecursionError):
            return None
        return found if is_state(found) and found["bytes"] == size else None

    def done(self) -> dict[int, JsonDict]:
        """How many inputs and errors each complete part has, by the part's number."""
        found = {}
        for number in range(self.parts):
            state = self.state(number)
            if state is not None:
                statistics = state["statistics"]
                found[number] = {"inputs": statistics["inputs"], "failed": statistics["failed"]}
        return found

    def write(self, number: int, part: Part) -> None:
        """Makes a part complete.

        Raises:
            JobError: If it cannot be written; the part is not complete then, others are.
        """
        content = self._encode(part.rows)
        path, state = self.part_path(number), self.state_path(number)
        if state.exists():  # Old errors must not stand beside new rows.
            remove_file(state)
        write_file(path, content, self._aside(number))
        known = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "rows": len(part.rows),
            "tokens": part.tokens,
            "statistics": part.statistics,
            "errors": part.errors,
        }
        write_file(state, utf8_json_line(known).encode("utf-8"))
        self._note({"part": number, "seconds": round(part.seconds, 6)})

    def finish(self) -> JsonDict:
        """Writes `errors.jsonl` and `summary.json` of the parts that are complete.

        Returns:
            The summary.

        Raises:
            JobError: If they cannot be written.
        """
        with locks_of(self.path).finishing():
            summary, errors = summary_of(self.config, map(self.state, range(self.parts)))
            summary["timing"] = self._timing(summary)
            write_file(self.path / ERRORS, to_lines(errors))
            text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
            content = text.encode("utf-8", "backslashreplace")
            write_file(self.path / SUMMARY, content)
        return summary

    def count_rows(self) -> int:
        """How many rows the complete parts have."""
        return sum((self.state(number) or {}).get("rows", 0) for number in range(self.parts))

    def rows(self) -> Iterator[JsonDict]:
        """The rows of the complete parts, in the order of the inputs."""
        for number in range(self.parts):
            if self.state(number) is not None:
                yield from read_rows(self.part_path(number))

    def errors(self) -> Iterator[JsonDict]:
        """The errors of the complete parts, in the order of the inputs."""
        for number in range(self.parts):
            yield from (self.state(number) or {}).get("errors", ())

    def remove_unfinished(self, shard: tuple[int, int] | None) -> None:
        """Removes what a process left that was killed while it wrote; the caller holds the parts of
        the shard.

        Raises:
            JobError: If it cannot be removed.
        """
        index, count = shard or (0, 1)
        with telling(self.path):
            for number in range(index, self.parts, count):
                for path in (self._aside(number), aside_of(self.state_path(number))):
                    path.unlink(missing_ok=True)
        with locks_of(self.path).finishing(), telling(self.path):
            for name in (CONFIG, SUMMARY, ERRORS):
                aside_of(self.path / name).unlink(missing_ok=True)

    def _aside(self, number: int) -> Path:
        return self._state / f"{self.part_path(number).name}.writing"

    def _note(self, times: JsonDict) -> None:
        """Keeps a time; it is no loss if the disk is too full for it."""
        try:
            with opened_itself(self._state / _TIMES, os.O_WRONLY | os.O_APPEND) as file:
                file.write((json.dumps(times) + "\n").encode())
        except OSError:
            return

    def _timing(self, summary: JsonDict) -> JsonDict:
        """What the parts took, those of several workers added up."""
        seconds: dict[int, float] = {}
        created = None
        try:
            lines = read_file(self._state / _TIMES).splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                times = json.loads(line)
                created = times.get("created", created)
                if "part" in times:
                    seconds[int(times["part"])] = float(times["seconds"])
            except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
                # a line that was being written when the power went, or that nobody here wrote
                continue
        total = sum(seconds.values())
        rate = summary["tokens"] / total if total else None
        return {
            "created": created,
            "seconds": round(total, 3),
            "tokens_per_second": None if rate is None else round(rate, 1),
        }


def _begin(path: Path, config: JsonDict) -> None:
    """Writes the settings; a folder with them is a run's."""
    with telling(path):
        (path / _STATE).mkdir(parents=True, exist_ok=True)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_file(path / _STATE / _TIMES, (json.dumps({"created": created}) + "\n").encode())
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_file(path / CONFIG, text.encode("utf-8", "backslashreplace"))


def _config_in(path: Path) -> JsonDict:
    try:
        found = json.loads(read_file(path / CONFIG))
    except FileNotFoundError as error:
        raise JobError(f"{path} holds no run: it has no {CONFIG}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise JobError(f"{path / CONFIG} cannot be read: {error}") from error
    return check_config(found, path / CONFIG)


def locks_of(path: Path) -> Locks:
    """The locks of the run in a folder; the folder is made if there is none.

    Raises:
        JobError: If it cannot be made.
    """
    return Locks(path / _STATE / "locks")


def kept_inputs(path: Path) -> Path:
    """The file of a run that keeps inputs which can be read only once."""
    return path / _STATE / "inputs.jsonl"


def check_place(path: Path) -> None:
    """Refuses a place where files of somebody else would stand beside a run's.

    Raises:
        ConfigurationError: If it is one.
    """
    if path.exists() and not path.is_dir():
        raise ConfigurationError(f"the output {path} is a file; name a folder")
    for own in (path / _STATE, path / _STATE / "locks"):
        if own.is_symlink():
            raise ConfigurationError(f"{own} is a link, and no run's; name a new folder")
    if not path.is_dir():
        return
    if (path / CONFIG).exists():
        if _is_a_runs(path):
            return
        raise ConfigurationError(
            f"the output {path} has a {CONFIG} that is no run's, as a model has one; name a new "
            "folder"
        )
    ours = {_STATE, aside_of(path / CONFIG).name}
    others = sorted(one.name for one in path.iterdir() if one.name not in ours)
    if others:
        raise ConfigurationError(
            f"the output {path} has files, and none of them is a run's {CONFIG} "
            f"({', '.join(others[:_SHOWN])}); name a new folder"
        )


def _is_a_runs(path: Path) -> bool:
    """Whether the `config.json` in a folder is a run's, be it a damaged or a newer one's: a model
    has a file of that name, too, which `overwrite` must not remove."""
    try:
        found = json.loads(read_file(path / CONFIG))
    except (OSError, ValueError, RecursionError):
        return (path / _STATE / _TIMES).is_file()
    return isinstance(found, dict) and {"settings", "parts", "versions"} <= set(found)


def _clear(path: Path) -> None:
    """Removes the files of a run and no others; the locks stay, since they are held, and inputs
    that were kept for this run."""
    kept = kept_inputs(path).name
    with telling(path):
        (path / CONFIG).unlink(missing_ok=True)
        for pattern in ("part-*-of-*", SUMMARY, ERRORS):
            for found in path.glob(pattern):
                found.unlink()
        for found in (path / _STATE).iterdir():
            if found.is_file() and not found.name.startswith(kept):
                found.unlink()
