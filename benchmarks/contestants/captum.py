"""captum's LayerIntegratedGradients and GradientShap, given wordpieces, padding and labels.

The baseline is the padding wordpiece, whose vector is zero. Parameters need no gradient, and the
convergence delta, which would cost two more forward passes, is not asked for.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product

import torch
from allennlp.predictors import Predictor
from captum.attr import GradientShap, LayerIntegratedGradients
from torch import Tensor, nn

from ..case import Case, Job, Scores, fewest_steps
from ..plain.parts import Encoded, Parts, by_length, encode, in_order
from ..workloads import Texts

_RULES = {"left": "riemann_left", "gauss-legendre": "gausslegendre", "midpoint": "riemann_middle"}
_MOST_STEPS = 1024
_BATCHES = (1, 8)
_TOKENS = (1024, 4096)


class _Captum:
    """The texts in batches, and how to attribute them."""

    def __init__(
        self, case: Case, predictor: Predictor, rule: str, batch: int = 1, tokens: int = 4096
    ) -> None:
        self._parts = Parts.of(predictor)
        assert not self._parts.word_embeddings.weight[0].any(), "padding must embed as zero"
        self._method = _RULES[rule]
        self._tokens = tokens
        self._batches = by_length(predictor, case.texts, batch, padded=True)
        self._encoded = encode(predictor, case.texts, self._batches)
        layer: nn.Module = self._parts.word_embeddings
        if case.layer is not None:
            layer = predictor._model.get_submodule(case.layer)
        self._layer = LayerIntegratedGradients(self._forward, layer)

    def run(self, steps: int) -> Scores:
        return in_order(self._batches, self._encoded, self._attributions(steps))

    def errors(self, steps: int) -> list[float]:
        """The error of each text, as a share of the change in the target."""
        errors: dict[int, float] = {}
        attributed = zip(self._batches, self._encoded, self._attributions(steps), strict=True)
        for numbers, one, scores in attributed:
            with torch.no_grad():
                both = [self._forward(ids, one.mask) for ids in (one.ids, one.ids * 0)]
            ends = [values.gather(1, one.labels[:, None])[:, 0] for values in both]
            change = ends[0] - ends[1]
            of_batch = ((change - scores.sum(1)) / change).abs().tolist()
            errors |= dict(zip(numbers, of_batch, strict=True))
        return [errors[number] for number in range(len(errors))]

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
    """Everything that is not timed: what suits captum best is looked for here.

    Raises:
        NotReachedError: If no rule becomes as accurate as the case asks.
    """
    if case.method == "gradient-shap":
        return _gradient_shap(case, predictor)
    if case.accuracy is None:
        # All steps of one text together: nothing is padded.
        captum = _Captum(case, predictor, case.rule)
        return Job(lambda: captum.run(case.steps), notes={"steps": case.steps})
    chosen = ""

    def errors(steps: int, texts: Texts) -> list[float]:
        nonlocal chosen
        some = replace(case, texts=texts)
        of_rules = {
            rule: _Captum(some, predictor, rule).errors(steps)
            for rule in ("gauss-legendre", "midpoint")
        }
        chosen = min(of_rules, key=lambda rule: max(of_rules[rule]))
        return of_rules[chosen]

    steps, error = fewest_steps(8, _MOST_STEPS, case.accuracy, case.texts, errors)
    some = replace(case, texts=case.texts[::8])
    batchings = list(product(_BATCHES, _TOKENS))
    seconds = [_seconds(_Captum(some, predictor, chosen, *one), steps) for one in batchings]
    batch, tokens = batchings[seconds.index(min(seconds))]
    captum = _Captum(case, predictor, chosen, batch, tokens)
    return Job(
        lambda: captum.run(steps),
        notes={
            "rule": chosen,
            "steps": steps,
            "largest error": error,
            "inputs a call": batch,
            "tokens a batch": tokens,
        },
    )


def _gradient_shap(case: Case, predictor: Predictor) -> Job:
    parts = Parts.of(predictor)
    batches = by_length(predictor, case.texts, 1, padded=True)
    encoded = encode(predictor, case.texts, batches)

    def forward(inputs_embeds: Tensor, mask: Tensor) -> Tensor:
        return parts.log_probabilities(mask, inputs_embeds=inputs_embeds)

    method = GradientShap(forward)

    def scores(one: Encoded) -> Tensor:
        with torch.no_grad():
            x = parts.word_embeddings(one.ids)
        return method.attribute(
            x,
            torch.zeros_like(x),
            n_samples=case.steps,
            stdevs=0.0,
            target=one.labels,
            additional_forward_args=(one.mask,),
        ).sum(-1)

    return Job(lambda: in_order(batches, encoded, [scores(one) for one in encoded]))


def _seconds(captum: _Captum, steps: int) -> float:
    start = time.perf_counter()
    captum.run(steps)
    return time.perf_counter() - start
