"""What methods that draw their coalitions at random have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from allennlp.predictors import Predictor

from ... import checks
from .perturbation_method import PerturbationMethod


class SampledMethod(PerturbationMethod):
    """A method that removes random units.

    Args:
        predictor: The predictor whose predictions are explained.
        seed: Seed of what is drawn; the same seed gives the same scores in any batch.
        common: What is removed and how, and what every interpreter takes; see
            `PerturbationMethod`.

    Raises:
        ConfigurationError: If the seed is no integer of 64 bits.
    """

    def __init__(self, predictor: Predictor, seed: int = 0, **common: Any) -> None:
        super().__init__(predictor, **common)
        self.seed = checks.seed("seed", seed)

    def generator(self) -> np.random.Generator:
        """A source of randomness that is the same for every input, in any batch."""
        return np.random.default_rng(self.seed % 2**64)
