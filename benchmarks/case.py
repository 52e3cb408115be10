"""What a contestant is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .workloads import Texts

Scores = list[list[float]]
"""Per input a score per wordpiece, of absolute value and sum 1; of a language model one list per
generated token, with the scores of the prompt's tokens."""

_WORST = 4


@dataclass(frozen=True)
class Case:
    """A job: explain these texts in this way.

    Attributes:
        model: As for `workloads.predictor`.
        texts: The inputs.
        method: The method, by the name that it is registered under; in the rows on the start, the
            subcommand of `allennlp`.
        steps: Gradients per input, where the accuracy does not decide; of methods that remove
            units, masked copies of it.
        rule: The rule for the integral, by our name for it.
        accuracy: The largest completeness error, as a share of what the target differs from its
            value at the baseline, that an input may have; None leaves it at `steps`.
        layer: The layer inside the model, by its dotted name, for methods of a layer.
        warm_up: What to explain before anybody looks at the clock; empty for the shortest and the
            longest text.
    """

    model: str
    texts: Texts
    method: str = "integrated-gradients"
    steps: int = 10
    rule: str = "left"
    accuracy: float | None = None
    layer: str | None = None
    warm_up: Texts = ()


@dataclass(frozen=True)
class Job:
    """A case, ready to be timed.

    Attributes:
        run: Does it, and returns the scores.
        share: The share of the case's texts that it explains: the time is divided by it.
        notes: What to say about it in the results.
        clock: What its seconds are read from; None for what the stage reads.
    """

    run: Callable[[], Scores]
    share: float = 1.0
    notes: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] | None = None


class NotReachedError(Exception):
    """The accuracy asked for took more steps than anybody would wait for."""


def fewest_steps(
    first: int,
    last: int,
    accuracy: float,
    texts: Texts,
    errors: Callable[[int, Texts], Sequence[float]],
) -> tuple[int, float]:
    """The first of `first`, 2 · first, 4 · first … that is accurate enough, and its error.

    The worst texts are tried first; all are looked at before a number of steps is taken.

    Args:
        first: Steps to begin with.
        last: Steps to give up after.
        accuracy: The error that no text may reach.
        texts: The texts.
        errors: The errors of some texts at a number of steps.

    Raises:
        NotReachedError: If none up to `last` is.
    """
    steps, worst, attempts = first, texts, []
    while steps <= last:
        found = errors(steps, worst)
        if max(found) < accuracy and len(worst) < len(texts):
            worst, found = texts, errors(steps, texts)
        if max(found) < accuracy:
            return steps, max(found)
        attempts.append(f"{max(found):.1%} at {steps}")
        order = sorted(range(len(worst)), key=lambda number: -found[number])
        worst = tuple(worst[number] for number in order[:_WORST])
        steps *= 2
    raise NotReachedError(f"not reached: the largest error is {', '.join(attempts)} steps")


def normalized(scores: list[float]) -> list[float]:
    """AllenNLP's `|s| / Σ|s|`."""
    total = sum(map(abs, scores)) or 1.0
    return [abs(score) / total for score in scores]
