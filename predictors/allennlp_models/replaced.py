"""Another function in the place of a method of a private copy, for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Puts a function in the place of a method of one object.

    Args:
        owner: The object, a private copy.
        name: The method.
        function: What is called in its place, with the method's own arguments.
    """
    held = vars(owner)
    own = {name: held[name]} if name in held else {}
    held[name] = function
    try:
        yield
    finally:
        del held[name]
        held.update(own)
