"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""

from .compare_interpreters import CompareInterpreters
from .render import Render

__all__ = ["CompareInterpreters", "Render"]
