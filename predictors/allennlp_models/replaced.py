"""Another object in the place of an attribute of a private copy, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Puts another object in the place of a method or a module that an object holds.

    Args:
        owner: A private copy, or a module of it.
        name: The attribute.
        other: What is in its place.
    """
    held = vars(owner)
    own = {name: held[name]} if name in held else {}
    held[name] = other
    try:
        yield
    finally:
        del held[name]
        held.update(own)
