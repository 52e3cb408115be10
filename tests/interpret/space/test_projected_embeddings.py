"""AllenNLP's `Embedding` with a projection: word vectors are what it returns, not its weight."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from allennlp.modules.text_field_embedders import BasicTextFieldEmbedder
from allennlp.modules.token_embedders import Embedding
from torch import Tensor, nn

from allennlp_saliency.interpret import (
    DiscretizedIntegratedGradients,
    InputXGradient,
    IntegratedGradients,
    InterpretationError,
    OneHotGradient,
)
from tests.zoo.functions import PADDING, predictor_of, spread_vectors

YES: dict[str, Any] = {"type": "logit", "label": "yes"}
WORDS = [f"w{n}" for n in range(20)]
TEXT = "w1 w7 w3"


def function(x: Tensor) -> Tensor:
    value = torch.tanh(x * torch.arange(1, x.shape[1] + 1).view(1, -1, 1).to(x)).sum((1, 2))
    return torch.stack([0 * value, value], 1)


def embedded_by(layer: Any) -> Any:
    """A predictor whose words an own layer embeds."""
    predictor = predictor_of(function, {PADDING: [0.0] * 6, **spread_vectors(WORDS, 6)})
    model: Any = predictor._model
    weight = model.text_field_embedder.token_embedder_tokens.weight.detach()
    model.text_field_embedder = BasicTextFieldEmbedder({"tokens": layer(weight)})
    return predictor.__class__(model.eval(), predictor._dataset_reader)


def projected(weight: Tensor) -> Embedding:
    torch.manual_seed(3)
    layer = Embedding(6, num_embeddings=len(weight), weight=weight.clone(), projection_dim=4)
    nn.init.normal_(layer._projection.weight)
    return layer


def vectors_and_input(predictor: Any) -> tuple[Tensor, Tensor]:
    model = predictor._model
    layer = model.text_field_embedder.token_embedder_tokens
    ids = torch.tensor([[model.vocab.get_token_index(word) for word in TEXT.split()]])
    projection = layer._projection
    return (layer.weight @ projection.weight.T + projection.bias).detach(), ids


def scores(interpreter: Any) -> list[float]:
    (explanation,) = interpreter.interpret_json({"sentence": TEXT})
    return explanation.inputs[0].attributions


def test_one_hot_gradient() -> None:
    """The gradient with respect to one-hot words, made in full."""
    predictor = embedded_by(projected)
    matrix, ids = vectors_and_input(predictor)
    one_hot = nn.functional.one_hot(ids, len(matrix)).float().requires_grad_()
    (gradient,) = torch.autograd.grad(function(one_hot @ matrix)[0, 1], one_hot)
    # The root of a sum of squares is off by more than its terms where they are small.
    expected = pytest.approx(gradient[0].norm(dim=-1).tolist(), rel=1e-5, abs=1e-5)
    assert scores(OneHotGradient(predictor, target=YES)) == expected


def test_discretized_paths_run_through_projected_words() -> None:
    predictor = embedded_by(projected)
    seen: list[Tensor] = []

    class Spy(DiscretizedIntegratedGradients):
        def paths(self, space: Any, baseline: Tensor) -> Tensor:
            seen.append(super().paths(space, baseline))
            return seen[-1]

    scores(Spy(predictor, steps=6, target=YES, baseline="pad"))
    matrix, ids = vectors_and_input(predictor)
    (path,) = seen[0]
    assert path[-1].view(3, 4) == pytest.approx(matrix[ids[0]], abs=1e-6)
    assert path[0].view(3, 4) == pytest.approx(matrix[[0, 0, 0]], abs=1e-6)
    shared = (path[1:-1].view(-1, 1, 4) - matrix).abs().amin(1) < 1e-6
    assert shared.any(-1).float().mean() > 0.5
    finer = scores(Spy(predictor, steps=6, factor=200, target=YES, baseline="pad"))
    ends = function(path[[0, -1]].view(2, 3, 4))[:, 1]
    largest = sum(map(abs, finer))
    assert sum(finer) == pytest.approx(float(ends[1] - ends[0]), abs=0.01 * largest)


def test_the_mean_of_projected_words_is_a_baseline() -> None:
    predictor = embedded_by(projected)
    matrix, _ = vectors_and_input(predictor)
    mean = matrix.mean(0).expand(1, 3, 4)
    (explanation,) = IntegratedGradients(predictor, target=YES, baseline="mean").interpret_json(
        {"sentence": TEXT}
    )
    expected = float(function(mean)[0, 1])
    assert explanation.target["baseline_value"] == pytest.approx(expected, rel=1e-5)


def test_a_layer_that_looks_at_places_is_refused() -> None:
    """A word has no vector of its own where its place is in it."""

    class WithPlaces(Embedding):
        def forward(self, tokens: Tensor) -> Tensor:
            places = torch.arange(tokens.shape[1]).view(1, -1, 1)
            return super().forward(tokens) + places

    predictor = embedded_by(
        lambda weight: WithPlaces(6, num_embeddings=len(weight), weight=weight.clone())
    )
    assert any(scores(InputXGradient(predictor, target=YES)))
    for method in (OneHotGradient, DiscretizedIntegratedGradients):
        with pytest.raises(InterpretationError, match=r"WithPlaces .* no matrix of word vectors"):
            scores(method(predictor, target=YES))
