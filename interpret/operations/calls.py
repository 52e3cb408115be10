"""Functional calls of a forward pass, and how rules see them: by the operation's name, in-place or
not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..nested import tensors_in

_SYNONYMS = {
    "__add__": "add",
    "__radd__": "add",
    "__iadd__": "add",
    "__sub__": "sub",
    "__isub__": "sub",
    "subtract": "sub",
    "__rsub__": "rsub",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__imul__": "mul",
    "multiply": "mul",
    "__matmul__": "matmul",
    "__rmatmul__": "rmatmul",
    "mm": "matmul",
    "mv": "matmul",
    "dot": "matmul",
    "bmm": "matmul",
    "__truediv__": "div",
    "__itruediv__": "div",
    "__div__": "div",
    "divide": "div",
    "true_divide": "div",
    "__rtruediv__": "rdiv",
    "__rdiv__": "rdiv",
    "__pow__": "pow",
    "__ipow__": "pow",
    "__rpow__": "rpow",
    "__neg__": "neg",
    "__abs__": "abs",
    "absolute": "abs",
    "clip": "clamp",
    "_softmax": "softmax",
    "special_softmax": "softmax",
}


class CallMode(TorchFunctionMode):
    """Is asked for the result of each functional call, whether a module makes it or a model's own
    code, in the thread that entered it alone."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.call(func, args, kwargs or {})

    def call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """What a call returns; the mode is left while it is asked."""
        raise NotImplementedError(f"{type(self).__name__} does not implement call()")


def operation(function: Callable[..., Any]) -> str:
    """The name of an operation: `torch.Tensor.mul_`, `x * y` and `torch.multiply` are all "mul"."""
    name = getattr(function, "__name__", "")
    if name == "__get__":
        # A property: `x.data` is `x.detach()`.
        return "detach" if getattr(function, "__self__", None) is Tensor.data else name
    name = _SYNONYMS.get(name, name)
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
        name = _SYNONYMS.get(name, name)
    return name


def in_place(function: Callable[..., Any]) -> bool:
    """Whether a function changes its first argument."""
    name = getattr(function, "__name__", "")
    if name.startswith("__i") and name.endswith("__"):
        return name in _SYNONYMS
    return name.endswith("_") and not name.endswith("__")


def not_in_place(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[bool, tuple[Any, ...], Mapping[str, Any]]:
    """Whether a function is asked to change its first argument, as `relu(x, inplace=True)` is, and
    its arguments without that."""
    if kwargs.get("inplace"):
        return True, args, {**kwargs, "inplace": False}
    at = _place_of_inplace(function)
    if at is None or at >= len(args) or not args[at]:
        return False, args, kwargs
    return True, (*args[:at], False, *args[at + 1 :]), kwargs


@lru_cache(maxsize=1024)
def _place_of_inplace(function: Callable[..., Any]) -> int | None:
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        # Built in: those have a name of their own, `relu_`.
        return None
    return names.index("inplace") if "inplace" in names else None


@dataclass(frozen=True)
class Call:
    """A call of an operation, some of whose arguments depend on the embeddings.

    Attributes:
        name: The operation.
        function: Computes it anew, without changing its arguments.
        args: Its positional arguments.
        kwargs: Its named arguments.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def operands(self) -> list[Tensor]:
        """The arguments that depend on the embeddings."""
        return [arg for arg in self.args if depends(arg)]

    def of(self, *operands: Tensor) -> Any:
        """The operation of other operands in the place of these, in their order."""
        others = iter(operands)
        args = [next(others) if depends(arg) else arg for arg in self.args]
        return self.function(*args, **self.kwargs)


def depends(value: Any) -> bool:
    """Whether a value is, or holds, a tensor that depends on the embeddings."""
    return any(one.requires_grad for one in tensors_in(value))


def pure(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function that computes an operation and leaves its arguments alone."""
    if name in _REVERSED:
        return _REVERSED[name]
    if not in_place(function):
        return function
    found: Callable[..., Any] | None = getattr(torch, name, None) or getattr(F, name, None)
    return function if found is None else found


_REVERSED: dict[str, Callable[..., Any]] = {
    "rmatmul": lambda x, other: torch.matmul(other, x),
    "rdiv": lambda x, other: torch.div(other, x),
    "rpow": lambda x, other: torch.pow(other, x),
    "copy": lambda x, other, non_blocking=False: other.to(x.dtype).expand_as(x).clone(),
}


class _Attach(torch.autograd.Function):
    """The value of one tensor, the gradient of another."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, surrogate: Tensor) -> Tensor:
        # A copy: the model may work in place on what it is given.
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, grads[0]


def attach_function(made_by: Any) -> bool:
    """Whether what made a tensor is `attach`."""
    return isinstance(made_by, _Attach._backward_cls)


def attach(value: Tensor, surrogate: Tensor) -> Tensor:
    """A tensor with the value of one and the gradient of another of the same shape.

    Args:
        value: What the operation returns.
        surrogate: A function, linear in the operands, whose coefficients are the multipliers.
    """
    return _Attach.apply(value.detach(), surrogate.to(value.dtype))
