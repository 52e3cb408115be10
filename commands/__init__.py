"""Subcommands of `allennlp`, and the console script `allennlp-saliency`."""

from .compare_interpreters import CompareInterpreters

__all__ = ["CompareInterpreters"]
