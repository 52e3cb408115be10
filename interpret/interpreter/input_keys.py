"""Which keys of an input a predictor reads, and which of them it misses."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any


class InputKeys(dict[str, Any]):
    """An input that records which keys were looked up; otherwise a plain `dict`.

    The record distinguishes a `KeyError` for a key that the input lacks from one of the model's
    own. Copies made by `copy` and `deepcopy` share the record.

    Args:
        given: The input.

    Attributes:
        read: Keys that were looked up and found.
        missing: Keys that were looked up and not found.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.read: set[Any] = set()
        self.missing: set[Any] = set()

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return self._note(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As `dict.get`."""
        self._note(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """As `dict.pop`."""
        self._note(key)
        return super().pop(key, *default)

    def __copy__(self) -> InputKeys:
        return self._sharing(self)

    def copy(self) -> InputKeys:
        """As `dict.copy`."""
        return self._sharing(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> InputKeys:
        return self._sharing(deepcopy(dict(self), memo))

    def __reduce__(self) -> tuple[Any, ...]:
        # A process of its own gets the plain input.
        return dict, (dict(self),)

    def _sharing(self, content: Mapping[str, Any]) -> InputKeys:
        other = InputKeys(content)
        other.read, other.missing = self.read, self.missing
        return other

    def _note(self, key: Any) -> bool:
        there = super().__contains__(key)
        # A key that was popped was there.
        if there or key not in self.read:
            (self.read if there else self.missing).add(key)
        return there


def misses(given: Any, error: BaseException) -> bool:
    """Whether an error is about a key that an input lacks.

    Args:
        given: The input that was passed to the function which raised the error.
        error: The error.
    """
    return (
        isinstance(given, InputKeys)
        and isinstance(error, KeyError)
        and len(error.args) == 1
        and error.args[0] in given.missing
    )


def place_of(error: BaseException) -> str:
    """Where an error was raised, `module.function`; empty if that is not known."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    frame = trace.tb_frame
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}"
