"""A part of a job: its inputs explained, and what the summary adds up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from allennlp.data import Instance
from allennlp.interpret.saliency_interpreters import SaliencyInterpreter as AnyInterpreter
from allennlp.predictors import Predictor

from allennlp_saliency.interpret.errors import InterpretationError
from allennlp_saliency.interpret.explanation import JsonDict
from allennlp_saliency.interpret.inputs.texts import text_items
from allennlp_saliency.interpret.interpreter.labels.known_labels import KnownLabels
from allennlp_saliency.interpret.interpreter.labels.labelling import reading
from allennlp_saliency.interpret.interpreter.named import interpreter_of
from allennlp_saliency.interpret.interpreter.reading import InputKeys
from allennlp_saliency.interpret.interpreter.saliency_interpreter import SaliencyInterpreter
from allennlp_saliency.interpret.space.packing import let_go
from allennlp_saliency.predictors.saliency.json_lines import error_line, to_jsonable
from allennlp_saliency.predictors.saliency.outcomes import (
    Explains,
    Outcome,
    explained,
    scored,
)

from ..sources.item import Item
from .kept_keys import kept
from .part import Part
from .statistics import Statistics

_NO_TEXT = "the input has no text, so there is nothing to explain"


class Explainer:
    """Explains part after part, each as if it were the first: with interpreters of its own.

    Args:
        predictor: The predictor whose predictions are explained; it is left as it is.
        interpreters: The parameters of each interpreter, with its name as `type`.
        batch_tokens: Padded tokens in a batch at most, for interpreters that say nothing else; None
            for their default.
        max_tokens: An input of more tokens is an error; None to take any.
        keep: Keys of the inputs that rows keep; an input without one has None in its place.
        told: Told about how many inputs of a part are explained, while it is at work.

    Raises:
        ConfigurationError: If there is no such interpreter, or it takes no such parameters.
    """

    def __init__(
        self,
        predictor: Predictor,
        interpreters: Sequence[JsonDict],
        batch_tokens: int | None = None,
        max_tokens: int | None = None,
        keep: Sequence[str] = (),
        told: Callable[[float], None] | None = None,
    ) -> None:
        self._told = told
        self._keep = keep
        self._predictor = predictor
        self._max_tokens = max_tokens
        self._interpreters = interpreters
        self._batch_tokens = batch_tokens
        self._names = names(interpreters)
        self._made()

    def part(self, items: Iterable[Item]) -> Part:
        """Explains the inputs of a part by each interpreter.

        Args:
            items: The inputs.

        Returns:
            Rows and errors in the order of the inputs; of an input that no interpreter gets to,
            one error.
        """
        began = time.monotonic()
        items = list(items)
        problems = [self._problem(item) for item in items]
        read = []
        for place, item in enumerate(items):
            try:
                given = item.given
                read.append(InputKeys(deepcopy(given)) if isinstance(given, dict) else given)
            except Exception as error:  # From Python comes anything, locks and generators included.
                read.append(None)
                problems[place] = problems[place] or error
        places = [number for number, problem in enumerate(problems) if problem is None]
        columns = []
        known = KnownLabels()
        for number, interpreter in enumerate(self._made()):
            if isinstance(interpreter, SaliencyInterpreter) and len(self._names) > 1:
                interpreter.share_labels(known)
            told = self._telling(number, len(items))
            outcomes = iter(self._outcomes(interpreter, [read[one] for one in places], told))
            columns.append(
                [Outcome(error=one) if one is not None else next(outcomes) for one in problems]
            )
        for place in range(len(items)):
            # What one finds of the text holds for all, whatever they make of it.
            if any(_without_text(column[place].instances) for column in columns):
                nothing = InterpretationError(_NO_TEXT)
                for column in columns:
                    column[place] = Outcome(error=nothing)
        statistics = Statistics(self._names)
        rows: list[JsonDict] = []
        errors: list[JsonDict] = []
        for place, item in enumerate(items):
            failed: list[JsonDict] = []
            for name, column in zip(self._names, columns, strict=True):
                found = _row(item, name, column[place], self._keep)
                if isinstance(found, Exception):
                    failed.append(_error(item, name, read[place], found, self._keep))
                    continue
                statistics.add(name, found)
                rows.append(found)
            errors += _folded(failed, len(columns))
        statistics.failed(len(items), errors)
        seconds = time.monotonic() - began
        return Part(rows, errors, statistics.to_json(), statistics.tokens, seconds)

    def _made(self) -> list[AnyInterpreter]:
        """New interpreters: what one has learnt of a model's batches must not reach another part,
        whose scores would depend on what was explained before them."""
        made = [interpreter_of(one, self._predictor) for one in self._interpreters]
        for parameters, interpreter in zip(self._interpreters, made, strict=True):
            if self._batch_tokens is not None and "token_budget" not in parameters:
                _set_budget(interpreter, self._batch_tokens)
        return made

    def _problem(self, item: Item) -> Exception | None:
        """Why an input cannot be explained by any interpreter, as far as that is known."""
        if item.problem is not None or self._max_tokens is None:
            return item.problem
        try:
            given = item.given
            if not isinstance(given, Instance):
                given = reading(self._predictor, None, dict(given or {}))
            fields = given.fields.values()
            count = sum(len(one.text.tokens) for field in fields for one in text_items(field))
        except Exception as error:
            let_go(error)
            return None  # The interpreters say what is wrong with it, and some may know better.
        if count <= self._max_tokens:
            return None
        return InterpretationError(
            f"the input has {count:,} tokens, and max_tokens is {self._max_tokens:,}"
        )

    def _telling(self, before: int, inputs: int) -> Callable[[int, int], None] | None:
        """Tells how many inputs are explained: by so many of the interpreters all, by the next
        one a share."""
        told, interpreters = self._told, len(self._names)
        if told is None:
            return None
        return lambda done, total: told(inputs * (before + done / total) / interpreters)

    def _outcomes(
        self,
        interpreter: AnyInterpreter,
        read: Sequence[Any],
        told: Callable[[int, int], None] | None,
    ) -> list[Outcome]:
        """One outcome per input; inputs and instances of a dataset reader may be mixed."""
        if not isinstance(interpreter, Explains):
            alone = partial(scored, interpreter, self._predictor)
            return [_only_json(interpreter) if isinstance(x, Instance) else alone(x) for x in read]
        found: dict[int, Outcome] = {}
        for instances, call in (
            (False, interpreter.interpret_each),
            (True, interpreter.interpret_each_instance),
        ):
            places = [n for n, one in enumerate(read) if isinstance(one, Instance) == instances]
            outcomes = explained(interpreter, call, [read[place] for place in places], told)
            found.update(zip(places, outcomes, strict=True))
        return [found[place] for place in range(len(read))]


def names(interpreters: Sequence[JsonDict]) -> list[str]:
    """What rows call the interpreters: by their names; one that stands there twice with other
    parameters also by its number, `lime-2`."""
    found: list[str] = []
    for one in interpreters:
        own = [other["type"] for other in interpreters[: len(found)]].count(one["type"])
        found.append(one["type"] if not own else f"{one['type']}-{own + 1}")
    return found


def _set_budget(interpreter: Any, tokens: int) -> None:
    if getattr(interpreter, "token_budget", tokens) is None:
        interpreter.token_budget = tokens


def _only_json(interpreter: AnyInterpreter) -> Outcome:
    return Outcome(
        error=InterpretationError(
            f"{type(interpreter).__name__} interprets JSON inputs alone: take an interpreter of "
            "allennlp_saliency, or inputs that are no instances"
        )
    )


def _row(item: Item, name: str, outcome: Outcome, keep: Sequence[str]) -> JsonDict | Exception:
    """The row of an input; or why there is none."""
    if outcome.error is not None:
        return outcome.error
    row: JsonDict = {**_place(item), "interpreter": name}
    if keep:
        row["kept"] = kept(item.raw, keep)
    row["prediction"] = outcome.prediction
    for number, instance in enumerate(outcome.instances, start=1):
        row[f"instance_{number}"] = instance
    try:
        return to_jsonable(row)
    except Exception as failure:
        let_go(failure)
        return failure


def _place(item: Item) -> JsonDict:
    """Where an input stands; its file only where there are several."""
    place: JsonDict = {"id": item.id, "line": item.line}
    return place if item.file is None else {**place, "file": item.file}


def _without_text(instances: Sequence[JsonDict]) -> bool:
    """Whether the scores of all instances fall on nothing but tokens that the model adds, or there
    are none: of the target `output` no token is added."""
    found = [one["explanation"] for one in instances if "explanation" in one]
    texts = [one["text"] for explanation in found for one in explanation["inputs"]]
    return bool(found) and all(text is not None and not text.strip() for text in texts)


def _error(
    item: Item, name: str | None, read: Any, error: Exception, keep: Sequence[str]
) -> JsonDict:
    line = error_line(item.raw, read, error)
    described = {"type": line["error"]["type"], "message": line["error"]["message"]}
    return {
        **_place(item),
        "number": item.number,
        "interpreter": name,
        "error": described,
        "input": line["input"],
        **({"kept": to_jsonable(kept(item.raw, keep))} if keep else {}),
    }


def _folded(failed: Sequence[JsonDict], interpreters: int) -> list[JsonDict]:
    """One error for an input with which the same is wrong for all interpreters."""
    alike = all(one["error"] == failed[0]["error"] for one in failed)
    if len(failed) == interpreters and alike:
        return [{**failed[0], "interpreter": None}]
    return list(failed)
