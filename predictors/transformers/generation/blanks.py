"""Continuations that begin without the blank that a word after a prompt has."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from allennlp.data.tokenizers import Token

# Of these a text has words without blanks between them.
_WITHOUT_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_BEFORE_A_BLANK = ".,:;!?"


def lacks_blank(
    prompt: str, continuation: str, tokens_of: Callable[[str], Sequence[Token]]
) -> str | None:
    """The warning that a continuation goes on with the prompt's last word, or right behind its last
    mark, where a word of its own would have other tokens; None where it does not.

    Args:
        prompt: The text before it.
        continuation: The continuation.
        tokens_of: What makes the tokens of a continuation of that text.
    """
    last, first = prompt[-1:], continuation[:1]
    if not _is_letter(first) or not last or not (_is_letter(last) or last in _BEFORE_A_BLANK):
        return None
    if first.isdigit() and not last.isalpha():
        return None  # 3.14
    found, other = ([one.text_id for one in tokens_of(f"{s}{continuation}")] for s in ("", " "))
    if found == other:
        return None
    read = f"{prompt.split()[-1]}{continuation.split()[0]}"
    return (
        f"the continuation begins without a blank, so the model reads {read!r}, which has other "
        f"tokens than a word of its own; where that is meant, begin it with one: "
        f"{' ' + continuation!r:.60}"
    )


def _is_letter(one: str) -> bool:
    return one.isalnum() and not unicodedata.name(one, "").startswith(_WITHOUT_BLANKS)
