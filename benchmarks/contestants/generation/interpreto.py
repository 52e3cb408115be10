"""interpreto, called as a user calls it: the prompt and the text after it in, one explanation out.

It explains logits, its default, without a softmax over the vocabulary; parameters need no gradient.
"""

from __future__ import annotations

from typing import Any

from allennlp.predictors import Predictor
from interpreto import Granularity, IntegratedGradients, Saliency

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import LanguageModel, best_rows

_ROWS = (4,)


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed: the batch size that suits it best is looked for here."""
    parts = LanguageModel.of(predictor)
    if case.method == "input-x-gradient":
        return Job(lambda: _explain(case, parts, 1))
    rows = best_rows(case, _ROWS, lambda few, size: _explain(few, parts, size))
    return Job(lambda: _explain(case, parts, rows), notes={"rows a batch": rows})


def _explain(case: Case, parts: LanguageModel, rows: int) -> Scores:
    common: dict[str, Any] = {
        "batch_size": rows,
        "granularity": Granularity.ALL_TOKENS,
        "device": parts.model.device,
    }
    if case.method == "input-x-gradient":
        explainer: Any = Saliency(parts.model, parts.tokenizer, **common)
    else:
        explainer = IntegratedGradients(
            parts.model, parts.tokenizer, n_perturbations=case.steps, **common
        )
    scores: Scores = []
    for text in parts.continued(case):
        (explained,) = explainer.explain(text.text, text.continuation)
        assert len(explained.attributions) == len(text.after)
        of_prompt = explained.attributions[:, : len(text.before)]
        scores += [normalized(row.tolist()) for row in of_prompt]
    return scores
