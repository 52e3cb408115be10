"""What a token contributes, by multipliers of differences instead of derivatives."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from torch import Tensor

from ..assembly import Attribution
from ..embedding_space import EmbeddingSpace
from ..errors import InterpretationError
from ..propagation.deeplift_rules import (
    OtherPathError,
    Tape,
    recording_rules,
    replaying_rules,
)
from ..propagation.mode import RuleMode
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

    Operations without a rule keep their gradient; they are named under `without_rule`.

    Args:
        predictor: The predictor whose predictions are explained.
        segments: Into how many segments the straight path from the baseline is cut; each is
            attributed from its start to its end, and the scores are added up. 1 is DeepLIFT as it
            was published. More tend to integrated gradients and stay complete at any number: in
            deep models one step over the whole path says little of what lies between.
        common: The baseline, and what every interpreter takes; see `AgainstBaseline`.

    Raises:
        ConfigurationError: If the number of segments is not positive.
    """

    complete: ClassVar[bool] = True
    padded: ClassVar[bool] = False

    def __init__(self, predictor: Predictor, segments: int = 1, **common: Any) -> None:
        super().__init__(predictor, **common)
        if segments < 1:
            raise ConfigurationError(f"segments must be positive, not {segments}")
        self.segments = segments

    @property
    def rows_per_instance(self) -> int:
        return 2 * self.segments

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        x = space.embeddings
        total = torch.zeros_like(x)
        without_rule: set[str] = set()
        baseline_values = torch.zeros(0)
        for number in range(self.segments):
            start, end = (torch.lerp(baseline, x, n / self.segments) for n in (number, number + 1))
            m, values, names = self._multipliers(space, start, end)
            total += (end - start) * m
            without_rule |= names
            if number == 0:
                baseline_values = values
        if space.mixes_rows:
            baseline_values = space.evaluate(baseline, torch.arange(len(x)))
        scores = reduce_coordinates(total, space.layout, Sum())
        details = [{"without_rule": sorted(without_rule)} if without_rule else {} for _ in x]
        remedies = [_remedy(sorted(without_rule))] * len(x)
        warnings = [self.zero_warning(space)] * len(x)
        return Attribution(scores, baseline_values, details, remedies=remedies, warnings=warnings)

    def _multipliers(
        self, space: EmbeddingSpace, start: Tensor, end: Tensor
    ) -> tuple[Tensor, Tensor, set[str]]:
        """The multipliers between two points per instance, `(instances, size)`; the target at the
        first, `(instances,)`; and the operations without a rule."""
        m = torch.zeros_like(end)
        start_values = torch.zeros(len(end), dtype=torch.float64)
        without_rule: set[str] = set()
        for chunk in space.batches(torch.arange(len(end))):
            tape = Tape()
            with chunk.guard():
                try:
                    with RuleMode(recording_rules(tape)):
                        values = space.values_at(start[chunk.rows], chunk.rows)
                    start_values[chunk.rows] = values.detach().double().cpu()
                    with RuleMode(replaying_rules(tape)) as mode:
                        leaf, values = space.leaf_and_values(end[chunk.rows], chunk.rows)
                    tape.close()
                except (OtherPathError, NotImplementedError) as error:
                    raise InterpretationError(f"DeepLIFT has no rule for this: {error}") from error
                m[chunk.rows] = space.gradient(values, leaf)
                without_rule |= mode.unruled
        return m, start_values, without_rule


def _remedy(without_rule: list[str]) -> str:
    if without_rule:
        return f"DeepLIFT has no rule for {', '.join(without_rule)}; use integrated gradients"
    return "name another baseline, or use integrated gradients"


@SaliencyInterpreter.register("layer-deeplift")
class LayerDeepLift(AtLayerAgainstBaseline, DeepLift):
    """DeepLIFT from a layer's outputs for the baseline to those for the input; complete."""
