"""A Hugging Face tokenizer as an AllenNLP tokenizer, and where its tokens stand in a text."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from allennlp.data.tokenizers import Token, Tokenizer

from allennlp_saliency.interpret.explanation import Span


def trimmed(text: str, span: Span) -> Span:
    """A span without the spaces around it, which some tokenizers count as part of a token.

    A span of nothing but spaces stays as it is.
    """
    start, end = span
    inside = text[start:end]
    start, end = start + len(inside) - len(inside.lstrip()), start + len(inside.rstrip())
    return (start, end) if start < end else span


def found_spans(text: str, surfaces: Sequence[str]) -> list[Span | None]:
    """Finds tokens in the text that they were made of, one after the other.

    Case, accents and compatibility forms do not count, as tokenizers may drop them.

    Args:
        text: The text.
        surfaces: The text of each token, without marks of the tokenizer's.

    Returns:
        Per token its characters, None for one that is not found where it should be (an unknown
        word); then the search goes on after the next token that is.
    """
    plain, places = _plain(text)
    spans: list[Span | None] = []
    at = 0
    for surface in surfaces:
        wanted = _plain(surface)[0].strip()
        start = plain.find(wanted, at) if wanted else -1
        if start < 0 or (spans and spans[-1] is not None and plain[at:start].strip()):
            spans.append(None)
            continue
        at = start + len(wanted)
        spans.append((places[start], places[at - 1] + 1))
    return spans


def generated_spans(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> list[Span]:
    """Where generated tokens stand in the text that they decode to.

    Tokens that hold a part of a character's bytes each get the whole character.

    Args:
        decode: The text of some tokens.
        ids: The tokens.
    """
    text = decode(ids)
    spans: list[Span] = []
    start = 0
    for number in range(len(ids)):
        so_far = decode(ids[: number + 1])
        spans.append(trimmed(text, (start, min(max(len(so_far), start), len(text)))))
        # A character that is not complete yet is decoded as a replacement character.
        start = max(start, min(len(so_far.rstrip("\ufffd")), len(text)))
    return spans


def _plain(text: str) -> tuple[str, list[int]]:
    """A text without case and accents, and for each of its characters the place in the text."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character.casefold()):
            if not unicodedata.combining(part):
                characters.append(part)
                places.append(place)
    return "".join(characters), places


# Of tokenizers that are in one mode for all threads.
_MODE = threading.Lock()


class Pieces(Tokenizer):
    """Splits texts as the model's own tokenizer does: nothing cut, nothing rewritten.

    A token's `text` is the tokenizer's, `text_id` its id, `idx` and `idx_end` its characters in
    the text. Tokens that the tokenizer adds to every text have no `idx`; special tokens that
    stand in the text have one.

    Args:
        tokenizer: Any Hugging Face tokenizer, fast or slow.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def tokenize(self, text: str) -> list[Token]:
        """The tokens of a text alone, without special tokens."""
        return self.text(text, add_special_tokens=False)

    def text(self, text: str, add_special_tokens: bool = True) -> list[Token]:
        """The tokens of a text, with the special tokens of a single text unless asked not to."""
        return self._encode((text,), add_special_tokens)[0]

    def pair(self, first: str, second: str) -> tuple[list[Token], list[Token]]:
        """The tokens of two texts that the model reads as one sequence.

        Special tokens before the second text belong to the first.
        """
        tokens, sides = self._encode((first, second), True)
        split = sides.index(1) if 1 in sides else len(sides)
        return tokens[:split], tokens[split:]

    def prompt(self, text: str) -> list[Token]:
        """The tokens of a text that a model is to continue, with the special tokens of a single
        text; those before it are not added where the text begins with them, as what a chat
        template has written does."""
        tokens = self.text(text)
        own = next((n for n, token in enumerate(tokens) if token.idx is not None), 0)
        added = [token.text_id for token in tokens[:own]]
        written = [token.text_id for token in tokens[own : 2 * own]]
        return tokens[own:] if added == written else tokens

    def target(self, text: str) -> tuple[list[Token], list[Token], list[Token]]:
        """The tokens of a text that a decoder is to write, and those that the tokenizer puts
        before and behind such a text (`text_target`)."""
        own, _ = self._encode((text,), False, target=True)
        tokens, sides = self._encode((text,), True, target=True)
        first = sides.index(0) if 0 in sides else len(sides)
        last = len(sides) - sides[::-1].index(0) if 0 in sides else len(sides)
        return own, tokens[:first], tokens[last:]

    def of_ids(self, ids: Sequence[int]) -> tuple[str, list[Token]]:
        """Tokens that a model generated, and their text."""
        ids = list(ids)
        spans = generated_spans(self.decode, ids)
        tokens = [self.token(number, span) for number, span in zip(ids, spans, strict=True)]
        return self.decode(ids), tokens

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some tokens, special ones included, nothing cleaned up."""
        return self.tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    def token(self, number: int, span: Span | None = None, type_id: int = 0) -> Token:
        """One token by its id."""
        start, end = span or (None, None)
        name = self.tokenizer.convert_ids_to_tokens(int(number))
        return Token(name, start, end, text_id=int(number), type_id=type_id)  # type: ignore[arg-type]

    def _encode(
        self, texts: tuple[str, ...], add_special_tokens: bool, target: bool = False
    ) -> tuple[list[Token], list[int | None]]:
        """Tokens, and for each the number of its text, None for one that was added."""
        fast = bool(getattr(self.tokenizer, "is_fast", False))
        encoded = self._call(
            texts,
            target,
            add_special_tokens=add_special_tokens,
            return_offsets_mapping=fast,
            truncation=False,
            padding=False,
        )
        ids = encoded["input_ids"]
        sides = encoded.sequence_ids() if fast else self._sides(texts, ids, target)
        spans = encoded["offset_mapping"] if fast else self._spans(texts, ids, sides)
        types = encoded.get("token_type_ids") or [0] * len(ids)
        tokens = []
        for number, side, span, kind in zip(ids, sides, spans, types, strict=True):
            known = side is not None and span is not None
            place = trimmed(texts[side], (span[0], span[1])) if known else None
            tokens.append(self.token(number, place, kind))
        return tokens, sides

    def _call(self, texts: tuple[str, ...], target: bool, **options: Any) -> Any:
        """The tokenizer's output for some texts, or for one that a decoder is to write."""
        # A tokenizer that has a mode for targets goes into it, and back.
        modes = hasattr(self.tokenizer, "_switch_to_target_mode")
        given = {"text_target": texts[0]} if target and modes else {}
        with _MODE if modes else nullcontext():
            return self.tokenizer(*(() if given else texts), **given, **options, verbose=False)

    def _sides(
        self, texts: tuple[str, ...], ids: list[int], target: bool = False
    ) -> list[int | None]:
        """Which text each token is of, for tokenizers that do not say: where its own ids stand."""
        sides: list[int | None] = [None] * len(ids)
        start = 0
        for side, text in enumerate(texts):
            own = self._call((text,), target, add_special_tokens=False)["input_ids"]
            places = range(start, len(ids) - len(own) + 1)
            start = next((p for p in places if ids[p : p + len(own)] == own), start)
            sides[start : start + len(own)] = [side] * len(own)
            start += len(own)
        return sides

    def _spans(
        self, texts: tuple[str, ...], ids: list[int], sides: list[int | None]
    ) -> list[Span | None]:
        spans: dict[int, Span | None] = {}
        for side, text in enumerate(texts):
            places = [place for place, of in enumerate(sides) if of == side]
            found = found_spans(text, [self._surface(ids[place]) for place in places])
            spans.update(zip(places, found, strict=True))
        return [spans.get(place) for place in range(len(ids))]

    def _surface(self, number: int) -> str:
        token = self.tokenizer.convert_ids_to_tokens(number)
        text = self.tokenizer.convert_tokens_to_string([token])
        return text.replace("##", "").replace("</w>", "").replace("▁", " ").replace("@@", "")
