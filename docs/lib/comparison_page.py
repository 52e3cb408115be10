"""`docs/comparison.md`, out of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from method_names import called

Results = Mapping[str, Any]
"""By fixture, as `docs/comparison.json` has it."""

HEAD = """\
# Methods compared

Written by `python docs/make_comparison.py` (the numbers stand in `comparison.json`); change
nothing here by hand but in `docs/lib/comparison_page.py`. All methods with their default
parameters, on inputs of the [fixtures](../fixtures/README.md) that the models have right, about
sixteen explanations of at least six inputs each; means with 95 % intervals (bootstrap over
inputs). The equations stand in [faithfulness.md](faithfulness.md).

- Units are removed in two ways, neither of which is the default baseline (`zero`) of a method: by
  the token `mask` (`unk` where a vocabulary has no mask) in their place, and by deleting them
  from the text (`delete`); where that cannot be (what is predicted belongs to tokens of the text
  in `ner` and `question-answering`; `choices`, `sentiment-lstm` and `copy-lm` take no empty text)
  by the mean embedding in their place (`mean`).
- **comprehensiveness**, higher is better, and **sufficiency**, lower is better, of the
  probability of what is explained (of the answer's log-likelihood for `question-answering`).
- **F1** and **AUPRC** of the known reason, higher is better.
- A number in *italics* is no better than chance: the interval of its difference from `random`,
  over the same explanations, does not lie above 0.
- Not measured here: the fixtures {not_measured}, whose reasons integrated gradients and
  leave-one-out find (`tests/fixtures`).
- Not listed: methods at a layer, which are the others where no layer is named;
  {left_out}.
  What a model has no use for (attention, in one without) is left out of its table.
"""

USE = """\
## What to use when

{facts}

So, as far as these tasks go:

- **By default, with a few hundred forward passes to spare:** `shapley-sampling`, `kernel-shap` or
  `owen` (`lime` with fewer). They beat chance in every task here, need no gradient, say how exact
  they are (`standard_errors`), and give what speaks against the prediction the other sign: a
  negated word ranks last, which comprehensiveness rewards and F1 of the reason, which counts it as
  found only among the best, does not.
- **To find the words of a reason:** `integrated-gradients`, `gradient-shap`, `deeplift` (in fewer
  passes) or `leave-one-out` find most of it. `leave-one-out` misses what is said twice.
- **One gradient at the input** (`input-x-gradient`, `attention-x-gradient`) is cheap and weak: in a
  model that is sure it is hardly better than chance, and it does not find a shortcut planted in a
  real classifier ([real-models.md](real-models.md)), which the methods above all rank first.
- **`gradient`, `gradient-norm`, `one-hot-gradient`, `square-gradients`, `var-gradients`, `sobol`,
  `value-zeroing` and attention have no sign**: they tell where the model is sensitive or looks, not
  what speaks for its prediction. Most find a shortcut, too, and are lost where much speaks
  against the prediction: `allennlp compare-interpreters` says whether they beat `random` on yours.
- **Which words are enough:** `minimal-sufficient-set`. It is not made to rank the others.
- **A long text, few passes:** `context-cite` on sentences.
"""

# Methods with the scores of another: no row of their own.
LEFT_OUT = {
    "integrated-hessians": "whose tokens have the scores of `integrated-gradients`",
    "noise-tunnel": "which has the method that it is given",
    "attribute-context": "which asks another question",
}
NOT_MEASURED = ("masked-words", "roles", "coreference", "dependencies")
UNSIGNED = (
    *("attention", "attention-rollout", "value-zeroing", "sobol"),
    *("gradient", "gradient-norm", "one-hot-gradient", "square-gradients", "var-gradients"),
)
FIRST_ORDER = ("attention-x-gradient", "input-x-gradient")
WHY = {
    "first-order": (
        "A derivative at the input, where the model is sure: what little of it is left need not "
        "point to where the evidence is."
    ),
    "unsigned": (
        "Its scores have no sign: what speaks against the prediction ranks with what speaks for "
        "it, and goes as early."
    ),
    "set": (
        "All units outside of its set have the score 0 and keep the order of the text; where the "
        "set is small, most of the ranking is arbitrary."
    ),
    "few": "Better in the mean, but not on so few explanations that chance is ruled out.",
    "worse": "No better in the mean either.",
}
HERE = {
    "choices": (
        "`smooth-gradients`: noise of 15 % of the embeddings' range hides what the model reads; "
        "with `stdev` 0.02 its comprehensiveness (`mask`) rises from 0.65 to 0.75, six inputs."
    ),
    "sentiment": (
        "Without its reason the model is undecided, at 0.5 of two labels, and in texts so short "
        "random orders come upon the reason soon, too. Only an order that leaves what speaks "
        "against the prediction (the negated word, without its negator) to the end falls below "
        "0.5, and that is what Shapley values and their kin find."
    ),
    "topics": (
        "The model averages its embeddings: the gradient is the same at every token, and the "
        "order of bare gradients is that of the text."
    ),
}


def page(results: Results) -> str:
    """The whole page.

    Args:
        results: What was measured, by fixture.
    """
    left_out = ", and ".join(f"`{name}`, {why}" for name, why in LEFT_OUT.items())
    parts = [
        HEAD.format(left_out=left_out, not_measured=", ".join(f"`{n}`" for n in NOT_MEASURED)),
        USE.format(facts=_facts(results)),
        *map(_summary, _removals(results)),
    ]
    parts += [_chance(results), _hard(results)]
    parts += [_fixture(name, one) for name, one in results.items()]
    return "\n".join(parts).rstrip() + "\n"


def beats_random(result: Mapping[str, Any], method: str, removal: str) -> bool:
    """Whether a method's comprehensiveness lies above that of `random`, interval and all."""
    return bool(result["comprehensiveness_above_random"][removal][method]["low"] > 0)


def reason_why_not(result: Mapping[str, Any], method: str, removal: str) -> str:
    """The key in `WHY` of why a method is no better than chance."""
    if method == "minimal-sufficient-set":
        return "set"
    if method in UNSIGNED:
        return "unsigned"
    if method in FIRST_ORDER:
        return "first-order"
    above = result["comprehensiveness_above_random"][removal][method]["mean"]
    return "few" if above > 0 else "worse"


def _removals(results: Results) -> list[tuple[Results, int]]:
    return [(results, 0), (results, 1)]


def _removal(result: Mapping[str, Any], number: int) -> str:
    return list(dict.fromkeys(row["removal"] for row in result["rows"]))[number]


def _methods(results: Results) -> list[str]:
    return sorted({row["interpreter"] for one in results.values() for row in one["rows"]})


def _row(result: Mapping[str, Any], method: str, removal: str) -> Mapping[str, Any] | None:
    for row in result["rows"]:
        if (row["interpreter"], row["removal"]) == (method, removal):
            return row
    return None


def _summary(given: tuple[Results, int]) -> str:
    """Comprehensiveness of every method on every fixture."""
    results, number = given
    rows = []
    for method in _methods(results):
        cells = []
        for one in results.values():
            removal = _removal(one, number)
            found = _row(one, method, removal)
            cells.append(_cell(found, "comprehensiveness"))
            if found and not beats_random(one, method, removal):
                cells[-1] = f"*{cells[-1]}*"
        rows.append([f"`{method}`", *cells])
    how = (
        "deleted (`ner`, `question-answering`: replaced by `mean`)"
        if number
        else "replaced by `mask` or `unk`"
    )
    title = f"## Comprehensiveness, units {how}\n"
    return f"{title}\n{_table(['method', *results], rows)}\n"


def _fixture(name: str, result: Mapping[str, Any]) -> str:
    first, second = (_removal(result, number) for number in (0, 1))
    rows = []
    for method in _methods({name: result}):
        one, other = (_row(result, method, removal) for removal in (first, second))
        assert one is not None
        rows.append(
            [
                f"`{method}`",
                _cell(one, "sufficiency"),
                _cell(other, "sufficiency"),
                _cell(one, "rationale-f1"),
                _cell(one, "rationale-auprc"),
                f"{one['seconds']:.2g}",
            ]
        )
    head = ["method", f"sufficiency, {first}", f"sufficiency, {second}", "F1", "AUPRC", "seconds"]
    said = f"{result['inputs']} inputs, {result['explanations']} explanations"
    said += "; seconds for one input, on a machine that did other work too."
    return f"## `{name}`\n\n{said}\n\n{_table(head, rows)}\n"


def _facts(results: Results) -> str:
    """How often each method beats chance, the best first, with the mean F1 of the reason."""
    rows = []
    for method in _methods(results):
        tried = won = 0
        reasons = []
        for one in results.values():
            for number in (0, 1):
                found = _row(one, method, _removal(one, number))
                if found:
                    tried += 1
                    won += beats_random(one, method, _removal(one, number))
                    if number == 0 and "rationale-f1" in found:
                        reasons.append(found["rationale-f1"]["mean"])
        mean = sum(reasons) / len(reasons) if reasons else float("nan")
        rows.append((won / tried, mean, [called(method), f"{won} of {tried}", f"{mean:.2f}"]))
    rows.sort(key=lambda row: (-row[0], -row[1]))
    head = ["method", "beats `random` in comprehensiveness", "mean F1 of the reason"]
    return _table(head, [row for *_, row in rows])


def _chance(results: Results) -> str:
    """Every method that is no better than chance somewhere: where, by how much, and why."""
    lines = ["## Where a method is no better than chance, and why", ""]
    for name, one in results.items():
        by_reason: dict[str, list[str]] = {}
        for method in _methods({name: one}):
            for removal, above in one["comprehensiveness_above_random"].items():
                if method != "random" and not beats_random(one, method, removal):
                    found = f"`{method}` ({removal}: {_interval(above[method])})"
                    by_reason.setdefault(reason_why_not(one, method, removal), []).append(found)
        if by_reason:
            lines += [f"**{name}.** {HERE.get(name, '')}".strip(), ""]
            lines += [f"- {WHY[why]} {', '.join(found)}" for why, found in by_reason.items()]
            lines.append("")
    return "\n".join(lines)


def _hard(results: Results) -> str:
    """Who finds the reason where it is hard to find."""
    lines = ["## Harder tasks", "", HARD]
    for name, one in results.items():
        if name.endswith("-hard"):
            found = {
                row["interpreter"]: row["rationale-f1"]
                for row in one["rows"]
                if row["removal"] == _removal(one, 0)
            }
            best, second = sorted(found, key=lambda method: -found[method]["mean"])[:2]
            lines.append(
                f"- `{name}`: `{best}` {_interval(found[best])}, `{second}` "
                f"{_interval(found[second])}, `random` {_interval(found['random'])}."
            )
    return "\n".join([*lines, ""])


HARD = """\
The models of the other fixtures were trained on texts with words blanked out, so they are undecided
where there is nothing to see, and most methods find the first word of a reason every time.
`sentiment-hard` and `multi-label-hard` have reasons of two words and more, distractors that are
made of the same words, and models that have met no blanks, as most have not. There methods can be
told apart by how much of the reason is among as many of their best tokens (F1). In
`multi-label-hard` any one of a topic's three compounds is enough, and "no" turns half of them: most
of what `lrp`, `gim` and `deeplift` miss is "no". The best two, and chance:
"""


def _cell(row: Mapping[str, Any] | None, metric: str) -> str:
    return _interval(row[metric]) if row and metric in row else ""


def _interval(one: Mapping[str, float]) -> str:
    if not isfinite(one["low"]):
        return f"{one['mean']:.2f}"
    return f"{one['mean']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
