"""Parts of a model that its private copy has again, in their own ways: functions with what they
close over, parameters, modules that were compiled."""

from __future__ import annotations

import copy
import random
import types
from array import array
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

DATA_PARALLEL = (nn.DataParallel, nn.parallel.DistributedDataParallel)
"""Modules that spread another over several devices."""
EMPTY_CELL = types.CellType()
# What accelerate's hooks have that changes in a pass, or leads to modules and weights.
_OF_HOOKS = frozenset(("hook", "hooks", "model", "prev_module_hook", "tied_params_map"))
CHANGED_BY_USE = (
    *(torch.Generator, random.Random, np.random.Generator, np.random.RandomState),
    *(bytearray, array),
)
"""A pass of the copy would draw from the user's, or write into it."""


def function_again(
    value: types.FunctionType, read: Mapping[str, Any], memo: dict[int, Any]
) -> None:
    """Makes a function again around copies of what it holds, and puts it into the memo.

    Args:
        value: The function.
        read: The global variables that are copied for it, by name.
        memo: The memo of `deepcopy`.
    """
    copied = partial(copy.deepcopy, memo=memo)
    old_cells = value.__closure__ or ()
    to_fill = [cell for cell in old_cells if id(cell) not in memo and cell != EMPTY_CELL]
    for cell in old_cells:
        memo.setdefault(id(cell), types.CellType())
    cells = tuple(memo[id(cell)] for cell in old_cells)
    names = {**value.__globals__} if read else value.__globals__
    made = types.FunctionType(value.__code__, names, value.__name__, None, cells or None)
    # In the memo before what it holds is copied: it may hold itself.
    memo[id(value)] = made
    names.update({name: copied(one) for name, one in read.items()})
    made.__defaults__ = copied(value.__defaults__)
    made.__kwdefaults__ = copied(value.__kwdefaults__)
    vars(made).update({name: copied(one) for name, one in vars(value).items()})
    for cell in to_fill:
        memo[id(cell)].cell_contents = copied(cell.cell_contents)


def of_hook(hook: Any) -> tuple[list[Any], list[Any]]:
    """What is copied and what is shared of a hook of accelerate's, which loads the weights of a
    module that is kept elsewhere. Every pass changes such a hook, and its map of the weights that
    modules share has the model's own; what it loads them from is shared, for that may be
    gigabytes."""
    held = vars(hook).items()
    copied = [one for name, one in held if name in _OF_HOOKS]
    return copied, [one for name, one in held if name not in _OF_HOOKS]


def why_not_copied(model: nn.Module, error: Exception) -> str:
    """What is told of a model that cannot be copied, with the way out."""
    if any(map(is_lazy, model.parameters())):
        name = type(model).__name__
        return f"{name} has lazy layers without weights: predict once, or load its weights"
    return (
        f"{type(model).__name__} cannot be copied ({error}); give the part that refuses a "
        "__deepcopy__ method"
    )


def frozen(parameter: nn.Parameter, memo: dict[int, Any]) -> Tensor:
    """A parameter of its own that shares the values, and needs no gradient."""
    if type(parameter) is nn.Parameter or not hasattr(type(parameter), "__copy__"):
        return nn.Parameter(parameter.detach(), requires_grad=False)
    # A quantised weight holds its state, which its module changes when it is first used.
    made = copy.copy(parameter).requires_grad_(False)
    for name, value in list(vars(parameter).items()):
        if hasattr(value, "__dict__") and not isinstance(value, (nn.Module, Tensor, type)):
            memo[id(value)] = copy.copy(value)
            setattr(made, name, memo[id(value)])
    return made


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that was compiled or spread over devices; a module itself where neither was
    done."""
    while True:
        if isinstance(module, DATA_PARALLEL):
            module = module.module
        elif "dynamo_ctx" in vars(module) and "_orig_mod" in module._modules:
            module = module._modules["_orig_mod"]  # type: ignore[assignment]
        else:
            return module


def is_own_method(method: Any, module: nn.Module) -> bool:
    """Whether something is a method of a module's own class, bound to the module."""
    bound = isinstance(method, types.MethodType) and method.__self__ is module
    return bound and getattr(type(module), method.__name__, None) is method.__func__
