"""AllenNLP's own interpreters, one input after the other, as they are called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy
from allennlp.interpret.saliency_interpreters import (
    SaliencyInterpreter,
    SimpleGradient,
    SmoothGradient,
    integrated_gradient,
)
from allennlp.predictors import Predictor

from ..case import Case, Job, Scores
from .ours import steps_needed

_OWN_STEPS = 10
_MOST_GRADIENTS = 2048


class IntegratedGradientAtSteps(integrated_gradient.IntegratedGradient):
    """AllenNLP's integrated gradient with another number of steps than the 10 it has in its code.

    The class asks `numpy.linspace` for its points and divides by 10; so this one answers for
    `numpy.linspace`. Scores come out as they would, as they are normalised anyway.
    """

    def __init__(self, predictor: Predictor, steps: int) -> None:
        super().__init__(predictor)
        self.steps = steps

    def _integrate_gradients(self, instance: Any) -> Any:
        with patch.object(integrated_gradient, "numpy", self._numpy()):
            return super()._integrate_gradients(instance)

    def _numpy(self) -> SimpleNamespace:
        def linspace(start: float, stop: float, num: int, endpoint: bool) -> numpy.ndarray:
            assert num == _OWN_STEPS, "AllenNLP's integrated gradient is not what it was"
            return numpy.linspace(start, stop, num=self.steps, endpoint=endpoint)

        return SimpleNamespace(**{**vars(numpy), "linspace": linspace})


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed.

    Raises:
        NotReachedError: If AllenNLP's rule does not become as accurate as the case asks.
    """
    interpreter: SaliencyInterpreter
    texts, notes = case.texts, dict[str, Any](steps=case.steps)
    if case.method == "input-x-gradient":
        interpreter, notes = SimpleGradient(predictor), {}
    elif case.method == "smooth-gradients":
        interpreter = SmoothGradient(predictor)
    elif case.accuracy is None:
        interpreter = integrated_gradient.IntegratedGradient(predictor)
    else:
        steps, error = steps_needed(case, predictor, "left")
        interpreter = IntegratedGradientAtSteps(predictor, steps)
        # One input after the other: the time is proportional to their number.
        some = max(min(len(texts), _MOST_GRADIENTS // steps), 1)
        texts = tuple(texts[number * len(texts) // some] for number in range(some))
        notes = {"steps": steps, "largest error": error}
        if some < len(case.texts):
            notes["measured on"] = f"{some} of {len(case.texts)} inputs"
    if case.accuracy is None and case.method != "input-x-gradient" and case.steps != _OWN_STEPS:
        raise ValueError(f"AllenNLP's {case.method} take {_OWN_STEPS} steps, not {case.steps}")

    def run() -> Scores:
        results = [interpreter.saliency_interpret_from_json(text) for text in texts]
        return [result["instance_1"]["grad_input_1"] for result in results]

    return Job(run, len(texts) / len(case.texts), notes)
