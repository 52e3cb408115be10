"""A copy of a model that shares its weights and holds no reference to its modules.

Modules are copied, tensors are shared. Other attributes of a module are shared too, unless they
lead to a module: a wrapper around a `forward` (for timing, offloading, checkpointing) holds the
module whose `forward` it wraps, in a closure, in a `functools.partial` or in an attribute. Such a
wrapper is rebuilt around the copy.
"""

from __future__ import annotations

import copy
import types
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from allennlp.training.metrics import Metric
from torch import Tensor, nn

from ..errors import InterpretationError
from .holders import (
    ATOMS,
    PLAIN,
    held_by,
    is_bound_to,
    is_empty,
    is_wrapper,
    leads_to_module,
    named_globals,
    within,
)

_COMPILED = "_torchdynamo_orig_callable"


@dataclass(frozen=True)
class PrivateCopy:
    """A copy of a model.

    A compiled module is copied as the module that was compiled, for that was compiled for other
    hooks than those of the copy, and would be again for tensors of another shape. One that
    `DataParallel` spreads is copied as the module that is spread.

    Attributes:
        model: The copy.
        memo: For every object in the model, by its id, its counterpart in the copy.
        unknown: The modules of the copy that hold something which might lead to a module of the
            user's and could not be copied, with what that is.
    """

    model: nn.Module
    memo: dict[int, Any]
    unknown: list[tuple[nn.Module, str]]


def private_copy(model: nn.Module, attempts: int = 20) -> PrivateCopy:
    """Copies a model and shares its tensors.

    Args:
        model: The user's model. It is read, never written.
        attempts: How often to try while a thread changes what is being copied.

    Raises:
        InterpretationError: If something in the model cannot be copied.
    """
    try:
        contents = _Contents.of(model)
        memo = _memo(contents)
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        # A thread that predicts meanwhile may have put something into what is being copied.
        if isinstance(error, RuntimeError) and attempts > 1:
            return private_copy(model, attempts - 1)
        raise InterpretationError(
            f"{type(model).__name__} cannot be copied ({error}); give the part that refuses a "
            "__deepcopy__ method"
        ) from error
    unknown = [(memo[id(module)], what) for module, what in contents.unknown if id(module) in memo]
    return PrivateCopy(copied, memo, unknown)


@dataclass
class _Contents:
    """The attributes of a model's modules, sorted by the way they are copied.

    Attributes:
        shared: Objects that the copy shares with the model; tensors are detached.
        empty: Empty containers. A module has a dozen, and `deepcopy` takes its time over each.
        wrappers: Objects that are rebuilt in the copy, since they lead to modules.
        replaced: Objects for which the copy has another object of the model.
        unknown: Modules of the model with something that might lead to modules and is shared.
    """

    shared: list[Any] = field(default_factory=list)
    empty: list[Any] = field(default_factory=list)
    wrappers: list[Any] = field(default_factory=list)
    replaced: dict[int, Any] = field(default_factory=dict)
    unknown: list[tuple[nn.Module, str]] = field(default_factory=list)

    @classmethod
    def of(cls, model: nn.Module) -> _Contents:
        contents = cls()
        seen: set[int] = set()
        pending: list[tuple[Iterable[Any], nn.Module]] = [([model], model)]
        while pending:
            values, owner = pending.pop()
            for value in values:
                if id(value) not in seen and value is not None:
                    seen.add(id(value))
                    opened = contents._opened(value, owner)
                    if opened:
                        pending.append((opened, value if isinstance(value, nn.Module) else owner))
        return contents

    def _opened(self, value: Any, owner: nn.Module) -> Iterable[Any]:
        """Sorts a value in, and returns the values in it that remain to be sorted."""
        if type(value) in ATOMS:
            self.shared.append(value)
        elif type(value) in PLAIN and not value:
            self.empty.append(value)
        elif isinstance(value, dict):
            return value.values()
        elif isinstance(value, (list, tuple, set)):
            return value
        elif isinstance(value, nn.Module):
            return self._opened_module(value)
        elif isinstance(value, Metric):
            return vars(value).values()
        elif isinstance(value, types.FunctionType) and _COMPILED in vars(value):
            self.replaced[id(value)] = vars(value)[_COMPILED]
            return [vars(value)[_COMPILED]]
        elif is_wrapper(value) and leads_to_module(value):
            self.wrappers.append(value)
            return held_by(value)
        elif isinstance(value, types.MethodType):
            return [value.__self__]
        else:
            self.shared.append(value)
            if not isinstance(value, Tensor) and leads_to_module(value, of_objects=True):
                self.unknown.append((owner, f"a {type(value).__name__}"))
        return []

    def _opened_module(self, module: nn.Module) -> Iterable[Any]:
        if isinstance(module, torch.jit.ScriptModule):
            # Copied as one, with its weights.
            return []
        held = vars(module)
        original = within(module)
        if original is not module:
            self.replaced[id(module)] = original
            return [original]
        if leads_to_module(type(module).forward, of_globals=False):
            self.unknown.append((module, "the closure of the method forward"))
        if "forward" in held and not is_bound_to(held["forward"], module):
            self.unknown.append((module, "the wrapped forward"))
        return [one for name, one in held.items() if name != "_compiled_call_impl"]


def _memo(contents: _Contents) -> dict[int, Any]:
    """The memo of `deepcopy`: the counterparts that are known in advance."""
    memo = _Memo(contents) if contents.wrappers or contents.replaced else {}
    memo.update({id(value): type(value)() for value in contents.empty})
    for value in contents.shared:
        # Tensors cached on a module by an earlier forward pass may carry a graph, which
        # deepcopy refuses.
        if isinstance(value, nn.Parameter):
            memo[id(value)] = _frozen(value, memo)
        elif isinstance(value, Tensor):
            memo[id(value)] = value.detach().clone()
        else:
            memo.setdefault(id(value), value)
    return memo


class _Memo(dict[int, Any]):
    """A memo that rebuilds wrappers and replaced objects when they are looked up: the modules that
    they hold are being copied only then."""

    def __init__(self, contents: _Contents) -> None:
        super().__init__()
        self._wrappers = {id(value): value for value in contents.wrappers}
        self._replaced = contents.replaced

    def get(self, key: int, default: Any = None) -> Any:
        if key not in self:
            if key in self._replaced:
                self[key] = copy.deepcopy(self._replaced[key], self)
            elif key in self._wrappers:
                self._make(self._wrappers[key])
        return super().get(key, default)

    def _make(self, value: Any) -> None:
        """Rebuilds a wrapper with copies of the objects that it holds."""
        key = id(value)
        if isinstance(value, types.FunctionType):
            self._make_function(value)
        elif isinstance(value, types.MethodType):
            held = self._copied(value.__func__), self._copied(value.__self__)
            self[key] = types.MethodType(*held)
        elif isinstance(value, partial):
            args = self._copied(value.args)
            made = partial(self._copied(value.func), *args, **self._copied(value.keywords))
            self[key] = made
            vars(made).update(self._copied(vars(value)))
        elif type(value) is weakref.ref:
            self[key] = weakref.ref(self._copied(value()))
        else:
            made = self[key] = object.__new__(type(value))
            vars(made).update({name: self._copied(one) for name, one in vars(value).items()})

    def _make_function(self, value: types.FunctionType) -> None:
        cells = [self._cell(cell) for cell in value.__closure__ or ()]
        read = named_globals(value)
        names = {**value.__globals__} if read else value.__globals__
        made = types.FunctionType(
            value.__code__, names, value.__name__, None, tuple(new for new, _ in cells) or None
        )
        # In the memo before what it holds is copied: it may hold itself.
        self[id(value)] = made
        names.update({name: self._copied(one) for name, one in read.items()})
        made.__defaults__ = self._copied(value.__defaults__)
        made.__kwdefaults__ = self._copied(value.__kwdefaults__)
        vars(made).update({name: self._copied(one) for name, one in vars(value).items()})
        for new, old in cells:
            if old is not None and not is_empty(old):
                new.cell_contents = self._copied(old.cell_contents)

    def _cell(self, cell: types.CellType) -> tuple[types.CellType, types.CellType | None]:
        """A cell's counterpart, and the cell if that is still to be filled."""
        known = super().get(id(cell))
        if known is not None:
            return known, None
        made = self[id(cell)] = types.CellType()
        return made, cell

    def _copied(self, value: Any) -> Any:
        return copy.deepcopy(value, self)


def _frozen(parameter: nn.Parameter, memo: dict[int, Any]) -> Tensor:
    """A parameter of its own that shares the values, and needs no gradient."""
    if type(parameter) is nn.Parameter or not hasattr(type(parameter), "__copy__"):
        return nn.Parameter(parameter.detach(), requires_grad=False)
    # A quantised weight holds its state, which its module changes when it is first used.
    frozen = copy.copy(parameter).requires_grad_(False)
    for name, value in list(vars(parameter).items()):
        if hasattr(value, "__dict__") and not isinstance(value, (nn.Module, Tensor, type)):
            memo[id(value)] = copy.copy(value)
            setattr(frozen, name, memo[id(value)])
    return frozen
