"""What a token contributes, by multipliers of differences instead of derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ... import checks
from ...errors import InterpretationError
from ...interpreter.assembly import Attribution
from ...interpreter.explanation_warnings import lacks, lost_by
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...reduction import Sum, reduce_coordinates
from ...rules.deeplift.rules import OtherPathError, Tape, recording, replaying
from ...rules.experts import every_expert
from ...rules.watch import Losses, Values
from ...space.embedding_space import EmbeddingSpace
from ..layer_methods import LayerBaselineMethod
from ..path.baseline_method import BaselineMethod


@SaliencyInterpreter.register("deeplift")
class DeepLift(BaselineMethod):
    """score_t = (e_t - e'_t) · m_t, m the multipliers of ΔF with respect to the embeddings.

    Shrikumar, Greenside and Kundaje 2017, "Learning Important Features Through Propagating
    Activation Differences", the rescale rule. Which operation gets which rule stands in
    `propagation/deeplift_rules.py`. Complete: the scores add up to F(x) - F(x').

    Operations without a rule keep their gradient; they are named under `without_rule`. What the
    model decides by its embeddings (which experts a token has, what is masked) is part of the
    difference, and is handed to what it was decided by; see `propagation/steps.py`. Mixtures of
    experts compute every expert for every token. Where more than 5 % of the difference are missing,
    `lost` names the operations that lost it.

    Args:
        predictor: The predictor whose predictions are explained.
        segments: Into how many segments the straight path from the baseline is cut; each is
            attributed from its start to its end, and the scores are added up. 1 is DeepLIFT as it
            was published. More tend to integrated gradients and stay complete at any number: in
            deep models one step over the whole path says little of what lies between.
        common: The baseline, and what every interpreter takes; see `BaselineMethod`.

    Raises:
        ConfigurationError: If the number of segments is no positive integer.
    """

    complete: ClassVar[bool] = True
    mixes_lengths: ClassVar[bool] = False

    def __init__(self, predictor: Predictor, segments: int = 1, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.segments = checks.integer("segments", segments, least=1)

    @property
    def n_evaluations(self) -> int:
        return 2 * self.segments

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x = space.embeddings
        total = torch.zeros_like(x)
        unsupported_ops: set[str] = set()
        baseline_values = torch.zeros(len(x), dtype=torch.float64)
        rows = torch.arange(len(x))
        with every_expert(space.model):
            for number in range(self.segments):
                start, end = self._segment(baseline, x, number)
                for some, found in _multipliers(space, start, end):
                    total[some] += (end[some] - start[some]) * found.multipliers
                    unsupported_ops |= found.unsupported_ops
                    if number == 0:
                        baseline_values[some] = found.start_values
            if space.mixes_rows:
                baseline_values = space.evaluate(baseline, rows)
            scores = reduce_coordinates(total, space.layout, Sum())
            change = space.values.double().cpu() - baseline_values
            delta = change - scores.double().sum(1).cpu()
            ends = self._segment(baseline, x, 0)
            lost = [
                _lost(space, *ends, row) if lacks(float(delta[row]), float(change[row])) else {}
                for row in rows
            ]
        named = {"without_rule": sorted(unsupported_ops)} if unsupported_ops else {}
        details = [{**named, **({"lost": one} if one else {})} for one in lost]
        remedies = [lost_by(one, unsupported_ops) for one in lost]
        warnings = [self.zero_warning(space)] * len(x)
        return Attribution(scores, baseline_values, details, remedies=remedies, warnings=warnings)

    def _segment(self, baseline: Tensor, x: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """The ends of a segment of the straight paths, `(instances, size)` each."""
        first, last = number / self.segments, (number + 1) / self.segments
        return torch.lerp(baseline, x, first), torch.lerp(baseline, x, last)


@dataclass(frozen=True)
class _Found:
    """What the two passes of a batch give.

    Attributes:
        multipliers: Of the rows' points, `(rows, size)`.
        start_values: The target where they start.
        unsupported_ops: Operations that had none.
        tape: What was noted of the first pass.
    """

    multipliers: Tensor
    start_values: Tensor
    unsupported_ops: set[str]
    tape: Tape


def _multipliers(
    space: EmbeddingSpace, start: Tensor, end: Tensor
) -> Iterator[tuple[Tensor, _Found]]:
    """The multipliers between two points of each instance, batch by batch."""
    for chunk in space.batches(torch.arange(len(end))):
        found: list[tuple[Tensor, _Found]] = []
        with chunk.guard():
            found = list(_alone_if_mixed(space, start, end, chunk.rows))
        yield from found


def _alone_if_mixed(
    space: EmbeddingSpace, start: Tensor, end: Tensor, rows: Tensor
) -> Iterator[tuple[Tensor, _Found]]:
    """The rows together, or one by one where together some would get what is others'."""
    found = _passes(space, start, end, rows)
    if not found.tape.mixes_rows or len(rows) == 1:
        yield rows, found
        return
    for row in rows.split(1):
        yield row, _passes(space, start, end, row)


def _passes(
    space: EmbeddingSpace,
    start: Tensor,
    end: Tensor,
    rows: Tensor,
    noted: Values | None = None,
    losses: Losses | None = None,
) -> _Found:
    tape = Tape()
    try:
        with recording(tape, noted):
            values = space.values_at(start[rows], rows)
        start_values = values.detach().double().cpu()
        with replaying(tape, losses) as mode:
            leaf, values = space.leaf_and_values(end[rows], rows)
        tape.close()
    except (OtherPathError, NotImplementedError) as error:
        raise InterpretationError(f"DeepLIFT has no rule for this: {error}") from error
    return _Found(space.gradient(values, leaf), start_values, mode.unsupported_ops, tape)


def _lost(space: EmbeddingSpace, start: Tensor, end: Tensor, row: Tensor) -> dict[str, float]:
    """Which operations lost what between two points, the three that lost most.

    Raises:
        InterpretationError: If the model read other numbers off its tensors than for the baseline,
            of which no rule can know what became.
    """
    noted = Values()
    losses = Losses(noted)
    found = _passes(space, start, end, row[None], noted, losses)
    if found.tape.read_otherwise:
        read = ", ".join(sorted(found.tape.read_otherwise))
        raise InterpretationError(
            f"DeepLIFT is not complete for {type(space.model).__name__}: its forward reads numbers "
            f"off tensors that depend on the text ({read}), other ones for the baseline, and what "
            "it does with them is out of sight; use 'integrated-gradients'"
        )
    return losses.largest(3)


@SaliencyInterpreter.register("layer-deeplift")
class LayerDeepLift(LayerBaselineMethod, DeepLift):
    """DeepLIFT from a layer's outputs for the baseline to those for the input; complete."""
