"""Detects when a private copy runs a module of the user's model.

Wrappers that lead to the user's modules are made again around the copy (`private_copy`). Some lead
there by ways that cannot be followed: an object that looks a module up, a method of a class that
closes over one. Where a module of the copy holds such a thing, its operations are watched while it
runs: an operation on a weight of the user's own is one of the user's module.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

from torch import Tensor, nn

from ..errors import InterpretationError
from ..nested import tensors_in
from ..operations.calls import CallMode
from .private_copy import PrivateCopy


def refuse_stray_calls(model: nn.Module, copied: PrivateCopy) -> None:
    """Watches those modules of a copy that may lead to the user's modules.

    Where they do, their calls raise an `InterpretationError`.

    Args:
        model: The user's model.
        copied: Its copy.
    """
    unknown = {id(module): (module, what) for module, what in reversed(copied.unknown)}
    for module in copied.model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            unknown.setdefault(id(module), (module, "a hook"))
    tensors = {
        id(tensor): (f"{name}.{own}" if name else own, tensor)
        for name, module in model.named_modules()
        for own, tensor in (*module._parameters.items(), *module._buffers.items())
        if tensor is not None and copied.memo.get(id(tensor)) is not tensor
    }
    active = threading.local()
    for module, what in unknown.values():
        mode = partial(_StrayCalls, f"{what} of a {type(module).__name__}", tensors)
        module.forward = _watched(module.forward, mode, active)
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for key, hook in hooks.items():
                hooks[key] = _watched(hook, mode, active)


def _watched(
    call: Callable[..., Any], mode: Callable[[], CallMode], active: threading.local
) -> Callable[..., Any]:
    @wraps(call)
    def watched(*args: Any, **options: Any) -> Any:
        if getattr(active, "now", False):
            return call(*args, **options)
        active.now = True
        try:
            with mode():
                return call(*args, **options)
        finally:
            active.now = False

    return watched


class _StrayCalls(CallMode):
    def __init__(self, what: str, tensors: Mapping[int, tuple[str, Tensor]]) -> None:
        super().__init__()
        self._what = what
        self._tensors = tensors

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        for one in tensors_in((args, kwargs)):
            if id(one) in self._tensors:
                raise InterpretationError(
                    f"{self._what} runs a module of the predictor's own model (it uses "
                    f"{self._tensors[id(one)][0]!r}), where nothing must be changed or counted, "
                    "and the scores would be of another function; let the wrapper hold what it "
                    "wraps in a closure, a functools.partial or an attribute of the module, or "
                    "take it off while you explain"
                )
        return func(*args, **kwargs)
