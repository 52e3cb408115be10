"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""

from .compare_interpreters import CompareInterpreters
from .explore import Explore

__all__ = ["CompareInterpreters", "Explore"]
