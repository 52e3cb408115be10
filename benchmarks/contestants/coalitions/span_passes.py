"""The gradient of the sum of the log-probabilities of generated tokens, in plain torch.

By the rule "each" one forward and one backward pass for each token, as a loop does it; by the rule
"together" one forward and one backward pass, which is the least that it takes. No hooks, no
padding, no gradients of parameters, and of the logits only those that the tokens come from.
"""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import Continued, LanguageModel


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = LanguageModel.of(predictor)
    texts = parts.continued(case)
    gradient = {"each": _each, "together": _together}[case.rule]

    def run() -> Scores:
        return [_scores(text, *gradient(parts, text)) for text in texts]

    return Job(run)


def _scores(text: Continued, x: Tensor, gradient: Tensor) -> list[float]:
    return normalized((gradient * x).sum(-1)[: len(text.before)].tolist())


def _each(parts: LanguageModel, text: Continued) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        x = parts.word_embeddings(torch.cat([text.before, text.after]))
    whole = torch.zeros_like(x)
    for k, token in enumerate(text.after):
        length = len(text.before) + k
        leaf = x[:length].clone().requires_grad_()
        value = parts.log_probability(leaf[None], token).sum()
        whole[:length] += torch.autograd.grad(value, leaf)[0]
    return x, whole


def _together(parts: LanguageModel, text: Continued) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        x = parts.word_embeddings(torch.cat([text.before, text.after[:-1]]))
    leaf = x.clone().requires_grad_()
    places = torch.arange(len(text.before) - 1, len(x), device=x.device)
    logits = parts.model(inputs_embeds=leaf[None], logits_to_keep=places).logits[0]
    value = logits.log_softmax(-1).gather(1, text.after[:, None]).sum()
    return x, torch.autograd.grad(value, leaf)[0]
