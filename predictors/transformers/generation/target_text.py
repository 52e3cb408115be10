"""The tokens of a text that a decoder is to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from allennlp.data.tokenizers import Token

from ..model.model import decoder_start
from ..texts.hf_tokenizer import Pieces
from .greedy import end_ids, forced_start


@dataclass(frozen=True)
class DecoderIds:
    """What a model's config says of the texts that its decoder writes.

    Attributes:
        start: The id that the decoder starts from, which is no token of the text; None if unknown.
        forced: The id that is always written first; None if any may be.
        ends: The ids that end a text.
    """

    start: int | None = None
    forced: int | None = None
    ends: tuple[int, ...] = ()

    @classmethod
    def of(cls, transformer: Any) -> DecoderIds:
        """Those of a Hugging Face model."""
        return cls(decoder_start(transformer), forced_start(transformer), (*end_ids(transformer),))


def target_tokens(pieces: Pieces, text: str, decoder: DecoderIds) -> list[Token]:
    """The tokens of a text as the model would write them, as far as the text says.

    They begin with the special tokens that labels begin with (`tokenizer(text_target=…)`): BART's
    `<s>`, a language code. A first token that the model's generation config forces takes their
    place, and one that the decoder starts from anyway is not repeated. A text that writes special
    tokens out is taken as it stands, so that what a model wrote, given back, has the same tokens.
    The end of the text is a token of it only where it is written out.

    Args:
        pieces: The model's tokenizer.
        text: The text.
        decoder: What the model's config says of such texts.

    Returns:
        The tokens; none of an empty text.
    """
    own, before, after = pieces.target(text)
    if not own:
        return []
    ids = [token.text_id for token in own]
    if len(own) > 1 and ids[0] == decoder.start and decoder.start in decoder.ends:
        # No text goes on after its end: this is what the decoder started from.
        return own[1:]
    added = {token.text_id for token in (*before, *after)} | {decoder.forced, *decoder.ends}
    if ids[0] in added | _special(pieces.tokenizer) or ids[-1] in added:
        return own
    if decoder.forced is not None:
        return [pieces.token(decoder.forced), *before[1:], *own]
    if before and before[0].text_id == decoder.start:
        before = before[1:]
    return [*before, *own]


def begun_like(pieces: Pieces, foil: Sequence[Token], written: Sequence[Token]) -> list[Token]:
    """A foil without the tokens that `target_tokens` puts before a text, where what it is compared
    with does not begin with them: then words stand against words."""
    tokens = list(foil)
    first = written[0].text_id if written else None
    unknown = pieces.tokenizer.unk_token_id
    while len(tokens) > 1 and tokens[0].idx is None and tokens[0].text_id not in (first, unknown):
        tokens = tokens[1:]
    return tokens


def _special(tokenizer: Any) -> set[int]:
    """The special tokens that texts begin with: ends, and codes of languages where there are."""
    roles = ("bos", "eos", "cls", "sep", "pad")
    ids: set[Any] = {getattr(tokenizer, f"{role}_token_id", None) for role in roles}
    if hasattr(tokenizer, "tgt_lang"):
        ids |= set(tokenizer.all_special_ids)
    return ids - {None, tokenizer.unk_token_id, tokenizer.mask_token_id}
