"""Compares methods on the same inputs: faithfulness, agreement, cost."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from allennlp.predictors import Predictor
from tqdm import tqdm

from ...explanation import Explanation, JsonDict
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from ..measuring import Measuring, Rationale
from ..metric import MethodMetric, Metric
from .chosen import Given, described, methods_of, metric_of, name_of, params_of
from .comparison import Comparison
from .measured import Cost, add, explained, measured_of
from .record_store import RecordStore
from .trial import Measure, told, without_use

logger = logging.getLogger(__name__)

DEFAULT_METRICS = ("comprehensiveness", "sufficiency", "tau-leave-one-out", "infidelity")
_CHUNK = 16


def compare(
    predictor: Predictor,
    inputs: Sequence[JsonDict],
    interpreters: Sequence[Given | SaliencyInterpreter],
    metrics: Sequence[Given] = DEFAULT_METRICS,
    removals: Sequence[Given] = ("mask", "mean"),
    *,
    rationales: Sequence[Rationale | Sequence[Rationale]] = (),
    output: Path | str | None = None,
    target: Any = "probability",
    seed: int = 0,
    progress: bool | None = None,
) -> Comparison:
    """Compares methods by metrics on inputs. `random` always takes part.

    Before the work begins, each method and each removal is tried on the first inputs. One that
    fails on all of them is left out, with a warning, and stands in `left_out`.

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
        ConfigurationError: If a name is none, no method or no removal fits the model, or the folder
            holds another comparison.
    """
    methods = methods_of(predictor, interpreters)
    chosen = {name_of(one): metric_of(one) for one in metrics}
    by_name = {name_of(one): one for one in removals}
    settings = {
        **described(predictor, methods, inputs, rationales),
        "metrics": [*map(params_of, metrics)],
        "removals": [*map(params_of, removals)],
        "target": str(target),
        "seed": seed,
    }
    store = RecordStore(None if output is None else Path(output), settings)
    done = {record["input"] for record in store.records}
    todo = [number for number in range(len(inputs)) if number not in done]
    of_methods = {k: one for k, one in chosen.items() if isinstance(one, MethodMetric)}
    of_scores = {k: one for k, one in chosen.items() if k not in of_methods}
    trial = _trial(predictor, of_scores, by_name, target, seed)
    left_out = _left_out(store, methods, inputs if todo else [], list(by_name), trial)
    methods = {name: one for name, one in methods.items() if name not in left_out}
    by_name = {k: one for k, one in by_name.items() if f"removal {k}" not in left_out}
    costs = {name: Cost(**store.costs.get(name, {})) for name in methods}
    measured = partial(measured_of, predictor, metrics=of_scores, target=target, seed=seed)
    hidden = None if progress is None else not progress
    with tqdm(total=len(inputs), initial=len(done), unit="input", delay=2, disable=hidden) as bar:
        for numbers in _chunks(todo):
            some = [inputs[number] for number in numbers]
            reasons = [rationales[number] for number in numbers] if rationales else []
            found = explained(methods, some, costs)
            by_removal = [
                measured(found=found, inputs=some, removal=removal, rationales=reasons)
                for removal in by_name.values()
            ]
            for name, metric in of_methods.items():
                for method, one in methods.items():
                    add(by_removal, method, name, metric.of_method(one, some, seed))
            spent = {name: asdict(cost) for name, cost in costs.items()}
            store.write(_records(numbers, list(by_name), by_removal), spent)
            bar.update(len(numbers))
    return Comparison(
        list(methods),
        list(chosen),
        list(by_name),
        store.records,
        {name: cost.seconds / max(len(inputs), 1) for name, cost in costs.items()},
        {name: cost.passes / max(len(inputs), 1) for name, cost in costs.items()},
        {name: metric.higher_is_better for name, metric in chosen.items()},
        left_out,
    )


def _trial(
    predictor: Predictor,
    metrics: Mapping[str, Metric],
    removals: Mapping[str, Given],
    target: Any,
    seed: int,
) -> Measure:
    """Measures explanations of an input by all metrics of scores."""

    def measure(one: JsonDict, explanations: Sequence[Explanation], name: str) -> Exception | None:
        removal = removals[name]
        measuring = Measuring(
            predictor,
            {"random": [explanations]},
            metrics,
            removal if isinstance(removal, str) else dict(removal),
            target=target,
            seed=seed,
        )
        (found,) = measuring.measurements([one], progress=False)
        return found if isinstance(found, Exception) else None

    return measure


def _left_out(
    store: RecordStore,
    methods: Mapping[str, Any],
    inputs: Sequence[JsonDict],
    removals: Sequence[str],
    trial: Measure,
) -> Mapping[str, str]:
    """Why methods and removals are left out; the first of the inputs that are to come show it."""
    if inputs and store.left_out is None:
        store.leave_out(without_use(methods, inputs, removals, trial))
    found = store.left_out or {}
    for line in told(found):
        logger.warning(line)
    return found


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
