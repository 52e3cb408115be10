"""A comparison on disk: it goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from allennlp.common.checks import ConfigurationError

from ...explanation import JsonDict

_RECORDS = "measured.jsonl"
_CONFIG = "config.json"
_LEFT_OUT = "left_out.json"


class RecordStore:
    """The folder of a comparison: its settings, and a line per record.

    Args:
        folder: The folder; None to keep nothing.
        config: The settings.

    Attributes:
        records: What an earlier comparison with the same settings has written of complete inputs.
        costs: By method what it took, as it was written.
        left_out: What was left out, and why; None where nothing has been tried yet.

    Raises:
        ConfigurationError: If the folder has other settings.
    """

    def __init__(self, folder: Path | None, config: JsonDict) -> None:
        self._folder = folder
        self.records: list[JsonDict] = []
        self.costs: dict[str, JsonDict] = {}
        self.left_out: dict[str, str] | None = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / _CONFIG
        if known.exists():
            before = json.loads(known.read_text(encoding="utf-8"))
            different = [key for key in config if before.get(key) != config[key]]
            if different:
                raise ConfigurationError(
                    f"{folder} holds a comparison with other {', '.join(different)}; name another "
                    "folder, or remove this one"
                )
        else:
            known.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if (folder / _LEFT_OUT).exists():
            self.left_out = json.loads((folder / _LEFT_OUT).read_text(encoding="utf-8"))
        path = folder / _RECORDS
        if path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        """Reads what is complete; the rest of an interrupted write is cut off."""
        complete, open_lines = 0, []
        lines = path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines):
            if not line.endswith(b"\n"):
                break
            record = json.loads(line)
            self.costs = record.pop("costs", self.costs)
            # Folders of earlier versions count no passes.
            seconds = record.pop("seconds", {})
            self.costs = {k: {"seconds": one} for k, one in seconds.items()} or self.costs
            open_lines.append(record)
            if record.get("last"):
                self.records += open_lines
                complete, open_lines = number + 1, []
        if complete < len(lines):
            path.write_bytes(b"".join(lines[:complete]))

    def leave_out(self, left_out: Mapping[str, str]) -> None:
        """Keeps what is left out, so that what goes on later leaves out the same."""
        self.left_out = dict(left_out)
        if self._folder is not None:
            text = json.dumps(self.left_out, indent=2) + "\n"
            (self._folder / _LEFT_OUT).write_text(text, encoding="utf-8")

    def write(self, records: Sequence[JsonDict], costs: Mapping[str, JsonDict]) -> None:
        """Adds records of complete inputs, and what the methods took until then."""
        self.records += records
        if self._folder is None or not records:
            return
        lines = [*records[:-1], {**records[-1], "costs": dict(costs)}]
        with (self._folder / _RECORDS).open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(_plain(line)) + "\n" for line in lines))
            file.flush()


def _plain(value: Any) -> Any:
    """JSON has no NaN: what is not defined is null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
