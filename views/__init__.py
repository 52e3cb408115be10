"""Views of explanations. They read `Explanation`s and nothing else: no model, no predictor."""

from allennlp_saliency.views.terminal import render, render_line

__all__ = ["render", "render_line"]
