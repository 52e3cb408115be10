"""What the modules of a private copy return while it runs, and other objects in their places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn


@contextmanager
def heard(*modules: nn.Module) -> Iterator[list[list[Any]]]:
    """Collects for each module of a private copy what it returns, call by call."""
    returned: list[list[Any]] = [[] for _ in modules]
    with ExitStack() as hooks:
        for module, own in zip(modules, returned, strict=True):
            hook = partial(lambda own, module, args, output: own.append(output), own)
            hooks.enter_context(module.register_forward_hook(hook))
        yield returned


@contextmanager
def replaced(owner: Any, name: str, other: Any) -> Iterator[None]:
    """Puts another object in the place of a method or a module that a private copy, or a module of
    it, holds under a name."""
    held = vars(owner)
    own = {name: held[name]} if name in held else {}
    held[name] = other
    try:
        yield
    finally:
        del held[name]
        held.update(own)
