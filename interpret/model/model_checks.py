"""Checks of a model by its forward passes: gradients come back through every module, and the same
input gives the same output.

Quantised layers may pass no gradient back, or torch has none for them ("an autograd kernel was not
registered"). Then a gradient is zero, or lacks the part that goes through such a layer, and the
number itself does not show that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from ..errors import InterpretationError
from ..nested import mapped, tensors_in

_STEP = 1e-3
_CHANGE = 1e-5
_ROUNDING = {torch.float16: 5e-3, torch.bfloat16: 4e-2, torch.float64: 1e-9}
_SINGLE = 1e-4
# torch takes the generator's lock while it holds Python's. If objects are collected in between, a
# thread gives Python's lock away, and the next one that asks for the state waits for ever.
_ONE_AT_A_TIME = threading.Lock()

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
        with _ONE_AT_A_TIME:
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
        _differ(one, other, _ROUNDING.get(one.dtype, _SINGLE))
        for one, other in pairs
        if isinstance(one, Tensor) and isinstance(other, Tensor) and one.is_floating_point()
    )


def _differ(one: Tensor, other: Tensor, rounding: float) -> bool:
    """Whether tensors differ by more than a share of the largest number."""
    if one.shape != other.shape:
        return True
    # The logit of an excluded class may be infinite.
    a, b = (value.detach().double().nan_to_num(0.0, 0.0, 0.0) for value in (one, other))
    scale = float(a.abs().max()) if a.numel() else 0.0
    return not torch.allclose(a, b, rtol=0.0, atol=rounding * max(scale, 1e-6))


@dataclass(frozen=True)
class _Ran:
    """One call of a module, by its name, with the graph nodes of its inputs and of its outputs."""

    name: str
    given: tuple[Node, ...]
    made: tuple[Node, ...]


class GradientPaths:
    """Which of a model's modules pass gradients back, determined in the first pass with a graph.

    Args:
        model: A twin's model.
        user: The user's model.
        checked: Keys of the models whose modules all pass gradients back; this model's key is
            added after a successful check.
    """

    def __init__(self, model: nn.Module, user: nn.Module, checked: set[int]) -> None:
        self._model = model
        # Layers may have been quantised, or their forward wrapped, in place since the last check.
        layers = [
            (type(one), "forward" in vars(one), *map(type, one._parameters.values()))
            for one in model.modules()
        ]
        self._key = hash((id(user), tuple(layers)))
        self._checked = checked
        self._seen = self._key in checked
        self._trying = False
        self._ran: list[_Ran] = []
        self._without_graph: dict[str, str] = {}
        self._lost: str | None = None

    @contextmanager
    def watching(self, ends: bool = True) -> Iterator[None]:
        """Watches a forward pass. After the first in which the modules were given something that
        requires a gradient, this does nothing.

        Args:
            ends: Whether the graph leads to the target. That of a prediction ends at the backbone,
                and the pass that is watched next goes on from there.
        """
        if self._seen:
            yield
            return
        handles = [
            module.register_forward_hook(partial(self._ran_module, name), with_kwargs=True)
            for name, module in self._model.named_modules()
            if not isinstance(module, torch.jit.ScriptModule)
        ]
        try:
            yield
        finally:
            self._seen = ends and bool(self._ran)
            for handle in handles:
                handle.remove()

    def check(self) -> None:
        """Makes sure that every module passes gradients back.

        Raises:
            InterpretationError: If one does; the message names it.
        """
        if self._lost is None and self._ran:
            self._lost = self._without_backward()
            if self._lost is None:
                self._checked.add(self._key)
        self._ran = []
        if self._lost is not None:
            raise InterpretationError(
                f"{self._lost} gives no gradient (as a quantised layer does, or one that runs "
                "under torch.no_grad), so what goes through it would be missing; use a "
                "perturbation method ('value-zeroing', say), which needs values only, or explain "
                "the model as it was before quantisation"
            )

    def _ran_module(
        self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any
    ) -> None:
        if self._trying or self._lost is not None:
            return
        made = _floating(output)
        taken = _floating((args, kwargs))
        prefix = f"{name}." if name else ""
        inside = [one for one in self._without_graph if one.startswith(prefix)]
        if inside and not made and next(tensors_in(output), None) is not None:
            # Integer outputs (an index of keys, say) have no derivative anyway.
            for one in inside:
                del self._without_graph[one]
        elif inside and torch.is_grad_enabled():
            # Inside an `autograd.Function` nothing has a graph, but the function has a backward
            # pass of its own: reversible layers, gradient checkpointing.
            first, self._without_graph = next(iter(self._without_graph.values())), {}
            before = set(_nodes(taken))
            if not _any_node(_nodes(made), before, lambda one: isinstance(one, BackwardCFunction)):
                self._lost = first
        given = [one for one in taken if one.requires_grad]
        if not given:
            return
        called = "the model"
        if name:
            # Other libraries' layers have the same names as torch's.
            kind = type(module)
            known = kind.__module__.startswith("torch.nn.")
            of = kind.__name__ if known else f"{kind.__module__}.{kind.__qualname__}"
            called = f"the module {name!r}, a {of},"
        cut = not all(one.requires_grad for one in made)
        if cut and self._varies(module, args, kwargs, output):
            if torch.is_grad_enabled():
                self._lost = called
            else:
                self._without_graph[name] = called
        self._ran.append(_Ran(called, _nodes(given), _nodes(made)))

    def _varies(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> bool:
        """Whether an output without a gradient depends on the values of the inputs. One that is
        computed from their shapes or types (positions, masks) needs no gradient."""
        generator = torch.Generator().manual_seed(0)

        def moved(value: Tensor) -> Tensor:
            if not (value.requires_grad and value.is_floating_point()):
                return value
            noise = torch.randn(value.shape, generator=generator).to(value)
            return value.detach() + _STEP * value.detach().std(correction=0) * noise

        self._trying = True
        try:
            # This trial run must be invisible to rules for operations and to recorders.
            with torch.no_grad(), torch._C.DisableTorchFunction(), _without_hooks(module):
                moved_args, moved_kwargs = mapped((args, kwargs), moved)
                again = module(*moved_args, **moved_kwargs)
        except Exception:
            # A module that fails on a second run cannot be checked.
            return False
        finally:
            self._trying = False
        pairs = zip(_floating(output), _floating(again), strict=False)
        return any(_differ(one, other, _CHANGE) for one, other in pairs if not one.requires_grad)

    def _without_backward(self) -> str | None:
        """The innermost module with an operation that has no backward pass."""
        seen: set[Node] = set()
        if not any(_any_node(ran.made, seen, _lacks_backward) for ran in self._ran):
            return None
        # Modules end after those that are in them.
        for ran in self._ran:
            if _any_node(ran.made, set(ran.given), _lacks_backward):
                return ran.name
        return None


def _any_node(made: Iterable[Node], seen: set[Node], is_wanted: Callable[[Node], bool]) -> bool:
    """Whether some node that leads to the given nodes fulfils a condition; nodes in `seen` are
    skipped."""
    pending = list(made)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if is_wanted(node):
            return True
        pending.extend(before for before, _ in node.next_functions if before is not None)
    return False


@contextmanager
def _without_hooks(module: nn.Module) -> Iterator[None]:
    """Removes the hooks of a twin's module and all modules in it while the block runs."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    kept = [(one, name, vars(one)[name]) for one in module.modules() for name in names]
    try:
        for one, name, hooks in kept:
            vars(one)[name] = type(hooks)()
        yield
    finally:
        for one, name, hooks in kept:
            vars(one)[name] = hooks


def _lacks_backward(node: Node) -> bool:
    return "NotImplemented" in node.name()


def _nodes(tensors: Iterable[Tensor]) -> tuple[Node, ...]:
    return tuple(one.grad_fn for one in tensors if one.grad_fn is not None)


def _floating(value: Any) -> list[Tensor]:
    """The floating tensors in a module's arguments or outputs."""
    return [one for one in tensors_in(value) if one.is_floating_point()]
