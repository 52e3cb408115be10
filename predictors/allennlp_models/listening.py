"""What the modules of a private copy return while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def heard(*modules: nn.Module) -> Iterator[list[list[Any]]]:
    """Listens to modules.

    Args:
        modules: Modules of a private copy.

    Yields:
        For each module what it returned, call by call.
    """
    returned: list[list[Any]] = [[] for _ in modules]
    hooks = [
        module.register_forward_hook(lambda module, args, output, own=own: own.append(output))
        for module, own in zip(modules, returned, strict=True)
    ]
    try:
        yield returned
    finally:
        for hook in hooks:
            hook.remove()
