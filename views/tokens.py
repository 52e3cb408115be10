"""Tokens as a reader should see them: safe to print, without the tokenizer's own marks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from allennlp_saliency.interpret.explanation import Span

WORDPIECE = "##"
SPACE_MARKS = ("\u0120", "\u2581")  # byte-level BPE (GPT-2, RoBERTa) and SentencePiece
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\d*\]")

# Joiners are part of how Persian, Hindi and emoji are written; other format characters reorder
# or hide text, so a reader could not trust what the terminal shows.
_JOINERS = "\u200c\u200d"
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True)
class Piece:
    """One token to show.

    Attributes:
        text: What to print: no control characters, never empty.
        glued: Whether it follows the previous token without a space.
    """

    text: str
    glued: bool


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""The text with everything escaped that a terminal would act upon, or could not encode.

    Args:
        text: Any text; `"\x1b[31m"` becomes the six visible characters `\x1b[31m`.
        encoding: The encoding of the stream that it will be written to.
    """
    shown = "".join(
        character
        if unicodedata.category(character) not in _UNSAFE or character in _JOINERS
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
    return shown.encode(encoding, "backslashreplace").decode(encoding, "replace")


def readable(
    tokens: Sequence[str],
    offsets: Sequence[Span | None] | None = None,
    encoding: str = "utf-8",
) -> list[Piece]:
    """One piece per token: marks of the tokenizer stripped, pieces of one word glued.

    Args:
        tokens: The tokens of one field.
        offsets: Their character spans: tokens that touch in the text are glued too.
        encoding: The encoding of the stream that they will be written to.
    """
    mark = next((mark for mark in SPACE_MARKS if any(t.startswith(mark) for t in tokens)), None)
    pieces: list[Piece] = []
    previous_special = True  # nothing is glued to the beginning
    for index, token in enumerate(tokens):
        special = _SPECIAL.fullmatch(token) is not None
        text, glued = token, False
        if special:
            pass
        elif mark is not None:
            glued = not token.startswith(mark)
            text = token if glued else token[len(mark) :]
            text = _decoded(text) if mark == SPACE_MARKS[0] else text
        elif token.startswith(WORDPIECE) and token != WORDPIECE:
            text, glued = token[len(WORDPIECE) :], True
        if offsets is not None and index > 0 and not special:
            glued = glued or _touch(offsets[index - 1], offsets[index])
        pieces.append(Piece(_visible(text, encoding), glued and not previous_special))
        previous_special = special
    return pieces


def _visible(text: str, encoding: str) -> str:
    if not text:
        return '""'
    if text.isspace():
        return printable(repr(text), encoding)
    if unicodedata.category(text[0]) in ("Mn", "Me"):
        text = "\u25cc" + text  # a lone accent would land on the token before it
    return printable(text, encoding)


def _touch(previous: Span | None, current: Span | None) -> bool:
    return (
        previous is not None
        and current is not None
        and previous[0] < previous[1] == current[0] < current[1]
    )


@cache
def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes printable bytes as themselves, the others as U+0100 and up in order."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return {
        **{chr(byte): byte for byte in plain},
        **{chr(0x100 + index): byte for index, byte in enumerate(others)},
    }


def _decoded(token: str) -> str:
    """A byte-level token as text; half a character stays visible as its bytes."""
    bytes_of = _byte_of_character()
    if any(character not in bytes_of for character in token):
        return token
    return bytes(bytes_of[character] for character in token).decode("utf-8", "backslashreplace")
