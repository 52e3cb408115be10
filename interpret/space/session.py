"""What one call of an interpreter works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..inputs.origin import Origin
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
        origins: By the identity of each instance that is explained the input it comes from.
    """

    twin: Twin
    target: Target
    budget: TokenBudget = field(default_factory=TokenBudget)
    cache: PredictionCache | None = None
    origins: Mapping[int, Origin] = field(default_factory=dict)
