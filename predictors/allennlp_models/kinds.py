"""What kind of thing an object is, by the names of its classes, which need not be imported."""

from __future__ import annotations

from typing import Any


def kinds_of(thing: Any) -> list[str]:
    """The full names of an object's class and of those that it is derived from, in that order."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(thing).__mro__]
