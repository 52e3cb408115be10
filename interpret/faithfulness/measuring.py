"""Metrics of explanations: the model is asked again, with units removed in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from allennlp.predictors import Predictor
from torch import Tensor

from .. import checks
from ..coalitions.game import play
from ..coalitions.remembered import Remembered
from ..coalitions.removal import Removal, removal_of
from ..coalitions.units import Units
from ..errors import InterpretationError
from ..explanation import Explanation, InputAttribution, JsonDict
from ..inputs.texts import TextItem, text_items, token_spans
from ..interpreter.assembly import Attribution
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..space.baselines import Baseline
from ..space.embedding_space import EmbeddingSpace
from .metric import Measured, Metric, Scored

Measurements = dict[str, dict[str, float]]
"""By the name of a method, by the name of a metric."""

Rationale = Mapping[str, Sequence[Sequence[int]]]
"""Character spans `[start, end)` by field."""


class Measuring(SaliencyInterpreter):
    """Measures explanations of some inputs, by whichever methods they are.

    Args:
        predictor: The predictor whose predictions are explained.
        explanations: By the name of each method, per input what it returned for it.
        metrics: By name.
        removal: How units are removed: "delete", or a baseline that takes their place; see
            `removal_of`.
        rationales: Per input the character spans of the known reason by field, or a list of such,
            one for each of its explanations; may be empty.
        target: The number that is looked at. Probabilities of different models can be compared.
        seed: Seed of what is random in a metric.
        common: What every interpreter takes; see `SaliencyInterpreter`.

    Raises:
        ConfigurationError: If the removal names nothing that there is, or the seed is none.
    """

    def __init__(
        self,
        predictor: Predictor,
        explanations: Mapping[str, Sequence[Sequence[Explanation]]],
        metrics: Mapping[str, Metric],
        removal: Removal | Baseline | str | dict[str, Any] = "mask",
        rationales: Sequence[Rationale | Sequence[Rationale]] = (),
        target: Any = "probability",
        seed: int = 0,
        **common: Any,
    ) -> None:
        super().__init__(predictor, target=target, **common)
        self.removal = removal_of(removal)
        self.seed = checks.seed("seed", seed)
        self._explanations = explanations
        self._metrics = metrics
        self._rationales = rationales

    def measurements(
        self, inputs: Sequence[JsonDict], progress: bool | None = None
    ) -> list[list[Measurements] | Exception]:
        """Measures the explanations of each input.

        Args:
            inputs: What the predictor's `predict_json` takes, in the explanations' order.
            progress: Whether to show a progress bar; None shows it on a terminal if it takes long.

        Returns:
            Per input the measurements of each of its explanations, in order, or why there are none.
        """
        return [
            one
            if isinstance(one, Exception)
            else [
                {
                    method: {name: found.value for name, found in own.items()}
                    for method, own in each.items()
                }
                for each in one
            ]
            for one in self.with_curves(inputs, progress)
        ]

    def with_curves(
        self, inputs: Sequence[JsonDict], progress: bool | None = None
    ) -> list[list[dict[str, dict[str, Measured]]] | Exception]:
        """The same with the target's values that the numbers were made of, where they are curves.

        Args:
            inputs: As for `measurements`.
            progress: Likewise.
        """
        return [
            [explanation.details["measured"] for explanation in one.explanations]
            if one.error is None
            else one.error
            for one in self.interpret_each(inputs, progress=progress)
        ]

    @property
    def n_evaluations(self) -> int:
        return 64

    def config(self) -> JsonDict:
        return {"type": "measuring"}

    def attribute(self, space: EmbeddingSpace) -> Attribution:
        removable = self.removal.removable(space)
        players, units, rows, generators = [], [], [], []
        for row, instance in enumerate(space.instances):
            origin = space.session.origins[id(instance)]
            owner, place = origin.owner, origin.place
            for method, explanations in self._explanations.items():
                explanation = _of_place(explanations[owner], place, method)
                own, scored = self._scored(
                    space, row, explanation, removable[row], self._reason(owner, place)
                )
                for name, metric in self._metrics.items():
                    players.append((row, method, name))
                    units.append(own)
                    rows.append(row)
                    # The same for every method, so that all are compared on the same draws.
                    random = np.random.default_rng((self.seed % 2**64, owner, place))
                    generators.append(metric.measure(scored, random))
        measured: list[dict[str, dict[str, Measured]]] = [
            {method: {} for method in self._explanations} for _ in space.instances
        ]
        if players:
            known = Remembered(self.removal.game(space, units, rows), _numbered(rows, units))
            for (row, method, name), found in zip(players, play(known, generators), strict=True):
                measured[row][method][name] = found
        details = [{"measured": one} for one in measured]
        return Attribution(torch.zeros(space.layout.tokens.shape), details=details)

    def _reason(self, owner: int, place: int) -> Rationale:
        """The known reason of an input's explanation; nothing where there is none."""
        known = self._rationales[owner] if self._rationales else {}
        if isinstance(known, Mapping):
            return known
        return known[place] if place < len(known) else {}

    def _scored(
        self,
        space: EmbeddingSpace,
        row: int,
        explanation: Explanation,
        removable: Tensor,
        rationale: Rationale,
    ) -> tuple[Units, Scored]:
        """The units that an explanation has scores for and that can be removed, and the scores."""
        names: list[str] = []
        tokens_of: list[tuple[str, list[int]]] = []
        positions: list[Tensor] = []
        scores: list[float] = []
        reasons: list[bool] = []
        given = {one.field: one for one in explanation.inputs}
        for field in space.layout.names:
            tokens = space.layout.tokens_of(field)[row]
            for item in text_items(space.instances[row].fields[field]):
                name = item.name(field)
                if name not in given:
                    raise InterpretationError(f"the explanation has no scores for {name!r}")
                for number, members in enumerate(_members(given[name], item)):
                    own = torch.isin(tokens, torch.tensor(members) + item.first_token) & removable
                    if own.any():
                        names.append(given[name].tokens[number])
                        tokens_of.append((name, members))
                        positions.append(own)
                        scores.append(given[name].attributions[number])
                        reasons.append(
                            _overlaps(given[name].offsets[number], rationale.get(name, ()))
                        )
        if not names:
            raise InterpretationError("the text is empty: there is nothing to remove")
        delta = explanation.convergence_delta
        due = explanation.target.get("value", 0.0) - explanation.target.get("baseline_value", 0.0)
        scored = Scored(
            np.asarray(scores),
            np.asarray(reasons) if rationale else None,
            None if delta is None or not due else delta / due,
        )
        units = Units(names, [(0,)] * len(names), tokens_of, positions=torch.stack(positions))
        return units, scored


def _of_place(explanations: Sequence[Explanation], place: int, method: str) -> Explanation:
    if place >= len(explanations):
        raise InterpretationError(
            f"there are {len(explanations)} explanations by {method!r} of an input for which the "
            f"model predicts more; explain it again with this predictor"
        )
    explanation = explanations[place]
    if explanation.overlong is not None and explanation.overlong.get("policy") == "window":
        raise InterpretationError(
            "metrics need one text that the model reads at once, and this one was explained in "
            "windows; cut it ('overlong': 'truncate')"
        )
    return explanation


def _members(one: InputAttribution, item: TextItem) -> list[list[int]]:
    """The tokens of an instance that each token of an explanation stands for: the same, or, where
    it has words or another tokenizer's tokens, those that share characters with it."""
    tokens = [token.text or "" for token in item.text.tokens]
    if one.tokens == tokens:
        return [[number] for number in range(len(tokens))]
    spans = token_spans(item.text.tokens)
    return [
        [
            number
            for number, span in enumerate(spans)
            if span is not None and _overlaps(offset, [span])
        ]
        for offset in one.offsets
    ]


def _overlaps(offset: tuple[int, int] | None, spans: Sequence[Sequence[int]]) -> bool:
    return offset is not None and any(start < offset[1] and offset[0] < end for start, end in spans)


def _numbered(rows: Sequence[int], units: Sequence[Units]) -> list[int]:
    """The same number for players of the same instance with the same units."""
    known: dict[tuple[int, bytes], int] = {}
    return [
        known.setdefault((row, own.positions.numpy().tobytes()), len(known))
        for row, own in zip(rows, units, strict=True)
    ]
