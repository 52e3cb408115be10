"""DeepLIFT on models: the sum on every architecture, as captum has it, and nothing left behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from allennlp.common.checks import ConfigurationError
from allennlp.predictors import Predictor
from captum.attr import DeepLift as CaptumDeepLift
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from allennlp_saliency.interpret import (
    Baseline,
    DeepLift,
    Explanation,
    IntegratedGradients,
    InterpretationError,
)
from tests.interpret.rules.deeplift.passes import Passes, t, tensors
from tests.zoo import FAMILIES, Zoo
from tests.zoo.functions import predictor_of, spread_vectors

NAMED = ("bert", "roberta", "distilbert", "gpt2", "t5", "llama")
OTHERS = ("lstm", "cnn", "pair", "bert-mismatched", "bert-tagger", "gemma", "modernbert")
TARGETS = ("log-likelihood", "logit", "probability")
# Their norms or positions compute in float32, whatever the model's type.
CAST_TO_FLOAT32 = ("t5", "llama", "qwen2", "gemma", "modernbert")
# Where the targets themselves hardly differ, the rounding of logits of size 1 to 10 in float32.
FLOOR = 2e-6


def stack_of_modes() -> int:
    return len(_get_current_function_mode_stack())


class TestNothingIsLeftBehind:
    def test_after_success_and_failure(self) -> None:
        (x,) = tensors((3, 4), seed=1)
        Passes.of(torch.tanh, [x], [x])
        assert stack_of_modes() == 0

        class Broken(Exception):
            pass

        def broken(x: Tensor) -> Tensor:
            F.scaled_dot_product_attention(x, x, x)
            raise Broken

        with pytest.raises(Broken):
            Passes.of(broken, [x], [x])
        with pytest.raises(NotImplementedError):
            Passes.of(lambda x: x.amax((0, 1)), [x], [x])
        assert stack_of_modes() == 0

    def test_other_threads_compute_as_ever(self) -> None:
        """While one thread is in the middle of a pass, another gets autograd's own numbers."""
        inside, done = threading.Event(), threading.Event()
        found: dict[str, Any] = {}

        def other() -> None:
            inside.wait(10)
            leaf = t(3.0, -2.0).requires_grad_()
            (found["g"],) = torch.autograd.grad((leaf * leaf).tanh().sum(), leaf)
            found["modes"] = stack_of_modes()
            done.set()

        thread = threading.Thread(target=other)
        thread.start()

        def function(x: Tensor) -> Tensor:
            y = (x * x).tanh()
            inside.set()
            assert done.wait(10)
            return y

        (m,) = Passes.of(function, [t(3.0, -2.0)], [t(1.0, 1.0)]).multipliers
        thread.join()
        x = np.array([3.0, -2.0])
        assert found["g"].tolist() == pytest.approx(2 * x / np.cosh(x**2) ** 2)
        assert found["modes"] == 0
        assert m.tolist() == pytest.approx((np.tanh(x**2) - np.tanh(1)) / (x - 1))


def explained(explanations: Sequence[Sequence[Explanation]]) -> Iterator[Explanation]:
    for several in explanations:
        yield from several


def check_sums(explanation: Explanation, relative: float, floor: float) -> None:
    total = sum(sum(one.attributions) + one.unassigned for one in explanation.inputs)
    change = explanation.target["value"] - explanation.target["baseline_value"]
    delta = explanation.convergence_delta
    assert delta is not None
    assert total + delta == pytest.approx(change, abs=1e-9)
    assert abs(delta) <= relative * abs(change) + floor
    assert "without_rule" not in explanation.details


def families() -> list[Any]:
    rest = [name for name in FAMILIES if name not in (*NAMED, *OTHERS)]
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in rest]
    return [*NAMED, *OTHERS, *slow]


class TestEveryArchitecture:
    @pytest.mark.parametrize("family", families())
    @pytest.mark.parametrize("target", TARGETS)
    def test_complete(self, zoo: Zoo, family: str, target: str) -> None:
        interpreter = DeepLift(zoo.predictor(family), target=target)
        found = list(explained(interpreter.interpret_batch_json(zoo.inputs(family)[:3])))
        assert found
        for explanation in found:
            check_sums(explanation, 1e-4, FLOOR)

    @pytest.mark.parametrize("family", families())
    def test_complete_to_the_last_digit_in_float64(self, zoo: Zoo, family: str) -> None:
        if family == "cnn":
            pytest.skip("AllenNLP's CnnEncoder masks with -inf · 0 in float64")
        predictor = zoo.build(family)
        predictor._model.double()
        interpreter = DeepLift(predictor, target="logit")
        found = list(explained(interpreter.interpret_batch_json(zoo.inputs(family)[:3])))
        assert found
        for explanation in found:
            if family in CAST_TO_FLOAT32:
                check_sums(explanation, 1e-6, FLOOR)
            else:
                check_sums(explanation, 1e-12, 1e-13)

    @pytest.mark.parametrize("baseline", ["mask", "mean", {"type": "token", "token": "the"}])
    def test_other_baselines(self, zoo: Zoo, baseline: Any) -> None:
        interpreter = DeepLift(zoo.predictor("bert"), baseline=baseline)
        for explanation in explained(interpreter.interpret_batch_json(zoo.inputs("bert"))):
            check_sums(explanation, 1e-4, FLOOR)

    @pytest.mark.parametrize("family", ["bert", "llama"])
    def test_segments_of_the_path(self, zoo: Zoo, family: str) -> None:
        """As complete as one step, and integrated gradients where they are many."""
        predictor, text = zoo.predictor(family), zoo.inputs(family)[0]
        options: dict[str, Any] = {"baseline": "mean", "target": "logit"}
        exact = IntegratedGradients(predictor, relative_tolerance=1e-4, max_steps=8192, **options)
        (expected,) = exact.interpret_json(text)[:1]
        apart = []
        for segments in (1, 8, 64):
            found = DeepLift(predictor, segments=segments, **options).interpret_json(text)[0]
            check_sums(found, 1e-4, FLOOR)
            scores = [np.array(one.inputs[0].attributions) for one in (found, expected)]
            apart.append(np.abs(scores[0] - scores[1]).max() / np.abs(scores[1]).max())
        assert apart[2] < 0.01
        assert apart[2] < apart[1] < apart[0]

    def test_no_segments(self, zoo: Zoo) -> None:
        with pytest.raises(ConfigurationError, match="segments is an integer of at least 1, not 0"):
            DeepLift(zoo.predictor("bert"), segments=0)

    def test_against_itself_is_nothing(self, zoo: Zoo) -> None:
        text = "a great film"
        interpreter = DeepLift(zoo.predictor("bert"), baseline={"type": "text", "text": text})
        (explanation,) = interpreter.interpret_json({"sentence": text})
        assert explanation.inputs[0].attributions == [0.0] * len(explanation.inputs[0].tokens)


WORDS = ("up", "down", "left", "right")


class Multilayer(nn.Module):
    """A perceptron of words side by side, nonlinearities as modules as captum needs them."""

    def __init__(self, nonlinearity: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Linear(9, 7), nn.Linear(7, 5)
        self.head = nn.Linear(5, 2)
        self.one, self.two = nonlinearity(), nonlinearity()

    def forward(self, embeddings: Tensor) -> Tensor:
        h = self.one(self.first(embeddings.flatten(1)))
        return self.head(self.two(self.second(h)))


class Convolution(nn.Module):
    """A convolution over words, the largest of all windows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.windows = nn.Conv1d(3, 6, 2, bias=False)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool1d(2)
        self.head = nn.Linear(6, 2)

    def forward(self, embeddings: Tensor) -> Tensor:
        windows = self.act(self.windows(embeddings.transpose(1, 2)))
        return self.head(self.pool(windows).flatten(1))


class TestAsCaptumHasIt:
    TEXTS = ("up left down", "right up right", "down right left")

    @pytest.mark.parametrize("nonlinearity", [nn.ReLU, nn.Tanh, nn.Sigmoid])
    def test_perceptron(self, nonlinearity: type[nn.Module]) -> None:
        self.check(Multilayer(nonlinearity).eval(), "left up right")

    def test_convolution(self) -> None:
        # From zero no window falls: captum loses what comes of a fall of the largest, for which
        # it would have to look at the baseline's half of its batch.
        self.check(Convolution().eval(), None)

    def check(self, network: nn.Module, baseline: str | None) -> None:
        vectors = spread_vectors(WORDS, 3)
        interpreter = DeepLift(
            predictor_of(network, vectors),
            target={"type": "logit", "label": "yes"},
            baseline="zero" if baseline is None else {"type": "text", "text": baseline},
        )
        strongest = 0.0
        for text in self.TEXTS:
            x = torch.tensor([[vectors[word] for word in text.split()]])
            x_0 = torch.zeros_like(x)
            if baseline is not None:
                x_0 = torch.tensor([[vectors[word] for word in baseline.split()]])
            theirs = CaptumDeepLift(network).attribute(x, x_0, target=1).sum(-1)[0].tolist()
            strongest = max(strongest, *map(abs, theirs))
            (explanation,) = interpreter.interpret_json({"sentence": text})
            assert explanation.inputs[0].attributions == pytest.approx(theirs, abs=1e-5)
        assert strongest > 0.01, "the model hardly reacts: nothing would be compared"


class TestModelsOfOnesOwn:
    def test_without_rule(self) -> None:
        predictor = predictor_of(
            lambda x: torch.stack([x.tanh().logcumsumexp(1)[:, -1].sum(-1), x.sum((1, 2))], 1),
            spread_vectors(WORDS, 3),
        )
        (explanation,) = DeepLift(predictor).interpret_json({"sentence": "up down"})
        assert explanation.details["without_rule"] == ["logcumsumexp"]

    def test_another_path_for_the_input(self) -> None:
        def steps(x: Tensor) -> Tensor:
            h = x.sum(1)
            for _ in range(1 + int(x.abs().sum() > 0)):
                h = h.tanh()
            return h

        def last_step(x: Tensor) -> Tensor:
            h = x.sum(1)
            return h.tanh() if x.abs().sum() == 0 else h

        for function in (steps, last_step):
            predictor = predictor_of(function, spread_vectors(WORDS, 2))
            interpreter = DeepLift(predictor, target="logit")
            with pytest.raises(InterpretationError, match="depends on the embeddings"):
                interpreter.interpret_json({"sentence": "up down"})
            assert stack_of_modes() == 0

    def test_what_has_no_rule_is_an_error_that_helps(self) -> None:
        for function in (
            lambda x: torch.stack([x.norm(3, dim=(1, 2)), x.sum((1, 2))], 1),
            lambda x: x.sum(1).abs() ** x.sum(1),
        ):
            predictor = predictor_of(function, spread_vectors(WORDS, 2))
            with pytest.raises(InterpretationError, match="no rule"):
                DeepLift(predictor).interpret_json({"sentence": "up down"})

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_a_loss_that_cannot_be_taken_apart(self, reduction: str) -> None:
        """Rows in one batch have baseline values of their own."""

        def focal(logits: Tensor, label: Tensor) -> Tensor:
            log_p = logits.log_softmax(-1).gather(1, label[:, None])
            return getattr(-((1 - log_p.exp()) ** 2) * log_p, reduction)()

        class Half(Baseline):
            """Of each text another."""

            def vectors(self, space: Any, call: Any, part: Tensor) -> Tensor:
                return part / 2

        predictor = predictor_of(lambda x: x.tanh().sum(1), spread_vectors(WORDS, 2), losses=focal)
        texts = [{"sentence": text} for text in ("up down", "left right", "down left")]
        interpreter = DeepLift(predictor, baseline=Half())
        together = interpreter.interpret_batch_json(texts)
        values = {one.target["baseline_value"] for (one,) in together}
        assert len(values) == len(texts)
        for given, (explanation,) in zip(texts, together, strict=True):
            (alone,) = interpreter.interpret_json(given)
            for one in (explanation, alone):
                check_sums(one, 1e-4, FLOOR)
            assert explanation.inputs[0].attributions == pytest.approx(
                alone.inputs[0].attributions, abs=1e-6
            )

    def test_a_small_budget_changes_nothing(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("gpt2")
        same = [{"sentence": text} for text in ("a great film", "a bad actor", "the good plot")]
        whole = explained(DeepLift(predictor).interpret_batch_json(same))
        rows = explained(DeepLift(predictor, token_budget=1).interpret_batch_json(same))
        for left, right in zip(whole, rows, strict=True):
            assert left.inputs[0].attributions == pytest.approx(
                right.inputs[0].attributions, abs=1e-5
            )


@pytest.mark.parametrize(("dtype", "most"), [(torch.float16, 4e-3), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("baseline", ["zero", "mean", "pad", "mask"])
def test_sixteen_bits(dtype: torch.dtype, most: float, baseline: str) -> None:
    """Squares in norms and quotients overflow in float16: rules compute in single precision."""
    predictor = Predictor.from_path("fixtures/sentiment/model.tar.gz")
    predictor._model.to(dtype)
    lines = Path("fixtures/sentiment/inputs.jsonl").read_text(encoding="utf-8").splitlines()
    for one in DeepLift(predictor, baseline=baseline).interpret_each(
        [json.loads(line) for line in lines[:6]]
    ):
        assert one.error is None
        (found,) = one.explanations
        due = found.target["value"] - found.target["baseline_value"]
        assert found.convergence_delta is not None
        assert abs(found.convergence_delta) <= most * abs(due)


def test_the_users_predictor_may_train(zoo: Zoo) -> None:
    """Parameters that need a gradient are no operands: the twin's are frozen."""
    predictor: Predictor = zoo.build("bert", frozen=False)
    assert all(parameter.requires_grad for parameter in predictor._model.parameters())
    (explanation,) = DeepLift(predictor).interpret_json({"sentence": "a great film"})
    check_sums(explanation, 1e-4, FLOOR)
