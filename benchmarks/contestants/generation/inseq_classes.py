"""inseq's classes for sequential and discretized integrated gradients, given all that they need.

They are called as captum's are, on a function of the word embeddings (of the words, for the
discretized), with the logits of the last position only, parameters that need no gradient, and the
neighbour graph of all words built before.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from allennlp.predictors import Predictor
from inseq.attr.feat.ops import DiscretetizedIntegratedGradients, SequentialIntegratedGradients
from torch import Tensor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import Continued, LanguageModel

_graphs: dict[int, tuple[Any, float]] = {}


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    parts = LanguageModel.of(predictor)
    texts = [(text, k) for text in parts.continued(case) for k in range(len(text.after))]
    discretized = case.method == "discretized-integrated-gradients"
    attribute = _discretized if discretized else _sequential

    def run() -> Scores:
        return [
            normalized(attribute(case, parts, text, k).sum(-1)[0, : len(text.before)].tolist())
            for text, k in texts
        ]

    notes = {"steps": str(case.steps)}
    if discretized:
        notes["neighbour graph, before"] = f"{_path_builder(parts)[1]:.1f} s"
    return Job(run, notes=notes)


def _sequential(case: Case, parts: LanguageModel, text: Continued, k: int) -> Tensor:
    with torch.no_grad():
        x = parts.word_embeddings(torch.cat([text.before, text.after[:k]]))[None]
    method = SequentialIntegratedGradients(
        lambda points: parts.log_probability(points, text.after[k])
    )
    return method.attribute(x, torch.zeros_like(x), n_steps=case.steps, method="gausslegendre")


def _discretized(case: Case, parts: LanguageModel, text: Continued, k: int) -> Tensor:
    ids = torch.cat([text.before, text.after[:k]])[None]
    method = DiscretetizedIntegratedGradients(
        lambda points: parts.log_probability(points, text.after[k])
    )
    method.path_builder = _path_builder(parts)[0]
    # The word that the path begins at embeds as zero.
    baseline = torch.full_like(ids, parts.tokenizer.pad_token_id)
    # Both ends of the path are among its steps.
    return method.attribute(ids, baseline, n_steps=case.steps + 1, method="greedy")


def _path_builder(parts: LanguageModel) -> tuple[Any, float]:
    """What finds the paths, and the seconds that its graph took."""
    weight = parts.word_embeddings.weight.detach()
    if id(parts.model) not in _graphs:
        _graphs.clear()
        method = DiscretetizedIntegratedGradients(None)
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            method.load_monotonic_path_builder(
                "", weight, [], cache_dir=Path(folder), save_cache=False
            )
        _graphs[id(parts.model)] = method.path_builder, time.perf_counter() - start
    return _graphs[id(parts.model)]
