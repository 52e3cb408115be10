"""Pictures of explanations and comparisons, without a browser: PNG, SVG, PDF and LaTeX."""

from allennlp_saliency.views.figures.bulk import save_figures
from allennlp_saliency.views.figures.charts import save_bars, save_curves, save_metrics
from allennlp_saliency.views.figures.heat_map import save_figure
from allennlp_saliency.views.figures.latex import metrics_to_latex, save_latex, to_latex
from allennlp_saliency.views.figures.matrix import save_agreement, save_matrix

__all__ = [
    "metrics_to_latex",
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
