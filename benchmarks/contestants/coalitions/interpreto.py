"""interpreto's Occlusion, Lime and KernelShap, called as a user calls them: texts in, explanations
out.

The target is given, and the log-probability is explained; parameters need no gradient. How many
rows share a batch is looked for before.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from allennlp.predictors import Predictor
from interpreto import Granularity, KernelShap, Lime, Occlusion
from interpreto.attributions import InferenceModes

from ...case import Case, Job, Scores, normalized
from ...plain.classifier import Classifier

_METHODS: dict[str, Any] = {"leave-one-out": Occlusion, "lime": Lime, "kernel-shap": KernelShap}
_ROWS = {"cpu": (4, 16), "cuda": (4, 64, 256)}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = Classifier.of(predictor)
    labels = torch.tensor(parts.labels(parts.ids(case.texts)))
    some = replace(case, texts=case.texts[::8])
    rows = _ROWS[parts.device.type]
    _explain(some, parts, labels[::8], rows[0])
    seconds = [_seconds(some, parts, labels[::8], one) for one in rows]
    best = rows[seconds.index(min(seconds))]
    return Job(lambda: _explain(case, parts, labels, best), notes={"rows a batch": best})


def _explain(case: Case, parts: Classifier, labels: torch.Tensor, rows: int) -> Scores:
    sampled = {} if case.method == "leave-one-out" else {"n_perturbations": case.steps}
    explainer = _METHODS[case.method](
        parts.model,
        parts.tokenizer,
        batch_size=rows,
        granularity=Granularity.ALL_TOKENS,
        inference_mode=InferenceModes.LOG_SOFTMAX,
        device=parts.device,
        **sampled,
    )
    texts = [text["sentence"] for text in case.texts]
    explained = explainer.explain(texts, labels)
    return [normalized(one.attributions.flatten().tolist()) for one in explained]


def _seconds(case: Case, parts: Classifier, labels: torch.Tensor, rows: int) -> float:
    start = time.perf_counter()
    _explain(case, parts, labels, rows)
    return time.perf_counter() - start
