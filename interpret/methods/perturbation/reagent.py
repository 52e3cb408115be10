"""Importance that is learned by replacing random units again and again."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from ...coalitions.game import Coalitions, Estimator, Floats, UnitScores, everything
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .sampled_method import SampledMethod

_LARGEST = 1 - 1e-6


def replacements(
    units: int, share: float, steps: int, generator: np.random.Generator
) -> Coalitions:
    """Coalitions without a random share of the units, at least one, `(steps, units)`."""
    count = max(round(share * units), 1)
    order = generator.random((steps, units)).argsort(axis=1).argsort(axis=1)
    return order >= count


def importance(masks: Coalitions, losses: Floats) -> Floats:
    """softmax_i Σ_k logit((1 ± Δ_k) / 2), `+` where k replaced unit i, `(units,)`.

    Args:
        masks: Which units stayed, `(steps, units)`.
        losses: Δ_k = F(x) - F(x ⊙ m_k), from -1 to 1, `(steps,)`.
    """
    bounded = np.clip(losses, -_LARGEST, _LARGEST)
    logits = np.where(masks, -1.0, 1.0).T @ np.log((1 + bounded) / (1 - bounded))
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def reagent(units: int, share: float, steps: int, generator: np.random.Generator) -> Estimator:
    """The `importance` of units after so many random `replacements`."""
    masks = replacements(units, share, steps, generator)
    values = yield np.concatenate([everything(units), masks])
    return UnitScores(importance(masks, values[0] - values[1:]))


@SaliencyInterpreter.register("reagent")
class ReAGent(SampledMethod):
    """score = softmax_i Σ_k logit((1 ± Δ_k) / 2), Δ_k = p(x) - p(x without some random units).

    `+` for the units that step k replaced, `-` for the others.

    Zhao and Shan 2024, "ReAGent: A Model-agnostic Feature Attribution Method for Generative
    Language Models", algorithm 1. A removed unit takes the place of a second language model's word,
    and every step counts, whether or not a few units are enough by then.

    The target must be a probability.

    Args:
        predictor: The predictor whose predictions are explained.
        steps: Random replacements.
        share: Share of the units that each replaces.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`. The default target is "probability" here.

    Raises:
        ConfigurationError: If a parameter has the wrong type, or is out of range.
    """

    def __init__(
        self,
        predictor: Predictor,
        steps: int = 128,
        share: float = 0.3,
        target: Any = "probability",
        **common: Any,
    ) -> None:
        super().__init__(predictor, target=target, **common)
        self.steps = checks.integer("steps", steps, least=1)
        self.share = checks.number("share", share, above=0, most=1)

    @property
    def n_evaluations(self) -> int:
        return self.steps

    def estimator(self, units: int) -> Estimator:
        return reagent(units, self.share, self.steps, self.generator())
