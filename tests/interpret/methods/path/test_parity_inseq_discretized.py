"""inseq's own class for discretized integrated gradients: the same paths and the same scores.

inseq 0.7.1 adapted the code of the authors (github.com/INK-USC/DIG). Its paths have `n_steps`
points, ours `steps` after the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret import DiscretizedIntegratedGradients
from allennlp_saliency.interpret.methods.path.discretized_integrated_gradients import (
    STRATEGIES,
    Neighbours,
    monotonic_paths,
)
from tests.zoo.functions import PADDING, UNKNOWN, predictor_of, spread_vectors

inseq_ops = pytest.importorskip("inseq.attr.feat.ops")

COUNT = 12
TEXT = "w3 w17 w0 w41"


def their_method(matrix: Tensor, function: Any, folder: Path, neighbours: int) -> Any:
    method = inseq_ops.DiscretetizedIntegratedGradients(function)
    method.load_monotonic_path_builder(
        "", matrix, [], cache_dir=folder, save_cache=False, n_neighbors=neighbours, n_jobs=1
    )
    return method


def function(x: Tensor) -> Tensor:
    """Two classes, far from linear, and no two positions alike."""
    places = torch.linspace(0.5, 2, x.shape[1]).view(1, -1, 1).to(x)
    hidden = torch.tanh(x * places).prod(1) + torch.sin(x.sum(1))
    return torch.stack([hidden[:, ::2].sum(-1), hidden[:, 1::2].sum(-1)], 1)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("steps", [1, 2, 9, 40])
@pytest.mark.parametrize("neighbours", [2, COUNT])
class TestSameNumbers:
    """With two neighbours a path soon has nowhere to go but the baseline; 40 steps are more than
    most have words."""

    def test_paths(self, strategy: str, steps: int, neighbours: int, tmp_path: Path) -> None:
        matrix = torch.randn(60, 7, generator=torch.Generator().manual_seed(steps))
        words, goals = torch.arange(20), torch.arange(20) % 3
        found = monotonic_paths(
            matrix[words],
            matrix[goals],
            Neighbours(matrix, neighbours),
            steps,
            STRATEGIES[strategy],
        )
        builder = their_method(matrix, None, tmp_path, neighbours).path_builder
        expected = builder.scale_inputs(words[None], goals[None], steps + 1, strategy)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= 1e-6

    def test_scores(self, strategy: str, steps: int, neighbours: int, tmp_path: Path) -> None:
        vectors = {
            PADDING: [0.0] * 6,
            UNKNOWN: [3.0] * 6,
            **spread_vectors([f"w{n}" for n in range(50)], 6),
        }
        predictor = predictor_of(function, vectors)
        interpreter = DiscretizedIntegratedGradients(
            predictor,
            steps=steps,
            strategy=strategy,
            neighbours=neighbours,
            baseline="pad",
            target={"type": "logit", "label": "yes"},
        )
        (explanation,) = interpreter.interpret_json({"sentence": TEXT})
        model: Any = predictor._model
        weight = model.text_field_embedder.token_embedder_tokens.weight.detach()
        method = their_method(weight, lambda x: function(x)[:, 1], tmp_path, neighbours)
        ids = torch.tensor([[model.vocab.get_token_index(word) for word in TEXT.split()]])
        pads = torch.full_like(ids, model.vocab.get_token_index(PADDING))
        scores = method.attribute(ids, pads, n_steps=steps + 1, method=strategy)
        expected = scores.sum(-1)[0].detach()
        assert explanation.inputs[0].attributions == pytest.approx(expected.tolist(), abs=1e-6)
        assert expected.abs().max() > 1e-2
        # inseq's own delta takes input and baseline the wrong way round.
        change = float((function(weight[ids]) - function(weight[pads]))[0, 1])
        lacking = change - float(expected.sum())
        assert explanation.convergence_delta == pytest.approx(lacking, abs=1e-5)
