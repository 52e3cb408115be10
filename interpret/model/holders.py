"""Objects that hold unregistered modules: wrappers of a `forward`, closures, bound methods.

`nn.Module.modules()` lists what is registered. A decorated `forward` holds a module in a closure, a
hook of accelerate in a `functools.partial`, a timer in an attribute.
"""

from __future__ import annotations

import types
import weakref
from collections import OrderedDict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (dict, OrderedDict, list, set)
"""Containers that are opened and, where they are empty, made anew."""

ATOMS = frozenset(
    (
        *(int, float, bool, complex, str, bytes, type(None), type),
        *(torch.dtype, torch.device, torch.Size, Tensor, nn.Parameter),
        *(types.ModuleType, types.BuiltinFunctionType),
    )
)
"""Types whose values hold no module."""
_DATA_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_MOST_ITEMS = 256
_MOST_STEPS = 2000


def is_wrapper(value: Any) -> bool:
    """Whether an object can be called and may hold modules in a closure, as arguments or in its
    attributes, or refers to something weakly."""
    if isinstance(value, (nn.Module, Tensor, type)) or type(value) in ATOMS:
        return False
    return type(value) is weakref.ref or (callable(value) and hasattr(value, "__dict__"))


def held_by(value: Any) -> list[Any]:
    """The objects that a function, a method, a `partial` or a callable object holds.

    Of the global variables that a function reads these are the modules, their methods and what is
    wrapped around those: a script wraps `old = layer.forward` in a function of its own.
    """
    if isinstance(value, types.FunctionType):
        return [*_held_by_function(value), *named_globals(value).values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if type(value) is weakref.ref:
        return [value()]
    return list(vars(value).values()) if hasattr(value, "__dict__") else []


def named_globals(function: types.FunctionType) -> dict[str, Any]:
    """The global variables of a function that lead to modules, by name."""
    found = {}
    for name in _global_names(function.__code__):
        value = function.__globals__.get(name)
        if type(value) in ATOMS or isinstance(value, type):
            continue
        wraps = isinstance(value, (nn.Module, types.MethodType, partial, *PLAIN, tuple))
        wraps |= isinstance(value, types.FunctionType) and value.__closure__ is not None
        if wraps and leads_to_module(value, of_globals=False):
            found[name] = value
    return found


def leads_to_module(value: Any, of_globals: bool = True, of_objects: bool = False) -> bool:
    """Whether a module can be reached from a value.

    Args:
        value: Anything.
        of_globals: Whether the global variables of functions count.
        of_objects: Whether the attributes of objects count that are no wrappers themselves.
    """
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < _MOST_STEPS:
        one = pending.pop()
        if type(one) in ATOMS or isinstance(one, type) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, nn.Module):
            return True
        if isinstance(one, dict):
            pending.extend(one.values() if len(one) <= _MOST_ITEMS else ())
        elif isinstance(one, (list, tuple, set)):
            pending.extend(one if len(one) <= _MOST_ITEMS else ())
        elif isinstance(one, types.FunctionType) and not of_globals:
            pending.extend(_held_by_function(one))
        elif of_objects or is_wrapper(one) or one is value:
            pending.extend(held_by(one))
        elif isinstance(one, types.MethodType):
            pending.extend((*held_by(one), *held_by(one.__self__)))
    return False


def within(module: nn.Module) -> nn.Module:
    """The module that was compiled or spread over devices; a module itself where neither was
    done."""
    while True:
        if isinstance(module, _DATA_PARALLEL):
            module = module.module
        elif "dynamo_ctx" in vars(module) and "_orig_mod" in module._modules:
            module = module._modules["_orig_mod"]  # type: ignore[assignment]
        else:
            return module


def is_bound_to(method: Any, module: nn.Module) -> bool:
    """Whether something is a method of a module's own class, bound to the module."""
    bound = isinstance(method, types.MethodType) and method.__self__ is module
    return bound and getattr(type(module), method.__name__, None) is method.__func__


def _held_by_function(function: types.FunctionType) -> list[Any]:
    cells = [one.cell_contents for one in function.__closure__ or () if not is_empty(one)]
    keywords = (function.__kwdefaults__ or {}).values()
    return [*cells, *vars(function).values(), *(function.__defaults__ or ()), *keywords]


def is_empty(cell: types.CellType) -> bool:
    """Whether nothing has been put into a cell so far."""
    return cell == types.CellType()


def _global_names(code: types.CodeType) -> set[str]:
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*map(_global_names, inner))
