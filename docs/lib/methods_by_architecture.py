"""Every method on every task of thirteen architectures: what ran, and how exactly."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import torch
from allennlp.common import Params
from allennlp.predictors import Predictor

import allennlp_saliency.plugin  # noqa: F401
from allennlp_saliency.interpret import (
    Explanation,
    InterpretationError,
    NotApplicableError,
    SaliencyInterpreter,
)
from tests.zoo.task_models import inputs, predictor, supported

SETTINGS: dict[str, dict[str, Any]] = {
    "sequential-integrated-gradients": {"steps": 4},
    "discretized-integrated-gradients": {"steps": 8},
    "smooth-gradients": {"num_samples": 4},
    "square-gradients": {"num_samples": 4},
    "var-gradients": {"num_samples": 4},
    "gradient-shap": {"num_samples": 4},
}
COMPLETE = ("integrated-gradients", "deeplift", "lrp")
TASKS = {
    "text-classification": "classify",
    "token-classification": "tag",
    "question-answering": "answer",
    "multiple-choice": "choose",
    "masked-lm": "fill",
    "causal-lm": "go on",
    "seq2seq": "translate",
}


@dataclass
class Measured:
    """What came of all methods on one architecture and task.

    Attributes:
        ran: The methods that gave finite scores, one for every token.
        failed: The others, and why.
        unlike: The largest difference between an input alone and in a batch, as a share of the
            largest score.
        incomplete: By method the largest error of completeness, as a share of what was to be
            accounted for.
        stopped: Paths that ended at `max_steps` before the tolerance was reached.
        paths: All paths.
    """

    ran: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unlike: float = 0.0
    incomplete: dict[str, float] = field(default_factory=dict)
    stopped: int = 0
    paths: int = 0


def methods() -> list[str]:
    """The registered names of this project's interpreters."""
    names = SaliencyInterpreter.list_available()
    # Inputs here name no context.
    return sorted(
        n
        for n in names
        if issubclass(SaliencyInterpreter.by_name(n), SaliencyInterpreter)
        and n != "attribute-context"
    )


def measure(name: str, task: str) -> Measured:
    """All methods on one architecture and task."""
    torch.set_num_threads(1)
    measured = Measured()
    owner = predictor(name, task)
    given = [one for first in inputs(name, task) for one in (first, longer(first))]
    if not any(interpreter(owner, "gradient").interpret_batch_json(given)):
        measured.failed["all methods"] = "the random model predicts nothing to explain"
        return measured
    for method in methods():
        made = interpreter(owner, method)
        try:
            together = made.interpret_batch_json(given)
            alone = [made.interpret_json(one) for one in given]
        except InterpretationError as error:
            kind = "does not apply" if isinstance(error, NotApplicableError) else "refused"
            measured.failed[method] = f"{kind}: {error}"
            continue
        pairs = [
            pair
            for several, single in zip(together, alone, strict=True)
            for pair in zip(several, single, strict=True)
        ]
        measured.ran.append(method)
        for one, other in pairs:
            check(one)
            note(measured, method, one, other)
    return measured


def longer(json: dict[str, Any]) -> dict[str, Any]:
    """An input with one word more, so that it shares a batch, padded, with what it is made of."""
    key = next(key for key in ("passage", "sentence", "prompt", "source") if key in json)
    word = " film" if key != "prompt" or "continuation" not in json else " very"
    return {**json, key: json[key] + word}


def interpreter(owner: Predictor, name: str) -> Any:
    """A method by name."""
    params = Params({"type": name, **SETTINGS.get(name, {})})
    return SaliencyInterpreter.from_params(params, predictor=owner)


def check(explanation: Explanation) -> None:
    """Finite scores, one for every token.

    Raises:
        AssertionError: If not.
    """
    for one in explanation.inputs:
        assert len(one.tokens) == len(one.offsets) == len(one.attributions), one
        assert all(map(math.isfinite, one.attributions)), one


def note(measured: Measured, method: str, one: Explanation, other: Explanation) -> None:
    """Takes note of how complete an explanation is, and how much like that of the input alone."""
    change = abs(one.target["value"] - one.target.get("baseline_value", 0.0))
    finished = one.details.get("converged") is not False
    if method in COMPLETE and one.convergence_delta is not None:
        measured.paths += method == "integrated-gradients"
        measured.stopped += not finished
        if finished:
            error = abs(one.convergence_delta) / max(change, 1e-3)
            measured.incomplete[method] = max(measured.incomplete.get(method, 0.0), error)
    if finished:
        left = [score for part in one.inputs for score in part.attributions]
        right = [score for part in other.inputs for score in part.attributions]
        apart = max((abs(a - b) for a, b in zip(left, right, strict=True)), default=0.0)
        measured.unlike = max(measured.unlike, apart / max(map(abs, [*left, 1e-3])))


def page(found: dict[tuple[str, str], Measured]) -> str:
    """The part of the page."""
    return TEXT.format(
        methods=len(methods()),
        runs=sum(len(one.ran) for one in found.values()),
        names=", ".join(f"`{name}`" for name in methods()),
        tasks=tasks_table(found),
        numbers=numbers_table(found),
        failures=failures(found),
    )


def tasks_table(found: dict[tuple[str, str], Measured]) -> str:
    """How many methods ran, per architecture and task."""
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        cells = [found.get((name, task)) for task in TASKS]
        rows.append([name, *("" if c is None else str(len(c.ran)) for c in cells)])
    return table(["architecture", *TASKS.values()], rows)


def numbers_table(found: dict[tuple[str, str], Measured]) -> str:
    """The largest differences and errors, per architecture."""
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        of = [one for (owner, _), one in found.items() if owner == name]
        worst = [max(one.incomplete.get(method, 0.0) for one in of) for method in COMPLETE]
        stopped = f"{sum(one.stopped for one in of)} of {sum(one.paths for one in of)}"
        unlike = max(one.unlike for one in of)
        rows.append([name, f"{unlike:.0e}", *(f"{error:.0e}" for error in worst), stopped])
    head = ["architecture", "batch against single"]
    return table([*head, *(f"`{method}`" for method in COMPLETE), "paths that ended early"], rows)


def failures(found: dict[tuple[str, str], Measured]) -> str:
    """What did not run, and why."""
    reasons = defaultdict(list)
    for (name, task), one in found.items():
        for method, why in one.failed.items():
            reasons[(method, why)].append(f"{name} ({TASKS[task]})")
    if not reasons:
        return "Nothing was refused."
    return "\n".join(
        f"- {method if ' ' in method else f'`{method}`'}, {', '.join(where)}: {why}."
        for (method, why), where in sorted(reasons.items())
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


TEXT = """## Every method on thirteen architectures

Hugging Face models built small from their configs, with random weights and tokenizers trained on a
few sentences, as in `tests/zoo/task_models.py`. Four inputs for each task that an
architecture has a class for, texts of different lengths, given together and each alone; every
registered method ({names}), {runs} runs in all. A run counts if every
score is finite and there is one for every token.

How many of the {methods} methods ran:

{tasks}

The largest difference between the scores of an input in a batch and alone, as a share of its
largest score; and the largest error of completeness, |F(x) - F(x') - Σ scores| as a share of
|F(x) - F(x')|, over all tasks. `integrated-gradients` goes from the zero baseline with its default
of 1 % per path. Where the norm of a vector makes a step there, as RMS norms do, a path may end at
`max_steps`, and says so under `converged`; such paths are counted in the last column and left out
of the others. The baseline `mean` or `pad` has no such step.

{numbers}

{failures}
"""


def measured(chosen: Sequence[str], processes: int) -> dict[tuple[str, str], Measured]:
    """All methods on the architectures that are chosen; of none, on all."""
    pairs = [pair for pair in supported() if not chosen or pair[0] in chosen]
    if not pairs:
        return {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        names, tasks = zip(*pairs, strict=True)
        return dict(zip(pairs, pool.map(measure, names, tasks), strict=True))
