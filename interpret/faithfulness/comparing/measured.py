"""What was measured of some inputs, as records: what fails for a method costs its numbers alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import numpy as np
from allennlp.predictors import Predictor

from ...errors import SettingError
from ...explanation import Explanation, JsonDict
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ..measuring import Measuring, Rationale
from ..metric import Measured, Metric

_TOP = 3


@dataclass
class Cost:
    """What a method took for all inputs.

    Attributes:
        seconds: Of the clock.
        passes: Forward passes of the model, whatever the number of texts in them.
    """

    seconds: float = 0.0
    passes: float = 0

    def __call__(self) -> None:
        """Counts a forward pass."""
        self.passes += 1


def explained(
    methods: Mapping[str, SaliencyInterpreter],
    inputs: Sequence[JsonDict],
    costs: Mapping[str, Cost],
) -> dict[str, list[list[Explanation] | Exception]]:
    """What each method returns for each input.

    Args:
        methods: By name.
        inputs: What their predictor's `predict_json` takes.
        costs: By the same names; what it took is added.
    """
    found: dict[str, list[list[Explanation] | Exception]] = {}
    for name, method in methods.items():
        before = time.perf_counter()
        results = method.interpret_each(inputs, progress=False, watch=costs[name])
        costs[name].seconds += time.perf_counter() - before
        found[name] = [one.explanations if one.error is None else one.error for one in results]
    return found


def measured_of(
    predictor: Predictor,
    found: Mapping[str, Sequence[list[Explanation] | Exception]],
    inputs: Sequence[JsonDict],
    metrics: Mapping[str, Metric],
    removal: str | Mapping[str, Any],
    rationales: Sequence[Rationale | Sequence[Rationale]],
    target: Any,
    seed: int,
) -> list[list[JsonDict]]:
    """Per input the records of its explanations, or one of an error.

    What fails for a method at an input costs the numbers of that method alone.

    Args:
        predictor: The predictor whose predictions are explained.
        found: What `explained` returns.
        inputs: The inputs.
        metrics: The metrics of scores, by name.
        removal: How units are removed.
        rationales: None, or one for each input.
        target: The number that metrics look at.
        seed: Seed of what is random in metrics.
    """

    def measured(numbers: Sequence[int], methods: Sequence[str]) -> list[Any]:
        """Of some inputs what some methods' explanations have, or why there is nothing."""
        measuring = Measuring(
            predictor,
            {name: [cast(list[Explanation], found[name][n]) for n in numbers] for name in methods},
            metrics,
            removal if isinstance(removal, str) else dict(removal),
            [rationales[n] for n in numbers] if rationales else (),
            target=target,
            seed=seed,
        )
        return measuring.with_curves([inputs[n] for n in numbers], progress=False)

    results: dict[int, list[dict[str, Any]]] = {}
    failed: dict[int, dict[str, str]] = {}
    for number in range(len(inputs)):
        wrong = {name: own[number] for name, own in found.items()}
        failed[number] = {k: str(one) for k, one in wrong.items() if isinstance(one, Exception)}
    whole = [number for number, errors in failed.items() if not errors]
    apart = [number for number, errors in failed.items() if errors]
    together = measured(whole, list(found)) if whole else []
    for number, result in zip(whole, together, strict=True):
        if not isinstance(result, Exception):
            results[number] = result
        elif isinstance(result, SettingError) or len(found) == 1:
            failed[number] = {"": str(result)}  # The same whatever the method.
        else:
            apart.append(number)
    for name in found:
        numbers = [number for number in apart if name not in failed[number]]
        for number, result in zip(
            numbers, measured(numbers, [name]) if numbers else [], strict=True
        ):
            if isinstance(result, Exception):
                failed[number][name] = str(result)
                continue
            places = results.setdefault(number, [{} for _ in result])
            for place, own in zip(places, result, strict=True):
                place.update(own)
    return [
        _records_of(
            results.get(number), failed[number], {name: own[number] for name, own in found.items()}
        )
        for number in range(len(inputs))
    ]


def _records_of(
    results: list[dict[str, Any]] | None, failed: Mapping[str, str], found: Mapping[str, Any]
) -> list[JsonDict]:
    """The records of an input: one for each of its explanations, or one of an error."""
    if not results:
        if results is not None:
            return [{"error": "the model predicts nothing that can be explained"}]
        name, error = next(iter(failed.items()))
        alike = len(set(failed.values())) == 1
        return [{"error": error if alike or not name else f"{name}: {error}"}]
    records: list[JsonDict] = [
        {
            "place": k,
            "measured": {
                name: {metric: one.value for metric, one in by_metric.items()}
                for name, by_metric in own.items()
            },
            "curves": _curves(own),
            "agreement": _agreement({name: found[name][k] for name in own}),
        }
        for k, own in enumerate(results)
    ]
    if failed:
        records[0]["errors"] = [f"{name}: {error}" for name, error in failed.items()]
    return records


def add(
    by_removal: Sequence[list[list[JsonDict]]],
    method: str,
    name: str,
    found: Sequence[list[float] | Exception],
) -> None:
    """Adds to the records of each input what a metric found for a method, whatever the removal.

    Args:
        by_removal: Per removal and input the records.
        method: The method's name.
        name: The metric's.
        found: What its `of_method` returns.
    """
    for by_input in by_removal:
        for records, own in zip(by_input, found, strict=True):
            if "error" in records[0] or method not in records[0]["measured"]:
                continue
            if isinstance(own, Exception):
                records[0].setdefault("errors", []).append(f"{method}, {name}: {own}")
                continue
            for record, value in zip(records, own, strict=True):
                record["measured"][method][name] = value


def _curves(measured: Mapping[str, Mapping[str, Measured]]) -> JsonDict:
    """By metric that has one, by method, the curve to six decimals."""
    found: JsonDict = {}
    for name, by_metric in measured.items():
        for metric, one in by_metric.items():
            if one.curve:
                found.setdefault(metric, {})[name] = [round(value, 6) for value in one.curve]
    return found


def _agreement(explanations: Mapping[str, Any]) -> JsonDict:
    """Spearman's correlation of the scores, and the share of the best units that both have, by pair
    of methods whose explanations have the same tokens."""
    # Imported here: it takes long, and only this needs it.
    from scipy.stats import spearmanr

    found: JsonDict = {}
    for first, second in combinations(sorted(explanations), 2):
        one, other = (
            np.array([score for own in explanations[name].inputs for score in own.attributions])
            for name in (first, second)
        )
        if one.shape == other.shape and len(one) > 1:
            best = [set(np.argsort(-scores)[:_TOP].tolist()) for scores in (one, other)]
            constant = not (np.ptp(one) and np.ptp(other))
            rank = float("nan") if constant else float(spearmanr(one, other).statistic)
            share = len(best[0] & best[1]) / len(best[0])
            found[f"{first}|{second}"] = {"rank": rank, "top": share}
    return found
