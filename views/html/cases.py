"""What a report shows: inputs, what was predicted of each, and its explanations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, ExplanationFormatError, JsonDict
from allennlp_saliency.views.outputs import WRITTEN


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        explanations: Its explanations, by any number of methods.
        prediction: What the predictor returned for it.
        error: Why it could not be interpreted: `type`, `message`, `line`.
        given: The input, where there was an error.
        title: A heading.
        gold: The label that is right, where it is known.
    """

    explanations: list[Explanation] = field(default_factory=list)
    prediction: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    given: Any = None
    title: str | None = None
    gold: str | None = None


Shown = Case | Explanation | Mapping[str, Any] | Sequence[Explanation]
"""What stands for inputs: an explanation, those of one input, or a line of the output file."""


def cases_of(shown: Iterable[Shown], gold: str | None = None) -> list[Case]:
    """The inputs of a report, in order; explanations of one input by several methods together.

    Explanations are of one input if they have the same texts (besides the text that the model
    writes). An input that stands there twice with one method is shown twice.

    Args:
        shown: Explanations, the explanations of each input, or parsed output lines.
        gold: Of rows of `allennlp interpret --keep KEY`, the key whose value is the right label.

    Raises:
        ExplanationFormatError: If a line has an explanation that cannot be read.
        TypeError: If something is none of these.
    """
    cases: list[Case] = []
    alike: dict[str, list[int]] = {}
    for one in (_case(one, gold) for one in shown):
        key = _texts(one)
        other = next((n for n in alike.get(key, ()) if _joins(cases[n], one)), None)
        if key and other is not None:
            known = cases[other]
            cases[other] = replace(
                known,
                explanations=[*known.explanations, *one.explanations],
                prediction=known.prediction or one.prediction,
                title=known.title or one.title,
                gold=known.gold if known.gold is not None else one.gold,
            )
        else:
            alike.setdefault(key, []).append(len(cases))
            cases.append(one)
    return cases


def method_key(explanation: Explanation) -> str:
    """What two explanations by the same method with the same parameters have in common."""
    return json.dumps(explanation.interpreter, sort_keys=True, default=str)


def output_key(explanation: Explanation) -> str:
    """What explanations of the same output by two methods have in common: its label, and where it
    stands in the text, whatever the tokens."""
    target = explanation.target
    found: JsonDict = {}
    for name, value in target.items():
        if name in ("type", "value", "baseline_value", "function"):
            continue
        found[name] = _places(explanation, value) if name.endswith("positions") else value
    return json.dumps(found, sort_keys=True, default=str)


def _case(shown: Shown, gold: str | None) -> Case:
    if isinstance(shown, Case):
        return shown
    if isinstance(shown, Explanation):
        return Case([shown])
    if isinstance(shown, Mapping):
        return replace(_case_of_line(shown), gold=_gold(shown, gold))
    if isinstance(shown, Sequence) and all(isinstance(one, Explanation) for one in shown):
        return Case(list(shown))
    raise TypeError(
        f"a report shows explanations, lists of them, or parsed output lines, not "
        f"{type(shown).__name__}: parse a line with json.loads, pass the list that interpret_json "
        "returns"
    )


def _gold(line: Mapping[str, Any], key: str | None) -> str | None:
    """What a row keeps under a key."""
    kept = line.get("kept")
    value = kept.get(key) if key is not None and isinstance(kept, Mapping) else None
    return None if value is None else str(value)


def _case_of_line(line: Mapping[str, Any]) -> Case:
    prediction = line.get("prediction")
    prediction = prediction if isinstance(prediction, Mapping) else {}
    if "error" in line:
        error = line["error"]
        error = error if isinstance(error, Mapping) else {"message": str(error)}
        return Case(prediction=prediction, error=error, given=line.get("input"), title=_title(line))
    if "interpreter" in line and "target" in line:
        return Case([Explanation.from_json(dict(line))])
    instances = [line[name] for name in _instances(line)]
    explained = [one["explanation"] for one in instances if "explanation" in one]
    if len(explained) < len(instances):
        message = "this interpreter gives no explanations, only grad_input_1 and the like"
        return Case(prediction=prediction, error={"type": "no explanation", "message": message})
    if not instances and "prediction" not in line:
        raise ExplanationFormatError(
            "a line of the output has 'prediction', 'instance_1' or 'error'"
        )
    found = [Explanation.from_json(one) for one in explained]
    return Case(found, prediction, title=_title(line))


def _title(line: Mapping[str, Any]) -> str | None:
    """The id of a row of `allennlp interpret`."""
    own = line.get("id")
    return str(own) if isinstance(own, (str, int, float)) else None


def _instances(line: Mapping[str, Any]) -> list[str]:
    """`instance_1`, `instance_2`, … by number."""
    names = [
        name
        for name in line
        if name.startswith("instance_") and name[9:].isdecimal() and isinstance(line[name], Mapping)
    ]
    return sorted(names, key=lambda name: int(name[9:]))


def _texts(case: Case) -> str:
    if not case.explanations:
        return ""
    fields = [one for one in case.explanations[0].inputs if one.field != WRITTEN]
    known = [one.text for one in fields if one.text is not None]
    if len(known) == len(fields):
        return json.dumps(sorted(known))
    return json.dumps(sorted([one.field, *one.tokens] for one in fields))


def _joins(known: Case, more: Case) -> bool:
    """Whether the explanations of one case may join those of another: a single one may, if it is of
    another output; those of a whole input, if they are of other methods."""
    if not more.explanations or known.error is not None:
        return False
    methods = {method_key(one) for one in known.explanations}
    if not methods & {method_key(one) for one in more.explanations}:
        return True
    if len(more.explanations) > 1 or known.prediction or more.prediction:
        return False
    (one,) = more.explanations
    outputs = {output_key(own) for own in known.explanations if method_key(own) == method_key(one)}
    return output_key(one) not in outputs or any(own.field == WRITTEN for own in one.inputs)


def _places(explanation: Explanation, positions: Any) -> Iterator[Any] | Any:
    """Token numbers as characters of the text, where these are known."""
    field = explanation.target.get("field")
    own = [one for one in explanation.inputs if field is None or one.field == field]
    if len(own) != 1 or not isinstance(positions, (list, tuple)):
        return positions
    offsets = own[0].offsets
    spans = [offsets[n] for n in positions if isinstance(n, int) and 0 <= n < len(offsets)]
    placed = [span for span in spans if span is not None]
    return [placed[0][0], placed[-1][1]] if placed and len(placed) == len(spans) else positions
