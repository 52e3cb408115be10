"""The scores of a field joined to its text as it was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from allennlp_saliency.interpret.explanation import InputAttribution, Span
from allennlp_saliency.views.tokens import is_special, unmarked

UNKNOWN = frozenset({"[UNK]", "<unk>", "<UNK>", "<|unk|>", "@@UNKNOWN@@"})
"""What tokenizers call a word that they do not know."""


@dataclass(frozen=True)
class TextPiece:
    """A part of a field's running text. Nothing in it is escaped.

    Attributes:
        text: The characters; may be empty, where a token is.
        tokens: The numbers of the tokens that have them; none for characters between tokens.
        kind: "text"; "special" for a token that the tokenizer adds; "unknown" for a word that it
            does not know; "absent" for another token that stands nowhere in the text.
        written: Whether it is part of the text, rather than a token beside it.
    """

    text: str
    tokens: tuple[int, ...] = ()
    kind: str = "text"
    written: bool = True

    @property
    def is_gap(self) -> bool:
        """Whether no token has its characters."""
        return not self.tokens


def running_text(one: InputAttribution) -> list[TextPiece]:
    """The pieces of a field, in the order of its text.

    Joined, the pieces that are `written` are the field's text, where it is known. Space before and
    after the other characters of a token is not part of its piece. Characters that several tokens
    have are one piece of all of them. A token that has no characters stands behind those before it.
    Where the text is not known, it is rebuilt from the tokens, without their marks.

    Args:
        one: The scores of a field.
    """
    if one.text is None:
        return list(_rebuilt(one.tokens, one.offsets))
    return list(_joined(one.text, one.tokens, one.offsets))


def _joined(
    text: str, tokens: Sequence[str], offsets: Sequence[Span | None]
) -> Iterable[TextPiece]:
    spans: dict[int, Span] = {}
    behind: dict[int, list[int]] = {}
    end = 0
    for number, span in enumerate(offsets):
        if span is None or span[0] == span[1]:
            behind.setdefault(end, []).append(number)
            continue
        spans[number] = _trimmed(text, span)
        end = max(end, spans[number][1])
    shown = unmarked(tokens)
    edges = sorted({0, len(text), *behind, *(edge for span in spans.values() for edge in span)})
    owners = _owners(spans, edges)
    for start, stop in pairwise([*edges, len(text)]):
        for number in behind.get(start, ()):
            yield TextPiece(shown[number].text, (number,), _kind(tokens[number]), written=False)
        if start < stop:
            part, own = text[start:stop], owners[start]
            unknown = any(tokens[n] in UNKNOWN and tokens[n] != part for n in own)
            yield TextPiece(part, own, "unknown" if unknown else "text")


def _owners(spans: dict[int, Span], edges: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """By the place where a piece begins the tokens that have its characters."""
    begins: dict[int, list[int]] = {}
    for number, (start, _) in spans.items():
        begins.setdefault(start, []).append(number)
    owners, active = {}, list[int]()
    for edge in edges:
        active = sorted([n for n in active if spans[n][1] > edge] + begins.get(edge, []))
        owners[edge] = tuple(active)
    return owners


def _trimmed(text: str, span: Span) -> Span:
    """A span without the space around its characters, unless there is nothing else."""
    start, end = span
    part = text[start:end]
    if not part.strip():
        return span
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _kind(token: str) -> str:
    if token in UNKNOWN:
        return "unknown"
    return "special" if is_special(token) else "absent"


def _rebuilt(tokens: Sequence[str], offsets: Sequence[Span | None]) -> Iterable[TextPiece]:
    for number, piece in enumerate(unmarked(tokens, offsets)):
        token = tokens[number]
        if number and not piece.glued:
            yield TextPiece(" ")
        added = token in UNKNOWN or (is_special(token) and offsets[number] is None)
        yield TextPiece(piece.text, (number,), _kind(token) if added else "text", not added)
