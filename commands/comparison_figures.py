"""The figures of a comparison: metrics with their intervals, agreement, curves."""

from __future__ import annotations

import re
from pathlib import Path

from allennlp_saliency.interpret.faithfulness import Comparison

ENDINGS = (".png", ".svg")


def save_comparison_figures(comparison: Comparison, folder: Path) -> list[Path]:
    """Draws a comparison: `metrics` (a panel per metric), `agreement` (a matrix of methods), and
    `METRIC-REMOVAL` for each metric that is made of a curve.

    Args:
        comparison: What came of comparing.
        folder: The folder to write to; it is there.

    Returns:
        The files, each picture as `.png` and as `.svg`; none if no input could be compared.

    Raises:
        ModuleNotFoundError: If matplotlib is not installed.
    """
    from allennlp_saliency.views import save_agreement, save_curves, save_metrics

    found: list[Path] = []
    if not any("error" not in one for one in comparison.records):
        return found
    for ending in ENDINGS:
        found.append(folder / f"metrics{ending}")
        save_metrics(list(comparison.rows()), found[-1])
        if any(one.get("agreement") for one in comparison.records):
            found.append(folder / f"agreement{ending}")
            save_agreement(comparison.records, found[-1])
        for removal in comparison.removals:
            for metric in comparison.metrics:
                curves = {
                    name: [one for one in own if len(one) > 1]
                    for name, own in comparison.curves(metric, removal).items()
                }
                if curves and all(curves.values()):
                    name = re.sub(r"[^\w.-]+", "-", f"{metric}-{removal}").strip("-")
                    found.append(folder / f"{name}{ending}")
                    save_curves(curves, found[-1], along=f"target, removal: {removal}")
    return found
