"""The tables of what was measured on archives of allennlp-models' predictors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from models_of_allennlp import ATTENTION, COMPLETE, Measured

_LONGEST = 40  # characters of a label


def page(found: Sequence[Measured]) -> str:
    """The page `docs/allennlp-models.md`."""
    return TEXT.format(
        count=len(found),
        explanations=sum(one.count for one in found),
        what=what(found),
        numbers=numbers(found),
    )


def what(found: Iterable[Measured]) -> str:
    """What is explained of each archive, and which methods refuse."""
    head = [
        "archive",
        "model",
        "predictor",
        "one explanation for each",
        "for example",
        "what refuses",
    ]
    return table(
        head,
        (
            [one.name, f"`{one.model}`", f"`{one.predictor}`", one.each, _label(one), refused(one)]
            for one in found
        ),
    )


def numbers(found: Iterable[Measured]) -> str:
    """How exactly each archive is explained."""
    head = ["archive", "explanations", *(f"`{name}`" for name in COMPLETE)]
    head += ["batch against alone", "explained against predicted"]
    return table(
        head,
        (
            [one.name, str(one.count), *_deltas(one), _figure(one.batch), _number(one)]
            for one in found
        ),
    )


def short(found: Iterable[Measured]) -> str:
    """The README's table: one row for each predictor."""
    kinds: dict[str, list[Measured]] = defaultdict(list)
    for one in found:
        kinds[one.predictor].append(one)
    rows = [
        [f"`{predictor}`", _names(several), "; ".join(_each(several)), "; ".join(_known(several))]
        for predictor, several in kinds.items()
    ]
    return table(["predictor", "models", "one explanation for each", "what to know"], rows)


def refused(one: Measured) -> str:
    """The methods that refuse an archive's model, by their reasons."""
    return "; ".join(f"{names}: {why}" for names, why in _refusals(one.refused))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _refusals(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    methods: dict[str, list[str]] = defaultdict(list)
    for method, why in reasons.items():
        methods[why].append(method)
    return [
        ("attention", why)
        if set(names) == set(ATTENTION)
        else (", ".join(f"`{name}`" for name in names), why)
        for why, names in methods.items()
    ]


def _label(one: Measured) -> str:
    text = " ".join(one.label.replace("|", "\\|").split())
    return f"`{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}`"


def _deltas(one: Measured) -> list[str]:
    note = {"integrated-gradients": "" if one.continuous else " (jumps)"}
    return [_figure(one.deltas[name]) + note.get(name, "") for name in COMPLETE]


def _figure(number: float) -> str:
    return f"{number:.1e}" if number else "0"


def _number(one: Measured) -> str:
    if one.number is None:
        return "nothing to compare with"
    return _figure(one.number) + ("" if one.predicted else " (model)")


def _names(several: Iterable[Measured]) -> str:
    return ", ".join(dict.fromkeys(f"`{one.model}`" for one in several))


def _each(several: Iterable[Measured]) -> list[str]:
    return list(dict.fromkeys(one.each for one in several))


def _known(several: Sequence[Measured]) -> list[str]:
    """What holds for some of a predictor's archives and not for all predictors."""
    known = []
    if any(one.spacy for one in several):
        known.append("takes a spaCy model")
    if any(one.held for one in several):
        known.append("its candidate spans are held at every point that a method looks at")
    jumps = [one for one in several if not one.continuous]
    if jumps:
        known.append(f"integrated gradients are not complete for {_names(jumps)}, which jumps")
    shown = [one for one in several if not set(ATTENTION) & set(one.refused)]
    if len(shown) == len(several):
        known.append("attention can be read")
    elif shown:
        known.append(f"attention can be read of {_names(shown)}")
    for one in several:
        others = {name: why for name, why in one.refused.items() if name not in ATTENTION}
        known += [f"no {names}: {why}" for names, why in _refusals(others)]
    return list(dict.fromkeys(known))


TEXT = """# Models of AllenNLP

Written by `docs/make_allennlp_models.py`; change nothing here by hand.

The predictors of `allennlp-models` on {count} small archives with random weights
(`tests/zoo/allennlp_models`): {explanations} explanations of their inputs by each method, through
the predictor `saliency`. What the labels and positions mean:
[format.md](format.md#what-the-target-of-a-predictor-says).

## What is explained

The last column has the methods that refuse a model, and why: `input-x-gradient`,
`integrated-gradients`, `deeplift`, `lrp` and the four that read attention ("attention" for all of
these) are run here, all methods by `tests/predictors/allennlp_models`.

{what}

## How exactly

The worst of all explanations of an archive, by default settings:

- `integrated-gradients`, `deeplift`, `lrp`: what completeness lacks, as a share of F(x) - F(x'),
  for `lrp` of F(x). "Jumps" stands where F is not continuous: then integrated gradients cannot be
  complete, and a warning says what is missing.
- Batch against alone: the difference of an `input-x-gradient` score among other inputs from the
  same alone, as a share of the largest score. Only instances of about the same length
  share a batch, and many of these inputs have no such neighbour: their difference is 0.
- Explained against predicted: the difference of the explained log-likelihood from the prediction's,
  of a dependency tree and a written text from that of the whole. "Model": from the model's own loss
  or raw outputs, where the prediction has no such number.

{numbers}
"""
