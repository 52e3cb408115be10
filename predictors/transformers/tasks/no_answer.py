"""Passages that have no answer to a question, as models trained on SQuAD 2 say it.

Such a model points with both ends of the answer at its classification token. There is no answer
where the sum of the two logits there exceeds that of the best span by more than a threshold
(Devlin et al. 2019, section 4.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data.tokenizers import Token
from torch import Tensor

START, END = "no_answer_start_logits", "no_answer_end_logits"


def threshold_of(no_answer: bool | float | None) -> float | None:
    """By how much "no answer" has to exceed the best answer.

    Args:
        no_answer: False or None for models that always answer; True for a threshold of 0; or the
            threshold.

    Returns:
        None where there is always an answer.

    Raises:
        ConfigurationError: If it is none of these.
    """
    if no_answer is None or isinstance(no_answer, bool):
        return 0.0 if no_answer else None
    if not isinstance(no_answer, Real) or math.isnan(no_answer):
        raise ConfigurationError(
            f"no_answer is true, false or the threshold, a number, not {no_answer!r}"
        )
    return float(no_answer)


def no_answer_place(
    tokenizer: Any, question: Sequence[Token], passage: Sequence[Token]
) -> tuple[str, int]:
    """The field and the number of the token that stands for "no answer", as in transformers'
    examples for SQuAD 2: the classification token, else the first of a text, else the first."""
    texts = {"question": question, "passage": passage}
    for role in ("cls", "bos"):
        number = getattr(tokenizer, f"{role}_token_id", None)
        for name, tokens in texts.items():
            for place, token in enumerate(tokens):
                if number is not None and token.text_id == number and token.idx is None:
                    return name, place
    return ("question" if question else "passage"), 0


def no_answer_logits(
    start_logits: Tensor, end_logits: Tensor, lengths: Tensor, metadata: Sequence[Any]
) -> dict[str, Tensor]:
    """The logits of both ends at the token that stands for "no answer".

    Args:
        start_logits: `(rows, positions)`, of the sequence of question and passage.
        end_logits: The same for the end.
        lengths: `(rows,)`, at which position of the sequence each passage begins.
        metadata: Per row what the reader noted.

    Returns:
        `no_answer_start_logits` and `no_answer_end_logits`, `(rows,)`.
    """
    names, numbers = zip(*(one["no_answer_place"] for one in metadata), strict=True)
    within = torch.tensor(numbers, device=lengths.device)
    behind = torch.tensor([name == "passage" for name in names], device=lengths.device)
    places = (within + behind * lengths).to(start_logits.device).unsqueeze(1)
    return {
        START: start_logits.float().gather(1, places).squeeze(1),
        END: end_logits.float().gather(1, places).squeeze(1),
    }


def no_answer_loss(starts: Tensor, ends: Tensor, none: Mapping[str, Tensor]) -> Tensor:
    """Minus the log-likelihood of "no answer" against all ends in the passage, `(rows,)`."""
    loss = torch.zeros_like(none[START])
    for logits, own in ((starts, none[START]), (ends, none[END])):
        loss = loss - torch.cat([own.unsqueeze(1), logits], dim=1).log_softmax(-1)[:, 0]
    return loss
