"""What methods that compare an input with a baseline have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...contracts import HasDefaultBaseline
from ...explanation import Interaction, JsonDict
from ...interpreter.assembly import Attribution
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ...registry import construct
from ...space.baselines import Baseline
from ...space.embedding_space import EmbeddingSpace
from .zero_point import ZeroPoint


class BaselineMethod(SaliencyInterpreter):
    """A method that puts down to tokens what the target differs from its value at a baseline.

    Of several baselines it takes the mean of what it finds against each.

    Args:
        predictor: The predictor whose predictions are explained.
        baseline: What stands for an absent word: "zero", "mask", "pad", "unk", "mean",
            `{"type": "token", "token": "the"}`, `{"type": "text", "text": "…"}`, or a list of
            such. None for the predictor's `default_baseline`, where it names one, else "zero".
        common: What every interpreter takes; see `SaliencyInterpreter`.
    """

    def __init__(
        self,
        predictor: Predictor,
        baseline: Baseline | str | dict[str, Any] | list[Any] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(predictor, **common)
        if baseline is None:
            baseline = Baseline.default_implementation
            if isinstance(predictor, HasDefaultBaseline):
                baseline = predictor.default_baseline
        self.baseline = construct(Baseline, baseline)
        self._zero = ZeroPoint(self.baseline)

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        attribution = self.attribute_from(space, self.baselines(space))
        if not torch.isfinite(attribution.scores).all():
            self._zero.explain_overflow(space)
        return attribution

    def attribute_from(self, space: EmbeddingSpace, baselines: Sequence[Tensor]) -> Attribution:
        """Scores the positions of every instance against all baselines.

        Args:
            space: The instances.
            baselines: Points per instance, `(instances, size)` each.
        """
        return mean_attribution([self.attribute_against(space, one) for one in baselines])

    def zero_warning(self, space: EmbeddingSpace) -> list[str]:
        """What to say of gradients at a zero baseline where the model has no value there."""
        return self._zero.warning(space)

    def baselines(self, space: EmbeddingSpace) -> list[Tensor]:
        """The points to attribute against one by one, `(instances, size)` each."""
        return [member(space) for member in self.baseline.members()]

    def attribute_against(self, space: EmbeddingSpace, baseline: Tensor) -> Attribution:
        """Scores the positions of every instance against one baseline.

        Args:
            space: The instances.
            baseline: A point per instance, `(instances, size)`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement attribute_against()")


def mean_attribution(attributions: Sequence[Attribution]) -> Attribution:
    """The mean over several baselines; of the details the least favourable, of those that are
    neither numbers nor yes or no the first's; all remedies and warnings. The mean of the standard
    errors is the most that the mean's can be, since the draws may be the same for all."""
    first = attributions[0]
    if len(attributions) == 1:
        return first
    values = [one.baseline_values for one in attributions if one.baseline_values is not None]
    errors = [one.standard_errors for one in attributions if one.standard_errors is not None]
    return Attribution(
        torch.stack([one.scores.cpu() for one in attributions]).mean(0),
        torch.stack(values).mean(0) if len(values) == len(attributions) else None,
        [_details(several) for several in zip(*(one.details for one in attributions), strict=True)],
        remedies=[
            "; ".join(filter(None, dict.fromkeys(several)))
            for several in zip(*(one.remedies for one in attributions), strict=True)
        ],
        warnings=[
            list(dict.fromkeys(warning for own in several for warning in own))
            for several in zip(*(one.warnings for one in attributions), strict=True)
        ],
        zero_causes=[
            "; ".join(filter(None, dict.fromkeys(several)))
            for several in zip(*(one.zero_causes for one in attributions), strict=True)
        ],
        standard_errors=(torch.stack(errors).mean(0) if len(errors) == len(attributions) else None),
        interactions=[
            _mean_interactions(several)
            for several in zip(*(one.interactions for one in attributions), strict=True)
        ],
    )


def _mean_interactions(several: Sequence[Sequence[Interaction]]) -> list[Interaction]:
    """The mean over baselines of the pairs that were found with all of them."""
    by_pair = [{(one.first, one.second): one.value for one in own} for own in several]
    return [
        Interaction(*pair, sum(own[pair] for own in by_pair) / len(by_pair))
        for pair in by_pair[0]
        if all(pair in own for own in by_pair)
    ]


def _details(several: Sequence[JsonDict]) -> JsonDict:
    merged: JsonDict = {}
    for key, value in several[0].items():
        values: list[Any] = [one.get(key, value) for one in several]
        if isinstance(value, bool):
            value = all(values)
        elif isinstance(value, (int, float)):
            value = max(values)
        merged[key] = value
    return merged
