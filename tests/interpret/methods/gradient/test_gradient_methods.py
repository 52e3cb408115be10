"""one-hot-gradient, gradient-shap and the moments of noisy gradients, against autograd by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from allennlp.data import Instance
from allennlp.data.token_indexers import SingleIdTokenIndexer
from allennlp.data.tokenizers import WhitespaceTokenizer
from allennlp.models import Model
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from captum.attr import GradientShap as CaptumGradientShap
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    GradientShap,
    IntegratedGradients,
    OneHotGradient,
    SaliencyInterpreter,
    SquareGradients,
    VarGradients,
)
from allennlp_saliency.interpret.methods.gradient import noise
from allennlp_saliency.interpret.methods.path import gradient_shap
from tests.zoo import LABELS, Zoo
from tests.zoo.functions import Opened, embedding_layer, predictor_of, spread_vectors
from tests.zoo.transformers import spread
from tests.zoo.unusual_models import Reader, vocabulary, words_embedder

TEXT = "the plot was not bad , but the actor was badly unbelievable !"
WORDS = ("up", "down", "left", "right")


def scores(interpreter: SaliencyInterpreter, text: str = TEXT) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": text})
    return explanation.inputs[0].attributions


class TestOneHot:
    @pytest.mark.parametrize("name", ["bert", "lstm", "gemma"])
    @pytest.mark.parametrize("target", ["logit", "log-likelihood"])
    def test_as_autograd_has_it(self, zoo: Zoo, name: str, target: str) -> None:
        """One-hot vectors times the matrix as the input, `(tokens, vocabulary)` and all."""
        predictor = zoo.predictor(name)
        opened = Opened.of(predictor, TEXT)
        layer = embedding_layer(predictor)
        words = layer(torch.arange(len(layer.weight))).detach()  # type: ignore[arg-type]
        one_hot = nn.functional.one_hot(opened.indices, len(words)).float().requires_grad_()
        logits = opened.logits(one_hot @ words)[0]
        value = (logits if target == "logit" else logits.log_softmax(0))[opened.label]
        (g,) = torch.autograd.grad(value, one_hot)
        expected = g[0].norm(dim=-1).tolist()
        assert max(expected) > 0.1
        found = scores(OneHotGradient(predictor, target=target))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-5)

    def test_wordpieces_add_up(self, zoo: Zoo) -> None:
        predictor = zoo.predictor("bert-mismatched")
        matched = zoo.predictor("bert")
        assert len(scores(OneHotGradient(predictor))) < len(scores(OneHotGradient(matched)))
        (explanation,) = OneHotGradient(predictor).interpret_json({"sentence": TEXT})
        assert explanation.inputs[0].unassigned > 0
        assert min(explanation.inputs[0].attributions) > 0

    def test_a_matrix_that_changed_in_place(self, zoo: Zoo) -> None:
        predictor = zoo.build("lstm")
        interpreter = OneHotGradient(predictor)
        once = scores(interpreter)
        weight = embedding_layer(predictor).weight
        with torch.no_grad():
            # A word that the text has not: nothing of the model changes but the vocabulary.
            weight[predictor._model.vocab.get_token_index("paris")] += 10
        again = scores(interpreter)
        assert again == scores(OneHotGradient(predictor))
        assert np.abs(np.subtract(once, again)).max() > 0.1


class Answering(Model):
    """Finds the answer to a question in a passage: the first and last position of a span."""

    def __init__(self, vocab: Any) -> None:
        super().__init__(vocab)
        self.text_field_embedder = words_embedder(vocab)
        self.reader = nn.LSTM(8, 10, batch_first=True)
        self.asked = nn.Linear(8, 10)
        self.ends = nn.Linear(10, 2)

    def forward(self, question: Any, passage: Any) -> dict[str, Tensor]:
        mask = get_text_field_mask(question).unsqueeze(-1)
        asked = (self.asked(self.text_field_embedder(question)) * mask).sum(1, keepdim=True)
        mask = get_text_field_mask(passage)
        read = self.reader(self.text_field_embedder(passage))[0]
        logits = self.ends(torch.tanh(read * asked + read))
        logits = logits.masked_fill(~mask.unsqueeze(-1), torch.finfo(logits.dtype).min)
        start, end = logits.unbind(-1)
        return {"span_start_logits": start, "span_end_logits": end}


class AnsweringPredictor(Predictor):
    def _json_to_instance(self, json_dict: dict[str, Any]) -> Instance:
        return self._dataset_reader.text_to_instance(**json_dict)

    def predictions_to_labeled_instances(
        self, instance: Instance, outputs: Mapping[str, Any]
    ) -> list[Instance]:
        return [instance]


class TestSpans:
    GIVEN: ClassVar = {"question": "who was it", "passage": "mary smith was in the great scene"}

    @pytest.fixture(scope="class")
    def predictor(self) -> AnsweringPredictor:
        model = Answering(vocabulary())
        spread(model, 1, 2.0)
        reader = Reader({"tokens": SingleIdTokenIndexer()}, WhitespaceTokenizer())
        return AnsweringPredictor(model.eval(), reader)

    def by_hand(
        self, predictor: AnsweringPredictor, span: tuple[int, int] | None
    ) -> tuple[dict[str, list[float]], float, tuple[int, int]]:
        """‖∂(start + end)/∂one-hot‖, of the best span with start <= end unless given."""
        model: Any = predictor._model
        matrix = model.text_field_embedder.token_embedder_tokens.weight.detach()
        one_hots = {
            name: nn.functional.one_hot(
                torch.tensor([[model.vocab.get_token_index(word) for word in text.split()]]),
                len(matrix),
            )
            .float()
            .requires_grad_()
            for name, text in self.GIVEN.items()
        }
        asked = model.asked(one_hots["question"] @ matrix).sum(1, keepdim=True)
        read = model.reader(one_hots["passage"] @ matrix)[0]
        start, end = model.ends(torch.tanh(read * asked + read))[0].unbind(-1)
        if span is None:
            pairs = [(i, j) for i in range(len(start)) for j in range(i, len(end))]
            span = max(pairs, key=lambda pair: float(start[pair[0]] + end[pair[1]]))
        value = start[span[0]] + end[span[1]]
        found = torch.autograd.grad(value, list(one_hots.values()))
        norms = {name: g[0].norm(dim=-1).tolist() for name, g in zip(one_hots, found, strict=True)}
        return norms, float(value), span

    @pytest.mark.parametrize("span", [None, (2, 4), (1, None)])
    def test_as_people_know_it(
        self, predictor: AnsweringPredictor, span: tuple[int, int] | None
    ) -> None:
        target: Any = "span" if span is None else {"type": "span", "start": span[0], "end": span[1]}
        given = None
        if span is not None:
            _, _, best = self.by_hand(predictor, None)
            given = (span[0], best[1] if span[1] is None else span[1])
        norms, value, chosen = self.by_hand(predictor, given)
        assert chosen[0] <= chosen[1]
        interpreter = OneHotGradient(predictor, target=target, normalization="max-abs")
        (explanation,) = interpreter.interpret_json(self.GIVEN)
        assert explanation.target["value"] == pytest.approx(value, abs=1e-5)
        for one in explanation.inputs:
            assert one.attributions == pytest.approx(norms[one.field], abs=1e-5)
        (found,) = interpreter.saliency_interpret_from_json(self.GIVEN).values()
        for one in explanation.inputs:
            own = np.array(norms[one.field])
            assert found[one.grad_input] == pytest.approx(own / own.max(), abs=1e-5)

    def test_batch_equals_single(self, predictor: AnsweringPredictor) -> None:
        inputs = [self.GIVEN, {"question": "who lives in the paris", "passage": "john lives"}]
        interpreter = IntegratedGradients(predictor, target="span", steps=8)
        for given, (together,) in zip(
            inputs, interpreter.interpret_batch_json(inputs), strict=True
        ):
            (alone,) = interpreter.interpret_json(given)
            for left, right in zip(together.inputs, alone.inputs, strict=True):
                assert left.attributions == pytest.approx(right.attributions, abs=1e-5)

    def test_the_span_stays_along_the_path(self, predictor: AnsweringPredictor) -> None:
        """The span of the input is explained, not the one that a baseline would choose."""
        interpreter = IntegratedGradients(predictor, target="span", steps=64)
        (explanation,) = interpreter.interpret_json(self.GIVEN)
        change = explanation.target["value"] - explanation.target["baseline_value"]
        total = sum(sum(one.attributions) for one in explanation.inputs)
        assert total == pytest.approx(change, abs=0.02)


def curved(x: Tensor) -> Tensor:
    """A function of words' vectors that mixes words and dimensions, `(rows, 2)`."""
    mixed = torch.tanh(x @ x.new_tensor([[1.0, -0.5], [0.3, 0.8], [-0.7, 0.4]]))
    return mixed.sum(1) + mixed[:, 0] * mixed[:, -1]


YES: dict[str, Any] = {"type": "logit", "label": "yes"}


def gradient_at(x: Tensor) -> Tensor:
    """∇ of the second class at points `(rows, words, 3)`."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(curved(leaf)[:, 1].sum(), leaf)[0]


class FixedShap(GradientShap):
    """With random numbers that the test knows."""

    alphas: Tensor
    chosen: Tensor

    def attribute(self, space: Any) -> Any:
        baselines = torch.stack(self.baselines(space))
        return self.attribute_at(space, baselines, self.alphas, self.chosen)


class TestGradientShap:
    N = 12

    def vectors(self) -> dict[str, list[float]]:
        return spread_vectors(WORDS, 3)

    def embedded(self, text: str) -> Tensor:
        vectors = self.vectors()
        return torch.tensor([vectors[word] for word in text.split()])

    @pytest.mark.parametrize("several", [False, True])
    def test_captums_at_the_same_points(
        self, several: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = "up left down"
        names = ["right", "left"] if several else ["right"]
        interpreter = FixedShap(
            predictor_of(curved, self.vectors()),
            target=YES,
            baseline=[{"type": "token", "token": name} for name in names],
        )
        generator = torch.Generator().manual_seed(1)
        interpreter.alphas = torch.rand(self.N, generator=generator)
        interpreter.chosen = torch.randint(len(names), (self.N,), generator=generator)
        ours = scores(interpreter, text)

        monkeypatch.setattr(np.random, "uniform", lambda *_: interpreter.alphas.double().numpy())
        monkeypatch.setattr(np.random, "choice", lambda *_: interpreter.chosen.numpy())
        vectors = self.vectors()
        x_0 = torch.tensor([[vectors[name]] * 3 for name in names])
        theirs = CaptumGradientShap(curved).attribute(
            self.embedded(text)[None], x_0, n_samples=self.N, stdevs=0.0, target=1
        )
        assert theirs.abs().max() > 1e-2
        assert ours == pytest.approx(theirs.sum(-1)[0].tolist(), abs=1e-5)

    def test_on_bert(self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor = zoo.predictor("bert")
        target = {"type": "logit", "label": LABELS[1]}
        interpreter = FixedShap(
            predictor, target=target, baseline={"type": "zero", "keep_special_tokens": False}
        )
        interpreter.alphas = torch.rand(self.N, generator=torch.Generator().manual_seed(1))
        interpreter.chosen = torch.zeros(self.N, dtype=torch.long)
        ours = scores(interpreter)
        opened = Opened.of(predictor, TEXT)
        monkeypatch.setattr(np.random, "uniform", lambda *_: interpreter.alphas.double().numpy())
        x = opened.x[None]
        theirs = CaptumGradientShap(opened.logits).attribute(
            x, torch.zeros_like(x), n_samples=self.N, stdevs=0.0, target=1
        )
        assert ours == pytest.approx(theirs.sum(-1)[0].tolist(), abs=1e-5)

    def test_noise_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text, stdev = "up left down", 0.2
        drawn = torch.randn(1, self.N, 9, generator=torch.Generator().manual_seed(7))
        monkeypatch.setattr(gradient_shap, "standard_normal", lambda *_: drawn)
        interpreter = FixedShap(
            predictor_of(curved, self.vectors()),
            target=YES,
            stdev=stdev,
            baseline={"type": "token", "token": "right"},
        )
        interpreter.alphas = torch.rand(self.N, generator=torch.Generator().manual_seed(1))
        interpreter.chosen = torch.zeros(self.N, dtype=torch.long)
        x = self.embedded(text)
        sigma = stdev * (x.max() - x.min())
        noisy = x + sigma * drawn[0].view(self.N, 3, 3)
        x_0 = self.embedded("right right right")
        points = x_0 + interpreter.alphas.view(-1, 1, 1) * (noisy - x_0)
        expected = ((noisy - x_0) * gradient_at(points)).mean(0).sum(-1)
        assert scores(interpreter, text) == pytest.approx(expected.tolist(), abs=1e-5)

    def test_seeds(self) -> None:
        predictor = predictor_of(curved, self.vectors())
        one, same, other = (
            scores(GradientShap(predictor, stdev=0.1, seed=seed), "up left down")
            for seed in (3, 3, 4)
        )
        assert one == same
        assert np.abs(np.subtract(one, other)).max() > 1e-3

    def test_points_know_nothing_of_the_noise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Drawn from one seed's stream, α would be a function of the noise: by Box and Muller's
        formula z_j² + z_{j+8}² = -2 log(1 - α_j)."""
        seen: dict[str, Tensor] = {}
        own = gradient_shap.standard_normal

        def spy(*args: Any) -> Tensor:
            seen["noise"] = own(*args)
            return seen["noise"]

        class Spy(GradientShap):
            def attribute_at(self, space: Any, b: Tensor, alphas: Tensor, chosen: Tensor) -> Any:
                seen["alphas"] = alphas
                return super().attribute_at(space, b, alphas, chosen)

        monkeypatch.setattr(gradient_shap, "standard_normal", spy)
        interpreter = Spy(predictor_of(curved, self.vectors()), stdev=0.1, num_samples=64)
        scores(interpreter, "up left down")
        z = seen["noise"].flatten()[:16].double()
        u = seen["alphas"][:8].double()
        assert not torch.allclose(z[:8] ** 2 + z[8:] ** 2, -2 * torch.log1p(-u), atol=1e-3)

    def test_many_samples_are_integrated_gradients(self) -> None:
        """The mean over α ~ U(0, 1) is the integral: with 8192 samples of a spread below 1 to
        within 4 / √8192 = 0.044, in practice much closer."""
        predictor = predictor_of(curved, self.vectors())
        baseline = {"type": "token", "token": "right"}
        exact = IntegratedGradients(predictor, target=YES, baseline=baseline, steps=64)
        found = GradientShap(predictor, target=YES, baseline=baseline, num_samples=8192)
        expected = scores(exact, "up left down")
        assert max(map(abs, expected)) > 0.1
        assert scores(found, "up left down") == pytest.approx(expected, abs=0.044)

    def test_several_baselines_are_drawn_from(self) -> None:
        predictor = predictor_of(curved, self.vectors())
        tokens = [{"type": "token", "token": name} for name in ("right", "left")]
        exact = [
            IntegratedGradients(predictor, target=YES, baseline=one, steps=64) for one in tokens
        ]
        mean = np.mean([scores(one, "up left down") for one in exact], axis=0)
        found = GradientShap(predictor, target=YES, baseline=tokens, num_samples=8192)
        assert scores(found, "up left down") == pytest.approx(mean, abs=0.044)


class TestMoments:
    N = 7

    @pytest.mark.parametrize(
        ("method", "moment"),
        [
            (SquareGradients, lambda g: np.mean(g**2, axis=0)),
            (VarGradients, lambda g: np.var(g, axis=0)),
        ],
    )
    def test_by_hand(
        self,
        method: type[SaliencyInterpreter],
        moment: Callable[[Any], Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        vectors = spread_vectors(WORDS, 3)
        drawn = torch.randn(1, self.N, 9, generator=torch.Generator().manual_seed(7))
        monkeypatch.setattr(noise, "standard_normal", lambda *_: drawn)
        interpreter = method(
            predictor_of(curved, vectors), target=YES, num_samples=self.N, stdev=0.3
        )
        x = torch.tensor([vectors[word] for word in ("up", "left", "down")])
        points = x + 0.3 * (x.max() - x.min()) * drawn[0].view(self.N, 3, 3)
        expected = moment(gradient_at(points).double().numpy()).mean(-1)
        assert max(expected) > 1e-3
        assert scores(interpreter, "up left down") == pytest.approx(expected.tolist(), abs=1e-5)

    @pytest.mark.parametrize("family", ["bert", "pair", "lstm"])
    def test_the_same_moments_on_real_models(self, zoo: Zoo, family: str) -> None:
        """E g² = Var g + (E g)², with the interpreters' own noise: what two of them say about the
        mean must be a square."""
        predictor = zoo.predictor(family)
        for given in zoo.inputs(family)[:3]:
            square, variance = (
                method(predictor, num_samples=5, stdev=0.2).interpret_json(given)[0]
                for method in (SquareGradients, VarGradients)
            )
            for left, right in zip(square.inputs, variance.inputs, strict=True):
                assert np.all(np.array(left.attributions) >= np.array(right.attributions) - 1e-9)
                assert min(right.attributions) >= 0
                assert max(right.attributions) > 0

    def test_no_noise_no_variance(self, zoo: Zoo) -> None:
        found = scores(VarGradients(zoo.predictor("bert"), stdev=0.0, num_samples=3))
        assert found == pytest.approx([0.0] * len(found), abs=1e-12)
