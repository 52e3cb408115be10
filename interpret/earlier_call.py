"""What a module that takes vectors made of an input when it was predicted.

As `EarlierPass`, for models that embed their texts themselves and leave all else to one module.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .interventions import instead

_PLAIN = (int, float, str, type(None))


@runtime_checkable
class ReadsVectors(Protocol):
    """A model that embeds its texts, and has a module that takes the vectors.

    Attributes:
        reads_vectors: The module; None if it is not the same for a prediction and its explanation.
    """

    reads_vectors: nn.Module | None


@dataclass(frozen=True)
class _Known:
    """One call.

    Attributes:
        vectors: What went in, leaves of the graph if there is one.
        outputs: What came out, by name.
        returned: The type that held it.
    """

    vectors: tuple[Tensor, ...]
    outputs: dict[str, Tensor]
    returned: type


class Graphs:
    """How much more of the graphs may be kept: they take as much memory as a backward pass.

    Args:
        positions: Of how many positions; 0 for none.
    """

    def __init__(self, positions: int) -> None:
        self._left = positions

    def kept(self, vectors: Tensor) -> bool:
        """Whether that of what is made of some vectors, `(…, dim)`, is kept."""
        self._left -= vectors.shape[:-1].numel()
        return self._left >= 0


class EarlierCall:
    """The calls of a module while the model predicted, known again by all that goes in.

    Args:
        module: The module, a twin's.
        most_bytes: Memory to fill at most, with all but graphs; what came first is kept.
        graphs: How much of the graphs is kept.

    Attributes:
        module: The module.
        cut: How many calls were spared that had no graph.
    """

    def __init__(self, module: nn.Module, most_bytes: int, graphs: Graphs) -> None:
        self.cut = 0
        self.module = module
        self._left = most_bytes
        self._graphs = graphs
        self._known: dict[Hashable, _Known] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes note of what the module does."""

        def forward(original: Callable[..., Any], *args: Any, **given: Any) -> Any:
            key = _key(args, given)
            if key is None:
                return original(*args, **given)
            own = _vectors(given)
            graph = all(self._graphs.kept(vector) for vector in own.values())
            vectors = {
                name: vector.detach().clone().requires_grad_(graph) for name, vector in own.items()
            }
            with torch.set_grad_enabled(graph):
                # Clones: what comes next may work in place, which a leaf does not allow.
                copies = {name: vector.clone() for name, vector in vectors.items()}
                outputs = original(**{**given, **copies})
            named = _named(outputs)
            if named is None:
                return outputs
            self._remember(key, _Known(tuple(vectors.values()), named, type(outputs)))
            return type(outputs)(**{name: one.detach().clone() for name, one in named.items()})

        with instead(self.module, forward):
            yield

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Gives what came out where that is known, with the graph that leads to what went in."""

        def forward(original: Callable[..., Any], *args: Any, **given: Any) -> Any:
            known = self._known.get(_key(args, given))
            if known is None:
                return original(*args, **given)
            graph = all(vector.requires_grad for vector in known.vectors)
            self.cut += not graph
            outputs = _Again.apply(known, *(_vectors(given).values() if graph else ()))
            return known.returned(**dict(zip(known.outputs, outputs, strict=True)))

        with instead(self.module, forward):
            yield

    def _remember(self, key: Hashable, known: _Known) -> None:
        self._left -= sum(one.nbytes for one in (*known.vectors, *known.outputs.values()))
        if self._left >= 0:
            self._known[key] = known


class _Again(torch.autograd.Function):
    """The outputs of a call that is known; backwards through its graph, if it has one."""

    @staticmethod
    def forward(ctx: Any, known: _Known, *vectors: Tensor) -> tuple[Tensor, ...]:
        ctx.known = known
        outputs = tuple(one.detach().clone() for one in known.outputs.values())
        pairs = zip(outputs, known.outputs.values(), strict=True)
        ctx.mark_non_differentiable(*[new for new, old in pairs if not old.requires_grad])
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        known: _Known = ctx.known
        pairs = zip(known.outputs.values(), gradients, strict=True)
        outputs, given = zip(*[pair for pair in pairs if pair[0].requires_grad], strict=True)
        # Kept, for a second instance of the same input.
        return None, *torch.autograd.grad(
            outputs, known.vectors, given, retain_graph=True, materialize_grads=True
        )


def _vectors(given: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }


def _named(outputs: Any) -> dict[str, Tensor] | None:
    """What came out, if that is named tensors, and nothing else."""
    if not isinstance(outputs, dict):
        return None
    named = {name: one for name, one in outputs.items() if one is not None}
    try:
        again = type(outputs)(**named)
    except TypeError:
        return None
    tensors = all(isinstance(one, Tensor) for one in named.values())
    return named if tensors and again.keys() == outputs.keys() else None


def _key(args: tuple[Any, ...], given: Mapping[str, Any]) -> Hashable:
    """Something to know a call by; None where there is no such."""
    if args or not _vectors(given):
        return None
    key = []
    for name, value in sorted(given.items()):
        if isinstance(value, Tensor):
            key.append((name, *fingerprint(value)))
        elif isinstance(value, _PLAIN):
            key.append((name, value))
        else:
            return None
    return tuple(key)


def fingerprint(tensor: Tensor) -> tuple[Any, ...]:
    """A tensor's type, shape and bytes."""
    flat = tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8)
    return tensor.dtype, tuple(tensor.shape), flat.numpy().tobytes()
