"""Predictors of small models, for the jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sentiment() -> Predictor:
    """The classifier of `fixtures`, which reads `sentence`."""
    return Predictor.from_path(str(ROOT / "fixtures" / "sentiment" / "model.tar.gz"))


@pytest.fixture(scope="session")
def entailment() -> Predictor:
    """The one that reads `premise` and `hypothesis`."""
    return Predictor.from_path(str(ROOT / "fixtures" / "entailment" / "model.tar.gz"))


@pytest.fixture(scope="session")
def bert() -> TransformersPredictor:
    """An untrained classifier of transformers."""
    own = tokenizer(KINDS["bert"].tokenizer)
    return TransformersPredictor.from_pretrained(model("bert", "text-classification"), own)
