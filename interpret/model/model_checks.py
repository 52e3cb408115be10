"""Checks whether a model's forward pass is random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_ROUNDING = {torch.float16: 5e-3, torch.bfloat16: 4e-2, torch.float64: 1e-9}
_SINGLE = 1e-4

RANDOM_WARNING = (
    "the model's forward pass is random although it is in evaluation mode (dropout or noise that "
    "is always on), so scores differ from call to call; switch the noise off in the model"
)
"""The warning in explanations of a model with a random forward pass."""


class RandomPasses:
    """Finds out whether a model's forward pass is random, without an extra pass where it is not.

    A pass that draws random numbers changes the state of torch's generators. Only then is the pass
    run again and its outputs compared: a model may draw numbers that it does not use, and another
    thread may have drawn them. Only `check`, which compares two passes that were run anyway,
    detects a model with a generator of its own.

    Args:
        device: Where the model runs.

    Attributes:
        random: Whether it is random; None while that is not known.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self.random: bool | None = None
        self._cuda = device if device is not None and device.type == "cuda" else None
        self._drew = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notices when a forward pass draws random numbers. This takes microseconds; once it is
        known whether passes are random, it does nothing."""
        if self.random is not None:
            yield
            return
        before = self._states()
        yield
        moved = zip(before, self._states(), strict=True)
        self._drew |= not all(torch.equal(one, other) for one, other in moved)

    def settle(self, run: Callable[[], Mapping[str, Any]]) -> bool:
        """Whether the model is random.

        Args:
            run: Runs the model on an input and returns its outputs. It is called twice where a
                watched pass has drawn random numbers and nothing is known so far, else never.
        """
        if self.random is None:
            self.random = self._drew and differ(run(), run())
        return self.random

    def check(self, first: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
        """Whether the model is random, from the outputs of two passes over the same batch that are
        there anyway."""
        self.random = bool(self.random) or differ(first, again)
        return self.random

    def _states(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self._cuda is not None:
            states.append(torch.cuda.get_rng_state(self._cuda))
        return states


def differ(first: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
    """Whether two outputs of a model differ by more than rounding.

    Args:
        first: What it returned, tensors by name.
        again: What it returned for the same batch another time.
    """
    pairs = [(value, again.get(name)) for name, value in first.items()]
    return any(
        _differ(one, other)
        for one, other in pairs
        if isinstance(one, Tensor) and isinstance(other, Tensor) and one.is_floating_point()
    )


def _differ(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return True
    rounding = _ROUNDING.get(one.dtype, _SINGLE)
    # The logit of an excluded class may be infinite.
    a, b = (value.detach().double().nan_to_num(0.0, 0.0, 0.0) for value in (one, other))
    scale = float(a.abs().max()) if a.numel() else 0.0
    return not torch.allclose(a, b, rtol=0.0, atol=rounding * max(scale, 1e-6))
