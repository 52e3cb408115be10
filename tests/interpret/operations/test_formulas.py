"""Operations in simpler steps give what torch gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from allennlp_saliency.interpret.operations.formulas import cross_entropy

WEIGHTS = torch.tensor([0.2, 1.0, 3.0])


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5), (2, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["labels", "ignored", "shares"])
def test_cross_entropy(
    shape: tuple[int, ...], weight: Tensor | None, reduction: str, smoothing: float, kind: str
) -> None:
    torch.manual_seed(0)
    x, dim = torch.randn(shape), min(len(shape) - 1, 1)
    target = torch.randn(shape).argmax(dim)
    if kind == "shares":
        target = torch.randn(shape).softmax(dim)
    elif kind == "ignored" and target.dim():
        target.view(-1)[0] = -100
    given = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    found, right = cross_entropy(x, target, **given), F.cross_entropy(x, target, **given)  # type: ignore[arg-type]
    assert found.shape == right.shape
    assert torch.allclose(found, right, atol=1e-5)
