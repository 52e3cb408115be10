"""Every architecture with every task that transformers has a class for: right or not, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from tests.zoo.architectures import FAULTS, STATUSES, Result

TASKS = {
    "text-classification": "classify",
    "token-classification": "tag",
    "question-answering": "answer",
    "multiple-choice": "choose",
    "masked-lm": "fill",
    "causal-lm": "go on",
    "seq2seq": "translate",
}
#: What a status is called in the table, and what it means.
MEANING = {
    "right": "every check passes",
    "refused": "an error that names the model or what it lacks, and the way out",
    "cannot be built": "cannot be built small here, or not be run on text alone",
    "not compared": "what it predicts is right; Hugging Face's own gradient is not to be had",
    "wrong": "another number than Hugging Face's, or other scores than by hand",
    "differs in a batch": "another number or other scores beside a longer text than alone",
    "incomplete": "scores that do not add up, without a warning",
    "crash": "an error that is not one of this project's own",
}


def page(results: Mapping[str, Result]) -> str:
    """The part of the page."""
    return TEXT.format(
        count=len(results),
        architectures=len({_architecture(name) for name in results}),
        counts=counts(results.values()),
        table=statuses(results),
        reasons="\n\n".join(_reasons(results, status) for status in STATUSES if status != "right"),
        methods=methods(results),
    )


def counts(results: Iterable[Result]) -> str:
    """How many pairs have which status."""
    number = Counter(one.status for one in results)
    rows = [
        f"| {status} | {number[status]} | {MEANING[status]} |"
        for status in MEANING
        if number[status] or status not in FAULTS
    ]
    return "\n".join(["| status | pairs | what it means |", "| --- | --- | --- |", *rows])


def statuses(results: Mapping[str, Result]) -> str:
    """Per architecture the status of each task."""
    lines = [["architecture", *TASKS.values()], ["---"] * (len(TASKS) + 1)]
    for name in sorted({_architecture(pair) for pair in results}):
        cells = (results.get(f"{name}:{task}") for task in TASKS)
        lines.append([name, *("" if one is None else one.status for one in cells)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rows(results: Iterable[Result]) -> str:
    """One line for each pair, with all that was found."""
    lines = []
    for one in results:
        lines.append(f"{one.pair}: {one.status}" + (f" ({one.why})" if one.why else ""))
        lines += [f"    {status}: {check}: {why}" for status, check, why in one.found[1:]]
        lines += [f"    {name}: {what}" for name, what in one.methods.items() if what != "complete"]
    return "\n".join(lines)


def methods(results: Mapping[str, Result]) -> str:
    """Where a method that promises to be complete is refused, or says that it is not."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in results.values():
        if one.status == "refused":
            continue
        for method, what in one.methods.items():
            if what not in ("complete", "incomplete", "promises nothing"):
                found[method, _general(what, one)].append(one.pair)
    if not found:
        return "None."
    return "\n".join(
        f"- `{method}`, {what} ({len(pairs)}): {_grouped(pairs)}."
        for (method, what), pairs in sorted(found.items())
    )


def _reasons(results: Mapping[str, Result], status: str) -> str:
    """The pairs of a status, by the sentence that says why."""
    found: dict[str, list[str]] = defaultdict(list)
    for one in results.values():
        if one.status == status:
            found[_general(one.why, one)].append(one.pair)
    if not found:
        return f"### {status.capitalize()}\n\nNone."
    lines = [
        f"- {_grouped(pairs)}: {why}" for why, pairs in sorted(found.items(), key=lambda p: p[1])
    ]
    return "\n".join([f"### {status.capitalize()}", "", *lines])


def _general(why: str, one: Result) -> str:
    """A sentence without the class that it is said of, so that one sentence is said once."""
    return why.replace(one.class_name, "…")


def _grouped(pairs: Iterable[str]) -> str:
    """`bert (classify, tag), gpt2 (go on)`."""
    tasks: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        name, _, task = pair.partition(":")
        tasks[name].append(TASKS[task])
    return ", ".join(f"{name} ({', '.join(each)})" for name, each in sorted(tasks.items()))


def _architecture(pair: str) -> str:
    return pair.partition(":")[0]


TEXT = """## Every architecture

Every class that transformers names for these seven tasks, {count} pairs of architecture and task of
{architectures} architectures, built small from its config with random weights, with a tokenizer
like its own (`tests/zoo/architectures`), and compared with Hugging Face's own forward on the
tokenizer's ids:

- the predicted numbers are the model's own logits (for generation: the ids that greedy `generate`
  writes, and the logits that it computes), within 1e-4 of the largest;
- `input-x-gradient` is the embedding times the gradient of the predicted label's logit by autograd
  through that forward, within 1e-4 of the largest score;
- both are the same alone and beside a longer text;
- `deeplift` and `lrp` are complete to 1e-3 of what there is to account for and
  `integrated-gradients` to 1 %, or say that they are not, or are refused;
- the user's model is as it was.

{counts}

{table}

{reasons}

### Methods that are refused, or warn that they are not complete

{methods}
"""
