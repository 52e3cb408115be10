"""What a target must return; and of a user's own functions as targets what they take and leave."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from torch import Tensor

from ..errors import InterpretationError
from ..nested import tensors_in
from .outputs import ModelOutputs


def function_name(function: Callable[..., Any]) -> str:
    """What a function is called, or its class."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def check_function(function: Callable[..., Any]) -> None:
    """Checks a function that is given as a target, as far as possible without calling it.

    Raises:
        ConfigurationError: If it is a class, waits or yields, or cannot be called with the model's
            outputs alone.
    """
    name = function_name(function)
    if isinstance(function, type):
        raise ConfigurationError(f"the target {name} is a class; give an object of it: {name}(…)")
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.iscoroutinefunction(called) or inspect.isgeneratorfunction(called):
        raise ConfigurationError(
            f"the target {name} is a coroutine or a generator; return the numbers, one per row"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:
        # A function that is written in C does not say.
        return
    try:
        signature.bind(None)
    except TypeError as error:
        raise ConfigurationError(
            f"the target {name} takes {signature}, and is called with the model's outputs alone "
            f"({error}); fix the others by functools.partial, or write "
            "lambda outputs: …"
        ) from None


def untouched(function: Callable[[Any], Any], outputs: ModelOutputs, name: str) -> Any:
    """What a function makes of a model's outputs, which it must leave as they are.

    Raises:
        InterpretationError: If it has written into one.
    """
    given = {key: [*tensors_in(value)] for key, value in outputs.given.items()}
    before = {key: [*map(_version, own)] for key, own in given.items()}
    found = function(outputs)
    for key, own in given.items():
        if [*map(_version, own)] != before[key]:
            raise InterpretationError(
                f"target {name} changes the model's output {key!r} in place, so what is explained "
                f"would be no number of the model's; copy it first: outputs[{key!r}].clone()"
            )
    return found


def check_repeats(function: Callable[[Any], Any], outputs: Any, name: str) -> Any:
    """Makes sure that a function of a model's outputs depends on nothing else.

    Returns:
        What it returns.

    Raises:
        InterpretationError: If two calls return different numbers.
    """
    first, second = function(outputs), function(outputs)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        one, other = first.detach(), second.detach()
        if one.shape == other.shape and not torch.allclose(one, other, equal_nan=True):
            raise InterpretationError(
                f"target {name} returned {one.flatten()[:3].tolist()} and then "
                f"{other.flatten()[:3].tolist()} for the same outputs: it is random, or remembers "
                "earlier calls; compute it from the outputs alone"
            )
    return first


def check_rows(function: Callable[[Any], Any], values: Tensor, alone: Any, name: str) -> None:
    """Makes sure that a function's number of a row is the same whatever other rows there are: those
    of a batch are other inputs, or copies of one that lack a part.

    Args:
        function: The function.
        values: What it returned, `(rows,)`.
        alone: Outputs of the first row, with another behind it.
        name: What errors call the target.

    Raises:
        InterpretationError: If the first row's number is another there.
    """
    try:
        found = function(alone)[0].detach()
    except Exception:
        # It reads what cannot be taken apart by rows, which says nothing of the rest.
        return
    own = values[0].detach()
    if found.shape == () and not torch.allclose(
        found.double(), own.double(), rtol=1e-2, atol=1e-5, equal_nan=True
    ):
        raise InterpretationError(
            f"target {name} returned {float(own):.3g} for a row, and {float(found):.3g} for the "
            "same row beside another: it takes a mean or the like over the rows; compute each "
            "row's number from its own outputs, with dim=-1 say"
        )


def row_values(found: Any, count: int, name: str) -> Tensor:
    """What a target returned, as a floating number per row, `(rows,)`.

    Args:
        found: What it returned.
        count: How many rows there are.
        name: What errors call the target.

    Raises:
        InterpretationError: If it is anything else.
    """
    if not isinstance(found, Tensor):
        raise InterpretationError(
            f"target {name} returned {found!r:.60} of type {type(found).__name__}; return a tensor "
            f"of one number per row, ({count},), computed from the outputs by torch"
        )
    if found.shape != (count,):
        raise InterpretationError(
            f"target {name} returned shape {tuple(found.shape)} for {count} rows; return one "
            f"number per row, ({count},)"
        )
    if found.is_complex():
        raise InterpretationError(
            f"target {name} returned complex numbers; return real ones, such as their .abs()"
        )
    return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found


def not_finite(values: Tensor, outputs: Any, name: str) -> InterpretationError:
    """The error of a target that is not finite at the input.

    Args:
        values: The target, `(rows,)`.
        outputs: What the model returned.
        name: What errors call the target.
    """
    floats = (one for one in tensors_in(outputs) if one.is_floating_point())
    cause = (
        "the model's outputs are finite, so look into the target"
        if all(bool(torch.isfinite(one).all()) for one in floats)
        else "look for NaN or infinite weights, or logits too large for the model's precision"
    )
    return InterpretationError(f"target {name} is {values.detach().tolist()}, not finite; {cause}")


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version
