"""Noise in blocks: the numbers of one draw, and never many of them at once."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from allennlp_saliency.interpret.positions import PADDING
from allennlp_saliency.interpret.space import noise as module
from allennlp_saliency.interpret.space.layout import EmbeddingCall, Layout
from allennlp_saliency.interpret.space.noise import Noise, standard_normal
from tests.zoo.noise import all_at_once


def uniform(*shape: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(*shape, generator=generator) - 1


def space_of(*calls: tuple[int, list[int]]) -> Any:
    """What noise knows of a space: for each call the size of a vector, and each row's length."""
    made = []
    for dim, lengths in calls:
        positions = max(lengths)
        tokens = torch.arange(positions).expand(len(lengths), -1)
        tokens = torch.where(tokens < torch.tensor(lengths)[:, None], tokens, PADDING)
        nothing: Any = None
        made.append(
            EmbeddingCall(
                layer=nothing,
                names=("text",),
                indexer=None,
                shape=(len(lengths), positions, dim),
                transposed=False,
                dtype=torch.float32,
                device=torch.device("cpu"),
                positions=positions,
                dim=dim,
                fields=torch.zeros_like(tokens),
                tokens=tokens,
                special=torch.zeros_like(tokens, dtype=torch.bool),
            )
        )
    layout = Layout(tuple(made))
    size = sum(call.size for call in made)
    return SimpleNamespace(layout=layout, embeddings=torch.zeros(len(calls[0][1]), size))


@pytest.mark.parametrize("block", [1, 200, module._BLOCK])
class TestNumbers:
    @pytest.mark.parametrize("draw", [torch.randn, uniform])
    @pytest.mark.parametrize("samples", [1, 2, 15, 16, 17, 31, 32, 33, 100])
    @pytest.mark.parametrize(
        "calls",
        [
            ((1, [1]),),
            ((3, [5, 2, 1]),),
            ((8, [4, 4]), (5, [1, 3])),
            ((2, [1, 0]), (7, [3, 1]), (16, [2, 2])),
        ],
    )
    def test_those_of_one_draw(
        self, draw: Any, samples: int, calls: Any, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In whatever order they are asked for, in blocks of whatever size."""
        monkeypatch.setattr(module, "_BLOCK", block)
        space = space_of(*calls)
        expected = all_at_once(space, samples, 7, draw)
        assert expected.any()
        noise = Noise(space, samples, 7, torch.ones(len(expected)), draw)
        assert torch.equal(noise.copies(torch.arange(samples)), expected.transpose(0, 1))
        generator = torch.Generator().manual_seed(0)
        for _ in range(4):
            rows = torch.randint(len(expected), (5,), generator=generator)
            own = torch.randint(samples, (5,), generator=generator)
            assert torch.equal(noise.at(rows, own), expected[rows, own])

    @pytest.mark.parametrize("kept", [0, 40, 1000])
    def test_what_was_forgotten_is_the_same_again(
        self, kept: int, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "_BLOCK", block)
        monkeypatch.setattr(module, "_KEPT", kept)
        space = space_of((3, [5, 2, 1]), (4, [2, 2, 2]))
        expected = all_at_once(space, 70, 1)
        noise = standard_normal(space, 70, 1, torch.ones(3))
        for sample in (69, 0, 40, 0, 69, 17):
            for row in (2, 0, 1):
                found = noise.at(torch.tensor([row]), torch.tensor([sample]))
                assert torch.equal(found[0], expected[row, sample])


class TestAsked:
    def test_width_is_each_instances(self) -> None:
        space = space_of((3, [2, 2]))
        one = all_at_once(space, 2, 0)
        found = standard_normal(space, 2, 0, torch.tensor([0.5, 3.0])).copies(torch.arange(2))
        assert torch.equal(found[:, 0], 0.5 * one[0])
        assert torch.equal(found[:, 1], 3.0 * one[1])

    def test_nothing_is_asked_for(self) -> None:
        noise = standard_normal(space_of((3, [2])), 4, 0, torch.ones(1))
        none = torch.empty(0, dtype=torch.long)
        assert noise.at(none, none).shape == (0, 6)

    def test_nobody_elses_random_numbers_change(self) -> None:
        before = torch.get_rng_state()
        standard_normal(space_of((3, [2])), 4, 0, torch.ones(1)).copies(torch.arange(4))
        assert torch.equal(torch.get_rng_state(), before)


MEMORY = """
import resource, torch
from tests.interpret.space.test_noise import space_of
from allennlp_saliency.interpret.space.noise import standard_normal
noise = standard_normal(space_of((768, [512])), 500, 0, torch.ones(1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for numbers in torch.arange(500).split(8):
    noise.at(torch.zeros_like(numbers), numbers)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts kibibytes of Linux")
def test_memory_does_not_grow_with_the_samples() -> None:
    """500 samples of 512 tokens of 768 numbers take 750 MiB at once."""
    # What is freed goes back to the system at once, so that its peak is the one of what is used.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    command = [sys.executable, "-c", MEMORY]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert float(found.stdout) < 200


def test_the_range_of_values_leaves_padding_out() -> None:
    space = space_of((2, [3, 1]), (1, [1, 0]))
    rows = torch.tensor(
        [[1.0, 2.0, -3.0, 4.0, 0.5, 0.0, 7.0], [1.0, 1.5, 99.0, -99.0, 99.0, 99.0, -99.0]]
    )
    space.embeddings, space.device = rows, rows.device
    assert module.value_range(space).tolist() == [10.0, 0.5]
    nothing = space_of((2, [0, 0]))
    nothing.embeddings, nothing.device = torch.zeros(2, 0), rows.device
    assert module.value_range(nothing).tolist() == [0.0, 0.0]
