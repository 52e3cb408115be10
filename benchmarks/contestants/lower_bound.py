"""What no method can do without: one forward and one backward pass for the rows needed.

Plain torch on the parts of the model: no hooks, no padding, no gradients of parameters, wordpieces
and label for nothing.
"""

from __future__ import annotations

import torch
from allennlp.predictors import Predictor
from torch import Tensor

from ..case import Case, Job, Scores
from ..plain.parts import Encoded, Parts, by_length, encode, in_order

_TOKENS = {"cpu": 1024, "cuda": 16384}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = Parts.of(predictor)
    batches = by_length(predictor, case.texts, len(case.texts), padded=False)
    encoded = encode(predictor, case.texts, batches)

    def run() -> Scores:
        return in_order(batches, encoded, [_scores(case, parts, one) for one in encoded])

    return Job(run)


def _scores(case: Case, parts: Parts, texts: Encoded) -> Tensor:
    with torch.no_grad():
        x = parts.word_embeddings(texts.ids)
    points = _points(case, x)
    labels = texts.labels.repeat(len(points) // len(x))
    size = -(-len(points) // -(-points[..., 0].numel() // _TOKENS[x.device.type]))
    gradients = []
    for some, of_some in zip(points.split(size), labels.split(size), strict=True):
        leaf = some.requires_grad_()
        values = parts.log_probabilities(None, inputs_embeds=leaf).gather(1, of_some[:, None])
        gradients += torch.autograd.grad(values.sum(), leaf)
    mean = torch.cat(gradients).view(-1, *x.shape).mean(0)
    return (mean * x).sum(-1)


def _points(case: Case, x: Tensor) -> Tensor:
    """`(steps · texts, positions, dim)`."""
    if case.method == "input-x-gradient":
        return x.clone()
    if case.method == "smooth-gradients":
        sigma = 0.01 * (x.amax((1, 2), keepdim=True) - x.amin((1, 2), keepdim=True))
        return torch.cat([x + sigma * torch.randn_like(x) for _ in range(case.steps)])
    if case.method == "gradient-shap":
        return torch.cat([torch.rand(len(x), 1, 1).to(x) * x for _ in range(case.steps)])
    assert case.rule == "left", "the lower bound is for the left rule"
    return torch.cat([step / case.steps * x for step in range(case.steps)])
