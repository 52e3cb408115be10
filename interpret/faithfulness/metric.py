"""What a metric is: a number for the scores of one input."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
from allennlp.common import Registrable

from ..coalitions.game import Coalitions, Floats
from ..errors import InterpretationError
from ..explanation import JsonDict
from ..interpreter.saliency_interpreter import SaliencyInterpreter


@dataclass(frozen=True)
class Scored:
    """The scores of one input's units, and what is known about them.

    Attributes:
        scores: A signed score per unit, `(units,)`.
        rationale: Whether a unit is part of the known reason, `(units,)`; None if none is known.
        delta: What the scores lack of what they should add up to, as a share of it; None for a
            method that promises no sum.
    """

    scores: Floats
    rationale: np.ndarray | None = None
    delta: float | None = None

    @property
    def order(self) -> np.ndarray:
        """The units by their scores, the largest first; of equal scores the first unit."""
        return np.argsort(-self.scores, kind="stable")


@dataclass(frozen=True)
class Measured:
    """What a metric found for one input.

    Attributes:
        value: The number; NaN where it is not defined.
        curve: The target's values that it was made of, if they are a curve.
    """

    value: float
    curve: Sequence[float] = field(default_factory=list)


Measurement = Generator[Coalitions, Floats, Measured]


class Metric(Registrable):
    """A number for the scores of one input; what it removes is the game's affair."""

    higher_is_better: bool = True
    """Which direction says that an explanation is more faithful."""

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        """Asks for values at coalitions of the units that stay, and returns the number.

        Args:
            scored: The scores.
            generator: The source of randomness, the same for every method that is compared.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement measure()")


class MethodMetric(Metric):
    """A number for what a method does at an input, which one explanation of it does not tell."""

    def of_method(
        self, method: SaliencyInterpreter, inputs: Sequence[JsonDict], seed: int = 0
    ) -> list[list[float] | Exception]:
        """Measures a method at inputs.

        Args:
            method: The method.
            inputs: What its predictor's `predict_json` takes.
            seed: The source of randomness.

        Returns:
            Per input a number for each of its explanations, NaN where it is not defined, or why
            there are none.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement of_method()")

    def measure(self, scored: Scored, generator: np.random.Generator) -> Measurement:
        """Not of scores alone.

        Raises:
            InterpretationError: Always.
        """
        raise InterpretationError(
            f"{type(self).__name__} asks the method again, so scores alone have no such number; "
            "use its of_method(), or `compare`"
        )
