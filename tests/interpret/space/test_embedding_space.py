"""A function of embeddings that is written down: its values, its gradients, and its checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import EmbeddingSpace, InterpretationError, Target
from allennlp_saliency.interpret.interpreter.labels.labelling import label_json
from allennlp_saliency.interpret.model.twin import Twin
from allennlp_saliency.interpret.registry import construct
from allennlp_saliency.interpret.space.packing import TokenBudget
from allennlp_saliency.interpret.space.session import Session
from allennlp_saliency.interpret.target.outputs import ModelOutputs
from allennlp_saliency.interpret.target.prediction_check import Mismatch
from allennlp_saliency.interpret.target.row_loss import RowLoss, RowLossError
from tests.zoo.functions import predictor_of, spread_vectors

DIM = 3
WORDS = ("up", "down", "left", "right")
VECTORS = spread_vectors(WORDS, DIM)
WEIGHTS = torch.tensor([0.7, -0.4, 0.2])
TEXTS = ("up down left", "right")
YES = {"type": "logit", "label": "yes"}


def squares(x: Tensor) -> Tensor:
    """The second logit is Σ (w · x_t)², the first zero."""
    total = ((x @ WEIGHTS.to(x)) ** 2).sum(1)
    return torch.stack([torch.zeros_like(total), total], dim=-1)


def value(x: Tensor) -> Tensor:
    """Of points, `(rows, positions, dim)`."""
    return ((x @ WEIGHTS) ** 2).sum(1).double()


def gradient(x: Tensor) -> Tensor:
    return 2 * (x @ WEIGHTS).unsqueeze(-1) * WEIGHTS


def space_of(
    function: Callable[[Tensor], Tensor] = squares,
    target: Any = YES,
    texts: Sequence[str] = TEXTS,
    budget: int = 1000,
    row_loss: RowLoss | None = None,
    **model: Any,
) -> EmbeddingSpace:
    twin = Twin(predictor_of(function, VECTORS, **model))
    labelled = label_json(twin.predictor, [{"sentence": text} for text in texts], predict=True)
    session = Session(twin, construct(Target, target), TokenBudget(budget))
    return EmbeddingSpace(session, [one.instances[0].instance for one in labelled], row_loss)


def counted(space: EmbeddingSpace) -> list[int]:
    """Collects the rows of each forward pass."""
    rows: list[int] = []
    space.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows.append(len(kwargs["tokens"]["tokens"]["tokens"])),
        with_kwargs=True,
    )
    return rows


def random_points(rows: int) -> Tensor:
    return torch.randn(rows, 3, DIM, generator=torch.Generator().manual_seed(1))


class TestOwnPoints:
    def test_embeddings(self) -> None:
        space = space_of()
        own = torch.zeros(2, 3, DIM)
        for row, text in enumerate(TEXTS):
            for place, word in enumerate(text.split()):
                own[row, place] = torch.tensor(VECTORS[word])
        assert torch.equal(space.embeddings, own.flatten(1))
        assert space.embeddings.dtype == torch.float32
        assert torch.allclose(space.values, value(own), rtol=1e-6)
        assert space.values.dtype == torch.float64
        assert torch.allclose(space.input_gradients, gradient(own).flatten(1), rtol=1e-5)
        assert space.tokens_per_row == 3

    def test_the_recording_pass_gave_all(self) -> None:
        space = space_of()
        passes = counted(space)
        assert space.values.shape == (2,)
        assert space.input_gradients.shape == (2, 9)
        assert not passes

    def test_gradients_after_other_passes(self) -> None:
        """The recording's graph is let go where a method goes elsewhere."""
        space, other = space_of(budget=3), space_of()
        space.evaluate(space.embeddings, torch.tensor([0, 1]))
        passes = counted(space)
        assert torch.allclose(space.input_gradients, other.input_gradients, rtol=1e-6)
        # A row at a time: as much as fits.
        assert passes == [1, 1]

    def test_the_only_coordinates_are_the_inputs(self) -> None:
        space = space_of()
        points = random_points(2).flatten(1)
        assert space.at_input_embeddings() is space
        assert space.states_at(points) is points

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_rounding_is_that_of_the_model(self, dtype: torch.dtype) -> None:
        space = space_of(dtype=dtype)
        assert space.rounding == torch.finfo(dtype).eps
        assert space.embeddings.dtype == dtype

    def test_a_target_that_is_not_finite(self) -> None:
        with pytest.raises(InterpretationError, match=r"Logit is \[inf, inf\], not finite"):
            space_of(lambda x: squares(x) / torch.tensor([1.0, 0.0]))


class Scores(Target):
    def __call__(self, outputs: ModelOutputs) -> Tensor:
        found: Tensor = outputs["scores"]
        return found


class TestOtherPoints:
    ROWS = torch.tensor([1, 0, 0, 1, 0])

    @pytest.mark.parametrize("budget", [1, 6, 1000])
    @pytest.mark.parametrize("made_as_needed", [False, True])
    def test_values_and_gradients(self, budget: int, made_as_needed: bool) -> None:
        space, x = space_of(budget=budget), random_points(5)
        points: Any = x.flatten(1)
        if made_as_needed:
            points = lambda numbers: x.flatten(1)[numbers]  # noqa: E731
        passes = counted(space)
        found = space.evaluate(points, self.ROWS)
        assert torch.allclose(found, value(x), rtol=1e-5)
        assert (found.dtype, found.requires_grad) == (torch.float64, False)
        sizes = {1: [1] * 5, 6: [2, 2, 1], 1000: [5]}[budget]
        assert passes == sizes
        seen: list[int] = []
        for numbers, values, gradients in space.values_and_gradients(points, self.ROWS):
            assert values is not None
            assert values.dtype == torch.float64
            assert torch.allclose(values, value(x)[numbers], rtol=1e-5)
            assert torch.allclose(gradients, gradient(x)[numbers].flatten(1), rtol=1e-4)
            seen += numbers.tolist()
        assert seen == list(range(5))
        assert passes == 2 * sizes

    def test_what_a_method_makes_of_gradients(self) -> None:
        space, x = space_of(budget=6), random_points(5)

        def made(numbers: Tensor, gradients: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            return gradients.sum(-1) + 100 * numbers

        expected = gradient(x).sum((1, 2)) + 100 * torch.arange(5)
        for numbers, found in space.gradients(x.flatten(1), self.ROWS, made):
            assert torch.allclose(found, expected[numbers], rtol=1e-4)

    def test_a_leaf_of_the_callers(self) -> None:
        space, x = space_of(), random_points(2)
        points = x.flatten(1)
        with torch.no_grad():
            leaf, values = space.leaf_and_values(points, torch.tensor([0, 1]))
        assert leaf.requires_grad
        assert not points.requires_grad
        assert torch.allclose(values.double(), value(x), rtol=1e-5)
        assert torch.allclose(space.gradient(values, leaf), gradient(x).flatten(1), rtol=1e-4)

    def test_each_row_keeps_its_instances_label(self) -> None:
        """Without a label of its own the target explains what each instance was predicted as."""

        def first_word(x: Tensor) -> Tensor:
            return torch.stack([x[:, 0, 0], -x[:, 0, 0]], dim=-1)

        ordered = sorted(WORDS, key=lambda word: VECTORS[word][0])
        assert VECTORS[ordered[0]][0] < 0 < VECTORS[ordered[-1]][0]
        space = space_of(first_word, "logit", (ordered[0], ordered[-1]))
        signs = torch.tensor([-1.0, 1.0])
        rows, points = torch.tensor([0, 1, 1, 0]), torch.arange(1.0, 13.0).view(4, 3)
        expected = signs[rows] * points[:, 0]
        assert torch.equal(space.evaluate(points, rows), expected.double())

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_targets_of_ones_own(self, dtype: torch.dtype) -> None:
        """One number a row, whatever the type."""
        space = space_of(target=lambda outputs: outputs.logits[:, 1].to(dtype) * 3)
        assert torch.allclose(space.values, 3 * value(space.embeddings.view(2, 3, DIM)), rtol=1e-5)
        with pytest.raises(InterpretationError, match=r"shape \(2, 1\) for 2 rows"):
            space_of(target=lambda outputs: outputs.logits[:, :1])

    def test_a_target_of_what_the_model_does_not_return(self) -> None:
        with pytest.raises(InterpretationError, match="FunctionModel returns no 'scores', only"):
            space_of(target=Scores())

    def test_a_target_without_a_gradient(self) -> None:
        space = space_of(target=lambda outputs: outputs.logits.detach()[:, 1])
        assert space.values.shape == (2,)
        with pytest.raises(InterpretationError, match=r"of FunctionModel gives no gradient"):
            _ = space.input_gradients
        with pytest.raises(InterpretationError, match=r"values only, such as"):
            list(space.gradients(space.embeddings, torch.tensor([0, 1])))


def doubled(reduce: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss that no formula of the logits gives: twice the cross entropy, and one."""

    def losses(logits: Tensor, label: Tensor) -> Tensor:
        own = torch.nn.functional.cross_entropy(logits, label, reduction="none")
        return reduce(2 * own + 1)

    return losses


MEAN, SUM = doubled(Tensor.mean), doubled(Tensor.sum)


def doubled_loss(x: Tensor) -> Tensor:
    """What `doubled` is for points, with the label "yes" of the larger logit."""
    return (2 * torch.log1p((-value(x)).exp()) + 1).double()


class TestOneLossForTheBatch:
    """Of the rows' losses the model returns the mean or the sum alone."""

    LOSS = "log-likelihood"

    @pytest.mark.parametrize("losses", [MEAN, SUM])
    def test_values_are_those_of_rows_alone(self, losses: Any) -> None:
        space, x = space_of(target=self.LOSS, losses=losses), random_points(3)
        assert space.mixes_rows
        rows, passes = torch.tensor([0, 1, 1]), counted(space)
        assert torch.allclose(space.evaluate(x.flatten(1), rows), -doubled_loss(x), rtol=1e-5)
        assert passes == [3, 1, 1, 1]
        assert not space.session.budget.single
        own = -doubled_loss(space.embeddings.view(2, 3, DIM))
        assert torch.allclose(space.values, own, rtol=1e-5)

    @pytest.mark.parametrize(("losses", "reduction"), [(MEAN, None), (MEAN, "mean"), (SUM, "sum")])
    def test_gradients_are_known_and_values_are_not(
        self, losses: Any, reduction: str | None
    ) -> None:
        space = space_of(target=self.LOSS, losses=losses, row_loss=RowLoss(reduction))
        x = random_points(3)
        ((numbers, values, found),) = space.values_and_gradients(
            x.flatten(1), torch.tensor([0, 1, 1])
        )
        assert values is None
        assert numbers.tolist() == [0, 1, 2]
        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(-self.of(leaf).sum(), leaf)
        assert torch.allclose(found, expected.flatten(1), rtol=1e-4)

    def of(self, leaf: Tensor) -> Tensor:
        return 2 * torch.log1p((-((leaf @ WEIGHTS) ** 2).sum(1)).exp()) + 1

    @pytest.mark.parametrize(("losses", "name"), [(MEAN, "mean"), (SUM, "sum")])
    @pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
    def test_which_of_both(self, losses: Any, name: str, texts: tuple[str, ...]) -> None:
        space = space_of(target=self.LOSS, texts=texts, losses=losses)
        assert space.loss_reduction_unknown
        assert space.loss_reduction() == name

    def test_neither(self) -> None:
        space = space_of(target=self.LOSS, losses=doubled(lambda own: own.max()))
        with pytest.raises(InterpretationError, match="neither their mean nor their sum"):
            space.loss_reduction()

    def test_a_formula_that_holds(self) -> None:
        space = space_of(target=self.LOSS)
        assert not space.mixes_rows
        assert not space.loss_reduction_unknown
        space.verify_row_losses()

    def test_a_formula_that_held_by_chance(self) -> None:
        """Both losses are almost zero at the input, where the model is sure."""

        def sure(x: Tensor) -> Tensor:
            return 1e8 * squares(x)

        def losses(logits: Tensor, label: Tensor) -> Tensor:
            return 3 * torch.nn.functional.cross_entropy(logits, label)

        space = space_of(sure, self.LOSS, losses=losses)
        assert not space.mixes_rows
        with pytest.raises(RowLossError):
            space.verify_row_losses()


class TestChecks:
    def test_another_prediction(self) -> None:
        space = space_of()
        own = squares(space.embeddings.view(2, 3, DIM))
        space.check_predicted([{"logits": own[0].tolist()}, None])
        space.check_predicted([None, {"logits": own[1].tolist()}])
        with pytest.raises(Mismatch) as found:
            space.check_predicted([None, {"logits": own[0].tolist()}])
        assert found.value.row == 1

    def test_alone_as_in_the_batch(self) -> None:
        space_of().check_alone([0, 1])

    def test_a_model_that_sees_padding(self) -> None:
        """The mean over all positions is another where there is padding."""

        def mean(x: Tensor) -> Tensor:
            return squares(x) / x.shape[1]

        space = space_of(mean)
        # The longest text has no padding.
        space.check_alone([0])
        with pytest.raises(Mismatch) as found:
            space.check_alone([0, 1])
        assert found.value.row == 1

    def test_a_random_model_is_not_held_to_its_prediction(self) -> None:
        def random(x: Tensor) -> Tensor:
            return squares(x) * torch.rand(1)

        space = space_of(random)
        assert space.random
        space.check_predicted([{"logits": [5.0, -5.0]}, None])
        assert not space_of().random
