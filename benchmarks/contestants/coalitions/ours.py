"""This project's methods that remove units, called as a user calls them: JSON in, labelling
included."""

from __future__ import annotations

from typing import Any

from allennlp.predictors import Predictor

from allennlp_saliency.interpret import Explanation, SaliencyInterpreter

from ...case import Case, Job, Scores, normalized
from ...plain.coalitions import EXACT_UNITS
from ..ours import ZERO

_PARAMETERS: dict[str, dict[str, Any]] = {
    "leave-one-out": {"removal": ZERO},
    "lime": {"removal": ZERO},
    "kernel-shap": {"removal": ZERO, "exact_units": EXACT_UNITS},
    "leave-one-out-parts": {"removal": "delete"},
    "context-cite": {"removal": "delete", "target": "log-odds"},
}
_SAMPLES = {
    "lime": "num_samples",
    "kernel-shap": "num_samples",
    "context-cite": "num_ablations",
}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parameters = dict(_PARAMETERS[case.method])
    if case.method in _SAMPLES:
        parameters[_SAMPLES[case.method]] = case.steps
    name = case.method.removesuffix("-parts")
    interpreter = SaliencyInterpreter.by_name(name)(predictor, **parameters)

    def run() -> Scores:
        results = interpreter.interpret_batch_json(case.texts)
        return [_scores(one) for of_text in results for one in of_text]

    return Job(run)


def _scores(explanation: Explanation) -> list[float]:
    return normalized([score for one in explanation.inputs for score in one.attributions])
