"""Every architecture that transformers has for text, small, and what explaining it gives."""

from .build import Built, CannotBeBuiltError, build
from .tables import Pair, chosen, pairs

__all__ = ["Built", "CannotBeBuiltError", "Pair", "build", "chosen", "pairs"]
