"""Minus the loss of every row, whatever a model makes of the losses of a batch.

The truth is found without this project's mechanism: each input alone, labelled with its
prediction, one backward pass of the loss to the embedding layer's output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.data import Instance
from allennlp.data.batch import Batch
from allennlp.nn.util import sequence_cross_entropy_with_logits
from allennlp.predictors import Predictor
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from allennlp_saliency.interpret import (
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SmoothGradients,
)
from allennlp_saliency.interpret.interpreter.labels.labelling import label_json
from allennlp_saliency.interpret.target.row_loss import RowLoss
from tests.zoo import Zoo

TEXTS = (
    "a great film",
    "awful",
    "john smith lives in london",
    "the plot was not bad , but the actor was badly unbelievable !",
    "a bad film",
)
INPUTS = [{"sentence": text} for text in TEXTS]


class Loss(nn.Module):
    """A loss of one's own."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.function(logits, labels)


def focal(logits: Tensor, labels: Tensor) -> Tensor:
    losses = cross_entropy(logits, labels, reduction="none")
    return (1 - (-losses).exp()) ** 2 * losses


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.multi_margin_loss(logits, labels, margin=4.0)


WEIGHTS = torch.tensor([0.2, 1.0, 5.0])
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": cross_entropy,
    "sum": lambda x, y: cross_entropy(x, y, reduction="sum"),
    "per row": lambda x, y: cross_entropy(x, y, reduction="none"),
    "of shape (1,)": lambda x, y: cross_entropy(x, y).reshape(1),
    "weighted by class": lambda x, y: cross_entropy(x, y, weight=WEIGHTS),
    "weighted sum": lambda x, y: cross_entropy(x, y, weight=WEIGHTS, reduction="sum"),
    "smoothed": lambda x, y: cross_entropy(x, y, label_smoothing=0.3),
    "focal mean": lambda x, y: focal(x, y).mean(),
    "focal sum": lambda x, y: focal(x, y).sum(),
    "focal per row": focal,
    "margin": margin,
    "with a constant": lambda x, y: cross_entropy(x, y) + 3.0,
    "scaled": lambda x, y: 10 * cross_entropy(x, y),
    "of temperature": lambda x, y: cross_entropy(x / 3, y),
}


def by_hand(
    predictor: Predictor, instance: Instance, layer: nn.Module, alphas: list[float]
) -> tuple[list[float], float]:
    """Mean over points α of e · ∇(-loss)(α e), per word; and minus the loss at the input."""
    model = predictor._model
    batch = Batch([instance])
    batch.index_instances(model.vocab)
    tensors = batch.as_tensor_dict()
    embedded = layer(next(iter(tensors["tokens"]["tokens"].values()))).detach()
    point = embedded
    handle = layer.register_forward_hook(lambda *_: point)
    try:
        value = -float(model(**tensors)["loss"].detach().sum())
        gradients = []
        for alpha in alphas:
            point = (alpha * embedded).requires_grad_()
            loss = model(**tensors)["loss"].sum()
            gradients.append(torch.autograd.grad(-loss, point)[0])
    finally:
        handle.remove()
    mean = torch.stack(gradients).mean(0)
    return (embedded * mean)[0].sum(-1).tolist(), value


def check(predictor: Predictor, layer: nn.Module, inputs: list[dict[str, str]]) -> None:
    """Batches against single inputs by hand, for one point and for several."""
    middles = [1 / 8, 3 / 8, 5 / 8, 7 / 8]
    for interpreter, points in (
        (InputXGradient(predictor, token_budget=10**6), [1.0]),
        (IntegratedGradients(predictor, rule="midpoint", steps=4), middles),
        (IntegratedGradients(predictor, rule="midpoint", steps=4, token_budget=1), middles),
    ):
        results = interpreter.interpret_batch_json(inputs)
        assert any(results)
        for given, explanations in zip(inputs, results, strict=True):
            (labelled,) = label_json(predictor, [given], predict=False)
            instances = [one.instance for one in labelled.instances]
            assert len(instances) == len(explanations)
            for instance, explanation in zip(instances, explanations, strict=True):
                expected, value = by_hand(predictor, instance, layer, points)
                found = explanation.inputs[0].attributions
                scale = max(1.0, np.abs(expected).max())
                assert np.abs(np.subtract(found, expected)).max() <= 1e-5 * scale, given
                assert explanation.target["value"] == pytest.approx(value, rel=1e-5, abs=1e-5)


def classifier(zoo: Zoo, name: str) -> tuple[Predictor, nn.Module]:
    predictor = zoo.build("lstm")
    model: Any = predictor._model
    model._loss = Loss(LOSSES[name])
    return predictor, model._text_field_embedder.token_embedder_tokens


@pytest.mark.parametrize("name", LOSSES)
def test_classifiers(zoo: Zoo, name: str) -> None:
    predictor, layer = classifier(zoo, name)
    check(predictor, layer, INPUTS)


@pytest.mark.parametrize("name", LOSSES)
def test_all_instances_in_one_batch(zoo: Zoo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from allennlp_saliency.interpret.space.packing import TokenBudget

    monkeypatch.setattr(
        TokenBudget, "groups", lambda self, lengths, *rest: [list(range(len(lengths)))]
    )
    predictor, layer = classifier(zoo, name)
    check(predictor, layer, INPUTS)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [30.0, 1000.0])
def test_a_model_that_is_sure(zoo: Zoo, name: str, scale: float) -> None:
    # At the input all losses are nearly zero, and nothing tells one from another.
    predictor, layer = classifier(zoo, name)
    head: Any = predictor._model._classification_layer
    with torch.no_grad():
        head.weight *= scale
    check(predictor, layer, INPUTS)


@pytest.mark.parametrize("name", ["mean", "focal mean", "weighted by class", "focal sum"])
def test_values_of_every_point(zoo: Zoo, name: str) -> None:
    # Refinement asks for values where rows share batches: they are the rows' own.
    predictor, _ = classifier(zoo, name)
    interpreter = IntegratedGradients(predictor, tolerance=1e-4)
    together = interpreter.interpret_batch_json(INPUTS)
    for given, (explanation,) in zip(INPUTS, together, strict=True):
        (alone,) = interpreter.interpret_json(given)
        assert explanation.target["value"] == pytest.approx(alone.target["value"], abs=1e-6)
        baseline_value = alone.target["baseline_value"]
        assert explanation.target["baseline_value"] == pytest.approx(baseline_value, abs=1e-6)
        assert explanation.convergence_delta is not None
        assert abs(explanation.convergence_delta) <= 2e-4
        assert explanation.details["converged"] is True


@pytest.mark.parametrize("name", ["weighted by class", "focal mean"])
def test_smooth_gradients_batch_equals_single(zoo: Zoo, name: str) -> None:
    predictor, _ = classifier(zoo, name)
    interpreter = SmoothGradients(predictor, num_samples=6)
    together = interpreter.interpret_batch_json(INPUTS)
    for given, (explanation,) in zip(INPUTS, together, strict=True):
        (alone,) = interpreter.interpret_json(given)
        found = explanation.inputs[0].attributions
        assert found == pytest.approx(alone.inputs[0].attributions, abs=1e-5)


@pytest.mark.parametrize("average", ["batch", "token", None])
def test_taggers(zoo: Zoo, average: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    # The mean over texts of means over tokens; the mean over all tokens; a number per text.
    monkeypatch.setattr(
        "allennlp.models.simple_tagger.sequence_cross_entropy_with_logits",
        lambda logits, targets, mask: sequence_cross_entropy_with_logits(
            logits, targets, mask, average=average
        ),
    )
    predictor = zoo.build("lstm-tagger")
    model: Any = predictor._model
    model._f1_metric.__class__ = type("Silent", (), {"__call__": lambda *_: None})
    check(predictor, model.text_field_embedder.token_embedder_tokens, zoo.inputs("lstm-tagger"))


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_loss_that_is_neither_mean_nor_sum(zoo: Zoo, scale: float) -> None:
    predictor, _ = classifier(zoo, "mean")
    model: Any = predictor._model
    model._loss = Loss(lambda x, y: cross_entropy(x, y) * (1 + 0.1 * len(x)))
    with torch.no_grad():
        model._classification_layer.weight *= scale
    results = IntegratedGradients(predictor, steps=4).interpret_each(INPUTS)
    assert any(result.error for result in results)
    for result in results:
        if result.error is None:  # so sure that the loss is zero at all points
            assert not any(result.explanations[0].inputs[0].attributions)
            continue
        assert isinstance(result.error, InterpretationError)
        assert "neither their mean nor their sum" in str(result.error)
        assert "'logit'" in str(result.error)
    IntegratedGradients(predictor, steps=4, target="logit").interpret_batch_json(INPUTS)


class TestRowLoss:
    """The formula that stands in for the loss, and how it is found out."""

    rows = torch.tensor([0.5, 2.0, 1.0])

    def test_mean_and_sum_of_a_cross_entropy(self) -> None:
        for loss in (self.rows.mean(), self.rows.sum()):
            row_loss = RowLoss()
            losses, entangled = row_loss(loss, {"cross-entropy": self.rows}, 3)
            assert torch.equal(losses, self.rows)
            assert not entangled
            assert not row_loss.refuted
            assert row_loss.identified

    def test_a_loss_per_row_is_taken(self) -> None:
        losses, entangled = RowLoss()(self.rows, {"cross-entropy": self.rows + 1}, 3)
        assert torch.equal(losses, self.rows)
        assert not entangled

    def test_another_loss_is_taken_as_it_is(self) -> None:
        for reduction, expected in ((None, 9.0), ("mean", 9.0), ("sum", 3.0)):
            row_loss = RowLoss(reduction)
            found, entangled = row_loss(torch.tensor(3.0), {"cross-entropy": self.rows}, 3)
            assert found.sum() == expected
            assert entangled
            assert row_loss.reduction_unknown is (reduction is None)

    def test_a_formula_that_fails_later_is_refuted(self) -> None:
        row_loss = RowLoss()
        row_loss(self.rows.mean(), {"cross-entropy": self.rows}, 3)
        row_loss(self.rows.mean() * 2, {"cross-entropy": self.rows}, 3)
        assert row_loss.refuted

    def test_a_mean_does_not_become_a_sum(self) -> None:
        row_loss = RowLoss()
        row_loss(self.rows.mean(), {"cross-entropy": self.rows}, 3)
        row_loss(self.rows.sum(), {"cross-entropy": self.rows}, 3)
        assert row_loss.refuted

    def test_a_loss_near_zero_tells_nothing(self) -> None:
        row_loss = RowLoss()
        tiny = self.rows * 1e-6
        row_loss(tiny.mean(), {"cross-entropy": tiny}, 3)
        assert not row_loss.identified
        row_loss(self.rows.mean(), {"cross-entropy": self.rows}, 3)
        assert row_loss.identified

    def test_nan_is_no_refutation(self) -> None:
        row_loss = RowLoss()
        nan = torch.tensor([float("nan")] * 3)
        losses, _ = row_loss(nan.mean(), {"cross-entropy": nan}, 3)
        assert losses.isnan().all()
