"""Predictors that read the inputs."""

from __future__ import annotations

import pytest
from allennlp.predictors import Predictor

from allennlp_saliency.predictors import TransformersPredictor
from tests.jobs import small_models


@pytest.fixture(scope="session")
def sentiment() -> Predictor:
    """It reads `sentence`."""
    return small_models.sentiment()


@pytest.fixture(scope="session")
def entailment() -> Predictor:
    """It reads `premise` and `hypothesis`."""
    return small_models.entailment()


@pytest.fixture(scope="session")
def bert() -> TransformersPredictor:
    """One of transformers."""
    return small_models.bert()
