"""Batches of models that see padding: convolutions, sums over all positions, fixed blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from allennlp.data import Instance

from allennlp_saliency.interpret.alignment import text_items
from allennlp_saliency.interpret.prediction_check import Mismatch, check_predicted

Outputs = list[dict[str, Any]]
Run = Callable[[list[Instance]], Outputs]


class PaddingCheck:
    """Finds out once whether a model returns the same for an input with and without padding.

    Args:
        dtype: The floating type that the model computes in.
        sees: Whether it sees padding; None to find out.
    """

    def __init__(self, dtype: torch.dtype, sees: bool | None = None) -> None:
        self._dtype = dtype
        self._sees = sees

    def run(self, instances: list[Instance], run: Run) -> Outputs:
        """The outputs of instances; only those of equal length share a batch if the model sees
        padding.

        Args:
            instances: The instances.
            run: Runs a batch.
        """
        groups = _by_length(instances)
        if len(groups) < 2 or self._sees is False:
            return run(instances)
        if self._sees is None:
            outputs = run(instances)
            (shortest, *_) = min(groups, key=lambda group: sum(_lengths(instances[group[0]])))
            self._sees = _differ(run([instances[shortest]])[0], outputs[shortest], self._dtype)
            if not self._sees:
                return outputs
        found: dict[int, dict[str, Any]] = {}
        for group in groups:
            found.update(zip(group, run([instances[n] for n in group]), strict=True))
        return [found[number] for number in range(len(instances))]


def _by_length(instances: Sequence[Instance]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, instance in enumerate(instances):
        groups.setdefault(_lengths(instance), []).append(number)
    return list(groups.values())


def _lengths(instance: Instance) -> tuple[int, ...]:
    """How many tokens each text of an instance has."""
    fields = instance.fields.values()
    return tuple(len(item.text.tokens) for field in fields for item in text_items(field))


def _differ(alone: Mapping[str, Any], padded: Mapping[str, Any], dtype: torch.dtype) -> bool:
    numbers = {name: value for name, value in alone.items() if _is_floating(value)}
    others = {name: torch.as_tensor(padded[name])[None] for name in numbers if name in padded}
    try:
        check_predicted(others, [numbers], dtype)
    except Mismatch:
        return True
    return False


def _is_floating(value: Any) -> bool:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind == "f" and getattr(value, "size", 0) > 0
