"""Whole numbers and booleans that a model makes of its embeddings: masks, choices, places.

They are step functions: their derivative is zero, and yet they may differ between the input and
its baseline. What follows from that belongs to what they were made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from ..nested import mapped, tensors_in
from ..operations.calls import Call
from .surrogates import attach
from .watch import Tape, other_path

_IN_ORDER = frozenset(
    """
__and__ __eq__ __ge__ __getitem__ __gt__ __invert__ __le__ __lt__ __ne__ __or__ __xor__ add all
any bool clamp clone contiguous cumsum div eq expand flatten float floor_divide gather ge gt
index_select int le logical_and logical_not logical_or long lt masked_fill mul ne one_hot reshape
rsub scatter scatter_add __setitem__ squeeze sub sum to topk type type_as unsqueeze view where
argmax argmin argsort sort max min
""".split()
)
"""Operations whose results stand in the order of their operands' leading dimensions."""

_FLOOR = 1e4
"""What is masked is this far down. Infinity has no differences, and behind a softmax both are 0."""


@dataclass(frozen=True)
class Origin:
    """What a step was made of.

    Attributes:
        sources: Tensors that depend on the embeddings.
        groups: Into how many parts they and the steps fall, in order, each made of its own: the
            choice of a token's experts of that token's scores.
        makers: By source, the operation that made a step of it.
    """

    sources: tuple[Tensor, ...]
    groups: int
    makers: tuple[str, ...]


class Origins:
    """Which tensors are steps, and what each was made of."""

    def __init__(self) -> None:
        self._of: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __bool__(self) -> bool:
        return len(self._of) > 0

    def is_step(self, tensor: Tensor) -> bool:
        return tensor in self._of

    def of(self, value: Any) -> Origin | None:
        """The origin of all steps among arguments, None where there are none."""
        found = [self._of[one] for one in tensors_in(value) if one in self._of]
        return _merged(found) if found else None

    def note(self, name: str, value: Any, result: Any) -> None:
        """Notes what is a step among the results of an operation."""
        steps = [
            one for one in tensors_in(result) if not (one.is_floating_point() or one.is_complex())
        ]
        if not steps:
            return
        found = [origin] if (origin := self.of(value)) else []
        # Copies: the model may go on to change them in place.
        sources = [one.clone() for one in tensors_in(value) if one.requires_grad]
        if sources:
            apart = min(math.prod(one.shape[:-1]) for one in sources)
            found.append(Origin(tuple(sources), apart, (name,) * len(sources)))
        if not found:
            return
        origin = _merged(found)
        for one in steps:
            apart = origin.groups if name in _IN_ORDER and in_order(one, origin.groups) else 1
            self._of[one] = Origin(origin.sources, apart, origin.makers)


def _merged(origins: Sequence[Origin]) -> Origin:
    found = {
        id(one): (one, maker)
        for each in origins
        for one, maker in zip(each.sources, each.makers, strict=True)
    }
    groups = {each.groups for each in origins}
    sources, makers = zip(*found.values(), strict=True)
    return Origin(sources, groups.pop() if len(groups) == 1 else 1, makers)


def in_order(tensor: Tensor, groups: int) -> bool:
    """Whether a tensor falls into so many parts by its leading dimensions."""
    size = 1
    for length in tensor.shape:
        size *= length
        if size >= groups:
            return size % groups == 0
    return size == groups


@dataclass(frozen=True)
class StepCall(Call):
    """A call of an operation some of whose arguments are steps.

    Attributes:
        origins: Which arguments are steps.
        origin: What these were made of.
    """

    origins: Origins
    origin: Origin

    @property
    def steps(self) -> list[Tensor]:
        """The arguments that are steps."""
        return [one for one in self.tensors if self.origins.is_step(one)]

    @property
    def operands(self) -> list[Tensor]:
        """The arguments that depend on the embeddings."""
        return [one for one in self.tensors if one.requires_grad]

    def with_steps(self, operands: Sequence[Tensor], steps: Sequence[Tensor]) -> Tensor:
        """The operation of other operands and steps in the place of these."""
        operands_left, steps_left = iter(operands), iter(steps)

        def other(tensor: Tensor) -> Tensor:
            if tensor.requires_grad:
                return next(operands_left)
            return next(steps_left) if self.origins.is_step(tensor) else tensor

        args, kwargs = mapped((self.args, self.kwargs), other)
        return _bounded(self.function(*args, **kwargs))


def note_step(call: StepCall, tape: Tape) -> Tensor:
    """Computes what is asked and takes notes for `step`."""
    y = call.with_steps(call.operands, call.steps)
    noted = [*call.operands, *call.steps, *call.origin.sources]
    tape.note(f"{call.name} of steps", noted, y)
    # What comes of it depends on the embeddings, by way of the steps.
    return y if y.requires_grad else y.detach().requires_grad_().view_as(y)


def step(call: StepCall, tape: Tape) -> Tensor:
    """y = f(x; c), linear in x, with c a step function of s: m_x is the mean of f's coefficients
    for c and for c⁰, and what is left of Δy is handed to s by the secant of least norm,
    m_s = (Δy - m_x Δx) Δs / ‖Δs‖². For one number s that is the rescale rule.

    Raises:
        OtherPathError: If the steps have other shapes than for the baseline.
    """
    operands, steps, sources = call.operands, call.steps, call.origin.sources
    noted, y_0 = tape.recall(f"{call.name} of steps", [*operands, *steps, *sources])
    at, until = len(operands), len(operands) + len(steps)
    operands_0, steps_0, sources_0 = noted[:at], noted[at:until], noted[until:]
    fixed = [one.detach() for one in operands]
    with torch.no_grad():
        y = call.with_steps(fixed, steps)
        if y.shape != y_0.shape:
            raise other_path(f"{call.name!r} for {tuple(y.shape)} numbers, {tuple(y_0.shape)}")
    if all(map(torch.equal, steps, steps_0)):
        if operands:
            return call.with_steps(operands, steps)
        return attach(y, 0 * y + 0 * _bounded(sources[0]).sum())
    surrogate = torch.zeros_like(y)
    rest = y - y_0
    if operands:
        surrogate = (call.with_steps(operands, steps) + call.with_steps(operands, steps_0)) / 2
        with torch.no_grad():
            before = (call.with_steps(operands_0, steps) + call.with_steps(operands_0, steps_0)) / 2
            rest = rest - (surrogate - before)
    if tape.losses is not None:
        pairs = zip(sources, sources_0, call.origin.makers, strict=True)
        sources = tuple(
            tape.losses.handed(one, _bounded(one) - _bounded(one_0), call.name, maker)
            for one, one_0, maker in pairs
        )
    groups = call.origin.groups
    if call.name not in _IN_ORDER or not in_order(y, groups):
        groups = 1
    share = _share(sources, sources_0, groups, tape)
    handed = (rest.reshape(len(share), -1) * share[:, None]).reshape(rest.shape)
    return attach(y, surrogate + handed)


def _bounded(tensor: Tensor) -> Tensor:
    # Masked scores differ from pass to pass by what rounding makes of such numbers.
    return tensor.clamp(-_FLOOR, _FLOOR)


def _share(
    sources: Sequence[Tensor], sources_0: Sequence[Tensor], groups: int, tape: Tape
) -> Tensor:
    """Σ Δs s / ‖Δs‖² per group; of all groups together where in one nothing changed."""
    inner: Tensor | float = 0.0
    size: Tensor | float = 0.0
    for source, source_0 in zip(sources, sources_0, strict=True):
        bounded = _bounded(source).reshape(groups, -1)
        change = bounded.detach() - _bounded(source_0).reshape(groups, -1)
        inner = inner + (change * bounded).sum(1)
        size = size + change.square().sum(1)
    assert isinstance(size, Tensor)
    assert isinstance(inner, Tensor)
    still = size == 0
    if groups == 1 or bool(still.any()):
        tape.mixes_rows = True
    own = inner / size.masked_fill(still, 1)
    whole = size.sum()
    together = inner.sum() / whole.masked_fill(whole == 0, 1)
    return torch.where(still, together, own)
