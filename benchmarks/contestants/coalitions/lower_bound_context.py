"""What no method that deletes parts of a context can do without: one forward pass for each text.

Plain torch: tokens and masks for nothing, texts of equal length share a batch, none twice, no
padding, and only the logits that the answer comes from.
"""

from __future__ import annotations

from typing import Any

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...case import Case, Job, Scores
from ...plain.coalitions import coalitions
from ...plain.language_model import LanguageModel

_TOKENS = {"cpu": 1024, "cuda": 16384}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = LanguageModel.of(predictor)
    rows = [one for text in case.texts for one in _rows(parts, case, text)]
    groups: dict[tuple[int, int], list[Tensor]] = {}
    for before, after in rows:
        groups.setdefault((len(before), len(after)), []).append(torch.cat([before, after]))
    size = _TOKENS[parts.word_embeddings.weight.device.type]
    batches = [
        (batch, after)
        for (before, after), same in groups.items()
        for batch in torch.stack(same).split(max(size // (before + after), 1))
    ]

    def run() -> Scores:
        with torch.inference_mode():
            values = [_log_probability(parts, ids, after) for ids, after in batches]
            torch.cat(values).cpu()
        return []

    return Job(run, notes={"rows": len(rows)})


def _rows(parts: LanguageModel, case: Case, text: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    """The tokens of the prompt without some of its units, and those after it."""
    prompt, units = text["prompt"], text["units"]["prompt"]
    (whole,) = parts.continued(Case(case.model, (text,)))
    device = whole.before.device
    ids = [
        torch.tensor(parts.tokenizer(prompt[start:end])["input_ids"], device=device)
        for start, end in units
    ]
    rest = whole.before[sum(map(len, ids)) :]
    masks = coalitions(case.method, len(units), case.steps).tolist()
    return [
        (
            torch.cat([*(own for own, stays in zip(ids, mask, strict=True) if stays), rest]),
            whole.after,
        )
        for mask in masks
    ]


def _log_probability(parts: LanguageModel, ids: Tensor, after: int) -> Tensor:
    """Of the last tokens of texts of equal length, `(rows,)`."""
    places = torch.arange(ids.shape[1] - after - 1, ids.shape[1] - 1, device=ids.device)
    logits = parts.model(input_ids=ids, logits_to_keep=places, use_cache=False).logits
    own = logits.log_softmax(-1).gather(2, ids[:, -after:, None])
    return own.double().sum((1, 2))
