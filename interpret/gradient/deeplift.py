"""What a token contributes, by multipliers of differences instead of derivatives."""

from __future__ import annotations

from typing import ClassVar

import torch
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
        for chunk in space.batches(rows):
            tape = Tape()
            with chunk.guard():
                try:
                    with RuleMode(recording_rules(tape)):
                        values = space.values_at(baseline[chunk.rows], chunk.rows)
                    baseline_values[chunk.rows] = values.detach().double().cpu()
                    with RuleMode(replaying_rules(tape)) as mode:
                        leaf, values = space.leaf_and_values(x[chunk.rows], chunk.rows)
                    tape.close()
                except (OtherPathError, NotImplementedError) as error:
                    raise InterpretationError(f"DeepLIFT has no rule for this: {error}") from error
                m[chunk.rows] = space.gradient(values, leaf)
                without_rule |= mode.unruled
        if space.mixes_rows:
            baseline_values = space.evaluate(baseline, rows)
        scores = reduce_coordinates((x - baseline) * m, space.layout, Sum())
        details = [{"without_rule": sorted(without_rule)} if without_rule else {} for _ in x]
        remedies = [_remedy(sorted(without_rule))] * len(x)
        warnings = [self.zero_warning(space)] * len(x)
        return Attribution(scores, baseline_values, details, remedies=remedies, warnings=warnings)


def _remedy(without_rule: list[str]) -> str:
    if without_rule:
        return f"DeepLIFT has no rule for {', '.join(without_rule)}; use integrated gradients"
    return "name another baseline, or use integrated gradients"


@SaliencyInterpreter.register("layer-deeplift")
class LayerDeepLift(AtLayerAgainstBaseline, DeepLift):
    """DeepLIFT from a layer's outputs for the baseline to those for the input; complete."""
