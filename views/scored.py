"""The running text of a field in pieces with scores, safe to show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum

from allennlp_saliency.interpret.explanation import InputAttribution
from allennlp_saliency.views.text import running_text
from allennlp_saliency.views.tokens import printable, readable


@dataclass(frozen=True)
class ScoredPiece:
    """A part of a field's text.

    Attributes:
        text: What to show, without control characters; space between tokens is as it was written.
        score: The scores of its tokens, added up; None between tokens.
        tokens: Their numbers.
        kind: As `TextPiece.kind` has it.
    """

    text: str
    score: float | None = None
    tokens: tuple[int, ...] = ()
    kind: str = "text"


def scored_text(one: InputAttribution) -> Iterator[ScoredPiece]:
    """The pieces of a field, in the order of its text.

    Tokens that are no part of the text have a space before and after them.
    """
    apart = False
    for piece in running_text(one):
        if piece.is_gap:
            # Line ends and spaces between tokens are the text's own.
            yield ScoredPiece("".join(c if c.isspace() else printable(c) for c in piece.text))
            apart = piece.text[-1:].isspace()
            continue
        beside = not piece.written
        text = printable(piece.text) if piece.text.strip() else repr(piece.text)
        if beside and not apart:
            yield ScoredPiece(" ")
        score = fsum(one.attributions[n] for n in piece.tokens)
        yield ScoredPiece(text, score, piece.tokens, piece.kind)
        apart = beside
        if beside:
            yield ScoredPiece(" ")


def token_names(one: InputAttribution) -> list[str]:
    """Per token what stands in the text for it, or else the token without its marks."""
    names = [piece.text for piece in readable(one.tokens, one.offsets)]
    if one.text is not None:
        for number, span in enumerate(one.offsets):
            written = "" if span is None else one.text[slice(*span)].strip()
            if written:
                names[number] = printable(written)
    return names
