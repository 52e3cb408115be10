"""Targets that fit no input of a model: a setting's error, which names a target that works."""

from __future__ import annotations

from typing import Any

import pytest

from allennlp_saliency.interpret import InputXGradient, SettingError
from tests.zoo.allennlp_models import ARCHIVES, Archives

NAMES = [
    "bidaf",
    "transformer-qa",
    "naqanet-count",
    "dialog-qa",
    "dependencies",
    "constituents",
    "coreference",
    "choices-piqa",
    "next-token-lm",
    "masked-lm",
    "seq2seq-simple",
]
NO_LABELS = {"bidaf", "transformer-qa", "naqanet-count", "dialog-qa"}


def error_of(archives: Archives, name: str, target: Any) -> Exception | None:
    interpreter = InputXGradient(archives.predictor(name), target=target)
    (found,) = interpreter.interpret_each([ARCHIVES[name].inputs[0]])
    return found.error


@pytest.mark.parametrize("name", NAMES)
def test_settings(archives: Archives, name: str) -> None:
    targets: list[Any] = ["arguments", {"type": "log-likelihood", "label": "no such label"}]
    if name in NO_LABELS:
        targets.append("all-labels")
    for target in targets:
        error = error_of(archives, name, target)
        assert isinstance(error, SettingError), (target, error)
        assert "predictions_to_labeled_instances" not in str(error)
        if "target 'log-likelihood'" in str(error):
            assert error_of(archives, name, "log-likelihood") is None
