"""What no gradient of generated tokens can do without: one forward and one backward pass a token.

Plain torch. What comes before a token is the beginning of the text, so one forward pass of the
whole text, or of all steps of its path, has the values of all tokens; each has a backward pass of
its own, one after the other. No hooks, no padding, no gradients of parameters, tokens given, and
of the logits only those that the tokens come from.
"""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import Continued, LanguageModel
from .plain_loop import rule_of


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = LanguageModel.of(predictor)
    texts = parts.continued(case)

    def run() -> Scores:
        return [one for text in texts for one in _scores(case, parts, text)]

    return Job(run)


def _scores(case: Case, parts: LanguageModel, text: Continued) -> Scores:
    with torch.no_grad():
        x = parts.word_embeddings(torch.cat([text.before, text.after[:-1]]))
    alphas, weights = rule_of(case)
    points = (alphas.to(x).view(-1, 1, 1) * x).requires_grad_()
    places = torch.arange(len(text.before) - 1, len(x), device=x.device)
    logits = parts.model(inputs_embeds=points, logits_to_keep=places).logits
    values = logits.log_softmax(-1).gather(2, _tokens(text, len(points)))[..., 0].sum(0)
    found = []
    for value in values:
        (g,) = torch.autograd.grad(value, points, retain_graph=True)
        scores = (torch.einsum("k,kpd->pd", weights.to(x), g) * x).sum(-1)
        found.append(normalized(scores[: len(text.before)].tolist()))
    return found


def _tokens(text: Continued, rows: int) -> Tensor:
    return text.after.view(1, -1, 1).expand(rows, -1, 1)
