"""The registered names of the methods, their classes, and the families that they belong to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping

from allennlp_saliency.interpret import SaliencyInterpreter

_WHERE = "allennlp_saliency.interpret.methods."
FAMILIES = {
    "gradient": ("Gradients", "at the input, or at noisy copies of it"),
    "path": ("Paths", "gradients between a baseline and the input: what they say adds up"),
    "propagation": ("Propagation", "backward by rules; the first two are complete on transformers"),
    "perturbation": ("Without gradients", "with standard errors where they draw samples"),
    "interactions": ("Pairs of words", "what two words do together"),
    "attention": ("Inside transformers", "what attention looks at"),
    "layer": ("At inner layers", "the scores of what a layer makes of each token"),
    "of_methods": ("Of other methods", "any method at noisy copies; what comes of a context"),
    "floor": ("As a floor", "what a method must beat"),
}
"""By a method's folder, or what stands for one, what the family is called and what it does."""
_ORDER = ("lrp", "deeplift")
_ALONE = {
    "random_attribution": "floor",
    "noise_tunnel": "of_methods",
    "attribute_context": "of_methods",
}


def classes() -> dict[str, str]:
    """By registered name of each of the project's methods the name of its class."""
    return {
        name: SaliencyInterpreter.by_name(name).__name__
        for name in sorted(SaliencyInterpreter.list_available())
        if SaliencyInterpreter.by_name(name).__module__.startswith(_WHERE)
    }


def families() -> dict[str, list[str]]:
    """The registered names of each family, in the order of `FAMILIES`."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in classes():
        folder = SaliencyInterpreter.by_name(name).__module__.removeprefix(_WHERE).split(".")[0]
        family = "layer" if name.startswith("layer-") else _ALONE.get(folder, folder)
        found[family].append(name)
    return {family: sorted(found[family], key=_place) for family in FAMILIES}


def called(name: str) -> str:
    """A method by both of its names."""
    return f"`{name}` (`{classes()[name]}`)"


def readme() -> str:
    """The README's list of methods."""
    lines = []
    for family, names in families().items():
        title, what = FAMILIES[family]
        lines.append(f"- **{title}** ({what}): {', '.join(map(called, names))}.")
    return "\n".join(lines)


def overview(anchor: Callable[[str], str]) -> str:
    """The table at the head of the page of methods.

    Args:
        anchor: What the heading of a section is linked to by.
    """
    rows = ["| family | method | class |", "| --- | --- | --- |"]
    for family, names in families().items():
        title, what = FAMILIES[family]
        for name in names:
            first = f"**{title}**: {what}" if name == names[0] else ""
            link = f"[`{name}`](#{anchor(called(name))})"
            rows.append(f"| {first} | {link} | `{classes()[name]}` |")
    return "\n".join(rows)


def with_headings(page: str, names: Mapping[str, str]) -> str:
    """A page whose sections of methods are headed by both names."""

    def head(match: re.Match[str]) -> str:
        return f"## {called(match[1])}" if match[1] in names else match[0]

    return re.sub(r"^## `([\w-]+)`(?: \(`\w+`\))?$", head, page, flags=re.MULTILINE)


def _place(name: str) -> tuple[bool, str]:
    return name not in _ORDER, name
