"""What contestants share that are given a language model, the tokens and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..case import Case
from .hugging_face_model import HuggingFaceModel


@dataclass(frozen=True)
class Continued:
    """A prompt and the tokens after it.

    Attributes:
        text: The prompt.
        continuation: What comes after it.
        before: The prompt's tokens, `(positions,)`.
        after: The tokens after it, `(generated,)`.
    """

    text: str
    continuation: str
    before: Tensor
    after: Tensor


class LanguageModel(HuggingFaceModel):
    """A causal language model of Hugging Face."""

    def continued(self, case: Case) -> list[Continued]:
        """The case's texts, tokenised."""
        return [self._continued(text["prompt"], text["continuation"]) for text in case.texts]

    def log_probability(self, embedded: Tensor, token: Tensor) -> Tensor:
        """Of a token after each of some texts, `(rows,)`.

        Args:
            embedded: The texts' words, `(rows, positions, dim)`.
            token: The token's id, a scalar.
        """
        # Only what follows the last position is asked for, as an index: of a slice the head would
        # be multiplied row by row.
        last = torch.tensor([embedded.shape[1] - 1], device=embedded.device)
        logits = self.model(inputs_embeds=embedded, logits_to_keep=last).logits
        return logits[:, -1].log_softmax(-1)[:, token]

    def _continued(self, prompt: str, continuation: str) -> Continued:
        device = self.word_embeddings.weight.device
        both = [self.tokenizer(text)["input_ids"] for text in (prompt, prompt + continuation)]
        assert both[0] == both[1][: len(both[0])]
        before, whole = (torch.tensor(ids, device=device) for ids in both)
        return Continued(prompt, continuation, before, whole[len(before) :])


def best_rows(case: Case, candidates: Sequence[int], run: Callable[[Case, int], object]) -> int:
    """How many rows in a batch suit somebody best, looked for on what the case warms up with.

    Args:
        case: The case.
        candidates: The numbers to choose from.
        run: Explains a case with one of them.
    """
    candidates = [rows for rows in candidates if rows < case.steps] + [case.steps]
    if case.texts == case.warm_up:
        return case.steps
    few = replace(case, texts=case.warm_up or case.texts)
    run(few, case.steps)
    seconds = []
    for rows in candidates:
        start = time.perf_counter()
        run(few, rows)
        seconds.append(time.perf_counter() - start)
    return candidates[seconds.index(min(seconds))]
