"""captum's LayerIntegratedGradients, given wordpieces, padding and label for nothing.

The baseline is the padding wordpiece, whose vector is zero. Parameters need no gradient, and the
convergence delta, which would cost two more forward passes, is not asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import product

import torch
from allennlp.predictors import Predictor
from captum.attr import LayerIntegratedGradients
from torch import Tensor

from ..case import Case, Job, Scores, fewest_steps
from .plain import Encoded, Parts, by_length, encode, in_order

_RULES = {"left": "riemann_left", "gauss-legendre": "gausslegendre", "midpoint": "riemann_middle"}
_MOST_STEPS = 1024
_BATCHES = (1, 8, 64)
_TOKENS = (1024, 4096)


class _Captum:
    """The texts in batches, and how to attribute them."""

    def __init__(self, case: Case, predictor: Predictor, batch: int, tokens: int) -> None:
        self._parts = Parts.of(predictor)
        assert not self._parts.word_embeddings.weight[0].any(), "padding must embed as zero"
        self._method = _RULES[case.rule]
        self._tokens = tokens
        self._batches = by_length(predictor, case.texts, batch, padded=True)
        self._encoded = encode(predictor, case.texts, self._batches)
        self._layer = LayerIntegratedGradients(self._forward, self._parts.word_embeddings)

    def run(self, steps: int) -> Scores:
        return in_order(self._batches, self._encoded, self._attributions(steps))

    def worst(self, steps: int) -> float:
        """The largest error, as a share of the change in the target."""
        errors = []
        for one, scores in zip(self._encoded, self._attributions(steps), strict=True):
            with torch.no_grad():
                both = [self._forward(ids, one.mask) for ids in (one.ids, one.ids * 0)]
            ends = [values.gather(1, one.labels[:, None])[:, 0] for values in both]
            change = ends[0] - ends[1]
            errors.append(float(((change - scores.sum(1)) / change).abs().max()))
        return max(errors)

    def _forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self._parts.log_probabilities(mask, input_ids=ids)

    def _attributions(self, steps: int) -> list[Tensor]:
        return [self._attribute(one, steps).sum(-1) for one in self._encoded]

    def _attribute(self, one: Encoded, steps: int) -> Tensor:
        count, positions = one.ids.shape
        return self._layer.attribute(
            one.ids,
            baselines=torch.zeros_like(one.ids),
            target=one.labels,
            additional_forward_args=(one.mask,),
            n_steps=steps,
            method=self._method,
            internal_batch_size=max(self._tokens // positions, count),
        )


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed: the batches that suit captum best are looked for here."""
    if case.accuracy is None:
        # All steps of one text together: nothing is padded.
        captum = _Captum(case, predictor, 1, 4096)
        return Job(lambda: captum.run(case.steps), notes={"steps": case.steps})
    steps = fewest_steps(8, _MOST_STEPS, case.accuracy, _Captum(case, predictor, 1, 4096).worst)
    settings = list(product(_BATCHES, _TOKENS))
    settings_of = [_Captum(case, predictor, *setting) for setting in settings]
    fastest = _fastest([lambda one=one: one.run(steps) for one in settings_of])  # type: ignore[misc]
    captum = settings_of[fastest]
    batch, tokens = settings[fastest]
    return Job(
        lambda: captum.run(steps),
        notes={
            "steps": steps,
            "largest error": captum.worst(steps),
            "inputs a call": batch,
            "tokens a batch": tokens,
        },
    )


def _fastest(calls: Sequence[Callable[[], object]]) -> int:
    seconds = []
    for call in calls:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds.index(min(seconds))
