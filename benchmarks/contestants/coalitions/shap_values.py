"""SHAP's explainers for texts, called as a user calls them, with the tokenizer as masker.

In their favour: the model is a function that tokenises all texts that it is given, pads them, and
runs them in one batch, without a gradient, and not a pipeline.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np
import shap
import torch
from allennlp.predictors import Predictor

from ...case import Case, Job, Scores, normalized
from ...plain.classifier import Classifier


def prepare(case: Case, predictor: Predictor) -> Job:
    """Everything that is not timed; the rule of the case is the explainer's algorithm."""
    parts = Classifier.of(predictor)
    labels = parts.labels(parts.ids(case.texts))

    def predicted(texts: Any) -> np.ndarray:
        tokens = parts.tokenizer([str(text) for text in texts], padding=True, return_tensors="pt")
        tokens = tokens.to(parts.device)
        with torch.inference_mode():
            logits = parts.model(**tokens).logits
        return logits.log_softmax(-1).double().cpu().numpy()

    masker = shap.maskers.Text(parts.tokenizer)
    explainer = shap.Explainer(predicted, masker, algorithm=case.rule, seed=0)
    texts = [text["sentence"] for text in case.texts]

    def run() -> Scores:
        # Its progress bar.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            found = explainer(texts, max_evals=case.steps, silent=True)
        return [
            normalized(np.asarray(values)[:, label].tolist())
            for values, label in zip(found.values, labels, strict=True)
        ]

    return Job(run)
