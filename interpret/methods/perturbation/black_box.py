"""Values at coalitions of a program that is known by its answers alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...coalitions.game import Coalitions, Estimator, Floats, Integers, UnitScores, play
from ...coalitions.text_units import TextUnits, units_of_json
from ...errors import InterpretationError
from ...explanation import Explanation, InputAttribution, Interaction, JsonDict, Span
from ...inputs.deletion import without
from ...inputs.given_units import take_units
from ...inputs.json_texts import Path, json_texts, with_texts
from ...interpreter.reading import InputKeys
from ...interpreter.run import Interpretation
from ...target.predicted_output import PredictedOutput

Predict = Callable[[list[JsonDict]], Sequence[Any]]

_ROWS = 64


class OutputGame:
    """A number in the output for inputs whose texts lack some units.

    Args:
        predict: Of a list of inputs their outputs.
        inputs: The inputs.
        units: The units of each.
        numbers: The number of each.
    """

    def __init__(
        self,
        predict: Predict,
        inputs: Sequence[JsonDict],
        units: Sequence[TextUnits],
        numbers: Sequence[PredictedOutput],
    ) -> None:
        self._predict = predict
        self._inputs = inputs
        self._texts = [json_texts(one) for one in inputs]
        self._units = units
        self._numbers = numbers

    @property
    def sizes(self) -> Sequence[int]:
        """Units per input."""
        return [len(own) for own in self._units]

    def values(self, masks: Coalitions, rows: Integers) -> Floats:
        """See `Game`."""
        values = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS):
            chunk = slice(start, start + _ROWS)
            owners = rows[chunk].tolist()
            edited = [
                self._without(owner, mask) for owner, mask in zip(owners, masks[chunk], strict=True)
            ]
            try:
                outputs = self._predict(edited)
            except Exception as error:
                texts = [text for one in edited for text in json_texts(one).values()]
                if all(map(str.strip, texts)):
                    raise
                raise InterpretationError(
                    f"without some units a text is empty, and the predictor takes none "
                    f"({type(error).__name__}: {error}); use a method and units that leave some of "
                    "the text, such as 'leave-one-out'"
                ) from error
            values[chunk] = [
                self._numbers[owner].number(output)
                for owner, output in zip(owners, outputs, strict=True)
            ]
        return values

    def _without(self, owner: int, mask: np.ndarray) -> JsonDict:
        gone: dict[Path, list[Span]] = {}
        for (path, span), stays in zip(self._units[owner].written, mask, strict=False):
            if not stays:
                gone.setdefault(path, []).append(span)
        texts = self._texts[owner]
        return with_texts(
            self._inputs[owner], {path: without(texts[path], own) for path, own in gone.items()}
        )


class BlackBox:
    """Explains outputs of a program.

    Args:
        predict: Of a list of inputs their outputs.
        target: Which number of an output is explained.
        level: What is removed as one; "token" is "word", as there are no tokens.
        estimator_of: The method for the units of an input.
    """

    def __init__(
        self,
        predict: Predict,
        target: PredictedOutput,
        level: str,
        estimator_of: Callable[[TextUnits], Estimator],
    ) -> None:
        self._predict = predict
        self._target = target
        self._level = "word" if level == "token" else level
        self._estimator_of = estimator_of

    def interpretations(
        self, inputs: Sequence[JsonDict], config: JsonDict, complete: bool, predict: bool
    ) -> list[Interpretation]:
        """Explains inputs, each with its own success or failure.

        Args:
            inputs: What the program takes.
            config: The method's config.
            complete: Whether its scores add up to a difference.
            predict: Whether the predictions are wanted too.
        """
        try:
            return self._together(inputs, config, complete, predict)
        except Exception as error:
            if len(inputs) == 1:
                return [Interpretation(error=error)]
        return [
            found
            for one in inputs
            for found in self.interpretations([one], config, complete, predict)
        ]

    def _together(
        self, inputs: Sequence[JsonDict], config: JsonDict, complete: bool, predict: bool
    ) -> list[Interpretation]:
        taken = [take_units(one) for one in inputs]
        inputs = [json for json, _ in taken]
        given = [InputKeys(one) for one in inputs]
        predictions = list(self._predict(list(given)))
        # A program that copies its input may hide which keys it reads.
        units = [
            units_of_json(one, self._level, frozenset(keys.read or one), spans)
            for (one, spans), keys in zip(taken, given, strict=True)
        ]
        numbers = [self._target.at_prediction(one) for one in predictions]
        game = OutputGame(self._predict, inputs, units, numbers)
        found = play(game, [self._estimator_of(own) for own in units])
        return [
            Interpretation(
                dict(prediction) if predict else None,
                [_explanation(own, scores, config, self._described(number, prediction), complete)],
            )
            for own, scores, number, prediction in zip(
                units, found, numbers, predictions, strict=True
            )
        ]

    def _described(self, number: PredictedOutput, prediction: Any) -> JsonDict:
        label = prediction.get("label") if self._target.index is None else None
        index = {} if number.index is None else {"index": number.index}
        return {
            "type": "output",
            "key": number.key,
            **index,
            "label": label if isinstance(label, str) else None,
            "value": number.number(prediction),
        }


def _explanation(
    units: TextUnits, found: UnitScores, config: JsonDict, target: JsonDict, complete: bool
) -> Explanation:
    if not np.isfinite(found.scores).all():
        raise InterpretationError(
            "the scores are not finite: the predictor returned numbers that are not"
        )
    delta = None
    if complete and found.empty_value is not None:
        target = {**target, "baseline_value": found.empty_value}
        delta = target["value"] - found.empty_value - math.fsum(found.scores)
    return Explanation(
        interpreter=config,
        target=target,
        inputs=list(_inputs(units, found)),
        convergence_delta=delta,
        details=dict(found.details),
        warnings=list(found.warnings),
        interactions=[
            Interaction(units.places[i], units.places[j], value)
            for i, j, value in found.interactions
        ],
    )


def _inputs(units: TextUnits, found: UnitScores) -> Iterator[InputAttribution]:
    errors = found.standard_errors
    known = errors is not None and bool(np.isfinite(errors).all())
    for number, field in enumerate(dict.fromkeys(name for name, _ in units.tokens), start=1):
        own = [n for n, (name, _) in enumerate(units.tokens) if name == field]
        yield InputAttribution(
            field=field,
            grad_input=f"grad_input_{number}",
            tokens=[units.names[n] for n in own],
            offsets=[units.written[n][1] for n in own],
            attributions=found.scores[own].tolist(),
            standard_errors=errors[own].tolist() if known and errors is not None else None,
            text=units.texts.get(field),
        )
