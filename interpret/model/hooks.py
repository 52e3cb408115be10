"""Hooks on the layers of a private copy of a model for as long as it runs, and a model's state as
it was before: some models change themselves while they run. BigBird turns its sparse attention off
for good once a text is short, others lengthen a table of positions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable
from unittest.mock import patch

from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.utils import ModelOutput

from .embedding_layers import EmbeddingLayer, hugging_face_models


@contextmanager
def hooked(
    layers: Sequence[EmbeddingLayer],
    on_layer: Callable[[EmbeddingLayer, tuple[Any, ...], Any], Tensor],
    embedders: Sequence[nn.Module] = (),
    on_embedder: Callable[[Any], None] | None = None,
) -> Iterator[None]:
    """Hooks on the twin's layers for as long as the model runs.

    Args:
        layers: The layers whose output is recorded or replaced.
        on_layer: Takes a layer, its arguments and its output; returns the output to continue with.
        embedders: The modules that take texts.
        on_embedder: Takes the first argument of one of these.
    """
    with ExitStack() as hooks:
        for layer in {id(layer.module): layer for layer in layers}.values():

            def intervene(
                module: nn.Module, args: Any, kwargs: Any, output: Any, layer: Any = layer
            ) -> Any:
                states = on_layer(layer, (*args, *kwargs.values()), states_of(output))
                return with_states(output, states)

            hooks.enter_context(layer.module.register_forward_hook(intervene, with_kwargs=True))
        if on_embedder is not None:

            def entered(module: nn.Module, args: Any, kwargs: Any) -> None:
                on_embedder(next(iter((*args, *kwargs.values())), None))

            for embedder in {id(one): one for one in embedders}.values():
                hooks.enter_context(embedder.register_forward_pre_hook(entered, with_kwargs=True))
        yield


@runtime_checkable
class Expecting(Protocol):
    """What watches passes, and wants to know how many there will be."""

    def expect(self, passes: int) -> None:
        """Takes about how many forward passes are to come."""


@contextmanager
def before_each_pass(model: nn.Module | None, call: Callable[[], None] | None) -> Iterator[None]:
    """Calls a function before each forward pass of a model, and of a transformer that it has for
    writing text.

    Args:
        model: The model; None for none.
        call: The function; what it raises ends the pass. None for none.
    """
    with ExitStack() as hooks:
        if model is not None and call is not None:
            for module in (model, *hugging_face_models(model.children())):
                hooks.enter_context(module.register_forward_pre_hook(lambda *_: call()))
        yield


@contextmanager
def patched_forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Replaces the `forward` of a twin's module; the new one gets the module's own as its first
    argument."""
    with patch.object(module, "forward", partial(forward, module.forward)):
        yield


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the first argument of every call of a twin's module."""
    seen: list[Tensor] = []
    with module.register_forward_pre_hook(lambda _, args: seen.append(args[0])):
        yield seen


@contextmanager
def disable_fastpath(module: nn.Module) -> Iterator[None]:
    """Puts hooks that do nothing on a module and all modules in it: torch runs its own transformer
    blocks as one fused call ("fast path") unless they have hooks."""
    with ExitStack() as hooks:
        for one in module.modules():
            hooks.enter_context(one.register_forward_pre_hook(lambda *_: None))
        yield


def states_of(output: Any) -> Any:
    """The states that a layer returns, `(rows, positions, dim)`, mostly.

    Args:
        output: A tensor, or a tuple, a list or a Hugging Face `ModelOutput` whose first value
            the states are.
    """
    if isinstance(output, (tuple, list)) and len(output) > 0:
        return output[0]
    if isinstance(output, ModelOutput) and len(output) > 0:
        return next(iter(output.values()))
    return output


def with_states(output: Any, states: Any) -> Any:
    """An output of the same kind with other states; the layer's own stays as it is.

    Args:
        output: What a layer returned.
        states: What stands in for `states_of(output)`.
    """
    if isinstance(output, tuple) and len(output) > 0:
        others = (states, *output[1:])
        # A named tuple takes its values one by one.
        return type(output)(*others) if hasattr(output, "_fields") else others
    if isinstance(output, list) and len(output) > 0:
        return [states, *output[1:]]
    if isinstance(output, ModelOutput) and len(output) > 0:
        own = copy.copy(output)
        own[next(iter(output))] = states
        return own
    return states


_OWN = frozenset(vars(nn.Module()))
_CONTAINERS = frozenset((list, dict, set))
_REGISTERED = ("_parameters", "_buffers", "_modules")
_PLAIN = frozenset((int, float, bool, str, type(None)))


@contextmanager
def state_kept(module: nn.Module) -> Iterator[None]:
    """Restores the state of a module and its submodules after a forward pass.

    Attributes, registered submodules, parameters and buffers, the items of lists, dictionaries and
    sets that are attributes, and the attributes of Hugging Face configs are those from before,
    the same objects. Changes of a tensor in place are not undone.

    Args:
        module: The module that is run. Two threads that run the same one at the same time may see
            what the other's forward pass changes, as they do without this.
    """
    modules = list(map(vars, module.modules()))
    # A scripted module has its own kinds of dictionaries, which its passes leave alone.
    every = (one.get(name) for name in _REGISTERED for one in modules)
    registered = [one for one in every if isinstance(one, dict)]
    empty = [one for one in registered if not one]
    held = [(one, one.copy()) for one in (*modules, *registered) if one]
    own = [one[name] for one in modules for name in one.keys() - _OWN]
    others = [one for one in own if type(one) not in _PLAIN]
    containers = [(one, one.copy()) for one in others if type(one) in _CONTAINERS]
    configs = {id(one): one for one in others if isinstance(one, PretrainedConfig)}
    pending = list(configs.values())
    while pending:
        attributes = vars(pending.pop())
        held.append((attributes, attributes.copy()))
        for value in attributes.values():
            if isinstance(value, PretrainedConfig) and id(value) not in configs:
                configs[id(value)] = value
                pending.append(value)
            elif type(value) in _CONTAINERS:
                containers.append((value, value.copy()))
    try:
        yield
    finally:
        for one in empty:
            if one:
                one.clear()
        for now, before in (*held, *containers):
            if _same(now, before):
                continue
            if isinstance(now, list):
                now[:] = before
            elif isinstance(now, set):
                now.intersection_update(before)
                now.update(before)
            else:
                _put_back(now, before)


def _same(now: Any, before: Any) -> bool:
    # Ten times as fast as to compare one by one: equality looks at identity first, and what is
    # equal without being the same (1 and True, two lists) makes no difference.
    try:
        return bool(now == before)
    except (RuntimeError, ValueError):
        # Tensors that are not the same have no one truth value.
        return False


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    for name in [name for name in now if name not in before]:
        del now[name]
    if list(now) != [name for name in before if name in now] or len(now) < len(before):
        # The order of submodules is that of a `Sequential`.
        now.clear()
    now.update(before)
