"""A copy of a model that shares its weights and holds no reference to its modules.

Modules are copied, tensors are shared. Other attributes of a module are shared too, unless they
lead to a module that is not registered: a wrapper around a `forward` (for timing, offloading,
checkpointing) holds the module whose `forward` it wraps, in a closure, in a `functools.partial` or
in an attribute. Such a wrapper is rebuilt around the copy.
"""

from __future__ import annotations

import copy
import copyreg
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from allennlp.training.metrics import Metric
from torch import Tensor, nn

from ..errors import InterpretationError
from .made_again import (
    CHANGED_BY_USE,
    DATA_PARALLEL,
    EMPTY_CELL,
    frozen,
    function_again,
    is_own_method,
    of_hook,
    uncompiled,
    why_not_copied,
)

_CONTAINERS = (dict, OrderedDict, list, set)
_ATOMIC = frozenset((int, float, bool, complex, str, bytes, type(None), type))  # Not copied.
_HOLD_NO_MODULE = _ATOMIC.union(
    (torch.dtype, torch.device, torch.Size, Tensor, nn.Parameter),
    (types.ModuleType, types.BuiltinFunctionType),
)
_ABSENT = object()
_MOST_ITEMS = 256
_MOST_STEPS = 2000
# A module has a dozen containers, mostly empty, and a model has hundreds of modules.
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_COMPILED = "_torchdynamo_orig_callable"


@dataclass(frozen=True)
class PrivateCopy:
    """A copy of a model.

    A compiled module is copied as the one that was compiled: that was for other hooks than the
    copy's, and would be again for another shape. What `DataParallel` spreads is copied alone.

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
        # A thread that predicts meanwhile may have put something into it.
        if isinstance(error, RuntimeError) and attempts > 1:
            return private_copy(model, attempts - 1)
        raise InterpretationError(why_not_copied(model, error)) from error
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
                if kind in _CONTAINERS and not value:
                    self.empty.append(value)
                elif kind in _HOLD_NO_MODULE:
                    self.shared.append(value)
                else:
                    opened = self._opened(value, owner, kinds)
                    if opened:
                        pending.append((opened, value if isinstance(value, nn.Module) else owner))

    def _opened(self, value: Any, owner: nn.Module, kinds: dict[type, _Kind]) -> Iterable[Any]:
        """Sorts a value in, and returns the values in it that remain to be sorted."""
        if isinstance(value, dict):
            return value.values()
        if isinstance(value, (list, tuple, set, deque)):
            return value
        if isinstance(value, (torch.jit.ScriptModule, *CHANGED_BY_USE)):
            pass  # copied as `deepcopy` copies them: a script module as one, with its weights
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
        elif _is_wrapper(value) and _leads_to_module(value):
            self.wrappers[id(value)] = value
            return _held_by(value)
        elif isinstance(value, types.MethodType):
            return [value.__self__]
        elif type(value).__module__ == "accelerate.hooks":
            self.wrappers[id(value)] = value
            copied, shared = of_hook(value)
            self.shared += shared
            return copied
        else:
            self.shared.append(value)
            if not isinstance(value, Tensor) and _leads_to_module(value, of_objects=True):
                self.unknown.append((owner, f"a {type(value).__name__}"))
        return []


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
        closes = _leads_to_module(kind.forward, of_globals=False)
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
            # Tensors cached by an earlier forward pass may carry a graph, which deepcopy refuses.
            if type(value) is nn.Parameter:
                data = value.detach()
                if data.is_inference():  # Autograd does not save what was made in that mode.
                    data = data.clone()
                self[id(value)] = nn.Parameter(data, requires_grad=False)
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
            if name in _OF_EVERY_MODULE and kind in _CONTAINERS and not value:
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
            function_again(value, _globals_of(value), self)
        elif isinstance(value, types.MethodType):
            self[key] = types.MethodType(copied(value.__func__), copied(value.__self__))
        elif isinstance(value, partial):
            args = copied(value.args)
            made = self[key] = partial(copied(value.func), *args, **copied(value.keywords))
            vars(made).update(copied(vars(value)))
        elif type(value) is weakref.ref:
            self[key] = weakref.ref(copied(value()))
        else:
            made = self[key] = object.__new__(type(value))
            vars(made).update({name: copied(one) for name, one in vars(value).items()})


def _is_wrapper(value: Any) -> bool:
    """Whether an object can be called and may hold modules in a closure, as arguments or in its
    attributes, or refers to something weakly."""
    if isinstance(value, (nn.Module, Tensor, type)) or type(value) in _HOLD_NO_MODULE:
        return False
    return type(value) is weakref.ref or (callable(value) and hasattr(value, "__dict__"))


def _held_by(value: Any, of_globals: bool = True) -> list[Any]:
    """The objects that a function, a method, a `partial` or a callable object holds."""
    if isinstance(value, types.FunctionType):
        cells = [one.cell_contents for one in value.__closure__ or () if one != EMPTY_CELL]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        read = _globals_of(value).values() if of_globals else ()
        return [*cells, *vars(value).values(), *defaults, *read]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if type(value) is weakref.ref:
        return [value()]
    return list(getattr(value, "__dict__", {}).values())


def _globals_of(function: types.FunctionType) -> dict[str, Any]:
    """The global variables of a function that are modules, their methods or what is wrapped around
    those, by name: a script wraps `old = layer.forward` in a function of its own."""
    codes, found = [function.__code__], {}
    for code in codes:
        codes += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    for name in {name for code in codes for name in code.co_names}:
        value = function.__globals__.get(name)
        if type(value) in _HOLD_NO_MODULE or isinstance(value, type):
            continue
        wraps = isinstance(value, (nn.Module, types.MethodType, partial, *_CONTAINERS, tuple))
        wraps |= isinstance(value, types.FunctionType) and value.__closure__ is not None
        if wraps and _leads_to_module(value, of_globals=False):
            found[name] = value
    return found


def _leads_to_module(value: Any, of_globals: bool = True, of_objects: bool = False) -> bool:
    """Whether a module can be reached from a value, by the global variables of functions and by the
    attributes of objects that are no wrappers themselves if these count."""
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < _MOST_STEPS:
        one = pending.pop()
        if type(one) in _HOLD_NO_MODULE or isinstance(one, type) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, nn.Module):
            return True
        if isinstance(one, dict):
            pending.extend(one.values() if len(one) <= _MOST_ITEMS else ())
        elif isinstance(one, (list, tuple, set)):
            pending.extend(one if len(one) <= _MOST_ITEMS else ())
        elif of_objects or _is_wrapper(one) or one is value:
            pending.extend(_held_by(one, of_globals))
        elif isinstance(one, types.MethodType):
            pending.extend((*_held_by(one, of_globals), *_held_by(one.__self__, of_globals)))
    return False
