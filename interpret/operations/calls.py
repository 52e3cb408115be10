"""Functional calls of a forward pass, and how rules see them: by the operation's name, in-place or
not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..nested import tensors_in

_SYNONYMS = {
    synonym: name
    for name, synonyms in {
        "add": "__add__ __radd__ __iadd__",
        "sub": "__sub__ __isub__ subtract",
        "rsub": "__rsub__",
        "mul": "__mul__ __rmul__ __imul__ multiply",
        "matmul": "__matmul__ mm mv dot bmm",
        "rmatmul": "__rmatmul__",
        "div": "__truediv__ __itruediv__ __div__ divide true_divide",
        "rdiv": "__rtruediv__ __rdiv__",
        "pow": "__pow__ __ipow__",
        "rpow": "__rpow__",
        "neg": "__neg__",
        "abs": "__abs__ absolute",
        "clamp": "clip",
        "softmax": "_softmax special_softmax",
    }.items()
    for synonym in synonyms.split()
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


# Without the cache `lrp` and `deeplift` of one sentence take 1.15 times as long (bert-base).
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
    """A call of an operation.

    Attributes:
        name: The operation.
        function: Computes it; where a rule is asked, without changing its arguments.
        args: Its positional arguments.
        kwargs: Its named arguments.
    """

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def depends(self) -> bool:
        """Whether any of its arguments depends on the embeddings."""
        return depends(self.args) or depends(self.kwargs)

    @property
    def tensors(self) -> Iterator[Tensor]:
        """All tensors among its arguments."""
        return tensors_in((self.args, self.kwargs))

    @property
    def operands(self) -> list[Tensor]:
        """The arguments that depend on the embeddings."""
        return [arg for arg in self.args if depends(arg)]

    def named(self, *names: str) -> dict[str, Any]:
        """The arguments by the names that they have in their order."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}

    def plain(self) -> Any:
        """What the operation returns, with its own gradient."""
        return self.function(*self.args, **self.kwargs)

    def of(self, *operands: Tensor) -> Any:
        """The operation of other operands in the place of these, in their order."""
        others = iter(operands)
        args = [next(others) if depends(arg) else arg for arg in self.args]
        return self.function(*args, **self.kwargs)


def takes(function: Callable[..., Any]) -> Callable[[Callable[[Any], Any]], Callable[..., Any]]:
    """A decorator: what is decorated is called as a function of torch's is, and is given the
    arguments by their names."""
    signature = inspect.signature(function)

    def decorated(computed: Callable[[Any], Any]) -> Callable[..., Any]:
        @wraps(computed)
        def called(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return computed(SimpleNamespace(**bound.arguments))

        return called

    return decorated


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
