"""What inputs were predicted and labelled with, for several interpreters of one predictor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from allennlp.predictors import Predictor

from .labelling import Labelled
from .predictor_labels import PredictionLabels

_Key = tuple[int, int, bool]
"""The identity of an input, which time it is, and whether its prediction is wanted."""


class KnownLabels:
    """Predictions and labelled instances, made by the first interpreter that asks for them.

    They depend on the predictor and the input alone, not on the method or the target. The same
    object is the same input; it must not change in between. All is kept for as long as this is.
    """

    def __init__(self) -> None:
        # With the input itself, so that no other can take its identity.
        self._known: dict[_Key, tuple[Any, Labelled]] = {}

    def labelled(
        self,
        label: Callable[..., list[Labelled]],
        predictor: Predictor,
        inputs: Sequence[Any],
        predict: bool,
        labels: PredictionLabels | None = None,
    ) -> list[Labelled]:
        """One per input, in order; what is not known yet is labelled.

        Args:
            label: `label_json` or `label_instances`.
            predictor: As it takes it, and the arguments after it.
        """
        keys: list[_Key] = []
        seen: Counter[int] = Counter()
        for one in inputs:
            # An object that comes twice has instances of its own each time.
            keys.append((id(one), seen[id(one)], predict))
            seen[id(one)] += 1
        missing = {k: one for k, one in zip(keys, inputs, strict=True) if k not in self._known}
        found = label(predictor, list(missing.values()), predict, labels)
        for key, one in zip(missing, found, strict=True):
            self._known[key] = (missing[key], one)
        return [self._known[key][1] for key in keys]
