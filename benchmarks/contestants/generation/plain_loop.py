"""One forward and one backward pass for each generated token, as a loop of a few lines does it.

Plain torch: no hooks, no padding, no gradients of parameters, and of the logits only those that
the token comes from. All steps of a token share a batch.
"""

from __future__ import annotations

import numpy as np
import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import Continued, LanguageModel

_MOST_ROWS = 128


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = LanguageModel.of(predictor)
    texts = parts.continued(case)
    tokens = sum(len(text.after) for text in texts)
    # A token takes as long as there is text before it: every so-many-th one stands for all.
    every = -(-tokens * case.steps // _MOST_ROWS)
    numbers = [(text, k) for text in texts for k in range(every // 2, len(text.after), every)]

    def run() -> Scores:
        return [_scores(case, parts, text, k) for text, k in numbers]

    notes = {} if every == 1 else {"measured on": f"{len(numbers)} of {tokens} tokens"}
    return Job(run, len(numbers) / tokens, notes)


def _scores(case: Case, parts: LanguageModel, text: Continued, k: int) -> list[float]:
    with torch.no_grad():
        x = parts.word_embeddings(torch.cat([text.before, text.after[:k]]))
    alphas, weights = rule_of(case)
    points = (alphas.to(x).view(-1, 1, 1) * x).requires_grad_()
    value = parts.log_probability(points, text.after[k]).sum()
    (g,) = torch.autograd.grad(value, points)
    scores = (torch.einsum("k,kpd->pd", weights.to(x), g) * x).sum(-1)
    return normalized(scores[: len(text.before)].tolist())


def rule_of(case: Case) -> tuple[Tensor, Tensor]:
    """The points of a case's path, as shares of it, and their weights, `(steps,)` each."""
    if case.method == "input-x-gradient":
        return torch.ones(1), torch.ones(1)
    assert case.rule == "gauss-legendre", "the loop is for the Gauss-Legendre rule"
    nodes, weights = np.polynomial.legendre.leggauss(case.steps)
    return torch.from_numpy((nodes + 1) / 2), torch.from_numpy(weights / 2)
