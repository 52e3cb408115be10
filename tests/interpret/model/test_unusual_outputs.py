"""Models that return arrays, lists or numbers in the place of tensors, and that embed their texts
in another order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import (
    DeepLift,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    KernelShap,
    LeaveOneOut,
    Lime,
)
from tests.zoo.unusual_checks import check_words
from tests.zoo.unusual_models import SHORT, TEXT, TEXTS, Awkward, awkward, explain


class OfArrays(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = super().forward(label, **texts)
        for name in ("logits", "probs"):
            outputs[name] = outputs[name].detach().numpy()
        return outputs


class OfLists(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = super().forward(label, **texts)
        return {**outputs, "logits": [*outputs["logits"]], "probs": [*outputs["probs"]]}


class OfNumbers(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = super().forward(label, **texts)
        return {
            name: float(one.detach()) if name == "loss" else one for name, one in outputs.items()
        }


TARGETS = ("logit", "probability", "log-likelihood")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", [OfLists, OfNumbers, OfArrays])
def test_values_are_those_of_tensors(kind: type[Awkward], target: str) -> None:
    (one,) = LeaveOneOut(awkward(kind), target=target).interpret_json({"tokens": TEXT})
    (other,) = LeaveOneOut(awkward(), target=target).interpret_json({"tokens": TEXT})
    assert one.target == other.target
    assert one.inputs[0].attributions == pytest.approx(other.inputs[0].attributions, abs=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", [OfLists, OfNumbers])
def test_gradients_too_where_there_are_some(kind: type[Awkward], target: str) -> None:
    one = explain(awkward(kind), {"tokens": TEXT}, target=target)
    other = explain(awkward(), {"tokens": TEXT}, target=target)
    assert one.inputs[0].attributions == pytest.approx(other.inputs[0].attributions, abs=1e-6)


def test_arrays_have_no_gradient() -> None:
    with pytest.raises(InterpretationError, match=r"gives no gradient.*values only"):
        explain(awkward(OfArrays), {"tokens": TEXT}, target="logit")


class OfStrings(Awkward):
    def forward(self, label: Tensor | None = None, **texts: Any) -> dict[str, Any]:
        return {**super().forward(label, **texts), "loss": "small"}  # type: ignore[dict-item]


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(InterpretationError, match="returns 'loss' as 'small' of type str"):
        explain(awkward(OfStrings), {"tokens": TEXT})


class Backwards(Awkward):
    """Reads its text from its end on."""

    def summary(self, texts: Any) -> Tensor:
        ids = texts["tokens"]["tokens"]["tokens"].flip(1)
        return self.pool(self.text_field_embedder({"tokens": {"tokens": ids}}), ids != 0)


class Sorting(Awkward):
    """Sorts the rows of a batch by length before it embeds them."""

    def summary(self, texts: Any) -> Tensor:
        ids = texts["tokens"]["tokens"]["tokens"]
        order = (ids != 0).sum(1).argsort(descending=True, stable=True)
        ids = ids[order]
        found = self.pool(self.text_field_embedder({"tokens": {"tokens": ids}}), ids != 0)
        return found[order.argsort()]


class SortingEqual(Awkward):
    """The same by a sort that puts more than 16 rows of one length in another order."""

    def summary(self, texts: Any) -> Tensor:
        ids = texts["tokens"]["tokens"]["tokens"]
        order = (ids != 0).sum(1).argsort(descending=True)
        ids = ids[order]
        found = self.pool(self.text_field_embedder({"tokens": {"tokens": ids}}), ids != 0)
        return found[order.argsort()]


class Reversing(Awkward):
    """Reads the last row first."""

    def summary(self, texts: Any) -> Tensor:
        ids = texts["tokens"]["tokens"]["tokens"].flip(0)
        return self.pool(self.text_field_embedder({"tokens": {"tokens": ids}}), ids != 0).flip(0)


class Replacing(Awkward):
    """Reads other words in the place of some."""

    def summary(self, texts: Any) -> Tensor:
        ids = texts["tokens"]["tokens"]["tokens"]
        ids = torch.where(ids == ids.max(), 2, ids)
        return self.pool(self.text_field_embedder({"tokens": {"tokens": ids}}), ids != 0)


def test_a_text_that_is_read_backwards_is_refused() -> None:
    with pytest.raises(InterpretationError, match="in another order than the field has them"):
        explain(awkward(Backwards), {"tokens": TEXT})


def test_rows_in_another_order_are_explained_one_by_one() -> None:
    inputs = [{"tokens": text} for text in TEXTS]
    method = InputXGradient(awkward(Sorting))
    for one, packed in zip(inputs, method.interpret_batch_json(inputs), strict=True):
        (alone,) = method.interpret_json(one)
        assert packed[0].target == alone.target
        assert packed[0].inputs[0].attributions == alone.inputs[0].attributions


@pytest.mark.parametrize("kind", [SortingEqual, Reversing])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (KernelShap, {"exact_units": 1, "num_samples": 64}),
        (LeaveOneOut, {}),
        (Lime, {}),
        (IntegratedGradients, {}),
        (DeepLift, {}),
    ],
)
def test_copies_of_one_instance_are_told_apart(
    kind: type[Awkward], method: Any, settings: dict[str, Any]
) -> None:
    """They have the same ids, so a model's rows in another order have other copies' numbers."""
    long = {"tokens": " ".join(TEXTS[0].split() * 4)}
    for given in (long, {"tokens": TEXTS[0]}):
        (found,), (expected,) = (
            method(awkward(one), target="logit", **settings).interpret_json(given)
            for one in (kind, Awkward)
        )
        scores = expected.inputs[0].attributions
        assert found.inputs[0].attributions == pytest.approx(scores, abs=1e-5)
        assert any(scores)
        if expected.convergence_delta is not None:
            assert found.convergence_delta == pytest.approx(expected.convergence_delta, abs=1e-5)


def test_a_model_that_embeds_what_it_is_given_is_run_no_more_often() -> None:
    """Of others two rows are run alone."""

    def passes(kind: type[Awkward]) -> int:
        predictor = awkward(kind)
        rows: list[int] = []

        def counted(module: Any, args: Any, output: Any) -> None:
            rows.append(len(output["logits"]))

        predictor._model.register_forward_hook(counted)
        LeaveOneOut(predictor, target="logit").interpret_json({"tokens": TEXT})
        return len(rows)

    assert passes(Replacing) == passes(Awkward) + 2


class Noisy(Replacing):
    """The same, with noise on what it returns."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().forward(*args, **kwargs)
        return {**outputs, "logits": outputs["logits"] + 0.01 * torch.randn(3)}


def test_noise_is_no_other_order() -> None:
    """A row alone has other numbers whatever the order is, so batches stay what they are."""
    predictor = awkward(Noisy)
    rows: list[int] = []
    predictor._model.register_forward_hook(lambda *given: rows.append(len(given[2]["logits"])))
    (found,) = LeaveOneOut(predictor, target="logit").interpret_json({"tokens": TEXT})
    assert any("random although" in one for one in found.warnings)
    assert max(rows) > 1
    assert rows.count(1) < len(TEXT.split())


def test_other_words_in_their_places_have_their_scores() -> None:
    check_words(awkward(Sorting))
    (alone,) = InputXGradient(awkward(Replacing)).interpret_json({"tokens": SHORT})
    assert all(alone.inputs[0].attributions)
