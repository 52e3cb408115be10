"""The tensors in nested arguments and results: in tuples, lists and mappings, to any depth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from torch import Tensor


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in a value, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(item)


def mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """A value of the same types with a function of each tensor in the tensor's place; the value
    itself where nothing changes.

    Args:
        value: Tensors, in tuples (named ones, too), lists and mappings (`ModelOutput` is one).
        function: Returns what replaces a tensor.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, MutableMapping):
        items = {name: mapped(item, function) for name, item in value.items()}
        if all(items[name] is item for name, item in value.items()):
            return value
        changed = copy.copy(value)
        for name, item in items.items():
            changed[name] = item
        return changed
    if not isinstance(value, (list, tuple)):
        return value
    new = [mapped(item, function) for item in value]
    if all(one is other for one, other in zip(new, value, strict=True)):
        return value
    return type(value)(*new) if hasattr(value, "_fields") else type(value)(new)
