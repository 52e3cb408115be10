"""What is compared on the two models beside the methods: baselines, DeepLIFT's segments, peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from allennlp_saliency.interpret import Explanation

from .measure import Measured, measure, rank_correlation
from .models import RealModel
from .peers import captum_lacking, inseq_lacking

_IG = "integrated-gradients"
SEGMENTS = (1, 4, 16)
# Integrated gradients from the zero baseline do not come back from the language model.
_BASELINES = {"minilm": ("zero", "mean", "pad", "mask", "unk"), "smollm2": ("zero", "mean", "pad")}
_PROMPTS_PER_BASELINE = 4
_INPUTS_IN_SEGMENTS = 6


@dataclass(frozen=True)
class AtBaseline:
    """Integrated gradients and DeepLIFT from one baseline.

    Attributes:
        baseline: Its name.
        integrated: Integrated gradients.
        correlation: DeepLIFT's rank correlation with them, the mean over the inputs; None where
            there are none.
    """

    baseline: str
    integrated: Measured
    correlation: float | None


def baselines(model: RealModel, by_default: Measured) -> list[AtBaseline]:
    """Integrated gradients and DeepLIFT from several baselines.

    Args:
        model: The model and its inputs.
        by_default: Integrated gradients of all inputs from the default baseline.
    """
    some = model.inputs if model.name == "minilm" else model.inputs[:_PROMPTS_PER_BASELINE]
    found = []
    for name in _BASELINES[model.name]:
        if name == model.predictor.default_baseline:
            integrated = by_default.first(len(some))
        else:
            integrated = measure(model.predictor, some, _IG, baseline=name)
        correlation = None
        if not integrated.refused:
            lifted = measure(model.predictor, some, "deeplift", baseline=name)
            correlation = fmean(correlations(lifted.explanations, integrated.explanations))
        found.append(AtBaseline(name, integrated, correlation))
        print(f"  from {name}", flush=True)
    return found


def segments(model: RealModel, integrated: Sequence[Explanation]) -> dict[int, list[float]]:
    """DeepLIFT's rank correlation with integrated gradients from the same baseline, per input, by
    the number of segments of the path; in several segments for the first inputs.

    Args:
        model: The model and its inputs.
        integrated: Integrated gradients of the inputs, by default.
    """
    found = {}
    for count in SEGMENTS:
        some = model.inputs if count == 1 else model.inputs[:_INPUTS_IN_SEGMENTS]
        lifted = measure(model.predictor, some, "deeplift", segments=count)
        found[count] = correlations(lifted.explanations, integrated[: len(some)])
        print(f"  deeplift in {count} segments", flush=True)
    return found


def correlations(left: Sequence[Explanation], right: Sequence[Explanation]) -> list[float]:
    """The rank correlation of the scores, input by input."""
    return [rank_correlation(*both) for both in zip(left, right, strict=True)]


def peers(model: RealModel) -> dict[str, list[float]]:
    """What the scores of captum and inseq lack with 50 points, per input.

    Args:
        model: The model and its inputs.
    """
    found = {}
    for baseline in ("zero", "mean"):
        found[f"captum, {baseline}"] = captum_lacking(model, baseline, model.inputs)
        print(f"  captum from {baseline}", flush=True)
    if "prompt" in model.inputs[0]:
        found["inseq, unk"] = inseq_lacking(model, model.inputs)
        print("  inseq", flush=True)
    return found
