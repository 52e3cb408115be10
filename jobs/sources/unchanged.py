"""Whether a file is still the one that was opened."""

from __future__ import annotations

import os

from allennlp.common.checks import ConfigurationError


class Unchanged:
    """A file that is read for hours must stay as it is: half of the rows would be of another.

    Args:
        path: The file; what is none, or none yet, is not looked at.
        name: What messages call it.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._state = _state(path)

    def check(self) -> None:
        """Makes sure of it.

        Raises:
            ConfigurationError: If its size or the time of its last change is another.
        """
        if _state(self._path) != self._state:
            raise ConfigurationError(
                f"the input {self._name} was changed while it was read; run the command again when "
                "nobody writes to it"
            )


def _state(path: str) -> tuple[int, int] | None:
    if not os.path.isfile(path):
        return None
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
