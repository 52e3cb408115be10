"""Names that other libraries use for what is registered here."""

from __future__ import annotations

import pytest
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import SaliencyInterpreter
from allennlp_saliency.interpret.interpreter.named import interpreter_of


@pytest.mark.parametrize(
    ("given", "meant"),
    [("saliency", "gradient"), ("SmoothGrad", "smooth-gradients"), ("vargrad", "var-gradients")],
)
def test_a_method(given: str, meant: str) -> None:
    assert meant in SaliencyInterpreter.list_available()
    with pytest.raises(ConfigurationError, match=f"{given!r}; did you mean {meant!r}"):
        interpreter_of(given, Predictor.__new__(Predictor))


@pytest.mark.parametrize(
    ("method", "given", "meant"),
    [
        ("integrated-gradients", "n_steps", "steps"),
        ("integrated-gradients", "internal_batch_size", "token_budget"),
        ("smooth-gradients", "nt_samples", "num_samples"),
        ("gradient-shap", "n_samples", "num_samples"),
    ],
)
def test_a_parameter(method: str, given: str, meant: str) -> None:
    parameters = {"type": method, given: 3}
    with pytest.raises(ConfigurationError, match=f"{given!r}; did you mean {meant!r}"):
        interpreter_of(parameters, Predictor.__new__(Predictor))


def test_a_method_of_ones_own_is_found_by_its_module() -> None:
    with pytest.raises(ConfigurationError, match=r"; there are: .*--include-package MODULE$"):
        interpreter_of("my-method", Predictor.__new__(Predictor))
