"""Detects when a private copy runs a module of the user's model.

Wrappers that lead to the user's modules are made again around the copy (`private_copy`). Some lead
there by ways that cannot be followed: an object that looks a module up, a method of a class that
closes over one. Where a module of the copy holds such a thing, its operations are watched while it
runs: an operation on a weight of the user's own is one of the user's module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import InterpretationError
from .private_copy import PrivateCopy

_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def refuse_stray_calls(model: nn.Module, copied: PrivateCopy) -> None:
    """Watches those modules of a copy that may lead to the user's modules.

    Where they do, their calls raise an `InterpretationError`.

    Args:
        model: The user's model.
        copied: Its copy. Nothing is done where none of its modules holds anything unknown.
    """
    unknown = {id(module): (module, what) for module, what in reversed(copied.unknown)}
    for module in copied.model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            unknown.setdefault(id(module), (module, "a hook"))
    if not unknown:
        return
    tensors = {
        id(tensor): (f"{name}.{own}" if name else own, tensor)
        for name, module in model.named_modules()
        for own, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None and copied.memo.get(id(tensor)) is not tensor
    }
    active = threading.local()
    for module, what in unknown.values():
        watch = _Watch(f"{what} of a {type(module).__name__}", tensors, active)
        module.forward = watch.watched(module.forward)
        for name in _HOOKS:
            for key, hook in getattr(module, name).items():
                getattr(module, name)[key] = watch.watched(hook)


class _Watch:
    def __init__(
        self, what: str, tensors: Mapping[int, tuple[str, Tensor]], active: threading.local
    ) -> None:
        self._what = what
        self._tensors = tensors
        self._active = active

    def watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def watched(*args: Any, **options: Any) -> Any:
            if getattr(self._active, "now", False):
                return call(*args, **options)
            self._active.now = True
            try:
                with _StrayCalls(self._what, self._tensors):
                    return call(*args, **options)
            finally:
                self._active.now = False

        return watched


class _StrayCalls(TorchFunctionMode):
    def __init__(self, what: str, tensors: Mapping[int, tuple[str, Tensor]]) -> None:
        super().__init__()
        self._what = what
        self._tensors = tensors

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        for arg in (*args, *kwargs.values()):
            for one in arg if isinstance(arg, (list, tuple)) else (arg,):
                if id(one) in self._tensors:
                    self._refuse(self._tensors[id(one)][0])
        return func(*args, **kwargs)

    def _refuse(self, name: str) -> None:
        raise InterpretationError(
            f"{self._what} runs a module of the predictor's own model (it uses {name!r}), where "
            "nothing must be changed or counted, and the scores would be of another function; let "
            "the wrapper hold what it wraps in a closure, a functools.partial or an attribute of "
            "the module, or take it off while you explain"
        )
