"""`allennlp interpret`, also as `python -m allennlp_saliency.commands.interpret`."""

from .command import Interpret

__all__ = ["Interpret"]
