"""Views of explanations. They read `Explanation`s and nothing else: no model, no predictor."""

from allennlp_saliency.views.figure import (
    metrics_to_latex,
    save_agreement,
    save_bars,
    save_curves,
    save_figure,
    save_figures,
    save_latex,
    save_matrix,
    save_metrics,
    to_latex,
)
from allennlp_saliency.views.lines import Line, LineError, read_lines
from allennlp_saliency.views.terminal import render, render_line

__all__ = [
    "Line",
    "LineError",
    "metrics_to_latex",
    "read_lines",
    "render",
    "render_line",
    "save_agreement",
    "save_bars",
    "save_curves",
    "save_figure",
    "save_figures",
    "save_latex",
    "save_matrix",
    "save_metrics",
    "to_latex",
]
