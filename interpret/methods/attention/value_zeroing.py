"""What becomes of a token's state in a layer that is not let see another token's value."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...attention.attention_reduction import between_real, reduced
from ...attention.attention_space import AttentionSpace, Stack
from ...attention.block_rerun import Rerun
from ...attention.recorder import CROSS
from ...errors import InterpretationError
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .attention_interpreter import AttentionInterpreter, View

_LAYERS = ("mean", "max", "rollout")
# Of a cosine in double precision between states in single precision.
_NOTHING = 1e-11


@SaliencyInterpreter.register("value-zeroing")
class ValueZeroing(AttentionInterpreter):
    """M_ij = C_ij / Σ_k C_ik, C_ij = 1 − cos(x̃_i, x̃_i^{¬j}).

    x̃ is the output of a layer's whole block for the input that it had, x̃^{¬j} the same with the
    value vector of token j set to zero in all heads, while attention weights stay what they are.
    Mohebbi et al. 2023, "Quantifying Context Mixing in Transformers", equations 4 to 6, arXiv
    2301.12971. A zero value is a zero column of the weights, whatever the architecture.

    Args:
        predictor: The predictor whose predictions are explained.
        layers: What M takes of the layers: their "mean" or "max", the "rollout" M_l … M_1 (the
            residual connection is in M already), or the number of one, from 0, or from the last
            with -1.
        final_norm: Whether the states of the last layer are compared after the normalization that
            many stacks of blocks end with.
        threshold: Changes C, from 0 to 2, below it count as none.
        common: What every method that reads attention takes; see `AttentionInterpreter`.

    Raises:
        ConfigurationError: If a parameter is none of these.
        InterpretationError: When interpreting, if there is no such layer, if a model's attention
            is in no block that could be run by itself, or a rollout of cross attention is asked
            for.
    """

    def __init__(
        self,
        predictor: Predictor,
        layers: str | int = "mean",
        final_norm: bool = False,
        threshold: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        self.layers = checks.choice_or_integer("layers", layers, _LAYERS)
        self.final_norm = checks.boolean("final_norm", final_norm)
        self.threshold = checks.number("threshold", threshold, least=0, most=2)
        if layers == "rollout" and self.kind == CROSS:
            raise ConfigurationError("there is no rollout of cross attention alone; name a layer")

    @property
    def zero_cause(self) -> str:
        if not self.threshold:
            return "no layer's states depend on its values"
        return f"no change that it makes reaches the threshold of {self.threshold:g}; lower it"

    def views(self, space: AttentionSpace) -> list[View]:
        views = []
        for stack in space.stacks(self.kind):
            full = self._full(space, stack)
            views.append(View(stack, full, self._matrix(stack, full)))
        return views

    def _matrix(self, stack: Stack, full: Tensor) -> Tensor:
        if self.layers != "rollout":
            return reduced(full, self.layers, 0, "layer")
        if stack.kind == CROSS:
            raise InterpretationError(
                "there is no rollout of cross attention alone; name a layer, or take the 'mean'"
            )
        matrix = full[0]
        for layer in full[1:]:
            matrix = layer @ matrix
        return matrix

    def _full(self, space: AttentionSpace, stack: Stack) -> Tensor:
        """`(layers, sequences, queries, keys)`; rows add up to 1."""
        wanted = range(len(stack.calls))
        if isinstance(self.layers, int) and self.matrices is False:
            reduced(torch.empty(len(wanted)), self.layers, 0, "layer")
            wanted = range(len(wanted))[self.layers :][:1]
        layers = []
        for number, call in enumerate(stack.calls):
            changes = torch.zeros(call.weights[:, 0].shape, dtype=torch.double)
            if number in wanted:
                self._measure(space, Rerun(call, self.final_norm), stack, changes)
            layers.append(changes)
        full = between_real(torch.stack(layers), stack)
        full = torch.where(full < self.threshold, 0.0, full)
        totals = full.sum(-1, keepdim=True)
        return torch.where(totals > _NOTHING, full / totals.clamp_min(_NOTHING), 0.0)

    def _measure(self, space: AttentionSpace, rerun: Rerun, stack: Stack, changes: Tensor) -> None:
        """Writes C of one layer, `(sequences, queries, keys)`."""
        # Sequences without a query that counts are padding.
        there = stack.keys.real & stack.queries.real.any(1, keepdim=True)
        sequences, keys = there.nonzero(as_tuple=True)
        as_it_was = rerun.states().double()
        for rows, states in rerun.without(space, sequences, keys):
            some = sequences[rows].to(states.device)
            cosines = F.cosine_similarity(as_it_was[some], states.double(), dim=-1)
            changes[sequences[rows], :, keys[rows]] = (1 - cosines).clamp_min(0).cpu()
