"""Losses as they come: sums, weights, penalties, none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from allennlp.data import Instance
from allennlp.data.fields import LabelField
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    Explanation,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    SmoothGradients,
)
from tests.zoo.unusual_checks import (
    by_hand,
    check_batch_equals_single,
    check_field,
    check_words,
    field_of,
    word_ids,
    words_layer,
)
from tests.zoo.unusual_models import (
    TEXT,
    TEXTS,
    Awkward,
    AwkwardPredictor,
    awkward,
    collated,
    explain,
    labeled,
    predictor_of,
    vocabulary,
    words_embedder,
)


class SumLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, reduction="sum")


class VectorLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, reduction="none")


class OwnMeanLoss(Awkward):
    """No cross entropy: a hinge."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.multi_margin_loss(logits, label, margin=4.0)


class OwnSumLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.multi_margin_loss(logits, label, margin=4.0, reduction="sum")


class SmoothedLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label, label_smoothing=0.2)


class WeightedLoss(Awkward):
    """A mean weighted by class: for a row alone it is the plain cross entropy."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        weight = torch.tensor([1.0, 5.0, 0.2], dtype=logits.dtype)
        return nn.functional.cross_entropy(logits, label, weight=weight)


class PenalizedLoss(Awkward):
    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, label) + 0.1 * logits.pow(2).sum(-1).mean()


LOSSES = [SumLoss, VectorLoss, OwnMeanLoss, OwnSumLoss, SmoothedLoss, WeightedLoss, PenalizedLoss]


@pytest.mark.parametrize("kind", LOSSES)
def test_losses(kind: type[Awkward]) -> None:
    predictor = awkward(kind)
    check_words(predictor)
    inputs = [{"tokens": text} for text in TEXTS]
    check_batch_equals_single(predictor, inputs, rel=1e-4)
    for text in TEXTS:
        (instance,) = labeled(predictor, {"tokens": text})
        calls = by_hand(predictor, instance, words_layer(predictor))
        found = field_of(explain(predictor, {"tokens": text}), "tokens")
        check_field(found, calls, word_ids(predictor))


def _scores(explanations: Sequence[Explanation]) -> list[float]:
    return [score for one in explanations for field in one.inputs for score in field.attributions]


@pytest.mark.parametrize("method", [InputXGradient, IntegratedGradients])
@pytest.mark.parametrize(
    "target",
    [
        "log-odds",
        lambda outputs: -outputs["loss"],
        lambda outputs: -outputs["loss"].expand(len(outputs.rows)),
        lambda outputs: torch.exp(-outputs["loss"]),
        lambda outputs: outputs.log_likelihood.exp(),
    ],
    ids=["log-odds", "loss", "expanded", "exp", "likelihood"],
)
@pytest.mark.parametrize("kind", [Awkward, *LOSSES])
def test_functions_of_the_loss_are_of_each_rows_own(
    kind: type[Awkward], target: Any, method: Any
) -> None:
    """A model returns one loss for a batch; rows are other inputs, or copies at other points."""
    inputs = [{"tokens": text} for text in TEXTS]
    one_by_one = method(awkward(kind), target=target, token_budget=1)
    alone = [one_by_one.interpret_json(one)[0] for one in inputs]
    together = [own for (own,) in method(awkward(kind), target=target).interpret_batch_json(inputs)]
    for one, other in zip(alone, together, strict=True):
        assert one.target["value"] == pytest.approx(other.target["value"], rel=1e-4, abs=1e-6)
    assert _scores(together) == pytest.approx(_scores(alone), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("kind", [Awkward, SumLoss, OwnMeanLoss])
def test_a_mean_of_the_losses_is_refused(kind: type[Awkward]) -> None:
    def mean(outputs: Any) -> Tensor:
        return -outputs["loss"].mean().expand(len(outputs.rows))

    with pytest.raises(InterpretationError, match="the same row beside another: it takes a mean"):
        explain(awkward(kind), {"tokens": TEXT}, target=mean)


@pytest.mark.parametrize("kind", LOSSES)
def test_integrated_gradients_of_losses_are_complete(kind: type[Awkward]) -> None:
    """Rows of several instances and several points share batches; values are the rows' own."""
    predictor = awkward(kind)
    interpreter = IntegratedGradients(predictor, steps=48)
    inputs = [{"tokens": text} for text in TEXTS]
    for text, (one,) in zip(TEXTS, interpreter.interpret_batch_json(inputs), strict=True):
        (instance,) = labeled(predictor, {"tokens": text})
        tensors = collated(predictor, instance)
        with torch.no_grad():
            value = -float(predictor._model(**tensors)["loss"].sum())
            words_layer(predictor).weight.data, kept = (
                torch.zeros_like(words_layer(predictor).weight),
                words_layer(predictor).weight.data,
            )
            baseline = -float(predictor._model(**tensors)["loss"].sum())
            words_layer(predictor).weight.data = kept
        assert one.target["value"] == pytest.approx(value, rel=1e-4, abs=1e-5)
        assert one.target["baseline_value"] == pytest.approx(baseline, rel=1e-4, abs=1e-5)
        total = sum(sum(field.attributions) + field.unassigned for field in one.inputs)
        if kind not in (OwnMeanLoss, OwnSumLoss):  # A hinge has corners.
            assert total == pytest.approx(value - baseline, rel=2e-2, abs=2e-3)


class Contrastive(Awkward):
    """Each row is told from the other rows of the batch: no row has a loss of its own."""

    def loss(self, logits: Tensor, label: Tensor) -> Tensor:
        similarity = logits @ logits.T
        own = torch.arange(len(logits), device=logits.device)
        return nn.functional.cross_entropy(similarity, own) + logits.pow(2).mean()


def test_a_loss_across_the_rows_of_a_batch() -> None:
    predictor = awkward(Contrastive)
    with pytest.raises(InterpretationError, match=r"neither their mean nor their sum.*'logit'"):
        explain(predictor, {"tokens": TEXT})
    # The way out that the message names.
    (instance,) = labeled(predictor, {"tokens": TEXT})
    label = int(instance["label"].label)
    calls = by_hand(
        predictor, instance, words_layer(predictor), lambda outputs: outputs["logits"][0, label]
    )
    found = field_of(explain(predictor, {"tokens": TEXT}, target="logit"), "tokens")
    check_field(found, calls, word_ids(predictor))


class Silent(Awkward):
    """Returns its loss and nothing else that a target could read."""

    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        outputs = super().forward(label, **texts)
        best = outputs["logits"].argmax(-1)
        return {"answer": best} | ({"loss": outputs["loss"]} if label is not None else {})


class AnswerPredictor(AwkwardPredictor):
    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        copy = instance.duplicate()
        copy.add_field("label", LabelField(int(outputs["answer"]), skip_indexing=True))
        return [copy]


def test_outputs_without_logits() -> None:
    vocab = vocabulary()
    predictor = predictor_of(Silent(vocab, words_embedder(vocab)), predictor=AnswerPredictor)
    check_words(predictor)
    inputs = [{"tokens": text} for text in TEXTS]
    check_batch_equals_single(predictor, inputs, rel=1e-4)
    for target in ("logit", "probability"):
        with pytest.raises(InterpretationError, match=r"no logits.*\['answer', 'loss'\]"):
            explain(predictor, {"tokens": TEXT}, target=target)


class NoLoss(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Tensor]:
        return super().forward(None, **texts)


def test_no_loss_for_a_labelled_instance() -> None:
    predictor = awkward(NoLoss)
    with pytest.raises(InterpretationError, match="returned no loss"):
        explain(predictor, {"tokens": TEXT})
    assert any(explain(predictor, {"tokens": TEXT}, target="logit").inputs[0].attributions)


class Deaf(Awkward):
    """Embeds all fields and listens to the first one only."""

    def summary(self, texts: Mapping[str, Any]) -> Tensor:
        read = [self.read(name, tensors) for name, tensors in texts.items()]
        return read[0]


def test_a_field_that_does_not_reach_the_loss() -> None:
    predictor = awkward(Deaf)
    texts = {"heard": TEXT, "unheard": "great film"}
    (instance,) = labeled(predictor, texts)
    calls = by_hand(predictor, instance, words_layer(predictor))
    for method in (InputXGradient, IntegratedGradients, SmoothGradients):
        (explanation,) = method(predictor).interpret_json(texts)
        assert field_of(explanation, "unheard").attributions == [0.0, 0.0]
        assert any("'unheard'" in warning for warning in explanation.warnings)
        assert not any("'heard'" in warning for warning in explanation.warnings)
        grads = method(predictor).saliency_interpret_from_json(texts)["instance_1"]
        assert grads["grad_input_1"] == [0.0, 0.0]
        assert sum(grads["grad_input_2"]) == pytest.approx(1)
    check_field(field_of(explain(predictor, texts), "heard"), calls[:1], word_ids(predictor))
