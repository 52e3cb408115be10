"""The package context-cite, called as a user calls it, at its defaults.

In its favour: the parts of the context and the answer are given, so that it neither splits nor
writes text.
"""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack, redirect_stderr
from typing import Any
from unittest.mock import patch

import nltk
import numpy as np
from allennlp.predictors import Predictor

from ...case import Case, Job, Scores, normalized
from ...plain.language_model import LanguageModel

with patch.object(nltk, "download"):
    # It fetches what splits sentences, which is not needed here.
    from context_cite import ContextCiter
    from context_cite.context_partitioner import BaseContextPartitioner

_ONE_MESSAGE = "{% for message in messages %}{{ message.content }}{% endfor %}"


class _Parts(BaseContextPartitioner):
    """A context whose parts are known."""

    def __init__(self, parts: list[str]) -> None:
        super().__init__(" ".join(parts))
        self._parts = parts

    @property
    def num_sources(self) -> int:
        return len(self._parts)

    def split_context(self) -> None:
        """They are given."""

    def get_source(self, index: int) -> str:
        return self._parts[index]

    def get_context(self, mask: Any = None) -> str:
        kept = np.ones(len(self._parts), dtype=bool) if mask is None else mask
        return " ".join(part for part, stays in zip(self._parts, kept, strict=True) if stays)


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed."""
    language_model = LanguageModel.of(predictor)
    tokenizer = language_model.tokenizer
    tokenizer.chat_template = _ONE_MESSAGE

    def run() -> Scores:
        # Its progress bar and its warnings.
        with ExitStack() as quiet:
            nowhere = quiet.enter_context(open(os.devnull, "w"))
            quiet.enter_context(redirect_stderr(nowhere))
            quiet.enter_context(warnings.catch_warnings(action="ignore"))
            return [_scores(case, language_model, text) for text in case.texts]

    return Job(run)


def _scores(case: Case, parts: LanguageModel, text: dict[str, Any]) -> list[float]:
    prompt, units = text["prompt"], text["units"]["prompt"]
    context = _Parts([prompt[start:end] for start, end in units])
    citer = ContextCiter(
        parts.model,
        parts.tokenizer,
        context.context,
        prompt[units[-1][1] :].strip(),
        num_ablations=case.steps,
        prompt_template="{context} {query}",
        partitioner=context,
    )
    citer._cache["output"] = prompt + text["continuation"]
    return normalized(citer.get_attributions(verbose=False).tolist())
