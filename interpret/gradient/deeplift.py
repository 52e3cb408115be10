"""What a token contributes, by multipliers of differences instead of derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..assembly import Attribution
from ..embedding_space import EmbeddingSpace
from ..errors import InterpretationError
from ..explanation_warnings import lacks
from ..propagation.deeplift_rules import (
    OtherPathError,
    Tape,
    recording,
    replaying,
)
from ..propagation.experts import every_expert
from ..propagation.watch import Losses, Values
from ..reduction import Sum, reduce_coordinates
from ..saliency_interpreter import SaliencyInterpreter
from .against_baseline import AgainstBaseline
from .layer_methods import AtLayerAgainstBaseline


@SaliencyInterpreter.register("deeplift")
class DeepLift(AgainstBaseline):
    """score_t = (e_t - e'_t) · m_t, m the multipliers of ΔF with respect to the embeddings.

    Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating
    Activation Differences", the rescale rule. Which operation gets which rule stands in
    `propagation/deeplift_rules.py`. Complete: the scores add up to F(x) - F(x').

    Operations without a rule keep their gradient; they are named under `without_rule`. What the
    model decides by its embeddings (which experts a token has, what is masked) is part of the
    difference, and is handed to what it was decided by; see `propagation/steps.py`. Mixtures of
    experts compute every expert for every token. Where more than 5 % of the difference are missing,
    `lost` names the operations that lost it.
    """

    complete: ClassVar[bool] = True
    padded: ClassVar[bool] = False

    @property
    def rows_per_instance(self) -> int:
        return 2

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x = space.embeddings
        rows = torch.arange(len(x))
        m = torch.zeros_like(x)
        baseline_values = torch.zeros(len(x), dtype=torch.float64)
        without_rule: set[str] = set()
        with every_expert(space.model):
            for chunk in space.batches(rows):
                with chunk.guard():
                    for some, found in _alone_if_mixed(space, baseline, chunk.rows):
                        m[some], baseline_values[some] = found.multipliers, found.baseline_values
                        without_rule |= found.without_rule
            if space.mixes_rows:
                baseline_values = space.evaluate(baseline, rows)
            scores = reduce_coordinates((x - baseline) * m, space.layout, Sum())
            change = space.values.double().cpu() - baseline_values
            delta = change - scores.double().sum(1).cpu()
            lost = [
                _lost(space, baseline, row) if lacks(float(delta[row]), float(change[row])) else {}
                for row in rows
            ]
        named = {"without_rule": sorted(without_rule)} if without_rule else {}
        details = [{**named, **({"lost": one} if one else {})} for one in lost]
        remedies = [_remedy(one, sorted(without_rule)) for one in lost]
        return Attribution(scores, baseline_values, details, remedies=remedies)


@dataclass(frozen=True)
class _Found:
    """What the two passes of a batch give.

    Attributes:
        multipliers: Of the rows' points.
        baseline_values: The target at their baselines.
        without_rule: Operations that had none.
        tape: What was noted of the baseline's pass.
    """

    multipliers: Tensor
    baseline_values: Tensor
    without_rule: set[str]
    tape: Tape


def _alone_if_mixed(
    space: EmbeddingSpace, baseline: Tensor, rows: Tensor
) -> Iterator[tuple[Tensor, _Found]]:
    """The rows together, or one by one where together some would get what is others'."""
    found = _passes(space, baseline, rows)
    if not found.tape.mixes_rows or len(rows) == 1:
        yield rows, found
        return
    for row in rows.split(1):
        yield row, _passes(space, baseline, row)


def _passes(
    space: EmbeddingSpace,
    baseline: Tensor,
    rows: Tensor,
    noted: Values | None = None,
    losses: Losses | None = None,
) -> _Found:
    tape = Tape()
    x = space.embeddings
    try:
        with recording(tape, noted):
            values = space.values_at(baseline[rows], rows)
        baseline_values = values.detach().double().cpu()
        with replaying(tape, losses) as mode:
            leaf, values = space.leaf_and_values(x[rows], rows)
        tape.close()
    except (OtherPathError, NotImplementedError) as error:
        raise InterpretationError(f"DeepLIFT has no rule for this: {error}") from error
    return _Found(space.gradient(values, leaf), baseline_values, mode.unruled, tape)


def _lost(space: EmbeddingSpace, baseline: Tensor, row: Tensor) -> dict[str, float]:
    """Which operations lost what, the three that lost most.

    Raises:
        InterpretationError: If the model read other numbers off its tensors than for the baseline,
            of which no rule can know what became.
    """
    noted = Values()
    losses = Losses(noted)
    found = _passes(space, baseline, row[None], noted, losses)
    if found.tape.read_otherwise:
        read = ", ".join(sorted(found.tape.read_otherwise))
        raise InterpretationError(
            f"DeepLIFT is not complete for {type(space.model).__name__}: its forward reads numbers "
            f"off tensors that depend on the text ({read}), other ones for the baseline, and what "
            "it does with them is out of sight; use integrated gradients"
        )
    return losses.largest(3)


def _remedy(lost: dict[str, float], without_rule: list[str]) -> str:
    if without_rule:
        return f"DeepLIFT has no rule for {', '.join(without_rule)}; use integrated gradients"
    if lost:
        named = ", ".join(f"{name!r} {amount:.3g}" for name, amount in lost.items())
        return f"of that the operations {named} lost most; use integrated gradients"
    return "name another baseline, or use integrated gradients"


@SaliencyInterpreter.register("layer-deeplift")
class LayerDeepLift(AtLayerAgainstBaseline, DeepLift):
    """DeepLIFT from a layer's outputs for the baseline to those for the input; complete."""
