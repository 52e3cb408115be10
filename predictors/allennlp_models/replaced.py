"""Another object in the place of a part of a private copy, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Puts something in the place of what one object has under a name.

    Args:
        owner: The object, a private copy.
        name: The name of a method, an attribute or a layer.
        other: What stands in its place.
    """
    layers = vars(owner).get("_modules", {})
    held = layers if name in layers else vars(owner)
    own = {name: held[name]} if name in held else {}
    held[name] = other
    try:
        yield
    finally:
        if own:
            held.update(own)
        else:
            del held[name]
