"""Compares methods on the same inputs: faithfulness, agreement, cost."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from tqdm import tqdm

from ..errors import SettingError
from ..explanation import Explanation, JsonDict
from ..interpreter.named import interpreter_of
from ..interpreter.saliency_interpreter import SaliencyInterpreter
from ..registry import construct
from .comparison import Comparison
from .measuring import Measuring, Rationale
from .metric import Measured, MethodMetric, Metric
from .record_store import RecordStore

DEFAULT_METRICS = ("comprehensiveness", "sufficiency", "tau-leave-one-out", "infidelity")
_CHUNK = 16
_TOP = 3
_MOST_TOLD = 60


def compare(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    interpreters: Sequence[str | Mapping[str, Any] | SaliencyInterpreter],
    metrics: Sequence[str | Mapping[str, Any]] = DEFAULT_METRICS,
    removals: Sequence[str | Mapping[str, Any]] = ("mask", "mean"),
    *,
    rationales: Sequence[Rationale | Sequence[Rationale]] = (),
    output: Path | str | None = None,
    target: Any = "probability",
    seed: int = 0,
    progress: bool | None = None,
) -> Comparison:
    """Compares methods by metrics on inputs. `random` always takes part.

    Args:
        predictor: The predictor whose predictions are explained.
        inputs: What its `predict_json` takes.
        interpreters: Names, params dicts, or interpreters of this predictor.
        metrics: Likewise.
        removals: "delete", or baselines that take a unit's place. Methods that remove units in the
            same way are favoured, so give two.
        rationales: Per input the character spans `[start, end)` of the known reason, by field, or a
            list of such, one for each of its explanations.
        output: A folder to write to; a comparison with the same settings goes on where it was.
        target: The number that metrics look at; a model without a probability needs another.
        seed: Seed of what is random in metrics.
        progress: Whether to show a progress bar; None shows it on a terminal if it takes long.

    Raises:
        ConfigurationError: If a name is none, or the folder holds another comparison.
    """
    methods = _methods(predictor, interpreters)
    chosen = {_name_of(one): _metric(one) for one in metrics}
    names = [_name_of(one) for one in removals]
    settings = {
        **_described(predictor, methods, inputs, rationales),
        "metrics": [*map(_params, metrics)],
        "removals": [*map(_params, removals)],
        "target": str(target),
        "seed": seed,
    }
    store = RecordStore(None if output is None else Path(output), settings)
    of_methods = {k: one for k, one in chosen.items() if isinstance(one, MethodMetric)}
    of_scores = {k: one for k, one in chosen.items() if k not in of_methods}
    measured = partial(_measured, predictor, metrics=of_scores, target=target, seed=seed)
    done = {record["input"] for record in store.records}
    seconds = {name: store.seconds.get(name, 0.0) for name in methods}
    hidden = None if progress is None else not progress
    with tqdm(total=len(inputs), initial=len(done), unit="input", delay=2, disable=hidden) as bar:
        for numbers in _chunks([number for number in range(len(inputs)) if number not in done]):
            some = [inputs[number] for number in numbers]
            reasons = [rationales[number] for number in numbers] if rationales else []
            found, spent = _explained(methods, some)
            seconds = {name: seconds[name] + own for name, own in spent.items()}
            by_removal = [
                measured(found=found, inputs=some, removal=removal, rationales=reasons)
                for removal in removals
            ]
            for name, metric in of_methods.items():
                for method, one in methods.items():
                    _add(by_removal, method, name, metric.of_method(one, some, seed))
            store.write(_records(numbers, names, by_removal), seconds)
            bar.update(len(numbers))
    per_input = {name: total / max(len(inputs), 1) for name, total in seconds.items()}
    return Comparison(list(methods), list(chosen), names, store.records, per_input)


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _CHUNK):
        yield numbers[start : start + _CHUNK]


def _records(
    numbers: Sequence[int], removals: Sequence[str], measured: Sequence[Sequence[list[JsonDict]]]
) -> list[JsonDict]:
    """The records of some inputs, input by input; the last of each says so."""
    records: list[JsonDict] = []
    for place, number in enumerate(numbers):
        for removal, by_input in zip(removals, measured, strict=True):
            records += [{"input": number, "removal": removal, **one} for one in by_input[place]]
        records[-1]["last"] = True
    return records


def _digest(values: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(values), sort_keys=True).encode()).hexdigest()


def _described(
    predictor: Predictor,
    methods: Mapping[str, SaliencyInterpreter],
    inputs: Sequence[JsonDict],
    rationales: Sequence[Rationale | Sequence[Rationale]],
) -> JsonDict:
    """What is compared: the model with its weights, the methods, the inputs."""
    if rationales and len(rationales) != len(inputs):
        raise ConfigurationError(f"{len(rationales)} rationales for {len(inputs)} inputs")
    weights = [
        (name, list(one.shape), float(one.detach().double().sum()))
        for name, one in predictor._model.named_parameters()
    ]
    return {
        "model": f"{type(predictor._model).__name__} {_digest(weights)}",
        "interpreters": {name: method.config() for name, method in methods.items()},
        "targets": {name: method.target.title for name, method in methods.items()},
        "inputs": _digest(inputs),
        "rationales": _digest(rationales),
    }


def _methods(
    predictor: Predictor, interpreters: Sequence[str | Mapping[str, Any] | SaliencyInterpreter]
) -> dict[str, SaliencyInterpreter]:
    found: dict[str, SaliencyInterpreter] = {}
    for one in [*interpreters, "random"]:
        if isinstance(one, SaliencyInterpreter):
            method, name = one, str(one.config()["type"])
        else:
            # What does not fit the model is an error of each input, and costs the others nothing.
            made = interpreter_of(one, predictor, check=False)
            name = one if isinstance(one, str) else str(one["type"])
            if not isinstance(made, SaliencyInterpreter):
                raise ConfigurationError(
                    f"{name!r} gives scores without the tokens that they belong to, so it cannot "
                    "be compared; take an interpreter of allennlp_saliency"
                )
            method = made
        if name == "random" and "random" in found:
            continue
        found[name if name not in found else f"{name} {len(found) + 1}"] = method
    return found


def _explained(
    methods: Mapping[str, SaliencyInterpreter], inputs: Sequence[JsonDict]
) -> tuple[dict[str, list[list[Explanation] | Exception]], dict[str, float]]:
    """What each method returns for each input, and the seconds that it took for all."""
    found: dict[str, list[list[Explanation] | Exception]] = {}
    seconds: dict[str, float] = {}
    for name, method in methods.items():
        before = time.perf_counter()
        results = method.interpret_each(inputs, progress=False)
        seconds[name] = time.perf_counter() - before
        found[name] = [one.explanations if one.error is None else one.error for one in results]
    return found, seconds


def _measured(
    predictor: Predictor,
    found: Mapping[str, Sequence[list[Explanation] | Exception]],
    inputs: Sequence[JsonDict],
    metrics: Mapping[str, Metric],
    removal: str | Mapping[str, Any],
    rationales: Sequence[Rationale | Sequence[Rationale]],
    target: Any,
    seed: int,
) -> list[list[JsonDict]]:
    """Per input the records of its explanations, or one of an error. What fails for a method at an
    input costs the numbers of that method alone."""

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


def _add(
    by_removal: Sequence[list[list[JsonDict]]],
    method: str,
    name: str,
    found: Sequence[list[float] | Exception],
) -> None:
    """Adds to the records of each input what a metric found for a method, whatever the removal."""
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


def _metric(one: str | Mapping[str, Any]) -> Metric:
    found: Metric = construct(Metric, one if isinstance(one, str) else dict(one))
    return found


def _params(one: str | Mapping[str, Any]) -> JsonDict:
    return {"type": one} if isinstance(one, str) else dict(one)


def _name_of(one: str | Mapping[str, Any]) -> str:
    params = _params(one)
    rest = ", ".join(_told(key, value) for key, value in params.items() if key != "type")
    return f"{params.get('type')} ({rest})" if rest else str(params.get("type"))


def _told(key: str, value: Any) -> str:
    """A parameter in a name; of many texts it tells how many, and which by their digest."""
    if isinstance(value, list) and len(str(value)) > _MOST_TOLD:
        return f"{len(value)} {key} {_digest(value)[:6]}"
    return f"{key} {value}"
