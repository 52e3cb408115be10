"""The tokens of a text that a decoder is to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allennlp.data.tokenizers import Token

from ..model.model import decoder_start
from ..texts.hf_tokenizer import Pieces
from .greedy import end_ids, forced_start


def target_tokens(pieces: Pieces, text: str, transformer: Any) -> list[Token]:
    """The tokens of a text as the model would write them, as far as the text says.

    They begin with the special tokens that labels begin with (`tokenizer(text_target=…)`): BART's
    `<s>`, a language code. A first token that the model's generation config forces takes their
    place, and one that the decoder starts from anyway is not repeated. A text that writes special
    tokens out is taken as it stands, so that what a model wrote, given back, has the same tokens.
    The end of the text is a token of it only where it is written out.

    Args:
        pieces: The model's tokenizer.
        text: The text.
        transformer: The Hugging Face model; None where it is not known.

    Returns:
        The tokens; none of an empty text.
    """
    own, before, after = pieces.target(text)
    if not own:
        return []
    start = None if transformer is None else decoder_start(transformer)
    forced, ends = forced_start(transformer), end_ids(transformer)
    ids = [token.text_id for token in own]
    if len(own) > 1 and ids[0] == start and start in ends:
        # No text goes on after its end: this is what the decoder started from.
        return own[1:]
    added = {token.text_id for token in (*before, *after)} | {forced, *ends}
    if ids[0] in added | _special(pieces.tokenizer) or ids[-1] in added:
        return own
    if forced is not None:
        return [pieces.token(forced), *before[1:], *own]
    if before and before[0].text_id == start:
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
