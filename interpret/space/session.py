"""What one call of an interpreter works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.prediction_cache import PredictionCache
from ..model.twin import Twin
from ..target.targets import Target
from .packing import TokenBudget


@dataclass(frozen=True)
class Session:
    """Made where inputs are interpreted, and handed down; nothing is written onto it.

    Attributes:
        twin: The private copy of the predictor.
        target: The number to explain.
        budget: How many padded tokens go through the model at once.
        cache: The outputs of the prediction pass, None where none are kept.
    """

    twin: Twin
    target: Target
    budget: TokenBudget = field(default_factory=TokenBudget)
    cache: PredictionCache | None = None
