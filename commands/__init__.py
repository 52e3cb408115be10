"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""

from .compare_interpreters import CompareInterpreters
from .explore import Explore
from .render import Render

__all__ = ["CompareInterpreters", "Explore", "Render"]
