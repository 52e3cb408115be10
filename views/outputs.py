"""What an explanation is of, in words, and which tokens belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from allennlp_saliency.interpret.explanation import Explanation, InputAttribution, JsonDict
from allennlp_saliency.views.tokens import SPACE_MARKS, is_special, short, unmarked

WRITTEN = "generated"
"""The field of a text that the model writes: it grows from one explanation to the next."""

MARKS = {
    "positions": "explained",
    "verb_positions": "verb",
    "head_positions": "head",
    "antecedent_positions": "antecedent",
}
"""What the tokens are whose numbers a target has under each key."""

# What a target says of the relation that is explained; its sentence says it in words.
_RELATION = ("verb", "role", "head", "mention", "antecedent", "cluster", "of")
# Of BIO and BIOUL; in other schemes "S-VP" is a label by itself.
_TAG_MARKS = ("B-", "I-", "L-", "U-")


def output_name(explanation: Explanation) -> str:
    """What an output is called among those of its input: `PER: Ada Lovelace`, `ARG0 of sold: the
    company`, `nsubj: sold → company`, `she → Anna`, `[MASK] → dogs`."""
    target = explanation.target
    label = plain_label(target)
    shown = _at(explanation, target.get("positions"))
    if "verb" in target:
        role, verb = target.get("role"), target["verb"]
        return f"{role} of {verb}: {shown}" if role else _roles_of(explanation, str(verb))
    if "head" in target:
        return f"{label}: {target['head']} → {shown}"
    if "mention" in target:
        return f"{target['mention']} → {label or 'none'}"
    if is_special(shown) and label:
        return f"{shown} → {label}"
    kind = _kind_of_tags(target)
    if shown and shown != label and target.get("field") != WRITTEN:
        return f"{kind or label}: {shown}" if label else shown
    return label or str(target.get("type", ""))


def plain_label(target: Mapping[str, Any]) -> str:
    """The label of a target without the tokenizer's marks; empty where there is none."""
    if target.get("no_answer"):
        return "no answer"
    label = target.get("label")
    if isinstance(label, list):
        return " ".join(map(str, label))
    if isinstance(label, str) and label.startswith(SPACE_MARKS):
        return unmarked([label])[0].text or label  # a token that was written
    return "" if label is None else str(label)


def is_relation(target: Mapping[str, Any]) -> bool:
    """Whether what is explained holds between two parts of a text: a verb and its argument, a head
    and its word, a mention and its antecedent."""
    return any(name in target for name in ("verb", "head", "mention"))


def target_in_words(explanation: Explanation) -> str:
    """The target in words: `log-likelihood of positive: -0.02, at the baseline -0.69`."""
    target: JsonDict = dict(explanation.target)
    words = str(target.pop("type", "target"))
    if words == "FunctionTarget":
        words = f"function {target.pop('function', '')}"
    value, baseline_value = target.pop("value", None), target.pop("baseline_value", None)
    if is_relation(target):
        # "arguments" says how many explanations there are; what is explained of each is in "of".
        words = short(target["of"]) if "role" in target and "of" in target else words
        words += f" of {_relation(explanation)}"
        own = {*MARKS, *_RELATION, "label"}
        target = {name: known for name, known in target.items() if name not in own}
    else:
        label = None if target.pop("label", None) is None else plain_label(explanation.target)
        if target.pop("no_answer", False):
            label = "no answer"
        words += "" if label is None else f" of {label}"
        tokens = _tokens_at(target.pop("positions", None), explanation.inputs)
        words += "" if tokens is None else f" on {tokens!r}"
    if target:
        words += f" ({', '.join(f'{name} {short(known)}' for name, known in target.items())})"
    if value is not None:
        words += f": {short(value)}"
    if baseline_value is not None:
        words += f", at the baseline {short(baseline_value)}"
    return words


def marks_of(explanation: Explanation) -> dict[tuple[int, int], str]:
    """The tokens that are what is explained, or belong to it: by the number of the field and of the
    token, what it is.

    Where all of a text is explained, as the tags of a verb are, no token is marked for that. The
    text that a model writes has no marks.
    """
    one = _field(explanation)
    if one is None or one.field == WRITTEN:
        return {}
    number = explanation.inputs.index(one)
    own = [place for place, token in enumerate(one.tokens) if not is_special(token)]
    found: dict[tuple[int, int], str] = {}
    for name, mark in MARKS.items():
        given = explanation.target.get(name)
        # A user's own target may have a parameter that is called so.
        listed = given if isinstance(given, (list, tuple)) else ()
        places = [n for n in listed if isinstance(n, int)]
        if name == "positions" and len(own) > 1 and {*own} <= {*places}:
            continue
        for place in places:
            if 0 <= place < len(one.tokens):
                found.setdefault((number, place), mark)
    return found


def _relation(explanation: Explanation) -> str:
    target = explanation.target
    shown = _at(explanation, target.get("positions"))
    if "verb" in target:
        role, verb = target.get("role"), target["verb"]
        return f"{role} of {verb!r} on {shown!r}" if role else f"all tags of {verb!r}"
    if "head" in target:
        return f"{plain_label(target)} from {target['head']!r} to {shown!r}"
    label = plain_label(target)
    return f"{target['mention']!r} → {repr(label) if label else 'none'}"


def _roles_of(explanation: Explanation, verb: str) -> str:
    """A verb with its arguments: `sold: ARG0 the company, ARG1 the mill`."""
    target = explanation.target
    label, places = target.get("label"), target.get("positions")
    tags = label.split(" ") if isinstance(label, str) else label
    if not isinstance(tags, list) or not isinstance(places, list) or len(tags) != len(places):
        return verb
    arguments: list[tuple[str, list[int]]] = []
    for tag, place in zip(map(str, tags), places, strict=True):
        begins, role = tag[:2], tag[2:]
        if begins == "I-" and arguments and arguments[-1][1][-1] == place - 1:
            arguments[-1][1].append(place)
        elif begins in ("B-", "I-"):
            arguments.append((role, [place]))
    parts = [f"{role} {_at(explanation, own)}" for role, own in arguments if role != "V"]
    return f"{verb}: {', '.join(parts)}" if parts else verb


def _kind_of_tags(target: Mapping[str, Any]) -> str | None:
    """What the tags of an entity say, without where it begins and ends; None for another label."""
    label, places = target.get("label"), target.get("positions")
    if not isinstance(label, str) or not isinstance(places, list):
        return None
    tags = label.split(" ")
    kinds = {tag[2:] for tag in tags if tag.startswith(_TAG_MARKS)}
    whole = len(tags) == len(places) and all(tag.startswith(_TAG_MARKS) for tag in tags)
    return kinds.pop() or None if whole and len(kinds) == 1 else None


def _at(explanation: Explanation, positions: Any) -> str:
    """The text at some tokens of the target's field."""
    one = _field(explanation)
    if one is None or not isinstance(positions, list) or not positions:
        return ""
    if not all(isinstance(n, int) and 0 <= n < len(one.tokens) for n in positions):
        return ""
    spans = [one.offsets[n] for n in positions]
    if one.text is not None and all(span is not None for span in spans):
        ends = list(_ends(spans))
        return one.text[min(ends) : max(ends)].strip()
    pieces = unmarked([one.tokens[n] for n in positions])
    return "".join(("" if p.glued else " ") + p.text for p in pieces).strip()


def _ends(spans: Sequence[tuple[int, int] | None]) -> Iterator[int]:
    for span in spans:
        if span is not None:
            yield from span


def _field(explanation: Explanation) -> InputAttribution | None:
    name = explanation.target.get("field")
    own = [one for one in explanation.inputs if name is None or one.field == name]
    return own[0] if len(own) == 1 else None


def _tokens_at(positions: Any, inputs: Sequence[InputAttribution]) -> str | None:
    """The tokens whose tags are explained, None where they are not known."""
    if len(inputs) != 1 or not isinstance(positions, list) or not positions:
        return None
    tokens = inputs[0].tokens
    if not all(isinstance(p, int) and 0 <= p < len(tokens) for p in positions):
        return None
    return " ".join(tokens[position] for position in positions)
