"""A copy of a model that shares its weights and holds no reference to its modules.

Modules are copied, tensors are shared. Other attributes of a module are shared too, unless they
lead to a module that is not registered: a wrapper around a `forward` (for timing, offloading,
checkpointing) holds the module whose `forward` it wraps, in a closure, in a `functools.partial` or
in an attribute. Such a wrapper is rebuilt around the copy.
"""

from __future__ import annotations

import copy
import copyreg
import random
import types
import weakref
from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from allennlp.training.metrics import Metric
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import InterpretationError
from .held_modules import (
    CONTAINERS,
    HOLD_NO_MODULE,
    globals_of,
    held_by,
    is_wrapper,
    leads_to_module,
)
from .made_again import DATA_PARALLEL, frozen, function_again, is_own_method, uncompiled

# As `deepcopy` has them: themselves.
_ATOMIC = frozenset((int, float, bool, complex, str, bytes, type(None), type))
_ABSENT = object()
# A pass of the copy would draw from the user's, or write into it.
_CHANGED_BY_USE = (
    *(torch.Generator, random.Random, np.random.Generator, np.random.RandomState),
    *(bytearray, array),
)
# A module has a dozen containers, mostly empty, and a model has hundreds of modules.
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_COMPILED = "_torchdynamo_orig_callable"
# What accelerate's hooks have that changes in a pass, or leads to modules and weights.
_OF_HOOKS = frozenset(("hook", "hooks", "model", "prev_module_hook", "tied_params_map"))


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
        contents = _Contents()
        contents.sort(model)
        memo = _Memo(contents)
        copied = copy.deepcopy(model, memo)
    except Exception as error:
        # A thread that predicts meanwhile may have put something into what is being copied.
        if isinstance(error, RuntimeError) and attempts > 1:
            return private_copy(model, attempts - 1)
        if any(map(is_lazy, model.parameters())):
            raise InterpretationError(
                f"{type(model).__name__} has lazy layers without weights: predict once, or load "
                "its weights"
            ) from error
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
        modules: Modules that are copied as `deepcopy` would, only faster: most of them.
        wrappers: Objects that are rebuilt in the copy, since they lead to modules.
        replaced: Objects for which the copy has another object of the model.
        unknown: Modules of the model with something that might lead to modules and is shared.
    """

    shared: list[Any] = field(default_factory=list)
    empty: list[Any] = field(default_factory=list)
    modules: dict[int, nn.Module] = field(default_factory=dict)
    wrappers: dict[int, Any] = field(default_factory=dict)
    replaced: dict[int, Any] = field(default_factory=dict)
    unknown: list[tuple[nn.Module, str]] = field(default_factory=list)

    def sort(self, model: nn.Module) -> None:
        """Sorts everything that a model holds."""
        seen: set[int] = set()
        kinds: dict[type, _Kind] = {}
        pending: list[tuple[Iterable[Any], nn.Module]] = [([model], model)]
        while pending:
            values, owner = pending.pop()
            for value in values:
                kind = type(value)
                if kind in _ATOMIC or id(value) in seen:
                    continue
                seen.add(id(value))
                if kind in CONTAINERS and not value:
                    self.empty.append(value)
                elif kind in HOLD_NO_MODULE:
                    self.shared.append(value)
                else:
                    opened = self._opened(value, owner, kinds)
                    if opened:
                        pending.append((opened, value if isinstance(value, nn.Module) else owner))

    def _opened(self, value: Any, owner: nn.Module, kinds: dict[type, _Kind]) -> Iterable[Any]:
        """Sorts a value in, and returns the values in it that remain to be sorted."""
        if isinstance(value, dict):
            return value.values()
        if isinstance(value, (list, tuple, set)):
            return value
        if isinstance(value, torch.jit.ScriptModule):
            pass  # copied as one, with its weights
        elif isinstance(value, nn.Module):
            kind = kinds.get(type(value)) or kinds.setdefault(type(value), _Kind.of(type(value)))
            if kind.spread or "dynamo_ctx" in vars(value):
                inner = uncompiled(value)
                if inner is not value:
                    self.replaced[id(value)] = inner
                    return [inner]
            if kind.plain and "__deepcopy__" not in vars(value):
                self.modules[id(value)] = value
            if kind.closes_over_module:
                self.unknown.append((value, "the closure of the method forward"))
            own = vars(value).get("forward")
            if own is not None and not is_own_method(own, value):
                self.unknown.append((value, "the wrapped forward"))
            return [
                one
                for name, one in vars(value).items()
                if (name not in _OF_EVERY_MODULE or one) and name != "_compiled_call_impl"
            ]
        elif isinstance(value, Metric):
            return vars(value).values()
        elif isinstance(value, types.FunctionType) and _COMPILED in vars(value):
            self.replaced[id(value)] = vars(value)[_COMPILED]
            return [vars(value)[_COMPILED]]
        elif is_wrapper(value) and leads_to_module(value):
            self.wrappers[id(value)] = value
            return held_by(value)
        elif isinstance(value, types.MethodType):
            return [value.__self__]
        elif isinstance(value, deque):
            return value
        elif isinstance(value, _CHANGED_BY_USE):
            pass  # copied as `deepcopy` copies them
        elif type(value).__module__ == "accelerate.hooks":
            return self._hook_of_accelerate(value)
        else:
            self.shared.append(value)
            if not isinstance(value, Tensor) and leads_to_module(value, of_objects=True):
                self.unknown.append((owner, f"a {type(value).__name__}"))
        return []

    def _hook_of_accelerate(self, hook: Any) -> list[Any]:
        """Sorts in what loads the weights of a module that is kept elsewhere. Every pass changes
        such a hook, and its map of the weights that modules share has the model's own; what it
        loads them from is shared, for that may be gigabytes."""
        self.wrappers[id(hook)] = hook
        copied = [value for name, value in vars(hook).items() if name in _OF_HOOKS]
        self.shared += [one for name, one in vars(hook).items() if name not in _OF_HOOKS]
        return copied


@dataclass(frozen=True)
class _Kind:
    """What is known of a class of modules.

    Attributes:
        plain: Whether `deepcopy` makes an empty module, and copies every attribute into it.
        closes_over_module: Whether its `forward` has a module in its closure.
        spread: Whether it spreads a module over devices.
    """

    plain: bool
    closes_over_module: bool
    spread: bool

    @classmethod
    def of(cls, kind: type[nn.Module]) -> _Kind:
        """Looks at a class."""
        names = ("__reduce_ex__", "__reduce__", "__getstate__", "__getattr__", "__setstate__")
        defined = [getattr(nn.Module, name) is getattr(kind, name) for name in names]
        own = ("__deepcopy__", "__getnewargs__", "__getnewargs_ex__", "__slots__")
        plain = all(defined) and not any(hasattr(kind, name) for name in own)
        plain &= kind not in copyreg.dispatch_table
        closes = leads_to_module(kind.forward, of_globals=False)
        return cls(plain, closes, issubclass(kind, DATA_PARALLEL))


class _Memo(dict[int, Any]):
    """The memo of `deepcopy`: the counterparts that are known in advance. Wrappers and replaced
    objects are rebuilt when they are looked up: the modules that they hold are being copied only
    then. So are most modules, for `deepcopy` takes its time over each attribute."""

    def __init__(self, contents: _Contents) -> None:
        super().__init__({id(value): type(value)() for value in contents.empty})
        self._contents = contents
        # So that no other object gets their identity.
        self._kept: list[Any] = []
        for value in contents.shared:
            # Tensors cached on a module by an earlier forward pass may carry a graph, which
            # deepcopy refuses.
            if type(value) is nn.Parameter:
                self[id(value)] = nn.Parameter(value.detach(), requires_grad=False)
            elif isinstance(value, nn.Parameter):
                self[id(value)] = frozen(value, self)
            elif isinstance(value, Tensor):
                self[id(value)] = value.detach().clone()
            else:
                self.setdefault(id(value), value)

    def get(self, key: int, default: Any = None) -> Any:
        found = super().get(key, _ABSENT)
        if found is not _ABSENT:
            return found
        if key in self._contents.modules:
            module = self._contents.modules[key]
            made = self[key] = type(module).__new__(type(module))
            made.__setstate__(self._filled(module.__getstate__()))
        elif key in self._contents.replaced:
            self[key] = copy.deepcopy(self._contents.replaced[key], self)
        elif key in self._contents.wrappers:
            self._rebuild(self._contents.wrappers[key])
        return super().get(key, default)

    def _filled(self, held: dict[Any, Any]) -> dict[Any, Any]:
        """A dictionary with copies of what another holds: the attributes of a module, or its
        parameters, buffers or modules."""
        made: dict[Any, Any] = {}
        self[id(held)] = made
        self._kept.append(held)
        known = super().get
        for name, value in held.items():
            kind = type(value)
            if name in _OF_EVERY_MODULE and kind in CONTAINERS and not value:
                made[name] = kind()
            elif kind in _ATOMIC:
                made[name] = value
            else:
                found = known(id(value), _ABSENT)
                if found is _ABSENT and kind is dict and _ATOMIC.issuperset(map(type, value)):
                    found = self._filled(value)
                elif found is _ABSENT:
                    found = copy.deepcopy(value, self)
                made[name] = found
        return made

    def _rebuild(self, value: Any) -> None:
        """Rebuilds a wrapper with copies of the objects that it holds."""
        key, copied = id(value), partial(copy.deepcopy, memo=self)
        if isinstance(value, types.FunctionType):
            function_again(value, globals_of(value), self)
        elif isinstance(value, types.MethodType):
            held = copied(value.__func__), copied(value.__self__)
            self[key] = types.MethodType(*held)
        elif isinstance(value, partial):
            args = copied(value.args)
            made = self[key] = partial(copied(value.func), *args, **copied(value.keywords))
            vars(made).update(copied(vars(value)))
        elif type(value) is weakref.ref:
            self[key] = weakref.ref(copied(value()))
        else:
            made = self[key] = object.__new__(type(value))
            vars(made).update({name: copied(one) for name, one in vars(value).items()})
