"""Checks that every module between the embeddings and the target passes gradients back.

Quantised layers may pass no gradient back, or torch has none for them ("an autograd kernel was not
registered"). Then a gradient is zero, or lacks the part that goes through such a layer, and the
number itself does not show that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from ..errors import InterpretationError
from ..nested import mapped, tensors_in

_STEP = 1e-3
_CHANGE = 1e-5


@dataclass(frozen=True)
class _Ran:
    """One call of a module.

    Attributes:
        name: The name of the module.
        given: The graph nodes of its inputs.
        made: The graph nodes of its outputs.
    """

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
            module.register_forward_hook(self._hook(name), with_kwargs=True)
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

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if self._trying or self._lost is not None:
                return
            made = list(_floating(output))
            prefix = f"{name}." if name else ""
            inside = [one for one in self._without_graph if one.startswith(prefix)]
            if inside and not made and next(tensors_in(output), None) is not None:
                # Integer outputs (an index of keys, say) have no derivative anyway.
                for one in inside:
                    del self._without_graph[one]
            elif inside and torch.is_grad_enabled():
                self._resolve(_nodes(_floating((args, kwargs))), _nodes(made))
            given = [one for one in _floating((args, kwargs)) if one.requires_grad]
            if not given:
                return
            called = f"the module {name!r}, a {_type(module)}," if name else "the model"
            cut = not all(one.requires_grad for one in made)
            if cut and self._varies(module, args, kwargs, output):
                if torch.is_grad_enabled():
                    self._lost = called
                else:
                    self._without_graph[name] = called
            self._ran.append(_Ran(called, _nodes(given), _nodes(made)))

        return hook

    def _resolve(self, given: tuple[Node, ...], made: tuple[Node, ...]) -> None:
        """Decides, after a module has run, whether modules in it that ran without a graph lose the
        gradient.

        Inside an `autograd.Function` nothing has a graph, but the function has a backward pass of
        its own: reversible layers, gradient checkpointing.
        """
        first, self._without_graph = next(iter(self._without_graph.values())), {}
        if not _any_node(made, set(given), lambda node: isinstance(node, BackwardCFunction)):
            self._lost = first

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
        return any(_differs(one, other) for one, other in pairs if not one.requires_grad)

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


def _floating(value: Any) -> Iterator[Tensor]:
    """The floating tensors in a module's arguments or outputs."""
    return (one for one in tensors_in(value) if one.is_floating_point())


def _differs(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return True
    one, other = one.detach().double(), other.detach().double()
    within = _CHANGE * float(one.abs().max()) if one.numel() else 0.0
    return not torch.allclose(one, other, rtol=0.0, atol=within, equal_nan=True)


def _type(module: nn.Module) -> str:
    """A module's type, with where it is from unless that is torch.nn: other libraries' layers have
    the same names."""
    kind = type(module)
    if kind.__module__.startswith("torch.nn."):
        return kind.__name__
    return f"{kind.__module__}.{kind.__qualname__}"
