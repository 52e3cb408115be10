"""captum's LLMGradientAttribution on the word embeddings, given the tokens of the text.

The baseline is the word that embeds as zero, in the place of the prompt's words; captum keeps those
after it. Parameters need no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from allennlp.predictors import Predictor
from captum.attr import (
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LLMGradientAttribution,
    TextTokenInput,
)

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import LanguageModel, best_rows

_ROWS = (4, 8)


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed: the number of rows that suits captum best is looked for
    here."""
    parts = LanguageModel.of(predictor)
    if case.method == "input-x-gradient":
        return Job(lambda: _attribute(case, parts, None))
    rows = best_rows(case, _ROWS, lambda few, size: _attribute(few, parts, size))
    return Job(lambda: _attribute(case, parts, rows), notes={"rows a batch": rows})


def _attribute(case: Case, parts: LanguageModel, rows: int | None) -> Scores:
    layer = parts.word_embeddings
    method: Any
    if case.method == "input-x-gradient":
        method = LayerGradientXActivation(parts.model, layer)
    else:
        assert case.rule == "gauss-legendre"
        method = LayerIntegratedGradients(parts.model, layer)
    attribution = LLMGradientAttribution(method, parts.tokenizer)
    scores: Scores = []
    for text in parts.continued(case):
        inputs = TextTokenInput(text.text, parts.tokenizer)
        steps: dict[str, Any] = {}
        if rows is not None:
            steps = {
                "baselines": torch.full_like(text.before, parts.tokenizer.pad_token_id)[None],
                "n_steps": case.steps,
                "method": "gausslegendre",
                "internal_batch_size": rows,
            }
        found = attribution.attribute(inputs, target=text.after, **steps)
        scores += [normalized(row.tolist()) for row in found.token_attr]
    return scores
