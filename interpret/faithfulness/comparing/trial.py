"""Tries methods and removals on a few inputs before a long job: what fits no input is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from allennlp.common.checks import ConfigurationError

from ...errors import SettingError
from ...explanation import Explanation, JsonDict
from ...interpreter.saliency_interpreter import SaliencyInterpreter
from .conclusion import CHANCE
from .sentences import listed

_TRIED = 3
_LOOKED_AT = 16

Measure = Callable[[JsonDict, Sequence[Explanation], str], Exception | None]
"""Of an input, its explanations and the name of a removal: what is wrong, if anything is."""


def without_use(
    methods: Mapping[str, SaliencyInterpreter],
    inputs: Sequence[JsonDict],
    removals: Sequence[str],
    measure: Measure,
) -> dict[str, str]:
    """Tries each method, and each removal, on the first input, and those that fail on the next two.

    An input that `random` cannot explain, or of which nothing is predicted, says nothing of the
    others and is not counted. A setting that fits the model at no input is tried once.

    Args:
        methods: By name, `random` among them.
        inputs: All inputs.
        removals: The names of the removals.
        measure: Measures `random`'s explanations by all metrics.

    Returns:
        Why, by name, a method or a removal ("removal mask") is left out; empty if all work, or no
        input is explained.

    Raises:
        ConfigurationError: If no method but `random`, or no removal, works.
    """
    failed: dict[str, list[Exception]] = {}
    waiting = [name for name in methods if name != CHANCE]
    missing = list(removals)
    tried = 0
    for one in inputs[:_LOOKED_AT]:
        if not (waiting or missing) or tried == _TRIED:
            break
        (known,) = methods[CHANCE].interpret_each([one], progress=False)
        if known.error is not None or not known.explanations:
            continue
        tried += 1
        # Of this input and this name what is wrong, if anything is.
        wrong: dict[str, Exception | None] = {}
        for name in waiting:
            (found,) = methods[name].interpret_each([one], progress=False)
            wrong[name] = found.error
        for name in missing:
            wrong[f"removal {name}"] = measure(one, known.explanations, name)
        for name, error in wrong.items():
            if error is None:
                failed.pop(name, None)
            else:
                failed.setdefault(name, []).append(error)
        waiting = [name for name in waiting if _is_open(failed.get(name))]
        missing = [name for name in missing if _is_open(failed.get(f"removal {name}"))]
    reasons = {name: _reason(errors) for name, errors in failed.items()}
    _refuse_nothing("interpreter", [name for name in methods if name != CHANCE], reasons)
    _refuse_nothing("removal", [f"removal {name}" for name in removals], reasons)
    return reasons


def told(left_out: Mapping[str, str]) -> list[str]:
    """A line for each of what is left out.

    Args:
        left_out: What `without_use` returns.
    """
    return [f"left out: {name}, which {why}" for name, why in left_out.items()]


def _is_open(errors: Sequence[Exception] | None) -> bool:
    """Whether another input may say something else: a method that works needs none."""
    return bool(errors) and not any(isinstance(one, SettingError) for one in errors or ())


def _reason(errors: Sequence[Any]) -> str:
    if isinstance(errors[-1], SettingError):
        return f"does not fit the model: {errors[-1]}"
    texts = list(dict.fromkeys(map(str, errors)))
    where = "the input" if len(errors) == 1 else f"the first {len(errors)} inputs"
    return f"fails on {where}: {listed(texts)}"


def _refuse_nothing(what: str, names: Sequence[str], reasons: Mapping[str, str]) -> None:
    """Makes sure that something is left to compare."""
    if names and all(name in reasons for name in names):
        lines = [f"  {name} {reasons[name]}" for name in names]
        raise ConfigurationError("\n".join([f"no {what} is left to compare", *lines]))
