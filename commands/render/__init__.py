"""`allennlp render`, also as `python -m allennlp_saliency.commands.render`."""

from .command import Render

__all__ = ["Render"]
