"""On a GPU every method gives the scores that it gives on a CPU."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor

from allennlp_saliency.interpret import InterpretationError
from tests.interpret.properties.cases import METHODS, applies, make, numbers
from tests.zoo import Zoo

FAMILIES = ("lstm", "pair", "bert", "bert-mismatched", "bert-tagger", "gpt2")
# The predictors whose models are on the GPU.
_MOVED: dict[str, Predictor] = {}

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
each_case = pytest.mark.parametrize(
    ("method", "family"), [(m, f) for m in METHODS for f in FAMILIES if applies(m, f)]
)


@pytest.fixture(autouse=True)
def full_precision() -> Any:
    """Without TF32, whose products have ten bits; as it was afterwards."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def moved(zoo: Zoo, family: str) -> Predictor:
    """The predictor of a family with its model on the GPU."""
    if family not in _MOVED:
        made = copy.copy(zoo.predictor(family))
        made._model = copy.deepcopy(made._model).cuda()
        made.cuda_device = 0
        _MOVED[family] = made
    return _MOVED[family]


def of_second_derivatives(method: str, family: str) -> bool:
    """Whether a method differentiates a recurrent layer twice, which cuDNN does not."""
    return method == "integrated-hessians" and family == "lstm"


@each_case
def test_scores_are_those_on_the_cpu(zoo: Zoo, method: str, family: str) -> None:
    inputs = zoo.inputs(family)
    if of_second_derivatives(method, family):
        with pytest.raises(InterpretationError, match="move the model to the CPU"):
            make(method, moved(zoo, family)).interpret_batch_json(inputs)
        return
    expected = make(method, zoo.predictor(family)).interpret_batch_json(inputs)
    found = make(method, moved(zoo, family)).interpret_batch_json(inputs)
    for ours, theirs in zip(found, expected, strict=True):
        assert [one.target["label"] for one in ours] == [one.target["label"] for one in theirs]
        scores, own = np.array(numbers(ours)), np.array(numbers(theirs))
        assert np.isfinite(scores).all()
        if method == "minimal-sufficient-set":
            # Which of a word's two places is taken out first is a matter of rounding.
            scores, own = np.sort(scores), np.sort(own)
        # Sums in another order; the least relative error is that of the largest score.
        assert np.abs(scores - own).max() <= 2e-3 * max(np.abs(own).max(), 1e-6)


@pytest.mark.parametrize("method", ["gradient", "integrated-gradients", "lime"])
def test_nothing_of_the_model_changes(zoo: Zoo, method: str) -> None:
    predictor = moved(zoo, "lstm")
    state = torch.cuda.get_rng_state()
    weights = {name: one.clone() for name, one in predictor._model.state_dict().items()}
    make(method, predictor).interpret_batch_json(zoo.inputs("lstm"))
    assert torch.equal(torch.cuda.get_rng_state(), state)
    for name, one in predictor._model.state_dict().items():
        assert one.device.type == "cuda"
        assert torch.equal(one, weights[name])
    assert all(one.grad is None for one in predictor._model.parameters())
