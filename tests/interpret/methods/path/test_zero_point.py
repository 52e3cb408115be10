"""Whether the first norm of a pass divides by its ε alone, by norms whose variance is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from allennlp_saliency.interpret.methods.path.zero_point import FirstNorm, normalises_first

EPS = 1e-5


def llama(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS)


def divided(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + EPS)


def power(x: Tensor) -> Tensor:
    return x * torch.pow(x.pow(2).mean(-1, keepdim=True) + EPS, -0.5)


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "layer_norm": lambda x: F.layer_norm(x, (4,), eps=EPS),
    "rms_norm": lambda x: F.rms_norm(x, (4,), eps=EPS),
    "llama": llama,
    "divided": divided,
    "power": power,
}


def watched(norm: Callable[[Tensor], Tensor], x: Tensor) -> FirstNorm:
    with FirstNorm() as watch:
        norm(x)
    return watch


@pytest.mark.parametrize("name", NORMS)
class TestNorms:
    def test_the_vectors_below_epsilon_are_found(self, name: str) -> None:
        # Variances (or mean squares, as the mean is zero) 0, 1e-6, 1e-4 and 1.
        unit = torch.tensor([1.0, -1.0, 1.0, -1.0])
        x = torch.stack([unit * size for size in (0.0, 1e-3, 1e-2, 1.0)])[None]
        found = watched(NORMS[name], x).divides_by_epsilon
        assert found is not None
        assert found.tolist() == [[True, True, False, False]]

    def test_only_the_first_norm_counts(self, name: str) -> None:
        x = torch.ones(1, 2, 4) * torch.tensor([1.0, -1.0, 1.0, -1.0])
        found = watched(lambda x: NORMS[name](x) + NORMS[name](x * 0), x).divides_by_epsilon
        assert found is not None
        assert not found.any()


def test_a_pass_without_a_norm() -> None:
    none = watched(lambda x: x.softmax(-1) @ x.transpose(-1, -2), torch.ones(1, 2, 4))
    assert none.divides_by_epsilon is None
    assert not normalises_first(none, none)


def test_padding_that_is_zero_in_both_passes_says_nothing() -> None:
    text = torch.tensor([1.0, -1.0, 1.0, -1.0]).repeat(1, 3, 1)
    text[0, 2] = 0
    zero = text.clone()
    at_text = watched(NORMS["layer_norm"], text)
    assert not normalises_first(watched(NORMS["layer_norm"], zero), at_text)
    zero[0, 0] = 0
    assert normalises_first(watched(NORMS["layer_norm"], zero), at_text)
