"""What goes through the model together, and what happens when that is too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from allennlp.predictors import Predictor
from torch import Tensor

from allennlp_saliency.interpret import (
    Explanation,
    InputXGradient,
    IntegratedGradients,
    SaliencyInterpreter,
    SmoothGradients,
)
from allennlp_saliency.interpret.space.embedding_space import EmbeddingSpace
from allennlp_saliency.interpret.space.packing import TokenBudget
from tests.zoo import Zoo

ERRORS: dict[str, Callable[[], Exception]] = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 8589934592 bytes."
    ),
    "windows": lambda: RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate"
    ),
    "python": MemoryError,
    "c++": lambda: RuntimeError("std::bad_alloc"),
    "system": lambda: OSError(12, "Cannot allocate memory"),
    "cublas": lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas"),
    "wrapped": lambda: _raised_from(ValueError("the layer failed"), MemoryError()),
}


def _raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class Narrow:
    """Lets a model take so many rows and no more, and counts what went through.

    Attributes:
        batches: Rows of each batch that went through.
        refused: Rows of each batch that did not.
    """

    def __init__(self, predictor: Predictor, limit: int, error: Callable[[], Exception]) -> None:
        self.limit = limit
        self.error = error
        self.batches: list[int] = []
        self.refused: list[int] = []
        predictor._model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, module: Any, args: Any, kwargs: Any) -> None:
        rows = len(first_tensor(kwargs))
        if rows > self.limit:
            self.refused.append(rows)
            raise self.error()
        self.batches.append(rows)

    def __deepcopy__(self, memo: Any) -> Narrow:
        return self


def first_tensor(value: Any) -> Tensor:
    while isinstance(value, dict):
        value = next(iter(value.values()))
    assert isinstance(value, Tensor)
    return value


def close(left: list[list[Explanation]], right: list[list[Explanation]]) -> bool:
    def flat(results: list[list[Explanation]]) -> list[float]:
        return [
            score
            for explanations in results
            for explanation in explanations
            for one in explanation.inputs
            for score in one.attributions
        ]

    return bool(np.allclose(flat(left), flat(right), rtol=0, atol=1e-5))


class TestGroups:
    def test_like_lengths_share_a_group(self) -> None:
        groups = TokenBudget(100).groups([50, 3, 49, 3, 3], 1)
        assert sorted(map(sorted, groups)) == [[0, 2], [1, 3, 4]]

    @pytest.mark.parametrize("budget", [1, 10, 64, 1000])
    @pytest.mark.parametrize("rows", [1, 7])
    def test_every_instance_once_within_the_budget(self, budget: int, rows: int) -> None:
        lengths = [5, 9, 9, 30, 1, 2, 2, 2, 31, 0, 9]
        groups = TokenBudget(budget).groups(lengths, rows)
        assert sorted(number for group in groups for number in group) == list(range(len(lengths)))
        for group in groups:
            longest = max(lengths[number] for number in group)
            assert len(group) == 1 or longest * len(group) * rows <= budget
            padding = sum(longest - max(lengths[number], 1) for number in group)
            assert padding <= 0.15 * longest * len(group) or len(group) == 1

    def test_nothing(self) -> None:
        assert TokenBudget(10).groups([], 3) == []
        assert list(TokenBudget(10).chunks(0, 3)) == []

    @pytest.mark.parametrize("tokens", [0, -5])
    def test_no_budget(self, tokens: int) -> None:
        with pytest.raises(ValueError, match=f"not {tokens}"):
            TokenBudget(tokens)


class TestChunks:
    def test_rows_in_order(self) -> None:
        chunks = [chunk.rows.tolist() for chunk in TokenBudget(10).chunks(8, 3)]
        assert chunks == [[0, 1, 2], [3, 4, 5], [6, 7]]

    def test_a_long_row_goes_alone(self) -> None:
        assert [len(chunk.rows) for chunk in TokenBudget(10).chunks(3, 99)] == [1, 1, 1]

    @pytest.mark.parametrize("kind", ERRORS)
    def test_failed_rows_come_again_in_halves(self, kind: str) -> None:
        budget, done = TokenBudget(8), []
        for chunk in budget.chunks(9, 1):
            with chunk.guard():
                if len(chunk.rows) > 3:
                    raise ERRORS[kind]()
                done.append(chunk.rows.tolist())
        assert [row for rows in done for row in rows] == list(range(9))
        assert max(map(len, done)) == 2
        assert budget.tokens == 2

    def test_other_errors_of_one_row_pass(self) -> None:
        for error in (RuntimeError("shapes cannot be multiplied"), KeyError("x")):
            (chunk,) = TokenBudget(8).chunks(1, 1)
            with pytest.raises(type(error)), chunk.guard():
                raise error

    def test_other_errors_of_several_rows_leave_one_at_a_time(self) -> None:
        budget, sizes = TokenBudget(8), []
        for chunk in budget.chunks(3, 1):
            sizes.append(len(chunk.rows))
            with chunk.guard():
                if len(chunk.rows) > 1:
                    raise ValueError("mat1 and mat2 shapes cannot be multiplied")
        assert sizes == [3, 1, 1, 1]
        assert budget.single

    def test_one_row_that_does_not_fit(self) -> None:
        (chunk,) = TokenBudget(8).chunks(1, 1)
        with pytest.raises(MemoryError), chunk.guard():
            raise MemoryError


class TestOutOfMemory:
    texts = ("a film", "the plot", "a great actor", "the very long awful film was not good at all")
    inputs = tuple({"sentence": text} for text in texts)

    @pytest.mark.parametrize(
        ("method", "settings"),
        [
            ("integrated-gradients", {"steps": 8}),
            ("discretized-integrated-gradients", {"steps": 4}),
            ("sequential-integrated-gradients", {"steps": 3}),
            ("gradient-shap", {"num_samples": 6}),
            ("smooth-gradients", {"num_samples": 6}),
            ("var-gradients", {"num_samples": 6}),
        ],
    )
    def test_what_a_method_makes_of_the_gradients_halves_the_batch_too(
        self,
        zoo: Zoo,
        method: str,
        settings: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        make = SaliencyInterpreter.by_name(method)
        expected = make(zoo.predictor("lstm"), **settings).interpret_json(self.inputs[3])
        original, refused = EmbeddingSpace._made, []

        def little(self: Any, made: Any, numbers: Tensor, gradients: Tensor) -> Tensor:
            if made is not None and len(numbers) > 2:
                refused.append(len(numbers))
                raise MemoryError
            return original(self, made, numbers, gradients)

        monkeypatch.setattr(EmbeddingSpace, "_made", little)
        found = make(zoo.predictor("lstm"), **settings).interpret_json(self.inputs[3])
        assert refused
        # Other batches, other sums: single precision.
        assert found[0].inputs[0].attributions == pytest.approx(
            expected[0].inputs[0].attributions, rel=1e-4, abs=1e-6
        )

    @pytest.mark.parametrize("kind", ERRORS)
    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_all_results_are_right(self, zoo: Zoo, kind: str, limit: int) -> None:
        for method, settings in (
            (IntegratedGradients, {"steps": 12}),
            (IntegratedGradients, {"relative_tolerance": 0.001}),
            (SmoothGradients, {"num_samples": 12}),
            (InputXGradient, {}),
        ):
            expected = method(zoo.predictor("lstm"), **settings).interpret_batch_json(self.inputs)
            predictor = zoo.build("lstm")
            narrow = Narrow(predictor, limit, ERRORS[kind])
            found = method(predictor, **settings).interpret_batch_json(self.inputs)
            assert close(found, expected)
            assert narrow.refused or method is InputXGradient
            assert max(narrow.batches) <= limit

    def test_work_is_not_done_twice(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        narrow = Narrow(predictor, 10, MemoryError)
        IntegratedGradients(predictor, steps=64).interpret_json(self.inputs[0])
        # The prediction, the recording, the baseline and the points, each once.
        assert sum(narrow.batches) == 3 + 64
        # 64 rows are too many, 32 and 16 too; then 8 rows a batch.
        assert narrow.refused == [64, 32, 16]

    def test_where_not_one_row_fits(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        narrow = Narrow(predictor, 2, ERRORS["cuda"])
        interpreter = IntegratedGradients(predictor, steps=4)
        assert interpreter.interpret_json(self.inputs[0])
        narrow.limit = 0
        with pytest.raises(RuntimeError, match="out of memory"):
            interpreter.interpret_json(self.inputs[0])
        results = interpreter.interpret_each(self.inputs)
        assert all("out of memory" in str(one.error) for one in results)

    def test_long_inputs_that_do_not_fit_leave_the_others_alone(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")

        def refuse(module: Any, args: Any, kwargs: Any) -> None:
            if first_tensor(kwargs).shape[1] > 5:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        predictor._model.register_forward_pre_hook(refuse, with_kwargs=True)
        results = IntegratedGradients(predictor, token_budget=10**6).interpret_each(self.inputs)
        assert [one.error is None for one in results] == [True, True, True, False]
        expected = IntegratedGradients(zoo.predictor("lstm")).interpret_batch_json(self.inputs[:3])
        assert close([one.explanations for one in results[:3]], expected)

    def test_a_model_that_takes_one_row_at_a_time(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        narrow = Narrow(predictor, 1, lambda: RuntimeError("shapes cannot be multiplied"))
        method = IntegratedGradients(predictor, steps=4)
        found = method.interpret_batch_json(self.inputs[:2])
        expected = IntegratedGradients(zoo.predictor("lstm"), steps=4).interpret_batch_json(
            self.inputs[:2]
        )
        assert close(found, expected)
        # That is found out once.
        narrow.batches.clear()
        method.interpret_batch_json(self.inputs[:2])
        assert set(narrow.batches) == {1}

    def test_other_errors_of_one_row_are_the_users(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        Narrow(predictor, 0, lambda: RuntimeError("shapes cannot be multiplied"))
        with pytest.raises(RuntimeError, match="shapes"):
            IntegratedGradients(predictor, steps=12).interpret_json(self.inputs[0])


class TestBudgets:
    @pytest.mark.parametrize("budget", [1, 20, 100])
    def test_batches_stay_within(self, zoo: Zoo, budget: int) -> None:
        predictor = zoo.build("lstm")
        shapes: list[tuple[int, int]] = []
        predictor._model.register_forward_pre_hook(
            lambda module, args, kwargs: shapes.append(tuple(first_tensor(kwargs).shape[:2])),
            with_kwargs=True,
        )
        inputs = list(TestOutOfMemory.inputs)
        IntegratedGradients(predictor, steps=10, token_budget=budget).interpret_batch_json(inputs)
        assert all(rows == 1 or rows * width <= budget for rows, width in shapes)

    def test_instances_of_one_length_share_batches(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        narrow = Narrow(predictor, 10**6, MemoryError)
        inputs = [{"sentence": text} for text in ("a film", "a plot", "an actor", "the scene")]
        InputXGradient(predictor).interpret_batch_json(inputs)
        # Each is predicted by itself. The pass that records them all explains them, too.
        assert narrow.batches == [1, 1, 1, 1, 4]


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 1024), ("cuda", 16384), ("meta", 1024)])
def test_the_default_of_a_device(device: str, tokens: int) -> None:
    assert TokenBudget.default(torch.device(device)).tokens == tokens


@pytest.mark.parametrize(
    ("lengths", "evaluations", "passes"),
    # One pass records a group; each other one has as many rows as fit.
    # A text without tokens takes a position, too.
    [
        ([10, 10], 5, 1 + 1),
        ([10, 10], 6, 1 + 2),
        ([50], 7, 1 + 4),
        ([200], 3, 1 + 3),
        ([1], 150, 1 + 2),
        ([0], 150, 1 + 2),
    ],
)
def test_how_many_passes_a_group_takes(lengths: list[int], evaluations: int, passes: int) -> None:
    budget = TokenBudget(100)
    groups = [list(range(len(lengths)))]
    assert budget.passes(groups, lengths, evaluations) == passes
    assert budget.passes([*groups, *groups], lengths, evaluations) == 2 * passes
