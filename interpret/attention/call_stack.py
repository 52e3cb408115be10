"""Which modules are running, and what they were given: the context of an attention."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(eq=False)
class Frame:
    """One call of a module.

    Attributes:
        module: The module.
        args: What it was called with.
        kwargs: The same, by name.
        parent: The call that it happened in.
        output: What it returned; None while it runs.
        closing: Of a block, the module that its stack gave its states to, where that is no block:
            the normalization that many end with.
    """

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    parent: Frame | None
    output: Any = None
    closing: nn.Module | None = None

    def outwards(self) -> Iterator[Frame]:
        """This call, the one that it happened in, and so on."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    @property
    def states(self) -> Tensor | None:
        """The vectors that it returned, alone or first among others."""
        return first_tensor(self.output)


@dataclass
class Frames:
    """The calls of a model's modules, as they happen.

    Attributes:
        encoders: The ids of encoders.
        blocks: The ids of modules in lists.
        layers: The ids of the layers that embed.
        running: The innermost call that goes on, None for none.
        encoded: The calls of encoders that are over, in order.
        embedded: What the layers that embed were given, call by call: indices, None for others.
    """

    encoders: frozenset[int]
    blocks: frozenset[int]
    layers: frozenset[int]
    running: Frame | None = None
    encoded: list[Frame] = field(default_factory=list)
    embedded: list[Tensor | None] = field(default_factory=list)
    _last: Frame | None = None

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Follows a twin's modules for as long as it runs."""
        handles = []
        try:
            for module in model.modules():
                if not isinstance(module, torch.jit.ScriptModule):
                    handles += [
                        module.register_forward_pre_hook(self._enter, with_kwargs=True),
                        module.register_forward_hook(self._leave, with_kwargs=True),
                    ]
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        frame = Frame(module, args, kwargs, self.running)
        last, self.running = self._last, frame
        if last is None or last.parent is not frame.parent:
            return
        self._last = None
        given = first_tensor([*args, *kwargs.values()])
        if given is not None and given is last.states and id(module) not in self.blocks:
            last.closing = module

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        frame = self.running
        # A module that is scripted or replaced while it runs may leave without having entered.
        if frame is None or frame.module is not module:
            return
        frame.output = output
        self.running = frame.parent
        if id(module) in self.layers and torch.is_grad_enabled():
            given = first_tensor([*args, *kwargs.values()])
            indices = given is not None and given.dtype == torch.long and given.dim() == 2
            self.embedded.append(given if indices else None)
        if id(module) in self.encoders:
            self.encoded.append(frame)
        if id(module) in self.blocks:
            self._last = frame


def first_tensor(value: Any) -> Tensor | None:
    """A tensor, or the first one in a tuple, a list or a mapping."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None
