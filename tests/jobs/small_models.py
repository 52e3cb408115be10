"""Predictors of small models, each loaded once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from allennlp.predictors import Predictor

from allennlp_saliency.predictors import TransformersPredictor
from tests.zoo.task_models import KINDS, model, tokenizer

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@cache
def sentiment() -> Predictor:
    """The classifier of the fixtures, which reads `sentence`."""
    return Predictor.from_path(str(FIXTURES / "sentiment" / "model.tar.gz"))


@cache
def entailment() -> Predictor:
    """The one that reads `premise` and `hypothesis`."""
    return Predictor.from_path(str(FIXTURES / "entailment" / "model.tar.gz"))


@cache
def bert() -> TransformersPredictor:
    """An untrained classifier of transformers."""
    own = tokenizer(KINDS["bert"].tokenizer)
    return TransformersPredictor.from_pretrained(model("bert", "text-classification"), own)
