"""Greedy generation, what of a model's generation config differs from it, and the tokens of a given
text as the model would write them."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from allennlp.data.tokenizers import Token
from torch import Tensor

from allennlp_saliency.interpret import InterpretationError

from ..model.model import decoder_start
from ..texts.hf_tokenizer import Pieces

#: How `generate` chooses tokens. What is explained is the greedy text, so these are always set.
_STRATEGY: Mapping[str, Any] = {
    "do_sample": False,
    **dict.fromkeys(["num_beams", "num_beam_groups", "num_return_sequences"], 1),
    **dict.fromkeys("penalty_alpha dola_layers constraints force_words_ids max_time".split()),
    "token_healing": False,
}
#: What changes how `generate` works or what it returns, and not the text.
_MECHANICS: Mapping[str, Any] = {
    **dict.fromkeys(["prompt_lookup_num_tokens", "assistant_early_exit"]),
    **dict.fromkeys("use_mtp output_attentions output_hidden_states output_scores".split(), False),
    **dict.fromkeys(["output_logits", "return_dict_in_generate"], True),
}
#: What `generate` applies to the logits before the best token is taken; these are left alone.
_RULES = """
    repetition_penalty encoder_repetition_penalty no_repeat_ngram_size
    encoder_no_repeat_ngram_size bad_words_ids min_length min_new_tokens forced_bos_token_id
    forced_eos_token_id suppress_tokens begin_suppress_tokens sequence_bias
    exponential_decay_length_penalty guidance_scale watermarking_config stop_strings
""".split()
_NEUTRAL_ONE = """
    num_beams num_beam_groups num_return_sequences repetition_penalty encoder_repetition_penalty
    guidance_scale
""".split()
_MOST = 10_000
# A token's id may be 0.
_IDS = ("forced_bos_token_id", "forced_eos_token_id")


@dataclass(frozen=True)
class Written:
    """The tokens after an input.

    Attributes:
        ids: The tokens' ids.
        log_probs: Their log-probabilities while the model wrote, before any penalty of its
            generation config; None where `generate` did not return its logits.
    """

    ids: list[int]
    log_probs: list[float] | None = None


def greedy(transformer: Any, tokenizer: Any, most: int, **inputs: Tensor) -> list[Written]:
    """What a model writes if it takes the best token each time.

    Args:
        transformer: The Hugging Face model.
        tokenizer: Its tokenizer.
        most: How many tokens at most.
        inputs: What `generate` starts from, `(rows, positions)` each.

    Returns:
        Per row the tokens up to the first that ends the text.
    """
    config = writing_config(transformer)
    ends = end_ids(transformer)
    padding = getattr(tokenizer, "pad_token_id", None)
    options = {
        name: value for name, value in {**_STRATEGY, **_MECHANICS}.items() if hasattr(config, name)
    }
    if getattr(config, "stop_strings", None):
        options["tokenizer"] = tokenizer
    outputs = transformer.generate(
        **inputs,
        **options,
        max_new_tokens=most,
        pad_token_id=padding if padding is not None else next(iter(ends), 0),
    )
    logits = getattr(outputs, "logits", None)
    sequences = getattr(outputs, "sequences", outputs)
    if logits is None:
        start = 1 if transformer.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        return [Written(_up_to(row, ends)) for row in sequences[:, start:].tolist()]
    written = sequences[:, sequences.shape[1] - len(logits) :]
    own = [
        step.float().log_softmax(-1).gather(1, ids.to(step.device).unsqueeze(1)).squeeze(1).cpu()
        for step, ids in zip(logits, written.unbind(1), strict=True)
    ]
    found = []
    for row, log_probs in zip(written.tolist(), torch.stack(own, dim=1).tolist(), strict=True):
        kept = _up_to(row, ends)
        found.append(Written(kept, log_probs[: len(kept)]))
    return found


def check_most(asked: Mapping[str, Any], config: Any) -> None:
    """Refuses requests for texts that would take days to write. Many models have no limit of their
    own: their positions are relative, and without the token that ends a text they write on.

    Args:
        asked: A request; see `GeneratingReader`.
        config: The model's, which may say for how many positions it was made.

    Raises:
        InterpretationError: If it is for more tokens than that, and for more than 10,000.
    """
    most = asked.get("max_new_tokens", 0)
    made_for = getattr(config, "max_position_embeddings", None)
    limit = max(made_for if isinstance(made_for, int) else 0, _MOST)
    if most > limit:
        raise InterpretationError(
            f"max_new_tokens={most} is more than the {limit} tokens that are written for one "
            "explanation; ask for fewer, such as 20"
        )


def writing_config(transformer: Any) -> Any:
    """The generation config of a model that writes.

    Raises:
        InterpretationError: If it has none, as a module around a model of transformers.
    """
    config = getattr(transformer, "generation_config", None)
    if config is None:
        raise InterpretationError(
            f"{type(transformer).__name__} cannot write: it has neither generate nor a "
            "generation_config, as transformers' own models have; give the language model that is "
            "in it, or derive its class from PreTrainedModel and GenerationMixin"
        )
    return config


def end_ids(transformer: Any) -> list[int]:
    """The ids that end a generated text."""
    value = getattr(getattr(transformer, "generation_config", None), "eos_token_id", None)
    return [int(one) for one in ([value] if isinstance(value, int) else value or ())]


def forced_start(transformer: Any) -> int | None:
    """The id that an encoder-decoder's generation config forces to be the first."""
    config = getattr(transformer, "generation_config", None)
    return getattr(config, "forced_bos_token_id", None)


def generation_details(transformer: Any, windowed: bool = False) -> dict[str, str]:
    """The details in which explanations of a generated text describe its generation.

    Args:
        transformer: The Hugging Face model.
        windowed: Whether it was written after windows of a text that is too long, where the model's
            generation config counts only for the first token and the last.

    Returns:
        Empty where the model's generation config asks for nothing but greedy generation; else
        `generation`, and `generation_rules` where there are rules for what is written.
    """
    config = getattr(transformer, "generation_config", None)
    strategy = [name for name in _STRATEGY if _differs(config, name)]
    rules = [name for name in _RULES if _differs(config, name)]
    details = {}
    if strategy:
        details["generation"] = (
            f"greedy; the model's generation config has {_list(config, strategy)}"
        )
    if windowed:
        rules = [name for name in rules if name != "forced_bos_token_id"]
    if rules:
        effect = "did not count, as the text was written in windows"
        if not windowed:
            effect = (
                "counted when the text was written; the scores are of the model's own outputs, "
                "without these rules"
            )
        rule = f"{_list(config, rules)} of the model's generation config {effect}"
        details["generation_rules"] = rule
    return details


def _differs(config: Any, name: str) -> bool:
    value = getattr(config, name, None)
    if name == "penalty_alpha":
        # Contrastive search needs both.
        return bool(value) and (getattr(config, "top_k", None) or 0) > 1
    if value is None or value is False or (isinstance(value, (list, dict, tuple)) and not value):
        return False
    return name in _IDS or value is True or value != (1 if name in _NEUTRAL_ONE else 0)


def _list(config: Any, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={reprlib.repr(getattr(config, name))}" for name in names)


def _up_to(ids: list[int], ends: Sequence[int]) -> list[int]:
    """The ids up to the first that ends a text."""
    last = next((number for number, one in enumerate(ids) if one in ends), len(ids))
    return ids[: last + 1]


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
