"""The attentions of a forward pass: their weights, their kind, their layer, their block."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .attention_mode import AttentionMode


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


def first_tensor(value: Any) -> Tensor | None:
    """A tensor, or the first one in a tuple, a list or a mapping."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


ENCODER, DECODER, CROSS = KINDS = ("encoder", "decoder", "cross")
_READABLE = ("eager", "sdpa")


@dataclass(eq=False)
class AttentionCall:
    """One attention, as it was computed.

    Attributes:
        made: Its weights as they went on through the model: the graph leads through them.
        frame: The call of the module that computed it: the innermost that was given states.
        given: The states that the module was given, `(sequences, positions, dim)` or
            `(positions, sequences, dim)`.
        block: The call of the transformer block that it is part of, None where there is no such.
        place: How many attentions the block computed before.
        kind: "encoder", "decoder" or "cross".
    """

    made: Tensor
    frame: Frame
    given: Tensor
    block: Frame | None
    place: int
    kind: str = ""

    @cached_property
    def weights(self) -> Tensor:
        """`(sequences, heads, queries, keys)`."""
        return self.shaped(self.made)

    def shaped(self, values: Tensor) -> Tensor:
        """Something of the form in which the weights were computed, a head for every head."""
        # transformers computes a single query of grouped heads as if these were its positions.
        if self.given.shape[0 if self.transposed else 1] == 1 and values.shape[2] > 1:
            return values.flatten(1, 2).unsqueeze(2)
        return values

    @property
    def transposed(self) -> bool:
        """Whether the second dimension of the states counts the sequences."""
        return self.given.shape[0] != self.made.shape[0]


@dataclass(eq=False)
class Run:
    """One call of a stack of transformer blocks.

    Attributes:
        calls: Its attentions, in order.
        reads: The run whose output its cross attentions read, None for none.
    """

    calls: list[AttentionCall] = field(default_factory=list)
    reads: Run | None = None

    def of_kind(self, kind: str) -> list[AttentionCall]:
        """Its attentions of one kind, the first layer first."""
        return [call for call in self.calls if call.kind == kind]

    @property
    def own_kind(self) -> str:
        """What its attention to itself is called."""
        return next((call.kind for call in self.calls if call.kind != CROSS), CROSS)


class Recorder:
    """Takes note of all attentions of a model while it runs, and of the calls of its modules.

    Args:
        model: The twin's model.
        layers: Its layers that embed.

    Attributes:
        embedded: What the layers that embed were given, call by call: indices, None for others.
    """

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module] = ()) -> None:
        self.embedded: list[Tensor | None] = []
        self._model = model
        self._lists = {
            id(block): blocks
            for blocks in model.modules()
            if isinstance(blocks, nn.ModuleList)
            for block in blocks
        }
        self._encoders = frozenset(map(id, _encoders(model)))
        self._layers = frozenset(map(id, layers))
        self._running: Frame | None = None
        self._last_block: Frame | None = None
        self._encoded: list[Frame] = []
        self._calls: list[AttentionCall] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For as long as the model runs."""
        with ExitStack() as stack:
            for module in self._model.modules():
                if not isinstance(module, torch.jit.ScriptModule):
                    stack.enter_context(
                        module.register_forward_pre_hook(self._enter, with_kwargs=True)
                    )
                    stack.enter_context(module.register_forward_hook(self._leave, with_kwargs=True))
            stack.enter_context(AttentionMode(self._note))
            yield

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        frame = Frame(module, args, kwargs, self._running)
        last, self._running = self._last_block, frame
        if last is None or last.parent is not frame.parent:
            return
        self._last_block = None
        given = first_tensor([*args, *kwargs.values()])
        if given is not None and given is last.states and id(module) not in self._lists:
            last.closing = module

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        frame = self._running
        # A module that is scripted or replaced while it runs may leave without having entered.
        if frame is None or frame.module is not module:
            return
        frame.output = output
        self._running = frame.parent
        if id(module) in self._layers and torch.is_grad_enabled():
            given = first_tensor([*args, *kwargs.values()])
            indices = given is not None and given.dtype == torch.long and given.dim() == 2
            self.embedded.append(given if indices else None)
        if id(module) in self._encoders:
            self._encoded.append(frame)
        if id(module) in self._lists:
            self._last_block = frame

    def runs(self) -> list[Run]:
        """What was seen, by the stacks of blocks that computed it."""
        runs: dict[int, Run] = {}
        encoded: dict[int, Run] = {}
        for call in self._calls:
            stack = self._stack(call)
            run = runs.setdefault(id(stack), Run())
            around = call.frame.outwards()
            encoder = next((f for f in around if id(f.module) in self._encoders), None)
            source = self._source(call)
            if encoder is not None:
                call.kind = ENCODER
                encoded[id(encoder)] = run
            elif source is not None and id(source) in encoded:
                call.kind = CROSS
                run.reads = encoded[id(source)]
            else:
                call.kind = DECODER if self._causal(call) else ENCODER
            run.calls.append(call)
        return list(runs.values())

    def _note(self, weights: Tensor) -> Tensor:
        # What is only checked has no graph.
        running = self._running if torch.is_grad_enabled() else None
        for frame in running.outwards() if running is not None else ():
            given = _states(frame, len(weights))
            if given is not None:
                block = self._block(frame)
                place = sum(block is not None and call.block is block for call in self._calls)
                self._calls.append(AttentionCall(weights, frame, given, block, place))
                break
        return weights

    def _block(self, frame: Frame) -> Frame | None:
        """The innermost call of a module in a list of its like, or else of any in a list."""
        listed = [one for one in frame.outwards() if id(one.module) in self._lists]
        # T5's blocks are lists themselves, of an attention and what follows it.
        alike = (one for one in listed if len(set(map(type, self._lists[id(one.module)]))) == 1)
        return next(alike, listed[-1] if listed else None)

    def _stack(self, call: AttentionCall) -> Frame:
        """The call that called the blocks; ALBERT's are lists of groups of blocks."""
        frame = call.block
        while frame is not None and id(frame.module) in self._lists and frame.parent is not None:
            frame = frame.parent
        return frame or list(call.frame.outwards())[-1]

    def _source(self, call: AttentionCall) -> Frame | None:
        """The call of an encoder whose states the attention was given."""
        given = [id(value) for value in (*call.frame.args, *call.frame.kwargs.values())]
        return next((f for f in self._encoded if id(f.states) in given), None)

    def _causal(self, call: AttentionCall) -> bool:
        """Whether no position attends to a later one."""
        causal = getattr(call.frame.module, "is_causal", None)
        if causal is None and hasattr(call.frame.module, "is_decoder"):
            causal = call.frame.module.is_decoder
        if isinstance(causal, bool):
            return causal or self._decodes(call)
        weights = call.weights
        square = weights.shape[2] == weights.shape[3] > 1
        return square and not bool(weights.detach().triu(1).any())

    def _decodes(self, call: AttentionCall) -> bool:
        """Whether it is in a model that has an encoder, but not in that."""
        return bool(self._encoders) and any(
            _is_encoder_decoder(frame.module) for frame in call.frame.outwards()
        )


def made_readable(model: nn.Module) -> None:
    """Has a twin's modules compute attention in a way that can be read.

    Flash and flex attention never have the weights; eager attention, which has, is the same
    function. Configs are shared with the user's model, so they are replaced, not changed.
    """
    replaced: dict[int, Any] = {}
    for module in model.modules():
        config = vars(module).get("config")
        name = getattr(config, "_attn_implementation", None)
        if isinstance(name, str) and name not in _READABLE:
            if id(config) not in replaced:
                replaced[id(config)] = copy.deepcopy(config)
                replaced[id(config)]._attn_implementation = "eager"
            module.config = replaced[id(config)]


def _encoders(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if _is_encoder_decoder(module):
            encoder = module.get_encoder()  # type: ignore[operator]
            if isinstance(encoder, nn.Module):
                yield encoder


def _is_encoder_decoder(module: nn.Module) -> bool:
    config = getattr(module, "config", None)
    # Encoders have the config of the whole.
    return bool(getattr(config, "is_encoder_decoder", False)) and (
        callable(getattr(module, "get_encoder", None)) and _has_decoder(module)
    )


def _has_decoder(module: nn.Module) -> bool:
    base = getattr(module, "base_model", module)
    return any(isinstance(getattr(one, "decoder", None), nn.Module) for one in (module, base))


def _states(frame: Frame, sequences: int) -> Tensor | None:
    """The vectors of as many sequences that a module was given."""
    given = (*frame.args, *frame.kwargs.values())
    vectors = (v for v in given if isinstance(v, Tensor) and v.dim() == 3 and v.is_floating_point())
    return next((value for value in vectors if sequences in value.shape[:2]), None)
