"""This project's interpreters, called as a user calls them: JSON in, labelling included."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from allennlp.predictors import Predictor

from allennlp_saliency.interpret import (
    DiscretizedIntegratedGradients,
    Explanation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerIntegratedGradients,
    SaliencyInterpreter,
    SequentialIntegratedGradients,
    SmoothGradients,
)

from ..case import Case, Job, Scores, fewest_steps, normalized
from ..workloads import Texts

# AllenNLP's path: every vector begins at zero, those of special tokens too.
ZERO = {"type": "zero", "keep_special_tokens": False}
MOST_STEPS = 4096
EXACT = "exact"
"""The rule that needs no steps, where the integral is known."""


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    interpreter, notes = _interpreter(case, predictor)

    def run() -> Scores:
        results = interpreter.interpret_batch_json(case.texts)
        return [_scores(interpreter, one) for of_text in results for one in of_text]

    if case.method == "discretized-integrated-gradients":
        # What it keeps of the neighbours is there from now on.
        notes["neighbours, in the first run"] = f"{_seconds(run) - _seconds(run):.1f} s"
    return Job(run, notes=notes)


def _scores(interpreter: SaliencyInterpreter, explanation: Explanation) -> list[float]:
    prompts = [one for one in explanation.inputs if one.field == "prompt"]
    if prompts:
        return normalized(prompts[0].attributions)
    return interpreter.grad_inputs(explanation)["grad_input_1"]


def _interpreter(case: Case, predictor: Predictor) -> tuple[SaliencyInterpreter, dict[str, Any]]:
    notes = {"steps": case.steps}
    if case.method == "input-x-gradient":
        return InputXGradient(predictor), {}
    if case.method == "smooth-gradients":
        return SmoothGradients(predictor, num_samples=case.steps, stdev=0.01), {}
    if case.method == "gradient-shap":
        return GradientShap(predictor, num_samples=case.steps, baseline=ZERO), {}
    if case.method == "layer-integrated-gradients":
        return LayerIntegratedGradients(
            predictor, layer=case.layer, rule=case.rule, baseline=ZERO, steps=case.steps
        ), notes
    if case.method == "sequential-integrated-gradients":
        if case.rule == EXACT:
            return SequentialIntegratedGradients(predictor, baseline=ZERO), {}
        return SequentialIntegratedGradients(
            predictor, rule=case.rule, baseline=ZERO, steps=case.steps
        ), notes
    if case.method == "discretized-integrated-gradients":
        return DiscretizedIntegratedGradients(predictor, baseline=ZERO, steps=case.steps), notes
    if case.accuracy is None:
        return _fixed(predictor, case.steps, case.rule), notes
    if case.rule == "adaptive":
        adaptive = _integrated(predictor, relative_tolerance=case.accuracy, max_steps=MOST_STEPS)
        explained = _explained(adaptive, case)
        found = [one.details["steps"] for one in explained]
        return adaptive, {
            "steps": f"{min(found)} to {max(found)}, median {median(found):g}",
            "largest error": max(map(completeness_error, explained)),
        }
    steps, error = steps_needed(case, predictor, case.rule)
    fixed = _fixed(predictor, steps, case.rule)
    return fixed, {"steps": steps, "largest error": error}


def steps_needed(case: Case, predictor: Predictor, rule: str) -> tuple[int, float]:
    """How many steps a rule needs for a case's accuracy, and its error; see `fewest_steps`."""

    def errors(steps: int, texts: Texts) -> list[float]:
        some = replace(case, texts=texts)
        return [completeness_error(one) for one in _explained(_fixed(predictor, steps, rule), some)]

    assert case.accuracy is not None
    return fewest_steps(8, MOST_STEPS, case.accuracy, case.texts, errors)


def completeness_error(explanation: Explanation) -> float:
    """What the scores miss of the target's change, as a share of it."""
    change = explanation.target["value"] - explanation.target["baseline_value"]
    assert explanation.convergence_delta is not None
    return abs(explanation.convergence_delta) / abs(change)


def _fixed(predictor: Predictor, steps: int, rule: str) -> IntegratedGradients:
    return _integrated(predictor, steps=steps, rule=rule, max_steps=MOST_STEPS)


def _integrated(predictor: Predictor, **parameters: Any) -> IntegratedGradients:
    return IntegratedGradients(predictor, baseline=ZERO, **parameters)


def _explained(interpreter: SaliencyInterpreter, case: Case) -> list[Explanation]:
    return [only for (only,) in interpreter.interpret_batch_json(case.texts)]


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
