"""DeepLIFT where a model decides by its embeddings, through the interpreter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    DeepLift,
    InterpretationError,
    LayerwiseRelevancePropagation,
)
from tests.zoo.functions import predictor_of, spread_vectors

VECTORS = spread_vectors(("up", "down", "left", "right", "far"), 4)
EXPERTS = torch.randn(4, 4, 2, generator=torch.Generator().manual_seed(0))
INPUTS = [
    {"sentence": "up down left"},
    {"sentence": "far up right"},
    {"sentence": "down far far"},
]
LEFT = {"type": "token", "token": "left"}


def mixture(x: Tensor) -> Tensor:
    """Each token by the two experts that it scores highest."""
    weights, chosen = (3 * x).softmax(-1).topk(2, -1)
    out = torch.einsum("btkde,btd->btke", EXPERTS[chosen], x)
    return (out * weights.unsqueeze(-1)).sum((1, 2))


def by_the_whole_batch(x: Tensor) -> Tensor:
    """A choice whose numbers are in another order than what they were made of."""
    chosen = x.argmax(-1).T
    return (EXPERTS[chosen].sum(-2) * 0.3).transpose(0, 1).sum((1, 2)) + x.sum(1)[:, :2]


def counted(x: Tensor) -> Tensor:
    """Numbers of Python: where the words' largest coordinates are."""
    counts = x.argmax(-1).sum(1).tolist()
    rows = [row.sum(0)[:2] * count for row, count in zip(x, counts, strict=True)]
    return torch.stack(rows).tanh()


@pytest.mark.parametrize("function", [mixture, by_the_whole_batch])
def test_complete_and_the_same_alone_as_in_a_batch(function: object) -> None:
    interpreter = DeepLift(predictor_of(function, VECTORS), baseline=LEFT)  # type: ignore[arg-type]
    together = interpreter.interpret_batch_json(INPUTS)
    for given, (in_batch,) in zip(INPUTS, together, strict=True):
        (alone,) = interpreter.interpret_json(given)
        assert alone.inputs[0].attributions == pytest.approx(
            in_batch.inputs[0].attributions, abs=1e-6
        )
        for one in (alone, in_batch):
            assert one.convergence_delta == pytest.approx(0, abs=1e-5)
            assert one.warnings == []
            assert one.details == {}


def test_numbers_of_python_are_refused() -> None:
    interpreter = DeepLift(predictor_of(counted, VECTORS), target="logit", baseline=LEFT)
    with pytest.raises(InterpretationError, match=r"tolist.*'integrated-gradients'"):
        interpreter.interpret_json(INPUTS[0])


def test_the_warning_names_what_lost() -> None:
    predictor = predictor_of(lambda x: 3 * x.logcumsumexp(1)[:, -1, :2], VECTORS)
    (explanation,) = DeepLift(predictor).interpret_json(INPUTS[0])
    delta = explanation.convergence_delta
    assert explanation.details["lost"] == {"logcumsumexp": pytest.approx(delta, abs=1e-5)}
    (warning,) = explanation.warnings
    assert f"DeepLIFT has no rule for 'logcumsumexp' ({delta:.3g})" in warning
    assert "use 'integrated-gradients'" in warning
    assert "steps" not in warning


def test_relevance_that_cancels_is_warned_of() -> None:
    predictor = predictor_of(lambda x: x.sum(1)[:, :2] - x.sum(1)[:, :2].detach() * 0.99, VECTORS)
    (explanation,) = LayerwiseRelevancePropagation(predictor, target="logit").interpret_json(
        INPUTS[0]
    )
    (warning,) = explanation.warnings
    value = explanation.target["value"]
    absorbed = sum(explanation.details["absorbed"].values())
    assert absorbed == pytest.approx(-99 * value, rel=1e-3)
    assert f"absorbed {absorbed:.3g}, more than the value {value:.3g}" in warning


def test_relevance_that_is_not_finite_is_an_error() -> None:
    """The size of nothing has no derivative, though it has a value."""

    def with_size(x: Tensor) -> Tensor:
        sums = x.sum(1)[:, :2]
        nothing = sums - sums.detach()
        return sums + torch.hypot(nothing, nothing)

    lrp = LayerwiseRelevancePropagation(predictor_of(with_size, VECTORS), target="logit")
    with pytest.raises(InterpretationError, match=r"'lrp' absorbed is nan.*'deeplift'"):
        lrp.interpret_json(INPUTS[0])
