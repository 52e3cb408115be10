"""Attention, followed through the layers down to the input."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...attention.attention_reduction import between_real, reduced
from ...attention.attention_space import AttentionSpace, Stack
from ...attention.recorder import CROSS, AttentionCall, Run
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .attention_interpreter import AttentionInterpreter, View, sinks

_HEADS = ("mean", "max")


@SaliencyInterpreter.register("attention-rollout")
class AttentionRollout(AttentionInterpreter):
    """M = A_l … A_1, A_i = (1 − r) W_i + r I with the attention weights W_i of layer i.

    Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", equation 1, arXiv
    2005.00928. A decoder's states are mixed from two texts: with D for what it read itself and X
    for what its encoder read (both rolled out, D from I, X from 0), attention to itself gives A D
    and A X; cross attention r D and (1 − r) W E + r X, E the encoder's rollout. So each row of M
    adds up to 1 over both.

    Args:
        predictor: The predictor whose predictions are explained.
        layer: Down from which layer, from 0, or from the last with -1.
        heads: W: the "mean" or "max" of the heads, or the number of one.
        residual: r, the share of the residual connection.
        common: What every method that reads attention takes; see `AttentionInterpreter`.

    Raises:
        ConfigurationError: If a parameter is of another kind, or `residual` not from 0 to 1.
        InterpretationError: When interpreting, if there is no such layer or head.
    """

    def __init__(
        self,
        predictor: Predictor,
        layer: int = -1,
        heads: str | int = "mean",
        residual: float = 0.5,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.layer = checks.integer("layer", layer)
        self.heads = checks.choice_or_integer("heads", heads, _HEADS)
        self.residual = checks.number("residual", residual, least=0, most=1)

    def views(self, space: AttentionSpace) -> list[View]:
        known: dict[int, dict[str, Tensor]] = {}
        views = []
        for stack in space.stacks(self.kind):
            if id(stack.run) not in known:
                known[id(stack.run)] = self._rolled_out(space, stack.run)
            full = between_real(known[id(stack.run)][stack.kind], stack)
            views.append(View(stack, full, reduced(full, self.layer, 0, "layer")))
        return views

    def warnings(self, space: AttentionSpace, scores: Tensor) -> list[list[str]]:
        return sinks(space, scores)

    def _rolled_out(self, space: AttentionSpace, run: Run) -> dict[str, Tensor]:
        """Per kind of attention `(layers, sequences, positions, positions of the input)`."""
        other: Tensor | None = None
        stacks = {one.kind: one for one in space.stacks_of(run)}
        own = torch.eye(run.calls[0].weights.shape[2], dtype=torch.double)
        own = own.expand(len(run.calls[0].made), -1, -1)
        if run.reads is not None:
            other = self._rolled_out(space, run.reads)[run.reads.own_kind][-1]
            read = torch.zeros(*own.shape[:2], other.shape[-1], dtype=torch.double)
        layers: dict[str, list[Tensor]] = {kind: [] for kind in stacks}
        for call, after in zip_longest(run.calls, run.calls[1:]):
            weights = self._weights(call, stacks[call.kind])
            if call.kind == CROSS and other is not None:
                read = (1 - self.residual) * weights @ other + self.residual * read
                own = self.residual * own
            else:
                mixed = (1 - self.residual) * weights
                own = mixed @ own + self.residual * own
                if other is not None:
                    read = mixed @ read + self.residual * read
            # The next attention is another block's.
            if after is None or call.block is None or call.block is not after.block:
                layers[run.own_kind].append(own)
                if other is not None:
                    layers[CROSS].append(read)
        return {kind: torch.stack(matrices) for kind, matrices in layers.items()}

    def _weights(self, call: AttentionCall, stack: Stack) -> Tensor:
        """W, `(sequences, queries, keys)`: rows add up to 1, whatever was taken of the heads."""
        heads = between_real(call.weights.detach().double().cpu().unsqueeze(0), stack)[0]
        weights = reduced(heads, self.heads, 1, "head")
        return weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
