"""Every architecture that transformers has for text, small, and what explaining it gives."""

from .build import Built, CannotBeBuiltError, build
from .result import FAULTS, STATUSES, Result
from .sweep import sweep
from .tables import Pair, chosen, pairs

__all__ = [
    "FAULTS",
    "STATUSES",
    "Built",
    "CannotBeBuiltError",
    "Pair",
    "Result",
    "build",
    "chosen",
    "pairs",
    "sweep",
]
