"""captum's FeatureAblation, Lime and KernelShap on the wordpieces, at their defaults: one masked
copy in each pass.

The baseline is the padding wordpiece, whose vector is zero; wordpieces and labels are given.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from allennlp.predictors import Predictor
from captum.attr import FeatureAblation, KernelShap, Lime
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.classifier import Classifier

_METHODS: dict[str, Any] = {
    "leave-one-out": FeatureAblation,
    "lime": Lime,
    "kernel-shap": KernelShap,
}
# One copy in each pass takes time in proportion: every so-many-th text stands for all.
_MOST_PASSES = 1024


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = Classifier.of(predictor)

    def forward(ids: Tensor) -> Tensor:
        return parts.log_probabilities(input_ids=ids)

    method = _METHODS[case.method](forward)
    sampled: dict[str, Any] = {} if case.method == "leave-one-out" else {"n_samples": case.steps}
    ids = parts.ids(case.texts)
    labels = parts.labels(ids)
    chosen = _chosen([len(own) for own in ids], case.steps if sampled else 0)
    whole = sum(len(own) for own in ids)

    def run() -> Scores:
        scores = []
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in chosen:
                found = method.attribute(ids[number][None], target=labels[number], **sampled)
                scores.append(normalized(found[0].double().tolist()))
        return scores

    if len(chosen) == len(ids):
        return Job(run)
    share = sum(len(ids[number]) for number in chosen) / whole
    return Job(run, share, {"measured on": f"{len(chosen)} of {len(ids)} texts"})


def _chosen(lengths: list[int], passes: int) -> list[int]:
    """The numbers of texts to explain: every so-many-th in order of length."""
    every = max(-(-passes * len(lengths) // _MOST_PASSES), 1) if passes else 1
    by_length = sorted(range(len(lengths)), key=lambda number: lengths[number])
    return sorted(by_length[(every // 2) :: every] or by_length[:1])
