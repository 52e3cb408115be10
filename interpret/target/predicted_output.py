"""A number in what a predictor returns, whatever computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .. import checks
from ..errors import NotApplicableError, SettingError
from .outputs import PROBABILITIES, ModelOutputs
from .targets import Target


@Target.register("output")
class PredictedOutput(Target):
    """A number in the predictor's JSON output. Perturbation methods explain it by
    `predict_batch_json` alone: nothing is known of the model, which may be any program.

    Args:
        key: The key of the output; None for the probabilities, where the output has some.
        index: The number's place in a list; None for the largest number of the unchanged input.

    Raises:
        ConfigurationError: If a parameter has the wrong type.
    """

    def __init__(self, key: str | None = None, index: int | None = None) -> None:
        super().__init__()
        self.key = None if key is None else checks.text("key", key)
        self.index = checks.optional_integer("index", index, least=0)

    def __call__(self, outputs: ModelOutputs) -> Tensor:
        raise NotApplicableError(
            "the target 'output' is a number in the JSON that a predictor returns, and only "
            "perturbation methods such as 'leave-one-out' or 'kernel-shap' explain it, given JSON; "
            "use the target 'logit' or 'probability', or a function of the model's outputs"
        )

    def at_prediction(self, prediction: Mapping[str, Any]) -> PredictedOutput:
        """The same number of every prediction, by what is predicted for the unchanged input.

        Args:
            prediction: The predictor's JSON output.

        Raises:
            SettingError: If there is no such number.
        """
        key = self.key
        if key is None:
            key = next((one for one in PROBABILITIES if one in prediction), None)
        if key is None:
            raise SettingError(
                f"the output has no probabilities, only {_numbers_in(prediction)}; name one, as in "
                '{"type": "output", "key": "score"}'
            )
        if self.index is None and key in prediction and np.ndim(prediction[key]) == 1:
            return PredictedOutput(key, int(np.argmax(prediction[key])))
        return PredictedOutput(key, self.index)

    def number(self, prediction: Mapping[str, Any]) -> float:
        """The number in a prediction.

        Raises:
            SettingError: If there is none.
        """
        try:
            value = prediction[str(self.key)]
            return float(value if self.index is None else value[self.index])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            place = "" if self.index is None else f" at index {self.index}"
            raise SettingError(
                f"the output has no number {self.key!r}{place} ({type(error).__name__}: {error}); "
                f"it has {_numbers_in(prediction)}"
            ) from error


def _numbers_in(prediction: Mapping[str, Any]) -> str:
    found = []
    for key, value in prediction.items():
        try:
            shape = np.shape(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError):
            continue
        found.append(f"{key!r} ({f'{shape[0]} numbers' if len(shape) == 1 else 'a number'})")
    return ", ".join(found) or "no numbers"
