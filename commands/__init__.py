"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""

from .compare_interpreters import CompareInterpreters
from .explore import Explore
from .interpret import Interpret
from .merge_runs import MergeRuns
from .render import Render

__all__ = ["CompareInterpreters", "Explore", "Interpret", "MergeRuns", "Render"]
