"""Explanations of a function of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from ..errors import InterpretationError
from ..explanation import Explanation, JsonDict, Span
from ..inputs.given_units import KEY
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from .perturbation.perturbation_method import PerturbationMethod

TextFunction = Callable[[list[str]], Any]
"""Of texts their numbers, `(texts,)` or `(texts, classes)`."""


class FunctionPredictor(Predictor):
    """A function of texts as a predictor that reads `{"text": …}` and returns `{"value": …}`.

    Args:
        function: The function.
    """

    def __init__(self, function: TextFunction) -> None:
        # There is no model, which the base class would put into evaluation mode.
        self._function = function

    def predict_batch_json(self, inputs: list[JsonDict]) -> list[JsonDict]:
        """The number, or the numbers, of each text."""
        values = np.asarray(self._function([one["text"] for one in inputs]), dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(inputs):
            raise InterpretationError(
                f"the function returned numbers of shape {values.shape} for {len(inputs)} texts; "
                f"return one number per text, or one per text and class"
            )
        return [{"value": value} for value in values.tolist()]

    def predict_json(self, inputs: JsonDict) -> JsonDict:
        """The same of one text."""
        return self.predict_batch_json([inputs])[0]


def explain_function(
    function: TextFunction,
    text: str,
    method: str | Mapping[str, Any] = "kernel-shap",
    units: str | Sequence[Span] = "word",
    index: int | None = None,
    **settings: Any,
) -> Explanation:
    """Explains a number that a function gives a text by what it gives parts of the text.

    Args:
        function: Of a list of texts their numbers, `(texts,)`, or `(texts, classes)`. Texts may be
            empty.
        text: The text.
        method: A perturbation method: its name or params.
        units: What is removed as one: "word", "sentence" or "paragraph", or a list of spans
            `[start, end)` of characters.
        index: The class to explain; None for the one with the largest number.
        settings: Further parameters of the method.

    Raises:
        ConfigurationError: If it is no perturbation method, or a parameter does not fit.
        InterpretationError: If the function does not return the numbers that it should.
    """
    params = {"type": method} if isinstance(method, str) else dict(method)
    known = SaliencyInterpreter.list_available()
    perturbing = sorted(name for name in known if _perturbs(name))
    if params.get("type") not in perturbing:
        raise ConfigurationError(
            f"{params.get('type')!r} is no method for a function; there are {', '.join(perturbing)}"
        )
    level, given = (units, {}) if isinstance(units, str) else (None, {KEY: {"text": units}})
    target = {"type": "output", "key": "value", "index": index}
    interpreter: Any = SaliencyInterpreter.from_params(
        Params({"units": level, **params, "target": target, **settings}),
        predictor=FunctionPredictor(function),
    )
    (explanation,) = interpreter.interpret_json({"text": text, **given})
    return explanation


def _perturbs(name: str) -> bool:
    kind: Any = SaliencyInterpreter.by_name(name)
    return issubclass(kind, PerturbationMethod)
