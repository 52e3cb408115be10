"""What modules the attributes of a module lead to: through closures, arguments, weak references,
global variables."""

from __future__ import annotations

import types
import weakref
from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .made_again import EMPTY_CELL

CONTAINERS = (dict, OrderedDict, list, set)
HOLD_NO_MODULE = frozenset(
    (
        *(int, float, bool, complex, str, bytes, type(None), type),
        *(torch.dtype, torch.device, torch.Size, Tensor, nn.Parameter),
        *(types.ModuleType, types.BuiltinFunctionType),
    )
)
_MOST_ITEMS = 256
_MOST_STEPS = 2000


def is_wrapper(value: Any) -> bool:
    """Whether an object can be called and may hold modules in a closure, as arguments or in its
    attributes, or refers to something weakly."""
    if isinstance(value, (nn.Module, Tensor, type)) or type(value) in HOLD_NO_MODULE:
        return False
    return type(value) is weakref.ref or (callable(value) and hasattr(value, "__dict__"))


def held_by(value: Any, of_globals: bool = True) -> list[Any]:
    """The objects that a function, a method, a `partial` or a callable object holds."""
    if isinstance(value, types.FunctionType):
        cells = [one.cell_contents for one in value.__closure__ or () if one != EMPTY_CELL]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        read = globals_of(value).values() if of_globals else ()
        return [*cells, *vars(value).values(), *defaults, *read]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if type(value) is weakref.ref:
        return [value()]
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


def globals_of(function: types.FunctionType) -> dict[str, Any]:
    """The global variables of a function that are modules, their methods or what is wrapped around
    those, by name: a script wraps `old = layer.forward` in a function of its own."""
    codes, found = [function.__code__], {}
    for code in codes:
        codes += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    for name in {name for code in codes for name in code.co_names}:
        value = function.__globals__.get(name)
        if type(value) in HOLD_NO_MODULE or isinstance(value, type):
            continue
        wraps = isinstance(value, (nn.Module, types.MethodType, partial, *CONTAINERS, tuple))
        wraps |= isinstance(value, types.FunctionType) and value.__closure__ is not None
        if wraps and leads_to_module(value, of_globals=False):
            found[name] = value
    return found


def leads_to_module(value: Any, of_globals: bool = True, of_objects: bool = False) -> bool:
    """Whether a module can be reached from a value, by the global variables of functions and by the
    attributes of objects that are no wrappers themselves if these count."""
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < _MOST_STEPS:
        one = pending.pop()
        if type(one) in HOLD_NO_MODULE or isinstance(one, type) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, nn.Module):
            return True
        if isinstance(one, dict):
            pending.extend(one.values() if len(one) <= _MOST_ITEMS else ())
        elif isinstance(one, (list, tuple, set)):
            pending.extend(one if len(one) <= _MOST_ITEMS else ())
        elif of_objects or is_wrapper(one) or one is value:
            pending.extend(held_by(one, of_globals))
        elif isinstance(one, types.MethodType):
            pending.extend((*held_by(one, of_globals), *held_by(one.__self__, of_globals)))
    return False
